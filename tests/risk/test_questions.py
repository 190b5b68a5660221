"""What risk does with a question that somebody made up: an answer or the wrong field's name, and always at once."""

import random
from typing import Any

import pytest

from leadline.model.errors import InvalidInput
from leadline.risk.service import _answer
from leadline.risk.v1 import risk_pb2 as pb
from tests.risk.questions import HOSTILE_NUMBERS, HOSTILE_TEXTS, leaves, whole_inputs

LEAVES = [(path, text) for path, text, _ in leaves(whole_inputs())]
# What a bound number can make of the arithmetic: products of three of them, written out.
LONGEST_TERM = 120
LONGEST_REFUSAL = 1_000


def put(message: pb.DecisionInputs, path: str, value: Any) -> bool:
    """Put a value at a path; False when the field's type does not take it."""
    for found, _, place in leaves(message):
        if found == path:
            try:
                place(value)
            except (ValueError, TypeError):
                return False
            return True
    return False


def outcome(message: pb.DecisionInputs) -> str:
    """`answered`, or the field that risk refuses. Whatever else is raised is a fault."""
    try:
        decision = _answer("evaluate", message)
    except InvalidInput as refused:
        return refused.field if len(str(refused)) < LONGEST_REFUSAL else str(refused)
    assert all(len(term.value) <= LONGEST_TERM for term in decision.arithmetic)
    return "answered"


def test_the_whole_question_is_answered_with_an_order():
    assert outcome(whole_inputs()) == "answered"
    assert _answer("evaluate", whole_inputs()).accepted
    assert len(LEAVES) > 80


@pytest.mark.parametrize(("path", "text"), LEAVES, ids=[path for path, _ in LEAVES])
def test_no_value_of_a_single_field_breaks_risk_or_keeps_it_busy(path: str, text: bool):
    for value in HOSTILE_TEXTS if text else HOSTILE_NUMBERS:
        message = whole_inputs()
        if put(message, path, value):
            outcome(message)


def test_no_mixture_of_values_breaks_risk_or_keeps_it_busy():
    chance = random.Random(20250610)
    found = set()
    for _ in range(3_000):
        message = whole_inputs()
        for path, text in chance.sample(LEAVES, chance.randint(1, 4)):
            put(message, path, chance.choice(HOSTILE_TEXTS if text else HOSTILE_NUMBERS))
        found.add(outcome(message))
    assert "answered" in found
    assert len(found) > 40


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("account.equity_at_roll", "NaN"),
        ("account.worst_case", "1E+999999"),
        ("account.worst_case", "-1"),
        ("account.trading_day", "yesterday"),
        ("strategy.session_zone", "../../etc/passwd"),
        ("strategy.session_zone", "Mars/Olympus"),
        ("strategy.bracket.stop_ticks", -3),
        ("strategy.bracket.stop_ticks", 0),
        ("strategy.entry_type", "STOP_LIMIT"),
        ("strategy.entry_type", "Iceberg"),
        ("strategy.valid_for_ns", 0),
        ("strategy.slippage_ticks", -1),
        ("strategy.sizing_mode", "Martingale"),
        ("strategy.state", "running"),
        ("bar.signals[0].direction", 0),
        ("bar.signals[0].direction", 99),
        ("bar.signals[0].strength", "sNaN"),
        ("bar.signals[0].strength", "1.000001"),
        ("bar.regime.regime", "SIDEWAYS"),
        ("bar.regime.multiplier", "1E+999999"),
        ("instant_ns", -1),
    ],
)
def test_a_field_that_is_out_of_bounds_is_named(path: str, value: Any):
    message = whole_inputs()
    assert put(message, path, value)
    assert outcome(message) == path


def test_a_contract_whose_tick_is_worth_nothing_is_named():
    message = whole_inputs()
    message.strategy.execute[0].tick_value = "0"
    assert outcome(message) == "strategy.execute[0].tick_value"


def test_a_block_of_the_day_that_nobody_knows_is_named():
    message = whole_inputs()
    message.account.block = "TEA"
    assert outcome(message) == "account.block"


def test_a_block_that_ends_when_it_begins_is_named():
    message = whole_inputs()
    message.strategy.blocks[0].to = getattr(message.strategy.blocks[0], "from")
    assert outcome(message) == "strategy.blocks[0].to"


def test_more_items_than_any_manifest_has_are_refused():
    message = whole_inputs()
    message.bar.signals.extend([message.bar.signals[0]] * 256)
    assert outcome(message) == "bar.signals"
