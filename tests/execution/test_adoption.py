"""What a venue says unexpectedly is booked, protected or closed, and halts; nothing of it ends the process."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from leadline.execution.core.book import Changes, put_order
from leadline.execution.loop import commands
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import Journal, Refused, Unavailable
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.halts import HaltSource
from leadline.model.ids import ClientOrderId, ContractId, Leg, StrategyId, client_order_id, decision_id
from leadline.model.orders import Advanced, OrderState, OrderType, Side, VenueOrder, Watch
from tests.execution.harness.builders import DAY_S, ES, MES, ROLL_S, RTH_S, bar, ns, says, strategy, tape
from tests.execution.harness.checks import CheckedVenue
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.faults import TrippedJournal, TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import PostgresBooks
from tests.execution.test_recovery import check_against_venue, one_trade, stranger


class Latecomer(TrippedVenue):
    """A venue that hears of the first order only when the test says so, long after its sender stopped listening."""

    def __init__(self, venue: MatchingVenue) -> None:
        super().__init__(venue, Tripwire())
        assert isinstance(venue, CheckedVenue)
        self._behind = venue.behind
        self.under_way: VenueOrder | None = None
        self._landed = False

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if self.under_way is None and not self._landed:
            self.under_way = order
            raise Unavailable("the answer was lost")
        return await super().submit(order)

    async def land(self) -> None:
        assert self.under_way is not None
        await self._behind.submit(self.under_way)
        self.under_way, self._landed = None, True


def differences(session: Session) -> list[str]:
    """The reasons of the halts in force, which are all differences between book and venue."""
    halts = session.switch.halts.in_force
    assert {halt.source for halt in halts} <= {HaltSource.DIFFERENCE}
    return [halt.reason for halt in halts]


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("late_s", [1000, 3700, 7200, RTH_S, ROLL_S, DAY_S + 3600])
async def test_an_order_given_up_as_dead_may_land_at_any_later_time(
    books: Books, folder: Path, late_s: int, filled: bool
):
    lands = 600 + late_s
    prints = {MES: tape((600, 20_000), (601, 20_000), (lands + 10, 20_000), (lands + 20, 20_000), (lands + 99, 20_026))}
    end = lands + 200
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=end)}, [strategy()], ends=end)
    venues: list[Latecomer] = []

    def late(deps: Deps) -> Deps:
        venues.append(Latecomer(venue_of(deps)))
        return replace_venue(deps, venues[0])

    session = desk.open(late, read_back=True)
    await session.until(lands)
    assert [state for *_, state in await desk.orders()] == ["DEAD"]
    assert differences(session) == []
    await venues[0].land()
    if filled:  # before the account hears of it
        await go_on(session)
    else:
        await session.run()
    session.close()
    [(entry, *_), *_] = await desk.rows("intent", "client_id", "leg")
    assert f"order {entry}, given up as absent, has come up at the venue" in differences(session)
    await check_against_venue(desk, session, halted=True)
    # The halt takes a working entry out of the market; a position keeps its bracket, and goes after the close.
    left = ("F1", lands + 20) if late_s == RTH_S else ("T1", lands + 99)
    legs = [(leg, second) for leg, second, *_ in await desk.fills()]
    assert legs == ([("E", lands + 10), left] if filled else [])
    assert session.market.positions() == {}
    again = await desk.run()  # and a new process finds nothing more to say
    assert differences(again) == differences(session)


@pytest.mark.parametrize("contract", ["MNQM2025", "ZZZ"])
async def test_what_somebody_else_trades_is_shown_and_halted_on_and_a_person_can_flatten_it(
    books: Books, folder: Path, contract: ContractId
):
    prints = {MES: tape((600, 20_000), (700, 20_026), (701, 20_026), (900, 20_030), (901, 20_031), (950, 20_030))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(800)], end=1000)}, [strategy()], ends=1000)
    session = desk.open(read_back=True)
    await session.start()
    session.market.submit(stranger(contract))
    await session.until(850)
    assert differences(session) == ["the venue reports order somebody-else, which this book never intended"]
    assert await desk.decisions() == [("default/mes", 800, False, "halted")]
    [position] = session.book.open_positions()
    assert (position.strategy, position.contract, position.quantity) == ("", contract, 1)
    await session.loop.flatten(StrategyId(""), "seen (bob)")
    await session.run()
    session.close()
    assert session.market.positions() == {}
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("X", 700), ("F1", 900)]
    await check_against_venue(desk, session, halted=True)


async def test_an_order_of_somebody_else_in_a_strategy_s_contract_outlasts_the_close_of_its_session(
    books: Books, folder: Path
):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (23_101, 20_001), (23_200, 20_002))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=23_395)}, [strategy()], ends=23_395)
    session = desk.open(read_back=True)
    await session.until(650)
    session.market.submit(replace(stranger(MES), type=OrderType.LIMIT, limit_price=15_000))
    await session.run()
    session.close()
    assert session.market.positions() == {}
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 23_101)]
    assert {leg: state for leg, *_, state in await desk.orders()} == {
        "E": "FILLED",
        "F1": "FILLED",
        "S1": "CANCELLED",
        "T1": "CANCELLED",
        "X": "WORKING",
    }
    assert session.book.strategies[StrategyId("default/mes")].flatten == ""
    await check_against_venue(desk, session, halted=True)


async def test_a_position_that_somebody_else_turned_is_closed_with_its_bracket(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (701, 20_001), (800, 20_050), (801, 19_900))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)
    session = desk.open(read_back=True)
    await session.until(650)
    session.market.submit(replace(stranger(MES), side=Side.SELL))
    await session.run()
    session.close()
    # Flat, with a stop and a target that would open a position: both go, and nothing fills any more.
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("X", 700)]
    assert {leg: state for leg, *_, state in await desk.orders()} == {
        "E": "FILLED",
        "X": "FILLED",
        "S1": "CANCELLED",
        "T1": "CANCELLED",
    }
    assert any("holds 0 MESM2025 behind stops for 0" in reason for reason in differences(session))
    await check_against_venue(desk, session, halted=True)


class Renames(TrippedVenue):
    """A venue that tells of one order's state in a word of its own."""

    def __init__(self, venue: MatchingVenue, change: Callable[[VenueOrder], VenueOrder]) -> None:
        super().__init__(venue, Tripwire())
        self._change = change

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        advanced = await super().advance(from_ns, to_ns, after_event, contracts, watches)
        events = tuple(replace(event, order=self._change(event.order)) for event in advanced.events)
        return replace(advanced, events=events)


@pytest.mark.parametrize("state", [OrderState.REJECTED, OrderState.EXPIRED, OrderState.CANCELLED])
async def test_a_state_that_the_book_did_not_foresee_is_followed(books: Books, folder: Path, state: OrderState):
    # The venue takes a stop out of the market by itself: the position is not protected any more, and is closed.
    def change(order: VenueOrder) -> VenueOrder:
        return replace(order, state=state) if order.leg == "S1" else order

    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (701, 20_001), (800, 20_001))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)
    session = desk.open(lambda deps: replace_venue(deps, Renames(venue_of(deps), change)))
    await session.until(650)
    await session.run()
    session.close()
    assert await desk.rows("intent", "leg, state", "leg") == [
        ("E", "FILLED"),
        ("F1", "FILLED"),
        ("S1", state.value),
        ("T1", "CANCELLED"),
    ]
    [reason] = differences(session)
    assert "behind stops for 0 and targets for 1: it is closed" in reason
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 700)]


async def test_a_state_that_this_release_has_no_word_for_halts(books: Books, folder: Path):
    def change(order: VenueOrder) -> VenueOrder:
        return replace(order, state=OrderState.UNKNOWN) if order.leg == "T1" else order

    desk = one_trade(books, folder)
    session = await desk.run(through=lambda deps: replace_venue(deps, Renames(venue_of(deps), change)))
    target = (await desk.rows("intent", "client_id", "leg"))[-1][0]
    assert f"order {target} is in a state at the venue that this release does not know" in differences(session)


async def test_a_position_keeps_its_stop_while_its_target_is_in_a_state_without_a_word(books: Books, folder: Path):
    """The close of the session comes and the target's end does not: the account is halted, and never without a stop."""

    def change(order: VenueOrder) -> VenueOrder:
        return replace(order, state=OrderState.UNKNOWN) if order.leg == "T1" else order

    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (23_101, 20_001), (23_200, 20_002))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=23_395)}, [strategy()], ends=23_395)
    session = desk.open(lambda deps: replace_venue(deps, Renames(venue_of(deps), change)))
    await session.until(23_150)
    session.close()
    assert session.book.strategies[StrategyId("default/mes")].flatten == "flat_by"
    assert session.market.positions() == {MES: 1}
    assert {leg: state for leg, *_, state in await desk.orders()} == {"E": "FILLED", "S1": "WORKING", "T1": "UNKNOWN"}
    # A process that hears a word that it knows goes on where this one waited.
    last = await desk.run()
    assert last.market.positions() == {}
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 23_200)]
    assert {leg: state for leg, *_, state in await desk.orders()}["S1"] == "CANCELLED"


async def test_an_order_that_the_venue_does_not_have_any_more_protects_nothing(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (701, 20_001), (800, 20_001))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)
    first = desk.open()
    await first.until(650)
    first.close()

    class Forgot(TrippedVenue):
        async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
            found = await super().find(client_id)
            return None if found is not None and found.leg == "S1" else found

    session = desk.open(lambda deps: replace_venue(deps, Forgot(venue_of(deps), Tripwire())))
    await session.run()
    session.close()
    reasons = differences(session)
    assert any("which is WORKING in the book, is absent at the venue" in reason for reason in reasons)
    assert any("behind stops for 0 and targets for 1" in reason for reason in reasons)
    assert session.market.positions() == {}
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 700)]


class Drifts(TrippedVenue):
    """A venue whose positions change without an event."""

    since_ns = ns(700)

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        advanced = await super().advance(from_ns, to_ns, after_event, contracts, watches)
        assert advanced.positions is not None
        drifted = {**advanced.positions, ES: 1} if advanced.instant_ns >= self.since_ns else advanced.positions
        return replace(advanced, positions=drifted)


async def test_positions_are_compared_at_every_stop(books: Books, folder: Path):
    prints = {MES: tape((500, 20_000), (600, 20_000), (800, 20_000), (900, 20_000))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(750), bar(900)], end=1000)}, [strategy()], ends=1000)
    session = await desk.run(through=lambda deps: replace_venue(deps, Drifts(venue_of(deps), Tripwire())))
    [halt] = session.switch.halts.standing
    assert halt.halt.reason == "book [] and venue [('ESM2025', 1)] hold different positions"
    assert halt.said == 1
    assert [reason for *_, reason in await desk.decisions()] == ["halted", "halted"]


class Refuses(TrippedVenue):
    """A venue that does not know an order that it is to cancel, for as long as it is told to."""

    refusing = True

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        if self.refusing:
            raise Refused(f"venue refuses: unknown order {client_id}", "venue")
        await super().cancel(client_id, reason)


async def test_a_refusal_that_makes_no_sense_halts_and_is_waited_for(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (701, 20_001), (800, 20_001))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)
    venues: list[Refuses] = []

    def refusing(deps: Deps) -> Deps:
        venues.append(Refuses(venue_of(deps), Tripwire()))
        return replace_venue(deps, venues[0])

    session = desk.open(refusing)
    await session.until(650)
    await session.loop.flatten(StrategyId(""), "a person")
    for _ in range(3):
        await session.loop.step()
        await session.loop.recover()
    assert {order.leg for order in session.market.live_orders()} == {"S1", "T1"}
    venues[0].refusing = False
    await session.run()
    session.close()
    said = {reason.partition(": ")[2].partition(" order ")[0] for reason in differences(session)}
    assert said == {"venue refuses: unknown"}
    assert session.market.positions() == {}


async def test_what_a_person_asks_for_is_durable_while_the_venue_is_away(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (701, 20_001), (800, 20_001))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], ends=900)
    first = desk.open()
    await first.until(650)
    first.close()

    class Away(TrippedVenue):
        async def advance(self, *args: object) -> Advanced:
            raise Unavailable("away")

    session = desk.open(lambda deps: replace_venue(deps, Away(venue_of(deps), Tripwire())))
    assert await session.store.acquire()
    await session.loop.load()
    with pytest.raises(Unavailable):
        await session.loop.step()
    await session.loop.load()
    await session.loop.flatten(StrategyId(""), "a person")
    wider = strategy(bracket=(20, 40))
    commands.set_strategy(session.book, StrategyId("default/mes"), "hash", orjson.dumps(wider.to_manifest()).decode())
    await session.loop.commit()
    with pytest.raises(Unavailable):
        await session.loop.step()
    session.close()

    last = await desk.run()
    assert differences(last) == []
    assert last.book.strategies[StrategyId("default/mes")].manifest == wider
    assert last.market.positions() == {}
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 700)]


@pytest.mark.parametrize("heard", [True, False])
async def test_a_cancel_that_the_venue_did_not_answer_is_the_venue_s_word_afterwards(
    books: Books, folder: Path, heard: bool
):
    """Whoever asked is told that nobody answered, and asks again where the order still works."""

    class Silent(TrippedVenue):
        async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
            if heard:
                await super().cancel(client_id, reason)
            raise Unavailable("away")

    desk = one_trade(books, folder)
    session = desk.open(lambda deps: replace_venue(deps, Silent(venue_of(deps), Tripwire())))
    await session.until(600)
    [entry] = session.book.live_orders(StrategyId("default/mes"))
    assert (entry.leg, entry.state) == ("E", OrderState.WORKING)
    with pytest.raises(Unavailable):
        await session.loop.cancel(entry, "cancelled by ann")
    assert await desk.rows("intent", "state, reason", "leg") == [("PENDING_CANCEL", "cancelled by ann")]
    session.close()

    last = desk.open()
    assert await last.store.acquire()
    await last.loop.recover()
    state = OrderState.CANCELLED if heard else OrderState.WORKING
    assert last.book.orders[entry.client_id].state is state
    if not heard:
        await last.loop.cancel(last.book.orders[entry.client_id], "cancelled by ann")
        assert last.book.orders[entry.client_id].state is OrderState.CANCELLED
    await last.run()
    last.close()
    assert differences(last) == []
    assert await desk.fills() == []


async def test_a_bar_whose_entry_left_before_the_rows_were_lost_is_not_decided_again(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = desk.open()
    await session.until(550)
    session.journal.write(
        client_order_id(decision_id(session.book.account, StrategyId("default/mes"), bar(600).bar.text()), Leg("E"))
    )
    await session.run()
    session.close()
    assert await desk.decisions() == [("default/mes", 600, False, "sent_before")]
    assert desk.sent == {}


@pytest.mark.integration
async def test_two_accounts_may_adopt_orders_of_one_name(postgres_books: PostgresBooks, folder: Path):
    desk = one_trade(postgres_books, folder)
    session = await desk.run()
    changes = Changes()
    order = next(iter(session.book.orders.values()))
    await postgres_books.pool.execute(
        "INSERT INTO intent SELECT (jsonb_populate_record(i, jsonb_build_object('account', 'default/other'))).*"
        " FROM intent i WHERE tape = $1 AND client_id = $2",
        desk.tape,
        order.client_id,
    )
    put_order(session.book, changes, replace(order, reason="changed", version=order.version + 1))
    await session.store.commit(session.book, changes)
    rows = await desk.rows("intent", "account, reason", "account")
    assert ("default/other", order.reason) in rows
    assert ("default/paper", "changed") in rows


async def go_on(session: Session) -> None:
    """Step for as long as nothing fails."""
    while not session.book.finished:
        await session.loop.step()


class FullDisk(TrippedJournal):
    """A journal whose disk takes nothing, for a number of times."""

    def __init__(self, journal: Journal, times: int) -> None:
        super().__init__(journal, Tripwire())
        self._times = times

    def write(self, client_id: ClientOrderId) -> None:
        self._times -= 1
        if self._times >= 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        super().write(client_id)


async def test_an_order_waits_for_the_disk_of_the_journal_and_is_sent_once(books: Books, folder: Path):
    desk = one_trade(books, folder)
    journals: list[FullDisk] = []

    def full(deps: Deps) -> Deps:
        journals.append(FullDisk(deps.journal, 3))
        return replace(deps, journal=journals[0])

    session = desk.open(full)
    await session.start()
    for _ in range(3):
        with pytest.raises(Unavailable, match="the disk does not take the journal") as raised:
            await go_on(session)
        assert raised.value.part == "disk"
        await session.loop.load()
    await session.run()
    session.close()
    assert not await check_against_venue(desk, session)
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 700)]
