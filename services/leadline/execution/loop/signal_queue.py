"""Proposals on their way to the loop: one strategy's bars that need a decision, and how far its word is complete."""

from bisect import insort
from collections import deque
from itertools import takewhile
from typing import Final

from leadline.execution.core.book import RefusedSignal
from leadline.model.errors import RefusedMessage
from leadline.model.ids import StrategyId
from leadline.model.signals import BarSignals, SignalMessage

CAPACITY: Final = 1024
"""Bars held for the loop; the reader of the bus waits while it is full."""


class SignalQueue:
    """Bars with proposals of one strategy and one analysis, in order of `known_at_ns`, each once."""

    def __init__(self, strategy: StrategyId, analysis_hash: str, joined_ns: int, cleared_ns: int = -1) -> None:
        self.strategy = strategy
        self.analysis_hash = analysis_hash
        self.progress_ns = 0
        self.last_bar_ns = 0
        self.final = False
        self.joined_ns = joined_ns
        self._cleared_ns = cleared_ns
        self._bars: deque[BarSignals] = deque()
        self._last: BarSignals | None = None
        self.refused: RefusedSignal | None = None

    @property
    def full(self) -> bool:
        """Whether the reader has to wait."""
        return len(self._bars) >= CAPACITY

    def push(self, message: SignalMessage) -> bool:
        """Take a message from the bus; says whether it was news.

        Messages of another analysis, bars seen before, bars known by the time the strategy joined, and bars without
        a proposal make no decision; their progress counts all the same where the analysis is the right one. Raises
        RefusedMessage for a bar that is known after the end that the strategy has told, on whichever side of that it
        comes: no instant would ever decide it. And for another bar that is known before the bar of its contract before
        it, or before an instant from which on the strategy was to speak: whether the account has passed it is chance.
        """
        if message.analysis_hash != self.analysis_hash or self.refused is not None:
            return False
        bar = message.bar
        self._require_before_the_end(message)
        if bar is not None:
            self.last_bar_ns = max(self.last_bar_ns, bar.known_at_ns)
        if bar is not None and bar.proposals and bar.known_at_ns > self.joined_ns and self._follows(bar):
            self._require_in_time(bar)
            self._last = bar
            # Two months of a root may overlap at the roll of a market that never closes, and nothing else does.
            insort(self._bars, bar, key=lambda each: each.known_at_ns)
        news = message.progress_ns > self.progress_ns or (message.final and not self.final)
        self.progress_ns = max(self.progress_ns, message.progress_ns)
        self.final = self.final or message.final
        return news or bar is not None

    def _require_before_the_end(self, message: SignalMessage) -> None:
        if not (self.final or message.final):
            return
        end_ns = self.progress_ns if self.final else message.progress_ns
        bars = [*self._bars, *([message.bar] if message.bar is not None else [])]
        late = next((bar for bar in bars if bar.known_at_ns > end_ns), None)
        if late is not None:
            raise RefusedMessage("progress", f"the tape ends at {end_ns}, and a bar is known at {late.known_at_ns}")

    def _require_in_time(self, bar: BarSignals) -> None:
        known_ns, last = bar.known_at_ns, self._last
        if last is not None and last.bar.contract == bar.bar.contract and known_ns < last.known_at_ns:
            before = f"{last.bar.text()}, which is before it, at {last.known_at_ns}"
            raise RefusedMessage("known_at", f"{bar.bar.text()} is known at {known_ns}, and {before}")
        if known_ns < self.progress_ns:
            promised = f"nothing before {self.progress_ns} was to follow"
            raise RefusedMessage("progress", f"{promised}, and a bar is known at {known_ns}")

    def refuse(self, refused: RefusedSignal) -> bool:
        """Hear no more: what comes after a message that was refused does not count. The first refusal stays.

        False for one that was said before an earlier fence was ended: somebody has looked at it.
        """
        if self.progress_ns <= self._cleared_ns:
            return False
        self.refused = self.refused or refused
        return True

    def refused_at(self, instant_ns: int) -> RefusedSignal | None:
        """The refused message, once everything before it from the strategy is decided; None until then.

        So the instant at which it is fenced off follows from what it has said, and not from when the message came.
        """
        through_ns = self.complete_through_ns
        heard = self.refused is not None and through_ns is not None and through_ns <= instant_ns
        return self.refused if heard else None

    def _follows(self, bar: BarSignals) -> bool:
        """Whether a bar comes after the last one: one that is said again, in whatever words, is not another bar."""
        last = self._last
        return last is None or (bar.trading_day, bar.bar.ordinal) > (last.trading_day, last.bar.ordinal)

    @property
    def complete_through_ns(self) -> int | None:
        """The last instant at which nothing can follow; None when nothing can follow at any."""
        return None if self.final else self.progress_ns - 1

    def first_after(self, instant_ns: int) -> BarSignals | None:
        """The earliest bar known after an instant."""
        if self._bars and self._bars[0].known_at_ns > instant_ns:
            return self._bars[0]
        return next((bar for bar in self._bars if bar.known_at_ns > instant_ns), None)

    @property
    def waits(self) -> bool:
        """Whether a bar waits for its decision."""
        return bool(self._bars)

    def known_by(self, instant_ns: int) -> list[BarSignals]:
        """Bars known by an instant, in the order of that, for a time that waits for nobody. They stay until `done`."""
        return list(takewhile(lambda bar: bar.known_at_ns <= instant_ns, self._bars))

    def done(self, bar: BarSignals) -> None:
        """Forget a bar of which everything is decided."""
        self._bars.remove(bar)

    def known_at(self, instant_ns: int) -> list[BarSignals]:
        """Bars known exactly at an instant, by ordinal; earlier ones are decided, and forgotten here."""
        while self._bars and self._bars[0].known_at_ns < instant_ns:
            self._bars.popleft()
        if not self._bars or self._bars[0].known_at_ns > instant_ns:
            return []
        if len(self._bars) == 1 or self._bars[1].known_at_ns > instant_ns:
            return [self._bars[0]]
        known = takewhile(lambda bar: bar.known_at_ns == instant_ns, self._bars)
        return sorted(known, key=lambda bar: bar.bar.ordinal)
