"""Several series of bars as one: in the order in which the bars became known, whichever of them arrives first.

A strategy that reads several series must say the same wherever and whenever it is computed. So the order of the bars
follows from the bars alone: by the instant from which they may be acted on, and at one instant in the order of the
series, of which the strategy's own is the last. What it says of its own bar follows from every bar that was known by
then, and from none that was not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from leadline.model.bars import BarMessage
from leadline.model.frozen import replace

_NEVER_NS: Final = -(1 << 63)
_NO_MORE_NS: Final = (1 << 63) - 1


class SeriesMerge:
    """Puts the bars of several series into their one order, and holds at most one bar of each.

    series: their names, in the order of bars that are known at one instant.

    `take` wants the next message of the series that `wanted` names, and of no other. So what comes out cannot depend
    on which series arrives first, and one that is ahead waits in its stream, and not here.
    """

    def __init__(self, series: Sequence[str]) -> None:
        self._lanes = [_Lane(name) for name in series]
        self._wanted = self._lanes[0]
        self._published = _NEVER_NS, False

    @property
    def wanted(self) -> str:
        """The series that is behind the others."""
        return self._wanted.name

    def take(self, message: BarMessage) -> list[tuple[str, BarMessage]]:
        """Take the next message of `wanted` in; what can be said by it, in order, each message with its series.

        A message with a bar is as it came in; it promises for all series that no bar follows that was known before its
        progress. What is promised besides comes in a message without a bar, under the name of the last series. A bar
        that comes again is left out, and so is a revision.
        """
        self._wanted.put(message)
        out: list[tuple[str, BarMessage]] = []
        while (lane := min(self._lanes, key=_bound)).held is not None:
            held, lane.held = lane.held, None
            self._published = max(self._published, (held.progress_ns, False))
            out.append((lane.name, held))
        bound_ns, last = _bound(lane), self._lanes[-1]
        ended = bound_ns == _NO_MORE_NS
        # A series may promise ahead of the tape. What is said of all of them is said of the tape as far as it is read.
        progress = min(bound_ns, max(each.progress_ns for each in self._lanes)), ended
        if progress > self._published:
            self._published = progress
            alone = BarMessage(message.tape, message.venue, message.contract, *progress, bar=None)
            out.append((last.name, alone))
        self._wanted = last if ended else lane
        return out


class _Lane:
    """One series: its bar that waits for the others, and what it has promised."""

    __slots__ = ("_last", "final", "held", "name", "progress_ns", "quiet_until_ns")

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: BarMessage | None = None
        self.progress_ns = self.quiet_until_ns = _NEVER_NS
        self.final = False
        # Trading day and ordinal of the last bar.
        self._last: tuple[int, int] | None = None

    def put(self, message: BarMessage) -> None:
        self.progress_ns = max(self.progress_ns, message.progress_ns)
        self.quiet_until_ns = max(self.quiet_until_ns, message.quiet_until_ns, self.progress_ns)
        self.final = self.final or message.final
        bar = message.bar
        if bar is None or bar.revision > 0:
            return
        place = bar.key.trading_day.toordinal(), bar.key.ordinal
        if self._last is None or place > self._last:
            self.held, self._last = (replace(message, final=False) if message.final else message), place


def _bound(lane: _Lane) -> int:
    """No bar of the series that is not out yet is known before this."""
    if lane.held is not None:
        assert lane.held.bar is not None
        return lane.held.bar.known_at_ns
    return _NO_MORE_NS if lane.final else lane.quiet_until_ns


def merged(streams: Mapping[str, Iterable[BarMessage]]) -> Iterator[tuple[str, BarMessage]]:
    """Series that are at hand whole, as `SeriesMerge` puts them; the names in its order."""
    merge = SeriesMerge(tuple(streams))
    left = {name: iter(messages) for name, messages in streams.items()}
    while (message := next(left[merge.wanted], None)) is not None:
        yield from merge.take(message)
