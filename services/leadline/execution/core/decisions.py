"""Decisions as they are stored, and orders as they are handed to the venue."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from leadline.execution.core.book import Book, StrategyBook
from leadline.model.frozen import quickly_made
from leadline.model.ids import NO_ORDER, LegKind, StrategyId, decision_id
from leadline.model.orders import Order, Side, VenueOrder
from leadline.model.proposals import Decision, Proposal
from leadline.model.remembered import once_for_each
from leadline.model.signals import BarSignals
from leadline.risk.view import RiskDecision


@quickly_made
@dataclass(frozen=True, slots=True)
class Asked:
    """A proposal of a strategy on its way to its decision: the bar at which it was made, and where it comes from."""

    bar: BarSignals
    source: str
    proposal: Proposal


def undecided(book: Book, strategy: StrategyId, bar: BarSignals) -> Iterator[Asked]:
    """The proposals of a bar without a decision at the book's instant, in their order."""
    return (asked for asked in _asked(bar) if decision_id(book.account, strategy, asked.source) not in book.decided)


@once_for_each
def _asked(bar: BarSignals) -> tuple[Asked, ...]:
    return tuple(Asked(bar, source, proposal) for source, proposal in bar.sourced())


def decision_facts(decision: Decision) -> dict[str, Any]:
    """A decision's facts for the audit."""
    return {
        "decision_id": decision.decision_id,
        "strategy": decision.strategy,
        "source": decision.source,
        "bar_key": decision.bar_key,
        "action": decision.proposal.action.value,
        "accepted": decision.accepted,
        "reason": decision.reason,
        "side": None if decision.side is None else decision.side.value,
        "quantity": decision.quantity,
        "contract": decision.contract,
        "type": decision.type.value,
        "price": decision.price,
        "patterns": list(decision.patterns),
        "regime": decision.regime,
        "arithmetic": [list(term) for term in decision.arithmetic],
    }


def decision_of(book: Book, strategy: StrategyBook, asked: Asked, answer: RiskDecision) -> Decision:
    """Risk's answer to a proposal as the decision that is stored, at the account's instant."""
    bar = asked.bar
    return Decision(
        decision_id=decision_id(book.account, strategy.strategy, asked.source),
        strategy=strategy.strategy,
        source=asked.source,
        bar_key=bar.bar.text(),
        proposal=asked.proposal,
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
        regime=bar.regime_name,
        arithmetic=answer.arithmetic,
    )


def venue_order(order: Order, *, trails: bool, brackets: bool = True, pairs: bool = True) -> VenueOrder:
    """An order as it is handed to the venue.

    Where that does not trail (`trails`), it is not told how stops do; where it makes no brackets, of none; and where it
    ends no exit with another (`pairs`), of no pair.
    """
    bracket = order.bracket if brackets else None
    if bracket is not None and not trails:
        bracket = replace(bracket, trail=None)
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
        bracket=bracket,
        trail=order.trail if trails else None,
        valid_until_ns=order.valid_until_ns,
        reduce_only=order.leg.kind is LegKind.FLATTEN or bool(order.parent),
        parent=order.parent,
        oco=order.oco if pairs else NO_ORDER,
    )
