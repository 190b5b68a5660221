"""The set of halts: each cause stands on its own, and nobody clears what he has not seen."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.core.halts import MOST_HALTS, Halts, StoredHalts
from leadline.execution.loop.command_queue import MOST_COMMANDS, Command, CommandQueue, TooManyCommands
from leadline.model.halts import LONGEST_REASON, Halt, HaltSource

PERSON, FIELD, DIFFERENCE, LIMIT = HaltSource.PERSON, HaltSource.FIELD, HaltSource.DIFFERENCE, HaltSource.LIMIT
EMPTY = StoredHalts(0, {})


def numbered(*causes: tuple[HaltSource, str, str]) -> Halts:
    """A set that was laid together with an empty database, with these halts (source, reason, by)."""
    halts = Halts().merged(EMPTY)
    for at, (source, reason, by) in enumerate(causes):
        halts, _ = halts.halt(source, reason, by, at * 1000)
    return halts


def causes(halts: Halts) -> list[tuple[int, str]]:
    return [(halt.number, halt.reason) for halt in halts.in_force]


def test_a_second_cause_stands_beside_the_first():
    halts = numbered((PERSON, "lunch", "bob"), (DIFFERENCE, "book and venue differ", "execution"))
    assert causes(halts) == [(1, "lunch"), (2, "book and venue differ")]
    assert halts.words == "lunch; book and venue differ"


def test_an_automatic_cause_that_is_found_again_is_the_same_halt():
    halts = numbered((LIMIT, "too many", "execution"), (LIMIT, "too many", "execution"))
    assert causes(halts) == [(1, "too many")]


def test_a_cause_found_again_is_not_cleared_by_who_asked_before():
    halts = numbered((LIMIT, "too many", "execution"))
    seen = halts.seen([1])
    assert [halt.number for halt in halts.clearable(seen)] == [1]
    halts, _ = halts.halt(LIMIT, "too many", "execution", 1)
    assert halts.clearable(seen) == ()


def test_a_person_who_halts_again_is_not_resumed_by_a_number_from_before():
    halts = numbered((PERSON, "stop", "bob"))
    seen = halts.seen([1])
    halts, again = halts.halt(PERSON, "stop", "bob", 1)
    assert causes(halts) == [(2, "stop")]
    assert again.number == 2
    assert halts.clearable(seen) == halts.clearable({1: 2}) == ()


def test_two_persons_with_the_same_words_halt_twice():
    assert causes(numbered((PERSON, "stop", "bob"), (PERSON, "stop", "ann"))) == [(1, "stop"), (2, "stop")]


def test_at_the_bound_the_newest_gives_its_place_away_and_its_number_with_it():
    halts = numbered(*((PERSON, f"cause {n}", "bob") for n in range(MOST_HALTS)))
    seen = halts.seen(halt.number for halt in halts.in_force)
    halts, last = halts.halt(PERSON, "one more", "bob", 0)
    assert len(halts.in_force) == MOST_HALTS
    assert last.reason == f"one of more than {MOST_HALTS} causes, the newest: one more"
    assert halts.in_force[-1] == last
    assert halts.without(halts.clearable(seen)).in_force == (last,)


def test_at_the_bound_a_difference_stays_one_and_the_field_keeps_its_own_place():
    halts = numbered(*((DIFFERENCE, f"cause {n}", "execution") for n in range(MOST_HALTS)))
    halts, last = halts.halt(PERSON, "one more", "bob", 0)
    assert last.source is DIFFERENCE
    halts, field = halts.halt(FIELD, "the manifest", "ann", 0)
    assert field.source is FIELD
    halts, last = halts.halt(PERSON, "and another", "bob", 0)
    assert last.source is DIFFERENCE
    assert field in halts.in_force


@pytest.mark.parametrize("source", [FIELD, DIFFERENCE, LIMIT])
def test_how_often_an_automatic_cause_was_said_is_counted(source: HaltSource):
    halts = numbered(*((source, "again", f"process {n}") for n in range(3)), (PERSON, "lunch", "bob"))
    assert causes(halts) == [(1, "again"), (2, "lunch")]
    assert halts.seen([1]) == {1: 3}
    assert halts.seen([1, 2, 9]) == {1: 3, 2: 1}


def test_a_cause_that_is_said_again_leaves_the_others_as_they_are():
    halts = numbered((LIMIT, "too many", "execution"), (PERSON, "lunch", "bob"), (LIMIT, "too many", "execution"))
    assert causes(halts) == [(1, "too many"), (2, "lunch")]
    assert halts.seen([1, 2]) == {1: 2, 2: 1}


def test_the_rows_of_all_that_was_replaced_are_to_be_closed():
    halts = numbered((PERSON, "stop", "bob"), (PERSON, "news", "bob"))
    halts = halts.stored(halts.in_force, at_ns=1, by="execution")
    for reason in ("stop", "news"):
        halts, _ = halts.halt(PERSON, reason, "bob", 2_000)
    assert [(clearing.halt.number, clearing.reason) for clearing in halts.replaced] == [
        (1, "said again"),
        (2, "said again"),
    ]


def test_the_manifest_s_halt_is_one_whatever_its_words():
    assert causes(numbered((FIELD, "the manifest", "ann"), (FIELD, "other words", "ann"))) == [(1, "the manifest")]
    assert len(numbered((LIMIT, "hour", "execution"), (LIMIT, "day", "execution")).in_force) == 2


def test_halts_are_told_apart_by_their_source():
    halts = numbered((PERSON, "lunch", "bob"), (LIMIT, "too many", "execution"), (PERSON, "news", "ann"))
    assert [halt.reason for halt in halts.of(PERSON)] == ["lunch", "news"]
    assert halts.of(DIFFERENCE) == ()
    assert halts.unstored == halts.in_force


def test_sixty_four_halts_stand_on_their_own_and_the_next_takes_the_place_of_the_newest():
    halts = numbered(*((PERSON, f"cause {n}", "bob") for n in range(64)))
    assert [number for number, _ in causes(halts)] == list(range(1, 65))
    halts, last = halts.halt(PERSON, "one more", "bob", 0)
    assert [number for number, _ in causes(halts)] == [*range(1, 64), 65]
    assert (last.source, last.reason) == (PERSON, "one of more than 64 causes, the newest: one more")


def test_a_drafted_halt_has_a_number_and_is_in_force_when_its_row_is_written():
    before = numbered((PERSON, "lunch", "bob"))
    after, halt = before.drafted(LIMIT, "too\nmany", "exe\ncution", 5_001)
    assert (halt.number, halt.reason, halt.by, halt.at_ns) == (2, "too many", "exe cution", 5_000)
    assert (after.in_force, after.last) == (before.in_force, 2)
    adopted = after.adopted(halt)
    assert adopted.in_force == (*before.in_force, halt)
    assert adopted.unstored == before.unstored
    assert adopted.seen([2]) == {2: 1}


def test_a_number_is_never_given_twice():
    assert Halts().last == 0
    halts = numbered((PERSON, "lunch", "bob"), (PERSON, "news", "bob"))
    halts = halts.without(halts.in_force)
    _, after_clearing = halts.merged(EMPTY).halt(PERSON, "again", "bob", 0)
    assert after_clearing.number == 3
    of_an_old_file = replace(numbered((PERSON, "lunch", "bob"), (PERSON, "news", "bob")), last=0)
    _, beside_it = of_an_old_file.merged(EMPTY).halt(PERSON, "again", "bob", 0)
    assert beside_it.number == 3
    _, behind_the_rows = halts.merged(StoredHalts(9, {})).halt(PERSON, "again", "bob", 0)
    assert behind_the_rows.number == 10


def test_a_halt_keeps_how_often_it_was_said_when_its_row_is_read():
    halts = numbered(*((LIMIT, "too many", "execution"),) * 3)
    [limit] = halts.in_force
    other = Halt(2, PERSON, "only in the database", "ann", 9_000)
    assert halts.merged(StoredHalts(2, {1: (limit, False), 2: (other, False)})).seen([1, 2]) == {1: 3, 2: 1}
    another = Halt(1, LIMIT, "of the newer disk", "execution", 5_000)
    assert halts.merged(StoredHalts(1, {1: (another, False)})).seen([1]) == {1: 1}


def test_a_halt_whose_row_is_gone_is_told_again():
    halts = numbered((PERSON, "lunch", "bob"))
    halts = halts.stored(halts.in_force, at_ns=1, by="execution")
    assert halts.unstored == ()
    assert halts.merged(EMPTY).unstored == halts.in_force


def test_a_row_that_another_halt_took_the_place_of_does_not_come_back_and_is_closed_once():
    halts = numbered((PERSON, "stop", "bob"))
    [first] = halts.in_force
    halts = halts.stored([first], at_ns=1, by="execution")
    halts, again = halts.halt(PERSON, "stop", "bob", 2_000)
    opened = halts.merged(StoredHalts(1, {1: (first, False)}))
    assert opened.in_force == (again,)
    assert [clearing.halt for clearing in opened.replaced] == [first]
    assert opened.merged(StoredHalts(2, {1: (first, True), 2: (again, False)})).replaced == ()


def test_reasons_are_one_line_of_bounded_length():
    halts = numbered((PERSON, "a\x00b\nc\x1b[31m" + "d" * 2_000_000, "bob\n"))
    [halt] = halts.in_force
    assert halt.reason.startswith("a b c [31md")
    assert len(halt.reason) == LONGEST_REASON
    assert halt.by == "bob"


def test_before_the_database_was_read_a_halt_has_no_number_that_could_be_another_s():
    halts, early = Halts().halt(PERSON, "at once", "bob", 1000)
    assert early.number == -1
    assert halts.halt(PERSON, "and again", "bob", 2000)[1].number == -2
    assert halts.unstored == ()
    row = Halt(1, PERSON, "from last week", "ann", 0)
    halts = halts.merged(StoredHalts(4, {1: (row, False)}))
    assert causes(halts) == [(1, "from last week"), (5, "at once")]
    assert [halt.number for halt in halts.unstored] == [5]


def test_file_and_database_are_laid_together_by_number_and_the_stricter_holds():
    here = numbered((PERSON, "one", "bob"), (PERSON, "two", "bob"), (PERSON, "three", "bob"))
    one, two, _ = here.in_force
    other = Halt(4, PERSON, "only in the database", "ann", 9_000)
    rows = {1: (one, False), 2: (two, True), 4: (other, False)}
    halts = here.merged(StoredHalts(7, rows))
    # The second is cleared in the database and not on disk: it stands on, and its row tells of its clearing.
    assert causes(halts) == [(1, "one"), (3, "three"), (4, "only in the database"), (8, "two")]
    assert [halt.number for halt in halts.unstored] == [3, 8]
    assert halts.merged(StoredHalts(7, rows)) == halts


def test_a_number_that_the_database_gave_to_another_halt_is_not_shared():
    here = numbered((PERSON, "of an older disk", "bob"))
    row = Halt(1, LIMIT, "of the newer one", "execution", 5_000)
    halts = here.merged(StoredHalts(1, {1: (row, False)}))
    assert causes(halts) == [(1, "of the newer one"), (2, "of an older disk")]


def test_a_halt_whose_place_was_taken_while_its_row_was_written_leaves_no_open_row():
    halts = numbered((PERSON, "stop", "bob"))
    writing = halts.unstored
    halts, again = halts.halt(PERSON, "stop", "bob", 1)
    halts = halts.stored(writing, at_ns=2, by="execution")
    assert [clearing.halt for clearing in halts.replaced] == list(writing)
    assert halts.unstored == (again,)
    halts = halts.stored([again], halts.replaced, at_ns=3, by="execution")
    assert (halts.unstored, halts.replaced) == ((), ())


def test_the_kill_switch_outlives_the_process_with_every_cause(tmp_path: Path):
    path = tmp_path / "halts.json"
    switch = KillSwitch(path, lambda: 1_234_567)
    switch.merge(EMPTY)
    switch.halt(PERSON, "too fast", "ann")
    switch.halt(PERSON, "too slow", "bob")
    again = KillSwitch(path, lambda: 2)
    assert again.halts.in_force == switch.halts.in_force
    assert again.words == "too fast; too slow"
    again.clear(again.halts.in_force)
    assert KillSwitch(path, lambda: 3).words == ""
    switch.merge(StoredHalts(2, {}))
    assert KillSwitch(path, lambda: 3).halts.last == 2


def test_a_file_that_cannot_be_read_stops_entries(tmp_path: Path):
    path = tmp_path / "halts.json"
    path.write_bytes(b'{"last": 1, "halts": [{"number"')
    [halt] = KillSwitch(path, lambda: 0).halts.in_force
    assert halt.source is HaltSource.SYSTEM
    assert "halts.json could not be read" in halt.reason
    assert path.with_suffix(".damaged").exists()
    assert orjson.loads(path.read_bytes())["halts"][0]["source"] == "SYSTEM"


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"last": "1", "halts": []}',
        b'{"last": 1, "halts": [{"number": "1", "source": "PERSON", "reason": "stop", "by": "bob", "at_ns": 0}]}',
        b'{"last": 1, "halts": [{"number": 1, "source": "PERSON", "reason": null, "by": "bob", "at_ns": 0}]}',
        b'{"last": 1, "halts": [{"number": 1, "source": "NOBODY", "reason": "stop", "by": "bob", "at_ns": 0}]}',
    ],
)
def test_a_file_with_other_values_stops_entries_and_no_start(tmp_path: Path, content: bytes):
    path = tmp_path / "halts.json"
    path.write_bytes(content)
    assert "halts.json could not be read" in KillSwitch(path, lambda: 0).words
    assert "halts.json could not be read" in KillSwitch(path, lambda: 0).words


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_damaged_file_stops_entries_at_every_start_until_the_disk_has_the_halt(tmp_path: Path):
    path = tmp_path / "halts.json"
    path.write_bytes(b'{"last": 1, "halts": [{"number"')
    for full in ("halts.json.new", "halts.damaged"):
        (tmp_path / full).symlink_to("/dev/full")
    for _ in range(2):
        switch = KillSwitch(path, lambda: 0)
        assert (bool(switch.words), switch.durable) == (True, False)
    (tmp_path / "halts.json.new").unlink()
    assert KillSwitch(path, lambda: 0).durable
    assert "could not be read" in KillSwitch(path, lambda: 0).words


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_disk_that_refuses_stops_entries_all_the_same(tmp_path: Path):
    switch = KillSwitch(tmp_path / "halts.json", lambda: 0)
    switch.merge(EMPTY)
    (tmp_path / "halts.json.new").symlink_to("/dev/full")
    switch.halt(PERSON, "stop", "bob")
    assert (switch.words, switch.durable) == ("stop", False)
    with pytest.raises(OSError, match="No space"):
        switch.clear(switch.halts.in_force)
    assert switch.words == "stop"
    (tmp_path / "halts.json.new").unlink()
    switch.keep()
    assert switch.durable
    assert KillSwitch(tmp_path / "halts.json", lambda: 0).words == "stop"


def waiting(queue: CommandQueue, *, gone: bool = False) -> Command:
    """A command in the queue."""

    async def nothing() -> None: ...

    command = Command(nothing, lambda: gone, lambda _: None, lambda _: None)
    queue.put(command)
    return command


def test_a_command_whose_caller_has_gone_is_not_carried_out():
    dropped: list[None] = []
    queue = CommandQueue(lambda: dropped.append(None))
    waiting(queue, gone=True)
    first = waiting(queue)
    waiting(queue, gone=True)
    assert queue.take() is first
    assert queue.take() is None
    assert len(dropped) == 2


def test_too_many_commands_are_refused_and_those_whose_caller_has_gone_make_room():
    queue = CommandQueue(lambda: None)
    for _ in range(MOST_COMMANDS - 1):
        waiting(queue)
    waiting(queue, gone=True)
    waiting(queue)
    with pytest.raises(TooManyCommands, match="256 commands wait for the account already"):
        waiting(queue)
    assert len(queue) == MOST_COMMANDS
