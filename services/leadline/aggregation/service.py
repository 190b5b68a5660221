"""The aggregation service: from the stream of prints to the stream of bars, one builder a series."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog

from leadline.aggregation import metrics
from leadline.aggregation.builder import BarBuilder, Gap
from leadline.aggregation.demand import Series, series_of
from leadline.aggregation.live import LiveBuilder
from leadline.aggregation.publication import Publication, coalesced, message_key
from leadline.aggregation.servicer import AggregationServicer
from leadline.aggregation.store import wanted_series
from leadline.aggregation.v1 import aggregation_pb2 as pb
from leadline.aggregation.v1 import aggregation_pb2_grpc as rpc
from leadline.aggregation.wide import BarTooWide
from leadline.model.bars import Bar, BarMessage
from leadline.model.errors import LeadlineError
from leadline.model.ids import RunId
from leadline.model.market.hours import local_datetime
from leadline.model.subjects import BARS, TICKS, bar_subject, tick_subject
from leadline.model.ticks import NS_PER_SECOND, TickBatch
from leadline.model.wire.bars import encode_bar
from leadline.runtime.bus.bus import Bus, BusError, BusRefused, MessageTooLarge, Start
from leadline.runtime.bus.intake import Intake, last_usable, place_before, read_bar, read_ticks
from leadline.runtime.bus.publishing import keep_publishing
from leadline.runtime.clock import monotonic_s
from leadline.runtime.context import Context
from leadline.runtime.database import DATABASE_LOST, Pool
from leadline.runtime.poison import Handling, Poison
from leadline.runtime.retry import until_done
from leadline.runtime.runs import LIVE_TAPE

DEMAND_EVERY_SECONDS: Final = 1.0
# A builder whose prints cannot be used begins anew after a pause: somebody may have repaired them, or the calendar.
RETRY_FIRST_SECONDS: Final = 1.0
RETRY_MOST_SECONDS: Final = 30.0
# A gap that is still there after so many readings of the whole stream will not close.
MAX_READINGS: Final = 3
# Bars and progress of one series that wait for the bus; then its prints wait too.
OUTBOX_MESSAGES: Final = 256

_log = structlog.get_logger(__name__)


async def run(context: Context) -> None:
    """Build what is asked for until the process is told to stop."""
    tape = await context.current_run()
    builders = Builders(context, tape.tape)
    context.add_service(
        rpc.add_AggregationServiceServicer_to_server,
        AggregationServicer(context.bus, tape, builders.series),
        pb.DESCRIPTOR.services_by_name["AggregationService"].full_name,
    )
    await context.serve()
    await builders.follow_demand()


class Builders:
    """The builders that run: one a series, each with a reader of its own, so that none waits for another."""

    def __init__(self, context: Context, tape: RunId) -> None:
        self._context = context
        self._tape = tape
        self._tasks: dict[Series, asyncio.Task[None]] = {}
        self._refused: frozenset[str] = frozenset()

    def series(self) -> tuple[Series, ...]:
        """The series that are built now."""
        return tuple(self._tasks)

    async def follow_demand(self) -> None:
        """Start and stop builders as the demand says, until the process is told to stop."""
        stopping = self._context.stopping
        while not stopping.is_set():
            try:
                self._adjust(await self._read_demand(self._context.pool))
                self._context.set_ready(True)
            except DATABASE_LOST as error:
                # What is asked for stays asked for while the database is away.
                metrics.DEMAND_FAILURES.inc()
                _log.warning("aggregation.demand_unread", reason=str(error) or type(error).__name__)
            try:
                async with asyncio.timeout(DEMAND_EVERY_SECONDS):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def _read_demand(self, pool: Pool) -> list[Series]:
        wanted: list[Series] = []
        refused: set[str] = set()
        for row in await wanted_series(pool):
            try:
                wanted.append(series_of(row))
            except LeadlineError as error:
                refused.add(f"{row['contract']} {row['session']} {row['bars']}: {error}")
        for reason in sorted(refused - self._refused):
            _log.error("aggregation.demand_refused", reason=reason)
        self._refused = frozenset(refused)
        metrics.REFUSED_DEMAND.set(len(refused))
        return wanted

    def _adjust(self, wanted: list[Series]) -> None:
        for series in [running for running in self._tasks if running not in wanted]:
            _log.info("aggregation.builder_stops", contract=series.contract, session=series.hours.id, bars=series.spec)
            self._tasks.pop(series).cancel()
        for series in wanted:
            if series not in self._tasks:
                _log.info(
                    "aggregation.builder_starts", contract=series.contract, session=series.hours.id, bars=series.spec
                )
                name = f"bars {series.contract} {series.spec}"
                self._tasks[series] = self._context.spawn(
                    build_and_publish(self._context.bus, self._tape, series, self._context.handling), name
                )
        metrics.BUILDERS.set(len(self._tasks))


async def build_and_publish(bus: Bus, tape: RunId, series: Series, handling: Handling) -> None:
    """Build a series, and build it again when the bus has lost the end of its bars. Raises as `keep_building`."""
    bars, told = bar_subject(tape, series.venue, series.contract, series.hours.id, series.spec), Told()
    await keep_publishing(bus, [bars], lambda: keep_building(bus, tape, series, handling, told))


@dataclass(slots=True)
class Told:
    """The last bar that this process has told of a series: a bus that has lost its store knows of none."""

    bar: Bar | None = None


async def keep_building(bus: Bus, tape: RunId, series: Series, handling: Handling, told: Told | None = None) -> None:
    """Build a series to the end of the tape. What is wrong with its prints or its calendar stops no other series.

    Nor does a bar of so many rows that the bus refuses it. Raises what the bus raises when it is lost for good.
    """
    measured = metrics.series_metrics(series)

    def again(error: Exception) -> bool:
        # A bar that is too large for the bus is this series' trouble; a bus that is gone is everybody's.
        if not isinstance(error, LeadlineError | ValueError) or (
            isinstance(error, BusError) and not isinstance(error, BusRefused)
        ):
            return False
        measured.failures.inc()
        what = "aggregation.bar_refused" if isinstance(error, BusRefused) else "aggregation.builder_failed"
        _log.error(what, contract=series.contract, bars=series.spec, reason=str(error))
        return True

    await until_done(
        lambda: SeriesBuilding(bus, tape, series, measured, handling, told).run(),
        "builder",
        again,
        first_s=RETRY_FIRST_SECONDS,
        most_s=RETRY_MOST_SECONDS,
        quiet=True,
    )


class SeriesBuilding:
    """One life of a builder: from the tape's first print on, publishing what an earlier life has not.

    On the tape `live` it begins where the session did in which the earlier life ended, and prints that the stream has
    lost are given up: the bars over them have a gap. Where the stream has lost its bars, too, those without a time of
    their own go on behind the last one that was `told`: another bar under its number would be taken for it.

    Prints are read while bars are being published: a bus that is slow to store makes larger groups, not a slower tape.
    """

    def __init__(
        self,
        bus: Bus,
        tape: RunId,
        series: Series,
        measured: metrics.SeriesMetrics,
        handling: Handling,
        told: Told | None = None,
    ) -> None:
        self._bus = bus
        self._told = told or Told()
        self._handling = handling
        self._prints = tick_subject(tape, series.venue, series.contract)
        self._bars = bar_subject(tape, series.venue, series.contract, series.hours.id, series.spec)
        self._series = series
        self._live = tape == LIVE_TAPE
        self._builder: BarBuilder | LiveBuilder = series.live_builder(tape) if self._live else series.builder(tape)
        self._start: Start = "all"
        self._measured = measured
        self._intake = Intake(TICKS)
        # What is to be published, and when its prints were taken (monotonic seconds).
        self._outbox: asyncio.Queue[tuple[BarMessage, float]] = asyncio.Queue(OUTBOX_MESSAGES)

    async def run(self) -> None:
        """Build to the end of the tape.

        Raises `Gap` when prints are missing from the stream, but not on the tape `live`, and what the builder and the
        bus raise.
        """
        last = await last_usable(self._bus, BARS, self._bars, read_bar, own=True)
        publication = Publication(last)
        if publication.ended:
            return
        if self._live and last is not None:
            self._start = await self._place_of(last)
        elif self._live and self._told.bar is not None:
            self._follow(self._told.bar)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._build(publication))
                group.create_task(self._publish_progress())
        except BaseExceptionGroup as failed:
            # The other task was only cancelled because of it.
            raise failed.exceptions[0] from None

    async def _build(self, publication: Publication) -> None:
        readings = 0
        while not self._builder.final:
            before = self._builder.next_index
            try:
                await self._read(publication)
            except Gap as gap:
                self._measured.gaps.inc()
                readings = readings + 1 if self._builder.next_index == before else 1
                _log.warning("aggregation.prints_missing", subject=self._prints, reason=str(gap), readings=readings)
                if readings >= MAX_READINGS:
                    if not isinstance(self._builder, LiveBuilder):
                        raise
                    self._measured.given_up.inc(gap.got - gap.expected)
                    _log.error("aggregation.prints_given_up", subject=self._prints, reason=str(gap))
                    self._builder.give_up(gap.got)
                    readings = 0

    async def _place_of(self, last: BarMessage) -> Start:
        """Where in the stream of prints the session begins in which an earlier life has said `last`."""
        wanted_ns = self._series.begins_ns(last.progress_ns)
        place = await place_before(self._bus, TICKS, self._prints, _watermark, wanted_ns)
        if place is None and not await self._has_its_beginning():
            begins = f"{local_datetime(wanted_ns, 'UTC'):%Y-%m-%d %H:%M:%S} UTC"
            _log.error("aggregation.session_begins_too_early", subject=self._prints, begins=begins)
            bar = await self._last_bar(wanted_ns)
            if bar is not None:
                self._follow(bar)
        return "all" if place is None else place

    def _follow(self, bar: Bar) -> None:
        """Go on behind a bar that was told before, where bars have no time of their own."""
        if self._series.bars.kind != "time" and isinstance(self._builder, LiveBuilder):
            self._builder.follow(bar)

    async def _has_its_beginning(self) -> bool:
        """Whether the stream still has the tape's first print: then the tape itself begins inside the session."""
        first = await self._bus.at(TICKS, self._prints, 1)
        batch = None if first is None else self._intake.usable(first, read_ticks)
        return batch is not None and batch.ticks.first_index == 0

    async def _last_bar(self, session_open_ns: int) -> Bar | None:
        """The last bar of the session that opened then, as it was first told; None where none was."""
        last = await self._bus.last(BARS, self._bars)
        place = await place_before(self._bus, BARS, self._bars, _progress, session_open_ns)
        found = None
        async with aclosing(self._bus.ordered(BARS, self._bars, start="all" if place is None else place)) as messages:
            async for received in messages:
                message = self._intake.usable(received, read_bar)
                bar = None if message is None else message.bar
                if bar is not None and not bar.revision and bar.session_open_ns == session_open_ns:
                    found = bar
                if last is None or received.sequence >= last.sequence:
                    return found
        return found

    async def _read(self, publication: Publication) -> None:
        """Read the prints from the beginning, however often: the builder drops what it has taken."""
        async with aclosing(self._bus.ordered(TICKS, self._prints, start=self._start)) as messages:
            async for received in messages:
                taken_s = monotonic_s()
                try:
                    with self._handling.of(TICKS, received):
                        batch = self._intake.usable(received, read_ticks)
                        if batch is None:
                            # Its prints are missing now, which the builder says at the next one.
                            continue
                        fresh = publication.unpublished(self._feed(batch))
                except Poison as poison:
                    self._intake.refuse(received, poison)
                    continue
                for message in fresh:
                    await self._outbox.put((message, taken_s))
                if self._builder.final:
                    return

    def _feed(self, batch: TickBatch) -> list[BarMessage]:
        before = self._builder.next_index
        messages = self._builder.feed(batch)
        if isinstance(self._builder, LiveBuilder):
            self._measured.late.inc(self._builder.late)
            self._measured.too_late.inc(self._builder.too_late)
            self._builder.late = self._builder.too_late = 0
        after = self._builder.next_index
        assert after is not None
        taken = after - (batch.ticks.first_index if before is None else before)
        self._measured.ticks.inc(taken)
        self._measured.overlapping.inc(len(batch.ticks) - taken)
        return messages

    async def _publish_progress(self) -> None:
        """Publish what is in the outbox, all that is there at once, until the tape's end is published."""
        ended = False
        while not ended:
            waiting = [await self._outbox.get()]
            while not self._outbox.empty():
                waiting.append(self._outbox.get_nowait())
            published = coalesced([message for message, _ in waiting])
            encoded = [(message, encode_bar(message)) for message in published]
            try:
                await self._bus.publish_many(
                    [(self._bars, payload, f"{self._bars}/{message_key(message)}") for message, payload in encoded]
                )
            except MessageTooLarge as refused:
                message, payload = max(encoded, key=lambda one: len(one[1]))
                if message.bar is None:
                    raise
                raise BarTooWide(message.bar, len(payload), refused.most_bytes) from None
            ended = published[-1].final
            for message in published:
                if message.bar is not None and not message.bar.revision:
                    self._told.bar = message.bar
            self._measure(waiting)

    def _measure(self, published: list[tuple[BarMessage, float]]) -> None:
        now_s = monotonic_s()
        for message, taken_s in published:
            if message.bar is None:
                continue
            self._measured.with_gap.inc(message.bar.gap)
            if message.bar.revision:
                self._measured.revisions.inc()
            else:
                self._measured.bars.inc()
                self._measured.close_delay.observe(now_s - taken_s)
        self._measured.progress.set(published[-1][0].progress_ns / NS_PER_SECOND)


def _progress(subject: str, payload: bytes) -> int:
    return read_bar(subject, payload).progress_ns


def _watermark(subject: str, payload: bytes) -> int:
    return read_ticks(subject, payload).watermark_ns
