"""Prints of a tape that is live as they come in: what was last traded, and whether a watch was crossed.

A watch that prints have crossed is told at the prints that crossed it, even if the price has come back since.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from leadline.model.ids import ContractId
from leadline.model.orders import LastPrint, Watch
from leadline.model.ticks import TickBatch, TickColumns
from leadline.venue.fill_rules import Mark, mark_after
from leadline.venue.watches import first_crossing, price_range, scaled

MOST_BATCHES: Final = 4_096
"""Batches that wait to be looked at. An account that stands still that long meets the later prices alone."""


class LivePrints:
    """The prints of some contracts, in the order in which they came."""

    def __init__(self) -> None:
        self._marks: dict[ContractId, Mark] = {}
        # The source index that follows, and the time of the last print.
        self._known: dict[ContractId, tuple[int, int]] = {}
        self._waiting: deque[tuple[ContractId, TickColumns]] = deque()

    def add(self, batch: TickBatch) -> bool:
        """Take a batch; says whether it has prints that count: late ones do not, nor those that came before."""
        ticks, contract = batch.ticks, batch.contract
        known, latest_ns = self._known.get(contract, (ticks.first_index, -1))
        if batch.late or not len(ticks):
            return False
        if int(ticks.time_ns[0]) > latest_ns:  # also of a source that has lost its last numbers and gives them again
            known = ticks.first_index
        ticks = ticks.slice(min(max(0, known - ticks.first_index), len(ticks)), len(ticks))
        if not len(ticks):
            return False
        self._known[contract] = (ticks.last_index + 1, int(ticks.time_ns[-1]))
        if len(self._waiting) >= MOST_BATCHES:
            self._absorb(*self._waiting.popleft())
        self._waiting.append((contract, ticks))
        return True

    def crossed(self, watches: Sequence[Watch]) -> bool:
        """Go on over the prints that have come, to the end of those at which a watch holds, or to the last.

        Says whether a watch holds there.
        """
        while self._waiting:
            contract, ticks = self._waiting.popleft()
            at_ns = self._first_crossing(contract, ticks, watches)
            if at_ns is None:
                self._absorb(contract, ticks)
                continue
            rows = int(ticks.time_ns.searchsorted(at_ns, "right"))
            self._absorb(contract, ticks.slice(0, rows))
            if rows < len(ticks):
                self._waiting.appendleft((contract, ticks.slice(rows, len(ticks))))
            return True
        return False

    def _first_crossing(self, contract: ContractId, ticks: TickColumns, watches: Sequence[Watch]) -> int | None:
        found = []
        for watch in watches:
            contracts = {position.tape_contract for position in watch.positions}
            if contract not in contracts:
                continue
            window = {name: ticks if name == contract else TickColumns.empty() for name in contracts}
            ranges = {name: price_range(each) for name, each in window.items()}
            found.append(first_crossing(scaled(watch), window, ranges, self._marks))
        return min((at for at in found if at is not None), default=None)

    def last(self, contracts: Sequence[ContractId], now_ns: int) -> dict[ContractId, LastPrint]:
        """The last print of each contract that has printed; one of a clock that is ahead is one of now."""
        found: Mapping[ContractId, LastPrint] = {
            name: self._marks[name].last for name in contracts if name in self._marks
        }
        return {
            name: last if last.time_ns <= now_ns else LastPrint(last.price, now_ns, last.source_index)
            for name, last in found.items()
        }

    def forget(self, contract: ContractId) -> None:
        """Leave out a contract that nobody follows any more."""
        self._marks.pop(contract, None)
        self._known.pop(contract, None)
        self._waiting = deque(each for each in self._waiting if each[0] != contract)

    def _absorb(self, contract: ContractId, ticks: TickColumns) -> None:
        mark = mark_after(self._marks.get(contract), ticks)
        if mark is not None:
            self._marks[contract] = mark
