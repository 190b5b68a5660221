"""Halts between memory, file, rows and venue: told once, read by every process, cleared by who has seen them.

`test_halts_interleaved.py` holds the same to any order of events.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.core.book import Book, Changes
from leadline.execution.loop.account_loop import AccountLoop
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import HaltStands, Unavailable
from leadline.execution.venues.both_ports import BothPorts
from leadline.model.halts import FIELD_REASON, LONGEST_REASON, Halt, HaltSource
from leadline.model.ids import ContractId, RunId
from leadline.model.manifest.venues import Capability
from tests.execution.harness.builders import DAY, MES, account, ns
from tests.execution.harness.stores import MemoryBooks
from tests.execution.test_halts_interleaved import Nobody, Rows, Store, Venue

PERSON, FIELD, DIFFERENCE, LIMIT = HaltSource.PERSON, HaltSource.FIELD, HaltSource.DIFFERENCE, HaltSource.LIMIT
ON, OFF = account(halt=True), account()


class Counted(Rows):
    """Rows that keep the clearings and the events as they were written, and say how often something was."""

    def __init__(self) -> None:
        books = MemoryBooks()
        super().__init__(
            books.store(RunId("tape"), OFF, (MES,), trade_from=DAY, holder="execution-0"), books, RunId("tape")
        )
        self._kept = books.database.halts
        self.commits = 0
        self.cleared: list[tuple[int, str, str, int]] = []
        self.told: list[dict[str, Any]] = []

    async def write(self, book: Book, changes: Changes) -> None:
        await super().write(book, changes)
        self.commits += 1
        self.cleared += [(each.halt.number, each.by, each.reason, each.at_ns) for each in changes.cleared]
        self.told += [event.body for event in changes.events]

    @property
    def in_force(self) -> list[int]:
        """Numbers of the halts whose rows are open."""
        return [number for number, stored in self._kept.get(OFF.full_name, {}).items() if stored.cleared is None]

    async def halt_elsewhere(self, halt: Halt) -> None:
        """A halt of a process that nobody here knows of."""
        book = await self.load()
        assert book is not None
        await super().write(book, Changes(halts=[halt]))


class Asked(Venue):
    """A venue that counts how often it is asked for its positions, and what comes in meanwhile."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile
        self.times = 0

    async def positions(self) -> dict[ContractId, int]:
        self.times += 1
        self._meanwhile()
        return await super().positions()


class Process:
    """One process of the account, over rows and a file that outlive it. `now` is wall time in whole microseconds."""

    def __init__(self, folder: Path, rows: Counted | None = None) -> None:
        self.rows = rows or Counted()
        self.now = 0
        self.meanwhile: list[Callable[[], object]] = []
        self.venue = Asked(self._happens)
        self.file = folder / "halts.json"
        self.switch = KillSwitch(self.file, self._clock)
        nobody = Nobody()
        both = BothPorts(self.venue, (MES,))
        deps = Deps(
            store=Store(self.rows, self._happens),
            time=both,
            venue=both,
            risk=nobody,
            journal=nobody,
            queues={},
            pause=_nothing,
            idle=_nothing,
            switch=self.switch,
            committed=lambda _: None,
            capabilities=frozenset(Capability),
        )
        name, balance = OFF.full_name, OFF.spec.starting_balance
        self.loop = AccountLoop(deps, lambda: Book(RunId("tape"), name, OFF, (MES,), DAY, ns(0), balance))
        self.halts = self.loop.halts

    def _clock(self) -> int:
        self.now += 1000
        return self.now

    def _happens(self) -> None:
        """The next thing that comes in while something else is waited for."""
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def halt(self, source: HaltSource = PERSON, reason: str = "news", by: str = "ann") -> Halt:
        return self.switch.halt(source, reason, by)

    @property
    def numbers(self) -> list[int]:
        return [halt.number for halt in self.switch.halts.in_force]

    @property
    def seen(self) -> dict[int, int]:
        """What somebody who looks now sees."""
        return self.switch.halts.seen(self.numbers)

    async def resume(self, seen: dict[int, int] | None = None, by: str = "bob", reason: str = "go on") -> list[int]:
        cleared = await self.halts.resume(self.seen if seen is None else seen, by, reason, 77_000)
        return [halt.number for halt in cleared]


async def _nothing(phase: str = "") -> None: ...


@pytest.fixture
async def process(tmp_path: Path) -> Process:
    """A process that has read its rows, of which there are none."""
    found = Process(tmp_path)
    await found.rows.begin()
    await found.loop.load()
    found.rows.commits = 0
    return found


def disk_refuses(process: Process, refuses: bool = True) -> None:
    """Whether the file of the halts can be written again."""
    fresh = process.file.with_name(process.file.name + ".new")
    fresh.mkdir() if refuses else fresh.rmdir()


# --- read and tell ---


async def test_a_halt_gets_its_row_and_its_line_in_the_audit_once(process: Process):
    process.halt()
    process.halt(LIMIT, "too many", "execution")
    await process.halts.tell()
    await process.halts.tell()
    assert (process.rows.commits, process.rows.in_force) == (1, [1, 2])
    facts = {"number": 1, "source": "PERSON", "reason": "news", "by": "ann"}
    assert process.rows.told[0] == {"halted": True, **facts}
    assert [event["number"] for event in process.rows.told] == [1, 2]


async def test_what_the_disk_refused_is_written_again_when_a_halt_is_told(process: Process):
    disk_refuses(process)
    process.halt()
    assert (process.switch.durable, process.file.exists()) == (False, False)
    disk_refuses(process, False)
    await process.halts.tell()
    assert process.switch.durable
    assert [halt.reason for halt in KillSwitch(process.file, lambda: 0).halts.in_force] == ["news"]


async def test_the_row_of_what_was_replaced_is_closed_also_when_its_successor_is_gone(process: Process):
    process.halt()
    await process.halts.tell()
    again = process.halt()
    process.switch.clear([again])
    await process.halts.tell()
    assert process.rows.in_force == []
    assert [(number, by, why) for number, by, why, _ in process.rows.cleared] == [(1, "ann", "said again")]


async def test_what_was_replaced_while_its_row_was_written_is_closed_by_execution(process: Process):
    process.halt()
    process.meanwhile = [process.halt]  # before the commit ends: another number takes the place
    await process.halts.tell()
    assert process.rows.in_force == [1]
    await process.halts.tell()
    assert process.rows.in_force == [2]
    assert [(number, by, why) for number, by, why, _ in process.rows.cleared] == [(1, "execution", "replaced")]
    assert process.numbers == [2]


async def test_a_process_reads_what_stands_in_rows_and_file(tmp_path: Path, process: Process):
    process.halt()
    await process.halts.tell()
    process.file.unlink()
    process.switch.halts = process.switch.halts.without(process.switch.halts.in_force)
    process.halt(LIMIT, "too many", "execution")

    after = Process(tmp_path, process.rows)
    assert [halt.reason for halt in after.switch.halts.in_force] == ["too many"]
    await after.halts.read()
    assert [halt.reason for halt in after.switch.halts.in_force] == ["news", "too many"]


async def test_a_row_that_was_cleared_right_before_a_crash_does_not_open_the_account(tmp_path: Path, process: Process):
    process.halt()
    await process.halts.tell()
    kept = process.file.read_bytes()
    assert await process.resume() == [1]
    process.file.write_bytes(kept)  # as it was when the process died behind the commit

    after = Process(tmp_path, process.rows)
    await after.loop.load()
    assert (after.numbers, after.rows.in_force) == ([2], [2])


# --- resume ---


async def test_who_has_seen_them_clears_them_in_rows_file_and_memory(process: Process):
    process.halt()
    process.halt(LIMIT, "too many", "execution")
    assert await process.resume() == [1, 2]
    assert (process.numbers, process.rows.in_force) == ([], [])
    assert process.rows.cleared == [(1, "bob", "go on", 77_000), (2, "bob", "go on", 77_000)]
    assert KillSwitch(process.file, lambda: 0).halts.in_force == ()
    facts = {"number": 1, "source": "PERSON", "reason": "news", "by": "ann"}
    assert {"halted": False, **facts, "cleared_by": "bob", "clear_reason": "go on"} in process.rows.told
    await process.rows.check()


async def test_who_clears_and_why_are_one_line_of_bounded_length(process: Process):
    process.halt()
    await process.resume(by="bob\nor\x1bso", reason="x" * (LONGEST_REASON + 1))
    [(_, by, reason, _)] = process.rows.cleared
    assert (by, reason) == ("bob or so", "x" * (LONGEST_REASON - 1) + "…")


async def test_what_nobody_has_seen_stays_and_nothing_is_written(process: Process):
    process.halt()
    await process.halts.tell()
    assert await process.resume({}) == []
    assert await process.resume({9: 1}) == []
    assert (process.numbers, process.rows.in_force, process.rows.commits) == ([1], [1], 1)


async def test_only_what_was_seen_is_cleared(process: Process):
    process.halt()
    seen = process.seen
    process.halt(reason="more")
    assert await process.resume(seen) == [1]
    assert (process.numbers, process.rows.in_force) == ([2], [2])


async def test_a_manifest_that_says_halt_keeps_its_own_halt_and_no_other(process: Process):
    process.loop.book.manifest = ON
    process.halt()
    field = process.halt(FIELD, FIELD_REASON, "operator")
    with pytest.raises(HaltStands, match="still says `halt: true`: take it back there"):
        await process.resume()
    assert process.numbers == [1, 2]
    assert await process.resume({1: 1}) == [1]
    process.loop.book.manifest = OFF
    assert await process.resume() == [field.number]


async def test_a_difference_stands_until_book_and_venue_agree(process: Process):
    process.venue.differs = True
    process.halt()
    process.halt(DIFFERENCE, "book and venue differ", "execution")
    with pytest.raises(HaltStands, match=r"hold different positions.*: settle it first$"):
        await process.resume()
    assert (process.numbers, process.rows.in_force) == ([1, 2], [1, 2])
    process.venue.differs = False
    assert await process.resume() == [1, 2]


async def test_the_venue_is_asked_only_about_a_difference(process: Process):
    process.venue.differs = True
    process.halt()
    process.halt(LIMIT, "too many", "execution")
    assert await process.resume() == [1, 2]
    assert process.venue.times == 0


async def test_what_is_said_again_while_the_venue_is_asked_is_not_cleared(process: Process):
    process.halt(LIMIT, "too many", "execution")
    process.halt(DIFFERENCE, "book and venue differ", "execution")
    await process.halts.tell()
    process.meanwhile = [lambda: None] * 2 + [lambda: process.halt(LIMIT, "too many", "execution")]
    assert await process.resume() == [2]
    assert process.venue.times == 1
    assert (process.numbers, process.rows.in_force) == ([1], [1])


# --- clear ---


async def test_what_is_said_again_while_its_row_is_closed_stands_on_under_another_number(process: Process):
    process.halt(LIMIT, "too many", "execution")
    process.halt()
    await process.halts.tell()
    process.meanwhile = [lambda: process.halt(LIMIT, "too many", "execution")]
    assert await process.resume() == [2]
    assert [(halt.number, halt.reason) for halt in process.switch.halts.in_force] == [(3, "too many")]
    assert process.rows.in_force == []
    await process.halts.tell()
    assert process.rows.in_force == [3]
    assert KillSwitch(process.file, lambda: 0).halts.in_force == process.switch.halts.in_force


async def test_a_disk_that_does_not_take_it_keeps_the_account_halted_and_the_caller_is_told(process: Process):
    process.halt()
    await process.halts.tell()
    disk_refuses(process)
    with pytest.raises(Unavailable, match="the disk does not take what was cleared") as refused:
        await process.resume()
    assert refused.value.part == "disk"
    assert (process.numbers, process.rows.in_force) == ([1], [])
    disk_refuses(process, False)
    await process.halts.read()
    assert process.numbers == [2]


async def test_a_halt_of_another_process_is_read_when_something_is_cleared(process: Process):
    process.halt()
    await process.halts.tell()
    await process.rows.halt_elsewhere(Halt(2, PERSON, "elsewhere", "cid", 0))
    assert await process.resume() == [1]
    assert process.numbers == [2]


# --- the manifest's halt ---


async def test_a_manifest_that_says_halt_halts_once(process: Process):
    process.loop.book.manifest = ON
    await process.halts.follow_field({}, "ann", "ann", 1000)
    [halt] = process.switch.halts.in_force
    assert (halt.source, halt.reason, halt.by) == (FIELD, FIELD_REASON, "ann")
    seen = process.seen
    await process.halts.follow_field(seen, "bob", "bob", 2000)
    assert (process.switch.halts.in_force, process.seen) == ((halt,), seen)


async def test_a_manifest_that_no_longer_says_halt_clears_by_the_name_of_who_wrote_it(process: Process):
    process.halt(FIELD, FIELD_REASON, "operator")
    await process.halts.tell()
    await process.halts.follow_field(process.seen, "operator", "", 1000)
    assert process.numbers == [1]
    await process.halts.follow_field(process.seen, "ann", "ann", 2000)
    assert process.numbers == []
    assert process.rows.cleared == [(1, "ann", "the account's manifest no longer says halt", 2000)]


async def test_a_manifest_without_a_halt_does_not_halt(process: Process):
    await process.halts.follow_field({}, "ann", "", 1000)
    await process.halts.follow_field({}, "ann", "ann", 1000)
    assert (process.numbers, process.rows.commits) == ([], 0)
