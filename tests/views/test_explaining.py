"""What is told of a decision, from plain facts."""

from dataclasses import replace

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.ids import DecisionId, Leg, StrategyId
from leadline.risk.reasons import Reason
from leadline.views.explaining import (
    Asked,
    AuditEvent,
    DecisionFacts,
    asked_of,
    bounds_of,
    explained_decision,
    halts_at,
    trade_of,
)
from leadline.views.halts import ReportedHalt
from leadline.views.refusals import REFUSAL_WORDS
from tests.execution.harness.builders import MES, ns
from tests.report.builders import LOST, WON
from tests.views.explained import ENTRY, FACTS, FILLED, PROPOSAL, REFUSED, SENT, TAKEN


def summary(facts: DecisionFacts) -> str:
    return explained_decision(facts).summary


def test_an_accepted_decision_says_what_was_bought_and_what_it_came_to():
    assert summary(FACTS) == f"Accepted: buy 2 {MES} at the market; filled at 5000.25."
    closed = replace(FACTS, trade=WON)
    assert summary(closed).endswith("filled at 5000.25; closed by target, net +55.00.")


def test_an_entry_that_did_not_fill_says_why():
    dead = replace(ENTRY, filled=0, state="CANCELLED", reason="first_fill", average_price="")
    part = replace(ENTRY, filled=1, state="WORKING")
    assert summary(replace(FACTS, orders=(dead,))).endswith("cancelled without a fill (first fill).")
    assert summary(replace(FACTS, orders=(part,))).endswith("1 of 2 filled at 5000.25.")
    waits = replace(ENTRY, filled=0, state="WORKING", average_price="")
    assert summary(replace(FACTS, orders=(waits,))).endswith("working, no fill yet.")


def test_an_entry_that_waits_for_a_price_says_the_price():
    waiting = replace(TAKEN, type="LIMIT", price="4999.50")
    assert summary(replace(FACTS, proposal=replace(PROPOSAL, decision=waiting), orders=())) == (
        f"Accepted: buy 2 {MES}, limit 4999.50."
    )


def test_a_refusal_begins_with_its_reason_in_words():
    refused = replace(PROPOSAL, decision=REFUSED)
    assert summary(DecisionFacts(refused)) == "Refused: as many trades are open as the account allows."
    assert summary(DecisionFacts(replace(PROPOSAL, decision=None))) == "The account has not decided on it yet."


def test_an_order_that_nobody_proposed_is_told_as_that():
    foreign = replace(ENTRY, leg=Leg("X"))
    assert summary(DecisionFacts(None, orders=(foreign,))) == (
        f"No decision of a strategy made this: order of somebody else, buy 2 {MES}, filled."
    )


def test_every_reason_has_a_sentence_that_ends_without_a_full_stop():
    assert set(REFUSAL_WORDS) == set(Reason)
    assert [words for words in REFUSAL_WORDS.values() if words[0].isupper() or words.endswith(".")] == []


def test_the_bound_of_a_size_is_the_smallest_term():
    arithmetic = {
        "scaled": "3",
        "tier_max": "3",
        "free_position": "2",
        "max_size": "2",
        "budget_size": "5",
        "size": "2",
    }
    bounds = bounds_of(arithmetic)
    assert [each.name for each in bounds if each.binds] == ["free_position"]
    assert [each.name for each in bounds] == ["scaled", "tier_max", "free_position", "max_size", "budget_size"]
    assert bounds_of({}) == ()
    assert bounds_of({"error": "a number is none"}) == ()


def test_steps_have_the_time_between_them():
    events = (
        AuditEvent(7, "decision", "d1", ns(600), {"accepted": True, "reason": ""}),
        AuditEvent(8, "order", "L1", ns(600), SENT),
        AuditEvent(9, "fill", "f1", ns(602), FILLED),
        AuditEvent(10, "position", "p", ns(602), {}),
    )
    steps = explained_decision(replace(FACTS, events=events)).steps
    assert [(step.kind, step.after_ns, step.state, step.text) for step in steps] == [
        ("BAR_ENDED", None, "", "the bar ended"),
        ("BAR_KNOWN", 1_000_000_000, "", "the bar was known"),
        ("DECISION", 0, "ACCEPTED", "accepted"),
        ("ORDER", 0, "SENDING", "entry: buy 2 market, sending"),
        ("FILL", 1_000_000_000, "", "entry: buy 2 at 5000.25, commission 2.50"),
    ]
    assert [step.client_id for step in steps] == ["", "", "", "L1", "L1"]


def test_without_an_event_the_decision_itself_is_a_step():
    steps = explained_decision(FACTS).steps
    assert [(step.kind, step.state) for step in steps] == [
        ("BAR_ENDED", ""),
        ("BAR_KNOWN", ""),
        ("DECISION", "ACCEPTED"),
    ]


def test_the_trade_of_an_addition_is_the_one_that_it_fell_into():
    opener = replace(WON, decision_id=DecisionId("d0"))
    assert trade_of([LOST, opener], "d0", [], "") is opener
    assert trade_of([LOST, opener], "d1", [WON.entry_ns + 5], MES) is opener
    assert trade_of([LOST, opener], "d1", [LOST.exit_ns + 5], MES) is None


def test_halts_in_force_are_those_between_whose_events_the_decision_lies():
    early, late, before, now = (ReportedHalt(number, "PERSON", "news", "ann", 1) for number in (1, 2, 3, 4))
    told = {(1, 1): 3, (1, 2): 9, (2, 1): 12, (3, 2): 5}
    assert halts_at(7, [early, late], told) == (early,)
    assert halts_at(10, [early, late], told) == ()
    assert halts_at(4, [before], told) == (before,)
    assert halts_at(6, [before], told) == ()
    assert halts_at(None, [replace(early, cleared_at_ns=5), now], {}) == (now,)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("Lx552b34vsqtjfsbf", "UTC", Asked("Lx552b34vsqtjfsbf")),
        ("a/b/c/d/6", "UTC", Asked("a/b/c/d/6", "a/b/c/d/6")),
        ("a/b/c/d/6#2", "UTC", Asked("a/b/c/d/6#2", "a/b/c/d/6", "a/b/c/d/6#2")),
        (
            "mes@2025-06-10 09:30:00",
            "America/New_York",
            Asked("mes@2025-06-10 09:30:00", strategy=StrategyId("default/mes"), at_ns=ns(0)),
        ),
        (
            "shop/mes@2025-06-10T13:30:00+00:00",
            "America/New_York",
            Asked("shop/mes@2025-06-10T13:30:00+00:00", strategy=StrategyId("shop/mes"), at_ns=ns(0)),
        ),
    ],
)  # fmt: skip
def test_an_id_says_its_kind(text: str, zone: str, expected: Asked):
    assert asked_of(text, zone) == expected


def test_a_strategy_at_no_time_is_refused():
    with pytest.raises(InvalidInput, match="ID: got 'mes@noon', expected a time after the @"):
        asked_of("mes@noon", "UTC")
