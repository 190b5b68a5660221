"""The execution service: one account's loop on one tape, its book, and the calls that may reduce what it risks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from leadline.execution import metrics
from leadline.execution.account import open_money
from leadline.execution.account_settings import HALT_FIELD_BY, HALT_FIELD_REASON
from leadline.execution.book import Book, BookEvent
from leadline.execution.inbox import Inbox
from leadline.execution.journal import HaltLatch, SendJournal
from leadline.execution.loop import AccountLoop, World
from leadline.execution.outbox import publish_pending, read_events
from leadline.execution.ports import Unavailable
from leadline.execution.risk_client import RiskClient
from leadline.execution.servicer import ExecutionServicer
from leadline.execution.settings import ExecutionParams
from leadline.execution.store import LEASE_SECONDS, PostgresStore
from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.execution.venues.paper.client import PaperVenueClient
from leadline.model.specs import TradingAccount
from leadline.runtime.context import Context
from leadline.runtime.database import DATABASE_LOST
from leadline.runtime.runs import Run
from leadline.runtime.subjects import SIGNALS, signal_subject
from leadline.runtime.wire import decode_signal

IDLE_SECONDS: Final = 1.0
OUTBOX_SECONDS: Final = 0.2
MAX_COMMANDS: Final = 256

Result = TypeVar("Result")


async def run(context: Context) -> None:
    """Run the account until the process is told to stop."""
    params = ExecutionParams.model_validate(context.settings.params)
    account = Account(context, params, await context.current_run())
    await account.run()


class Account:
    """The shell around the loop: it owns the tasks, the files and the connections of one account."""

    def __init__(self, context: Context, params: ExecutionParams, tape: Run) -> None:
        self.context = context
        self.manifest = TradingAccount.from_manifest(params.manifest)
        self.name = self.manifest.full_name
        self.tape = tape
        self.pool = context.pool
        self.inboxes: dict[str, Inbox] = {}
        self.latch = HaltLatch(context.settings.data_dir / "halt.json")
        self.journal = SendJournal(context.settings.data_dir / f"sent-{tape.tape}.journal")
        self.store = PostgresStore(
            self.pool,
            tape=tape.tape,
            manifest=self.manifest,
            feed_contracts=tuple(tape.contracts),
            trade_from=tape.trade_from,
            holder=context.settings.workload,
        )
        self.committed = asyncio.Event()
        self._pause_seconds = params.pause_seconds
        self._stored_halt = ""
        self._changed = asyncio.Event()
        self._commands: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = asyncio.Queue(
            MAX_COMMANDS
        )
        self._readers: dict[str, asyncio.Task[None]] = {}
        self.loop = AccountLoop(
            World(
                store=self.store,
                venue=PaperVenueClient(context.channel("venue")),
                risk=RiskClient(context.channel("risk")),
                journal=self.journal,
                inboxes=self.inboxes,
                pause=self._pause,
                idle=self._idle,
                halted=lambda: self.latch.reason,
                halt=lambda reason: self.latch.engage(reason, "execution"),
                committed=self._note_committed,
            ),
            self._new_book,
        )

    def _new_book(self) -> Book:
        return Book(
            tape=self.tape.tape,
            account=self.name,
            manifest=self.manifest,
            feed_contracts=tuple(self.tape.contracts),
            trade_from=self.tape.trade_from,
            instant_ns=self.tape.begins_ns,
            equity_at_roll=self.manifest.spec.starting_balance,
        )

    async def run(self) -> None:
        """Take the account over, recover, and go from instant to instant."""
        context = self.context
        context.add_service(
            rpc.add_ExecutionServiceServicer_to_server,
            ExecutionServicer(self),
            pb.DESCRIPTOR.services_by_name["ExecutionService"].full_name,
        )
        await context.serve()
        while not await self._acquired():  # noqa: ASYNC110 - the database is the one that knows when
            await asyncio.sleep(self._pause_seconds)
        await self._restore_halt()
        context.spawn(self._keep_lease(), "lease")
        context.spawn(self._publish(), "outbox")
        trading = context.spawn(self._trade(), "loop")
        await context.stopping.wait()
        for task in (trading, *self._readers.values()):
            task.cancel()
        self.journal.close()

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
        """Start is recovery; and whenever a part did not answer, the loop starts again."""
        started = False
        while True:
            try:
                await self.loop.recover()
                if not started and self.loop.book.settings is None and self.manifest.spec.halt:
                    self.latch.engage(HALT_FIELD_REASON, HALT_FIELD_BY)
                started = True
                self._open_inboxes()
                self.context.set_ready(True)
                while True:
                    await self._run_commands()
                    await self._keep_halt()
                    await self.loop.step()
                    self._measure()
            except Unavailable as error:
                self.context.log.warning("part does not answer", error=str(error))
                await self._pause("waiting_for_parts")

    # --- commands: they run between two steps of the loop, at the account's instant ---

    async def command(self, action: Callable[[], Awaitable[Result]]) -> Result:
        """Run an action at the account's instant and return what it returns."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self._commands.put((action, future))
        self._changed.set()
        return await future

    async def _run_commands(self) -> None:
        while not self._commands.empty():
            action, future = self._commands.get_nowait()
            try:
                result = await action()
            except Unavailable as error:
                if not future.done():
                    future.set_exception(error)
                raise
            except Exception as error:  # noqa: BLE001 - the caller gets it; the loop goes on
                if not future.done():
                    future.set_exception(error)
                self.loop.book = await self.store.load() or self.loop.book
            else:
                if not future.done():
                    future.set_result(result)
        self._open_inboxes()

    # --- signals ---

    def _open_inboxes(self) -> None:
        """One reader per strategy that is waited for; one that joined anew or has another analysis is read afresh."""
        for name, strategy in self.loop.book.strategies.items():
            inbox = self.inboxes.get(name)
            named = (strategy.analysis_hash, strategy.joined_ns)
            if strategy.waited_for and inbox is not None and (inbox.analysis_hash, inbox.joined_ns) == named:
                continue
            if inbox is not None:
                del self.inboxes[name]
                self._readers.pop(name).cancel()
            if strategy.waited_for:
                fresh = self.inboxes[name] = Inbox(name, *named)
                self._readers[name] = self.context.spawn(self._read_signals(fresh), f"signals {name}")

    async def _read_signals(self, inbox: Inbox) -> None:
        subject = signal_subject(self.tape.tape, self.name, inbox.strategy)
        async for message in self.context.bus.ordered(SIGNALS, subject):
            said = decode_signal(message.payload)
            if said.analysis_hash != inbox.analysis_hash:
                metrics.OTHER_ANALYSIS.labels(self.name).inc()
            elif inbox.offer(said):
                self._changed.set()
            while inbox.full:  # noqa: ASYNC110 - full is rare, and the loop's own pace empties it
                await asyncio.sleep(self._pause_seconds)

    # --- what the loop asks of its world ---

    async def _pause(self, phase: str) -> None:
        self.loop.phase = phase
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
            self.committed.set()
            self.committed = asyncio.Event()

    def _measure(self) -> None:
        book = self.loop.book
        metrics.STEPS.labels(self.name).inc()
        metrics.SESSION_PNL.labels(self.name).set(float(book.realised))
        metrics.UNREALIZED_PNL.labels(self.name).set(float(open_money(book, book.open_positions())))
        metrics.EQUITY.labels(self.name).set(float(book.equity_at_roll + book.realised))
        metrics.TIER.labels(self.name).set(book.tier_index + 1)
        metrics.HALTED.labels(self.name).set(bool(self.latch.reason))
        metrics.SESSION_TRADES.labels(self.name).set(book.trades)
        for position in book.positions.values():
            metrics.POSITION.labels(self.name, position.contract).set(position.quantity)

    # --- outbox and audit ---

    async def _publish(self) -> None:
        while True:
            try:
                published = await publish_pending(self.pool, self.context.bus, self.tape.tape, self.name)
            except Exception as error:  # noqa: BLE001 - the rows stay, and go out when bus and database are back
                self.context.log.warning("outbox waits", error=str(error))
                published = 0
            if not published:
                await asyncio.sleep(OUTBOX_SECONDS)

    async def events(self, after: int) -> AsyncIterator[Any]:
        """Committed events after a number, as they come."""
        while not self.context.stopping.is_set():
            committed = self.committed
            rows = await read_events(self.pool, self.tape.tape, self.name, after)
            for row in rows:
                yield row
                after = row["event"]
            if not rows:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(committed.wait(), IDLE_SECONDS)

    # --- the kill switch ---

    async def halt(self, reason: str, by: str) -> None:
        """Stop entries: memory and disk first, then the row and the event."""
        self.latch.engage(reason, by)
        self._changed.set()
        await self.command(lambda: self._store_halt(reason, by))

    async def resume(self, reason: str, by: str) -> None:
        """Let entries go on; the row names who said so."""
        await self.command(lambda: self.clear(reason, by))

    @property
    def halted_by_field(self) -> bool:
        """Whether the halt in force is the one that the account's manifest asked for."""
        return (self.latch.reason, self.latch.by) == (HALT_FIELD_REASON, HALT_FIELD_BY)

    async def clear(self, reason: str, by: str) -> None:
        """As `resume`, within a command."""
        await self.pool.execute(
            """
            UPDATE halt SET cleared_by = $2, cleared_at = clock_timestamp(), clear_reason = $3
            WHERE account = $1 AND cleared_at IS NULL
            """,
            self.name,
            by,
            reason,
        )
        self.latch.clear()
        self._stored_halt = ""
        await self.loop.audit("halt", {"halted": False, "by": by, "reason": reason})

    async def _keep_halt(self) -> None:
        """Give a halt its row that nobody asked for by a call, so that it outlives the files of this process, too."""
        if self.latch.reason and self.latch.reason != self._stored_halt:
            await self._store_halt(self.latch.reason, self.latch.by)

    async def _store_halt(self, reason: str, by: str) -> None:
        try:
            await self.pool.execute(
                """
                INSERT INTO halt (account, number, reason, halted_by)
                SELECT $1, coalesce(max(number), 0) + 1, $2, $3 FROM halt WHERE account = $1
                """,
                self.name,
                reason,
                by,
            )
        except DATABASE_LOST as error:
            raise Unavailable(f"the database does not answer: {error}") from error
        self._stored_halt = self.latch.reason
        await self.loop.audit("halt", {"halted": True, "by": by, "reason": reason})

    async def _restore_halt(self) -> None:
        """After a restart the stricter of file and row holds."""
        row = await self.pool.fetchrow(
            "SELECT reason, halted_by FROM halt WHERE account = $1 AND cleared_at IS NULL ORDER BY number DESC",
            self.name,
        )
        if row is not None:
            self.latch.engage(row["reason"], row["halted_by"])
            self._stored_halt = self.latch.reason
