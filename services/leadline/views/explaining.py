"""From what is stored of a decision to what is told of it. Pure: the same facts, the same words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from leadline.model.errors import InvalidInput
from leadline.model.ids import NO_ORDER, ClientOrderId, ContractId, Leg, StrategyId, strategy_named
from leadline.model.market.hours import zone_of
from leadline.model.orders import OrderState
from leadline.views.explained import Bound, ExplainedDecision, LimitUse, ResultView, Step
from leadline.views.halts import ReportedHalt
from leadline.views.orders import leg_text
from leadline.views.prices import price_text
from leadline.views.refusals import refusal_text
from leadline.views.signals import DecisionView, ProposalView, decision_text, readable
from leadline.views.trades import Trade
from leadline.views.values import OrderView

ID_KINDS: Final = (
    "the id of an order, as `leadline orders` prints it; of a fill or a decision, as `--output json` of `leadline "
    "orders`, `signals` and `report` prints it; the key of a bar, as `leadline signals --output json` prints it; or "
    "STRATEGY@TIME with the time in the first column of `leadline signals`"
)
"""The ids that can be explained, and where each is printed."""

SIZE_BOUNDS: Final = ("tier_max", "fixed", "risk_size", "free_position", "max_size", "budget_size", "margin_size")
"""The terms of a size's arithmetic that bound it, in the order in which they are computed."""

_BAR_PARTS: Final = 5


class UnknownId(InvalidInput):
    """An id that nobody knows."""

    grpc_status = "NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Asked:
    """An id that was asked for. bar: the bar that it names, with `source` where one proposal of it is meant.

    strategy, at_ns: of `STRATEGY@TIME`, the second in which a bar was known. Without either it is the id of an order,
    a fill or a decision.
    """

    text: str
    bar: str = ""
    source: str = ""
    strategy: StrategyId = StrategyId("")
    at_ns: int = 0


def asked_of(text: str, zone: str) -> Asked:
    """The meaning of an id. zone: of a time without an offset. Raises InvalidInput for one that is none."""
    name, at, moment = text.partition("@")
    if at:
        try:
            found = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidInput("ID", text, "a time after the @, such as 2025-06-10 13:30:00") from None
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone_of(zone))
        return Asked(text, strategy=strategy_named(name), at_ns=int(found.timestamp()) * 1_000_000_000)
    bar, numbered, _ = text.partition("#")
    if bar.count("/") == _BAR_PARTS - 1:
        return Asked(text, bar=bar, source=text if numbered else "")
    return Asked(text)


def unknown_id(asked: Asked, tape: str | None) -> UnknownId:
    """The error for an id that nobody knows, of a tape or at all."""
    where = "" if tape is None else f" of the run {tape}"
    return UnknownId("ID", asked.text, f"one that is known{where}: {ID_KINDS}")


def contract_of(bar: str) -> str:
    """The contract of a bar by its key."""
    return bar.partition("/")[0]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A line of the account's audit, such as `order_event` has."""

    event: int
    kind: str
    key: str
    instant_ns: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """The facts that are stored of one decision.

    bar_end_ns, bar_known_ns: of its bar, None where the bar is not kept. events: of the decision, its orders and their
    fills, in the order of the book.
    """

    proposal: ProposalView | None
    decided_ns: int | None = None
    contract: ContractId = ContractId("")
    arithmetic: Mapping[str, str] | None = None
    bar_end_ns: int | None = None
    bar_known_ns: int | None = None
    orders: tuple[OrderView, ...] = ()
    events: tuple[AuditEvent, ...] = ()
    trade: Trade | None = None
    halts: tuple[ReportedHalt, ...] = ()
    limits: tuple[LimitUse, ...] = ()


def explained_decision(facts: DecisionFacts) -> ExplainedDecision:
    """One decision as it is told."""
    arithmetic = dict(facts.arithmetic or {})
    return ExplainedDecision(
        summary=summary(facts),
        proposal=facts.proposal,
        decided_ns=facts.decided_ns,
        arithmetic=arithmetic,
        bounds=bounds_of(arithmetic),
        limits=facts.limits,
        orders=tuple(sorted(facts.orders, key=lambda order: (order.decided_at_ns, order.leg))),
        steps=steps_of(facts),
        result=None if facts.trade is None else result_view(facts.trade),
        halts=facts.halts,
    )


def bounds_of(arithmetic: Mapping[str, str]) -> tuple[Bound, ...]:
    """The terms that bound a size, and which of them is the size: the first of the smallest, of `scaled` too."""
    found = {name: arithmetic[name] for name in ("scaled", *SIZE_BOUNDS) if name in arithmetic}
    size = arithmetic.get("size")
    if size is None or not found:
        return ()
    smallest = min(map(_number, found.values()))
    binding = next(name for name, value in found.items() if _number(value) == smallest)
    return tuple(Bound(name, value, name == binding) for name, value in found.items())


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def summary(facts: DecisionFacts) -> str:
    """The fate of a proposal, in one sentence."""
    proposal = facts.proposal
    decision = None if proposal is None else proposal.decision
    if proposal is None:
        return _orders_alone(facts.orders)
    if decision is None:
        return "The account has not decided on it yet."
    if not decision.accepted:
        return f"Refused: {refusal_text(decision.reason)}."
    return f"Accepted: {_accepted_text(decision, facts.contract)}{_outcome(facts)}."


def _accepted_text(decision: DecisionView, contract: ContractId) -> str:
    """The order that was accepted: `buy 1 MESM2025 at the market`, `buy 1 MESM2025, limit 5997.50`, `exit 2`."""
    words = filter(None, (readable(decision.side or decision.action), str(decision.quantity or ""), contract))
    priced = f", {readable(decision.type)} {decision.price}" if decision.type and decision.price else ""
    return f"{' '.join(words)}{priced or (' at the market' if decision.type else '')}"


def _outcome(facts: DecisionFacts) -> str:
    entries = [order for order in facts.orders if not order.leg.is_exit and order.leg.kind == "E"]
    parts = [_entry_text(order) for order in entries]
    if facts.trade is not None:
        parts.append(_closed_text(facts.trade))
    return "; " + "; ".join(parts) if parts else ""


def _closed_text(trade: Trade) -> str:
    return f"closed by {readable(trade.exit_by)}, net {trade.net:+f}"


def trade_text(trade: Trade) -> str:
    """A closed trade in a few words: `Entered: buy 2 MESM2025 at 5000.25; closed by target, net +55.00`."""
    entry = (
        f"{readable(trade.side)} {trade.quantity} {trade.contract} at {price_text(trade.contract, trade.entry_price)}"
    )
    return f"Entered: {entry}; {_closed_text(trade)}"


def _entry_text(order: OrderView) -> str:
    if order.filled:
        size = "" if order.filled == order.quantity else f"{order.filled} of {order.quantity} "
        return f"{size}filled at {order.average_price}"
    ended = OrderState(order.state).terminal
    why = f" ({readable(order.reason)})" if order.reason else ""
    return f"{readable(order.state)} without a fill{why}" if ended else f"{readable(order.state)}, no fill yet"


def _orders_alone(orders: Sequence[OrderView]) -> str:
    """The sentence for orders that follow from no decision of a strategy."""
    if not orders:
        return "Nothing is known of a proposal or an order of it."
    first = orders[0]
    what = f"{leg_text(first.leg)}, {readable(first.side)} {first.quantity} {first.contract}"
    return f"No decision of a strategy made this: {what}, {readable(first.state)}."


def steps_of(facts: DecisionFacts) -> tuple[Step, ...]:
    """The steps from the bar to the last event, in the order of the tape and then of the book."""
    legs: dict[str, Leg] = {order.client_id: order.leg for order in facts.orders}
    found: list[Step] = []
    if facts.bar_end_ns is not None:
        found.append(_step(facts.bar_end_ns, "BAR_ENDED", text="the bar ended"))
    if facts.bar_known_ns is not None:
        found.append(_step(facts.bar_known_ns, "BAR_KNOWN", text="the bar was known"))
    told = False
    for event in facts.events:
        if event.kind == "decision":
            told = True
        if (step := _event_step(event, legs)) is not None:
            found.append(step)
    if not told and facts.decided_ns is not None and facts.proposal is not None:
        found.append(_decision_step(facts.decided_ns, facts.proposal))
    ordered = sorted(found, key=lambda step: step.at_ns)
    return tuple(
        Step(
            step.at_ns,
            None if number == 0 else step.at_ns - ordered[number - 1].at_ns,
            step.kind,
            step.client_id,
            step.leg,
            step.state,
            step.text,
        )
        for number, step in enumerate(ordered)
    )


def _step(
    at_ns: int, kind: str, *, order: str = NO_ORDER, leg: Leg | None = None, state: str = "", text: str = ""
) -> Step:
    return Step(at_ns, None, kind, ClientOrderId(order), Leg("") if leg is None else leg, state, text)


def _decision_step(at_ns: int, proposal: ProposalView) -> Step:
    accepted = proposal.decision is not None and proposal.decision.accepted
    return _step(at_ns, "DECISION", state="ACCEPTED" if accepted else "REFUSED", text=decision_text(proposal.decision))


def _event_step(event: AuditEvent, legs: Mapping[str, Leg]) -> Step | None:
    body = event.body
    if event.kind == "decision":
        state = "ACCEPTED" if body["accepted"] else "REFUSED"
        words = f"refused: {readable(body['reason'])}" if body["reason"] else "accepted"
        return _step(event.instant_ns, "DECISION", state=state, text=words)
    if event.kind == "order":
        leg = Leg(body["leg"])
        return _step(
            event.instant_ns,
            "ORDER",
            order=body["client_id"],
            leg=leg,
            state=body["state"],
            text=_order_text(leg, body),
        )
    if event.kind == "fill":
        leg = legs.get(body["client_id"], Leg(""))
        price = price_text(body["contract"], body["price"])
        words = f"{readable(body['side'])} {body['quantity']} at {price}, commission {body['commission']}"
        whose = f"{leg_text(leg)}: " if leg else ""
        return _step(body["time_ns"], "FILL", order=body["client_id"], leg=leg, text=f"{whose}{words}")
    return None


def _order_text(leg: Leg, body: Mapping[str, Any]) -> str:
    price = body["limit_price"] if body["limit_price"] is not None else body["stop_price"]
    where = "" if price is None else f" {price_text(body['contract'], price)}"
    what = f"{readable(body['side'])} {body['quantity']} {readable(body['type'])}{where}"
    filled = f", {body['filled']} filled" if 0 < body["filled"] < body["quantity"] else ""
    why = f" ({readable(body['reason'])})" if body["reason"] else ""
    return f"{leg_text(leg)}: {what}{filled}, {readable(body['state'])}{why}"


def result_view(trade: Trade) -> ResultView:
    """A closed trade as it is told."""
    return ResultView(
        decision_id=trade.decision_id,
        contract=trade.contract,
        side=trade.side.value,
        quantity=trade.quantity,
        entry_ns=trade.entry_ns,
        entry_price=price_text(trade.contract, trade.entry_price),
        exit_ns=trade.exit_ns,
        exit_price=price_text(trade.contract, trade.exit_price),
        exit_by=trade.exit_by,
        result_ticks=format(trade.result_ticks.normalize(), "f"),
        gross=format(trade.gross, "f"),
        commission=format(trade.commission, "f"),
        net=format(trade.net, "f"),
    )


def trade_of(trades: Iterable[Trade], decision: str, fills_ns: Sequence[int], contract: str) -> Trade | None:
    """The closed trade to which a decision's fills belong: the one that it opened, else the one that they fell into."""
    inside: Trade | None = None
    for trade in trades:
        if trade.decision_id == decision:
            return trade
        if fills_ns and trade.contract == contract and trade.entry_ns <= min(fills_ns) <= trade.exit_ns:
            inside = trade
    return inside


def halts_at(
    decided_event: int | None, halts: Iterable[ReportedHalt], told: Mapping[tuple[int, int], int]
) -> tuple[ReportedHalt, ...]:
    """The halts in force at a decision by its number in the book; None: those that are in force now.

    told: the number of the event that told of a halt, by the halt's number and 1 for its begin, 2 for its end.
    """
    if decided_event is None:
        return tuple(halt for halt in halts if halt.cleared_at_ns is None)
    return tuple(
        halt
        for halt in halts
        if told.get((halt.number, 1), 0) < decided_event
        and (told[halt.number, 2] > decided_event if (halt.number, 2) in told else True)
    )


def followed(
    decision: str,
    orders: tuple[OrderView, ...],
    audit: Iterable[AuditEvent],
    trades: Iterable[Trade],
    halts: Iterable[ReportedHalt],
) -> dict[str, Any]:
    """The fields of `DecisionFacts` that follow from a decision: its events, its trade, the halts in force at it.

    audit, trades, halts: of its account; others among them do not count.
    """
    ids = {decision, *(order.client_id for order in orders)}
    audit = tuple(audit)
    events = tuple(event for event in audit if event.key in ids or event.body.get("client_id") in ids)
    fills = [event.body["time_ns"] for event in events if event.kind == "fill"]
    at = next((event.event for event in events if event.kind == "decision"), None)
    told = {
        (event.body["number"], 1 if event.body["halted"] else 2): event.event for event in audit if event.kind == "halt"
    }
    return {
        "orders": orders,
        "events": events,
        "trade": trade_of(trades, decision, fills, orders[0].contract if orders else ""),
        "halts": halts_at(at, halts, told),
    }
