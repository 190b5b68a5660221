"""From prints as a source wrote them to prints that the platform accepts; the rest is kept out and counted by reason.

What is accepted is on the instrument's grid, in the order of time, and numbered without a gap. An aggressor that the
source did not know stays unknown.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.ingestion.raw import TOO_LARGE, RawColumns, nano
from leadline.model.ticks import Int8Array, Int64Array, TickColumns

# Largest price in ticks and size in steps: their product still fits 63 bits.
MAX_PRICE_TICKS: Final = 2**31 - 1
MAX_SIZE_STEPS: Final = 2**31 - 1
# Rows kept for people to look at, per reason.
SAMPLES_PER_REASON: Final = 3

_NO_TIME: Final = -1


class Reason(StrEnum):
    """Why a print was kept out. A print that has several is counted under the first of them in this order."""

    WRONG_CONTRACT = "wrong_contract"
    OVERFLOW = "overflow"
    BAD_SIDE = "bad_side"
    ZERO_PRICE = "zero_price"
    NEGATIVE_PRICE = "negative_price"
    ZERO_SIZE = "zero_size"
    NEGATIVE_SIZE = "negative_size"
    OFF_GRID = "off_grid"
    OFF_STEP_SIZE = "off_step_size"
    TIME_BACKWARDS = "time_backwards"


_REASONS: Final = tuple(Reason)
_TIME_BACKWARDS_CODE: Final = _REASONS.index(Reason.TIME_BACKWARDS) + 1


@dataclass(frozen=True, slots=True)
class QuarantinedPrint:
    """A print that was kept out. `row` counts from 0 in the source; `price` and `size` are billionths."""

    reason: Reason
    row: int
    time_ns: int
    price: int
    size: int
    side: int


class Normaliser:
    """Accepts the prints of one contract, fed in the order of their source.

    What comes out does not depend on how the prints were cut into calls. A print may be late by `grace_ns` against
    the newest one before it: it is then sorted into place (prints of equal time keep the order of the source). One
    that is later still, or older than a watermark that the source has given, is kept out as `time_backwards`.

    first_index: source index of the first print that will be accepted.
    quarantined: number of prints kept out by reason, only reasons that occurred, in their order.
    samples: the first few of them.
    watermark_ns: no print with a time below it will be released after this; -1 before the first promise.
    """

    def __init__(
        self, contract: str, tick: Decimal, size_step: Decimal, *, grace_ns: int, first_index: int = 0
    ) -> None:
        self._contract = contract
        self._tick = nano(tick, "tick")
        self._step = nano(size_step, "size_step")
        self._grace_ns = grace_ns
        self._held = TickColumns.empty(first_index)
        self._newest_ns = _NO_TIME
        self._promised_ns = _NO_TIME
        self._counts = [0] * len(_REASONS)
        self._samples: list[QuarantinedPrint] = []

    @property
    def quarantined(self) -> dict[str, int]:
        """See the class."""
        return {reason.value: count for reason, count in zip(_REASONS, self._counts, strict=True) if count}

    @property
    def samples(self) -> tuple[QuarantinedPrint, ...]:
        """See the class."""
        return tuple(self._samples)

    @property
    def watermark_ns(self) -> int:
        """See the class."""
        return max(self._newest_ns - self._grace_ns, self._promised_ns, _NO_TIME)

    def feed(self, raw: RawColumns) -> TickColumns:
        """Takes prints in and returns those that can no longer be preceded, in order; the others are held."""
        code = self._faults(raw)
        late, newest = self._late(raw.time_ns, code == 0)
        code[late] = _TIME_BACKWARDS_CODE
        keep = code == 0
        if not keep.all():
            self._quarantine(raw, code)
        self._newest_ns = newest
        self._hold(raw, keep)
        return self._release(self.watermark_ns)

    def promise(self, watermark_ns: int) -> TickColumns:
        """The source's word that nothing older follows: returns what was held up to that time."""
        self._promised_ns = max(self._promised_ns, watermark_ns)
        return self._release(self.watermark_ns)

    def finish(self) -> TickColumns:
        """The source ended: returns all that was held."""
        return self.promise(self._newest_ns)

    def _faults(self, raw: RawColumns) -> Int8Array:
        """Per print 0, or the number (from 1) of its first reason, time aside. Shape (n,)."""
        price, size = raw.price, raw.size
        masks = (
            np.full(len(raw), raw.contract != self._contract),
            (raw.time_ns < 0)
            | (raw.time_ns == TOO_LARGE)
            | (np.abs(price) == TOO_LARGE)
            | (np.abs(size) == TOO_LARGE)
            | (price > self._tick * MAX_PRICE_TICKS)
            | (size > self._step * MAX_SIZE_STEPS),
            np.abs(raw.side) > 1,
            price == 0,
            price < 0,
            size == 0,
            size < 0,
            price % self._tick != 0,
            size % self._step != 0,
        )
        code = np.zeros(len(raw), dtype=np.int8)
        for number, mask in reversed(list(enumerate(masks, start=1))):
            code[mask] = number
        return code

    def _late(self, time_ns: Int64Array, sound: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int]:
        """Which sound prints are too late, and the newest time now."""
        if not len(time_ns):
            return np.zeros(0, dtype=np.bool_), self._newest_ns
        newest = np.maximum.accumulate(np.where(sound, time_ns, _NO_TIME))
        np.maximum(newest, self._newest_ns, out=newest)
        before = np.empty_like(newest)
        before[0] = self._newest_ns
        before[1:] = newest[:-1]
        bound = np.maximum(before - self._grace_ns, self._promised_ns)
        return sound & (time_ns < bound), int(newest[-1])

    def _quarantine(self, raw: RawColumns, code: Int8Array) -> None:
        for number, count in enumerate(np.bincount(code, minlength=len(_REASONS) + 1)[1:].tolist()):
            rows = np.flatnonzero(code == number + 1)[: max(SAMPLES_PER_REASON - self._counts[number], 0)].tolist()
            self._samples += [
                QuarantinedPrint(
                    _REASONS[number],
                    raw.first_row + row,
                    int(raw.time_ns[row]),
                    int(raw.price[row]),
                    int(raw.size[row]),
                    int(raw.side[row]),
                )
                for row in rows
            ]
            self._counts[number] += count

    def _hold(self, raw: RawColumns, keep: NDArray[np.bool_]) -> None:
        held = self._held
        time_ns = np.concatenate([held.time_ns, raw.time_ns[keep]])
        price = np.concatenate([held.price, raw.price[keep] // self._tick])
        size = np.concatenate([held.size, raw.size[keep] // self._step])
        aggressor = np.concatenate([held.aggressor, raw.side[keep].astype(np.int8)])
        if len(time_ns) > 1 and (np.diff(time_ns) < 0).any():
            order = np.argsort(time_ns, kind="stable")
            time_ns, price, size, aggressor = time_ns[order], price[order], size[order], aggressor[order]
        self._held = TickColumns(time_ns, price, size, aggressor, held.first_index)

    def _release(self, until_ns: int) -> TickColumns:
        count = int(np.searchsorted(self._held.time_ns, until_ns, side="right"))
        released, self._held = self._held.slice(0, count), self._held.slice(count, len(self._held))
        return released
