"""The oracle of the chaos runs sees what it is there for: each way in which a book can be wrong is planted once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from leadline.model.ids import ClientOrderId, DecisionId, FillId, Leg, RunId
from leadline.model.orders import OrderState, VenueEvent
from leadline.venue.history import Step
from leadline.venue.ledger import Ledger
from leadline.venue.matching import PaperMarket
from tests.chaos.__main__ import chosen
from tests.chaos.book_side import BookedFill, BookSide, Intent
from tests.chaos.faults import all_faults
from tests.chaos.oracle import differences, unsettled
from tests.chaos.recovery import percentile
from tests.chaos.runner import schedule
from tests.chaos.venue_side import LedgerReader, VenueSide
from tests.venue.builders import MES, SELL, market, ns, order, tape

PRINTS = tape([(1, 20000, 4), (2, 20001, 4), (3, 20010, 9), (4, 20010, 9, SELL)])


def steps_of_a_day(until: float = 2) -> tuple[PaperMarket, list[Step]]:
    """An entry of two that rests behind its stop, and one that works."""
    paper = market(slippage=0)
    paper.submit(order(ClientOrderId("in"), quantity=2, bracket=(8, 8)))
    paper.submit(order(ClientOrderId("waits"), limit=19000))
    steps = [paper.take_step()]
    while paper.instant_ns < ns(until):
        paper.advance({MES: PRINTS}, ns(until))
        steps.append(paper.take_step())
    return paper, steps


def venue_of(steps: list[Step]) -> VenueSide:
    side = VenueSide()
    for step in steps:
        side.take(step.events)
    return side


def book_of(side: VenueSide) -> BookSide:
    """The book of an account that has booked all of it, and has sent all of it."""
    book = BookSide(venue_event=side.last_event, instant_ns=0)
    orders, book.positions = side.state_at(side.last_event)
    for name, each in orders.items():
        values = (each.leg, each.contract, each.side, each.quantity, each.filled, each.state, each.reason, 1)
        book.intents[name] = Intent(name, *values)
    for event in side.events:
        if (fill := event.fill) is not None:
            said = (fill.contract, fill.side, fill.quantity, fill.price, fill.k, event.event)
            book.fills[fill.fill_id] = BookedFill(fill.fill_id, fill.client_id, *said)
    return book


def kinds(side: VenueSide, book: BookSide) -> set[str]:
    return {wrong.kind for wrong in differences("a", side, book)}


def test_a_book_that_is_the_venues_is_right_and_may_be_behind_it():
    _, steps = steps_of_a_day(5)
    side = venue_of(steps)
    assert kinds(side, book_of(side)) == set()
    # A book that has come to an earlier event is compared with the venue as it was then.
    for number in range(len(steps)):
        earlier = venue_of(steps[: number + 1])
        behind = book_of(earlier)
        assert kinds(side, behind) == set(), number


def first_fill(book: BookSide) -> BookedFill:
    return next(iter(book.fills.values()))


PLANTED: dict[str, Callable[[BookSide], object]] = {
    "lost": lambda book: book.fills.pop(first_fill(book).fill_id),
    "fill": lambda book: book.fills.update({first_fill(book).fill_id: replace(first_fill(book), price=1)}),
    "invented": lambda book: book.fills.update(again=replace(first_fill(book), fill_id="again")),
    "position": lambda book: book.positions.update({MES: 3}),
    "unknown": lambda book: book.intents.pop("waits"),
    "filled": lambda book: book.intents.update(waits=replace(book.intents["waits"], filled=1)),
    "state": lambda book: book.intents.update(waits=replace(book.intents["waits"], state=OrderState.CANCELLED)),
    "halt": lambda book: book.halts.append("DIFFERENCE: why"),
    "audit": lambda book: book.audit.append("a hole"),
    "ledger": lambda book: setattr(book, "venue_event", 99),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_each_fault_of_a_book_is_seen(kind: str):
    _, steps = steps_of_a_day()
    side = venue_of(steps)
    book = book_of(side)
    PLANTED[kind](book)
    assert kind in kinds(side, book)


def test_an_order_that_the_venue_never_had_may_be_in_doubt_or_given_up_and_nothing_else():
    _, steps = steps_of_a_day()
    side = venue_of(steps)
    book = book_of(side)
    for state, expected in ((OrderState.UNKNOWN, set()), (OrderState.DEAD, set()), (OrderState.WORKING, {"state"})):
        book.intents["gone"] = replace(book.intents["waits"], client_id="gone", state=state)
        assert kinds(side, book) == expected
    book.intents["gone"] = replace(book.intents["gone"], state=OrderState.UNKNOWN)
    assert [wrong.kind for wrong in unsettled("a", book, book)] == ["unsettled"]
    moved = BookSide(intents={"gone": replace(book.intents["gone"], version=2)})
    assert unsettled("a", book, moved) == []


def test_a_second_entry_of_a_decision_and_an_exit_that_turns_a_position_round_are_seen():
    _, steps = steps_of_a_day()
    side = venue_of(steps)
    twice = replace(side.orders[ClientOrderId("in")], client_id=ClientOrderId("in again"))
    side.take([VenueEvent(side.last_event + 1, ns(3), twice)])
    stop = next(each for each in side.orders.values() if each.leg == Leg("S1"))
    filled = next(event.fill for event in side.events if event.fill is not None)
    sold = replace(filled, fill_id=FillId("x"), client_id=stop.client_id, side=stop.side, quantity=5)
    side.take([VenueEvent(side.last_event + 1, ns(3), replace(stop, state=OrderState.FILLED), sold)])
    assert [text.partition(":")[0] for text in side.wrong] == ["duplicate", "crossed"]


def test_time_without_a_stop_is_measured_to_the_event_that_brings_it():
    _, steps = steps_of_a_day()
    events = [event for step in steps for event in step.events]
    side = VenueSide()
    side.take(events)
    stop = next(each for each in side.orders.values() if each.leg == Leg("S1"))
    assert side.bare.stretches == []
    side.take([VenueEvent(side.last_event + 1, ns(10), replace(stop, state=OrderState.CANCELLED))])
    assert side.bare.longest_after(0, ns(14)) == ns(4)
    other = replace(stop, client_id=ClientOrderId("S again"), decision=DecisionId("d"), oco=ClientOrderId(""))
    side.take([VenueEvent(side.last_event + 1, ns(12), other)])
    assert side.bare.longest_after(0, ns(14)) == ns(2)
    assert side.bare.longest_after(ns(13), ns(14)) == 0


def test_a_ledger_is_followed_while_it_is_written_and_when_it_is_written_anew(tmp_path: Path):
    paper, steps = steps_of_a_day(5)
    reader = LedgerReader(tmp_path / "ledger")
    assert reader.read().last_event == 0
    ledger = Ledger.open(tmp_path, RunId("live"))
    written: list[VenueEvent] = []
    for step in steps:
        ledger.append(step)
        written += step.events
        assert reader.read().events == written
    ledger.rewrite(paper.forget(paper.last_event, ns(100)))
    paper.submit(order(ClientOrderId("more"), at=6))
    ledger.append(paper.take_step())
    side = reader.read()
    assert (side.last_event, side.wrong) == (paper.last_event, [])
    with (tmp_path / "ledger").open("ab") as file:
        file.write(b"half a record")
    assert reader.read().last_event == paper.last_event
    ledger.close()


def test_a_schedule_has_every_fault_as_often_as_it_was_asked_for():
    faults = chosen("kill-*,rival")
    drawn = [fault.name for fault in schedule(faults, 3, Random(1))]
    assert sorted(drawn) == sorted([fault.name for fault in faults] * 3)
    assert drawn != sorted(drawn)
    assert set(all_faults()) > {fault.name for fault in faults}
    with pytest.raises(SystemExit, match="--faults nothing: expected some of kill-"):
        chosen("nothing")


def test_percentiles_are_values_that_were_measured():
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 201)], 0.99) == 198.0
    assert percentile([5.0], 0.99) == 5.0
