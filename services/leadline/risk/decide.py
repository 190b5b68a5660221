"""One decision per bar: collect the approved signals, refuse conflicts, pass the gates and limits, then size."""

from leadline.model.orders import OrderType, Side
from leadline.model.signals import BarSignals, Direction, Signal
from leadline.risk.bounds import check_question
from leadline.risk.gates import month_refusal, open_until, time_refusal
from leadline.risk.limits import contract_refusal, order_refusal, standing_refusal
from leadline.risk.reasons import Reason
from leadline.risk.sizing import size
from leadline.risk.view import AccountView, Answer, Entry, ExecutionInstrument, Question, StrategySettings


def decide(question: Question) -> Answer:
    """Risk's word on a bar: an order, or the first reason that refused it with the arithmetic so far.

    Raises InvalidInput for a question that is out of bounds (`leadline.risk.bounds`).
    """
    check_question(question)
    account, strategy, bar = question.account, question.strategy, question.bar
    approved = _strongest_first(bar)
    if not approved:
        return _refused(Reason.NO_APPROVED_SIGNAL, ())
    if len({signal.direction for signal in approved}) > 1:
        return _refused(Reason.CONFLICT, approved)
    refusal = month_refusal(strategy, bar) or time_refusal(strategy, bar, question.instant_ns)
    refusal = refusal or standing_refusal(account, strategy)
    if refusal is not None:
        return _refused(refusal, approved)
    instrument = execution_instrument(account, strategy)
    if isinstance(instrument, Reason):
        return _refused(instrument, approved)
    refusal = contract_refusal(account, instrument, question.instant_ns, bar.close)
    if refusal is not None:
        return _refused(refusal, approved)
    sized = size(account, strategy, instrument, bar, approved)
    side = Side.BUY if approved[0].direction is Direction.LONG else Side.SELL
    price = _price(strategy, bar.close, side)
    entry = Entry(side, sized.quantity, question.instant_ns, bar.close, price)
    refusal = sized.reason or order_refusal(account, strategy, instrument, entry)
    if refusal is not None:
        return _refused(refusal, approved, sized.arithmetic)
    return Answer(
        accepted=True,
        reason="",
        side=side.value,
        quantity=sized.quantity,
        contract=instrument.contract,
        bracket=strategy.bracket,
        patterns=tuple(signal.pattern.value for signal in approved),
        arithmetic=sized.arithmetic,
        type=strategy.entry_type,
        price=price,
        valid_until_ns=None if price is None else _valid_until(strategy, bar, question.instant_ns),
    )


def _price(strategy: StrategySettings, close: int, side: Side) -> int | None:
    """Where an entry waits, ticks: a limit on the better side of the bar's close, a stop beyond it."""
    if strategy.entry_type is OrderType.MARKET:
        return None
    away = 1 if strategy.entry_type is OrderType.STOP else -1
    return close + away * side.sign * strategy.entry_offset


def _valid_until(strategy: StrategySettings, bar: BarSignals, instant_ns: int) -> int:
    """When an entry that waits ends: after its own time, else with the session, and with the gate that lets it in."""
    if strategy.valid_for_ns is not None:
        own = instant_ns + strategy.valid_for_ns
    elif instant_ns < bar.close_ns:
        own = bar.close_ns
    else:  # a session that never closes: its last bar is known in the next one, which is as long
        own = 2 * bar.close_ns - bar.open_ns
    closes = open_until(strategy, bar, instant_ns)
    return own if closes is None else min(own, closes)


def execution_instrument(account: AccountView, strategy: StrategySettings) -> ExecutionInstrument | Reason:
    """The contract that fills: the tier's root of the same underlying, or the signal's own when tiers are off."""
    tier = account.tier
    if tier is None and account.tiers:
        return Reason.NO_TIER
    root = strategy.signal_root if tier is None else tier.execute
    return next((instrument for instrument in strategy.execute if instrument.root == root), Reason.NO_CONTRACT)


def _strongest_first(bar: BarSignals) -> tuple[Signal, ...]:
    """Approved signals by falling strength; ties keep the order of the patterns' definition."""
    return tuple(sorted((s for s in bar.signals if s.approved), key=lambda signal: -signal.strength))


def _refused(reason: Reason, approved: tuple[Signal, ...], arithmetic: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(False, reason.value, patterns=tuple(s.pattern.value for s in approved), arithmetic=arithmetic)
