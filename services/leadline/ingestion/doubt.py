"""Which prints are not believed: those whose time or price the prints around them deny.

A print is in doubt when it leads the newest time before it by more than a second (and more than the grace), when its
price is far from the last good one, or when nothing was before it. What it says is believed only when the prints that
follow bear it out: the next `LOOK_AHEAD` are asked. Until they are there, it and what follows wait.

- Time: a later print that is older than the doubted one by more than the grace denies it; one that is not bears it
  out; one that is late against what was good before has no say. More denials than confirmations: `AHEAD`.
- Price: a later print denies the doubted one when it lies nearer to the last good price, else it bears it out, and so
  does a price that was refused since the last good one. Nobody, or fewer than deny it: `OUTLIER`. So a market that
  really opens elsewhere is believed from its first print on, and one wrong print moves nothing. The first price of
  all is believed unless the next one and most of those after it are far from it.

A print that is older than the newest good one by more than the grace, or than a promise of the source, is `LATE`.
"""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.model.ticks import NS_PER_SECOND, Int8Array, Int64Array

# Prints that are asked about one in doubt: up to two wrong ones in a row are told from a market that has moved.
LOOK_AHEAD: Final = 5
# A leap in time below this (or below a longer grace) is not doubted: it costs at most that second's late prints.
LEAP_NS: Final = NS_PER_SECOND
# Two prices are far from each other when they differ by more than a tenth of the larger, and by more than so many
# ticks (near zero a tenth is nothing).
FAR_SHARE: Final = 10
FAR_TICKS: Final = 100

_NEVER: Final = -1


class Verdict(IntEnum):
    """The result of a check of one print."""

    GOOD = 0
    LATE = 1
    AHEAD = 2
    OUTLIER = 3


class PlausibilityCheck:
    """Checks prints in the order of their source; a call may have any number of them.

    allowed_lateness_ns: how much older than the newest good print one may be. newest_ns: time of the newest good print,
    -1 before it. promised_ns: no print older than this is good any more, -1 before the first promise.
    """

    def __init__(self, allowed_lateness_ns: int) -> None:
        self.newest_ns = _NEVER
        self.promised_ns = _NEVER
        self._allowed_lateness_ns = allowed_lateness_ns
        self._leap_ns = max(allowed_lateness_ns, LEAP_NS)
        self._price: int | None = None
        self._refused: list[int] = []

    def resume(self, time_ns: int, price: int) -> None:
        """Before the first print: this was the last good one that an earlier process is sure of."""
        self.newest_ns, self._price = time_ns, price

    def check(
        self, time_ns: Int64Array, price: Int64Array, *, settle_ns: int = _NEVER, final: bool = False
    ) -> Int8Array:
        """The `Verdict` of the first prints, as many as can be checked now; the rest is given again with later ones.

        time_ns, price in ticks: shape (n,). settle_ns: nothing that is as old as this may wait (the source has
        promised that nothing older follows). final: nothing follows. The result has shape (m,), m <= n.
        """
        if not len(time_ns):
            return np.zeros(0, dtype=np.int8)
        before = np.maximum.accumulate(np.concatenate([[self.newest_ns], time_ns[:-1]]))
        last = np.concatenate([[price[0] if self._price is None else self._price], price[:-1]])
        late = time_ns < np.maximum(before - self._allowed_lateness_ns, self.promised_ns)
        if late.any() or _far(price, last).any():
            verdicts = self._one_by_one(time_ns.tolist(), price.tolist(), settle_ns, final=final)
            return np.array(verdicts, dtype=np.int8)
        # Nothing denies anything: only the last prints may have to wait.
        count = len(time_ns) if final else self._certain(time_ns, before, settle_ns)
        if count:
            self.newest_ns = max(int(before[count - 1]), int(time_ns[count - 1]))
            self._price = int(price[count - 1])
            self._refused.clear()
        return np.zeros(count, dtype=np.int8)

    def _certain(self, time_ns: Int64Array, before: Int64Array, settle_ns: int) -> int:
        """How many of the first prints, none of which is denied, need not wait for others."""
        for row in range(max(len(time_ns) - LOOK_AHEAD, 0), len(time_ns)):
            first = row == 0 and self._price is None
            leaps = time_ns[row] > max(int(before[row]) + self._leap_ns, settle_ns)
            if (first or leaps) and int(time_ns[row:].min()) > settle_ns:
                return row
        return len(time_ns)

    def _one_by_one(self, times: list[int], prices: list[int], settle_ns: int, *, final: bool) -> list[int]:
        verdicts: list[int] = []
        # Whether a print at or behind a row may not wait.
        urgent = [final or time <= settle_ns for time in times]
        for row in range(len(times) - 2, -1, -1):
            urgent[row] = urgent[row] or urgent[row + 1]
        for row, (time, price) in enumerate(zip(times, prices, strict=True)):
            verdict = self._check_one(times, prices, row, settle_ns, urgent=urgent[row])
            if verdict is None:
                break
            if verdict is Verdict.GOOD:
                self.newest_ns = max(self.newest_ns, time)
                self._price = price
                self._refused.clear()
            elif verdict is Verdict.OUTLIER:
                self._refused = [*self._refused, price][-LOOK_AHEAD:]
            verdicts.append(verdict)
        return verdicts

    def _check_one(
        self, times: list[int], prices: list[int], row: int, settle_ns: int, *, urgent: bool
    ) -> Verdict | None:
        """None: there are too few prints behind it to say."""
        time, price = times[row], prices[row]
        oldest = max(self.newest_ns - self._allowed_lateness_ns, self.promised_ns)
        if time < oldest:
            return Verdict.LATE
        leaps = time > self.newest_ns + self._leap_ns and time > settle_ns
        strange = self._price is None or _is_far(price, self._price)
        if not leaps and not strange:
            return Verdict.GOOD
        behind = slice(row + 1, row + 1 + LOOK_AHEAD)
        asked, levels = times[behind], prices[behind]
        if len(asked) < LOOK_AHEAD and not urgent:
            return None
        if leaps:
            said = [other >= time - self._allowed_lateness_ns for other in asked if other >= oldest]
            if 2 * sum(said) < len(said):
                return Verdict.AHEAD
        if strange and not self._borne_out(price, levels):
            return Verdict.OUTLIER
        return Verdict.GOOD

    def _borne_out(self, price: int, levels: list[int]) -> bool:
        last = self._price
        if last is None:
            far = [_is_far(level, price) for level in levels]
            return not any(far[:1]) or 2 * sum(far) <= len(far)
        denials = sum(abs(level - last) < abs(level - price) for level in levels)
        confirmations = len(levels) - denials
        confirmations += sum(abs(level - last) >= abs(level - price) for level in self._refused)
        return confirmations > 0 and confirmations >= denials


def _far(price: Int64Array, last: Int64Array) -> NDArray[np.bool_]:
    apart = np.abs(price - last)
    far: NDArray[np.bool_] = apart > FAR_TICKS
    if far.any():
        far &= apart * FAR_SHARE > np.maximum(np.abs(price), np.abs(last))
    return far


def _is_far(price: int, last: int) -> bool:
    apart = abs(price - last)
    return apart > FAR_TICKS and apart * FAR_SHARE > max(abs(price), abs(last))
