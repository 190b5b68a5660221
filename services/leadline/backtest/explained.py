"""The explanation of a trade of a backtest: its cause, as it is kept with the results."""

from collections.abc import Iterator
from typing import Final

from leadline.backtest.causes import Cause, Footprint
from leadline.backtest.results import AccountResult, BacktestResult
from leadline.model.errors import InvalidInput
from leadline.model.ids import NO_ORDER, BacktestId, ClientOrderId, Leg, LegKind, RunId, client_order_id
from leadline.views.explained import ExplainedBar, ExplainedDecision, Explanation, FootprintView, RowView, Step
from leadline.views.explaining import Asked, bounds_of, result_view, trade_text
from leadline.views.prices import price_text
from leadline.views.trades import Trade

KEPT_IDS: Final = (
    "the id of a decision that `leadline backtest show --output json` has, or of an order of it, the key of the bar of "
    "its entry, or STRATEGY@TIME with the second of the entry"
)
_NOT_KEPT: Final = (
    "a backtest keeps its trades with the bar of each entry; the parts of regimes, limits and order events are not kept"
)
_MOST_LEGS: Final = 64


def explain_kept(asked: Asked, backtest: BacktestId, result: BacktestResult) -> Explanation:
    """The trades of a backtest that an id means. Raises InvalidInput for one that means none."""
    bars = tuple(
        _bar(account, trade, cause)
        for account in result.accounts
        for trade, cause in zip(account.trades, account.causes, strict=True)
        if _is_meant(asked, trade, cause)
    )
    if not bars:
        raise InvalidInput("ID", asked.text, f"one that the backtest {backtest} has: {KEPT_IDS}")
    kind = "BAR" if asked.bar or asked.strategy else "DECISION" if _is_decision(asked, result) else "ORDER"
    missing = [_NOT_KEPT, *(["the bar of this entry is not kept"] if any(not bar.footprint for bar in bars) else [])]
    return Explanation(asked.text, kind, RunId(backtest), bars, tuple(missing))


def _is_decision(asked: Asked, result: BacktestResult) -> bool:
    return any(trade.decision_id == asked.text for account in result.accounts for trade in account.trades)


def _is_meant(asked: Asked, trade: Trade, cause: Cause) -> bool:
    if asked.bar:
        return cause.footprint is not None and cause.footprint.bar == asked.bar
    if asked.strategy:
        return trade.strategy == asked.strategy and asked.at_ns <= trade.entry_ns < asked.at_ns + 1_000_000_000
    return asked.text == trade.decision_id or ClientOrderId(asked.text) in _orders_of(trade)


def _orders_of(trade: Trade) -> Iterator[ClientOrderId]:
    """The ids that the orders of a decision can have: they are derived from it."""
    yield client_order_id(trade.decision_id, Leg.of(LegKind.ENTRY))
    for number in range(1, _MOST_LEGS + 1):
        for kind in (LegKind.STOP, LegKind.TARGET, LegKind.FLATTEN):
            yield client_order_id(trade.decision_id, Leg.of(kind, number))


def _bar(account: AccountResult, trade: Trade, cause: Cause) -> ExplainedBar:
    arithmetic = dict(cause.size)
    entry = f"{trade.side.lower()} {trade.quantity} {trade.contract} at {price_text(trade.contract, trade.entry_price)}"
    left = f"out by {trade.exit_by.replace('_', ' ')} at {price_text(trade.contract, trade.exit_price)}"
    decision = ExplainedDecision(
        summary=f"{trade_text(trade)}.",
        proposal=None,
        decided_ns=None,
        arithmetic=arithmetic,
        bounds=bounds_of(arithmetic),
        limits=(),
        orders=(),
        steps=(
            Step(trade.entry_ns, None, "FILL", NO_ORDER, Leg.of(LegKind.ENTRY), "", entry),
            Step(trade.exit_ns, trade.exit_ns - trade.entry_ns, "FILL", NO_ORDER, Leg(""), "", left),
        ),
        result=result_view(trade),
        halts=(),
    )
    shown = None if cause.footprint is None else _footprint(cause.footprint)
    bar = "" if cause.footprint is None else cause.footprint.bar
    return ExplainedBar(account.account, trade.strategy, bar, shown, None, cause.signals, (decision,), "", "")


def _footprint(bar: Footprint) -> FootprintView:
    rows = zip(bar.rows_ticks, bar.sold, bar.bought, strict=True)
    return FootprintView(
        bar=bar.bar,
        contract=bar.contract,
        high=price_text(bar.contract, bar.high_ticks),
        low=price_text(bar.contract, bar.low_ticks),
        close=price_text(bar.contract, bar.close_ticks),
        volume=bar.volume,
        delta=bar.delta,
        poc=price_text(bar.contract, bar.poc_ticks),
        poc_ticks=bar.poc_ticks,
        value_area_low_ticks=bar.value_area_low_ticks,
        value_area_high_ticks=bar.value_area_high_ticks,
        rows=tuple(RowView(price_text(bar.contract, ticks), ticks, bid, ask, 0) for ticks, bid, ask in rows)[::-1],
    )
