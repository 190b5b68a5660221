"""A stop or a target that a position did not have: sent as a leg of its entry, a pair with the exit that is there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import worst_case
from leadline.execution.core.adjustments import adjustment
from leadline.execution.core.new_exits import new_exits, sent_again
from leadline.execution.core.positions import with_stopless
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import Refused, Unavailable
from leadline.model.ids import ClientOrderId, DecisionId, Leg, StrategyId
from leadline.model.orders import Bracket, LastPrint, OrderState, OrderType, Side, Trail, VenueOrder
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from leadline.risk.view import RiskDecision
from leadline.venue.matching import PaperMarket
from tests.execution.harness.books import book_of, order_of
from tests.execution.harness.builders import MES, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import IN_BOTH

Prints = tuple[tuple[float, int], ...]

NAME = StrategyId("default/mes")
ALLOWED: Any = {"noStopRiskTicks": {"MES": 40}}
BARE = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket())
TARGETED = replace(BARE, bracket=Bracket(target_price=20_040))
STOPPED = replace(BARE, bracket=Bracket(stop_price=19_980))
START = ((599, 20_000), (601, 20_000), (699, 20_000))  # in: 1 at 20001
UP = (*START, (800, 20_041), (899, 20_041))
DOWN = (*START, (800, 19_985), (899, 19_985))


def protect(stop: int | None = None, target: int | None = None, trail: Trail | None = None) -> Proposal:
    return Proposal(Action.PROTECT, bracket=Bracket(stop_price=stop, target_price=target, trail=trail))


def at(seconds: float, *proposals: Proposal, close: int = 20_000) -> BarSignals:
    return replace(bar(seconds, close=close), regime=None, signals=(), proposals=proposals)


def desk_of(
    books: Books,
    folder: Path,
    prints: Prints,
    *bars: BarSignals,
    name: str = "tape",
    size: int = 1,
) -> Desk:
    manifest = account(limits={"maxPosition": 3}, **ALLOWED)
    said: dict[str, Sequence[Any]] = {NAME: says(bars, end=1000)}
    return Desk(books, folder, {MES: tape(*prints)}, said, [strategy(size=size)], manifest, ends=1000, name=name)


async def exits_of(desk: Desk) -> list[tuple[Any, ...]]:
    """Exits as (leg, where they lie, state)."""
    found = await desk.rows("intent", "leg, limit_price, stop_price, state", "leg")
    return sorted((leg, stop if limit is None else limit, state) for leg, limit, stop, state in found if leg != "E")


@IN_BOTH
@pytest.mark.parametrize(
    ("entry", "wanted", "prints", "exits", "fill"),
    [
        # The stop meets 19985, loses a tick, and takes the target with it.
        (TARGETED, protect(19_990), DOWN, ((19_990, "FILLED"), (20_040, "CANCELLED")), ("S1", 800, 19_984)),
        (TARGETED, protect(19_990), UP, ((19_990, "CANCELLED"), (20_040, "FILLED")), ("T1", 800, 20_040)),
        (STOPPED, protect(None, 20_030), UP, ((19_980, "CANCELLED"), (20_030, "FILLED")), ("T1", 800, 20_030)),
        (BARE, protect(19_990, 20_030), DOWN, ((19_990, "FILLED"), (20_030, "CANCELLED")), ("S1", 800, 19_984)),
        (BARE, protect(19_990, 20_030), UP, ((19_990, "CANCELLED"), (20_030, "FILLED")), ("T1", 800, 20_030)),
        (BARE, protect(None, 20_030), UP, (None, (20_030, "FILLED")), ("T1", 800, 20_030)),
    ],
)
async def test_a_position_gets_the_exit_that_it_did_not_have(
    books: Books,
    folder: Path,
    entry: Proposal,
    wanted: Proposal,
    prints: Prints,
    exits: tuple[tuple[int, str] | None, ...],
    fill: tuple[str, int, int],
):
    """`exits` are where its stop and its target end, and how."""
    desk = desk_of(books, folder, prints, at(600, entry), at(700, wanted))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [reason for *_, reason in await desk.decisions()] == ["", ""]
    assert await exits_of(desk) == [(leg, *end) for leg, end in zip(("S1", "T1"), exits, strict=True) if end]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [("E", 601, 20_001), fill]
    assert session.market.positions() == {}


@IN_BOTH
async def test_a_stop_is_loosened_and_trails_while_its_position_gets_a_target(books: Books, folder: Path):
    """With the target the venue tells where the stop still is: that is no trail beyond what is wanted."""
    near = replace(BARE, bracket=Bracket(stop_ticks=10))
    desk = desk_of(books, folder, START, at(600, near), at(700, protect(19_980, 20_040, Trail(4, 1))))
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await exits_of(desk) == [("S1", 19_980, "WORKING"), ("T1", 20_040, "WORKING")]


async def test_what_rests_behind_a_new_stop_needs_it_from_then_on(books: Books, folder: Path):
    desk = desk_of(books, folder, (*START, (899, 20_000)), at(600, BARE), at(700, protect(19_990)))
    session = desk.open(read_back=True)
    await session.until(650)
    assert session.book.positions[NAME, MES].without_stop == 1
    await session.until(750)
    assert session.book.positions[NAME, MES].without_stop == 0
    [stop] = session.market.live_orders()
    session.market.cancel(stop.client_id, "somebody")  # the venue's own screen
    await session.run()
    session.close()
    assert "behind stops for 0" in session.halted
    assert [leg for leg, *_ in await desk.fills()] == ["E", "F1"]


async def test_a_new_stop_trails_where_its_strategy_says_so(books: Books, folder: Path):
    prints = (*START, (800, 20_012), (850, 20_020), (899, 20_013))
    desk = desk_of(books, folder, prints, at(600, BARE), at(700, protect(19_990, trail=Trail(10, 4))))
    session = await desk.run(read_back=True)
    stops = [event.order.stop_price for event in session.market.events_after(0) if event.order.leg == "S1"]
    assert list(dict.fromkeys(stops)) == [19_990, 20_008, 20_016]  # from 20011 on, 4 behind the best print
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()][1:] == [("S1", 899, 20_012)]


@IN_BOTH
async def test_a_later_fill_of_the_same_entry_gets_the_exit_too(books: Books, folder: Path):
    patient = replace(TARGETED, entry=EntryTerms(OrderType.LIMIT, 19_990), quantity=2)
    prints = ((599, 20_000), (602, 19_989), (605, 19_989), (800, 19_970), (899, 19_970))
    desk = desk_of(books, folder, prints, at(600, patient), at(603, protect(19_984)), size=2)
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await exits_of(desk) == [
        ("S1", 19_984, "FILLED"),
        ("S4", 19_984, "FILLED"),  # beyond the numbers that the venue gives to the fills of two
        ("T1", 20_040, "CANCELLED"),
        ("T2", 20_040, "CANCELLED"),
    ]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [
        ("E", 602, 19_990),
        ("E", 605, 19_990),
        ("S1", 800, 19_969),
        ("S4", 800, 19_969),
    ]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("leg", ["S", "T"])
@pytest.mark.parametrize("prints", [UP, DOWN], ids=["up", "down"])
async def test_an_exit_whose_fate_is_open_is_there_once(
    books: Books, folder: Path, after: bool, leg: str, prints: Prints
):
    def day(name: str) -> Desk:
        return desk_of(books, folder, prints, at(600, BARE), at(700, protect(19_990, 20_030)), name=name)

    wire = Tripwire()
    undisturbed = day("undisturbed")
    await undisturbed.run(through=lambda deps: replace_venue(deps, TrippedVenue(venue_of(deps), wire)))
    number = next(at for at, name in enumerate(wire.calls) if name.startswith(f"venue.submit {leg}"))
    silent, fault = day("silent"), Tripwire(number, after=after, error=Unavailable)
    session = await silent.run(
        through=lambda deps: replace_venue(deps, TrippedVenue(venue_of(deps), fault)), read_back=True
    )
    assert not session.halted
    fills = [(name[:1], *rest) for name, *rest in await undisturbed.fills()]
    assert [(name[:1], *rest) for name, *rest in await silent.fills()] == fills
    lost = [state for *_, state in await silent.orders() if state == "DEAD"]
    assert len(lost) == (not after)  # proven absent, and sent again under another id
    assert session.market.positions() == {}


class Refusing(TrippedVenue):
    """A venue that takes no new exit, whose pair it shows as `became` says: its events tell of that later."""

    def __init__(self, venue: Any, market: Callable[[], PaperMarket], became: OrderState) -> None:
        super().__init__(venue, Tripwire())
        self._market, self._became, self._pair = market, became, ""

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if not order.parent:
            return await super().submit(order)
        self._pair = order.oco
        return self._market().reject(order, "no such stop")[0]

    async def find(self, client_id: str) -> VenueOrder | None:
        found = await super().find(ClientOrderId(client_id))
        return replace(found, state=self._became) if found is not None and client_id == self._pair else found


@IN_BOTH
async def test_a_later_fill_of_one_entry_changes_nothing_of_another(books: Books, folder: Path):
    """A target is wanted while one of two is held. What is added then goes without one, and so it does from then on."""
    patient = replace(STOPPED, entry=EntryTerms(OrderType.LIMIT, 19_990), quantity=2)
    beside = Proposal(Action.ADD, Direction.LONG, bracket=Bracket(stop_price=19_970), quantity=1)
    prints = ((599, 20_000), (602, 19_989), (605, 19_995), (606, 19_996), (609, 19_989), (899, 19_990))
    said = (at(600, patient), at(603, protect(None, 20_030), close=19_989), at(604, beside, close=19_989))
    desk = desk_of(books, folder, prints, *said, size=2)
    session = desk.open(read_back=True)
    await session.until(700)
    session.close()
    assert not session.halted
    assert [(leg, second, quantity) for leg, second, _, quantity, _ in await desk.fills()] == [
        ("E", 602, 1),
        ("E", 605, 1),
        ("E", 609, 1),
    ]
    assert await exits_of(desk) == [
        ("S1", 19_970, "WORKING"),
        ("S1", 19_980, "WORKING"),
        ("S2", 19_980, "WORKING"),
        ("T1", 20_030, "WORKING"),
        ("T4", 20_030, "WORKING"),
    ]
    pairs = {order.leg: order.oco for order in session.book.live_orders() if order.stop_price != 19_970}
    names = {order.leg: order.client_id for order in session.book.live_orders() if order.stop_price != 19_970}
    assert (pairs[Leg("S2")], pairs[Leg("T4")]) == (names[Leg("T4")], names[Leg("S2")])


@IN_BOTH
@pytest.mark.parametrize("own", [Bracket(), Bracket(stop_price=19_970)], ids=["new", "moved"])
async def test_a_later_fill_beyond_the_exit_that_is_wanted_leaves(books: Books, folder: Path, own: Bracket):
    """The stop is wanted at 19995 while the market is above: what fills at 19990 then is beyond it."""
    patient = replace(BARE, entry=EntryTerms(OrderType.LIMIT, 19_990), quantity=3, bracket=own)
    prints = ((599, 20_000), (602, 19_989), (602.5, 20_005), (605, 19_994), (606, 19_996), (609, 19_989), (899, 19_988))
    desk = desk_of(books, folder, prints, at(600, patient), at(603, protect(19_995), close=20_005), size=3)
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await desk.rows("intent", "leg, stop_price, state, reason", "leg") == [
        ("E", None, "CANCELLED", "its strategy"),
        ("F1", None, "FILLED", "beyond_stop"),
        ("S1", 19_995, "FILLED", ""),
        *([("S2", 19_970, "CANCELLED", "beyond_stop")] if own.has_stop else []),  # no venue is asked to move it
    ]
    assert [(leg, second, price) for leg, second, price, *_ in await desk.fills()] == [
        ("E", 602, 19_990),
        ("S1", 605, 19_993),
        ("E", 609, 19_990),
        ("F1", 899, 19_987),
    ]


@pytest.mark.parametrize(("became", "halted"), [(OrderState.FILLED, False), (OrderState.WORKING, True)])
async def test_an_exit_that_is_not_taken_halts_unless_its_pair_was_faster(
    books: Books, folder: Path, became: OrderState, halted: bool
):
    desk = desk_of(books, folder, UP, at(600, TARGETED), at(700, protect(19_990)))
    sessions: list[Any] = []

    def through(deps: Deps) -> Deps:
        return replace_venue(deps, Refusing(venue_of(deps), lambda: sessions[0].market, became))

    sessions.append(desk.open(through, read_back=True))
    await sessions[0].run()
    sessions[0].close()
    assert (await desk.rows("intent", "leg, state, reason", "leg"))[1] == ("S1", "REJECTED", "no such stop")
    assert ("is not taken at 19990: no such stop" in sessions[0].halted) is halted
    assert bool(sessions[0].halted) is halted
    assert [leg for leg, *_ in await desk.fills()] == ["E", "T1"]


class Without(TrippedVenue):
    """A venue that refuses a leg as nonsense so many times, and keeps nothing of it; `asked` counts the tries."""

    def __init__(self, venue: Any, leg: str, times: float, asked: list[str]) -> None:
        super().__init__(venue, Tripwire())
        self.leg, self.times, self.asked = leg, times, asked

    async def submit(self, order: VenueOrder) -> VenueOrder:
        if order.leg.startswith(self.leg):
            self.asked.append(order.leg)
            if len(self.asked) <= self.times:
                raise Refused("no such thing", "venue")
        return await super().submit(order)


@IN_BOTH
async def test_a_new_exit_that_the_venue_refuses_halts_once_and_the_account_goes_on(books: Books, folder: Path):
    asked: list[str] = []
    leaves = Proposal(Action.EXIT)
    prints = (*START, (801, 20_000), (899, 20_000))
    desk = desk_of(books, folder, prints, at(600, BARE), at(700, protect(19_990)), at(800, leaves))
    for second in (701, 720, 740, 760):  # the process starts again and again
        session = desk.open(lambda deps: replace_venue(deps, Without(venue_of(deps), "S", math.inf, asked)))
        await session.until(second)
        assert session.book.positions[NAME, MES].quantity == 1
        session.close()
    session = await desk.run(through=lambda deps: replace_venue(deps, Without(venue_of(deps), "S", math.inf, asked)))
    assert asked == ["S1"]
    assert session.halted.count("no such thing") == 1
    assert "is not taken at 19990: no such thing" in session.halted
    assert await desk.rows("intent", "leg, state, reason", "leg") == [
        ("E", "FILLED", ""),
        ("F1", "FILLED", "exit"),
        ("S1", "REJECTED", "no such thing"),
    ]


async def test_a_close_that_the_venue_refuses_is_tried_again_and_the_account_goes_on(books: Books, folder: Path):
    asked: list[str] = []
    prints = (*START, (701, 20_000), (899, 20_000))
    desk = desk_of(books, folder, prints, at(600, STOPPED), at(700, Proposal(Action.EXIT)))
    session = await desk.run(through=lambda deps: replace_venue(deps, Without(venue_of(deps), "F", 4, asked)))
    assert asked == ["F1", "F2", "F3", "F4", "F5"]
    assert "is not taken: no such thing" in session.halted
    assert session.market.positions() == {}


@IN_BOTH
async def test_a_unit_s_name_that_was_used_on_the_other_side_says_nothing_of_what_is_held(books: Books, folder: Path):
    """The new stop is a leg of the short that is held, and not of the long that its unit's name meant before."""
    long = replace(BARE, bracket=Bracket(40, 40), unit="first", quantity=1)
    short = replace(long, direction=Direction.SHORT, unit="second")
    again = replace(short, action=Action.ADD, bracket=Bracket(), unit="first")
    prints = tuple((second + part, 20_000) for second in (600, 650, 700, 750, 899) for part in (-1, 1))
    said = (at(600, long), at(650, Proposal(Action.EXIT)), at(700, short), at(750, again))
    stop = replace(protect(20_030), unit="first")
    session = await desk_of(books, folder, prints, *said, at(800, stop), size=2).run(read_back=True)
    assert not session.halted
    [entry] = [order for order in session.book.orders.values() if order.decided_at_ns == ns(750) and order.leg == "E"]
    [made] = [order for order in session.book.live_orders() if order.unit == "first"]
    assert (made.leg, made.state, made.stop_price, made.parent) == ("S1", OrderState.WORKING, 20_030, entry.client_id)


@IN_BOTH
@pytest.mark.parametrize("unit", ["added", ""], ids=["unit", "all"])
@pytest.mark.parametrize("rests", [False, True], ids=["filled", "rests"])
async def test_what_was_added_without_a_stop_gets_one_however_late(books: Books, folder: Path, unit: str, rests: bool):
    """Its entry is not the one that opened the position, and its decision is more than an hour old."""
    first = replace(BARE, bracket=Bracket(40, 40), quantity=1)
    added = replace(BARE, action=Action.ADD, unit="added", quantity=1)
    if rests:
        added = replace(added, entry=EntryTerms(OrderType.LIMIT, 19_990))
    fills_at = 4350 if rests else 701
    prints = ((599, 20_000), (601, 20_000), (699, 20_000), (fills_at, 19_989), (4351, 20_000), (4449, 20_000))
    said = (at(600, first), at(700, added), at(4400, replace(protect(19_970), unit=unit)))
    manifest = account(limits={"maxPosition": 3}, **ALLOWED)
    speech: dict[str, Sequence[Any]] = {NAME: says(said, end=4450)}
    desk = Desk(books, folder, {MES: tape(*prints)}, speech, [strategy(size=2)], manifest, ends=4450)
    session = await desk.run(read_back=True)
    assert [reason for *_, reason in await desk.decisions()] == ["", "", ""]
    stops = {order.unit: order.stop_price for order in session.book.live_orders() if order.leg.startswith("S")}
    assert stops == {"main": 19_961 if unit else 19_970, "added": 19_970}
    assert not session.halted


async def test_a_new_exit_that_the_market_has_passed_leaves(books: Books, folder: Path):
    for name, wanted, reason in (("s", protect(20_000), "beyond_stop"), ("t", protect(None, 20_000), "beyond_target")):
        desk = desk_of(books, folder, (*START, (800, 20_000)), at(600, BARE), at(700, wanted), name=name)
        await desk.run(read_back=True)
        assert [leg for leg, *_ in await exits_of(desk)] == ["F1"]
        assert await desk.rows("intent", "leg, reason", "leg") == [("E", ""), ("F1", reason)]


# --- by hand ---

TARGET = order_of(OrderState.WORKING, "T1", side=Side.SELL, type=OrderType.LIMIT, limit_price=20_040, parent="E1")
DECISION = DecisionId("again")
ENTRY = order_of(OrderState.FILLED, quantity=2, filled=2, bracket=Bracket())


def made(bracket: Bracket, *orders: Any, position: int = 2, **fields: Any) -> list[tuple[str, int, str, str]]:
    """New exits as (leg, size, pair, entry)."""
    book, _ = book_of(ENTRY, *orders, position=position, **fields)
    book.positions = {**book.positions, (NAME, MES): with_stopless(book.positions[NAME, MES], "main", abs(position))}
    found = new_exits(book, book.positions[NAME, MES], bracket, DECISION)
    return [(order.leg, order.quantity, order.oco, order.parent) for order in found]


def test_each_part_of_a_position_gets_the_exit_that_it_does_not_have():
    both = Bracket(stop_price=19_990, target_price=20_030)
    assert [one[:3] for one in made(Bracket(stop_price=19_990), TARGET)] == [("S1", 1, TARGET.client_id), ("S2", 1, "")]
    stop, other = made(both)
    assert (stop[:2], other[:2]) == (("S1", 2), ("T1", 2))
    assert stop[2]
    assert other[2]
    assert made(Bracket(target_price=20_030), TARGET, position=1) == []  # it has one
    assert made(both, TARGET, flatten="a person") == []


def test_an_exit_that_is_on_its_way_is_not_made_again():
    under_way = order_of(OrderState.UNKNOWN, "S7", side=Side.SELL, type=OrderType.STOP, stop_price=19_990, parent="E1")
    under_way = replace(under_way, oco=TARGET.client_id)
    assert made(Bracket(stop_price=19_990, target_price=20_030), TARGET, under_way, position=1) == []


def test_an_exit_that_the_venue_does_not_have_is_sent_again_while_it_is_wanted():
    gone = order_of(OrderState.DEAD, "S7", side=Side.SELL, type=OrderType.STOP, stop_price=19_990, parent="E1")
    gone = replace(gone, oco=TARGET.client_id, decided_at_ns=ns(590))
    book, _ = book_of(TARGET, gone, position=1)
    [(let_go, again)] = sent_again(book)
    assert (let_go.client_id, let_go.unwanted) == (gone.client_id, True)
    assert (again.leg, again.oco, again.stop_price, again.state) == ("S1", TARGET.client_id, 19_990, OrderState.PENDING)
    for order in (
        replace(gone, unwanted=True),
        replace(gone, parent=ClientOrderId("E0")),
        replace(gone, state=OrderState.REJECTED),
    ):
        book, _ = book_of(TARGET, order, position=1)
        assert list(sent_again(book)) == []
    book, _ = book_of(TARGET, gone)
    assert list(sent_again(book)) == []


def test_an_exit_that_is_sent_again_is_that_of_its_part_alone():
    """Of two that rest without an exit one was to have this stop, of an entry beside the one that opened them."""
    gone = order_of(OrderState.DEAD, "S7", side=Side.SELL, type=OrderType.STOP, stop_price=19_990, parent="E2")
    gone = replace(gone, entry_price=19_995)
    book, _ = book_of(ENTRY, gone, position=2)
    held = book.positions[NAME, MES]
    lots = tuple(replace(held.lots[0], quantity=1, client_id=name) for name in (ENTRY.client_id, gone.parent))
    book.positions = {**book.positions, (NAME, MES): replace(held, lots=lots)}
    [(_, again)] = sent_again(book)
    assert (again.quantity, again.parent, again.entry_price, again.oco) == (1, "E2", 19_995, "")
    # What it was for has left by its pair: what is without an exit now is another part.
    filled = replace(TARGET, parent=ClientOrderId("E2"), state=OrderState.FILLED, filled=1)
    book, _ = book_of(ENTRY, filled, replace(gone, oco=filled.client_id), position=1)
    assert list(sent_again(book)) == []


def test_a_new_stop_beyond_the_declared_risk_is_asked_of_the_limits():
    """Declared are 40 ticks below 20000: a stop at 19560 may lose 400 ticks of two contracts more."""
    manifest = account(**ALLOWED)
    book, _ = book_of(ENTRY, position=2, manifest=manifest)
    book.positions = {**book.positions, (NAME, MES): with_stopless(book.positions[NAME, MES], "main", 2)}
    book.last_prints[MES] = LastPrint(20_000, ns(600), 1)
    owner = book.strategies[NAME]
    asked: Any = {"seen": MES, "halt": "", "attaches": True}
    refused = adjustment(book, owner, protect(19_560), DECISION, **asked).answer
    assert refused.arithmetic == (("more_at_risk", str(2 * 400 * Decimal("1.25"))),)
    assert refused.reason == "day_budget"
    assert adjustment(book, owner, protect(19_960), DECISION, **asked).answer.accepted


def test_of_what_an_entry_without_a_stop_may_still_fill_a_new_stop_counts_too():
    """One of five has filled at 20000, declared are 40 ticks: a stop at 19910 may lose 50 ticks more of each."""
    entry = order_of(OrderState.PARTIAL, quantity=5, filled=1, type=OrderType.LIMIT, limit_price=20_000)
    asked: Any = {"seen": MES, "halt": "", "attaches": True}
    tick = Decimal("1.25")

    def said_to(day_loss: int) -> tuple[RiskDecision, Decimal, Decimal]:
        """The answer of an account with that limit, its worst case before, and how much that of the entry grew."""
        book, _ = book_of(entry, position=1, manifest=account(limits={"dayLoss": str(day_loss)}, **ALLOWED))
        book.last_prints[MES] = LastPrint(20_000, ns(600), 1)
        of_all, of_entry = (worst_case(book, held, [entry]) for held in (book.open_positions(), []))
        said = adjustment(book, book.strategies[NAME], protect(19_910), DECISION, **asked)
        book.orders = {**book.orders, **{order.client_id: order for order in said.orders}}
        return said.answer, of_all, worst_case(book, [], book.live_orders()) - of_entry

    answer, before, grown = said_to(2000)
    assert answer.accepted
    assert grown == 4 * 50 * tick  # of the four that may still fill
    needed = math.ceil(before + 5 * 50 * tick)
    assert said_to(needed)[0].accepted
    answer, _, grown = said_to(needed - 1)
    assert (answer.reason, answer.arithmetic) == ("day_budget", (("more_at_risk", str(5 * 50 * tick)),))
    assert not grown
