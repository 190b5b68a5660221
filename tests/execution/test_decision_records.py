"""A decision as it is stored and told, and an order as the venue gets it: each fact in its own place."""

import pytest

from leadline.execution.core.decisions import Asked, decision_facts, decision_of, venue_order
from leadline.model.ids import AccountId, Leg, StrategyId, decision_id
from leadline.model.orders import Bracket, OrderState, OrderType, Side, Trail, Trailing, VenueOrder
from leadline.model.proposals import Action, Decision, Direction, Proposal
from leadline.risk.view import RiskDecision
from tests.execution.harness.books import book_of, order_of
from tests.execution.harness.builders import DAY, LONG, MES, bar, ns

NAME = StrategyId("default/mes")
SOURCE = f"{bar(600).bar.text()}#2"
PROPOSAL = Proposal(Action.ENTER, Direction.LONG, why=(LONG.value,))


def decided(answer: RiskDecision) -> Decision:
    book, _ = book_of(seconds=601)
    return decision_of(book, book.strategies[NAME], Asked(bar(600), SOURCE, PROPOSAL), answer)


def test_an_accepted_decision_has_the_bar_the_account_s_instant_and_all_that_risk_said():
    arithmetic = (("size", "2"), ("budget", "4"))
    answer = RiskDecision(True, "", "SELL", 2, MES, Bracket(16, 24), (LONG.value,), arithmetic)
    assert decided(answer) == Decision(
        decision_id=decision_id(AccountId("default/paper"), NAME, SOURCE),
        strategy=NAME,
        source=SOURCE,
        bar_key=bar(600).bar.text(),
        proposal=PROPOSAL,
        instant_ns=ns(601),
        trading_day=DAY,
        accepted=True,
        reason="",
        side=Side.SELL,
        quantity=2,
        contract=MES,
        bracket=Bracket(16, 24),
        patterns=(LONG.value,),
        regime="RANGING",
        arithmetic=arithmetic,
    )


def test_a_refused_decision_has_the_reason_and_no_side():
    refused = decided(RiskDecision(False, "day_loss"))
    assert (refused.accepted, refused.reason, refused.side, refused.quantity) == (False, "day_loss", None, 0)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            RiskDecision(True, "", "BUY", 1, MES, Bracket(16, 24), (LONG.value,), type=OrderType.STOP, price=24_010),
            {"accepted": True, "reason": "", "side": "BUY", "quantity": 1, "contract": MES, "patterns": [LONG.value]}
            | {"type": "STOP", "price": 24_010},
        ),
        (
            RiskDecision(False, "conflict"),
            {"accepted": False, "reason": "conflict", "side": None, "quantity": 0, "contract": "", "patterns": []}
            | {"type": "MARKET", "price": None},
        ),
    ],
)
def test_the_audit_tells_what_was_decided_about_which_bar(answer: RiskDecision, told: dict[str, object]):
    decision = decided(answer)
    about = {"decision_id": decision.decision_id, "strategy": NAME, "source": SOURCE, "action": "ENTER"}
    rest = {"bar_key": bar(600).bar.text(), "regime": "RANGING", "arithmetic": []}
    assert decision_facts(decision) == {**about, **rest, **told}


def test_the_audit_has_the_arithmetic_of_the_size_in_its_order():
    answer = RiskDecision(False, "day_budget", arithmetic=(("scaled", "2"), ("budget_size", "0")))
    assert decision_facts(decided(answer))["arithmetic"] == [["scaled", "2"], ["budget_size", "0"]]


@pytest.mark.parametrize(("leg", "reduces"), [("E", False), ("F1", True), ("F12", True)])
@pytest.mark.parametrize("trails", [False, True])
def test_an_order_goes_to_the_venue_with_its_bracket_and_a_closing_one_can_only_reduce(
    leg: str, reduces: bool, trails: bool
):
    """How its stops trail is said to a venue that trails."""
    bracket, trail = Bracket(16, 24, trail=Trail(4, 6)), Trailing(19_990, 6)
    order = order_of(OrderState.SENDING, leg, side=Side.SELL, quantity=2, bracket=bracket, trail=trail)
    assert venue_order(order, trails=trails) == VenueOrder(
        client_id=order.client_id,
        decision=order.decision,
        leg=Leg(leg),
        contract=MES,
        tape_contract=MES,
        side=Side.SELL,
        type=OrderType.MARKET,
        quantity=2,
        decided_at_ns=ns(600),
        bracket=bracket if trails else Bracket(16, 24),
        trail=trail if trails else None,
        reduce_only=reduces,
    )
