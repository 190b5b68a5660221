"""The days of a run: the contract and the result of each, and days on which a strategy has no session."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby

from leadline.model.errors import Unknown
from leadline.model.ids import StrategyId
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, session_of
from leadline.model.market.contracts import FrontMonth, front_months
from leadline.views.trades import Trade


@dataclass(frozen=True, slots=True)
class TradedDay:
    """One trading day of one strategy. `net` is of the trades that were entered on it, in the account's currency.

    `contract` is the one whose bars counted, empty where the feed has none for the day; `session` says whether the
    strategy's hours have a part within the market's on it.
    """

    strategy: StrategyId
    day: date
    contract: str
    session: bool
    bars: int
    trades: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring trading days with one contract, both included."""

    contract: str
    first: date
    last: date


def traded_days_of(
    strategies: Sequence[TradingStrategy],
    sessions: Iterable[date],
    feed: Iterable[str],
    trade_from: date,
    bars: Mapping[tuple[str, date], int],
    trades: Iterable[Trade],
) -> tuple[TradedDay, ...]:
    """Every trading day from `trade_from` on, by strategy and day.

    `sessions` are the trading days of the tape; days with `bars` (by strategy and day) or trades are shown besides
    them, because nobody knows beforehand which days a client pushes.
    """
    contracts, days, closed = tuple(feed), set(sessions), tuple(trades)
    found: list[TradedDay] = []
    for strategy in strategies:
        name, spec = strategy.full_name, strategy.spec
        market = calendar_of_spec(spec)
        _, hours = session_of(spec)
        months = _months(spec.instrument, contracts, trade_from)
        own = [(market.trading_day(trade.entry_ns), trade) for trade in closed if trade.strategy == name]
        seen = {day for by, day in bars if by == name} | {day for day, _ in own}
        for day in sorted(day for day in days | seen if day >= trade_from):
            entered = [trade for entered_on, trade in own if entered_on == day]
            found.append(
                TradedDay(
                    strategy=name,
                    day=day,
                    contract=_contract_of(months, day),
                    session=market.session(day, hours) is not None,
                    bars=bars.get((name, day), 0),
                    trades=len(entered),
                    net=sum((trade.net for trade in entered), Decimal(0)),
                )
            )
    return tuple(found)


def spans(days: Iterable[TradedDay]) -> tuple[Span, ...]:
    """The contracts of one strategy's days, one after the other."""
    found = []
    for contract, group in groupby(days, key=lambda each: each.contract):
        together = [each.day for each in group]
        found.append(Span(contract, together[0], together[-1]))
    return tuple(found)


def _months(symbol: str, feed: tuple[str, ...], trade_from: date) -> tuple[FrontMonth, ...]:
    try:
        return front_months(symbol, feed, trade_from)
    except Unknown:
        return ()


def _contract_of(months: Iterable[FrontMonth], day: date) -> str:
    return next((month.contract for month in months if month.covers(day)), "")
