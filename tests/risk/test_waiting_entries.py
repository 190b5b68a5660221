"""Entries that wait for their price: where they lie, how long they work, and how far they may lie away."""

from dataclasses import replace

import pytest

from leadline.model.orders import Bracket, OrderType, Trail
from leadline.model.signals import Pattern, Regime
from leadline.risk.convert import decision_from_proto, decision_to_proto, inputs_from_proto, inputs_to_proto
from leadline.risk.decide import decide
from leadline.risk.limits import order_refusal
from leadline.risk.reasons import Reason
from leadline.risk.view import RiskDecision, StrategySettings
from tests.risk.builders import (
    CLOSE,
    CLOSED_AT,
    ES,
    MES,
    MINUTE,
    NOW,
    OPEN,
    TWO_LONGS,
    account,
    ask,
    bar,
    entry,
    signal,
    strategy,
)

LIMIT, STOP = OrderType.LIMIT, OrderType.STOP


def waiting(kind: OrderType = LIMIT, offset: int = 3, **changes: object) -> StrategySettings:
    return strategy(entry_type=kind, entry_offset=offset, **changes)


def answer(settings: StrategySettings, *, short: bool = False) -> RiskDecision:
    said = bar((signal(Pattern.SELLING_ABSORPTION),) if short else TWO_LONGS, Regime.RANGING)
    return decide(ask(account(), settings, said))


@pytest.mark.parametrize(
    ("kind", "short", "price"),
    [
        (LIMIT, False, CLOSED_AT - 3),
        (LIMIT, True, CLOSED_AT + 3),
        (STOP, False, CLOSED_AT + 3),
        (STOP, True, CLOSED_AT - 3),
    ],
)
def test_a_limit_lies_on_the_better_side_of_the_close_and_a_stop_beyond_it(kind: OrderType, short: bool, price: int):
    found = answer(waiting(kind), short=short)
    assert (found.accepted, found.type, found.price) == (True, kind, price)


def test_an_entry_at_the_market_has_neither_price_nor_end():
    found = answer(strategy())
    assert (found.type, found.price, found.valid_until_ns) == (OrderType.MARKET, None, None)


def test_it_works_for_its_own_time_and_never_longer_than_entries_are_allowed():
    ends = {
        "day": (waiting(), CLOSE - 15 * MINUTE),
        "its own time": (waiting(valid_for_ns=10 * MINUTE), NOW + 10 * MINUTE),
        "the window": (waiting(valid_for_ns=1000 * MINUTE), CLOSE - 15 * MINUTE),
        "a block": (waiting(blocks=(("11:00", "12:00"), ("12:30", "13:00"))), NOW + 25 * MINUTE),
        "news": (waiting(news=((NOW - 5, NOW - 1), (NOW + MINUTE, NOW + 2 * MINUTE))), NOW + MINUTE),
        "a session that never closes": (waiting(before_close_ns=None), CLOSE),
    }
    assert {name: answer(settings).valid_until_ns for name, (settings, _) in ends.items()} == {
        name: end for name, (_, end) in ends.items()
    }


def test_a_block_that_is_over_for_today_comes_again_tomorrow():
    settings = waiting(before_close_ns=None, blocks=(("10:00", "10:30"),), valid_for_ns=5000 * MINUTE)
    assert answer(settings).valid_until_ns == NOW + (24 * 60 - 35) * MINUTE


def test_where_no_session_closes_the_day_s_last_bar_is_entered_on_the_next_and_works_for_that_day():
    settings, said = waiting(before_close_ns=None, after_open_ns=0), bar(TWO_LONGS, Regime.RANGING)
    ends = [decide(ask(account(), settings, said, CLOSE + late)).valid_until_ns for late in (-1, 0, 2)]
    assert ends == [CLOSE, CLOSE + (CLOSE - OPEN), CLOSE + (CLOSE - OPEN)]


def test_a_price_further_from_the_market_than_the_collar_is_refused():
    assert answer(waiting(offset=20)).accepted
    refused = answer(waiting(offset=21))
    assert (refused.accepted, refused.reason) == (False, "price_collar")


def test_question_and_answer_survive_the_wire():
    settings = waiting(STOP, valid_for_ns=5, bracket=Bracket(16, None, trail=Trail(0, 4)), execute=(MES, ES))
    asked = ask(account(), settings)
    assert inputs_from_proto(inputs_to_proto(asked)) == asked
    for settings in (waiting(STOP, bracket=Bracket(16, None, trail=Trail(0, 4))), strategy()):
        found = answer(settings)
        assert decision_from_proto(decision_to_proto(found)) == found


@pytest.mark.parametrize(("away", "reason"), [(20, None), (21, "price_collar"), (-20, None), (-21, "price_collar")])
def test_the_transaction_asks_for_the_collar_of_the_entry_s_own_price(away: int, reason: str | None):
    wanted = replace(entry(), price=CLOSED_AT + away)
    own = ask(account(), waiting()).strategy
    found = order_refusal(account(), own, own.execute[0], wanted)
    assert (None if found is None else found.value) == reason


def test_what_stands_against_every_entry_is_told_before_its_price():
    own = ask(account(), waiting()).strategy
    halted = account(halt="a person")
    assert order_refusal(halted, own, own.execute[0], replace(entry(), price=0)) is Reason.HALTED
