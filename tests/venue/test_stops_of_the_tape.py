"""Where the tape stops changes nothing; nor does how the prints arrive, nor a restart in between."""

from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.model.orders import OrderType, Side, VenueEvent, VenueOrder
from leadline.model.ticks import TickColumns
from leadline.venue import matching
from leadline.venue.matching import PaperMarket
from leadline.venue.rules import FillRule, FillRules
from tests.venue.reference import FillLine, Printed, Reference, merged

TAPES = ("A", "B")
END = 40


@st.composite
def tapes(draw: st.DrawFn) -> dict[str, TickColumns]:
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
    """At an instant: an order, or the cancel of an earlier one."""

    at: int
    order: VenueOrder | None
    cancels: str


@st.composite
def instructions(draw: st.DrawFn) -> list[Instruction]:
    """Orders of every kind, and cancels, in the order of their instants."""
    found = []
    for number, at in enumerate(sorted(draw(st.lists(st.integers(0, END), min_size=1, max_size=8)))):
        if number and draw(st.integers(0, 5)) == 0:
            found.append(Instruction(at, None, f"o{draw(st.integers(0, number - 1))}"))
            continue
        kind = draw(st.sampled_from(OrderType))
        bracket = draw(st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 4))))
        price = draw(st.integers(95, 105))
        found.append(
            Instruction(
                at,
                VenueOrder(
                    client_id=f"o{number}",
                    contract=draw(st.sampled_from(["X", "Y"])),
                    tape_contract=draw(st.sampled_from(TAPES)),
                    side=draw(st.sampled_from(Side)),
                    type=kind,
                    quantity=draw(st.integers(1, 4)),
                    decided_at_ns=at,
                    leg="E",
                    decision=f"d{number}",
                    limit_price=price if kind is OrderType.LIMIT else None,
                    stop_price=price if kind is OrderType.STOP else None,
                    stop_ticks=bracket[0] if bracket else None,
                    target_ticks=bracket[1] if bracket else None,
                    reduce_only=draw(st.booleans()) if bracket is None else False,
                ),
                "",
            )
        )
    return found


def carry_out(paper: PaperMarket, instruction: Instruction) -> None:
    if instruction.order is not None:
        paper.submit(instruction.order)
    elif instruction.cancels in {known.client_id for known in paper.orders()}:
        paper.cancel(instruction.cancels, "asked")


def undisturbed(rules: FillRules, prints: dict[str, TickColumns], plan: list[Instruction]) -> tuple[VenueEvent, ...]:
    """The run that stops only where it must."""
    paper = PaperMarket(rules, 0)
    for instruction in [*plan, Instruction(END + 1, None, "")]:
        while paper.instant_ns < instruction.at:
            paper.advance(prints, instruction.at)
        carry_out(paper, instruction)
    return paper.events_after(0)


RULES = st.builds(FillRules, st.sampled_from(FillRule), st.integers(0, 2), st.integers(0, 3))


@given(RULES, tapes(), instructions(), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_any_cut_of_the_tape_and_any_restart_gives_the_same_events(
    rules: FillRules, prints: dict[str, TickColumns], plan: list[Instruction], seed: int
):
    chance = Random(seed)
    paper = PaperMarket(rules, 0)
    steps = []
    for instruction in [*plan, Instruction(END + 1, None, "")]:
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
    prints: dict[str, TickColumns], plan: list[Instruction], slippage: int, latency: int, window: int
):
    original = matching.WINDOW_ROWS
    matching.WINDOW_ROWS = window  # type: ignore[misc]
    try:
        events = undisturbed(FillRules(FillRule.PESSIMISTIC, slippage, latency), prints, plan)
    finally:
        matching.WINDOW_ROWS = original  # type: ignore[misc]
    fills = [
        (event.fill.client_id, event.fill.quantity, event.fill.price, event.fill.time_ns, event.fill.source_index)
        for event in events
        if event.fill is not None
    ]
    assert fills == by_hand(prints, plan, slippage, latency)


def by_hand(prints: dict[str, TickColumns], plan: list[Instruction], slippage: int, latency: int) -> list[FillLine]:
    """The fills of the plain reference."""
    reference = Reference(slippage, latency)
    rest: list[Printed] = merged(prints)
    for instruction in [*plan, Instruction(END + 1, None, "")]:
        reference.feed(one for one in rest if one.time_ns <= instruction.at)
        rest = [one for one in rest if one.time_ns > instruction.at]
        if instruction.order is not None:
            reference.submit(instruction.order)
        else:
            reference.cancel(instruction.cancels)
    return reference.lines


@given(RULES, tapes(), instructions())
@settings(max_examples=100, deadline=None)
def test_filled_sizes_make_the_position_and_no_order_fills_more_than_it_asked(
    rules: FillRules, prints: dict[str, TickColumns], plan: list[Instruction]
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
