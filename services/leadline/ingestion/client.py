"""The bus as ingestion uses it: messages out in order, and room made for them when the stream is full."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

import structlog

from leadline.ingestion import metrics
from leadline.ingestion.batching import BatchDraft
from leadline.ingestion.months import market_of
from leadline.ingestion.retention import is_disposable, last_close_before
from leadline.ingestion.status import ContractStatus, FeedStatus, State
from leadline.ingestion.store import Store, Wanted
from leadline.ingestion.tally import Tally, TooManyKeptOut, nothing_reached_a_bar, require_share
from leadline.ingestion.tape import Position
from leadline.model.counted import counted
from leadline.model.durations import spec_token
from leadline.model.ids import AccountId, ContractId
from leadline.model.services import RECORDER
from leadline.model.subjects import BARS, RUN_SUBJECT, RUNS, TICKS, bar_subject, tick_subject
from leadline.model.ticks import NS_PER_SECOND, SenderPosition, TickBatch
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.bus.bus import Bus, StreamFull
from leadline.runtime.bus.intake import Intake, last_usable, read_bar, read_ticks
from leadline.runtime.clock import monotonic_s
from leadline.runtime.runs import Run, announce_run, read_run

DEMAND_POLL_SECONDS: Final = 0.1
SPACE_POLL_SECONDS: Final = 0.5
# How often the counts of what did not reach a bar are stored.
COUNTS_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class Publisher:
    """Publishes the prints of one `run`, and knows how far it is."""

    def __init__(self, bus: Bus, store: Store, run: Run) -> None:
        self.status = FeedStatus()
        self._bus = bus
        self._store = store
        self.run = run
        self._counted: Counter[tuple[str, str]] = Counter()
        self._write_again_s = 0.0

    async def position(self, contract: ContractId) -> Position | None:
        """How far an earlier process came; None when it did not begin."""
        batch = await last_usable(self._bus, TICKS, self._subject(contract), read_ticks, own=True)
        if batch is None:
            return None
        sender = batch.sender or SenderPosition()
        return Position(batch.ticks.last_index + 1, batch.watermark_ns, batch.final, sender)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Where the run's prints and its announcement go."""
        return (*map(self._subject, self.run.contracts), RUN_SUBJECT)

    async def resume_announcement(self) -> None:
        """Announce the run again when the bus has lost that it was."""
        last = await last_usable(self._bus, RUNS, RUN_SUBJECT, read_run, own=True)
        if last is None or last.tape != self.run.tape:
            await announce_run(self._bus, self.run)

    async def wait_for_demand(self, strategies: int) -> None:
        """Return as soon as so many strategies have said what they need; at once with `strategies` 0."""
        said: set[tuple[str, str]] = set()
        while len(said) < strategies:
            rows = await self._store.demand()
            said = {(row.account, row.strategy) for row in rows if row.strategy}
            if len(said) < strategies:
                await asyncio.sleep(DEMAND_POLL_SECONDS)

    def begin(self, contract: ContractId, tally: Tally, position: Position | None) -> None:
        """Before the first message of a contract. `tally`: its prints that do not reach a bar."""
        status = ContractStatus(self.run.contracts[contract], tally)
        if position is not None:
            status.resume(position)
        self.status.contracts[contract] = status
        self.status.state = State.PUBLISHING
        metrics.CONNECTED.set(1)

    async def publish(self, drafts: Sequence[tuple[ContractId, BatchDraft]]) -> None:
        """Put messages (contract, content) on the bus, in order; returns when they are stored. Waits for room."""
        messages = [self._message(contract, draft) for contract, draft in drafts]
        try:
            await self._bus.publish_many(messages)
            for contract, draft in drafts:
                self._advance(contract, draft)
        except StreamFull:
            # One by one: room is made behind what is stored, and more than there is room for may be on its way.
            for (contract, draft), message in zip(drafts, messages, strict=True):
                await self._publish_with_room(message)
                self._advance(contract, draft)
        self.status.state = State.PUBLISHING
        self._count_quarantined()
        if monotonic_s() >= self._write_again_s:
            await self._write_counts()

    async def _publish_with_room(self, message: tuple[str, bytes, str]) -> None:
        # Between two trials room is made, and only where there was none to make it is waited: the time is counted.
        while True:
            try:
                return await self._bus.publish_many([message])
            except StreamFull:
                self.status.state = State.WAITING_FOR_SPACE
                if not await self.make_room():
                    await asyncio.sleep(SPACE_POLL_SECONDS)
                    metrics.FULL_SECONDS.inc(SPACE_POLL_SECONDS)

    def _advance(self, contract: ContractId, draft: BatchDraft) -> None:
        self.status.contracts[contract].advance(draft)
        if len(draft.ticks):
            metrics.TICKS.labels(contract).inc(len(draft.ticks))
            metrics.LAST_TICK.labels(contract).set(int(draft.ticks.time_ns[-1]) / NS_PER_SECOND)

    async def finish(self, max_kept_out_percent: Decimal, later: Mapping[ContractId, date]) -> None:
        """The whole tape is published: the run is finished, or has failed. later: see `Feed.later`."""
        self._count_quarantined()
        await self._write_counts()
        failure = self._failure(max_kept_out_percent, later)
        counts = {name: each.ticks for name, each in self.status.contracts.items()}
        await self._store.finish_run(self.run.tape, failure, counts)
        await announce_run(self._bus, replace(self.run, finished=True))
        self.status.failure = failure
        self.status.state = State.FAILED if failure else State.FINISHED
        kept_out = {name: each.tally.quarantined() for name, each in self.status.contracts.items()}
        _log.info("run.finished", tape=self.run.tape, prints=counts, quarantined=kept_out, failure=failure)

    def _failure(self, max_percent: Decimal, later: Mapping[ContractId, date]) -> str:
        """Why the tape is not one to trust, in a sentence; empty when it is."""
        for name, each in self.status.contracts.items():
            counts = each.tally.counts()
            try:
                require_share(name, each.ticks, counts, each.tally.samples(), max_percent)
            except TooManyKeptOut as too_many:
                return str(too_many)
            if each.tally.outside.hours and nothing_reached_a_bar(each.ticks, counts, later.get(name)):
                hours = ", ".join(hours.id for hours in each.tally.outside.hours)
                return f"of {counted(each.ticks, 'print')} of {name} none lies in a session that is traded ({hours})"
        return ""

    async def follow_demand(self) -> None:
        """Learn of which sessions bars are built, now."""
        wanted = await self._store.demand()
        for contract, status in self.status.contracts.items():
            hours = {row.hours for row in wanted if row.contract == contract and row.hours is not None}
            status.tally.outside.hours = tuple(sorted(hours, key=lambda each: each.id))

    async def _write_counts(self) -> None:
        """Store what did not reach a bar so far, and learn whether other sessions are wanted meanwhile."""
        await self._store.write_counts(
            self.run.tape, {name: each.tally for name, each in self.status.contracts.items()}
        )
        await self.follow_demand()
        self._write_again_s = monotonic_s() + COUNTS_SECONDS

    async def make_room(self) -> bool:
        """Remove what nobody needs any more; whether there was anything.

        Of ended tapes all that is stored; of this one whole sessions that every builder of bars and every account in
        the demand has passed, and that are stored. The last message of a contract stays.
        """
        before = (await self._bus.state(TICKS)).messages
        acknowledged = await self._bus.acknowledged(TICKS, RECORDER)
        for tape in await self._store.other_tapes(self.run.tape):
            await self._bus.purge(TICKS, f"ll.{tape}.tick.>", before=acknowledged + 1)
        demand = await self._store.demand()
        stored = await self._store.stored(self.run.tape)
        instants = await self._store.instants(self.run.tape)
        for contract in self.status.contracts:
            passed_ns = await self._passed(contract, demand, instants)
            close_ns = last_close_before(market_of(contract), passed_ns)
            if close_ns is not None:
                await self._purge(contract, close_ns, stored.get(contract, -1))
        removed = before - (await self._bus.state(TICKS)).messages
        metrics.PURGED.inc(max(removed, 0))
        return removed > 0

    async def _passed(self, contract: ContractId, demand: Iterable[Wanted], instants: Mapping[AccountId, int]) -> int:
        """The tape time that every reader of a contract has passed; the run's begin while one of them has not begun."""
        passed_ns = [max(self.status.contracts[contract].watermark_ns, self.run.begins_ns)]
        for row in demand:
            if row.contract != contract:
                continue
            passed_ns.append(instants.get(row.account, self.run.begins_ns))
            if row.bars is not None and row.ticks_per_row is not None:
                subject = bar_subject(
                    self.run.tape, row.venue, contract, str(row.session), spec_token(row.bars, row.ticks_per_row)
                )
                last = await last_usable(self._bus, BARS, subject, read_bar)
                passed_ns.append(self.run.begins_ns if last is None else last.progress_ns)
        return min(passed_ns)

    async def _purge(self, contract: ContractId, close_ns: int, stored_index: int) -> None:
        subject = self._subject(contract)
        last = await self._bus.last(TICKS, subject)
        if last is None:
            return
        intake = Intake(TICKS)
        async with aclosing(self._bus.ordered(TICKS, subject)) as messages:
            async for message in messages:
                batch = intake.usable(message, read_ticks)
                needed = batch is not None and not is_disposable(batch, close_ns, stored_index)
                if needed or message.sequence >= last.sequence:
                    await self._bus.purge(TICKS, subject, before=message.sequence)
                    return

    def _message(self, contract: ContractId, draft: BatchDraft) -> tuple[str, bytes, str]:
        subject = self._subject(contract)
        venue = self.run.contracts[contract]
        batch = TickBatch(
            self.run.tape,
            venue,
            contract,
            draft.ticks,
            draft.watermark_ns,
            draft.final,
            draft.sender,
            draft.late,
            draft.gap_from_ns,
        )
        end = "!" if draft.final else ""
        key = f"{draft.ticks.first_index}-{draft.ticks.last_index}@{draft.watermark_ns}{end}"
        return subject, encode_tick_batch(batch), f"{subject}/{key}"

    def _subject(self, contract: ContractId) -> str:
        return tick_subject(self.run.tape, self.run.contracts[contract], contract)

    def _count_quarantined(self) -> None:
        for contract, status in self.status.contracts.items():
            for reason, count in status.tally.quarantined().items():
                # A tape that is read again counts again from its first print on.
                new = max(0, count - self._counted[contract, reason])
                metrics.QUARANTINED.labels(contract, reason).inc(new)
                self._counted[contract, reason] += new
