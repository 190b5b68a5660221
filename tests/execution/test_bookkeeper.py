"""What the keeper of the book remembers from one word of the venue to the next, and what it says of its positions."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from leadline.execution.adapters.deaths import MarkFile
from leadline.execution.core.book import Book, Changes, put_order
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.loop.bookkeeper import Bookkeeper
from leadline.execution.loop.ports import Store
from leadline.model.errors import Unavailable
from leadline.model.ids import NO_CONTRACT, ContractId, LegKind, RunId, StrategyId
from leadline.model.orders import Advanced, LastPrint, OrderState
from tests.execution.harness.builders import MES, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Desk, Session
from tests.execution.harness.faults import TrippedStore, Tripwire
from tests.execution.harness.stores import MemoryBooks
from tests.execution.test_halted_account import quiet_desk

NOTHING = LastPrint(-(1 << 62), 0, 0)
"""A print that cannot be: an answer with it is not believed whole."""


async def started(folder: Path, seconds: float = 100) -> Session:
    """An account whose book is read, and nothing more; one strategy trades MES."""
    session = quiet_desk(MemoryBooks(), folder).open()
    await session.until(seconds)
    # What this venue is made to say did not happen in the market, which the desk's own store would compare it with.
    session.replace_deps(lambda deps: replace(deps, store=session.store))
    return session


def keeper_of(session: Session) -> Bookkeeper:
    return session.loop._keeper


def answer(session: Session, positions: dict[ContractId, int] | None = None, *, believed: bool = True) -> Advanced:
    """The venue says that nothing happened up to the book's instant."""
    return Advanced(session.book.instant_ns, (), {} if believed else {MES: NOTHING}, positions=positions)


async def test_what_the_venue_holds_is_taken_over_at_the_first_word_after_each_reading_of_the_book(folder: Path):
    session = await started(folder)
    keeper = keeper_of(session)
    await keeper.take_in(answer(session, {MES: 1}))
    assert session.book.open_positions() == []  # it was asked before, and the book stands for itself: a halt says so
    assert session.halted
    await keeper.load()
    await keeper.take_in(answer(session, {MES: 1}))
    session.close()
    assert [(held.contract, held.quantity) for held in session.book.open_positions()] == [(MES, 1)]


async def test_a_new_keeper_takes_over_at_its_first_word_too(folder: Path):
    session = await started(folder)
    fresh = Bookkeeper(keeper_of(session).deps, lambda: session.book)
    assert not fresh.doubted
    await fresh.take_in(answer(session, {MES: 1}))
    session.close()
    assert [held.quantity for held in fresh.book.open_positions()] == [1]


async def test_a_word_that_was_not_believed_is_doubted_until_somebody_reconciles(folder: Path):
    session = await started(folder)
    keeper = keeper_of(session)
    found = [keeper.doubted]
    await keeper.take_in(answer(session, {}, believed=False))
    found.append(keeper.doubted)
    await keeper.take_in(answer(session, {}))
    session.close()
    assert [*found, keeper.doubted] == [False, True, True]


async def test_what_surprised_is_settled_by_the_next_word_that_names_positions(folder: Path):
    session = await started(folder)
    keeper = keeper_of(session)
    await keeper.take_in(answer(session, None, believed=False))
    await keeper.take_in(answer(session, None))  # a word of a venue that does not tell them settles nothing
    assert session.book.open_positions() == []
    await keeper.take_in(answer(session, {MES: 1}))
    session.close()
    assert [held.quantity for held in session.book.open_positions()] == [1]


async def test_positions_that_cannot_be_halt_and_are_compared_with_nothing(folder: Path):
    session = await started(folder)
    keeper_of(session).compare({NO_CONTRACT: 1})
    session.close()
    assert session.switch.halts.standing


async def test_the_events_of_one_answer_are_marked_by_their_first_and_last_number_and_none_by_nothing(folder: Path):
    session = quiet_desk(MemoryBooks(), folder).open()
    marks = MarkFile(folder / "marks", RunId("tape"))
    names: list[str] = []
    at = marks.at

    def listed(name: str) -> AbstractContextManager[None]:
        names.append(name)
        return at(name)

    marks.at = listed  # type: ignore[assignment]
    session.replace_deps(lambda deps: replace(deps, marks=marks))
    await session.run()
    session.close()
    batches = [name for name in names if name.startswith("events ")]
    last = session.market.last_event
    assert batches
    assert batches[0].startswith("events 1 to ")
    assert batches[-1].endswith(f" to {last} of the venue")
    assert ns(0) < session.book.instant_ns


class _Refusing(TrippedStore):
    """A store that cannot write for so many times."""

    def __init__(self, store: Store, times: int) -> None:
        super().__init__(store, Tripwire())
        self._left = times

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        if self._left:
            self._left -= 1
            raise Unavailable("the database is away", "database")
        await super().commit(book, changes, check)


async def test_a_position_without_a_stop_leaves_though_the_first_writings_of_it_failed(folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (650, 20_001), (900, 20_001))}
    desk = Desk(MemoryBooks(), folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)
    session = desk.open()
    await session.until(640)
    session.replace_deps(lambda deps: replace(deps, store=_Refusing(session.store, 2)))
    keeper, refused = keeper_of(session), 0
    for _ in range(3):
        changes = Changes()
        (stop,) = [order for order in keeper.book.live_orders() if order.leg.kind is LegKind.STOP]
        put_order(keeper.book, changes, replace(stop, state=OrderState.CANCELLED, version=stop.version + 1))
        try:
            await keeper.commit(changes)
        except Unavailable:
            refused += 1
            await keeper.load()
    session.close()
    assert refused == 2
    assert keeper.book.strategies[StrategyId("default/mes")].flatten == ExitReason.UNPROTECTED
