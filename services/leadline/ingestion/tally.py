"""Counts of a contract's prints that reached no bar, by trading day and reason, and the bound above which a run fails.

A print is either kept out (`leadline.ingestion.normaliser.Reason`), which is a fault of the source, or good and outside
of every session that somebody builds bars of, which is none: such as the night where only regular hours are wanted.
Only the former count towards the share above which a run fails.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar, Final

import numpy as np

from leadline.ingestion.days import NO_DAY, TradingDays, day_of
from leadline.ingestion.normaliser import Normaliser, QuarantinedPrint, Reason
from leadline.ingestion.raw import NANO, TOO_LARGE
from leadline.model.counted import counted
from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId
from leadline.model.market.calendars import Calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.hours import SessionHours
from leadline.model.market.instruments import Instrument, beside
from leadline.model.ticks import Int64Array

# The reason of a good print that lies in no session that bars are built of.
OUTSIDE: Final = "outside_session"
# Share of prints, in percent, that may be kept out before a run fails.
MAX_KEPT_OUT_PERCENT: Final = Decimal(1)

Counts = Mapping[tuple[date | None, str], int]
_SAMPLES_SHOWN: Final = 3


class TooManyKeptOut(LeadlineError):
    """More of a feed's prints are faulty than its settings allow. sentence: of which contract, how many, why."""

    grpc_status: ClassVar[str] = "INVALID_ARGUMENT"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)


class OutsideSessions:
    """Counts good prints of one contract, in the order of time, that lie in none of the sessions of some hours.

    hours: of the bars that are built; none: nothing is counted, for there is nothing to be outside of. It may change:
    what comes then is counted by the new ones. counts: by the ordinal of the trading day.
    """

    def __init__(self, market: Calendar) -> None:
        self.hours: tuple[SessionHours, ...] = ()
        self.counts: Counter[int] = Counter()
        self._market = market
        self._days = TradingDays(market)
        # The sessions of the hours and of the day of the newest prints: live, those of all prints for hours.
        self._known: tuple[tuple[SessionHours, ...], int, list[tuple[int, int]]] = ((), NO_DAY, [])

    def feed(self, time_ns: Int64Array) -> None:
        """Count some more. time_ns: their times, not decreasing, shape (n,)."""
        if not self.hours or not len(time_ns):
            return
        days = self._days.of(time_ns)
        edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        for begin, end in pairwise(edges):
            day = int(days[begin])
            outside = end - begin - self._inside(time_ns[begin:end], day)
            if outside:
                self.counts[day] += outside

    def _inside(self, time_ns: Int64Array, day: int) -> int:
        """How many prints of one trading day lie in a session."""
        if day == NO_DAY:
            return 0
        if self._known[:2] != (self.hours, day):
            windows = sorted(window for hours in self.hours for window in self._windows(hours, day))
            self._known = (self.hours, day, windows)
        inside, seen = 0, 0
        for window in self._known[2]:
            begin, end = np.searchsorted(time_ns, window).tolist()
            inside += max(end - max(begin, seen), 0)
            seen = max(seen, end)
        return inside

    def _windows(self, hours: SessionHours, day: int) -> Iterator[tuple[int, int]]:
        """The sessions that a trading day may have a part of: its own, where the hours begin days later also the next.

        Days that a session's open begins are named by the day on which they end, so none lies more than a day off.
        """
        market = self._market.of_session(hours)
        for off in (-1, 0, 1) if market is not self._market else (0,):
            at = date.fromordinal(day + off)
            session = market.session(at, hours) if market.knows(at) else None
            if session is not None:
                yield session.open_ns, session.close_ns


@dataclass(slots=True)
class Tally:
    """The counts of one contract. before: those of an earlier process that will not see the same prints again."""

    normaliser: Normaliser
    outside: OutsideSessions
    before: Counts = field(default_factory=dict)

    def counts(self) -> dict[tuple[date | None, str], int]:
        """Prints that did not reach a bar, by trading day (None: they have none) and reason."""
        total: Counter[tuple[date | None, str]] = Counter(self.before)
        for (day, reason), count in self.normaliser.kept_out.items():
            total[day, reason.value] += count
        for ordinal, count in self.outside.counts.items():
            total[day_of(ordinal), OUTSIDE] += count
        return dict(sorted(total.items(), key=lambda item: (item[0][0] or date.min, item[0][1])))

    def quarantined(self) -> dict[str, int]:
        """Prints kept out, by reason."""
        return kept_out(self.counts())

    def samples(self) -> tuple[QuarantinedPrint, ...]:
        """The first few prints kept out for each reason."""
        return self.normaliser.samples


def kept_out(counts: Counts) -> dict[str, int]:
    """Faulty prints by reason, the most frequent first."""
    total: Counter[str] = Counter()
    for (_, reason), count in counts.items():
        if reason != OUTSIDE:
            total[reason] += count
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def require_share(
    contract: ContractId, good: int, counts: Counts, samples: Sequence[QuarantinedPrint], max_percent: Decimal
) -> None:
    """Raises TooManyKeptOut when more than `max_percent` of a contract's prints are faulty. good: the others."""
    by_reason = kept_out(counts)
    faulty = sum(by_reason.values())
    if 100 * faulty <= max_percent * (good + faulty):
        return
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in by_reason.items())
    sheet = instrument_of(contract)
    shown = "; ".join(sample_text(sample, sheet) for sample in most_telling(by_reason, samples))
    raise TooManyKeptOut(
        f"{faulty:,} of {counted(good + faulty, 'print')} of {contract} {'was' if faulty == 1 else 'were'} kept out, "
        f"more than {max_percent:f} %: {reasons}" + (f" (the first: {shown})" if shown else "")
    )


def nothing_reached_a_bar(good: int, counts: Counts, leads_from: date | None) -> bool:
    """Whether all good prints of a contract, of which there are some, lie outside of the sessions that are wanted.

    leads_from: the day on which a later month of a root begins to be traded, None for any other contract. Until then
    a month has nothing but history, of which no bar may be due: it is judged by itself only once it has prints since.
    """
    outside = {day: count for (day, reason), count in counts.items() if reason == OUTSIDE}
    if not 0 < good <= sum(outside.values()):
        return False
    return leads_from is None or any(day is not None and day >= leads_from for day in outside)


def most_telling(by_reason: Iterable[str], samples: Sequence[QuarantinedPrint]) -> list[QuarantinedPrint]:
    """The first sample of each reason, in this order of reasons, a few."""
    first = {sample.reason.value: sample for sample in reversed(samples)}
    return [first[reason] for reason in by_reason if reason in first][:_SAMPLES_SHOWN]


def sample_text(sample: QuarantinedPrint, sheet: Instrument) -> str:
    """A print that was kept out, in words. sheet: of its contract, whose grid its price or size may be off."""
    price, size = number_text(sample.price), number_text(sample.size)
    if sample.reason is Reason.OFF_GRID:
        price += f" (the tick is {sheet.tick}, beside it are {_beside(sample.price, sheet.tick)})"
    if sample.reason is Reason.OFF_STEP_SIZE:
        size += f" (the step is {sheet.size_step}, beside it are {_beside(sample.size, sheet.size_step)})"
    written = f"time {sample.time_ns}, price {price}, size {size}, side {sample.side}"
    return f"{sample.source} line {sample.row}, {sample.reason.value}: {written}"


def _beside(billionths: int, step: Decimal) -> str:
    below, above = beside(Decimal(billionths) / NANO, step)
    return f"{below} and {above}"


def number_text(billionths: int) -> str:
    """Billionths as a plain decimal."""
    if abs(billionths) == TOO_LARGE:
        return "too large"
    return f"{(Decimal(billionths) / NANO).normalize():f}"
