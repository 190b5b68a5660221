"""What a strategy wants of what it holds and has working: to leave, to take entries back, to move its exits."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import worst_case
from leadline.execution.core.adjustments import adjustment, more_at_risk
from leadline.execution.loop.ports import Refused, Unavailable
from leadline.model.halts import HaltSource
from leadline.model.ids import ClientOrderId, DecisionId, StrategyId
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.model.manifest.venues import Capability
from leadline.model.market.instruments import instrument
from leadline.model.orders import (
    Bracket,
    LastPrint,
    OrderState,
    OrderType,
    Replacement,
    Side,
    Trail,
    Trailing,
    VenueOrder,
)
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import MES, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import IN_BOTH
from tests.own_markets import BITCOIN, file_of

NAME = StrategyId("default/mes")
AGAIN = DecisionId("again")
NOW: Any = {"seen": MES, "halt": "", "attaches": True}
LONG = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_price=19_980, target_price=20_040))
LIMIT = replace(LONG, entry=EntryTerms(OrderType.LIMIT, 19_990))
EXIT = Proposal(Action.EXIT, why=("enough",))
CANCEL = Proposal(Action.CANCEL)
PRINTS = tape(
    *((599, 20_000), (601, 20_000), (699, 20_000), (701, 20_005), (799, 20_005), (801, 20_006)),
    *((899, 20_006), (901, 20_001), (1001, 20_003)),
)


def protect(stop: int | None = None, target: int | None = None, trail: Trail | None = None) -> Proposal:
    return Proposal(Action.PROTECT, bracket=Bracket(stop_price=stop, target_price=target, trail=trail))


def at(seconds: float, *proposals: Proposal, close: int = 20_000) -> BarSignals:
    return replace(bar(seconds, close=close), regime=None, signals=(), proposals=proposals)


def desk_of(books: Books, folder: Path, *bars: BarSignals, **spec: Any) -> Desk:
    return Desk(books, folder, {MES: PRINTS}, {NAME: says(bars, end=1100)}, [strategy(**spec)], ends=1100)


async def reasons(desk: Desk) -> list[str]:
    return [reason for *_, reason in await desk.decisions()]


@IN_BOTH
async def test_an_exit_closes_what_is_held_at_the_next_print(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LONG), at(700, EXIT))
    await desk.run(read_back=True)
    rows = await desk.rows("decision", "accepted, reason, side, quantity, contract, patterns", "instant_ns")
    assert rows[1] == (True, "", None, 1, MES, ["enough"])
    orders = await desk.rows("intent", "leg, type, state, reason", "decided_at_ns, leg")
    assert orders == [
        ("E", "MARKET", "FILLED", ""),
        ("S1", "STOP", "CANCELLED", "exit"),
        ("T1", "LIMIT", "CANCELLED", "exit"),
        ("F1", "MARKET", "FILLED", "exit"),
    ]
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 701)]


async def test_an_exit_takes_entries_back_and_without_anything_it_is_refused(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, EXIT), at(700, LIMIT), at(800, EXIT), at(900, EXIT))
    await desk.run(read_back=True)
    assert await reasons(desk) == ["nothing_held", "", "", "nothing_held"]
    assert await desk.rows("intent", "leg, state, reason", "leg") == [("E", "CANCELLED", "exit")]


async def test_nothing_is_entered_while_a_position_leaves_and_again_once_it_has_left(books: Books, folder: Path):
    short = Proposal(Action.ENTER, Direction.SHORT)
    desk = desk_of(books, folder, at(600, LONG), at(700, EXIT, short), at(800, short, close=20_006))
    await desk.run(read_back=True)
    assert await reasons(desk) == ["", "", "strategy_not_running", ""]
    assert [leg for leg, *_ in await desk.fills()] == ["E", "F1", "E"]


async def test_a_halted_account_lets_its_strategy_out_and_tighten(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LONG), at(700, LONG, protect(19_990)), at(800, EXIT))
    session = desk.open()
    await session.until(650)
    session.halt()
    await session.run()
    session.close()
    assert await reasons(desk) == ["", "halted", "", ""]
    assert [leg for leg, *_ in await desk.fills()] == ["E", "F1"]


@IN_BOTH
async def test_a_cancel_takes_entries_back_and_leaves_the_position(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LONG, LIMIT, CANCEL), at(700, CANCEL))
    desk.manifest = account(limits={"maxOpenTrades": 2, "maxPosition": 3})
    await desk.run(read_back=True)
    assert await reasons(desk) == ["", "", "", "nothing_working"]
    orders = await desk.rows("intent", "leg, type, state, reason", "leg, type")
    assert orders == [
        ("E", "LIMIT", "CANCELLED", "its strategy"),
        ("E", "MARKET", "CANCELLED", "its strategy"),  # it was to meet its first print
    ]
    held = desk_of(books, folder, at(600, LONG), at(700, LIMIT), at(800, CANCEL))
    held.name, held.manifest = "held", desk.manifest
    session = await held.run(read_back=True)
    assert session.market.positions() == {MES: 1}


@IN_BOTH
async def test_a_stop_and_a_target_go_to_where_they_are_wanted(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_995, 20_010)), at(800, protect(20_002)))
    await desk.run(read_back=True)
    assert await reasons(desk) == ["", "", ""]
    columns = "leg, state, stop_price, limit_price, wanted_price"
    assert (await desk.rows("intent", columns, "leg"))[1:] == [
        ("S1", "FILLED", 20_002, None, None),
        ("T1", "CANCELLED", None, 20_010, None),
    ]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()][1:] == [("S1", 901, 20_000)]


async def test_a_stop_that_the_market_is_at_or_beyond_leaves(books: Books, folder: Path):
    for second, price in (("at", 20_000), ("beyond", 20_003)):
        desk = desk_of(books, folder, at(600, LONG), at(700, protect(price)))
        desk.name = second
        await desk.run(read_back=True)
        assert await reasons(desk) == ["", ""]
        orders = await desk.rows("intent", "leg, state, reason", "decided_at_ns, leg")
        assert orders[1:] == [
            ("S1", "CANCELLED", "beyond_stop"),
            ("T1", "CANCELLED", "beyond_stop"),
            ("F1", "FILLED", "beyond_stop"),
        ]


async def test_what_is_where_it_is_wanted_stays(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_980, 20_040)), at(800, protect(19_990)))
    wire = Tripwire()
    await desk.run(through=lambda deps: replace_venue(deps, TrippedVenue(venue_of(deps), wire)), read_back=True)
    assert await reasons(desk) == ["", "", ""]
    assert wire.calls.count("venue.replace") == 1


async def test_a_stop_may_be_loosened_within_the_day_s_budget_and_no_further(books: Books, folder: Path):
    # At 19980 the position of one contract may lose 21 ticks of 1.25, and 3.75 of slippage and commission more.
    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_900)), at(800, protect(19_970)))
    desk.manifest = account(limits={"dayLoss": "60"})
    await desk.run(read_back=True)
    assert await reasons(desk) == ["", "day_budget", ""]
    arithmetic = await desk.rows("decision", "arithmetic", "instant_ns")
    assert [term for (terms,) in arithmetic[1:] for term in terms] == [["more_at_risk", "100.00"]]
    assert ("S1", 19_970) in await desk.rows("intent", "leg, stop_price", "leg")


async def test_an_exit_that_is_not_there_is_refused_where_the_venue_takes_none_later(books: Books, folder: Path):
    untargeted = replace(LONG, bracket=Bracket(stop_price=19_980))
    desk = desk_of(books, folder, at(599.5, protect(19_990)), at(600, untargeted), at(700, protect(19_990, 20_010)))
    desk.capabilities = frozenset(Capability) - {Capability.ATTACH}
    await desk.run(read_back=True)
    assert await reasons(desk) == ["nothing_held", "", "no_such_exit"]
    assert ("S1", 19_980) in await desk.rows("intent", "leg, stop_price", "leg")


async def test_a_trail_goes_on_from_a_tighter_stop_and_is_never_loosened(books: Books, folder: Path):
    trailing = replace(LONG, bracket=Bracket(stop_ticks=20, trail=Trail(4, 4)))
    desk = desk_of(books, folder, at(600, trailing), at(700, protect(19_990)), at(750, protect(19_999)))
    await desk.run(read_back=True)
    # In at 20001; the print 20005 at 701 moves the stop to 20001, beyond what is wanted then.
    assert await reasons(desk) == ["", "", "stop_trails"]
    assert ("S1", None) in await desk.rows("intent", "leg, wanted_price", "leg")


TRAILED = tape(
    *((599, 20_000), (601, 20_000), (699, 20_000), (705, 20_005), (710, 20_012), (799, 20_009), (805, 20_014)),
    *((899, 20_012), (910, 20_008)),
)
WITHOUT_TRAIL = frozenset(Capability) - {Capability.TRAILING}


@IN_BOTH
@pytest.mark.parametrize("capabilities", [frozenset(Capability), WITHOUT_TRAIL], ids=["venue", "loop"])
async def test_a_stop_trails_from_where_its_strategy_says_so_and_otherwise_from_the_next_word_on(
    books: Books, folder: Path, capabilities: frozenset[Capability]
):
    """In at 20001. Ten ticks beyond it the stop stays 4 behind: 20008 at 20012; then 2 behind: 20012 at 20014."""
    later = at(800, protect(trail=Trail(0, 2)), close=20_009)
    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_990, trail=Trail(10, 4))), later)
    desk.prints, desk.capabilities = {MES: TRAILED}, capabilities
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await reasons(desk) == ["", "", ""]
    moved = [event.order.stop_price for event in session.market.events_after(0) if event.order.leg == "S1"]
    assert list(dict.fromkeys(moved)) == [19_980, 19_990, 20_008, 20_012]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()][1:] == [("S1", 899, 20_011)]
    assert ("S1", {"from_price": 20_001, "offset_ticks": 2}, None) in await desk.rows(
        "intent", "leg, trail, wanted_trail", "leg"
    )


@pytest.mark.parametrize("after", [False, True])
async def test_a_trail_is_asked_for_once_where_the_venue_does_not_answer(books: Books, folder: Path, after: bool):
    def day(name: str) -> Desk:
        desk = desk_of(books, folder, at(600, LONG), at(700, protect(trail=Trail(10, 4))))
        desk.prints, desk.name = {MES: TRAILED}, name
        return desk

    wire = Tripwire()
    undisturbed = day("undisturbed")
    await undisturbed.run(through=lambda deps: replace_venue(deps, TrippedVenue(venue_of(deps), wire)))
    at_call = wire.calls.index("venue.replace")
    fault, silent = Tripwire(at_call, after=after, error=Unavailable), day("silent")
    await silent.run(through=lambda deps: replace_venue(deps, TrippedVenue(venue_of(deps), fault)), read_back=True)
    assert fault.calls.count("venue.replace") == 1 + (not after)
    assert await silent.lines() == await undisturbed.lines()


@IN_BOTH
@pytest.mark.parametrize("capabilities", [frozenset(Capability), WITHOUT_TRAIL], ids=["venue", "loop"])
async def test_what_an_entry_fills_later_gets_the_protection_that_was_said_last(
    books: Books, folder: Path, capabilities: frozenset[Capability]
):
    """A limit of two fills one after the other; between them its exits are wanted elsewhere, and it trails."""
    patient = replace(LIMIT, quantity=2, bracket=Bracket(stop_price=19_980, target_price=20_040))
    wanted = protect(19_984, 20_030, Trail(20, 5))
    desk = desk_of(books, folder, at(600, patient), at(603, wanted), size=2)
    desk.manifest, desk.capabilities = account(limits={"maxPosition": 3}), capabilities
    desk.prints = {MES: tape((599, 20_000), (602, 19_989), (605, 19_989), (700, 20_000), (899, 20_020), (910, 20_010))}
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await reasons(desk) == ["", ""]
    trail = {"from_price": 20_010, "offset_ticks": 5}
    assert (await desk.rows("intent", "leg, stop_price, limit_price, trail, wanted_price", "leg"))[1:] == [
        ("S1", 20_015, None, trail, None),
        ("S2", 20_015, None, trail, None),
        ("T1", None, 20_030, None, None),
        ("T2", None, 20_030, None, None),
    ]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [
        ("E", 602, 19_990),
        ("E", 605, 19_990),
        ("S1", 910, 20_009),
        ("S2", 910, 20_009),
    ]


class Unwilling(TrippedVenue):
    """A venue that moves nothing."""

    def __init__(self, venue: Any) -> None:
        super().__init__(venue, Tripwire())

    async def replace(self, wanted: Replacement) -> VenueOrder:
        raise Refused(f"no other terms for {wanted.client_id}", "venue")


async def test_an_exit_that_the_venue_does_not_move_stays_and_a_person_has_to_look(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_990)), at(900, LONG))
    session = await desk.run(through=lambda deps: replace_venue(deps, Unwilling(venue_of(deps))), read_back=True)
    assert session.switch.halts.of(HaltSource.DIFFERENCE)
    assert await desk.rows("intent", "leg, stop_price, wanted_price", "leg") == [
        ("E", None, None),
        ("S1", 19_980, None),
        ("T1", None, None),
    ]


class TooLate(TrippedVenue):
    """A venue at which an order has ended, or filled in part, before it is to be moved: its events tell that later.

    It refuses as many replacements as it is told, of orders that are then found as `became` says.
    """

    def __init__(self, venue: Any, became: Callable[[VenueOrder], VenueOrder], times: int) -> None:
        super().__init__(venue, Tripwire())
        self.became, self.times, self.asked = became, times, 0

    async def replace(self, wanted: Replacement) -> VenueOrder:
        self.asked += 1
        if self.asked <= self.times:
            raise Refused(f"too late to change {wanted.client_id}", "venue")
        return await super().replace(wanted)

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        found = await super().find(client_id)
        return found and (self.became(found) if 0 < self.asked <= self.times else found)


@pytest.mark.parametrize(
    ("state", "printed", "fill"),
    [
        (OrderState.FILLED, 19_979, ("S1", 701, 19_978)),  # the stop at 19980 meets 19979, and a tick is lost
        (OrderState.CANCELLED, 20_041, ("T1", 701, 20_040)),  # the target has filled, and the stop has gone with it
    ],
)
async def test_an_exit_that_was_faster_than_its_replacement_halts_nobody(
    books: Books, folder: Path, state: OrderState, printed: int, fill: tuple[str, int, int]
):
    def ended(order: VenueOrder) -> VenueOrder:
        return replace(order, state=state, filled=order.quantity if state is OrderState.FILLED else 0)

    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_990)), at(900, LONG))
    desk.prints = {MES: tape((599, 20_000), (601, 20_000), (699, 20_000), (701, printed), (899, 20_000), (901, 20_000))}
    session = await desk.run(through=lambda deps: replace_venue(deps, TooLate(venue_of(deps), ended, 1)))
    assert not session.halted
    assert await reasons(desk) == ["", "", ""]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [
        ("E", 601, 20_001),
        fill,
        ("E", 901, 20_001),
    ]
    assert {wanted for (wanted,) in await desk.rows("intent", "wanted_price", "leg")} == {None}


async def test_an_exit_that_fills_in_part_meanwhile_is_moved_once_that_is_known(books: Books, folder: Path):
    def partly(order: VenueOrder) -> VenueOrder:
        return replace(order, state=OrderState.PARTIAL, filled=order.filled + 1, quantity=order.quantity + 1)

    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_990)))
    session = await desk.run(through=lambda deps: replace_venue(deps, TooLate(venue_of(deps), partly, 2)))
    assert not session.halted
    assert ("S1", 19_990, None) in await desk.rows("intent", "leg, stop_price, wanted_price", "leg")


async def test_an_exit_that_is_refused_and_works_as_it_did_was_not_faster(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LONG), at(700, protect(19_990)), at(900, LONG))
    session = await desk.run(through=lambda deps: replace_venue(deps, TooLate(venue_of(deps), lambda one: one, 1)))
    assert "stays at 19980" in session.halted
    assert await reasons(desk) == ["", "", "halted"]


class Gone(TrippedVenue):
    """A venue that has nothing more to cancel of an entry that is as `state` says: its events tell that later."""

    def __init__(self, venue: Any, state: OrderState) -> None:
        super().__init__(venue, Tripwire())
        self.state = state
        self.refused = False

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        found = await super().find(client_id)
        if found is not None and found.leg == "E":
            self.refused = True
            raise Refused(f"too late to cancel {client_id}", "venue")
        await super().cancel(client_id, reason)

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        found = await super().find(client_id)
        if found is None or found.state.terminal or not self.refused:
            return found
        return replace(found, state=self.state, filled=found.quantity if self.state is OrderState.FILLED else 0)


async def test_an_entry_that_fills_before_it_is_taken_back_is_booked_when_its_fill_comes(books: Books, folder: Path):
    desk = desk_of(books, folder, at(600, LIMIT), at(700, CANCEL))
    desk.prints = {MES: tape((599, 20_000), (699, 20_000), (701, 19_989), (899, 20_000))}
    session = await desk.run(through=lambda deps: replace_venue(deps, Gone(venue_of(deps), OrderState.FILLED)))
    assert not session.halted
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [("E", 701, 19_990)]
    assert session.market.positions() == {MES: 1}


def stop_of(price: int, **fields: Any) -> Any:
    leg = fields.pop("leg", "S1")
    return order_of(OrderState.WORKING, leg, side=Side.SELL, type=OrderType.STOP, stop_price=price, **fields)


def test_while_it_is_not_known_where_a_stop_is_it_counts_where_more_is_lost():
    book, _ = book_of()
    book.last_prints[MES] = LastPrint(20_000, ns(600), 1)
    held = position_of(1)
    losses = [worst_case(book, [held], [stop_of(19_980, wanted_price=wanted)]) for wanted in (None, 19_990, 19_970)]
    assert losses[0] == losses[1]
    assert losses[2] == losses[0] + 10 * Decimal("1.25")


def test_a_stop_that_trails_is_not_asked_to_go_back():
    book, _ = book_of()
    book.positions = {**book.positions, (NAME, MES): position_of(1)}
    stop = stop_of(19_980, trail=Trailing(20_000, 4))
    book.orders = {**book.orders, stop.client_id: stop}
    owner = book.strategies[NAME]
    assert adjustment(book, owner, protect(19_979), AGAIN, **NOW).answer.reason == "stop_trails"
    [moved] = adjustment(book, owner, protect(19_981), AGAIN, **NOW).orders
    assert (moved.wanted_price, moved.version) == (19_981, stop.version + 1)


def test_a_trail_is_measured_from_the_fill_that_its_stop_closes():
    book, _ = book_of(position=1)
    stop, target = (
        stop_of(19_980, entry_price=20_003),
        order_of(
            OrderState.WORKING, "T1", side=Side.SELL, type=OrderType.LIMIT, limit_price=20_040, entry_price=20_003
        ),
    )
    book.orders = {order.client_id: order for order in (stop, target)}
    owner = book.strategies[NAME]
    [moved] = adjustment(book, owner, protect(trail=Trail(10, 4)), AGAIN, **NOW).orders
    assert (moved.client_id, moved.wanted_trail, moved.wanted_price) == (stop.client_id, Trailing(20_013, 4), None)
    again = replace(moved, trail=moved.wanted_trail, wanted_trail=None)
    book.put(again)
    assert adjustment(book, owner, protect(trail=Trail(10, 4)), AGAIN, **NOW).orders == (again,)
    book.orders = {target.client_id: target}
    assert adjustment(book, owner, protect(trail=Trail(10, 4)), AGAIN, **NOW).answer.reason == "no_such_exit"


def test_a_stop_does_not_trail_from_a_fill_that_nobody_knows():
    """The stop of a lost row, and a new one for a target of such a row: nothing of the proposal is carried out."""
    target = order_of(OrderState.WORKING, "T1", side=Side.SELL, type=OrderType.LIMIT, limit_price=20_040)
    for there, wanted in (
        (stop_of(19_980), protect(trail=Trail(10, 4))),
        (stop_of(19_980), protect(19_985, trail=Trail(10, 4))),
        (replace(target, parent=ClientOrderId("E1")), protect(19_985, trail=Trail(10, 4))),
    ):
        for price, reason in ((None, "entry_price_unknown"), (19_990, "")):
            book, _ = book_of(replace(there, entry_price=price), position=1)
            book.last_prints[MES] = LastPrint(19_995, ns(600), 1)
            said = adjustment(book, book.strategies[NAME], wanted, AGAIN, **NOW)
            assert (said.answer.reason, bool(said.orders)) == (reason, not reason)


@pytest.mark.parametrize("pairs", [True, False])
def test_a_venue_that_ends_no_exit_with_another_gets_no_second_one_beside_a_stop(pairs: bool):
    entry = replace(order_of(OrderState.FILLED, quantity=1), filled=1)
    for exits in ([stop_of(19_980, entry_price=19_990)], []):
        book, _ = book_of(entry, *exits, position=1)
        book.last_prints[MES] = LastPrint(19_995, ns(600), 1)
        both = protect(19_981, target=20_050)
        said = adjustment(book, book.strategies[NAME], both, AGAIN, **NOW, pairs=pairs)
        assert (said.answer.reason, bool(said.orders)) == (("", True) if pairs else ("no_such_exit", False))
        alone = adjustment(book, book.strategies[NAME], protect(19_981), AGAIN, **NOW, pairs=pairs)
        assert (alone.answer.reason, len(alone.orders)) == ("", 1)


def test_of_what_an_entry_may_still_fill_the_last_protection_counts_too():
    entry = replace(WAITING, filled=1, state=OrderState.PARTIAL, first_fill_ns=ns(601), quantity=3)
    entry = replace(entry, bracket=Bracket(stop_price=19_980))
    book, _ = book_of(entry, stop_of(19_980, entry_price=19_990), position=1)
    book.last_prints[MES] = LastPrint(19_995, ns(600), 1)
    owner = book.strategies[NAME]
    before = worst_case(book, book.open_positions(), book.live_orders())
    said = adjustment(book, owner, protect(19_970, trail=Trail(4, 4)), AGAIN, **NOW)
    book.orders = {**book.orders, **{order.client_id: order for order in said.orders}}
    # Ten ticks more of the contract that is held, and of the two that the entry may still fill.
    assert worst_case(book, book.open_positions(), book.live_orders()) == before + 3 * 10 * Decimal("1.25")
    target = order_of(OrderState.WORKING, "T1", side=Side.SELL, type=OrderType.LIMIT, limit_price=20_040)
    book.orders = {**book.orders, target.client_id: target}
    said = adjustment(book, owner, protect(target=20_050), AGAIN, **NOW)
    assert said.orders[-1].protection == Bracket(stop_price=19_970, target_price=20_050, trail=Trail(4, 4))
    refused = adjustment(book, owner, protect(18_000), AGAIN, **NOW).answer
    # 1,980 ticks of what is held, and 1,970 for each of the two to come: 19970 has been granted to them.
    assert (refused.reason, refused.arithmetic) == ("day_budget", (("more_at_risk", "7400.00"),))


WAITING = order_of(OrderState.WORKING, quantity=2, type=OrderType.LIMIT, limit_price=19_990)


def asked(proposal: Proposal, *orders: Any, position: int = 0) -> Any:
    book, _ = book_of(*orders, position=position)
    return adjustment(book, book.strategies[NAME], proposal, AGAIN, **NOW)


def test_an_entry_that_waits_is_nothing_to_protect():
    assert asked(protect(19_990), WAITING).answer.reason == "nothing_held"
    assert asked(EXIT, WAITING).closes == "exit"


def test_an_exit_that_is_on_its_way_to_the_market_goes_nowhere_else():
    leaving = order_of(OrderState.WORKING, "S1", side=Side.SELL)
    found = asked(protect(19_990), leaving, stop_of(19_980, leg="X1"), position=1)
    assert found.answer.reason == "no_such_exit"


def test_the_answer_tells_how_much_it_is_about():
    cancelled = asked(CANCEL, WAITING, order_of(OrderState.WORKING, "S1", side=Side.SELL), position=1)
    assert (cancelled.answer.accepted, cancelled.answer.quantity, cancelled.answer.contract) == (True, 2, MES)
    [gone] = cancelled.orders
    assert (gone.unwanted, gone.version) == (True, WAITING.version + 1)
    again = asked(CANCEL, gone)
    assert again.orders == (gone,)
    left = asked(EXIT, WAITING, position=-3)
    assert (left.answer.quantity, left.answer.contract, left.orders) == (3, MES, ())


def test_what_a_coin_margined_long_can_lose_more_is_more_than_its_ticks(tmp_path: Path):
    """Each tick down buys fewer contracts back: 1 / 199000 - 1 / 200000 of what a contract is worth at one tick."""
    put_in_force(read_own([file_of(tmp_path, {"BTCUSD": BITCOIN})]))
    try:
        stop = stop_of(200_000, contract="BTCUSD", wanted_price=199_000)
        tick_value = instrument("BTCUSD").tick_value
        exact = Fraction(tick_value) * (Fraction(1, 199_000) - Fraction(1, 200_000))
        assert abs(Fraction(more_at_risk(stop)) - exact) < exact / 10**9
    finally:
        put_in_force(OwnMarkets())


def test_what_somebody_else_placed_is_not_taken_back():
    foreign = order_of(OrderState.WORKING, type=OrderType.LIMIT, limit_price=19_990, decision="x", client_id="x")
    refused = asked(CANCEL, foreign).answer
    assert (refused.accepted, refused.reason) == (False, "nothing_working")


def test_a_contract_that_no_sheet_knows_has_no_money_to_bound():
    assert more_at_risk(stop_of(19_980, contract="ZZZZ", wanted_price=19_900)) == 0
