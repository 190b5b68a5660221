"""A message of which processes die is known to the next one, and refused when enough in a row have died of it."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from leadline.model.errors import RefusedMessage, Unknown
from leadline.runtime.bus.bus import Received
from leadline.runtime.poison import DEATHS, ENDS, MOST_POISON, Handling, Poison

DIES = """
import os, sys
from pathlib import Path
from leadline.runtime.bus.bus import Received
from leadline.runtime.poison import Handling, Poison
handling = Handling(Path(sys.argv[1]))
for sequence in range(1, 6):
    try:
        with handling.of("BARS", Received("ll.bar", sequence, b"", f"ll.bar/{sequence}")):
            if sequence == 3:
                os._exit(9)
    except Poison:
        print("passed over", sequence)
print("lived")
"""


class Death(Exception):
    """An error that nobody expects."""


def message(sequence: int, subject: str = "ll.bar.x") -> Received:
    return Received(subject, sequence, b"", f"{subject}/{sequence}")


def handle(folder: Path, received: Received) -> None:
    with Handling(folder).of("BARS", received):
        pass


def process(folder: Path, deadly: set[int], messages=range(1, 6)) -> list[int]:
    """What a process passes over that handles these messages, and dies of the first deadly one."""
    handling, passed = Handling(folder), []
    with contextlib.suppress(Death):
        for sequence in messages:
            try:
                with handling.of("BARS", message(sequence)):
                    if sequence in deadly:
                        raise Death
            except Poison:
                passed.append(sequence)
    return passed


def test_the_fourth_process_passes_over_what_the_three_before_it_ended_at_without_a_word(tmp_path):
    """Two of them may have been killed by somebody who knew nothing of the message."""
    ended = [
        subprocess.run([sys.executable, "-c", DIES, tmp_path], capture_output=True, text=True, check=False, timeout=60)
        for _ in range(ENDS + 1)
    ]
    assert [process.returncode for process in ended] == [9, 9, 9, 0]
    assert ended[-1].stdout.endswith("passed over 3\nlived\n")


def test_an_end_without_a_word_counts_beside_those_that_are_told(tmp_path):
    assert process(tmp_path, {3}) == []
    subprocess.run([sys.executable, "-c", DIES.replace("ll.bar", "ll.bar.x"), tmp_path], check=False, timeout=60)
    assert process(tmp_path, {3}) == []
    with pytest.raises(Poison, match="3 processes in a row ended while they handled BARS 3"):
        handle(tmp_path, message(3))


def test_an_error_that_nobody_expects_is_known_twice(tmp_path):
    assert [process(tmp_path, {3}) for _ in range(DEATHS + 2)] == [[]] * DEATHS + [[3], [3]]
    with pytest.raises(Poison, match="2 processes in a row ended while they handled BARS 3"):
        handle(tmp_path, message(3))


def test_each_message_that_kills_is_found_and_none_is_forgotten_for_another(tmp_path):
    assert [process(tmp_path, {2, 4}) for _ in range(6)] == [[], [], [2], [2], [2, 4], [2, 4]]


def test_deaths_of_different_messages_make_no_poison(tmp_path):
    assert [process(tmp_path, {n}) for n in (1, 2, 1, 2, 1, 2)] == [[]] * 6


def test_a_message_that_goes_well_is_no_suspect_any_more(tmp_path):
    assert [process(tmp_path, deadly) for deadly in ({3}, set(), {3}, set(), {3})] == [[]] * 5


def test_a_process_that_dies_of_nothing_in_particular_leaves_no_suspect(tmp_path):
    for _ in range(ENDS + 1):
        assert process(tmp_path, set()) == []


@pytest.mark.parametrize(
    "end", [RefusedMessage("unreadable", ""), Unknown("a", "b"), asyncio.CancelledError(), KeyboardInterrupt()]
)
def test_an_end_that_is_told_is_no_death(tmp_path, end):
    for _ in range(ENDS + 1):
        with pytest.raises(type(end)), Handling(tmp_path).of("BARS", message(1)):
            raise end
    assert process(tmp_path, set()) == []


def test_what_is_remembered_is_bounded(tmp_path):
    long = "s" * 5000
    for n in range(MOST_POISON + 5):
        for _ in range(DEATHS):
            with pytest.raises(Death), Handling(tmp_path).of("BARS", message(n, long[n:])):
                raise Death
    assert (tmp_path / "poison.json").stat().st_size < 1100 * MOST_POISON
    with pytest.raises(Poison), Handling(tmp_path).of("BARS", message(MOST_POISON + 4, long[MOST_POISON + 4 :])):
        pass


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"suspect": "", "failures": "x", "ends": 0, "poison": {}}', b'{"poison": []}']
)
def test_files_that_are_none_stop_nobody(tmp_path, content: bytes):
    (tmp_path / "poison.json").write_bytes(content)
    (tmp_path / "handling").write_bytes(b"\x01\xff\xff\xff")
    assert process(tmp_path, set()) == []


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    assert [process(tmp_path / "file", {3}) for _ in range(ENDS + 1)] == [[]] * (ENDS + 1)
