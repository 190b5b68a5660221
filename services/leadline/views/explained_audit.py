"""All that the services of a stack tell of an id: from the audits of its accounts and the signals of its strategies."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, FillId, Leg, RunId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.orders import Fill, Order, OrderState, OrderType, Side
from leadline.views.explained import ExplainedBar, ExplainedDecision, Explanation, LimitUse
from leadline.views.explaining import (
    Asked,
    AuditEvent,
    DecisionFacts,
    explained_decision,
    followed,
    unknown_id,
)
from leadline.views.halts import ReportedHalt
from leadline.views.limits_used import limits_used
from leadline.views.signals import ProposalView, SignalledBar
from leadline.views.standing_store import limits_of, points_views, router_view, scale_of, table_of
from leadline.views.trades import Reasons, Trade, trades_of
from leadline.views.values import AccountView, OrderView

NOT_HERE: Final = "the prints of the bar and its footprint are in the platform's database, which is not asked from here"


@dataclass(frozen=True, slots=True)
class Told:
    """The answers of a stack's services. By account: its audit, its orders and its state; by strategy: its bars.

    accounts, strategies: manifests that are at hand.
    """

    audits: Mapping[AccountId, Sequence[AuditEvent]]
    orders: Mapping[AccountId, Sequence[OrderView]]
    states: Mapping[AccountId, AccountView]
    bars: Mapping[StrategyId, Sequence[SignalledBar]]
    accounts: Mapping[AccountId, TradingAccount] = field(default_factory=dict)
    strategies: Mapping[StrategyId, TradingStrategy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Meant:
    """The meaning of an id: a kind, a bar, a proposal of it (empty for all), and a strategy (empty for all)."""

    kind: str
    bar: str
    source: str = ""
    strategy: str = ""


def explain_told(asked: Asked, told: Told, left_out: Iterable[str] = ()) -> Explanation:
    """All that was told of an id. left_out: what else is missing, in sentences. Raises UnknownId."""
    meant = _meant(asked, told)
    if meant is None:
        return _explanation(asked, "ORDER", told, tuple(_orders_alone(asked, told)), left_out)
    bars = tuple(
        _bar(account, bar, meant.source, told)
        for account in told.audits
        for name, said in told.bars.items()
        for bar in said
        if bar.bar == meant.bar and meant.strategy in ("", name) and _is_of(name, account, told)
    )
    return _explanation(asked, meant.kind, told, bars, (NOT_HERE, *left_out))


def _explanation(
    asked: Asked, kind: str, told: Told, bars: tuple[ExplainedBar, ...], missing: Iterable[str]
) -> Explanation:
    if not bars:
        raise unknown_id(asked, None)
    tape = next((str(state.tape) for state in told.states.values()), "")
    return Explanation(asked.text, kind, RunId(tape), bars, tuple(missing))


def _orders_alone(asked: Asked, told: Told) -> Iterator[ExplainedBar]:
    """An order, and those beside it, that no strategy proposed: of a person, of the account or of somebody else."""
    for account, listed in told.orders.items():
        named = next((each for each in listed if each.client_id == asked.text), None)
        if named is None:
            continue
        orders = tuple(each for each in listed if each.decision_id == named.decision_id)
        audit, state = told.audits.get(account, ()), told.states.get(account)
        halts = () if state is None else tuple(_halts(audit, state))
        trades = _trades(audit, named.strategy)
        facts = DecisionFacts(None, **followed(named.decision_id, orders, audit, trades, halts))
        block = "" if state is None else state.block
        yield ExplainedBar(account, named.strategy, "", None, None, (), (explained_decision(facts),), block, "")


def _is_of(strategy: str, account: AccountId, told: Told) -> bool:
    state = told.states.get(account)
    return state is not None and any(each.strategy == strategy for each in state.strategies)


def _meant(asked: Asked, told: Told) -> _Meant | None:
    if asked.bar:
        return _Meant("BAR", asked.bar, asked.source)
    if asked.strategy:
        found = (
            bar.bar
            for bar in told.bars.get(asked.strategy, ())
            if asked.at_ns <= bar.known_at_ns < asked.at_ns + 1_000_000_000
        )
        key = next(found, "")
        return _Meant("BAR", key, strategy=asked.strategy) if key else None
    for events in told.audits.values():
        decisions = {event.key: event.body for event in events if event.kind == "decision"}
        of_order = {event.key: event.body["decision"] for event in events if event.kind == "order"}
        of_fill = {event.key: event.body["client_id"] for event in events if event.kind == "fill"}
        for kind, decision in (
            ("ORDER", of_order.get(asked.text)),
            ("FILL", of_order.get(of_fill.get(asked.text, ""))),
            ("DECISION", asked.text),
        ):
            if decision in decisions:
                body = decisions[decision]
                return _Meant(kind, body["bar_key"], body["source"], body["strategy"])
    return None


def _bar(account: AccountId, bar: SignalledBar, source: str, told: Told) -> ExplainedBar:
    state = told.states[account]
    mine = next(each for each in state.strategies if each.strategy == bar.strategy)
    manifest = told.strategies.get(bar.strategy)
    wanted = [each for each in bar.proposals if source in ("", each.source)]
    return ExplainedBar(
        account=account,
        strategy=bar.strategy,
        bar=bar.bar,
        footprint=None,
        regime=bar.regime,
        signals=bar.signals,
        decisions=tuple(_decision(account, bar, each, told) for each in wanted),
        block=state.block,
        fence=mine.fence,
        regime_points=points_views(bar.regime, None if manifest is None else scale_of(manifest)),
        router=router_view(bar.regime, None if manifest is None else table_of(manifest)),
    )


def _decision(account: AccountId, bar: SignalledBar, proposal: ProposalView, told: Told) -> ExplainedDecision:
    audit, state = told.audits[account], told.states[account]
    halts = tuple(_halts(audit, state))
    decision = proposal.decision
    event = next((each for each in audit if decision is not None and each.key == decision.decision_id), None)
    if decision is None or event is None:
        return explained_decision(DecisionFacts(proposal, bar_known_ns=bar.known_at_ns))
    orders = tuple(each for each in told.orders.get(account, ()) if each.decision_id == decision.decision_id)
    facts = DecisionFacts(
        proposal=proposal,
        decided_ns=event.instant_ns,
        contract=ContractId(event.body["contract"]),
        arithmetic=dict(event.body.get("arithmetic") or ()),
        bar_known_ns=bar.known_at_ns,
        limits=_limits(account, bar.strategy, event, told),
        **followed(decision.decision_id, orders, audit, _trades(audit, bar.strategy), halts),
    )
    return explained_decision(facts)


def _limits(account: AccountId, strategy: StrategyId, decided: AuditEvent, told: Told) -> tuple[LimitUse, ...]:
    manifest = told.strategies.get(strategy)
    if manifest is None:
        return ()
    limits = limits_of(manifest, told.accounts.get(account), told.states[account].tier - 1)
    before = (each for each in told.audits[account] if each.event < decided.event)
    return limits_used(before, strategy, decided.instant_ns, limits, decided.body["reason"])


def _halts(audit: Iterable[AuditEvent], state: AccountView) -> Iterator[ReportedHalt]:
    """The halts of an account. Of one that is cleared nobody here knows the time."""
    begun = {each.number: each for each in state.halts}
    for number, halt in begun.items():
        yield ReportedHalt(number, halt.source, halt.reason, halt.by, halt.at_ns)
    ended = {event.body["number"]: event.body for event in audit if event.kind == "halt" and not event.body["halted"]}
    for number, body in ended.items():
        if number not in begun:
            yield ReportedHalt(
                number, body["source"], body["reason"], body["by"], 0, body["cleared_by"], 0, body["clear_reason"]
            )


def _trades(audit: Sequence[AuditEvent], strategy: StrategyId) -> list[Trade]:
    orders = {
        ClientOrderId(event.key): _order(event)
        for event in audit
        if event.kind == "order" and event.body["strategy"] == strategy
    }
    fills = [
        (strategy, _fill(event))
        for event in audit
        if event.kind == "fill" and event.body["strategy"] == strategy and event.body["client_id"] in orders
    ]
    reasons = {
        DecisionId(event.key): Reasons((event.body["patterns"] or [""])[0], event.body["regime"])
        for event in audit
        if event.kind == "decision"
    }
    closed, _ = trades_of(fills, orders, reasons)
    return closed


def _order(event: AuditEvent) -> Order:
    body = event.body
    return Order(
        client_id=ClientOrderId(event.key),
        decision=DecisionId(body["decision"]),
        leg=Leg(body["leg"]),
        strategy=StrategyId(body["strategy"]),
        contract=ContractId(body["contract"]),
        tape_contract=ContractId(body["tape_contract"]),
        side=Side(body["side"]),
        type=OrderType(body["type"]),
        quantity=body["quantity"],
        decided_at_ns=event.instant_ns,
        state=OrderState(body["state"]),
        filled=body["filled"],
        reason=body["reason"],
        unit=body["unit"],
    )


def _fill(event: AuditEvent) -> Fill:
    body = event.body
    return Fill(
        FillId(event.key),
        ClientOrderId(body["client_id"]),
        ContractId(body["contract"]),
        Side(body["side"]),
        body["quantity"],
        body["price"],
        body["time_ns"],
        0,
        0,
        Decimal(body["commission"]),
    )
