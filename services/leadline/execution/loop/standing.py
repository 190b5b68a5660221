"""Why an account, and each of its strategies, cannot trade at a moment, in words for people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from leadline.execution.core.book import Book
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.model.bars import CLOSE_GRACE_NS
from leadline.model.durations import NS_PER_SECOND
from leadline.model.ids import ContractId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.ticks import NS_PER_MINUTE
from leadline.risk.reasons import Reason

TOLD_NS: Final = NS_PER_MINUTE + CLOSE_GRACE_NS
"""In so much time of the tape an analysis tells how far its word is complete, also of a bar that does not close."""

BEHIND_NS: Final = 10 * NS_PER_SECOND
"""An analysis that says so much later than it should has fallen silent; by the wall clock."""

_COMING: Final = (LoopPhase.STARTING, LoopPhase.RECONCILING)


def lacking(phase: LoopPhase, waits_for: str, missing: Sequence[str], doubt: tuple[Reason, str] | None) -> str:
    """Why an account cannot trade now; empty while it can. The first of its phase, its parts, its needs, its doubts.

    waits_for: the part that the loop waits for, and why. missing: the needs that are not met.
    """
    if phase in _COMING:
        return f"it is {phase}"
    if waits_for:
        return f"it is {waits_for}"
    if missing:
        return f"it misses {', '.join(missing)}"
    return "" if doubt is None else f"it doubts its {doubt[0].lower()}"


def unheard(
    book: Book, queues: Iterable[SignalQueue], now_ns: int, was_open: Callable[[ContractId, int], bool]
) -> Mapping[StrategyId, str]:
    """Why nothing of a strategy can be decided now, by its name: its analysis has fallen silent in an open market.

    A strategy that is suspended or has left has no analysis to hear. now_ns: of the tape, ns UTC. was_open: whether
    the market of a contract has been open since a time.
    """
    behind_ns, found = now_ns - TOLD_NS - round(BEHIND_NS * book.clock_rate), {}
    for queue in queues:
        strategy = book.strategies[queue.strategy]
        if strategy.manifest.spec.state == "Suspended" or book.forgotten(queue.strategy):
            continue
        if 0 < queue.progress_ns < behind_ns and was_open(strategy.contract, behind_ns):
            since = datetime.fromtimestamp(queue.progress_ns // NS_PER_SECOND, UTC)
            found[queue.strategy] = f"nothing is known of its bars since {since:%H:%M:%S} UTC, and its market is open"
    return found
