"""From prints as a source wrote them to prints that the platform accepts; the rest is kept out and counted by reason.

What is accepted is on the instrument's grid, in the order of time, believable beside its neighbours
(`leadline.ingestion.doubt`), and numbered without a gap. An aggressor that the source did not know stays unknown.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from leadline.ingestion.days import NO_DAY, TradingDays, day_of
from leadline.ingestion.doubt import PlausibilityCheck, Verdict
from leadline.ingestion.raw import TOO_LARGE, RawColumns, nano
from leadline.model.ids import ContractId
from leadline.model.market.calendars import Calendar, calendar
from leadline.model.market.contracts import instrument_of
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
    OUTSIDE_CALENDAR = "outside_calendar"
    BAD_SIDE = "bad_side"
    ZERO_PRICE = "zero_price"
    NEGATIVE_PRICE = "negative_price"
    ZERO_SIZE = "zero_size"
    NEGATIVE_SIZE = "negative_size"
    OFF_GRID = "off_grid"
    OFF_STEP_SIZE = "off_step_size"
    TIME_BACKWARDS = "time_backwards"
    CLOCK_AHEAD = "clock_ahead"
    PRICE_OUTLIER = "price_outlier"


_REASONS: Final = tuple(Reason)
_OF_VERDICT: Final = {
    Verdict.LATE: Reason.TIME_BACKWARDS,
    Verdict.AHEAD: Reason.CLOCK_AHEAD,
    Verdict.OUTLIER: Reason.PRICE_OUTLIER,
}


@dataclass(frozen=True, slots=True)
class QuarantinedPrint:
    """A print that was kept out. `row` is its number in the source; `price` and `size` are billionths."""

    reason: Reason
    trading_day: date | None
    source: str
    row: int
    time_ns: int
    price: int
    size: int
    side: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Sound prints that are not judged yet, with the numbers of their rows and of their sources; shape (n,)."""

    ticks: TickColumns
    row: Int64Array
    source: Int64Array

    def slice(self, start: int, stop: int) -> "_Waiting":
        return _Waiting(self.ticks.slice(start, stop), self.row[start:stop], self.source[start:stop])


class Normaliser:
    """Accepts the prints of one contract, fed in the order of their source.

    The output does not depend on how the prints were split into calls. A print may be late by `allowed_lateness_ns`
    against the newest good one before it: it is then sorted into place (prints of equal time keep the order of the
    source). One that is later still, or older than a watermark that the source has given, is kept out as
    `time_backwards`. One in doubt waits for those behind it. `below_zero`: prices of 0 and less are prices. market:
    says which trading day a print belongs to; without one no day is known and none is asked for.

    first_index: source index of the first print that will be accepted.
    kept_out: number of prints by trading day (None: it has none) and reason, only those that occurred, in order.
    samples: the first few of each reason.
    released_row: rows in the source of what the last call gave, int64 of shape (n,).
    watermark_ns: no print with a time below it will be released after this; -1 before the first promise.
    """

    def __init__(
        self,
        contract: ContractId,
        tick: Decimal,
        size_step: Decimal,
        *,
        allowed_lateness_ns: int,
        first_index: int = 0,
        below_zero: bool = False,
        market: Calendar | None = None,
    ) -> None:
        self._contract = contract
        self._tick = nano(tick, "tick")
        self._step = nano(size_step, "size_step")
        self._allowed_lateness_ns = allowed_lateness_ns
        self._below_zero = below_zero
        self._days = None if market is None else TradingDays(market)
        self._check = PlausibilityCheck(allowed_lateness_ns)
        self._sources: list[str] = []
        self._waiting = _Waiting(TickColumns.empty(), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        self._held = TickColumns.empty(first_index)
        self._held_row = self.released_row = np.zeros(0, dtype=np.int64)
        self._counts: Counter[tuple[int, Reason]] = Counter()
        self._samples: list[QuarantinedPrint] = []

    @classmethod
    def of(cls, contract: ContractId, *, allowed_lateness_ns: int, first_index: int = 0) -> Self:
        """For a contract of the instrument sheet. Raises Unknown."""
        sheet = instrument_of(contract)
        return cls(
            contract,
            sheet.tick,
            sheet.size_step,
            allowed_lateness_ns=allowed_lateness_ns,
            first_index=first_index,
            below_zero=sheet.below_zero,
            market=calendar(sheet.calendar),
        )

    @property
    def kept_out(self) -> dict[tuple[date | None, Reason], int]:
        """See the class."""
        order = sorted(self._counts.items(), key=lambda item: (item[0][0], _REASONS.index(item[0][1])))
        return {(day_of(day), reason): count for (day, reason), count in order}

    @property
    def quarantined(self) -> dict[str, int]:
        """Number of prints kept out by reason, only reasons that occurred, in their order."""
        return by_reason(self.kept_out)

    @property
    def samples(self) -> tuple[QuarantinedPrint, ...]:
        """See the class."""
        return tuple(self._samples)

    @property
    def watermark_ns(self) -> int:
        """See the class."""
        return max(self._check.newest_ns - self._allowed_lateness_ns, self._check.promised_ns, _NO_TIME)

    @property
    def unsettled_row(self) -> Int64Array:
        """Rows in the source of the prints that are held or in doubt, in no order; shape (n,)."""
        return np.concatenate([self._held_row, self._waiting.row])

    def resume(self, watermark_ns: int, last_time_ns: int, last_price: int) -> None:
        """Before the first print: go on where an earlier process ended. `last_`: of the last print that it released.

        Times are ns UTC, -1 when there was none; the price is in ticks.
        """
        if last_time_ns >= 0:
            self._check.resume(last_time_ns, last_price)
        self.promise(watermark_ns)

    def feed(self, raw: RawColumns) -> TickColumns:
        """Takes prints in and returns those that can no longer be preceded, in order; the others are held."""
        code = self._faults(raw)
        sound = code == 0
        if not sound.all():
            self._quarantine(raw, code)
        self._wait(raw, sound)
        self._settle()
        return self._release(self.watermark_ns)

    def promise(self, watermark_ns: int) -> TickColumns:
        """The source's word that nothing older follows: returns what was held up to that time."""
        self._settle(settle_ns=watermark_ns)
        self._check.promised_ns = max(self._check.promised_ns, watermark_ns)
        return self._release(self.watermark_ns)

    def finish(self) -> TickColumns:
        """The source ended: returns all that was held."""
        self._settle(final=True)
        return self.promise(self._check.newest_ns)

    def _faults(self, raw: RawColumns) -> Int8Array:
        """Per print 0, or the number (from 1) of its first reason, its neighbours aside. Shape (n,)."""
        price, size, time_ns = raw.price, raw.size, raw.time_ns
        days = self._days
        nowhere = np.zeros(len(raw), dtype=np.bool_)
        masks = (
            np.full(len(raw), raw.contract != self._contract),
            (time_ns < 0)
            | (time_ns == TOO_LARGE)
            | (np.abs(price) == TOO_LARGE)
            | (np.abs(size) == TOO_LARGE)
            | (np.abs(price) > self._tick * MAX_PRICE_TICKS)
            | (size > self._step * MAX_SIZE_STEPS),
            nowhere if days is None else (time_ns < days.first_ns) | (time_ns >= days.end_ns),
            np.abs(raw.side) > 1,
            nowhere if self._below_zero else price == 0,
            nowhere if self._below_zero else price < 0,
            size == 0,
            size < 0,
            price % self._tick != 0,
            size % self._step != 0,
        )
        code = np.zeros(len(raw), dtype=np.int8)
        for number, mask in reversed(list(enumerate(masks, start=1))):
            code[mask] = number
        return code

    def _quarantine(self, raw: RawColumns, code: Int8Array) -> None:
        for number, count in enumerate(np.bincount(code, minlength=len(_REASONS) + 1)[1:].tolist()):
            if not count:
                continue
            reason = _REASONS[number]
            rows = np.flatnonzero(code == number + 1)
            self._sample(reason, raw, rows[: self._samples_wanted(reason)])
            self._count(reason, raw.time_ns[rows])

    def _samples_wanted(self, reason: Reason) -> int:
        return max(SAMPLES_PER_REASON - sum(count for (_, of), count in self._counts.items() if of is reason), 0)

    def _sample(self, reason: Reason, raw: RawColumns, rows: NDArray[np.int64]) -> None:
        self._samples += [
            QuarantinedPrint(
                reason,
                self._day(raw.time_ns[row : row + 1]),
                raw.source,
                int(raw.row[row]),
                int(raw.time_ns[row]),
                int(raw.price[row]),
                int(raw.size[row]),
                int(raw.side[row]),
            )
            for row in rows.tolist()
        ]

    def _day(self, time_ns: Int64Array) -> date | None:
        return None if self._days is None else day_of(int(self._days.of(time_ns)[0]))

    def _count(self, reason: Reason, time_ns: Int64Array) -> None:
        days = np.full(len(time_ns), NO_DAY) if self._days is None else self._days.of(time_ns)
        for day, count in zip(*(each.tolist() for each in np.unique(days, return_counts=True)), strict=True):
            self._counts[day, reason] += count

    def _wait(self, raw: RawColumns, sound: NDArray[np.bool_]) -> None:
        """Put the sound prints behind those that wait to be judged."""
        before = self._waiting.ticks
        every = bool(sound.all())
        time_ns, price, size, side, row = (
            column if every else column[sound] for column in (raw.time_ns, raw.price, raw.size, raw.side, raw.row)
        )
        price, size, aggressor = price // self._tick, size // self._step, side.astype(np.int8)
        if raw.source not in self._sources[-1:]:
            self._sources.append(raw.source)
        source = np.full(len(row), len(self._sources) - 1, dtype=np.int64)
        if len(before):
            time_ns = np.concatenate([before.time_ns, time_ns])
            price = np.concatenate([before.price, price])
            size = np.concatenate([before.size, size])
            aggressor = np.concatenate([before.aggressor, aggressor])
            row = np.concatenate([self._waiting.row, row])
            source = np.concatenate([self._waiting.source, source])
        self._waiting = _Waiting(TickColumns(time_ns, price, size, aggressor), row, source)

    def _settle(self, *, settle_ns: int = _NO_TIME, final: bool = False) -> None:
        """Judge what waits, as far as that can be done: the good is held, the rest kept out."""
        waiting = self._waiting
        verdict = self._check.check(waiting.ticks.time_ns, waiting.ticks.price, settle_ns=settle_ns, final=final)
        checked = waiting.slice(0, len(verdict))
        self._waiting = waiting.slice(len(verdict), len(waiting.ticks))
        good = verdict == Verdict.GOOD
        if not good.all():
            for kind, reason in _OF_VERDICT.items():
                rows = np.flatnonzero(verdict == kind)
                if len(rows):
                    for row in rows[: self._samples_wanted(reason)].tolist():
                        self._sample(reason, self._written(checked, row), np.zeros(1, dtype=np.int64))
                    self._count(reason, checked.ticks.time_ns[rows])
        self._hold(checked.ticks, checked.row, good)

    def _written(self, checked: _Waiting, row: int) -> RawColumns:
        """A sound print as its source wrote it."""
        ticks = checked.ticks.slice(row, row + 1)
        side = ticks.aggressor.astype(np.int64)
        price, size = ticks.price * self._tick, ticks.size * self._step
        source = self._sources[int(checked.source[row])]
        return RawColumns(self._contract, ticks.time_ns, price, size, side, checked.row[row : row + 1], source)

    def _hold(self, ticks: TickColumns, row: Int64Array, good: NDArray[np.bool_]) -> None:
        held = self._held
        time_ns, price, size, aggressor = ticks.time_ns, ticks.price, ticks.size, ticks.aggressor
        if not good.all():
            time_ns, price, size, aggressor, row = time_ns[good], price[good], size[good], aggressor[good], row[good]
        if len(held):
            time_ns = np.concatenate([held.time_ns, time_ns])
            price = np.concatenate([held.price, price])
            size = np.concatenate([held.size, size])
            aggressor = np.concatenate([held.aggressor, aggressor])
            row = np.concatenate([self._held_row, row])
        if len(time_ns) > 1 and (np.diff(time_ns) < 0).any():
            order = np.argsort(time_ns, kind="stable")
            time_ns, price, size, aggressor = time_ns[order], price[order], size[order], aggressor[order]
            row = row[order]
        self._held_row = row
        self._held = TickColumns(time_ns, price, size, aggressor, held.first_index)

    def _release(self, until_ns: int) -> TickColumns:
        count = int(np.searchsorted(self._held.time_ns, until_ns, side="right"))
        released, self._held = self._held.slice(0, count), self._held.slice(count, len(self._held))
        self.released_row, self._held_row = self._held_row[:count], self._held_row[count:]
        return released


def by_reason(kept_out: Mapping[tuple[date | None, Reason], int]) -> dict[str, int]:
    """Counts of `Normaliser.kept_out` summed over the days, in the order of the reasons."""
    total: Counter[Reason] = Counter()
    for (_, reason), count in kept_out.items():
        total[reason] += count
    return {reason.value: total[reason] for reason in _REASONS if total[reason]}
