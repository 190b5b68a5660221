"""The stress of a strategy in words, for the terminal and the page."""

from collections.abc import Sequence

from leadline.backtest.results import Group
from leadline.model.counted import counted
from leadline.model.worth import places
from leadline.report.figures import percent, ratio
from leadline.report.parts import Amount, Cell, Document, Section
from leadline.report.sweeps import FIGURE_HEADS, LESS_HEADS, UNCHANGED, best_of_many, figure_cells
from leadline.study.bootstrap import PERCENTILES, Resampled
from leadline.study.stress import StressResult


def stress_page(result: StressResult) -> Document:
    """Levels of slippage, hours, weekdays, streaks, and the drawdowns of other histories."""
    account, decimals = result.account, places(result.account.currency)
    base = account.figures.net
    levels: list[tuple[Cell, ...]] = [("as given", *figure_cells(account.figures, decimals), "")]
    for level in result.levels:
        if level.account is not None:
            figures = level.account.figures
            cells = figure_cells(figures, decimals)
            difference = UNCHANGED if result.unchanged(level) else Amount(figures.net - base, decimals)
            levels.append((counted(level.slippage, "tick"), *cells, difference))
    parts = [
        Section("By slippage", ("slippage", *FIGURE_HEADS, "difference"), tuple(levels), less=LESS_HEADS),
        _groups(f"By hour of the entry, {', '.join(account.zones)}", "hour", account.by_hour, decimals),
        _groups("By weekday", "weekday", account.by_weekday, decimals),
        _streaks("Trades lost in a row", result.losing),
        _streaks("Trades won in a row", result.winning),
        _paths(result.paths, decimals),
    ]
    halted = tuple((counted(each.slippage, "tick"), each.halted) for each in result.levels if each.halted)
    if halted:
        parts.append(Section("Halted", ("slippage", "reason"), halted, names=2))
    intro = (
        f"{counted(result.tried, 'variant')} tried: the manifests as they are, and with other "
        "slippage. Hours, weekdays, streaks and drawdowns are those of the manifests as they are."
    )
    return Document("Stress", (intro,), (best_of_many("Best by net result", result.deflated()),), tuple(parts))


def _groups(title: str, name: str, groups: Sequence[Group], decimals: int) -> Section:
    rows = tuple(
        (each.name, str(each.trades), str(each.wins), Amount(each.net, decimals), ratio(each.profit_factor))
        for each in groups
    )
    return Section(title, (name, "trades", "won", "net", "profit factor"), rows)


def _streaks(title: str, found: Sequence[tuple[int, int]]) -> Section:
    rows = tuple((str(length), str(count)) for length, count in found)
    return Section(title, ("in a row", "times"), rows, names=0)


def _paths(paths: Resampled, decimals: int) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (f"{each} %", f"{paths.drawdown(each):,.{decimals}f}", Amount(paths.net(each), decimals))
        for each in PERCENTILES
    ]
    rows.append(("the days as they were", f"{paths.own_drawdown:,.{decimals}f}", Amount(paths.own_net, decimals)))
    drawn, days = counted(len(paths.nets), "path"), counted(paths.days, "day")
    note = (
        f"{drawn} of {days}, in blocks of {counted(paths.block, 'day')} drawn with replacement (circular block "
        f"bootstrap, seed {paths.seed}), at the days' ends. A row has the "
        f"drawdown and the result that so many of them do not exceed. {percent(paths.deeper)} of them fall deeper than "
        f"the days did, {percent(paths.losing)} end with a loss."
    )
    return Section("Drawdown and result of other histories", ("of the paths", "drawdown", "net"), tuple(rows), 1, note)
