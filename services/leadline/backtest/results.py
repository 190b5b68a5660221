"""The results of a backtest, as values."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from leadline.backtest.account import AccountRun, TierDay
from leadline.backtest.causes import Cause, cause_of
from leadline.backtest.coverage import KeptOut, ShortDay, UnfinishedLine, kept_out, short_days
from leadline.backtest.equity import EquityLine, equity_line
from leadline.backtest.figures import (
    Interval,
    daily_returns,
    exposure,
    max_drawdown,
    profit_factor,
    sharpe,
    sortino,
    win_rate,
)
from leadline.backtest.gathered import Gathered
from leadline.backtest.identity import Identity
from leadline.backtest.run import Outcome
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, session_of
from leadline.model.market.calendars import Session
from leadline.model.market.hours import local_datetime
from leadline.model.worth import booked, places
from leadline.views.trades import EquityPoint, Reasons, Trade, trades_of

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Group:
    """Trades that have something in common. Money after commission, in the account's currency."""

    name: str
    trades: int
    wins: int
    net: Decimal
    profit_factor: Decimal | None


@dataclass(frozen=True, slots=True)
class DayLine:
    """One session day: trades that were closed on it, its net result with open positions marked, equity at its end."""

    day: date
    trades: int
    net: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True)
class MonthLine:
    """The session days of one calendar month: how many, the trades closed on them, and their net result."""

    year: int
    month: int
    days: int
    trades: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class TierChange:
    """The first day of another capital tier. Tiers count from 1, the lowest; None is none.

    `equity` is the account's when the day began; `execute`, `min_size` and `max_size` are the new tier's.
    """

    day: date
    before: int | None
    after: int | None
    equity: Decimal
    execute: str | None
    min_size: int | None
    max_size: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of an account. Money in its currency, after commission; ratios as `leadline.backtest.figures`.

    `net` is the result of all that is closed, and of what open positions have realised; `open_result` is the rest, at
    the last close. `net_a_day` is the mean over the session days of both; `win_days` are days that end above where they
    began. `max_drawdown` is on the equity after each fill and at each bar's close, open positions marked. `exposure`
    is the share of session time with a position.
    """

    session_days: int
    win_days: int
    trade_count: int
    wins: int
    losses: int
    win_rate: Decimal | None
    net: Decimal
    open_result: Decimal
    net_a_day: Decimal | None
    commission: Decimal
    average_win: Decimal | None
    average_loss: Decimal | None
    profit_factor: Decimal | None
    max_drawdown: Decimal
    sharpe: Decimal | None
    sortino: Decimal | None
    exposure: Decimal | None


@dataclass(frozen=True, slots=True)
class AccountResult:
    """One account at the end of a backtest. Money is in its currency, times are ns UTC.

    `trades` are in the order of their exits, and `causes` those of each. `by_hour` are the hours of the entries on the
    wall clock of `zones`, those of the strategies' sessions; `by_weekday` the days of the week of their trading days.
    `refused` counts decisions by the first reason that refused them. `equity` is marked, as in `Figures.max_drawdown`.
    """

    account: AccountId
    currency: str
    start_equity: Decimal
    end_equity: Decimal
    figures: Figures
    days: tuple[DayLine, ...]
    trades: tuple[Trade, ...]
    causes: tuple[Cause, ...]
    by_pattern: tuple[Group, ...]
    by_regime: tuple[Group, ...]
    by_hour: tuple[Group, ...]
    by_weekday: tuple[Group, ...]
    zones: tuple[str, ...]
    tier_changes: tuple[TierChange, ...]
    decisions: int
    refused: tuple[tuple[str, int], ...]
    equity: tuple[EquityPoint, ...]

    @property
    def places(self) -> int:
        """Decimals with which sums of the account's currency are shown."""
        return places(self.currency)


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A backtest as a whole: its first and last traded day, how many there are, and its accounts by name.

    `missing` are sessions that the market had and the prints have not: of the history, or between first and last day.
    `filled_on` has each contract that was traded and has no prints here, with the one on whose prints its orders were
    filled.
    `short_days`, `kept_out` and `unfinished` are what the prints lack of their days: parts of sessions, faulty prints,
    and the bars inside of which a tape ends. `identity` is what it follows from; None for one that nobody keeps, such
    as a variant of a study.
    """

    first: date
    last: date
    days: int
    prints: int
    digest: str
    accounts: tuple[AccountResult, ...]
    missing: tuple[date, ...] = ()
    filled_on: tuple[tuple[ContractId, ContractId], ...] = ()
    short_days: tuple[ShortDay, ...] = ()
    kept_out: tuple[KeptOut, ...] = ()
    unfinished: tuple[UnfinishedLine, ...] = ()
    identity: Identity | None = None


def result_of(outcome: Outcome, gathered: Gathered, identity: Identity | None = None) -> BacktestResult:
    """The results of an outcome; `gathered` has seen its days. identity: see `BacktestResult`."""
    days = outcome.days.traded
    return BacktestResult(
        first=days[0].day,
        last=days[-1].day,
        days=len(days),
        prints=outcome.days.prints,
        digest=outcome.digest,
        accounts=tuple(_account(name, run, outcome, gathered) for name, run in outcome.accounts.items()),
        missing=outcome.days.plan.missing,
        filled_on=tuple(sorted(_filled_on(outcome))),
        short_days=short_days(outcome.days, gathered.strategies),
        kept_out=kept_out(outcome.days),
        unfinished=tuple(UnfinishedLine(each.key.text(), each.prints) for each in gathered.unfinished),
        identity=identity,
    )


def _filled_on(outcome: Outcome) -> set[tuple[ContractId, ContractId]]:
    """The contracts of orders that other contracts' prints fill, each with that one."""
    orders = (written.order for run in outcome.accounts.values() for written in run.records.orders.values())
    return {(each.contract, each.tape_contract) for each in orders if each.contract != each.tape_contract}


def _account(name: AccountId, run: AccountRun, outcome: Outcome, gathered: Gathered) -> AccountResult:
    book, records = run.book, run.records
    strategies = {each.full_name: each for each in gathered.strategies if each.account_name == name}
    fills = sorted(records.fills.values(), key=lambda booked: (booked.venue_event, booked.fill.k))
    orders = {client_id: written.order for client_id, written in records.orders.items()}
    reasons = {
        decision.decision_id: Reasons((*decision.patterns, "")[0], decision.regime)
        for decision in records.decisions.values()
    }
    trades, _ = trades_of([(booked.strategy, booked.fill) for booked in fills], orders, reasons)
    sessions = _sessions(outcome, strategies)
    start = book.manifest.spec.starting_balance
    line = equity_line(
        start,
        [(booked.strategy, booked.fill, orders[booked.fill.client_id]) for booked in fills],
        gathered.closes.get(name, ()),
        _day_of(strategies),
    )
    days = _days(start, line, sorted({each.trading_day for each in sessions}), trades, _day_of(strategies))
    refused = Counter(each.reason for each in records.decisions.values() if not each.accepted)
    return AccountResult(
        account=name,
        currency=book.manifest.spec.currency,
        start_equity=start,
        end_equity=line.cash,
        figures=_figures(start, line, days, trades, [(each.open_ns, each.close_ns) for each in sessions]),
        days=days,
        trades=tuple(trades),
        causes=tuple(_cause(trade, run, gathered) for trade in trades),
        by_pattern=groups(trades, lambda trade: trade.pattern),
        by_regime=groups(trades, lambda trade: trade.regime),
        by_hour=groups(trades, lambda trade: _hour(trade, strategies)),
        by_weekday=sorted_by_weekday(groups(trades, lambda trade: WEEKDAYS[_entry_day(trade, strategies).weekday()])),
        zones=tuple(sorted({_zone(each) for each in strategies.values()})),
        tier_changes=tier_changes(gathered.tiers.get(name, ())),
        decisions=len(records.decisions),
        refused=tuple(sorted(refused.items(), key=lambda each: (-each[1], each[0]))),
        equity=line.points,
    )


def months_of(days: Iterable[DayLine]) -> tuple[MonthLine, ...]:
    """The session days by calendar month, in order."""
    found: dict[tuple[int, int], list[DayLine]] = {}
    for each in days:
        found.setdefault((each.day.year, each.day.month), []).append(each)
    return tuple(
        MonthLine(year, month, len(lines), sum(each.trades for each in lines), _sum(each.net for each in lines))
        for (year, month), lines in found.items()
    )


def groups(trades: Iterable[Trade], name_of: Callable[[Trade], str]) -> tuple[Group, ...]:
    """Trades by a name of each, in the order of the names."""
    found: dict[str, list[Decimal]] = {}
    for trade in trades:
        found.setdefault(name_of(trade), []).append(trade.net)
    return tuple(
        Group(name, len(nets), sum(net > 0 for net in nets), _sum(nets), profit_factor(nets))
        for name, nets in sorted(found.items())
    )


def sorted_by_weekday(found: Iterable[Group]) -> tuple[Group, ...]:
    """Groups whose names are days of the week, Monday first."""
    return tuple(sorted(found, key=lambda each: WEEKDAYS.index(each.name)))


def tier_changes(days: Sequence[TierDay]) -> tuple[TierChange, ...]:
    """The days, in order, that have another tier than the day before."""
    found = []
    for before, after in pairwise(days):
        if before.index != after.index:
            tier = after.tier
            found.append(
                TierChange(
                    after.day,
                    before.index + 1 or None,
                    after.index + 1 or None,
                    after.equity,
                    None if tier is None else tier.execute,
                    None if tier is None else tier.min_size,
                    None if tier is None else tier.max_size,
                )
            )
    return tuple(found)


def _figures(
    start: Decimal, line: EquityLine, days: Sequence[DayLine], trades: Sequence[Trade], sessions: Iterable[Interval]
) -> Figures:
    nets = [trade.net for trade in trades]
    wins, losses = [each for each in nets if each > 0], [each for each in nets if each < 0]
    last = line.points[-1].equity if line.points else start
    returns = daily_returns(start, [each.equity for each in days])
    return Figures(
        session_days=len(days),
        win_days=sum(each.net > 0 for each in days),
        trade_count=len(trades),
        wins=len(wins),
        losses=len(losses),
        win_rate=win_rate(nets),
        net=line.cash - start,
        open_result=last - line.cash,
        net_a_day=_mean(_sum(each.net for each in days), len(days)),
        commission=_sum(trade.commission for trade in trades),
        average_win=_mean(_sum(wins), len(wins)),
        average_loss=_mean(_sum(losses), len(losses)),
        profit_factor=profit_factor(nets),
        max_drawdown=max_drawdown(start, (point.equity for point in line.points)),
        sharpe=None if returns is None else sharpe(returns),
        sortino=None if returns is None else sortino(returns),
        exposure=exposure(line.held, sessions),
    )


def _sum(money: Iterable[Decimal]) -> Decimal:
    return sum(money, Decimal(0))


def _mean(total: Decimal, count: int) -> Decimal | None:
    """A mean of money, rounded as money that is booked."""
    return booked(total / count) if count else None


def _days(
    start: Decimal, line: EquityLine, days: Sequence[date], trades: Iterable[Trade], day_of: Callable[[int], date]
) -> tuple[DayLine, ...]:
    """The session days. A day of no session that has a fill or a close, such as a holiday's, counts to the next."""
    closed = Counter(day_of(trade.exit_ns) for trade in trades)
    equity, found = start, []
    for place, day in enumerate(days):
        until = None if place == len(days) - 1 else day
        since = date.min if not place else days[place - 1]
        inside = [each for each in line.ends if since < each and (until is None or each <= until)]
        ended = line.ends[max(inside)] if inside else equity
        count = sum(number for each, number in closed.items() if since < each and (until is None or each <= until))
        found.append(DayLine(day, count, ended - equity, ended))
        equity = ended
    return tuple(found)


def _sessions(outcome: Outcome, strategies: dict[StrategyId, TradingStrategy]) -> list[Session]:
    """The sessions of the traded days on which the strategies of an account speak."""
    found = []
    for day in outcome.days.traded:
        for spoken in day.spoken:
            if spoken.strategy in strategies:
                spec = strategies[spoken.strategy].spec
                session = calendar_of_spec(spec).session(day.day, session_of(spec)[1])
                if session is not None:
                    found.append(session)
    return found


def _day_of(strategies: dict[StrategyId, TradingStrategy]) -> Callable[[int], date]:
    """The trading day of an instant: all strategies of an account have the same trading days."""
    calendars = [calendar_of_spec(each.spec) for each in strategies.values()]

    def trading_day(time_ns: int) -> date:
        return calendars[0].trading_day(time_ns)

    return trading_day


def _entry_day(trade: Trade, strategies: dict[StrategyId, TradingStrategy]) -> date:
    return calendar_of_spec(strategies[trade.strategy].spec).trading_day(trade.entry_ns)


def _hour(trade: Trade, strategies: dict[StrategyId, TradingStrategy]) -> str:
    return f"{local_datetime(trade.entry_ns, _zone(strategies[trade.strategy])).hour:02d}:00"


def _zone(strategy: TradingStrategy) -> str:
    return session_of(strategy.spec)[1].zone


def _cause(trade: Trade, run: AccountRun, gathered: Gathered) -> Cause:
    decision = run.records.decisions.get(trade.decision_id)
    entry = None if decision is None else gathered.entry(decision.strategy, decision.bar_key)
    return cause_of(decision, entry)
