"""Where the tape stops changes nothing; nor does how the prints arrive, nor a restart in between."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.model.errors import InvalidInput
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg, client_order_id
from leadline.model.orders import (
    Bracket,
    OrderType,
    Replacement,
    Side,
    Trail,
    Trailing,
    VenueEvent,
    VenueOrder,
)
from leadline.model.ticks import TickColumns
from leadline.venue import matching
from leadline.venue.fill_rules import FillRule, FillRules
from leadline.venue.matching import PaperMarket
from tests.venue.reference import FillLine, Printed, Reference, at_the_market, merged

TAPES = (ContractId("A"), ContractId("B"))
END = 40


@st.composite
def tapes(draw: st.DrawFn) -> dict[ContractId, TickColumns]:
    """Up to forty prints on each of two contracts, close in price, many sharing a time."""
    found = {}
    for contract in TAPES:
        rows = draw(
            st.lists(
                st.tuples(
                    st.integers(1, END), st.integers(95, 105), st.integers(1, 4), st.sampled_from([-1, -1, 0, 1, 1])
                ),
                max_size=40,
            )
        )
        found[contract] = TickColumns.of(sorted(rows, key=lambda row: row[0]), draw(st.integers(0, 3)))
    return found


@dataclass(frozen=True)
class Instruction:
    """At an instant: an order, other terms for an earlier one, or its cancel."""

    at: int
    order: VenueOrder | None = None
    cancels: str = ""
    replaces: Replacement | None = None


PRICES = st.integers(95, 105)
TRAILS = st.builds(Trailing, PRICES, st.integers(1, 4))


@st.composite
def brackets(draw: st.DrawFn) -> Bracket:
    """Exits of every kind: a stop or none, a target or none, at a distance or a price, trailing or not."""
    stop, target = (draw(st.sampled_from(["none", "ticks", "ticks", "price"])) for _ in range(2))
    trail = Trail(draw(st.integers(0, 3)), draw(st.integers(1, 4))) if stop != "none" and draw(st.booleans()) else None
    return Bracket(
        stop_ticks=draw(st.integers(1, 4)) if stop == "ticks" else None,
        target_ticks=draw(st.integers(1, 4)) if target == "ticks" else None,
        stop_price=draw(PRICES) if stop == "price" else None,
        target_price=draw(PRICES) if target == "price" else None,
        trail=trail,
    )


@st.composite
def orders(draw: st.DrawFn, number: int, at: int) -> VenueOrder:
    """An order of any kind that makes sense."""
    kind = draw(st.sampled_from(OrderType))
    bracket = draw(st.one_of(st.none(), brackets()))
    trails = kind is OrderType.STOP and draw(st.booleans())
    return VenueOrder(
        client_id=ClientOrderId(f"o{number}"),
        contract=draw(st.sampled_from([ContractId("X"), ContractId("Y")])),
        tape_contract=draw(st.sampled_from(TAPES)),
        side=draw(st.sampled_from(Side)),
        type=kind,
        quantity=draw(st.integers(1, 4)),
        decided_at_ns=at,
        leg=Leg("E"),
        decision=DecisionId(f"d{number}"),
        limit_price=draw(PRICES) if kind in {OrderType.LIMIT, OrderType.STOP_LIMIT} else None,
        stop_price=draw(PRICES) if kind in {OrderType.STOP, OrderType.STOP_LIMIT} else None,
        bracket=bracket,
        trail=draw(TRAILS) if trails else None,
        valid_until_ns=draw(st.one_of(st.none(), st.integers(at + 1, END + 5))),
        reduce_only=draw(st.booleans()) if bracket is None else False,
    )


@st.composite
def replacements(draw: st.DrawFn, earlier: VenueOrder, at: int) -> Replacement:
    """Other terms, or the same ones, of an earlier order or of the exits of its first fill."""
    leg = draw(st.sampled_from(["", "", "S1", "T1"])) if earlier.bracket is not None else ""
    if leg:
        price, smaller = draw(st.one_of(st.none(), PRICES)), draw(st.one_of(st.none(), st.integers(1, 5)))
        return Replacement(
            client_order_id(earlier.decision, Leg(leg)),
            quantity=smaller,
            stop_price=price if leg == "S1" else None,
            limit_price=price if leg == "T1" else None,
            trail=draw(st.one_of(st.none(), TRAILS)) if leg == "S1" else None,
        )
    return Replacement(
        earlier.client_id,
        quantity=draw(st.one_of(st.none(), st.integers(1, 5))),
        limit_price=None if earlier.limit_price is None else draw(st.one_of(st.none(), PRICES)),
        stop_price=None if earlier.stop_price is None else draw(st.one_of(st.none(), PRICES)),
        trail=draw(st.one_of(st.none(), TRAILS)) if earlier.type is OrderType.STOP else None,
        valid_until_ns=draw(st.one_of(st.none(), st.integers(at + 1, END + 5))),
    )


@st.composite
def attached(draw: st.DrawFn, earlier: VenueOrder, number: int, at: int) -> VenueOrder:
    """A stop or a target for what an earlier order has filled, alone or a pair with its other one."""
    leg, other = draw(st.sampled_from([("S", "T"), ("T", "S")]))
    return VenueOrder(
        client_id=ClientOrderId(f"x{number}"),
        contract=earlier.contract,
        tape_contract=earlier.tape_contract,
        side=earlier.side.opposite,
        type=OrderType.STOP if leg == "S" else OrderType.LIMIT,
        quantity=draw(st.integers(1, 4)),
        decided_at_ns=at,
        leg=Leg(f"{leg}9"),
        decision=DecisionId(f"x{number}"),
        stop_price=draw(PRICES) if leg == "S" else None,
        limit_price=draw(PRICES) if leg == "T" else None,
        reduce_only=draw(st.booleans()),
        parent=earlier.client_id,
        oco=ClientOrderId(draw(st.sampled_from(["", client_order_id(earlier.decision, Leg(f"{other}1"))]))),
    )


@st.composite
def instructions(draw: st.DrawFn) -> list[Instruction]:
    """Orders of every kind, other terms and cancels, in the order of their instants."""
    found: list[Instruction] = []
    for number, at in enumerate(sorted(draw(st.lists(st.integers(0, END), min_size=1, max_size=8)))):
        earlier = [one.order for one in found if one.order is not None and not one.order.parent]
        what = draw(st.sampled_from(["order", "order", "order", "cancel", "replace", "attach"])) if earlier else "order"
        if what == "order":
            found.append(Instruction(at, draw(orders(number, at))))
        elif what == "attach":
            found.append(Instruction(at, draw(attached(draw(st.sampled_from(earlier)), number, at))))
        elif what == "cancel":
            found.append(Instruction(at, cancels=draw(st.sampled_from(earlier)).client_id))
        else:
            found.append(Instruction(at, replaces=draw(replacements(draw(st.sampled_from(earlier)), at))))
    return found


def carry_out(paper: PaperMarket, instruction: Instruction) -> None:
    known = {known.client_id: known for known in paper.orders()}
    if instruction.order is not None:
        if instruction.order.parent:
            with contextlib.suppress(InvalidInput):  # nothing of the entry has filled, or its exit has a pair
                paper.submit(instruction.order)
        else:
            paper.submit(instruction.order)
    elif instruction.replaces is not None:
        wanted = instruction.replaces
        order = known.get(wanted.client_id)
        if order is not None:
            at_market = order.parent and order.type is OrderType.MARKET
            paper.replace(at_the_market(wanted) if at_market else wanted)
    elif instruction.cancels in known:
        paper.cancel(ClientOrderId(instruction.cancels), "asked")


def undisturbed(
    rules: FillRules, prints: dict[ContractId, TickColumns], plan: list[Instruction]
) -> tuple[VenueEvent, ...]:
    """The run that stops only where it must."""
    paper = PaperMarket(rules, 0)
    for instruction in [*plan, Instruction(END + 1)]:
        while paper.instant_ns < instruction.at:
            paper.advance(prints, instruction.at)
        carry_out(paper, instruction)
    return paper.events_after(0)


RULES = st.builds(FillRules, st.sampled_from(FillRule), st.integers(0, 2), st.integers(0, 3))


@given(RULES, tapes(), instructions(), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_any_cut_of_the_tape_and_any_restart_gives_the_same_events(
    rules: FillRules, prints: dict[ContractId, TickColumns], plan: list[Instruction], seed: int
):
    chance = Random(seed)
    paper = PaperMarket(rules, 0)
    steps = []
    for instruction in [*plan, Instruction(END + 1)]:
        while paper.instant_ns < instruction.at:
            to = chance.randint(paper.instant_ns, instruction.at)
            cut = {}
            for contract, ticks in prints.items():
                known = int(ticks.time_ns.searchsorted(to, "right"))
                used = paper.marks[contract].last.source_index + 1 - ticks.first_index if contract in paper.marks else 0
                first = chance.randint(0, min(used, known))
                cut[contract] = ticks.slice(first, chance.randint(known, len(ticks)))
            before = paper.instant_ns
            advanced = paper.advance(cut, to)
            assert before <= advanced.instant_ns <= max(to, before)
            assert advanced.stopped or advanced.instant_ns == max(to, before)
            steps.append(paper.take_step())
            if chance.random() < 0.3:
                paper = PaperMarket(rules, 0)
                for step in steps:
                    paper.restore(step)
        carry_out(paper, instruction)
        steps.append(paper.take_step())
    assert paper.events_after(0) == undisturbed(rules, prints, plan)


@given(tapes(), instructions(), st.integers(0, 2), st.integers(0, 3), st.sampled_from([1, 3, matching.WINDOW_ROWS]))
@settings(max_examples=200, deadline=None)
def test_columns_fill_as_the_rules_read_print_by_print(
    prints: dict[ContractId, TickColumns], plan: list[Instruction], slippage: int, latency: int, window: int
):
    original = matching.WINDOW_ROWS
    matching.WINDOW_ROWS = window  # type: ignore[misc]
    try:
        events = undisturbed(FillRules(FillRule.PESSIMISTIC, slippage, latency), prints, plan)
    finally:
        matching.WINDOW_ROWS = original  # type: ignore[misc]
    assert lines_of(events) == by_hand(prints, plan, slippage, latency)


@st.composite
def protected_later(draw: st.DrawFn) -> list[Instruction]:
    """An entry with one exit that gets the other one later; by chance one of the two is taken out again."""
    stop = draw(st.booleans())
    own = Bracket(stop_ticks=draw(st.integers(3, 6))) if stop else Bracket(target_ticks=draw(st.integers(3, 6)))
    entry = replace(draw(orders(0, 0)), type=OrderType.MARKET, limit_price=None, stop_price=None, trail=None)
    entry = replace(entry, bracket=own, reduce_only=False, valid_until_ns=None, tape_contract=ContractId("A"))
    at, then = sorted(draw(st.tuples(st.integers(2, END), st.integers(2, END))))
    leg, pair = ("T", "S1") if stop else ("S", "T1")
    later = replace(draw(attached(entry, 1, at)), oco=client_order_id(entry.decision, Leg(pair)))
    kind = OrderType.LIMIT if stop else OrderType.STOP
    price = draw(PRICES)
    later = replace(
        later, leg=Leg(f"{leg}9"), type=kind, limit_price=price if stop else None, stop_price=None if stop else price
    )
    end = draw(
        st.sampled_from([Instruction(then, cancels=later.client_id), Instruction(then, cancels=later.oco), None])
    )
    return [Instruction(0, entry), Instruction(at, later), *([end] if end is not None else [])]


@given(tapes(), protected_later(), st.integers(0, 2), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_an_exit_that_comes_later_fills_as_the_rules_read(
    prints: dict[ContractId, TickColumns], plan: list[Instruction], slippage: int, latency: int
):
    events = undisturbed(FillRules(FillRule.PESSIMISTIC, slippage, latency), prints, plan)
    assert lines_of(events) == by_hand(prints, plan, slippage, latency)


def lines_of(events: Iterable[VenueEvent]) -> list[FillLine]:
    """The fills among the events."""
    fills = [event.fill for event in events if event.fill is not None]
    return [(fill.client_id, fill.quantity, fill.price, fill.time_ns, fill.source_index) for fill in fills]


def by_hand(
    prints: dict[ContractId, TickColumns], plan: list[Instruction], slippage: int, latency: int
) -> list[FillLine]:
    """The fills of the plain reference."""
    reference = Reference(slippage, latency)
    rest: list[Printed] = merged(prints)
    for instruction in [*plan, Instruction(END + 1)]:
        reference.feed(one for one in rest if one.time_ns <= instruction.at)
        rest = [one for one in rest if one.time_ns > instruction.at]
        if instruction.order is not None:
            (reference.attach if instruction.order.parent else reference.submit)(instruction.order)
        elif instruction.replaces is not None:
            reference.replace(instruction.replaces, instruction.at)
        else:
            reference.cancel(ClientOrderId(instruction.cancels))
    return reference.lines


@given(RULES, tapes(), instructions())
@settings(max_examples=100, deadline=None)
def test_filled_sizes_make_the_position_and_no_order_fills_more_than_it_asked(
    rules: FillRules, prints: dict[ContractId, TickColumns], plan: list[Instruction]
):
    events = undisturbed(rules, prints, plan)
    filled: dict[str, int] = {}
    position: dict[str, int] = {}
    for event in events:
        if event.fill is not None:
            filled[event.fill.client_id] = filled.get(event.fill.client_id, 0) + event.fill.quantity
            signed = event.fill.side.sign * event.fill.quantity
            position[event.fill.contract] = position.get(event.fill.contract, 0) + signed
        assert event.order.filled == filled.get(event.order.client_id, 0)
        assert event.order.filled <= event.order.quantity
        if event.fill is not None and event.order.reduce_only:
            assert position[event.fill.contract] * event.order.side.sign <= 0
