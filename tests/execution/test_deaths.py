"""An account whose processes fail at one instant is halted, and says why."""

from pathlib import Path

import pytest

from leadline.execution.adapters.deaths import note_death
from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.model.halts import HaltSource


def die(folder: Path, instant_ns: int, words: str = "no such order") -> tuple[str, ...]:
    """One process's end at an instant: the reasons of the halts that the next one finds."""
    note_death(folder / "deaths.json", KillSwitch(folder / "halts.json", lambda: 1_000), instant_ns, KeyError(words))
    halts = KillSwitch(folder / "halts.json", lambda: 1_000).halts
    assert halts.of(HaltSource.POISON) == halts.in_force
    return tuple(halt.reason for halt in halts.in_force)


def test_the_second_failure_at_an_instant_halts_and_further_ones_are_the_same_halt(tmp_path):
    said = ("2 processes in a row failed at the instant 42: KeyError: 'no such order'",)
    assert [die(tmp_path, 42) for _ in range(4)] == [(), said, said, said]


def test_failures_at_different_instants_halt_nothing(tmp_path):
    assert [die(tmp_path, instant) for instant in (1, 2, 1, 2)] == [()] * 4


def test_an_instant_after_another_one_is_counted_from_its_first_failure(tmp_path):
    assert [bool(die(tmp_path, instant)) for instant in (1, 42, 42)] == [False, False, True]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"instant_ns": 42}'])
def test_a_count_that_cannot_be_read_begins_anew(tmp_path, content: bytes):
    (tmp_path / "deaths.json").write_bytes(content)
    assert die(tmp_path, 42) == ()


def test_a_disk_that_keeps_no_count_hides_no_error(tmp_path):
    (tmp_path / "deaths.json").mkdir()
    assert die(tmp_path, 42) == ()
