"""The execution service: one account's loop on one tape, its book, and the calls that may reduce what it risks."""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final, TypeVar

from leadline.execution.adapters import metrics
from leadline.execution.adapters.deaths import MarkFile, note_death
from leadline.execution.adapters.disk import AccountDisk
from leadline.execution.adapters.journal import SendJournal
from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.adapters.outbox import BATCH, OutboxRows, event_subjects, publish_pending, resume_outbox
from leadline.execution.adapters.risk_client import RiskClient
from leadline.execution.adapters.store import PostgresStore
from leadline.execution.adapters.tail import EventTail
from leadline.execution.core.account import open_money
from leadline.execution.core.book import DECIDED_NS, Book, BookEvent, RefusedSignal
from leadline.execution.core.contracts import signal_source
from leadline.execution.core.halts import Halts
from leadline.execution.loop import standing
from leadline.execution.loop.account_loop import LATE_NS, AccountLoop
from leadline.execution.loop.command_queue import Command, CommandQueue
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import LEASE_SECONDS, Fenced, PartFailed, Unavailable
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.execution.params import ExecutionParams
from leadline.execution.servicer import ExecutionServicer
from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.execution.venues.connect import connect
from leadline.execution.venues.live_time import LiveTime
from leadline.model.checks.signals import SignalSource, check_message
from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import RefusedMessage
from leadline.model.halts import Halt, HaltSource
from leadline.model.ids import UNASSIGNED, ContractId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.manifest.specs import TradingStrategy, able_at
from leadline.model.manifest.venues import venue_named
from leadline.model.subjects import SIGNALS, signal_subject
from leadline.risk.reasons import Reason
from leadline.runtime.bus.bus import Start, TailLost
from leadline.runtime.bus.intake import Intake, read_signal
from leadline.runtime.bus.publishing import keep_publishing
from leadline.runtime.clock import monotonic_s, wall_ns
from leadline.runtime.context import Context
from leadline.runtime.database import Pool
from leadline.runtime.retry import until_done
from leadline.runtime.runs import Run
from leadline.runtime.settings import validate_params

IDLE_SECONDS: Final = 1.0
LEASE_AGE_SECONDS: Final = 3.0
"""Nothing is entered on a lease that was renewed longer ago, where time waits for nobody."""

OUTBOX_SECONDS: Final = 0.2
"""How long events are gathered before they are published: looking for them, and marking them, asks the database."""

RELEASE_SECONDS: Final = 1.0
EXPOSED_SECONDS: Final = 5.0
FLAT_SECONDS: Final = 30.0
"""How often book and venue are compared on a live tape while something is held or works, and while nothing is."""

Result = TypeVar("Result")


async def run(context: Context) -> None:
    """Run the account until the process is told to stop."""
    params = validate_params(ExecutionParams, context.settings.params)
    account = Account(context, params, await context.current_run(), await context.reading_pool())
    await account.run()


class Account:
    """The shell around the loop: it owns the tasks, the files and the connections of one account."""

    def __init__(self, context: Context, params: ExecutionParams, tape: Run, reads: Pool) -> None:
        self.context = context
        self.manifest = params.manifest
        self.name = self.manifest.full_name
        self.tape = tape
        self.pool = context.pool
        # Those who only read have connections of their own: the book's are never waited for because of them.
        self.reads = reads
        self.tail = EventTail(self.reads, tape.tape, self.name)
        self.queues: dict[StrategyId, SignalQueue] = {}
        self.kill_switch = KillSwitch(context.settings.data_dir / "halts.json", wall_ns, self._note_halts)
        self.journal = SendJournal(
            context.settings.data_dir / f"sent-{tape.tape}.journal",
            now_ns=wall_ns,
            on_restored=partial(metrics.tell_restored, self.name),
        )
        self.disk = AccountDisk(context.settings.data_dir)
        self.marks = MarkFile(context.settings.data_dir, tape.tape)
        self.store = PostgresStore(
            self.pool,
            tape=tape.tape,
            manifest=self.manifest,
            feed_contracts=tape.contracts.keys(),  # those that it gains as well
            trade_from=tape.trade_from,
            holder=context.settings.workload,
            clock_rate=tape.clock_rate,
        )
        self.outbox = OutboxRows(self.pool, tape.tape, self.name)
        self.phases = metrics.Phases(self.name)
        self.goals = metrics.Goals(self.name)
        self._pause_seconds = params.pause_seconds
        self._changed = asyncio.Event()
        self._compared_s = monotonic_s()
        self._compared_day: date | None = None
        self._commands = CommandQueue(metrics.COMMANDS_DROPPED.labels(self.name).inc)
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._live = LiveTime(context, tape) if tape.live else None
        venue = connect(self.manifest, tuple(map(ContractId, tape.contracts)), context.channel, self._live)
        self._hear = venue.hear
        self.loop = AccountLoop(
            Deps(
                store=self.store,
                time=venue.time,
                venue=venue.orders,
                risk=RiskClient(context.channel("risk")),
                journal=self.journal,
                queues=self.queues,
                pause=self._pause,
                idle=self._idle,
                switch=self.kill_switch,
                committed=self._note_committed,
                capabilities=able_at(self.manifest),
                marks=self.marks,
                doubt=self._doubt,
                late=self._is_late,
                settle_ns=round(venue_named(self.manifest.spec.venue).settle_seconds * NS_PER_SECOND),
            ),
            self._new_book,
        )

    def _new_book(self) -> Book:
        return Book(
            tape=self.tape.tape,
            account=self.name,
            manifest=self.manifest,
            feed_contracts=tuple(map(ContractId, self.tape.contracts)),
            trade_from=self.tape.trade_from,
            instant_ns=self.tape.begins_ns,
            equity_at_roll=self.manifest.spec.starting_balance,
            clock_rate=self.tape.clock_rate,
        )

    async def run(self) -> None:
        """Take the account over, recover, and go from instant to instant."""
        context = self.context
        context.add_service(
            rpc.add_ExecutionServiceServicer_to_server,
            ExecutionServicer(self),
            pb.DESCRIPTOR.services_by_name["ExecutionService"].full_name,
        )
        self._count_halts(self.kill_switch.halts)  # those that the last process has left on the disk
        metrics.show_restored(self.name, self.journal.restored)
        if self._live is not None:
            context.need("lease", self._lease_is_fresh)
            context.need("prints", self._prints_come)
        await context.serve()
        while not await self._acquired():  # noqa: ASYNC110 - the database is the one that knows when
            await asyncio.sleep(self._pause_seconds)
        lease = context.spawn(self._keep_lease(), "lease")
        context.spawn(self._publish(), "outbox")
        context.spawn(self.tail.run(), "events")
        if self._hear is not None:
            context.spawn(self._hear(), "venue events")
        trading = context.spawn(self._trade(), "loop")
        await context.stopping.wait()
        self.marks.stopped()
        ending = (trading, lease, *self._readers.values())
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)
        await self._release()
        self.journal.close()

    async def _release(self) -> None:
        """Give the lease back, so that nobody waits for its end; a database that is slow has its end anyway."""
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self.store.release()

    async def _acquired(self) -> bool:
        with contextlib.suppress(Unavailable):
            return await self.store.acquire()
        return False

    async def _keep_lease(self) -> None:
        """A lost lease ends the process; a database that does not answer is waited for."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 5)
            with contextlib.suppress(Unavailable):
                await self.store.renew()

    async def _trade(self) -> None:
        """Start is recovery; and whenever a part did not do what it was asked, the loop starts again.

        The account is not ready meanwhile. Commands need the book alone: they run before the venue is asked, and
        between the attempts to ask it.
        """
        # Not `until_done`: what is begun again is not the step that failed, and phase and readiness say so meanwhile.
        while True:
            try:
                await self.loop.load()
                self._open_queues()
                while True:
                    await self._run_commands()
                    self._follow_feed()
                    await self._compare_in_time()
                    await self.loop.step()
                    self._measure()
                    self.goals.look(self.loop.book, monotonic_s())
                    self._show_phase()
                    self.context.set_ready(True)
            except PartFailed as error:
                self.loop.phase = self.phases.wait(error.part, str(error))
                self.context.set_ready(False)
                self.goals.look(self.loop.book, monotonic_s())
                await asyncio.sleep(max(self._pause_seconds, error.again_after_s or 0.0))
            except Fenced:
                raise
            except Exception as error:
                if not self.marks.counted(error):
                    file = self.context.settings.data_dir / f"deaths-{self.tape.tape}.json"
                    note_death(file, self.kill_switch, self.loop.book.instant_ns, error)
                raise

    async def _compare_in_time(self) -> None:
        """Compare book and venue every few seconds on a live tape, and when a trading day has begun."""
        book = self.loop.book
        if self._live is None:
            return
        exposed = book.open_positions() or book.live_orders()
        due_s = self._compared_s + (EXPOSED_SECONDS if exposed else FLAT_SECONDS)
        if monotonic_s() >= due_s or book.trading_day != self._compared_day:
            await self.loop.compare()
            self._compared_s, self._compared_day = monotonic_s(), self.loop.book.trading_day

    def _show_phase(self) -> None:
        """Show that the loop has got on; live without prints it goes on as well, and enters nothing."""
        silent = [] if self._live is None else self._live.silent()
        if silent:
            reason = f"nothing is heard of {', '.join(silent)}, and the market is open"
            self.loop.phase = self.phases.wait("prints", reason)
        else:
            self.phases.go_on(self.loop.phase)

    def _follow_feed(self) -> None:
        """Have the contracts in the book that the feed has gained: a strategy on a root rolls into them."""
        now = tuple(map(ContractId, self.tape.contracts))
        if now != self.loop.book.feed_contracts:
            self.loop.book.feed_contracts = now
            self.context.log.info("account.feed_gains", account=self.name, contracts=now)

    # --- commands: they run between two steps of the loop, at the account's instant ---

    async def command(self, action: Callable[[], Awaitable[Result]], context: Any = None) -> Result:
        """Run an action at the account's instant and return what it returns.

        It is not carried out when its caller has gone, or when the deadline of his call, in its `context`, has passed:
        he may have asked for something else since. Raises `TooManyCommands` when too many wait already.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        left_s = None if context is None else context.time_remaining()
        until_s = math.inf if left_s is None else monotonic_s() + left_s

        def answer(result: Result) -> None:
            if not future.done():
                future.set_result(result)

        def fail(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        self._commands.put(Command(action, lambda: future.done() or monotonic_s() >= until_s, answer, fail))
        metrics.COMMANDS_WAITING.labels(self.name).set(len(self._commands))
        self._wake()
        return await future

    async def _run_commands(self) -> None:
        while (command := self._commands.take()) is not None:
            metrics.COMMANDS_WAITING.labels(self.name).set(len(self._commands))
            try:
                command.answer(await command.action())
            except PartFailed as error:
                command.fail(error)
                raise
            except Exception as error:  # noqa: BLE001 - the caller gets it; the loop goes on
                command.fail(error)
                await self.loop.load_again()
        metrics.COMMANDS_WAITING.labels(self.name).set(0)
        self._open_queues()

    # --- signals ---

    def _open_queues(self) -> None:
        """One reader per strategy that is waited for; one that joined anew or has another analysis is read afresh."""
        for name, strategy in self.loop.book.strategies.items():
            queue = self.queues.get(name)
            named = (strategy.analysis_hash, strategy.joined_ns)
            if strategy.waited_for and queue is not None and (queue.analysis_hash, queue.joined_ns) == named:
                continue
            if queue is not None:
                del self.queues[name]
                self._readers.pop(name).cancel()
            if strategy.waited_for:
                fresh = self.queues[name] = SignalQueue(strategy.manifest.full_name, *named, strategy.cleared_ns)
                reading = self._read_signals(fresh, strategy.manifest)
                self._readers[name] = self.context.spawn(reading, f"signals {name}")

    def _source(self, manifest: TradingStrategy) -> SignalSource:
        """The source of signals of a strategy, with the contracts that the feed has by now."""
        return signal_source(
            manifest, self.tape.tape, tuple(map(ContractId, self.tape.contracts)), self.tape.trade_from
        )

    async def _read_signals(self, queue: SignalQueue, manifest: TradingStrategy) -> None:
        """Fill a queue, to the first message of the strategy that is refused and that nobody has looked at yet."""
        subject, intake = signal_subject(self.tape.tape, self.name, queue.strategy), Intake(SIGNALS)
        async for message in self.context.bus.ordered(SIGNALS, subject, start=self._heard_from(queue)):
            try:
                with self.context.handling.of(SIGNALS, message):
                    said = read_signal(message.subject, message.payload)
                    if said.analysis_hash == queue.analysis_hash:
                        check_message(self._source(manifest), said)
                        if queue.push(said) and (self._live is None or queue.waits):
                            self._wake()
            except RefusedMessage as why:
                intake.refuse(message, why)
                received = RefusedSignal(message.subject, message.sequence, message.message_id, message.payload, why)
                if not queue.refuse(received):
                    continue
                self._wake()
                return
            if said.analysis_hash != queue.analysis_hash:
                metrics.OTHER_ANALYSIS.labels(self.name).inc()
            while queue.full:  # noqa: ASYNC110 - full is rare, and the loop's own pace empties it
                await asyncio.sleep(self._pause_seconds)

    def _heard_from(self, queue: SignalQueue) -> Start:
        """From where on a strategy's messages matter: live, from a while before what the account has come to.

        Its bars are told again as long as it knows their decisions.
        """
        if self._live is None:
            return "all"
        since_ns = self.tape.wall_ns(max(queue.joined_ns, self.loop.book.instant_ns) - DECIDED_NS // 2)
        return datetime.fromtimestamp(max(0, since_ns // NS_PER_SECOND), UTC)

    # --- what the loop asks of its world ---

    def _wake(self) -> None:
        self._changed.set()
        if self._live is not None:
            self._live.wake()

    def _doubt(self) -> tuple[Reason, str] | None:
        """Why nothing can be entered now for the sake of this machine."""
        if self._live is None:
            return None
        self._live.clock.offset_ns = self.store.clock_offset_ns
        if words := self._live.clock.doubt:
            return Reason.CLOCK, words
        age_s = monotonic_s() - self.store.renewed_s
        if age_s > LEASE_AGE_SECONDS:
            return Reason.LEASE, f"the lease was renewed {age_s:.1f} s ago"
        return (Reason.DISK, words) if (words := self.disk.doubt) else None

    def _is_late(self, at_ns: int) -> bool:
        """Whether an entry that was decided at an instant may not leave any more."""
        return self._live is not None and self._live.now_ns - at_ns > LATE_NS * self.tape.clock_rate

    @property
    def lacking(self) -> str:
        """Why the account cannot trade at this moment, and its overdue goals, in words; empty without."""
        words = standing.lacking(self.loop.phase, self.phases.waits_for, self.context.missing, self._doubt())
        return "; ".join(each for each in (words, self.goals.of(UNASSIGNED)) if each)

    def unheard(self) -> Mapping[StrategyId, str]:
        """Why nothing of a strategy can be decided now, by its name.

        Something of its is overdue at the venue; or live, its analysis has fallen silent.
        """
        overdue = {name: words for name in self.loop.book.strategies if (words := self.goals.of(name))}
        if self._live is None:
            return overdue
        silent = standing.unheard(self.loop.book, self.queues.values(), self._live.now_ns, self._live.was_open)
        return {**overdue, **silent}

    async def _lease_is_fresh(self) -> bool:
        return monotonic_s() - self.store.renewed_s < LEASE_SECONDS

    async def _prints_come(self) -> bool:
        return self._live is None or not self._live.silent()

    async def _pause(self, phase: LoopPhase) -> None:
        self.loop.phase = phase
        self.phases.show(phase)
        await asyncio.sleep(self._pause_seconds)

    async def _idle(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), IDLE_SECONDS)
        self._changed.clear()

    def _note_committed(self, events: list[BookEvent]) -> None:
        for event in events:
            if event.kind == "decision":
                metrics.DECISIONS.labels(self.name, event.body["reason"] or "accepted").inc()
            elif event.kind == "order":
                metrics.ORDERS.labels(self.name, event.body["state"]).inc()
            elif event.kind == "fill":
                metrics.FILLS.labels(self.name).inc()
        if events:
            self.tail.note()

    def _measure(self) -> None:
        book = self.loop.book
        metrics.STEPS.labels(self.name).inc()
        metrics.SESSION_PNL.labels(self.name).set(float(book.realised))
        metrics.UNREALIZED_PNL.labels(self.name).set(float(open_money(book, book.open_positions())))
        metrics.EQUITY.labels(self.name).set(float(book.equity_at_roll + book.realised))
        metrics.TIER.labels(self.name).set(book.tier_index + 1)
        metrics.FENCED.labels(self.name).set(sum(found.fence is not None for found in book.strategies.values()))
        metrics.SESSION_TRADES.labels(self.name).set(book.trades)
        metrics.show_positions(self.name, book.positions.values())

    # --- outbox and audit ---

    async def _publish(self) -> None:
        await keep_publishing(
            self.context.bus, event_subjects(self.tape.tape, self.name).values(), self._publish_events
        )

    async def _publish_events(self) -> None:
        bus, rows = self.context.bus, self.outbox

        def waits(error: Exception) -> bool:
            """Any error: the rows stay, and go out when bus and database are back."""
            return not isinstance(error, TailLost)

        if again := await until_done(lambda: resume_outbox(rows, bus), "outbox", waits):
            self.context.log.error("events are published again", events=again)
        while True:
            if await until_done(lambda: publish_pending(rows, bus), "outbox", waits) < BATCH:
                await asyncio.sleep(OUTBOX_SECONDS)

    # --- the kill switch ---

    def halt(self, source: HaltSource, reason: str, by: str) -> Halt:
        """Stop entries, in memory and on disk. The row and the event follow, when the loop comes to it.

        Nothing here waits for anybody: the loop, the database, risk and the venue may all stand still.
        """
        halt = self.kill_switch.halt(source, reason, by)
        if not self.kill_switch.durable:
            raise Unavailable(f"entries are stopped, but the disk does not take it: {reason}", "disk")
        return halt

    def _count_halts(self, halts: Halts) -> None:
        for source in HaltSource:
            metrics.HALTED.labels(self.name, source.value).set(len(halts.of(source)))

    def _note_halts(self, halts: Halts) -> None:
        self._count_halts(halts)
        self.context.log.warning("halts in force", halts=[asdict(halt) for halt in halts.in_force])
        self._wake()
