"""A strategy's state as a fold over bars, so that it needs no snapshot.

What a strategy says on a day follows from that day's bars and the bars of exactly the `history` sessions before it,
wherever it is computed: after a crash, on another machine, in a run that began earlier or later.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from leadline.analysis.strategies import Strategy, StrategyFailed
from leadline.model.bars import Bar
from leadline.model.signal_checks import check_answer
from leadline.model.signals import BarSignals


@contextmanager
def _named(doing: str) -> Iterator[None]:
    """Name what the code of a strategy was asked for when it raises, even KeyboardInterrupt."""
    try:
        yield
    except BaseException as error:
        raise StrategyFailed(doing, error) from error


class StrategyFold:
    """Bars of one contract and bar specification in, opinions out.

    make: a fresh strategy, asked for at each session's first bar.
    history_start: trading day -> first trading day of the history sessions before it.
    trade_from: bars of earlier trading days are history only.
    until: bars from this trading day on are another contract's to speak about; None for no such day.

    Bars are kept for as long as a later session may need them: those of the history sessions and of the current one.
    """

    def __init__(
        self,
        make: Callable[[], Strategy],
        history_start: Callable[[date], date],
        trade_from: date,
        until: date | None = None,
    ) -> None:
        self._make = make
        self._history_start = history_start
        self._trade_from = trade_from
        self._until = until
        self._sessions: dict[date, list[Bar]] = {}
        self._strategy: Strategy | None = None
        self._last: tuple[date, int] | None = None

    @property
    def bars_held(self) -> int:
        """How many bars are kept for the sessions to come."""
        return sum(map(len, self._sessions.values()))

    def step(self, bar: Bar) -> BarSignals | None:
        """Take one bar in; what the strategy says about it, None for a bar of the history or of another's day.

        A bar that is not after the last one (a repeated message) and a revision change nothing and say nothing. Raises
        StrategyFailed when its code raises, speaks about another bar than the one that it was given, or says what
        nobody would listen to.
        """
        place = (bar.key.trading_day, bar.key.ordinal)
        if bar.revision > 0 or (self._last is not None and place <= self._last):
            return None
        if self._until is not None and bar.key.trading_day >= self._until:
            return None
        if self._last is None or bar.key.trading_day != self._last[0]:
            self._open(bar.key.trading_day)
        self._last = place
        self._sessions[bar.key.trading_day].append(bar)
        if self._strategy is None:
            return None
        with _named(f"at bar {bar.key.text()}"):
            said = self._strategy.on_bar(bar)
            check_answer(bar, said)
        return said

    def _open(self, day: date) -> None:
        """Begin a session: forget what is too old for it, and fold the rest into a fresh strategy."""
        start = self._history_start(max(day, self._trade_from))
        self._sessions = {earlier: bars for earlier, bars in self._sessions.items() if earlier >= start}
        if day >= self._trade_from:
            with _named(f"when it was made for {day}"):
                self._strategy = self._make()
            for bars in self._sessions.values():
                for bar in bars:
                    with _named(f"while warmed by bar {bar.key.text()}"):
                        self._strategy.warm(bar)
        self._sessions[day] = []
