"""The market side of a study's variants: bars and words of each day, worked out once and kept in a folder."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from leadline.backtest.days import BacktestDay, BacktestDays, backtest_days
from leadline.backtest.market import Close, DayResult, Said, in_this_process, series_by_contract
from leadline.backtest.prints import FilledOn, Prints
from leadline.backtest.work import Series
from leadline.backtest.workers import in_processes
from leadline.model.ids import ContractId, StrategyId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.manifest.sweep import Variant
from leadline.model.ticks import TickColumns
from leadline.study.parts import Analysis, AnalysisId, Wave, analyses_of
from leadline.views.digest import Line


@dataclass(frozen=True, slots=True)
class KeptDay:
    """One day as it is kept, of every series that any strategy reads, and the words of each analysis."""

    lines: Mapping[ContractId, Mapping[Series, Sequence[Line]]]
    closes: Mapping[ContractId, Mapping[Series, Sequence[Close]]]
    said: Mapping[AnalysisId, Said]


@dataclass(frozen=True, slots=True)
class KeptMarket:
    """The market side of a wave in a folder. `days` are those of a backtest of any of its variants."""

    folder: Path
    days: BacktestDays

    def day(self, place: int) -> KeptDay:
        """A day by its place, from 0. Raises OSError."""
        found: KeptDay = pickle.loads(_file(self.folder, place).read_bytes())  # noqa: S301 - of this study
        return found


@dataclass(frozen=True, slots=True)
class Speakers:
    """The strategies of a variant on the days of its wave: the series that they read, and the analysis of each."""

    series: Mapping[ContractId, tuple[Series, ...]]
    analyses: Mapping[StrategyId, AnalysisId]

    def result(self, day: BacktestDay, kept: KeptDay, ticks: Mapping[ContractId, TickColumns]) -> DayResult:
        """A day of these prints as a backtest of the variant has it."""
        lines = {
            contract: {each: found[each] for each in self.series[contract]} for contract, found in kept.lines.items()
        }
        said = {each.strategy: kept.said[self.analyses[each.strategy]] for each in day.spoken}
        return DayResult(day, ticks, lines, kept.closes, said)

    @classmethod
    def of(cls, variant: Variant, days: BacktestDays) -> "Speakers":
        """Those of a variant."""
        return cls(series_by_contract(variant.strategies, days), analyses_of(variant))


def keep_market(
    wave: Wave,
    prints: Prints,
    first: date | None,
    last: date | None,
    workers: int,
    folder: Path,
    seen: Callable[[BacktestDay], None],
) -> KeptMarket:
    """Work the days of a wave out, from `first` to `last` as `backtest_days`, and keep them in a folder.

    `seen` is told of each day. Raises as `run_backtest` before an account is asked, and OSError.
    """
    prints = FilledOn(prints, wave.executed)
    days = backtest_days(prints, wave.strategies, first, last)
    speakers = {f"a{number}": each for number, each in enumerate(wave.analyses)}
    strategies = [_named(each.strategy, name) for name, each in speakers.items()]
    by_name = dict(zip((each.full_name for each in strategies), wave.analyses, strict=True))
    spoken = backtest_days(prints, strategies, first, last)
    results = (
        in_processes(prints, spoken, strategies, workers)
        if workers > 1
        else in_this_process(prints, spoken, strategies)
    )
    for place, result in enumerate(results):
        said = {by_name[name].id: _as_said(by_name[name], words) for name, words in result.said.items()}
        kept = KeptDay(result.lines, result.closes, said)
        _file(folder, place).write_bytes(pickle.dumps(kept, protocol=5))
        seen(result.day)
    return KeptMarket(folder, days)


def _named(strategy: TradingStrategy, name: str) -> TradingStrategy:
    """The same strategy under another name, so that several of one name can be worked on at a time."""
    return strategy.model_copy(update={"metadata": strategy.metadata.model_copy(update={"name": name})})


def _as_said(analysis: Analysis, said: Said) -> Said:
    """The words under the strategy's own name, without the bars at which it proposes: a study shows no trade's bar."""
    heard = tuple(replace(each, strategy=analysis.strategy.full_name) for each in said.heard)
    return replace(said, heard=heard, entries={})


def _file(folder: Path, place: int) -> Path:
    return folder / f"day-{place:05d}"
