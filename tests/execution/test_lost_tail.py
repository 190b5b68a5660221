"""A database that comes back without its tail, at every transaction of a day, while the venue and the journal go on.

The rows are those of one commit; ledger and journal are those of a later one. Whatever lies between, the account
recovers: nothing is sent twice, the book becomes the venue's, no position stays without protection (which is looked at
after every commit), and entries stop where the rows do not know an order that left.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from leadline.execution.core.book import Book, Changes
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import Store, Unavailable
from leadline.model.halts import HaltSource
from leadline.model.ids import RunId
from leadline.model.signals import Pattern
from leadline.venue.ledger import Ledger
from tests.execution.harness.builders import BUY, LONG, MES, SHORT, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedStore, Tripwire
from tests.execution.harness.stores import IN_POSTGRES, MemoryBooks, PostgresBooks
from tests.execution.test_recovery import check_against_venue, essence

LATER = (0, 1, 2, 5)
"""By how many commits the venue and the journal are ahead of the rows."""


def day(books: Books, folder: Path, name: str) -> Desk:
    """A long to its target in two fills, a refused bar, a short to its stop, and a long that is flat by the close."""
    prints = tape(
        (600, 20_000, 2, BUY),
        (601, 20_000, 2, BUY),
        (700, 20_026, 1, BUY),
        (710, 20_027, 5, BUY),
        (1200, 20_000, 1),
        (1201, 20_000, 1),
        (1300, 20_030, 1),
        (22_000, 20_000, 1),
        (22_001, 20_000, 1),
        (23_101, 20_004, 1),
        (23_200, 20_004, 2),
    )
    bars = [bar(second, *patterns) for second, patterns in SIGNALS]
    size_2 = strategy(size=2, budget=False)
    return Desk(books, folder, {MES: prints}, {"default/mes": says(bars, end=23_300)}, [size_2], ends=23_300, name=name)


SIGNALS: list[tuple[float, tuple[Pattern, ...]]] = [
    (600, (LONG,)),
    (900, (LONG, SHORT)),
    (1200, (SHORT,)),
    (22_000, (LONG,)),
]


@dataclass(frozen=True)
class Moment:
    """What was durable outside of the database when a commit was done: steps of the ledger, ids of the journal."""

    steps: int
    ids: tuple[str, ...]


class Keeping(TrippedStore):
    """A store that keeps the rows of each commit under a tape of their own, and what else was durable then."""

    def __init__(self, store: Store, keep: Callable[[int], None], copy: Callable[[int], object]) -> None:
        super().__init__(store, Tripwire())
        self._keep = keep
        self._copy = copy
        self.commits = 0

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        await super().commit(book, changes, check)
        await self._copy(self.commits)  # type: ignore[misc]
        self._keep(self.commits)
        self.commits += 1


async def undisturbed(books: Books, folder: Path) -> tuple[Desk, list[Moment]]:
    """The day as it goes, its rows kept at each commit under `tape-at-N`."""
    desk = day(books, folder, "tape")
    moments: list[Moment] = []

    def keep(_: int) -> None:
        moments.append(Moment(session.steps_written, tuple(session.journal.written)))

    def through(deps: Deps) -> Deps:
        copy = lambda number: books.copy(desk.tape, RunId(f"{desk.tape}-at-{number}"))  # noqa: E731
        return replace(deps, store=Keeping(deps.store, keep, copy))

    session = desk.open(through)
    await session.run()
    session.close()
    await check_against_venue(desk, session)
    return desk, moments


async def restored(books: Books, folder: Path, whole: Desk, rows: int, moment: Moment, name: str) -> Desk:
    """A desk with the rows of one commit, ledger and journal of another moment, and no halt of the desk before."""
    await books.clear_halts()
    desk = day(books, folder, name)
    await books.copy(RunId(f"{whole.tape}-at-{rows}"), desk.tape)
    source = Ledger.open(folder / whole.tape, RunId(whole.tape))
    target = Ledger.open(folder / desk.tape, RunId(desk.tape))
    for step, _ in zip(source.steps(), range(moment.steps), strict=False):
        target.append(step)
    source.close()
    target.close()
    (folder / f"sent-{desk.tape}.journal").write_text("".join(f"{client_id}\n" for client_id in moment.ids))
    desk.sent.update(dict.fromkeys(moment.ids, 1))
    return desk


async def left_unknown(desk: Desk, ids: tuple[str, ...]) -> set[str]:
    """Ids of the journal that the rows know nothing of, or do not know to have left."""
    rows = await desk.rows("intent", "client_id, state", "client_id")
    return set(ids) - {client_id for client_id, state in rows if state not in {"PENDING", "EXPIRED_LOCAL"}}


async def test_rows_that_lost_their_tail_recover_at_every_commit_of_a_day(books: Books, folder: Path):
    whole, moments = await undisturbed(books, folder)
    expected = essence(await whole.lines())
    assert [leg for leg, *_ in await whole.fills()] == ["E", "T1", "T1", "E", "S1", "E", "F1"]
    points = sorted({(n, min(n + later, len(moments) - 1)) for n in range(len(moments)) for later in LATER})
    assert len(points) >= 84
    halted = 0
    for rows, at in points:
        desk = await restored(books, folder, whole, rows, moments[at], f"{rows}-and-{at}")
        try:
            lost = await left_unknown(desk, moments[at].ids)
            session = await desk.run()
            halts = session.switch.halts.in_force
            assert bool(halts) == bool(lost)
            assert {halt.source for halt in halts} <= {HaltSource.DIFFERENCE}
            given_up = await check_against_venue(desk, session, halted=bool(lost))
            assert session.market.positions() == {}
            if rows == at and not given_up:
                assert essence(await desk.lines()) == expected
            again = await desk.run()
            assert again.market.positions() == {}
            halted += bool(lost)
        except BaseException as error:
            error.add_note(f"rows of commit {rows} of {len(moments)}, venue and journal of commit {at}")
            raise
    assert halted > 10


async def test_an_entry_that_is_in_the_journal_alone_is_looked_for_and_never_sent_again(books: Books, folder: Path):
    whole, moments = await undisturbed(books, folder)
    first = next(n for n, moment in enumerate(moments) if moment.ids)
    for rows in range(first - 1):  # the commit before it says SENDING: these rows know
        # The id was on disk, and the process died before the byte: the venue has nothing.
        moment = Moment(moments[rows].steps, moments[first].ids)
        desk = await restored(books, folder, whole, rows, moment, f"journal-{rows}")
        session = await desk.run()
        assert "the database has lost its tail" in session.halted
        assert await check_against_venue(desk, session, halted=True) <= set(moment.ids)
        assert desk.sent == dict.fromkeys(moment.ids, 1)


async def test_a_process_that_lives_while_its_database_forgets_reads_it_again(books: MemoryBooks, folder: Path):
    desk = day(books, folder, "tape")
    session = desk.open()
    await session.until(599)
    kept = books.as_they_are()
    await session.until(705)
    assert len(await desk.fills()) == 2
    books.put_back(kept)
    with pytest.raises(Unavailable, match="not as this account has left it"):
        await session.store.confirm()
    with pytest.raises(Unavailable, match="not as this account has left it"):
        await session.loop.commit()
    await session.run()
    session.close()
    assert "the database has lost its tail" in session.halted
    assert await check_against_venue(desk, session, halted=True) == frozenset()
    assert [leg for leg, *_ in await desk.fills()] == ["E", "T1", "T1"]
    assert sorted(number for (number,) in await desk.rows("order_event", "event", "event")) == list(
        range(1, session.book.last_event + 1)
    )


@IN_POSTGRES
async def test_rows_that_somebody_else_has_written_are_read_before_anything_is_written(books: Books, folder: Path):
    desk = day(books, folder, "tape")
    session = desk.open()
    await session.until(650)
    await session.loop.commit()
    await session.store.confirm()
    await books.move(desk.tape, 1)
    with pytest.raises(Unavailable, match="not as this account has left it"):
        await session.store.confirm()
    with pytest.raises(Unavailable, match="not as this account has left it"):
        await session.loop.commit()
    await session.loop.load()
    await session.loop.commit()
    session.close()


@IN_POSTGRES
async def test_a_commit_of_which_nobody_has_heard_is_waited_for_and_not_written_over(
    books: PostgresBooks, folder: Path
):
    desk = day(books, folder, "tape")
    session = desk.open()
    await session.until(650)
    async with books.pool.acquire() as connection:
        late = connection.transaction()
        await late.start()
        await connection.execute("UPDATE account_state SET last_event = last_event WHERE tape = $1", desk.tape)
        committing = asyncio.create_task(session.loop.commit())
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'"
        while not await books.pool.fetchval(waits):  # noqa: ASYNC110 - the database is the one that knows
            await asyncio.sleep(0.01)
        await late.commit()
    with pytest.raises(Unavailable, match="not as this account has left it"):
        await committing
    session.close()
