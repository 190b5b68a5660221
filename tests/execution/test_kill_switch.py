"""The kill switch by itself: in memory, then on the disk, and only then is anybody told."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from leadline.execution.adapters import kill_switch
from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.core.halts import Clearing, Halts, StoredHalts
from leadline.model.halts import Halt, HaltSource
from tests.execution.harness.syncs import watched_syncs

PERSON, LIMIT, SYSTEM = HaltSource.PERSON, HaltSource.LIMIT, HaltSource.SYSTEM


class Switch(KillSwitch):
    """A switch whose clock goes on by a microsecond, and that keeps what it told: the halts, and those of the file."""

    def __init__(self, path: Path, stored: int | None = 0) -> None:
        self.heard: list[tuple[list[int], list[int]]] = []
        self.now = 0
        super().__init__(path, self._clock, self._tell)
        if stored is not None:
            self.merge(StoredHalts(stored, {}))
            self.heard.clear()

    def _clock(self) -> int:
        self.now += 1000
        return self.now

    def _tell(self, halts: Halts) -> None:
        self.heard.append(([halt.number for halt in halts.in_force], self.on_disk))

    @property
    def on_disk(self) -> list[int]:
        """The numbers that the next process would read."""
        return [halt.number for halt in KillSwitch(self._path, lambda: 0).halts.in_force] if self._path.exists() else []


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    """A switch that has read its rows, of which there are none."""
    return Switch(tmp_path / "volume" / "of execution" / "halts.json")


def path_of(switch: Switch) -> Path:
    return switch._path


def inode(switch: Switch) -> int:
    """Another one for each time that the file was written."""
    return path_of(switch).stat().st_ino


def disk_refuses(switch: Switch, refuses: bool = True) -> None:
    fresh = path_of(switch).with_name(path_of(switch).name + ".new")
    fresh.mkdir() if refuses else fresh.rmdir()


def test_a_halt_is_on_the_disk_when_it_is_told_and_when_it_is_answered(switch: Switch):
    halt = switch.halt(PERSON, "news", "ann")
    assert halt == Halt(1, PERSON, "news", "ann", 1000)
    assert switch.heard == [([1], [1])]
    assert (switch.words, switch.durable, switch.halts.in_force) == ("news", True, (halt,))


def test_the_file_is_synced_whole_before_it_takes_its_place_and_the_folder_behind_it(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
):
    syncs = watched_syncs(monkeypatch)
    switch.halt(PERSON, "news", "ann")
    path = path_of(switch)
    assert syncs.found == [(inode(switch), path.stat().st_size), (path.parent.stat().st_ino, (path.name,))]


def test_a_cause_that_stands_already_is_neither_written_nor_told_again(switch: Switch):
    first = switch.halt(LIMIT, "too many", "execution")
    file = path_of(switch).read_bytes()
    path_of(switch).unlink()
    assert switch.halt(LIMIT, "too many", "execution") is first
    assert not path_of(switch).exists()
    assert (switch.heard, switch.durable) == ([([1], [1])], True)
    switch.halt(PERSON, "news", "ann")
    assert path_of(switch).read_bytes() != file
    assert switch.heard[1:] == [([1, 2], [1, 2])]


def test_a_draft_stops_nothing_before_it_is_adopted(switch: Switch):
    halt = switch.draft(LIMIT, "too many", "execution")
    assert halt == Halt(1, LIMIT, "too many", "execution", 1000)
    assert (switch.words, switch.heard, path_of(switch).exists()) == ("", [], False)
    switch.adopt(halt)
    assert (switch.words, switch.heard, switch.durable) == ("too many", [([1], [1])], True)
    assert switch.halts.unstored == ()  # its row was written with its cause


def test_a_disk_that_refuses_is_asked_again_and_only_then(switch: Switch):
    disk_refuses(switch)
    halt = switch.halt(PERSON, "news", "ann")
    assert (switch.halts.in_force, switch.durable) == ((halt,), False)
    assert switch.heard == [([1], [])]
    switch.keep()
    assert not switch.durable
    disk_refuses(switch, False)
    switch.keep()
    assert (switch.durable, switch.on_disk) == (True, [1])
    path_of(switch).unlink()
    switch.keep()
    assert not path_of(switch).exists()


def test_a_switch_that_has_just_been_read_has_nothing_to_write(tmp_path: Path):
    path = tmp_path / "halts.json"
    switch = Switch(path, stored=None)
    assert (switch.durable, switch.heard) == (True, [])
    switch.keep()
    assert not path.exists()


def test_what_is_cleared_goes_from_the_disk_first(switch: Switch):
    halts = [switch.halt(PERSON, reason, "ann") for reason in ("news", "lunch")]
    switch.heard.clear()
    disk_refuses(switch)
    with pytest.raises(OSError, match="halts"):
        switch.clear(halts[:1])
    assert (switch.halts.in_force, switch.heard, switch.on_disk) == (tuple(halts), [], [1, 2])
    disk_refuses(switch, False)
    switch.clear(halts[:1])
    assert (switch.words, switch.heard) == ("lunch", [([2], [2])])


def test_a_clearing_that_only_its_last_step_lost_is_written_back(switch: Switch, monkeypatch: pytest.MonkeyPatch):
    first, _ = (switch.halt(PERSON, reason, "ann") for reason in ("news", "lunch"))

    def refuse(folder: Path) -> None:
        raise OSError(f"no space in {folder}")

    with monkeypatch.context() as patch:
        patch.setattr(kill_switch, "sync_directory", refuse)
        with pytest.raises(OSError, match="no space"):
            switch.clear([first])
    assert (switch.words, switch.durable) == ("news; lunch", False)
    switch.keep()
    assert (switch.durable, switch.on_disk) == (True, [1, 2])


def test_what_is_cleared_makes_the_rest_durable_too(switch: Switch):
    first = switch.halt(PERSON, "news", "ann")
    disk_refuses(switch)
    switch.halt(PERSON, "lunch", "ann")
    assert not switch.durable
    disk_refuses(switch, False)
    switch.clear([first])
    assert (switch.durable, switch.on_disk) == (True, [2])


def test_rows_that_say_nothing_new_are_neither_written_nor_told(switch: Switch):
    halt = switch.halt(PERSON, "news", "ann")
    switch.heard.clear()
    path_of(switch).unlink()
    switch.merge(StoredHalts(1, {1: (halt, False)}))
    assert (path_of(switch).exists(), switch.heard, switch.durable) == (False, [], True)
    assert switch.halts.unstored == ()


def test_a_number_that_the_rows_have_given_is_kept_on_the_disk(switch: Switch):
    switch.merge(StoredHalts(7, {}))
    assert switch.heard == [([], [])]
    assert orjson.loads(path_of(switch).read_bytes()) == {"last": 7, "halts": []}
    assert switch.halt(PERSON, "news", "ann").number == 8


def test_a_halt_of_the_rows_stops_entries_here(switch: Switch):
    switch.merge(StoredHalts(1, {1: (Halt(1, PERSON, "elsewhere", "cid", 0), False)}))
    assert (switch.words, switch.heard) == ("elsewhere", [([1], [1])])


def test_what_has_its_row_is_told_no_more_and_what_was_replaced_meanwhile_leaves_one_to_close(switch: Switch):
    first = switch.halt(PERSON, "news", "ann")
    second = switch.halt(PERSON, "news", "ann")
    switch.heard.clear()
    switch.stored([first], [], "execution")
    assert (switch.halts.unstored, switch.halts.replaced) == (
        (second,),
        (Clearing(first, "execution", "replaced", 3000),),
    )
    switch.stored([second], switch.halts.replaced, "execution")
    assert (switch.halts.unstored, switch.halts.replaced) == ((), ())


GOOD = {"number": 1, "source": "PERSON", "reason": "news", "by": "ann", "at_ns": 1000}


@pytest.mark.parametrize(
    "content",
    [
        {"halts": []},
        {"last": 1},
        {"last": "1", "halts": []},
        {"last": True, "halts": []},
        *({"last": 1, "halts": [{**GOOD, name: value}]} for name, value in {"reason": 3, "by": 3}.items()),
        *({"last": 1, "halts": [{**GOOD, name: 1.0}]} for name in ("number", "at_ns")),
        {"last": 1, "halts": [{**GOOD, "source": "WHO"}]},
        *({"last": 1, "halts": [{key: GOOD[key] for key in GOOD if key != left_out}]} for left_out in GOOD),
        [],
        3,
    ],
    ids=str,
)
def test_a_file_that_was_not_written_here_halts_and_a_copy_of_it_is_kept(tmp_path: Path, content: Any):
    path = tmp_path / "halts.json"
    path.write_bytes(orjson.dumps(content))
    switch = Switch(path, stored=None)
    [halt] = switch.halts.in_force
    assert (halt.source, halt.by) == (SYSTEM, "execution")
    assert halt.reason.startswith("the file of halts halts.json could not be read: ")
    assert path.with_suffix(".damaged").read_bytes() == orjson.dumps(content)
    assert switch.on_disk == [halt.number]


def test_a_file_that_was_written_here_is_read_as_it_was(switch: Switch):
    halt = switch.halt(PERSON, "news", "ann")
    again = KillSwitch(path_of(switch), lambda: 0)
    assert again.halts.in_force == (halt,)
    assert again.halts.last == 1
