"""What the loop asks of its ports, call by call: each order is written before it leaves, and leaves once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from leadline.execution.core.account_settings import set_account
from leadline.execution.core.book import Book, Changes
from leadline.execution.loop.ports import Refused, Store, Unavailable
from leadline.model.ids import ContractId, LegKind, StrategyId
from leadline.model.orders import Advanced, OrderState, VenueOrder, Watch
from leadline.risk.view import DecisionInputs, RiskDecision
from tests.execution.harness.builders import DAY, ES, MES, NQ, ROLL_S, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, DirectRisk, Session, Starved
from tests.execution.harness.faults import TrippedStore, TrippedVenue, Tripwire, tripped
from tests.execution.harness.ports import replace_venue, venue_of

GC = ContractId("GCQ2025")
RECOVERY = [
    "store.halts",
    "store.load",
    "venue.advance",
    "store.commit ",
    "venue.working",
    "venue.positions",
    "store.sent",
]
NAMED = ["store.commit ", "venue.advance", "store.commit "]
"""The strategy's name, and the way to the instant of its first bar."""
ENTRY = [
    "risk.decide",
    "store.commit decision PENDING",
    "store.commit SENDING",
    "store.confirm",
    "journal.write",
    "venue.submit E",
    "store.commit WORKING",
]
FILLED = ["venue.advance", "store.recall", "store.commit FILLED WORKING WORKING fill"]
TARGET = ["venue.advance", "store.recall", "store.commit CANCELLED FILLED fill"]
CLOSING = [
    "store.commit PENDING_CANCEL",
    "venue.cancel",
    "venue.advance",
    "store.commit CANCELLED",
    "store.commit PENDING_CANCEL",
    "venue.cancel",
    "venue.advance",
    "store.commit CANCELLED",
    "store.commit PENDING",
    "store.commit SENDING",
    "store.confirm",
    "journal.write",
    "venue.submit F1",
    "store.commit WORKING",
    "venue.advance",
    "store.commit ",
]


def one_trade(books: Books, folder: Path) -> Desk:
    """One long to its target."""
    prints = {MES: tape((600, 20_000), (601, 20_000), (650, 20_001), (700, 20_026))}
    return Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)


async def test_a_trade_is_these_calls_and_no_others(books: Books, folder: Path):
    wire = Tripwire()
    await one_trade(books, folder).run(through=lambda deps: tripped(deps, wire))
    way, end = ["venue.advance", "store.commit "], ["venue.advance", "store.commit ", "store.commit "]
    assert wire.calls == [*RECOVERY, *NAMED, *way, *ENTRY, *FILLED, *TARGET, *end]


async def test_what_leaves_the_market_is_cancelled_and_closed_each_with_its_row_first(books: Books, folder: Path):
    wire = Tripwire()
    session = one_trade(books, folder).open(lambda deps: tripped(deps, wire))
    await session.until(640)
    wire.calls.clear()
    await session.loop.flatten(StrategyId(""), "seen (bob)")
    assert wire.calls == ["store.commit "]  # it is durable; the next step carries it out
    wire.calls.clear()
    await session.loop.carry_out()
    assert wire.calls == CLOSING
    wire.calls.clear()
    await session.loop.carry_out()
    assert wire.calls == []  # it is done once
    session.close()


@pytest.mark.parametrize("call", ["store.commit SENDING", "store.confirm"])
@pytest.mark.parametrize("after", [False, True])
async def test_an_order_that_is_known_not_to_have_left_is_handed_in_when_the_database_answers_again(
    books: Books, folder: Path, call: str, after: bool
):
    desk = one_trade(books, folder)
    at = [*RECOVERY, *NAMED, "venue.advance", "store.commit ", *ENTRY].index(call)
    wire = Tripwire(at, after=after, error=Unavailable)
    await desk.run(through=lambda deps: tripped(deps, wire))
    assert wire.tripped
    assert set(desk.sent.values()) == {1}
    assert [leg for leg, *_ in await desk.fills()] == ["E", "T1"]
    assert "venue.find" not in wire.calls  # nobody has to ask whether it has left


async def go_on(session: Session) -> None:
    """Step for as long as nothing fails."""
    while not session.book.finished:
        await session.loop.step()


class HaltedMeanwhile(TrippedStore):
    """A store at whose renewal the account is halted, and which does not take, once, that the entry has expired."""

    def __init__(self, store: Store, halt: Callable[[], object]) -> None:
        super().__init__(store, Tripwire())
        self._halt = halt
        self._refuses = True

    async def confirm(self) -> None:
        await super().confirm()
        self._halt()

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        expired = any(order.state is OrderState.EXPIRED_LOCAL for order in changes.orders.values())
        if expired and self._refuses:
            self._refuses = False
            raise Unavailable("no answer")
        await super().commit(book, changes, check)


async def test_an_entry_that_a_halt_kept_back_does_not_leave_when_the_halt_is_gone(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = desk.open(lambda deps: replace(deps, store=HaltedMeanwhile(deps.store, lambda: session.halt("news"))))
    assert session.loop.phase == "starting"
    await session.start()
    with pytest.raises(Unavailable):
        await go_on(session)
    assert session.halted == "news"
    session.switch.clear(session.switch.halts.in_force)
    await session.run()
    session.close()
    assert desk.sent == {}
    assert [(state, reason) for state, reason in await desk.rows("intent", "state, reason", "leg")] == [
        ("DEAD", "absent at the venue")
    ]


class RefusesToClose(TrippedVenue):
    """A venue that rejects what would close a position."""

    refused = 0

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if order.leg.kind is LegKind.FLATTEN:
            self.refused += 1
            return replace(order, state=OrderState.REJECTED, reason="no")
        return await super().submit(order)


async def test_a_close_that_is_refused_is_tried_twice_in_a_step_at_the_most(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(640)
    venue = RefusesToClose(venue_of(session.loop._deps), Tripwire())
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    await session.loop.flatten(StrategyId(""), "seen (bob)")
    await session.loop.carry_out()
    assert venue.refused == 1  # once the bracket was gone
    await session.loop.step()
    assert venue.refused == 3
    session.close()


async def test_a_close_that_is_refused_at_a_start_is_not_tried_again_before_the_tape_goes_on(
    books: Books, folder: Path
):
    desk = one_trade(books, folder)
    first = desk.open()
    await first.until(640)
    await first.loop.flatten(StrategyId(""), "seen (bob)")
    first.close()
    session = desk.open()
    venue = RefusesToClose(venue_of(session.loop._deps), Tripwire())
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    await session.start()
    assert venue.refused == 1  # once the bracket was gone
    await session.loop.step()
    assert (session.loop.phase, venue.refused) == ("waiting_for_signals", 1)
    session.close()


# --- the book, and what was committed of it ---


async def test_what_is_durable_is_told_once_and_in_order(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = await desk.run()
    told = [(event.event, event.kind, event.key, event.version) for event in session.events]
    assert told == await desk.rows("order_event", "event, kind, key, version", "event")
    assert [number for number, *_ in told] == list(range(1, len(told) + 1))


class Halting(DirectRisk):
    """Risk, at whose word the account is halted."""

    def __init__(self, halt: Callable[[], object]) -> None:
        self._halt = halt

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        answer = await super().decide(inputs)
        self._halt()
        return answer


async def test_an_entry_that_the_locked_rows_refuse_leaves_no_trace_in_the_book(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = desk.open(
        lambda deps: replace(deps, risk=Halting(lambda: session.halt("news"))),
        read_back=True,  # the book in memory is what was written
    )
    await session.run()
    session.close()
    assert await desk.decisions() == [("default/mes", 600, False, "halted")]
    assert (session.book.trades, session.book.orders, session.book.entry_instants) == (0, {}, [])
    assert desk.sent == {}


async def test_a_difference_is_said_once_for_as_long_as_it_stays_the_same(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    keeper = session.loop._keeper
    for venue in ({ES: 1}, {ES: 1}, {}, {ES: 1}):
        keeper.compare(venue)
    session.close()
    [standing] = session.switch.halts.standing
    assert standing.halt.reason == "book [] and venue [('ESM2025', 1)] hold different positions"
    assert standing.said == 2  # it had gone in between


class SaysNothingOfPositions(TrippedVenue):
    """A venue that tells what it holds when it is asked, and not at every stop."""

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        return replace(await super().advance(from_ns, to_ns, after_event, contracts, watches), positions=None)


async def test_a_venue_need_not_tell_its_positions_at_every_stop(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = await desk.run(
        through=lambda deps: replace_venue(deps, SaysNothingOfPositions(venue_of(deps), Tripwire()))
    )
    assert session.halted == ""
    assert [leg for leg, *_ in await desk.fills()] == ["E", "T1"]


async def test_a_closed_position_leaves_no_reason_behind(books: Books, folder: Path):
    """A reason that is fulfilled is dropped with the fill that fulfils it, not at the next command."""
    session = one_trade(books, folder).open(read_back=True)
    await session.until(640)
    await session.loop.flatten(StrategyId("default/mes"), "seen (bob)")
    await session.until(645)
    assert [order.leg for order in session.book.live_orders()] == ["F1"]
    await session.until(660)
    assert not session.book.open_positions()
    assert session.book.strategies[StrategyId("default/mes")].flatten == ""
    session.close()


class Asked(TrippedVenue):
    """A venue that remembers which tapes it was asked to let run."""

    contracts: Sequence[ContractId] = ()

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        self.contracts = contracts
        return await super().advance(from_ns, to_ns, after_event, contracts, watches)


async def test_only_the_tapes_run_on_whose_prints_can_move_the_account(books: Books, folder: Path):
    desk = one_trade(books, folder)
    desk.prints = {MES: desk.prints[MES], NQ: tape((600, 70_000)), GC: tape((600, 30_000))}
    desk.strategies = [strategy(), strategy("nq", "NQ")]
    desk.signals = {name: says([], end=900, strategy=StrategyId(name)) for name in ("default/mes", "default/nq")}
    session = desk.open()
    venue = Asked(venue_of(session.loop._deps), Tripwire())
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    assert await session.store.acquire()
    await session.loop.recover()
    assert list(venue.contracts) == sorted(desk.prints)  # nobody is there yet: all of them
    await session.until(100)
    assert list(venue.contracts) == [MES, NQ]
    await session.drain("default/nq")
    await session.until(200)
    assert list(venue.contracts) == [MES]
    await session.drain("default/mes", "two")
    await session.loop._keeper.catch_up()
    assert list(venue.contracts) == [MES, NQ]  # all are forgotten: those that they have had
    session.close()


async def test_a_fill_at_the_instant_of_the_roll_is_booked_on_the_new_day(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (ROLL_S, 20_010), (ROLL_S + 10, 20_010))}
    end = ROLL_S + 20
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=end)}, [strategy()], ends=end)
    session = await desk.run(read_back=True)
    # Flat by the close found no print before the next day's first.
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", ROLL_S)]
    assert session.book.trading_day == DAY + timedelta(days=1)
    assert session.book.positions[StrategyId("default/mes"), MES].quantity == 0
    assert not session.halted


async def test_a_stop_that_a_person_cancels_has_its_position_closed_before_another_print(books: Books, folder: Path):
    wire = Tripwire()
    session = one_trade(books, folder).open(lambda deps: tripped(deps, wire))
    await session.until(640)
    [stop] = [order for order in session.book.live_orders() if order.leg == "S1"]
    await session.loop.cancel(stop, "seen (bob)")
    assert "behind stops for 0 and targets for 1: it is closed" in session.halted
    wire.calls.clear()
    await session.loop.carry_out()
    assert wire.calls.index("venue.submit F1") < wire.calls.index("venue.advance", wire.calls.index("journal.write"))
    session.close()


class HaltedWhileWritten(TrippedStore):
    """A store in which the account is halted while the row of an entry is written."""

    def __init__(self, store: Store, halt: Callable[[], object]) -> None:
        super().__init__(store, Tripwire())
        self._halt = halt

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        await super().commit(book, changes, check)
        if changes.decisions:
            self._halt()


async def test_an_entry_expires_here_when_the_halt_came_before_it_was_sent(books: Books, folder: Path):
    desk, wire = one_trade(books, folder), Tripwire()
    session = desk.open(
        lambda deps: replace(
            deps, store=HaltedWhileWritten(TrippedStore(deps.store, wire), lambda: session.halt("news"))
        )
    )
    await session.run()
    session.close()
    assert await desk.rows("intent", "state, reason", "leg") == [("EXPIRED_LOCAL", "news")]
    assert desk.sent == {}
    assert "store.commit SENDING" not in wire.calls  # no row ever says that it may have left


@pytest.mark.parametrize("error", [Unavailable, Refused])
async def test_an_order_whose_answer_was_not_heard_is_unknown_before_anything_else_happens(
    books: Books, folder: Path, error: type[Exception]
):
    desk = one_trade(books, folder)
    at = [*RECOVERY, *NAMED, "venue.advance", "store.commit ", *ENTRY].index("venue.submit E")
    wire = Tripwire(at, error=error)
    session = desk.open(lambda deps: tripped(deps, wire))
    await session.start()
    with pytest.raises(error):
        await go_on(session)
    session.close()
    assert [state for *_, state in await desk.orders()] == ["UNKNOWN"]
    assert wire.calls[at + 1 :] == ["store.commit UNKNOWN"]


class AnswersInAWordOfItsOwn(TrippedVenue):
    """A venue whose answer to an order is a state that this release has no word for; its events are as ever."""

    async def submit(self, order: VenueOrder) -> VenueOrder:
        return replace(await super().submit(order), state=OrderState.UNKNOWN)


async def test_an_answer_that_the_book_did_not_foresee_halts_before_any_event_tells_of_it(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = await desk.run(
        through=lambda deps: replace_venue(deps, AnswersInAWordOfItsOwn(venue_of(deps), Tripwire()))
    )
    [entry] = desk.sent
    assert session.halted == f"order {entry} is in a state at the venue that this release does not know"
    assert [leg for leg, *_ in await desk.fills()] == ["E", "T1"]


async def test_a_start_writes_nothing_of_orders_that_the_venue_has_as_the_book_has_them(books: Books, folder: Path):
    desk = one_trade(books, folder)
    first = desk.open()
    await first.until(640)
    first.close()
    wire = Tripwire()
    session = desk.open(lambda deps: tripped(deps, wire))
    await session.start()
    session.close()
    looked_for = ["venue.find"] * 2  # the stop and the target
    asked = ["store.halts", "store.load", "store.recall", "venue.advance", "store.commit "]
    assert wire.calls == [*asked, *looked_for, "venue.working", "venue.positions", "store.sent"]


# --- commands ---


async def test_an_account_that_has_written_nothing_takes_commands_before_its_venue_answers(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = desk.open(read_back=True)
    assert await session.store.acquire()
    await session.loop.load()
    assert session.book.trading_day == DAY
    await session.loop.flatten(StrategyId(""), "seen (bob)")
    set_account(session.book, account(limits={"dayLoss": "1"}))
    await session.loop.commit()
    session.close()
    stored = await desk.store().load()
    assert stored is not None
    assert stored.manifest == account(limits={"dayLoss": "1"})


@pytest.mark.parametrize("written", [False, True])
async def test_a_command_that_failed_leaves_nothing_behind(books: Books, folder: Path, written: bool):
    session = one_trade(books, folder).open()
    assert await session.store.acquire()
    await session.loop.load()
    if written:
        await session.loop.commit()
    session.book.flatten = "half of a command"
    await session.loop.load_again()
    assert session.book.flatten == ""
    assert session.book.trading_day == DAY
    session.close()


async def test_a_limit_that_a_command_tightens_holds_before_the_next_print(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(640)
    assert session.book.block == ""
    set_account(session.book, account(limits={"dayLoss": "1"}))  # the entry's commission was more
    await session.loop.commit()
    assert (session.book.block, session.book.flatten) == ("DAY_LOSS", "day_loss")
    session.close()


async def test_who_is_flat_has_left_at_once(books: Books, folder: Path):
    session = one_trade(books, folder).open(read_back=True)
    await session.until(500)
    await session.loop.flatten(StrategyId("default/mes"), "seen (bob)")
    await session.loop.flatten(StrategyId(""), "seen (bob)")
    assert (session.book.flatten, session.book.strategies[StrategyId("default/mes")].flatten) == ("", "")
    session.close()


@pytest.mark.parametrize("until", [900.000000002, 901, 10**9])
async def test_behind_the_end_of_the_tape_the_loop_waits_for_the_end_of_what_its_strategy_says(
    books: Books, folder: Path, until: float
):
    """A strategy may promise silence for longer than there is a tape: nothing is left to go on to meanwhile."""
    said, end = says([bar(600)], end=900)
    promise = replace(end, final=False, progress_ns=ns(0) + round(until * 10**9))
    signals = {"default/mes": [said, promise]}
    found = replace(one_trade(books, folder), signals=signals)
    session, steps = found.open(), iter(range(40))
    try:
        with pytest.raises(Starved):
            await session.run(until=lambda _: next(steps, None) is None)
        assert (session.book.instant_ns, session.book.finished) == (ns(900), False)
        assert session.loop.phase == "waiting_for_signals"
        session.queues[StrategyId("default/mes")].push(replace(end, progress_ns=promise.progress_ns))
        await session.loop.step()
        assert session.book.finished
    finally:
        session.close()
