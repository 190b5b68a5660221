"""The figures of a backtest in words, as the terminal and the page show them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from leadline.backtest.coverage import ShortDay
from leadline.backtest.results import AccountResult, BacktestResult, TierChange
from leadline.model.counted import counted
from leadline.report.clock import time_of_day, zone_name

NO_FIGURE: Final = "–"
"""Stands for a figure that is not defined: a ratio whose divisor is zero."""
FEW_DAYS: Final = 60
"""Session days below which a Sharpe ratio comes with a warning: the moments of the returns may be chance."""
_DAYS_SHOWN: Final = 10
_MOST_GAPS: Final = 20


def figure_text(name: str, value: Decimal | None, places: int) -> str:
    """A figure by its name in a document, as people read it; a dash where it is not defined."""
    if value is None:
        return NO_FIGURE
    return _FORMS.get(name, _amount)(value, places)


def figure_name(name: str) -> str:
    """A figure's name in a document, as people read it."""
    return _NAMES.get(name, name.replace("_", " "))


def figure_rows(result: AccountResult) -> list[tuple[str, str]]:
    """Every figure of an account, by its name, in the order in which a reader asks for them."""
    figures, places = result.figures, result.places
    rows = [
        ("net result", signed(figures.net, places)),
        ("equity at the start", f"{result.start_equity:,.{places}f}"),
        ("equity at the end", f"{result.end_equity:,.{places}f}"),
        ("trades", f"{figures.trade_count:,}"),
        ("won and lost", f"{figures.wins:,} / {figures.losses:,}"),
        ("win rate", percent(figures.win_rate)),
        ("average win", signed(figures.average_win, places)),
        ("average loss", signed(figures.average_loss, places)),
        ("profit factor", ratio(figures.profit_factor)),
        ("commission", f"{figures.commission:,.{places}f}"),
        ("largest drawdown", f"{figures.max_drawdown:,.{places}f}"),
        ("result a day", signed(figures.net_a_day, places)),
        ("days won", f"{figures.win_days:,} of {figures.session_days:,}"),
        ("Sharpe ratio", ratio(figures.sharpe)),
        ("Sortino ratio", ratio(figures.sortino)),
        ("exposure", percent(figures.exposure)),
    ]
    if figures.open_result:
        rows.insert(3, ("open, not in the net result", signed(figures.open_result, places)))
    return rows


def signed(value: Decimal | None, places: int) -> str:
    """An amount with its sign."""
    return NO_FIGURE if value is None else f"{value:+,.{places}f}"


def percent(value: Decimal | None) -> str:
    """A share as a percentage."""
    return NO_FIGURE if value is None else f"{100 * value:.1f} %"


def ratio(value: Decimal | None) -> str:
    """A ratio to two places."""
    return NO_FIGURE if value is None else f"{value:.2f}"


def tier_text(change: TierChange) -> str:
    """From which tier to which, and the sizes of the new one."""
    before, after = (f"tier {each}" if each else "no tier" for each in (change.before, change.after))
    sizes = f" ({change.execute} {change.min_size} to {change.max_size})" if change.execute else ""
    return f"{before} to {after}{sizes}"


def words(name: str) -> str:
    """A name of a pattern, a regime or a reason as it is read."""
    return name.lower().replace("_", " ") or "none"


def doubts(result: BacktestResult) -> list[str]:
    """The sentences of a backtest on prints that it had not, or not whole, and on days without a decision."""
    found = []
    if not any(account.decisions for account in result.accounts):
        found.append(
            "nothing was decided on these days: no bar was completed in the strategy's session, or the strategy "
            "proposed nothing; the figures say nothing about it"
        )
    history = [day for day in result.missing if day < result.first]
    if history:
        found.append(f"history without prints: {_days_text(history)}")
    if between := result.missing[len(history) :]:
        found.append(f"sessions that were not at hand: {_days_text(between)}")
    return found + [filled_on_text(*pair) for pair in result.filled_on]


def filled_on_text(contract: str, tape: str) -> str:
    """That the prints of another contract filled the orders in one."""
    return f"orders in {contract} were filled on the prints of {tape}: it has none of its own here"


def few_days(result: AccountResult) -> str:
    """The sentence on ratios of few days; empty where there is no ratio, or of enough days."""
    figures = result.figures
    if figures.session_days >= FEW_DAYS or (figures.sharpe is None and figures.sortino is None):
        return ""
    return f"The Sharpe and Sortino ratios are of {counted(figures.session_days, 'day')}. So few days say little."


def _days_text(days: Sequence[date]) -> str:
    shown = ", ".join(day.isoformat() for day in days[:_DAYS_SHOWN])
    return shown if len(days) <= _DAYS_SHOWN else f"{shown} ... {days[-1].isoformat()}, {len(days)} in all"


GAPS: Final = "Gaps in the prints: such days count as whole ones"
"""Title of the table of `gaps`."""


def gaps(result: BacktestResult) -> list[tuple[str, str, str, str]]:
    """The parts that the prints of a backtest lack, in rows: their kind, contract, place, and how much there is."""
    rows: list[tuple[str, str, str, str]] = [
        (
            "part of a session" if each.traded else "part of the history",
            each.contract,
            f"{each.day} {each.session}, {_prints_of(each)}",
            f"{percent(each.share)} covered",
        )
        for each in result.short_days[:_MOST_GAPS]
    ]
    if (more := len(result.short_days) - _MOST_GAPS) > 0:
        rows.append(("more parts of sessions", "", "in the JSON document", f"{more:,}"))
    rows += [
        (f"kept out, {words(each.reason)}", each.contract, "", counted(each.prints, "print"))
        for each in result.kept_out
    ]
    for each in result.unfinished:
        rows.append(("unfinished bar", each.bar.partition("/")[0], each.bar, counted(each.prints, "print")))
    return rows


def _prints_of(gap: ShortDay) -> str:
    if gap.outside:
        return "no print inside the session"
    return f"{time_of_day(gap.first_ns)} to {time_of_day(gap.last_ns)} {zone_name()}"


def _amount(value: Decimal, places: int) -> str:
    return f"{value:,.{places}f}"


def _count(value: Decimal, places: int) -> str:
    del places
    return f"{value:,.0f}"


_FORMS: Final[Mapping[str, Callable[[Decimal, int], str]]] = {
    **dict.fromkeys(("session_days", "win_days", "trade_count", "wins", "losses"), _count),
    **dict.fromkeys(("net", "open_result", "net_a_day", "average_win", "average_loss"), signed),
    **dict.fromkeys(("win_rate", "exposure"), lambda value, _: percent(value)),
    **dict.fromkeys(("profit_factor", "sharpe", "sortino"), lambda value, _: ratio(value)),
}
_NAMES: Final = {
    "net": "net result",
    "start_equity": "equity at the start",
    "end_equity": "equity at the end",
    "trade_count": "trades",
    "wins": "trades won",
    "losses": "trades lost",
    "open_result": "open, not in the net result",
    "max_drawdown": "largest drawdown",
    "net_a_day": "result a day",
    "win_days": "days won",
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
}
