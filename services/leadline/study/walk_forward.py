"""Walk-forward: variants are compared on some days, and the best of them trades the days that follow.

Each fold's choice sees its in-sample days alone. The out-of-sample days of the folds follow on one another, and so does
the account: it begins each of them with the equity at which the fold before ended.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from leadline.backtest.days import backtest_days
from leadline.backtest.figures import daily_returns, max_drawdown, sharpe
from leadline.backtest.results import DayLine
from leadline.model.errors import InvalidInput
from leadline.model.manifest.sweep import Variant, changed
from leadline.study.deflated import Deflated, deflated
from leadline.study.engine import Study, StudyFailed, run_study
from leadline.study.parts import refuse_other_markets
from leadline.study.rows import AccountRow, FilledOn, VariantRow, better_first, filled_on_of


@dataclass(frozen=True, slots=True)
class Window:
    """The days of a fold, first and last of both parts."""

    first: date
    last: date
    then_first: date
    then_last: date


@dataclass(frozen=True, slots=True)
class Fold:
    """A fold: the variant that was the best in its sample, and what it came to on the days after."""

    window: Window
    chosen: VariantRow
    inside: AccountRow
    deflated: Deflated
    outside: AccountRow
    filled_on: FilledOn = ()


@dataclass(frozen=True, slots=True)
class WalkForwardResult:
    """The folds in order, of so many variants, chosen by a figure."""

    variants: int
    figure: str
    folds: tuple[Fold, ...]

    @property
    def days(self) -> tuple[DayLine, ...]:
        """The out-of-sample days of all folds."""
        return tuple(day for fold in self.folds for day in fold.outside.days)

    @property
    def filled_on(self) -> FilledOn:
        """See `BacktestResult`, of all variants in and out of all samples."""
        return filled_on_of(fold.filled_on for fold in self.folds)

    @property
    def start_equity(self) -> Decimal:
        """Equity before the first out-of-sample day."""
        return self.folds[0].outside.start_equity

    @property
    def net(self) -> Decimal:
        """Net result of all out-of-sample days, with what is open at the end of a fold at its last price."""
        return sum((day.net for day in self.days), Decimal(0))

    @property
    def left_open(self) -> Decimal:
        """The part of `net` that is of positions open at the ends of folds: no later fold holds them."""
        return sum((fold.outside.figures.open_result for fold in self.folds), Decimal(0))

    @property
    def drawdown(self) -> Decimal:
        """The largest drawdown of the joined equity, at the days' ends."""
        return max_drawdown(self.start_equity, (day.equity for day in self.days))

    @property
    def sharpe(self) -> Decimal | None:
        """The Sharpe ratio of the joined out-of-sample days."""
        returns = daily_returns(self.start_equity, [day.equity for day in self.days])
        return None if returns is None else sharpe(returns)

    @property
    def efficiency(self) -> Decimal | None:
        """Net result a day out of sample / in sample of the chosen variants; None where they won nothing in sample."""
        inside = _a_day([fold.inside for fold in self.folds])
        return None if inside <= 0 else _a_day([fold.outside for fold in self.folds]) / inside


def run_walk_forward(
    variants: Sequence[Variant],
    study: Study[VariantRow],
    figure: str,
    inside: int,
    outside: int,
    told: Callable[[str], None],
) -> WalkForwardResult:
    """Choose by a figure on `inside` session days, trade the `outside` days that follow, and go on by so many days.

    Raises InvalidInput where the range has fewer days than one fold and where variants have several accounts or another
    market, StudyFailed where no variant has a result in a sample or the chosen account is halted, and as `run_study`.
    """
    refuse_other_markets(variants)
    if len(variants[0].accounts) != 1:
        names = ", ".join(each.full_name for each in variants[0].accounts)
        raise InvalidInput("file", names, "one account: walk-forward follows its equity")
    traded = backtest_days(study.prints, variants[0].strategies, study.first, study.last).traded
    found: list[Fold] = []
    equity: Decimal | None = None
    for window in windows([day.day for day in traded], inside, outside):
        fold = _fold(variants, study, figure, window, equity, told)
        equity = fold.outside.days[-1].equity
        found.append(fold)
    return WalkForwardResult(len(variants), figure, tuple(found))


def windows(days: Sequence[date], inside: int, outside: int) -> list[Window]:
    """The folds of trading days, in order; the last one may have fewer days outside. Raises InvalidInput for none."""
    found = [
        Window(
            days[start],
            days[start + inside - 1],
            days[start + inside],
            days[min(start + inside + outside, len(days)) - 1],
        )
        for start in range(0, len(days) - inside, outside)
    ]
    if not found:
        raise InvalidInput("inside", inside, f"fewer days than the range has, which are {len(days)}")
    return found


def _ends(days: Sequence[date]) -> tuple[date, date]:
    return days[0], days[-1]


def _fold(
    variants: Sequence[Variant],
    study: Study[VariantRow],
    figure: str,
    window: Window,
    equity: Decimal | None,
    told: Callable[[str], None],
) -> Fold:
    sample = replace(study, first=window.first, last=window.last)
    where = f"{window.first} to {window.last}"
    rows = [row for _, row in run_study(sample, variants, lambda line: told(f"{where}: {line}"))]
    ranked = sorted(
        (row for row in rows if row.accounts),
        key=lambda row: (better_first(figure, row.accounts[0].figure(figure)), row.number),
    )
    if not ranked:
        raise StudyFailed(f"no variant has a result from {where}: {rows[0].halted}")
    best = ranked[0]
    (chosen,) = (each for each in variants if each.number == best.number)
    if equity is not None and equity <= 0:
        raise StudyFailed(f"the account has no equity left on {window.then_first}")
    if equity is not None:
        chosen = changed(chosen.number, {"account.spec.startingBalance": equity}, chosen.accounts, chosen.strategies)
    following = replace(study, first=window.then_first, last=window.then_last)
    ((_, after),) = run_study(following, [chosen], lambda line: told(f"{window.then_first} on: {line}"))
    if not after.accounts:
        raise StudyFailed(f"variant {best.number} from {window.then_first} to {window.then_last}: {after.halted}")
    trials = [row.accounts[0].returns if row.accounts else None for row in rows]
    filled_on = filled_on_of(row.filled_on for row in (*rows, after))
    luck = deflated(best.accounts[0].returns, trials)
    return Fold(window, best, best.accounts[0], luck, after.accounts[0], filled_on)


def _a_day(rows: Sequence[AccountRow]) -> Decimal:
    nets = [day.net for row in rows for day in row.days]
    return sum(nets, Decimal(0)) / len(nets)
