"""The market on a tape that is live: prints match as they come, and what is long ended is forgotten."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.model.errors import InvalidInput
from leadline.model.ids import ENTRY, ClientOrderId, ContractId, Leg, RunId
from leadline.model.orders import VenueEvent
from leadline.model.ticks import TickColumns
from leadline.venue.fill_rules import FillRules
from leadline.venue.history import whole_instants
from leadline.venue.ledger import FILE_NAME, Ledger
from leadline.venue.live import comes_late
from leadline.venue.matching import PaperMarket
from tests.venue.builders import ES, MES, SELL, market, ns, order, tape
from tests.venue.test_stops_of_the_tape import (
    END,
    RULES,
    TAPES,
    Instruction,
    carry_out,
    instructions,
    tapes,
    undisturbed,
)

ONE = TAPES[0]


@given(RULES, tapes(), instructions(), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_prints_that_come_in_any_parts_match_as_in_a_replay(
    rules: FillRules, prints: dict[ContractId, TickColumns], plan: list[Instruction], seed: int
):
    """Of one tape: of several each has its own time. By chance the ledger is written anew meanwhile."""
    plan = [one if one.order is None else replace(one, order=replace(one.order, tape_contract=ONE)) for one in plan]
    chance, ticks = Random(seed), prints[ONE]
    paper, at = PaperMarket(rules, 0), 0
    for instruction in [*plan, Instruction(END + 1)]:
        known = int(ticks.time_ns.searchsorted(instruction.at, "right"))
        while at < known:
            begin, end = chance.randint(0, at), chance.randint(at, known)
            # What has come is complete up to before the next print, which may share the last one's time.
            following_ns = int(ticks.time_ns[end]) - 1 if end < len(ticks) else instruction.at
            paper.arrive(ONE, ticks.slice(begin, end), min(following_ns, instruction.at))
            at = max(at, end)
            if chance.random() < 0.3:
                kept = paper.forget(0, 0)
                paper = PaperMarket(rules, 0)
                paper.restore_kept(kept)
        paper.arrive(ONE, ticks.slice(at, at), instruction.at)
        paper.clock(instruction.at)
        carry_out(paper, instruction)
    assert paper.events_after(0) == undisturbed(rules, prints, plan)


def fills(events: tuple[VenueEvent, ...]) -> list[tuple[str, int, int]]:
    found = [event.fill for event in events if event.fill is not None]
    return [(fill.client_id, fill.price, fill.time_ns) for fill in found]


def test_a_contract_waits_for_no_other():
    paper = market()
    paper.arrive(ES, tape([(5, 20_000)]), ns(5))
    paper.submit(order(at=1))
    assert fills(paper.arrive(MES, tape([(2, 20_000, 1, SELL)]), ns(2))) == [("E1", 20_001, ns(2))]
    assert paper.instant_ns == ns(5)


def test_an_order_that_comes_after_a_print_does_not_match_it():
    paper = market()
    paper.arrive(MES, tape([(2, 20_000)]), ns(2))
    paper.submit(order(at=1))
    assert paper.arrive(MES, tape([(2, 20_000)]), ns(2)) == ()
    assert fills(paper.arrive(MES, tape([(3, 20_010)], 1), ns(3))) == [("E1", 20_011, ns(3))]


def test_prints_are_not_skipped_but_on_purpose():
    paper = market()
    paper.arrive(MES, tape([(2, 20_000)]), ns(2))
    with pytest.raises(InvalidInput, match="first_index"):
        paper.arrive(MES, tape([(3, 20_000)], 5), ns(3))
    paper.skip(MES, 4)
    paper.skip(MES, 2)
    paper.arrive(MES, tape([(3, 20_000)], 5), ns(3))
    assert paper.marks[MES].last.source_index == 5


def test_a_source_that_gives_its_numbers_again_is_followed():
    paper = market()
    paper.arrive(MES, tape([(2, 20_000)], 50), ns(2))
    paper.submit(order(at=2))
    assert paper.arrive(MES, tape([(3, 20_000)], 40), ns(3)) == ()  # taken for a print that was matched
    paper.number_anew(MES, 40)
    assert fills(paper.arrive(MES, tape([(3, 20_000)], 40), ns(3))) == [("E1", 20_001, ns(3))]


def test_time_alone_ends_an_order_of_its_own_tape():
    paper = market()
    paper.submit(order(limit=19_000, until=10))
    paper.submit(order(ClientOrderId("E2"), limit=19_000, until=10, tape_contract=ES))
    assert paper.arrive(MES, TickColumns.empty(), ns(9)) == ()
    [event] = paper.arrive(MES, TickColumns.empty(), ns(12))
    assert (event.order.client_id, event.order.state, event.instant_ns) == ("E1", "EXPIRED", ns(10))


@pytest.mark.parametrize(
    ("leg", "age_s", "rate", "late"),
    [
        (ENTRY, 3.9, 1, False),
        (ENTRY, 4.1, 1, True),
        (ENTRY, 110, 30, False),
        (ENTRY, 130, 30, True),
        (Leg("F1"), 60, 1, False),
        (Leg("S1"), 60, 1, False),
    ],
)
def test_an_entry_that_was_on_its_way_for_long_is_not_taken_and_an_exit_is(
    leg: Leg, age_s: float, rate: int, late: bool
):
    found = comes_late(replace(order(at=10), leg=leg), ns(10) + round(age_s * 1e9), rate)
    assert bool(found) is late


def week(paper: PaperMarket) -> None:
    """A trade that has ended, one that is held behind its exits, and an entry that works: one a day."""
    paper.submit(order(at=1, bracket=(16, 24)))
    paper.arrive(MES, tape([(2, 20_000), (3, 20_030)]), ns(3))
    paper.submit(order(ClientOrderId("E2"), at=100, bracket=(16, 24), contract=ES, tape_contract=MES))
    paper.arrive(MES, tape([(102, 20_000)], 2), ns(102))
    paper.clock(ns(200))
    paper.submit(order(ClientOrderId("E3"), at=200, limit=19_000))
    paper.arrive(MES, tape([(202, 20_000)], 3), ns(202))


def test_what_is_long_ended_and_booked_is_forgotten_and_nothing_else():
    paper = market()
    week(paper)
    ended = [one.client_id for one in paper.orders() if one.state.terminal and one.contract == MES]
    assert len(ended) == 3
    last = paper.last_event
    paper.forget(0, ns(150))  # nothing is booked yet
    assert (paper.forgotten_event, len(paper.orders())) == (0, 7)
    paper.forget(last, ns(150))
    assert not {one.client_id for one in paper.orders()} & set(ended)
    assert [one.state for one in paper.orders()] == ["FILLED", "WORKING", "WORKING", "WORKING"]
    assert paper.positions() == {ES: 1}
    assert paper.last_event == last
    assert [event.event for event in paper.events_after(paper.forgotten_event)] == [last]
    with pytest.raises(InvalidInput, match="after_event"):
        paper.events_after(paper.forgotten_event - 1)


def test_a_past_is_forgotten_again_and_again_to_nothing():
    paper = market()
    week(paper)
    kept = paper.forget(paper.last_event, ns(150))
    assert (kept.fills, kept.positions, kept.tapes) == ({"E2": 1}, {ES: 1}, {ES: MES})
    paper.arrive(MES, tape([(302, 20_030)], 4), ns(302))
    paper.cancel(ClientOrderId("E3"), "enough")
    last = paper.last_event
    still = paper.forget(last, ns(302))
    assert (set(still.step.marks), [event.order.leg for event in still.events]) == ({MES}, ["T1", "S1", "E"])
    gone = paper.forget(last, ns(500))
    assert (gone.before, gone.events, gone.orders) == (last, (), ())
    assert (gone.fills, gone.positions, gone.tapes, gone.step.marks) == ({}, {}, {}, {})
    paper.submit(order(ClientOrderId("E4"), at=600, limit=19_000))
    assert [event.event for event in paper.events_after(last)] == [last + 1]


def test_a_fill_is_told_together_with_the_exits_that_it_makes():
    paper = market()
    paper.submit(order(bracket=(4, 8)))
    paper.submit(order(ClientOrderId("E2"), bracket=(4, 8), at=20))
    paper.arrive(MES, tape([(1, 20_000), (21, 20_001)]), ns(30))
    events = paper.events_after(0)
    assert [str(event.order.leg) for event in events] == ["E", "E", "E", "S1", "T1", "E", "S1", "T1"]
    assert [len(whole_instants(events, most)) for most in range(1, 10)] == [2, 2, 5, 5, 5, 8, 8, 8, 8]
    assert whole_instants(events, 3) == events[:5]


def test_a_ledger_that_was_written_anew_makes_the_same_market(tmp_path: Path):
    paper = market()
    ledger = Ledger.open(tmp_path, RunId("live"))
    week(paper)
    ledger.append(paper.take_step())
    before = (tmp_path / FILE_NAME).stat().st_size
    ledger.rewrite(paper.forget(paper.last_event, ns(150)))
    assert ledger.size_bytes < before
    paper.arrive(MES, tape([(203, 20_010)], 4), ns(203))
    ledger.append(paper.take_step())
    ledger.close()

    ledger, again = Ledger.open(tmp_path, RunId("live")), market()
    kept = ledger.kept()
    assert kept is not None
    again.restore_kept(kept)
    for step in ledger.steps():
        again.restore(step)
    ledger.close()
    since = paper.forgotten_event
    assert again.events_after(since) == paper.events_after(since)
    assert (again.orders(), again.positions(), again.marks) == (paper.orders(), paper.positions(), paper.marks)
    following = tape([(204, 20_030)], 5)
    assert again.arrive(MES, following, ns(204)) == paper.arrive(MES, following, ns(204)) != ()
