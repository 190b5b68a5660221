"""Bars of a tape without an end: the fold of `BarBuilder`, late prints as revisions, and gaps as marks.

The fold sees the prints that came in time, as on any tape. A late one joins the open bar before it closes, or changes
one that is closed: that bar is published again, with the next revision, and so are those after it in its session, whose
running sums it changes. So the last revisions of time bars are the bars of the tape in the order of time. A tick or
volume bar keeps its bounds, and has the late prints beyond its amount.
"""

from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np

from leadline.aggregation.builder import BarBuilder, Gap, session_from
from leadline.aggregation.kept import NO_ROWS, KeptSession, Prints
from leadline.model.bars import CLOSE_GRACE_NS, Bar, BarKey, BarMessage
from leadline.model.durations import BarSpec, spec_token
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import Calendar, Session
from leadline.model.market.hours import SessionHours
from leadline.model.ticks import TickBatch, TickColumns

SESSIONS_KEPT: Final = 2
"""Bars of the running session and of the one before it can be revised."""

_NEVER_NS: Final = -(1 << 63)
# Instead of a place among closed bars: in the open bar, in one that may still begin, in none.
_OPEN, _LATER, _NOWHERE = -1, -2, -3
# Prices, sums and indices of a bar, before it has prints.
_NOTHING: Final = (0,) * 18


class LiveBuilder:
    """Folds the prints of one contract on the tape `live` into the bars of one session and one specification.

    The arguments are those of `BarBuilder`. A bar has a gap where prints of its time may be missing: those before the
    first batch, those that the source lost (`TickBatch.gap_from_ns`), and those that were given up. `late` counts the
    late prints that are in a bar, `too_late` those of a session that is not kept any more: they are in none.
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
        self._fold = BarBuilder(
            tape=tape,
            venue=venue,
            contract=contract,
            calendar=calendar,
            hours=hours,
            spec=spec,
            ticks_per_row=ticks_per_row,
        )
        self._tape, self._venue, self._contract = tape, venue, contract
        self._calendar, self._hours, self._spec = calendar, hours, spec
        self._ticks_per_row, self._token = ticks_per_row, spec_token(spec.token, ticks_per_row)
        self.late = self.too_late = 0
        # Prints in time that are in no closed bar yet, and late ones of the open bar.
        self._open: list[TickColumns] = []
        self._extra: list[Prints] = []
        # Late prints whose bar may still begin.
        self._held: list[Prints] = []
        self._kept: list[KeptSession] = []
        # The session that the last print is in or comes before.
        self._session: Session | None = None
        # Times between which prints may be missing, where they touch the open bar or one that follows.
        self._gaps: list[tuple[int, int]] = []
        self._reached_ns = _NEVER_NS
        self._given_up = True
        self._followed: BarKey | None = None

    @property
    def next_index(self) -> int | None:
        """Source index of the print that comes next; None before the first batch."""
        return self._fold.next_index

    @property
    def final(self) -> bool:
        """The tape has ended, which this one never does."""
        return self._fold.final

    @property
    def kept_bytes(self) -> int:
        """The size of the prints that are kept for revisions."""
        return sum(each.bytes for each in self._kept)

    @property
    def waiting(self) -> int:
        """Prints that are in no closed bar yet."""
        return sum(map(len, self._open)) + sum(len(late.ticks) for late in self._extra + self._held)

    def give_up(self, next_index: int) -> None:
        """Go on with a later source index: the prints before it cannot be had. The bars of their time have a gap."""
        self._fold.pass_over(next_index)
        self._given_up = True

    def follow(self, bar: Bar) -> None:
        """Go on behind a bar that an earlier builder has told, with the next ordinal of its session.

        For bars without a time of their own, where the stream does not reach back to the session's open. To be called
        before anything else.
        """
        self._fold.pass_over(bar.last_index + 1)
        self._followed = bar.key

    def feed(self, batch: TickBatch) -> list[BarMessage]:
        """Take the next batch, as `BarBuilder.feed`, with the revisions that it makes.

        A revision promises nothing that was not promised before, and breaks no promise: it is no bar that follows.
        Raises as `BarBuilder.feed`.
        """
        expected, ticks = self._fold.next_index, batch.ticks
        if expected is not None:
            if ticks.first_index > expected:
                raise Gap(expected, ticks.first_index)
            ticks = ticks.slice(expected - ticks.first_index, len(ticks))
        revised: list[Bar] = []
        if batch.late:
            if len(ticks):
                self._held.append(Prints.of([ticks]))
            self._fold.pass_over(ticks.last_index + 1)
            batch = replace(batch, ticks=TickColumns.empty(ticks.last_index + 1))
        else:
            revised = self._note_gaps(batch, ticks)
            if len(ticks) and self._inside(ticks):
                self._open.append(ticks)
        revised += self._settle()
        messages = [self._revision(bar) for bar in revised]
        for message in self._fold.feed(batch):
            closed = None if message.bar is None else self._closed(message.bar)
            messages.append(replace(message, bar=closed))
        self._reached_ns = max(self._reached_ns, batch.watermark_ns, *batch.ticks.time_ns[-1:].tolist())
        return messages + [self._revision(bar) for bar in self._settle()]

    def _inside(self, ticks: TickColumns) -> bool:
        """Whether some of these prints may be in a session: all day long there are others."""
        last_ns = int(ticks.time_ns[-1])
        if self._session is None or last_ns >= self._session.close_ns:
            self._session = session_from(self._calendar, self._hours, last_ns)
            return True
        return last_ns >= self._session.open_ns

    def _revision(self, bar: Bar) -> BarMessage:
        fold = self._fold
        return BarMessage(
            self._tape, self._venue, self._contract, fold.progress_ns, False, bar, None, fold.quiet_until_ns
        )

    # --- bars that close ---------------------------------------------------------------------------------------------

    def _closed(self, bar: Bar) -> Bar:
        """A bar of the fold with the late prints of its time, and with the mark of a gap."""
        session = Session(bar.session_open_ns, bar.session_close_ns, bar.key.trading_day, bar.key.session)
        kept, before = self._kept_session(session), self._followed
        if before is not None and before.trading_day == bar.key.trading_day:
            bar = replace(bar, key=replace(bar.key, ordinal=before.ordinal + 1 + bar.key.ordinal))
        since_ns = self._since(bar, kept.bar_at(len(kept) - 1))
        prints = Prints.of(self._taken(bar))
        for late in self._extra:
            prints = prints.with_late(late)
        self._extra = []
        gap = any(self._touches(each, since_ns, bar) for each in self._gaps)
        # A bar that follows begins where this one ends.
        self._gaps = [each for each in self._gaps if each[1] > bar.end_ns]
        return kept.close(replace(bar, gap=gap), prints)

    def _taken(self, bar: Bar) -> list[TickColumns]:
        """The prints of a bar that closes, which are the first ones of its session."""
        found: list[TickColumns] = []
        wanted = bar.prints
        while wanted:
            ticks = self._open.pop(0)
            ticks = ticks.slice(int(ticks.time_ns.searchsorted(bar.session_open_ns)), len(ticks))
            if len(ticks) > wanted:
                self._open.insert(0, ticks.slice(wanted, len(ticks)))
                ticks = ticks.slice(0, wanted)
            if len(ticks):
                found.append(ticks)
                wanted -= len(ticks)
        return found

    def _since(self, bar: Bar, before: Bar | None) -> int:
        """When a bar could have begun: a tick or volume bar with the end of the one before it."""
        if self._spec.kind == "time":
            return bar.start_ns
        return bar.session_open_ns if before is None else before.end_ns

    def _kept_session(self, session: Session) -> KeptSession:
        """The closed bars of a session, which is one that is kept or follows those."""
        found = self._known_session(session)
        if found is None:
            found = KeptSession(session, self._ticks_per_row)
            self._kept = [*self._kept, found][-SESSIONS_KEPT:]
        return found

    def _known_session(self, session: Session) -> KeptSession | None:
        return next((each for each in self._kept if each.session.trading_day == session.trading_day), None)

    # --- gaps --------------------------------------------------------------------------------------------------------

    def _note_gaps(self, batch: TickBatch, ticks: TickColumns) -> list[Bar]:
        """Note where prints may be missing before a batch; the closed bars that this touches, as revisions."""
        if not len(ticks) and batch.watermark_ns <= self._reached_ns:
            return []  # it came before
        until_ns = int(ticks.time_ns[0]) if len(ticks) else batch.watermark_ns
        gaps = [(batch.gap_from_ns, until_ns)] if batch.gap_from_ns else []
        if self._given_up:
            gaps.append((self._reached_ns, until_ns))
            self._given_up = False
        self._gaps += gaps
        revised: list[Bar] = []
        for kept in self._kept if gaps else ():
            touched = [
                place
                for place, bar in enumerate(kept.bars)
                if not bar.gap
                and any(self._touches(each, self._since(bar, kept.bar_at(place - 1)), bar) for each in gaps)
            ]
            for place in touched:
                kept.mark(place)
            if touched:
                revised += kept.revised(touched[0])
        return revised

    def _touches(self, gap: tuple[int, int], since_ns: int, bar: Bar) -> bool:
        """Whether prints that may be missing could be of a bar that could have begun at `since_ns`."""
        until_ns = bar.end_ns if self._spec.kind == "time" else bar.end_ns + 1
        return gap[0] < until_ns and gap[1] > since_ns

    # --- late prints -------------------------------------------------------------------------------------------------

    def _settle(self) -> list[Bar]:
        """Put late prints where they belong, as far as that is known; the closed bars that change, as revisions."""
        held, self._held = self._held, []
        return [bar for late in held for bar in self._put_late(late)]

    def _put_late(self, late: Prints) -> list[Bar]:
        rows: dict[date, list[int]] = {}
        session: Session | None = None
        for row, time_ns in enumerate(late.ticks.time_ns.tolist()):
            if session is None or not session.contains(time_ns):
                session = session_from(self._calendar, self._hours, time_ns)
            if not session.contains(time_ns):
                continue  # in no session, and in no bar
            if self._known_session(session) is None and not self._runs(session):
                self.too_late += 1
                continue
            rows.setdefault(self._kept_session(session).session.trading_day, []).append(row)
        return [
            bar for kept in self._kept for bar in self._revised(kept, late.only(rows.get(kept.session.trading_day, [])))
        ]

    def _runs(self, session: Session) -> bool:
        return session.contains(self._reached_ns) or self._open_bar(session) is not None

    def _revised(self, kept: KeptSession, late: Prints) -> list[Bar]:
        """The bars of a session that late prints of it change, those after them too, as revisions."""
        first = len(kept)
        for part in self._by_bar(kept, late):
            place = self._place(kept, int(part.ticks.time_ns[0]))
            if place == _LATER:
                self._held.append(part)
            elif place == _NOWHERE:
                self.too_late += len(part.ticks)
            else:
                self.late += len(part.ticks)
                if place == _OPEN:
                    self._extra.append(part)
                else:
                    self._put(kept, place, part)
                    first = min(first, place)
        return kept.revised(first)

    def _by_bar(self, kept: KeptSession, late: Prints) -> list[Prints]:
        """Late prints of a session by the bar that they are of."""
        times = late.ticks.time_ns
        if self._spec.kind == "time":
            bars = (times - kept.session.open_ns) // self._spec.length
        else:
            bars = np.array([kept.place_at(time_ns) for time_ns in times.tolist()], dtype=np.int64)
        return [late.only(np.flatnonzero(bars == bar)) for bar in np.unique(bars)]

    def _place(self, kept: KeptSession, time_ns: int) -> int:
        """The place of a late print's bar among the closed ones, where it may be missing; else what is to be done."""
        open_bar = self._open_bar(kept.session)
        if self._spec.kind == "time":
            ordinal = self._ordinal(kept.session, time_ns)
            if open_bar == ordinal:
                return _OPEN
            end_ns = min(kept.session.open_ns + (ordinal + 1) * self._spec.length, kept.session.close_ns)
            may_begin = self._reached_ns < end_ns or (open_bar is not None and open_bar < ordinal)
            return _LATER if may_begin else kept.place(ordinal)
        place = kept.place_at(time_ns)
        if place < len(kept):
            return place
        if open_bar is not None:
            return _OPEN
        if kept.session.contains(self._reached_ns):
            return _LATER
        return place - 1 if place else _NOWHERE

    def _put(self, kept: KeptSession, place: int, late: Prints) -> None:
        time_ns = int(late.ticks.time_ns[0])
        bar = kept.bar_at(place)
        if self._spec.kind == "time" and (bar is None or bar.key.ordinal != self._ordinal(kept.session, time_ns)):
            kept.insert(place, self._missing_bar(kept.session, time_ns), late)
        else:
            kept.add(place, late)

    def _open_bar(self, session: Session) -> int | None:
        """The ordinal of the open bar of a session, 0 for one that has no time of its own; None where none is open."""
        for ticks in self._open:
            row = int(ticks.time_ns.searchsorted(session.open_ns))
            if row < len(ticks):
                time_ns = int(ticks.time_ns[row])
                return self._ordinal(session, time_ns) if session.contains(time_ns) else None
        return None

    def _ordinal(self, session: Session, time_ns: int) -> int:
        return (time_ns - session.open_ns) // self._spec.length if self._spec.kind == "time" else 0

    def _missing_bar(self, session: Session, time_ns: int) -> Bar:
        """The time bar of an instant at which no print came in time, without prints."""
        ordinal = self._ordinal(session, time_ns)
        start_ns = session.open_ns + ordinal * self._spec.length
        end_ns = min(start_ns + self._spec.length, session.close_ns)
        key = BarKey(self._contract, self._hours.id, self._token, session.trading_day, ordinal)
        times = start_ns, end_ns, end_ns + CLOSE_GRACE_NS
        gap = any(each[0] < end_ns and each[1] > start_ns for each in self._gaps)
        return Bar(key, *times, *_NOTHING, session.open_ns, session.close_ns, self._ticks_per_row, NO_ROWS, gap=gap)
