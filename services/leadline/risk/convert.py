"""Risk's questions and answers as protobuf, and back."""

from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from leadline.model.blocks import Block
from leadline.model.checks.proposals import MOST_WHY
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.orders import OrderType, Side
from leadline.model.proposals import Action, Proposal, Withdrawal
from leadline.model.signals import BarSignals, Pattern, Regime
from leadline.model.v1 import model_pb2 as model_pb
from leadline.model.wire.proposals import bracket_from_proto, bracket_to_proto, proposal_from_proto, proposal_to_proto
from leadline.model.wire.signals import bar_signals_from_proto, bar_signals_to_proto
from leadline.risk.bounds import (
    ENTRY_TYPES,
    MODIFIERS,
    MOST_BLOCKS,
    MOST_NEWS,
    MOST_ROOTS,
    MOST_SIGNALS,
    MOST_TIERS,
    few,
)
from leadline.risk.v1 import risk_pb2 as pb
from leadline.risk.view import (
    AccountLimits,
    AccountView,
    DecisionInputs,
    ExecutionInstrument,
    Quote,
    RiskDecision,
    StrategyDay,
    StrategyLimits,
    StrategySettings,
    Tier,
)

LONGEST_DECIMAL: Final = 64
LONGEST_EVIDENCE: Final = 64 * 1024
_DIRECTIONS: Final = (model_pb.DIRECTION_LONG, model_pb.DIRECTION_SHORT)


def _money(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def inputs_to_proto(inputs: DecisionInputs) -> pb.DecisionInputs:
    """A question as a message."""
    return pb.DecisionInputs(
        account=_account_to_proto(inputs.account),
        strategy=_strategy_to_proto(inputs.strategy),
        bar=bar_signals_to_proto(inputs.bar),
        proposal=proposal_to_proto(inputs.proposal),
        instant_ns=inputs.instant_ns,
    )


def inputs_from_proto(message: pb.DecisionInputs) -> DecisionInputs:
    """A message as a question. Raises InvalidInput, with the field, when a value does not parse."""
    account, strategy, bar = message.account, message.strategy, message.bar
    for name, items, most in (
        ("account.tiers", account.tiers, MOST_TIERS),
        ("account.limits.margin_limits", account.limits.margin_limits, MOST_ROOTS),
        ("strategy.blocks", strategy.blocks, MOST_BLOCKS),
        ("strategy.news", strategy.news, MOST_NEWS),
        ("strategy.modifiers", strategy.modifiers, len(MODIFIERS)),
        ("strategy.execute", strategy.execute, MOST_ROOTS),
        ("strategy.day.groups", strategy.day.groups, MOST_SIGNALS),
        ("bar.signals", bar.signals, MOST_SIGNALS),
        ("bar.regime.scores", bar.regime.scores, MOST_ROOTS),
        ("bar.regime.inputs", bar.regime.inputs, MOST_ROOTS),
        ("proposal.why", message.proposal.why, MOST_WHY),
    ):
        few(name, items, most)
    return DecisionInputs(
        _account_from_proto(message.account),
        _strategy_from_proto(message.strategy),
        _bar_from_proto(message.bar),
        _proposal_from_proto(message.proposal),
        message.instant_ns,
    )


def _bar_from_proto(message: model_pb.BarSignals) -> BarSignals:
    """Decimals and the day are looked at first, so that what does not parse is named by its field."""
    _day("bar.bar.trading_day", message.bar.trading_day)
    if message.HasField("regime"):
        _decimal("bar.regime.confidence", message.regime.confidence)
        _decimal("bar.regime.multiplier", message.regime.multiplier)
        _name("bar.regime.regime", message.regime.regime, Regime)
    for number, signal in enumerate(message.signals):
        _decimal(f"bar.signals[{number}].strength", signal.strength)
        _name(f"bar.signals[{number}].pattern", signal.pattern, Pattern)
        if signal.direction not in _DIRECTIONS:
            raise InvalidInput(f"bar.signals[{number}].direction", signal.direction, "long or short")
        if len(signal.evidence_json) > LONGEST_EVIDENCE:
            expected = f"at most {LONGEST_EVIDENCE} characters"
            raise InvalidInput(
                f"bar.signals[{number}].evidence_json", f"{len(signal.evidence_json)} characters", expected
            )
    try:
        return bar_signals_from_proto(message)
    except (ValueError, ArithmeticError, LookupError) as error:
        raise InvalidInput("bar", str(error)[:200], "what a strategy says at a bar") from error


def _proposal_from_proto(message: model_pb.Proposal) -> Proposal:
    """Its words are looked at first, so that one that there is not is named by its field."""
    _name("proposal.action", message.action, Action)
    if message.withdrawn:
        _name("proposal.withdrawn", message.withdrawn, Withdrawal)
    if message.direction not in (model_pb.DIRECTION_UNSPECIFIED, *_DIRECTIONS):
        raise InvalidInput("proposal.direction", message.direction, "long or short")
    if message.HasField("entry"):
        _name("proposal.entry.type", message.entry.type, OrderType)
    return proposal_from_proto(message)


def _block(name: str, text: str) -> Block:
    if text not in tuple(Block):
        raise InvalidInput(name, text[:LONGEST_DECIMAL], "one of " + ", ".join(each or "nothing" for each in Block))
    return Block(text)


def _decimal(name: str, text: str) -> Decimal:
    """A decimal string of a bounded length; what it may be is looked at with the question as a whole."""
    if len(text) > LONGEST_DECIMAL:
        raise InvalidInput(name, f"{len(text)} characters", f"a decimal string of at most {LONGEST_DECIMAL}")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InvalidInput(name, text, "a decimal string") from None


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text[:LONGEST_DECIMAL])
    except ValueError:
        raise InvalidInput(name, text[:LONGEST_DECIMAL], "a date in ISO 8601") from None


def _name(name: str, text: str, known: type[StrEnum]) -> None:
    if text not in known.__members__.values():
        raise InvalidInput(name, text[:LONGEST_DECIMAL], "one of " + ", ".join(known))


def decision_to_proto(answer: RiskDecision) -> pb.Decision:
    """An answer as a message."""
    return pb.Decision(
        accepted=answer.accepted,
        reason=answer.reason,
        side=answer.side,
        quantity=answer.quantity,
        contract=answer.contract,
        bracket=None if answer.bracket is None else bracket_to_proto(answer.bracket),
        patterns=answer.patterns,
        arithmetic=[pb.Term(name=name, value=value) for name, value in answer.arithmetic],
        type=answer.type,
        price=answer.price,
        valid_until_ns=answer.valid_until_ns,
    )


def decision_from_proto(message: pb.Decision) -> RiskDecision:
    """A message as an answer; ValueError when an accepted one has no side, or there is no such type."""
    if message.accepted:
        Side(message.side)
    return RiskDecision(
        message.accepted,
        message.reason,
        message.side,
        message.quantity,
        ContractId(message.contract),
        bracket_from_proto(message.bracket) if message.HasField("bracket") else None,
        tuple(message.patterns),
        tuple((term.name, term.value) for term in message.arithmetic),
        OrderType(message.type),
        message.price if message.HasField("price") else None,
        message.valid_until_ns if message.HasField("valid_until_ns") else None,
    )


def _account_to_proto(view: AccountView) -> pb.AccountView:
    limits = view.limits
    return pb.AccountView(
        account=view.account,
        trading_day=view.trading_day.isoformat(),
        equity_at_roll=str(view.equity_at_roll),
        realised=str(view.realised),
        open=str(view.open),
        worst_case=str(view.worst_case),
        streak=view.streak,
        trades=view.trades,
        entries_last_hour=view.entries_last_hour,
        orders_last_second=view.orders_last_second,
        open_trades=view.open_trades,
        exposure=view.exposure,
        margin_in_use=str(view.margin_in_use),
        block=view.block,
        halt=view.halt,
        unresolved=view.unresolved,
        tier_index=view.tier_index,
        first_fill_wins=view.first_fill_wins,
        in_the_market=view.in_the_market,
        tiers=[
            pb.Tier(
                **{"from": str(tier.start)},
                execute=tier.execute,
                min_size=tier.min_size,
                max_size=tier.max_size,
                day_loss=_money(tier.day_loss),
            )
            for tier in view.tiers
        ],
        limits=pb.AccountLimits(
            day_loss=_money(limits.day_loss),
            day_target=_money(limits.day_target),
            max_position=limits.max_position,
            max_open_trades=limits.max_open_trades,
            max_orders_per_second=limits.max_orders_per_second,
            max_entries_per_hour=limits.max_entries_per_hour,
            margin_limits={root: str(value) for root, value in limits.margin_limits.items()},
            max_order_value=_money(limits.max_order_value),
        ),
    )


def _account_from_proto(message: pb.AccountView) -> AccountView:
    limits = message.limits
    return AccountView(
        account=AccountId(message.account),
        trading_day=_day("account.trading_day", message.trading_day),
        equity_at_roll=_decimal("account.equity_at_roll", message.equity_at_roll),
        realised=_decimal("account.realised", message.realised),
        open=_decimal("account.open", message.open),
        worst_case=_decimal("account.worst_case", message.worst_case),
        streak=message.streak,
        trades=message.trades,
        entries_last_hour=message.entries_last_hour,
        orders_last_second=message.orders_last_second,
        open_trades=message.open_trades,
        exposure=message.exposure,
        margin_in_use=_decimal("account.margin_in_use", message.margin_in_use),
        block=_block("account.block", message.block),
        halt=message.halt,
        unresolved=message.unresolved,
        tier_index=message.tier_index,
        first_fill_wins=message.first_fill_wins,
        in_the_market=message.in_the_market,
        tiers=tuple(
            Tier(
                _decimal("account.tiers.from", getattr(tier, "from")),
                tier.execute,
                tier.min_size,
                tier.max_size,
                _decimal("account.tiers.day_loss", tier.day_loss) if tier.HasField("day_loss") else None,
            )
            for tier in message.tiers
        ),
        limits=AccountLimits(
            day_loss=_decimal("account.limits.day_loss", limits.day_loss) if limits.HasField("day_loss") else None,
            day_target=_decimal("account.limits.day_target", limits.day_target)
            if limits.HasField("day_target")
            else None,
            max_position=limits.max_position if limits.HasField("max_position") else None,
            max_open_trades=limits.max_open_trades if limits.HasField("max_open_trades") else None,
            max_orders_per_second=(limits.max_orders_per_second if limits.HasField("max_orders_per_second") else None),
            max_entries_per_hour=limits.max_entries_per_hour if limits.HasField("max_entries_per_hour") else None,
            margin_limits={
                root: _decimal("account.limits.margin_limits", value)
                for root, value in sorted(limits.margin_limits.items())
            },
            max_order_value=_decimal("account.limits.max_order_value", limits.max_order_value)
            if limits.HasField("max_order_value")
            else None,
        ),
    )


def _strategy_to_proto(settings: StrategySettings) -> pb.StrategySettings:
    limits, day = settings.limits, settings.day
    return pb.StrategySettings(
        strategy=settings.strategy,
        state=settings.state,
        signal_root=settings.signal_root,
        signal_contract=settings.signal_contract,
        session_zone=settings.session_zone,
        after_open_ns=settings.after_open_ns,
        before_close_ns=settings.before_close_ns,
        blocks=[pb.LocalBlock(**{"from": start, "to": end}) for start, end in settings.blocks],
        news=[pb.Window(from_ns=start, to_ns=end) for start, end in settings.news],
        sizing_mode=settings.sizing_mode,
        fixed_size=settings.fixed_size,
        risk_percent=str(settings.risk_percent),
        max_size=settings.max_size,
        modifiers=settings.modifiers,
        respect_day_budget=settings.respect_day_budget,
        bracket=bracket_to_proto(settings.bracket),
        entry_type=settings.entry_type,
        entry_offset=settings.entry_offset,
        valid_for_ns=settings.valid_for_ns,
        max_pending=settings.max_pending,
        slippage_ticks=settings.slippage_ticks,
        limits=pb.StrategyLimits(
            max_position=limits.max_position,
            max_trades_per_day=limits.max_trades_per_day,
            day_loss=_money(limits.day_loss),
            max_orders_per_second=limits.max_orders_per_second,
            max_entries_per_hour=limits.max_entries_per_hour,
            max_entries_per_session=limits.max_entries_per_session,
        ),
        day=pb.StrategyDay(
            realised=str(day.realised),
            open=str(day.open),
            worst_case=str(day.worst_case),
            trades=day.trades,
            exposure=day.exposure,
            orders_last_second=day.orders_last_second,
            position=day.position,
            block=day.block,
            in_the_market=day.in_the_market,
            pending=day.pending,
            entries_last_hour=day.entries_last_hour,
            groups=[pb.WaitingGroup(name=name, buys=buys, sells=sells) for name, buys, sells in day.groups],
        ),
        execute=[_instrument_to_proto(item) for item in settings.execute],
    )


def _entry_type(text: str) -> OrderType:
    if text not in ENTRY_TYPES:
        raise InvalidInput("strategy.entry_type", text[:LONGEST_DECIMAL], "one of " + ", ".join(ENTRY_TYPES))
    return OrderType(text)


def _instrument_to_proto(item: ExecutionInstrument) -> pb.ExecutionInstrument:
    quote = item.quote
    return pb.ExecutionInstrument(
        root=item.root,
        contract=ContractId(item.contract),
        tick_value=str(item.tick_value),
        commission=str(item.commission),
        margin=_money(item.margin),
        quote=None if quote is None else pb.Quote(price=quote.price, time_ns=quote.time_ns),
        staleness_ns=item.staleness_ns,
        collar_ticks=item.collar_ticks,
        expires=None if item.expires is None else item.expires.isoformat(),
        inverse=item.inverse,
        fee_rate=str(item.fee_rate),
        gap_ticks=item.gap_ticks,
        no_stop_ticks=item.no_stop_ticks,
        forbidden=item.forbidden,
        recent=[pb.RecentEntry(side=side.value, quantity=quantity) for side, quantity in item.recent],
        foreign=item.foreign,
    )


def _strategy_from_proto(message: pb.StrategySettings) -> StrategySettings:
    limits, day = message.limits, message.day
    return StrategySettings(
        strategy=StrategyId(message.strategy),
        state=message.state,
        signal_root=message.signal_root,
        signal_contract=ContractId(message.signal_contract),
        session_zone=message.session_zone,
        after_open_ns=message.after_open_ns,
        before_close_ns=message.before_close_ns if message.HasField("before_close_ns") else None,
        blocks=tuple((getattr(block, "from"), block.to) for block in message.blocks),
        news=tuple((window.from_ns, window.to_ns) for window in message.news),
        sizing_mode=message.sizing_mode,
        fixed_size=message.fixed_size,
        risk_percent=_decimal("strategy.risk_percent", message.risk_percent),
        max_size=message.max_size,
        modifiers=tuple(message.modifiers),
        respect_day_budget=message.respect_day_budget,
        bracket=bracket_from_proto(message.bracket),
        entry_type=_entry_type(message.entry_type),
        entry_offset=message.entry_offset,
        valid_for_ns=message.valid_for_ns if message.HasField("valid_for_ns") else None,
        max_pending=message.max_pending if message.HasField("max_pending") else None,
        slippage_ticks=message.slippage_ticks,
        limits=StrategyLimits(
            max_position=limits.max_position if limits.HasField("max_position") else None,
            max_trades_per_day=limits.max_trades_per_day if limits.HasField("max_trades_per_day") else None,
            day_loss=_decimal("strategy.limits.day_loss", limits.day_loss) if limits.HasField("day_loss") else None,
            max_orders_per_second=(limits.max_orders_per_second if limits.HasField("max_orders_per_second") else None),
            max_entries_per_hour=limits.max_entries_per_hour if limits.HasField("max_entries_per_hour") else None,
            max_entries_per_session=(
                limits.max_entries_per_session if limits.HasField("max_entries_per_session") else None
            ),
        ),
        day=StrategyDay(
            _decimal("strategy.day.realised", day.realised),
            _decimal("strategy.day.open", day.open),
            _decimal("strategy.day.worst_case", day.worst_case),
            day.trades,
            day.exposure,
            day.orders_last_second,
            day.position,
            _block("strategy.day.block", day.block),
            tuple((group.name, group.buys, group.sells) for group in day.groups),
            day.in_the_market,
            day.pending,
            day.entries_last_hour,
        ),
        execute=tuple(_instrument_from_proto(item) for item in message.execute),
    )


def _instrument_from_proto(item: pb.ExecutionInstrument) -> ExecutionInstrument:
    return ExecutionInstrument(
        root=item.root,
        contract=ContractId(item.contract),
        tick_value=_decimal("strategy.execute.tick_value", item.tick_value),
        commission=_decimal("strategy.execute.commission", item.commission),
        margin=_decimal("strategy.execute.margin", item.margin) if item.HasField("margin") else None,
        quote=Quote(item.quote.price, item.quote.time_ns) if item.HasField("quote") else None,
        staleness_ns=item.staleness_ns,
        collar_ticks=item.collar_ticks,
        expires=_day("strategy.execute.expires", item.expires) if item.HasField("expires") else None,
        inverse=item.inverse,
        fee_rate=_decimal("strategy.execute.fee_rate", item.fee_rate),
        gap_ticks=item.gap_ticks,
        no_stop_ticks=item.no_stop_ticks if item.HasField("no_stop_ticks") else None,
        forbidden=item.forbidden,
        recent=tuple((_side("strategy.execute.recent.side", each.side), each.quantity) for each in item.recent),
        foreign=item.foreign,
    )


def _side(field: str, text: str) -> Side:
    if text not in {side.value for side in Side}:
        raise InvalidInput(field, text[:LONGEST_DECIMAL], "BUY or SELL")
    return Side(text)
