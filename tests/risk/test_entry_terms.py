"""An entry on terms of its strategy's own: price, exits and size of the proposal, within the manifest's bounds."""

from dataclasses import replace
from typing import Any

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.orders import Bracket, OrderType, Side, Trail
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from leadline.risk.convert import inputs_from_proto, inputs_to_proto
from leadline.risk.decide import decide
from leadline.risk.entry_terms import worst_price
from leadline.risk.limits import order_refusal
from leadline.risk.view import AccountLimits, Entry, RiskDecision
from tests.risk.builders import CLOSE, CLOSED_AT, ES, MINUTE, NOW, OPEN, D, account, ask, bar, strategy

LONG, SHORT = Direction.LONG, Direction.SHORT
BRACKET = Bracket(stop_price=CLOSED_AT - 8, target_price=CLOSED_AT + 12)


def enter(direction: Direction = LONG, **terms: object) -> Proposal:
    return Proposal(Action.ENTER, direction, **terms)  # type: ignore[arg-type]


def answer(proposal: Proposal, what: BarSignals | None = None, **changes: object) -> RiskDecision:
    return decide(ask(account("5200"), strategy(**changes), what, proposal=proposal))


def test_without_terms_of_its_own_an_entry_has_the_manifest_s():
    found = answer(enter(), entry_type=OrderType.LIMIT, entry_offset=3)
    assert (found.type, found.price, found.bracket) == (OrderType.LIMIT, CLOSED_AT - 3, Bracket(16, 24))


@pytest.mark.parametrize(("kind", "price"), [(OrderType.STOP, CLOSED_AT + 9), (OrderType.LIMIT, CLOSED_AT - 9)])
def test_a_price_of_its_own_stands_in_place_of_the_manifest_s_entry(kind: OrderType, price: int):
    found = answer(enter(entry=EntryTerms(kind, price, MINUTE)), entry_type=OrderType.LIMIT, entry_offset=3)
    assert (found.accepted, found.type, found.price) == (True, kind, price)
    assert found.valid_until_ns == NOW + MINUTE
    at_the_market = answer(enter(entry=EntryTerms()), entry_type=OrderType.LIMIT, entry_offset=3)
    assert (at_the_market.type, at_the_market.price, at_the_market.valid_until_ns) == (OrderType.MARKET, None, None)


def test_an_entry_without_a_validity_of_its_own_works_while_it_might_be_entered():
    found = answer(enter(entry=EntryTerms(OrderType.STOP, CLOSED_AT + 9)), valid_for_ns=MINUTE)
    assert found.valid_until_ns == CLOSE - 15 * MINUTE


def test_exits_at_prices_stay_prices_and_size_by_their_distance():
    found = answer(enter(bracket=BRACKET))
    assert found.bracket == BRACKET
    arithmetic = dict(found.arithmetic)
    # ES: 8 ticks to the stop and 2 of slippage at 12.50, and 9 of commission.
    assert D(arithmetic["risk_per_contract"]) == 134
    assert (arithmetic["day_budget"], arithmetic["budget_size"]) == ("400", "2")


def test_a_stop_is_as_far_as_it_is_from_the_price_at_which_the_entry_waits():
    waiting = enter(entry=EntryTerms(OrderType.STOP, CLOSED_AT + 4), bracket=BRACKET)
    assert D(dict(answer(waiting).arithmetic)["risk_per_contract"]) == 184  # 12 ticks now


@pytest.mark.parametrize(
    ("kind", "side", "price", "expected"),
    [
        (OrderType.MARKET, Side.BUY, None, 100),
        (OrderType.STOP, Side.BUY, 104, 104),
        (OrderType.STOP, Side.BUY, 96, 100),
        (OrderType.STOP, Side.SELL, 96, 96),
        (OrderType.STOP, Side.SELL, 104, 100),
        (OrderType.LIMIT, Side.BUY, 96, 96),
        (OrderType.LIMIT, Side.SELL, 104, 104),
    ],
)
def test_a_stop_that_the_market_has_passed_fills_at_the_market_and_all_else_at_its_own_price(
    kind: OrderType, side: Side, price: int | None, expected: int
):
    """The market is at 100."""
    assert worst_price(kind, price, 100, side) == expected


def test_distances_and_a_trail_of_its_own():
    own = Bracket(stop_ticks=6, trail=Trail(4, 2))
    found = answer(enter(SHORT, bracket=own))
    assert (found.side, found.bracket) == ("SELL", own)
    assert D(dict(found.arithmetic)["risk_per_contract"]) == 109


@pytest.mark.parametrize(
    ("proposal", "reason"),
    [
        (enter(bracket=Bracket(target_ticks=8)), "no_stop"),
        (enter(bracket=Bracket(stop_price=CLOSED_AT)), "exit_beyond_entry"),
        (enter(bracket=Bracket(stop_price=CLOSED_AT + 8)), "exit_beyond_entry"),
        (enter(SHORT, bracket=BRACKET), "exit_beyond_entry"),
        (enter(bracket=Bracket(8, target_price=CLOSED_AT)), "exit_beyond_entry"),
        (enter(entry=EntryTerms(OrderType.LIMIT, CLOSED_AT - 8), bracket=BRACKET), "exit_beyond_entry"),
        (enter(entry=EntryTerms(OrderType.LIMIT, CLOSED_AT - 21)), "price_collar"),
    ],
)
def test_terms_that_would_lose_at_once_or_without_a_bound_are_refused(proposal: Proposal, reason: str):
    assert answer(proposal).reason == reason


def test_a_proposed_size_bounds_the_size_and_never_raises_it():
    assert answer(enter(quantity=1), max_size=9).quantity == 1
    assert dict(answer(enter(quantity=1)).arithmetic)["max_size"] == "1"
    assert answer(enter(quantity=50), max_size=9).quantity == answer(enter(), max_size=9).quantity == 1


def test_a_bar_without_a_regime_has_the_multiplier_one_and_no_trend():
    plain = BarSignals(bar().bar, NOW, CLOSED_AT, OPEN, CLOSE)
    found = answer(enter(), plain)
    assert found.accepted
    arithmetic = dict(found.arithmetic)
    assert (arithmetic["regime_multiplier"], arithmetic["Trending"], arithmetic["Stacked"]) == ("1", "0", "0")


def test_only_patterns_stack():
    assert dict(answer(enter(why=("a word", "another"))).arithmetic)["Stacked"] == "0"
    assert dict(answer(enter(why=("BUYING_ABSORPTION", "SELLING_EXHAUSTION"))).arithmetic)["Stacked"] == "1"


def test_risk_is_asked_about_entries_alone():
    with pytest.raises(InvalidInput) as refused:
        answer(Proposal(Action.EXIT))
    assert refused.value.field == "proposal.action"


def test_a_question_comes_back_from_its_message_as_it_was():
    proposal = enter(entry=EntryTerms(OrderType.STOP, CLOSED_AT + 4, MINUTE), bracket=BRACKET, quantity=2, why=("x",))
    asked = ask(account(), strategy(), BarSignals(bar().bar, NOW, CLOSED_AT, OPEN, CLOSE), proposal=proposal)
    assert inputs_from_proto(inputs_to_proto(asked)) == asked


def test_an_entry_without_a_stop_is_taken_where_the_account_has_declared_its_risk():
    bare, declared = enter(bracket=Bracket(target_ticks=8)), (replace(ES, no_stop_ticks=20),)
    found = answer(bare, execute=declared)
    assert found.accepted, found.reason
    assert found.bracket == Bracket(target_ticks=8)
    assert D(dict(found.arithmetic)["risk_per_contract"]) == 284  # (20 + 2) x 12.50 and 9
    assert answer(enter(bracket=Bracket()), execute=declared).accepted
    assert answer(bare, execute=declared, sizing_mode="RiskPercent", risk_percent=D(50)).reason == "no_stop"
    own = strategy(bracket=Bracket(target_ticks=8), execute=declared)
    assert order_refusal(account("5000"), own, declared[0], Entry(Side.BUY, 1, NOW, CLOSED_AT)) is None
    assert order_refusal(account("5000"), own, ES, Entry(Side.BUY, 1, NOW, CLOSED_AT)) == "no_stop"


def test_an_entry_that_waits_is_sized_by_what_it_loses_from_its_own_price_on():
    """A contract is worth 2,000,000 / ticks coins. From half the price on, the same ticks are four times as many."""
    coin = replace(ES, tick_value=D(2_000_000), commission=D(0), inverse=True, margin=None)
    below = CLOSED_AT // 2

    def lost(price: int) -> D:
        return 2_000_000 / D(price - 18) - 2_000_000 / D(price)  # 16 ticks of the stop, and 2 of slippage

    own: Any = {"execute": (replace(coin, collar_ticks=CLOSED_AT),), "sizing_mode": "Fixed"}
    sizes = {}
    for price, at in ((None, CLOSED_AT), (below, below)):
        terms = EntryTerms() if price is None else EntryTerms(OrderType.LIMIT, price)
        found = dict(answer(enter(entry=terms), max_size=10**6, fixed_size=10**6, **own).arithmetic)
        assert abs(D(found["risk_per_contract"]) - lost(at)) < D("1E-12")
        sizes[at] = int(D(found["day_budget"]) / lost(at))
        assert int(found["budget_size"]) == sizes[at]
    assert sizes[CLOSED_AT] > 3 * sizes[below]
    settings = strategy(max_size=10**6, **own)
    view = account("5200", tiers=(), tier_index=-1, limits=AccountLimits(max_position=10**6, day_loss=D(400)))
    for quantity, reason in ((sizes[below], None), (sizes[below] + 1, "day_budget")):
        entry = Entry(Side.BUY, quantity, NOW, CLOSED_AT, below, priced_at=below)
        assert order_refusal(view, settings, settings.execute[0], entry) == reason
