"""The tape `live`: what its sources say goes out in one order, and it follows the trading days, without an end."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from leadline.ingestion import metrics
from leadline.ingestion.batching import LIVE_TICKS, BatchDraft
from leadline.ingestion.client import Publisher
from leadline.ingestion.live.adapters.link import SourceLink
from leadline.ingestion.live.adapters.played import FILL_SECONDS, PlayedSource
from leadline.ingestion.live.adapters.pushed import PushSource
from leadline.ingestion.live.contract import LiveContract, MessageBounds
from leadline.ingestion.live.opening import LivePlan, LiveTape
from leadline.ingestion.live.port import Arrival, LiveSource
from leadline.ingestion.live.tape import venues_of
from leadline.ingestion.months import market_of
from leadline.ingestion.params import FAST_TICKS, IngestionParams
from leadline.ingestion.status import State
from leadline.ingestion.store import Store
from leadline.ingestion.tape import Position
from leadline.model.ids import ContractId
from leadline.model.market import instruments
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND, SenderPosition
from leadline.runtime.bus.bus import TailLost
from leadline.runtime.clock import monotonic_s, wall_ns
from leadline.runtime.context import Context
from leadline.runtime.runs import LIVE_TAPE, Run, announce_run

# A contract whose market is open has a watermark at least so often.
WATERMARK_SECONDS: Final = 0.2
# Arrivals of all sources that wait to be published; then the sources wait.
ARRIVALS_AHEAD: Final = 16
# What is further behind the clock goes out in messages that are as large as is worth it: nobody waits for it.
CATCH_UP_FROM_NS: Final = 5 * NS_PER_SECOND
CATCHING_UP: Final = MessageBounds(FAST_TICKS, NS_PER_MINUTE)
# Between two looks at the calendar and at the states of the sources.
LOOK_SECONDS: Final = 0.5

_log = structlog.get_logger(__name__)
Drafts = list[tuple[ContractId, BatchDraft]]


def run_of(tape: LiveTape, params: IngestionParams) -> Run:
    """The announcement of the tape."""
    return Run(
        tape=LIVE_TAPE,
        feed=params.feed.kind,
        contracts=venues_of(tape.contracts),
        trade_from=tape.trade_from,
        history=tape.history,
        sessions=tape.days,
        missing=(),
        begins_ns=tape.begins_ns,
        instruments=instruments.own_digest,
        clock_offset_ns=tape.clock.offset_ns,
        clock_rate=tape.clock.rate,
        clock_since_ns=tape.clock.since_ns,
    )


class LiveFeed:
    """Publishes what the sources say, one message after the other, and follows the trading days."""

    def __init__(self, context: Context, publisher: Publisher, store: Store, plan: LivePlan, tape: LiveTape) -> None:
        self.links: list[SourceLink] = []
        self.contracts: dict[ContractId, LiveContract] = {}
        self._context = context
        self._publisher = publisher
        self._store = store
        self._plan = plan
        self._tape = tape
        self._lateness_ns = plan.params.allowed_lateness_ms * 1_000_000
        self._caught_up = MessageBounds(LIVE_TICKS, int(FILL_SECONDS * tape.clock.rate * NS_PER_SECOND))
        self._arrivals: asyncio.Queue[tuple[SourceLink, Arrival]] = asyncio.Queue(ARRIVALS_AHEAD)
        self._watermark_s = self._look_s = 0.0
        self._sources: list[LiveSource] = []
        if plan.source is not None:
            self._sources.append(PlayedSource(plan.played, plan.source, self.now_ns, tape.clock.rate))
        self.push = PushSource(lambda: self.contracts, self.now_ns) if "push" in plan.kinds else None
        if self.push is not None:
            self._sources.append(self.push)

    async def take_up(self) -> None:
        """Take up every contract from where its stream ends. To be awaited before `run`."""
        self.contracts = {name: await self._taken_up(name) for name in self._tape.contracts}
        await self._publisher.follow_demand()

    async def run(self) -> None:
        """Publish without end; from the stream's end again whenever the bus has lost that."""
        await self._publisher.wait_for_demand(self._plan.params.wait_for)
        while True:
            try:
                await self._play()
            except TailLost:
                _log.warning("tape.tail_lost")
                await self._publisher.resume_announcement()
                await self.take_up()

    def now_ns(self) -> int:
        """The tape's time."""
        return self._tape.clock.now_ns(wall_ns())

    async def _play(self) -> None:
        self.links = [SourceLink(source, self._arrivals) for source in self._sources]
        self._share()
        tasks = [asyncio.create_task(link.run(), name=link.source.name) for link in self.links]
        tasks.append(asyncio.create_task(self._publish(), name="publish"))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _share(self) -> None:
        """Give each source its contracts."""
        for link in self.links:
            mine = {name: each for name, each in self.contracts.items() if self._plan.kind_of(name) == link.source.name}
            link.carry(mine, self._tape.contracts)

    async def _taken_up(self, name: ContractId) -> LiveContract:
        """A contract from where its stream ends; where that has lost it, from the last print that is stored."""
        position = await self._publisher.position(name) or await self._stored(name)
        before = await self._store.counts(LIVE_TAPE, name)
        pushed = self._plan.kind_of(name) == "push"
        opens_ns, _ = market_of(name).market(self._tape.contracts[name]) or (self.now_ns(), 0)
        begins_ns = self.now_ns() if pushed else opens_ns - 1
        contract = LiveContract(name, position or Position(0, begins_ns), before, pushed=pushed)
        if position is None and opens_ns < begins_ns:
            contract.miss(opens_ns, begins_ns)  # of the session under way
        self._publisher.begin(name, contract.tally, position)
        return contract

    async def _stored(self, name: ContractId) -> Position | None:
        stored = await self._store.last_stored(LIVE_TAPE, name)
        if stored is None:
            return None
        index, time_ns, price = stored
        _log.warning("tape.stream_is_empty", contract=name, last_index=index)
        sender = SenderPosition(index + 1, (), time_ns, price)
        return Position(index + 1, self.now_ns() if time_ns < 0 else time_ns, sender=sender)

    async def _publish(self) -> None:
        while True:
            arrived = await self._arrived()
            now_ns = self.now_ns()
            drafts = [draft for link, arrival in arrived for draft in self._taken(link, arrival, now_ns)]
            if monotonic_s() >= self._watermark_s:
                drafts += self._watermarks(now_ns)
                self._watermark_s = monotonic_s() + WATERMARK_SECONDS
            if drafts:
                await self._publisher.publish(drafts)
            for link, _ in arrived:
                link.taken.set()
            if monotonic_s() >= self._look_s:
                await self._look(now_ns)
                self._look_s = monotonic_s() + LOOK_SECONDS

    async def _arrived(self) -> list[tuple[SourceLink, Arrival]]:
        """The arrivals so far; the first is waited for no longer than until the next watermark is due."""
        found = []
        with suppress(TimeoutError):
            async with asyncio.timeout(max(self._watermark_s - monotonic_s(), 0)):
                found.append(await self._arrivals.get())
        while not self._arrivals.empty():
            found.append(self._arrivals.get_nowait())
        return found

    def _taken(self, link: SourceLink, arrival: Arrival, now_ns: int) -> Drafts:
        """The messages of an arrival. What it says of a contract that has left the tape meanwhile is of nobody."""
        drafts: Drafts = []
        if link.came_back:
            link.came_back = False
            for each in link.contracts.values() if not link.source.repeats else ():
                self._miss(each, now_ns)
        for raw in arrival.prints:
            contract = self.contracts.get(raw.contract)
            if contract is None:
                continue
            behind = 0 < arrival.reached.get(raw.contract, 0) < now_ns - CATCH_UP_FROM_NS
            bounds = CATCHING_UP if behind else self._caught_up
            drafts += [(raw.contract, draft) for draft in contract.take(raw, now_ns, bounds)]
        for name, reached_ns in arrival.reached.items():
            if name in self.contracts:
                drafts += self._reached(self.contracts[name], reached_ns)
        return drafts

    def _watermarks(self, now_ns: int) -> Drafts:
        """The clock's promises, for sources that promise nothing themselves."""
        drafts: Drafts = []
        for link in self.links:
            if link.source.promises or not (link.connected or link.given_up):
                continue
            if link.connected and link.may_say_more:
                continue
            for each in link.contracts.values():
                watermark_ns = now_ns - self._lateness_ns
                if not link.connected:
                    self._miss(each, watermark_ns)
                drafts += self._reached(each, watermark_ns)
        return drafts

    def _miss(self, contract: LiveContract, until_ns: int) -> None:
        gaps = contract.gaps
        contract.miss(contract.watermark_ns, until_ns)
        if contract.gaps > gaps:
            _log.warning("tape.gap", contract=contract.contract, from_ns=contract.watermark_ns, until_ns=until_ns)

    def _reached(self, contract: LiveContract, watermark_ns: int) -> Drafts:
        """The messages of a promise. A closed market has one for each minute."""
        if not contract.is_due(watermark_ns):
            return []
        return [(contract.contract, draft) for draft in contract.reach(watermark_ns, self._caught_up)]

    async def _look(self, now_ns: int) -> None:
        """Follow the trading day, and tell how the sources are."""
        for link in self.links:
            link.look(now_ns)
        status = self._publisher.status
        status.sources = tuple(link.status() for link in self.links)
        status.state = State.PUBLISHING if any(link.connected for link in self.links) else State.WAITING_FOR_FEED
        metrics.CONNECTED.set(all(link.connected for link in self.links))
        for name, each in self.contracts.items():
            told = status.contracts[name]
            metrics.LATE.labels(name).inc(each.late - told.late)
            metrics.GAPS.labels(name).inc(each.gaps - told.gaps)
            told.late, told.gaps, told.gap_ns = each.late, each.gaps, each.gap_ns
        tape = self._plan.on_day(self._tape, now_ns)
        if tape is self._tape:
            return
        self._tape = tape
        for name in sorted(set(tape.contracts) - set(self.contracts)):
            self._publisher.run = replace(self._publisher.run, contracts=venues_of([*self.contracts, name]))
            self.contracts[name] = await self._taken_up(name)
        self.contracts = {name: each for name, each in self.contracts.items() if name in tape.contracts}
        self._share()
        await self._store.keep_live_tape(LIVE_TAPE, self._context.code_version, tape.to_json())
        self._publisher.run = run_of(tape, self._plan.params)
        await announce_run(self._context.bus, self._publisher.run)
        _log.info("tape.day", day=tape.days[-1].isoformat(), contracts=sorted(tape.contracts))
