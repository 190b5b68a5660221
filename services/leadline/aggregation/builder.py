"""Bars from prints: where bars begin and end, what they are called, and from when they may be acted on.

A builder is a fold over the tape of one contract. Batches of any size give the same bars.
"""

from datetime import timedelta
from typing import Final

import numpy as np

from leadline.aggregation.buffer import PrintBuffer
from leadline.aggregation.kernel import BarPart, value_area
from leadline.model.bars import CLOSE_GRACE_NS, Bar, BarKey, BarMessage, UnfinishedBar
from leadline.model.durations import BarSpec, spec_token
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import Calendar, Session
from leadline.model.market.hours import SessionHours
from leadline.model.ticks import NS_PER_MINUTE, Int64Array, TickBatch, TickColumns

# Tape time between two progress messages of a builder that closes no bar. Time bars of every length end with a minute.
PROGRESS_EVERY_NS: Final = NS_PER_MINUTE

_NEVER_NS: Final = -(1 << 63)


class Gap(LeadlineError):
    """Prints are missing: the batch begins at source index `got`, `expected` was to come next. Ask for it again."""

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(expected, got)
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"prints {self.expected} to {self.got - 1} are missing"


def session_from(calendar: Calendar, hours: SessionHours, now_ns: int) -> Session:
    """The session in force at an instant (ns UTC), else the first to open after it.

    Raises Unknown when the calendar does not reach that far.
    """
    day = calendar.trading_day(now_ns)
    while True:
        session = calendar.session(day, hours)
        if session is not None and now_ns < session.close_ns:
            return session
        day += timedelta(days=1)


class BarBuilder:
    """Folds the prints of one contract into the bars of one session and one specification.

    tape, venue, contract: whose prints `feed` accepts.
    calendar, hours: when the session is open; `hours.id` stands in the bar keys.
    spec: how bars are cut. ticks_per_row: height of a footprint row, in ticks of the instrument.

    A builder that has seen nothing begins at the first source index that it is given. After an exception from `feed`
    other than `Gap` it is not to be used any more.
    """

    def __init__(
        self,
        *,
        tape: RunId,
        venue: str,
        contract: ContractId,
        calendar: Calendar,
        hours: SessionHours,
        spec: BarSpec,
        ticks_per_row: int,
    ) -> None:
        if ticks_per_row < 1:
            raise InvalidInput("ticks_per_row", ticks_per_row, "an integer >= 1")
        self._tape = tape
        self._venue = venue
        self._contract = contract
        self._calendar = calendar
        self._hours = hours
        self._spec = spec
        self._spec_token = spec_token(spec.token, ticks_per_row)
        self._ticks_per_row = ticks_per_row

        self._next_index: int | None = None
        self._watermark_ns = _NEVER_NS
        self._published_ns = _NEVER_NS
        self._quiet_until_ns = 0
        self._published_bar = False
        self._published_minute_ns = _NEVER_NS
        self._final = False
        # The minute that the last print is in, and when the bars that end with its beginning were known.
        self._minute_ns = _NEVER_NS
        self._known_ns = _NEVER_NS

        self._session: Session | None = None
        self._cumulative_delta = 0
        self._vwap_volume = 0
        self._vwap_price_volume = 0
        self._vwap_price2_volume = 0

        # The open bar: its prints, their amount where that closes it, its number, and the end of its time, which is
        # the session's close where the bar has no time of its own.
        self._buffer = PrintBuffer(ticks_per_row)
        self._held = 0
        self._ordinal = 0
        self._end_ns = 0

    @property
    def next_index(self) -> int | None:
        """Source index of the print that comes next; None before the first batch."""
        return self._next_index

    @property
    def final(self) -> bool:
        """The tape has ended."""
        return self._final

    @property
    def progress_ns(self) -> int:
        """The last promise: no bar follows that was known before."""
        return self._published_ns

    @property
    def quiet_until_ns(self) -> int:
        """The last promise ahead of the tape, as `BarMessage` has it."""
        return self._quiet_until_ns

    def pass_over(self, next_index: int) -> None:
        """Go on with a later source index: the prints before it are none of this fold's."""
        self._next_index = next_index

    def feed(self, batch: TickBatch) -> list[BarMessage]:
        """Take the next batch; returns the bars that it made known, in order, then at most one progress message.

        Prints that were taken before are dropped. Progress is published when it is final, when it passes a bar that
        has been published, and otherwise once a minute of the tape: when it passes the instant at which a bar that ends
        with that minute is known. So a reader of several builders, who has such a bar from one of them, hears at once
        from the others that they have none. Beyond the watermark a builder of time bars promises that no bar follows
        before the end of the one that is open. It says so as soon as its last promise is used up.

        Raises `Gap`, before anything is taken, when prints are missing; `InvalidInput` when the batch is of another
        tape or contract, when its times run backwards or break a watermark, and when a final tape goes on.
        """
        ticks = self._unseen(batch)
        bars: list[Bar] = []
        if rows := len(ticks.time_ns):
            first_ns, last_ns = ticks.time_ns.item(0), ticks.time_ns.item(-1)
            self._check_times(ticks, first_ns)
            if last_ns >= self._minute_ns + PROGRESS_EVERY_NS:
                self._look_at_the_clock(ticks, last_ns)
            if not self._add_to_open_bar(ticks, last_ns):
                self._take(ticks, bars)
            self._next_index = ticks.first_index + rows
        self._watermark_ns = max(self._watermark_ns, batch.watermark_ns)
        if len(self._buffer) and self._watermark_ns >= self._end_ns + CLOSE_GRACE_NS:
            self._close(self._end_ns + CLOSE_GRACE_NS, bars)
        messages = [self._message(bar.known_at_ns, bar=bar) for bar in bars]
        messages += self._progress(batch.final)
        return messages

    # --- what comes in ---------------------------------------------------------------------------------------------

    def _unseen(self, batch: TickBatch) -> TickColumns:
        if batch.tape != self._tape or batch.contract != self._contract:
            raise InvalidInput("batch", f"{batch.tape}/{batch.contract}", f"{self._tape}/{self._contract}")
        ticks = batch.ticks
        if self._next_index is None:
            self._next_index = ticks.first_index
        if ticks.first_index > self._next_index:
            raise Gap(self._next_index, ticks.first_index)
        if ticks.first_index < self._next_index:
            ticks = ticks.slice(self._next_index - ticks.first_index, len(ticks))
        return ticks

    def _check_times(self, ticks: TickColumns, first_ns: int) -> None:
        if self._final:
            raise InvalidInput("ticks.first_index", ticks.first_index, "no print after the end of the tape")
        if first_ns < self._watermark_ns:
            raise InvalidInput("ticks.time_ns", first_ns, f"a time not below the watermark {self._watermark_ns}")
        if np.count_nonzero(ticks.time_ns[1:] < ticks.time_ns[:-1]):
            raise InvalidInput("ticks.time_ns", first_ns, "times that do not decrease")

    def _look_at_the_clock(self, ticks: TickColumns, last_ns: int) -> None:
        """Note when bars that ended with the last minute that `ticks` reach, a new one, were known."""
        self._minute_ns = _minute(last_ns)
        first_ns = ticks.time_ns.item(ticks.time_ns.searchsorted(self._minute_ns))
        self._known_ns = min(first_ns, self._minute_ns + CLOSE_GRACE_NS)

    # --- cutting ---------------------------------------------------------------------------------------------------

    def _add_to_open_bar(self, ticks: TickColumns, last_ns: int) -> bool:
        """Add prints that belong to the open bar and leave it open, as most batches do; False: they must be cut."""
        if not len(self._buffer) or last_ns >= self._end_ns:
            return False
        if self._spec.kind != "time":
            held = self._held + (int(ticks.size.sum()) if self._spec.kind == "volume" else len(ticks))
            if held >= self._spec.length:
                return False
            self._held = held
        self._buffer.add(ticks)
        return True

    def _take(self, ticks: TickColumns, bars: list[Bar]) -> None:
        """Cut prints into bars, session by session."""
        start = 0
        while start < len(ticks):
            session = self._session_at(ticks.time_ns.item(start), bars)
            opens, closes = ticks.time_ns.searchsorted((session.open_ns, session.close_ns)).tolist()
            inside = ticks.slice(max(start, opens), closes)
            start = closes
            if not len(inside):
                continue
            if self._spec.kind == "time":
                self._cut_by_time(inside, session, bars)
            else:
                self._cut_by_amount(inside, session, bars)

    def _session_at(self, now_ns: int, bars: list[Bar]) -> Session:
        """The session that a print at `now_ns` is in or comes before; the session before it ends here."""
        if self._session is None or now_ns >= self._session.close_ns:
            if len(self._buffer):
                self._close(min(now_ns, self._end_ns + CLOSE_GRACE_NS), bars)
            self._session = session_from(self._calendar, self._hours, now_ns)
            self._ordinal = 0
            self._cumulative_delta = 0
            self._vwap_volume = self._vwap_price_volume = self._vwap_price2_volume = 0
        return self._session

    def _cut_by_time(self, ticks: TickColumns, session: Session, bars: list[Bar]) -> None:
        """Half-open intervals from the session's open; a print at or after a bar's end makes that bar known."""
        times, length = ticks.time_ns, self._spec.length
        if len(self._buffer) and times.item(0) >= self._end_ns:
            self._close(min(times.item(0), self._end_ns + CLOSE_GRACE_NS), bars)
        begins = not len(self._buffer)
        ordinal, end_ns, row = self._ordinal, self._end_ns, 0
        stops: list[int] = []
        ends: list[tuple[int, int, int]] = []
        while True:
            if begins:
                ordinal = (times.item(row) - session.open_ns) // length
                end_ns = min(session.open_ns + (ordinal + 1) * length, session.close_ns)
            row = int(times.searchsorted(end_ns))
            if row == len(times):
                break
            stops.append(row)
            ends.append((ordinal, end_ns, min(times.item(row), end_ns + CLOSE_GRACE_NS)))
            begins = True
        for part, (number, bar_end_ns, known_at_ns) in zip(self._buffer.cut(ticks, stops), ends, strict=True):
            self._ordinal, self._end_ns = number, bar_end_ns
            bars.append(self._bar(part, session, known_at_ns))
        self._ordinal, self._end_ns = ordinal, end_ns

    def _cut_by_amount(self, ticks: TickColumns, session: Session, bars: list[Bar]) -> None:
        """Bars that close with the print that reaches the amount of prints or volume, whole."""
        self._end_ns = session.close_ns
        length, wanted = self._spec.length, self._spec.length - self._held
        if self._spec.kind == "volume":
            stops, left = _cut_by_volume(ticks.size, wanted, length)
        else:
            stops = list(range(wanted, len(ticks) + 1, length))
            left = (stops[-1] + length if stops else wanted) - len(ticks)
        self._held = length - left
        times = ticks.time_ns[[stop - 1 for stop in stops]].tolist() if stops else []
        for part, known_at_ns in zip(self._buffer.cut(ticks, stops), times, strict=True):
            bars.append(self._bar(part, session, known_at_ns))
            self._ordinal += 1

    # --- what goes out ---------------------------------------------------------------------------------------------

    def _close(self, known_at_ns: int, bars: list[Bar]) -> None:
        """Close the open bar with the prints that are held."""
        assert self._session is not None
        self._held = 0
        bars.append(self._bar(self._buffer.take(), self._session, known_at_ns))

    def _bar(self, part: BarPart, session: Session, known_at_ns: int) -> Bar:
        """The bar of the present ordinal and end, whose sums are added to those of the session."""
        self._cumulative_delta += part.delta
        self._vwap_volume += part.volume
        self._vwap_price_volume += part.price_volume
        self._vwap_price2_volume += part.price2_volume
        by_time = self._spec.kind == "time"
        area = value_area(part.rows, self._ticks_per_row)
        return Bar(
            key=self._key(session),
            start_ns=session.open_ns + self._ordinal * self._spec.length if by_time else part.first_ns,
            end_ns=self._end_ns if by_time else part.last_ns,
            known_at_ns=known_at_ns,
            open=part.open,
            high=part.high,
            low=part.low,
            close=part.close,
            volume=part.volume,
            prints=part.prints,
            delta=part.delta,
            min_delta=part.min_delta,
            max_delta=part.max_delta,
            cumulative_delta=self._cumulative_delta,
            poc=area.poc,
            value_area_low=area.low,
            value_area_high=area.high,
            vwap_volume=self._vwap_volume,
            vwap_price_volume=self._vwap_price_volume,
            vwap_price2_volume=self._vwap_price2_volume,
            first_index=part.first_index,
            last_index=part.last_index,
            session_open_ns=session.open_ns,
            session_close_ns=session.close_ns,
            ticks_per_row=self._ticks_per_row,
            rows=part.rows,
        )

    def _key(self, session: Session) -> BarKey:
        """Identity of the open bar."""
        return BarKey(self._contract, self._hours.id, self._spec_token, session.trading_day, self._ordinal)

    def _unfinished(self) -> UnfinishedBar | None:
        """The prints of the open bar, which nothing will close any more; None where no bar is open."""
        if self._session is None or not len(self._buffer):
            return None
        return UnfinishedBar(self._key(self._session), len(self._buffer))

    def _progress(self, final: bool) -> list[BarMessage]:
        ended = final and not self._final
        self._final = self._final or final
        passed_minute_ns = self._passed_minute()
        is_news = self._watermark_ns > self._published_ns
        is_due = is_news and (self._published_bar or passed_minute_ns > self._published_minute_ns)
        is_used_up = len(self._buffer) > 0 and self._quiet_until_ns <= self._watermark_ns < self._end_ns
        if not (ended or is_due or (is_used_up and self._spec.kind == "time")):
            return []
        self._published_minute_ns = passed_minute_ns
        return [self._message(max(self._watermark_ns, self._published_ns), final=ended)]

    def _passed_minute(self) -> int:
        """The last minute whose beginning ends no bar any more that becomes known at the watermark or later."""
        minute_ns = _minute(self._watermark_ns)
        known_ns = self._known_ns if minute_ns == self._minute_ns else minute_ns + CLOSE_GRACE_NS
        # The minute before it is passed in any case: the grace is shorter than a minute.
        return minute_ns if known_ns < self._watermark_ns else minute_ns - PROGRESS_EVERY_NS

    def _message(self, progress_ns: int, *, final: bool = False, bar: Bar | None = None) -> BarMessage:
        self._published_ns = progress_ns
        self._published_bar = bar is not None
        if self._spec.kind == "time":
            # The next bar to end is the one that is open, else one of which no print has come: it ends with a minute.
            is_open = bar is None and len(self._buffer) > 0
            next_end_ns = self._end_ns if is_open else _minute(progress_ns) + PROGRESS_EVERY_NS
            self._quiet_until_ns = max(self._quiet_until_ns, next_end_ns)
        unfinished = self._unfinished() if final else None
        return BarMessage(
            self._tape, self._venue, self._contract, progress_ns, final, bar, unfinished, self._quiet_until_ns
        )


def _cut_by_volume(sizes: Int64Array, wanted: int, length: int) -> tuple[list[int], int]:
    """The rows after those that reach `wanted`, and then `length` again and again, and what is wanted after the last.

    The print that reaches the volume counts whole, and nothing of it for the next bar.
    """
    reached = sizes.cumsum()
    stops: list[int] = []
    before = 0
    while (row := int(reached.searchsorted(before + wanted))) < len(reached):
        stops.append(row + 1)
        before, wanted = reached.item(row), length
    return stops, wanted - (reached.item(-1) - before)


def _minute(time_ns: int) -> int:
    """The beginning of the minute that an instant is in, ns UTC."""
    return time_ns // PROGRESS_EVERY_NS * PROGRESS_EVERY_NS
