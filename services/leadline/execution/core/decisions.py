"""What the loop writes down and hands over, out of what it knows: decisions, and orders for the venue."""

from typing import Any

from leadline.execution.core.book import Book, StrategyBook
from leadline.model.ids import Leg, decision_id
from leadline.model.orders import Decision, Order, Side, VenueOrder
from leadline.model.signals import BarSignals
from leadline.risk.view import Answer


def decision_facts(decision: Decision) -> dict[str, Any]:
    """A decision's facts for the audit."""
    return {
        "decision_id": decision.decision_id,
        "strategy": decision.strategy,
        "bar_key": decision.bar_key,
        "accepted": decision.accepted,
        "reason": decision.reason,
        "side": None if decision.side is None else decision.side.value,
        "quantity": decision.quantity,
        "contract": decision.contract,
        "patterns": list(decision.patterns),
        "regime": decision.regime,
    }


def decision_of(book: Book, strategy: StrategyBook, bar: BarSignals, answer: Answer) -> Decision:
    """Risk's answer about a bar as the decision that is stored, at the account's instant."""
    return Decision(
        decision_id=decision_id(book.account, strategy.strategy, bar.bar),
        strategy=strategy.strategy,
        bar_key=bar.bar.text(),
        instant_ns=book.instant_ns,
        trading_day=bar.trading_day,
        accepted=answer.accepted,
        reason=answer.reason,
        side=Side(answer.side) if answer.side else None,
        quantity=answer.quantity,
        contract=answer.contract,
        type=answer.type,
        price=answer.price,
        valid_until_ns=answer.valid_until_ns,
        bracket=answer.bracket,
        patterns=answer.patterns,
        regime=bar.regime.regime.value,
        arithmetic=answer.arithmetic,
    )


def venue_order(order: Order) -> VenueOrder:
    """An order as it is handed to the venue."""
    return VenueOrder(
        client_id=order.client_id,
        decision=order.decision,
        leg=order.leg,
        contract=order.contract,
        tape_contract=order.tape_contract,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        decided_at_ns=order.decided_at_ns,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        bracket=order.bracket,
        trail=order.trail,
        valid_until_ns=order.valid_until_ns,
        reduce_only=order.leg.startswith(Leg.FLATTEN),
    )
