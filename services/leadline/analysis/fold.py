"""A strategy's state as a fold over bars, so that it needs no snapshot.

What a strategy says on a day follows from that day's bars and the bars of exactly the `history` sessions before it,
wherever it is computed: after a crash, on another machine, in a run that began earlier or later.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Final, cast

from leadline.analysis.strategies import ReadsSeries, Strategy, StrategyFailed
from leadline.model.bars import OWN_SERIES, Bar
from leadline.model.checks.signals import check_answer
from leadline.model.proposals import Withdrawal
from leadline.model.signals import BarSignals
from leadline.nodes.router import Rejection

_NO_SERIES: Final[Mapping[str, Callable[[date], date]]] = MappingProxyType({})


class StrategyFold:
    """Bars of one contract in, opinions about those of the strategy's own series out.

    make: a fresh strategy, asked for at each session's first bar.
    history_start: trading day -> first trading day of the history sessions before it.
    trade_from: bars of earlier trading days are history only.
    until: bars from this trading day on are another contract's to speak about; None for no such day.
    series: the further series that the strategy reads, by name, each as `history_start`. The strategy that `make` makes
    then has what `ReadsSeries` has.

    The bars of all series come in one order, as `analysis.merge` makes it. They are kept for as long as a later session
    may need them: those of the history sessions and of the current one.
    """

    def __init__(
        self,
        make: Callable[[], Strategy],
        history_start: Callable[[date], date],
        trade_from: date,
        until: date | None = None,
        series: Mapping[str, Callable[[date], date]] = _NO_SERIES,
    ) -> None:
        self._make = make
        self._history_start = {**series, OWN_SERIES: history_start}
        self._trade_from = trade_from
        self._until = until
        self._sessions: dict[date, list[tuple[str, Bar]]] = {}
        self._strategy: Strategy | None = None
        self._day: date | None = None
        # Trading day and ordinal of the last bar of each series.
        self._last: dict[str, tuple[date, int]] = {}

    @property
    def bars_held(self) -> int:
        """How many bars are kept for the sessions to come."""
        return sum(map(len, self._sessions.values()))

    def step(self, bar: Bar, series: str = OWN_SERIES) -> BarSignals | None:
        """Take one bar in; what the strategy says about it.

        None for a bar of another series than its own, of the history or of another's day. A bar that is not after the
        last one of its series (a repeated message) and a revision change nothing and say nothing. Raises
        StrategyFailed when its code raises, speaks about another bar than the one that it was given, or says what
        nobody would listen to.
        """
        place, last = (bar.key.trading_day, bar.key.ordinal), self._last.get(series)
        if bar.revision > 0 or (last is not None and place <= last):
            return None
        if self._until is not None and bar.key.trading_day >= self._until:
            return None
        if bar.key.trading_day != self._day:
            self._open(bar.key.trading_day)
        self._last[series] = place
        self._sessions[bar.key.trading_day].append((series, bar))
        if self._strategy is None:
            return None
        try:
            if series != OWN_SERIES:
                _reader(self._strategy).on_series(series, bar)
                return None
            answer = self._strategy.on_bar(bar)
            check_answer(bar, answer)
        except BaseException as error:
            of = "" if series == OWN_SERIES else f" of its series {series}"
            raise StrategyFailed(f"at bar {bar.key.text()}{of}", error) from error
        return withdrawn(answer) if bar.gap else answer

    def _open(self, day: date) -> None:
        """Begin a session: forget what is too old for it, and fold the rest into a fresh strategy."""
        starts = {name: start(max(day, self._trade_from)) for name, start in self._history_start.items()}
        kept = (
            (earlier, [item for item in bars if earlier >= starts[item[0]]]) for earlier, bars in self._sessions.items()
        )
        self._sessions = {earlier: bars for earlier, bars in kept if bars}
        if day >= self._trade_from:
            try:
                self._strategy = self._make()
            except BaseException as error:
                raise StrategyFailed(f"when it was made for {day}", error) from error
            for bars in self._sessions.values():
                for series, bar in bars:
                    self._warm(self._strategy, series, bar)
        self._day = day
        self._sessions[day] = []

    def _warm(self, strategy: Strategy, series: str, bar: Bar) -> None:
        try:
            if series == OWN_SERIES:
                strategy.warm(bar)
            else:
                _reader(strategy).warm_series(series, bar)
        except BaseException as error:
            raise StrategyFailed(f"while warmed by bar {bar.key.text()}", error) from error


def withdrawn(answer: BarSignals) -> BarSignals:
    """The answer to a bar of which prints may be missing: all that was seen, no signal of it approved, no entry wanted.

    A proposal that only reduces what is held stands.
    """
    signals = (replace(each, approved=False, rejection=Rejection.GAP.value) for each in answer.signals)
    proposals = (replace(each, withdrawn=Withdrawal.GAP) if each.action.enters else each for each in answer.proposals)
    return replace(answer, signals=tuple(signals), proposals=tuple(proposals))


def _reader(strategy: Strategy) -> ReadsSeries:
    """The strategy as one that reads further series; that it does was checked when it was made."""
    return cast("ReadsSeries", strategy)
