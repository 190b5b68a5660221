"""The context of a service's shell: settings, bus, database, a server, and channels to other services."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any, ClassVar, Final

import grpc
import structlog

from leadline.model.errors import LeadlineError, Unknown
from leadline.model.ids import AccountId
from leadline.model.market import instruments
from leadline.model.services import service_of
from leadline.model.subjects import RUNS
from leadline.runtime import measurements
from leadline.runtime.bus.bus import Bus, open_bus
from leadline.runtime.database import Pool, open_pool, reading_pool
from leadline.runtime.needs import Look, Needs, database_answers, peer_serves
from leadline.runtime.poison import Handling
from leadline.runtime.retry import until_done
from leadline.runtime.rpc.auth import audience, key_file, token_source
from leadline.runtime.rpc.certificates import Certificates
from leadline.runtime.rpc.grpc_client import MAX_MESSAGE_BYTES, open_channel
from leadline.runtime.rpc.grpc_server import LARGEST_REQUEST_BYTES, AddToServer, GrpcServer
from leadline.runtime.rpc.health import Health
from leadline.runtime.runs import Run, RunReplaced, announced_runs
from leadline.runtime.settings import NatsSettings, ServiceSettings
from leadline.runtime.version import code_version

__all__ = ["Context", "open_context"]

CANCEL_SECONDS: Final = 0.5

_log = structlog.get_logger(__name__)


class NotMigrated(LeadlineError):
    """The bus has not all of its streams yet."""

    again_after_s: ClassVar[float | None] = 1.0
    grpc_status: ClassVar[str] = "UNAVAILABLE"


class Context:
    """One per service process. Made by `open_context`, closed by `close`.

    `stopping` is set when the process shall end: return from `run` then. `crashed` is done when a spawned task failed
    or the bus is lost for good. `was_ready` says whether it has ever done its work. `handling` knows the messages of
    which the processes before this one died.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        log: structlog.stdlib.BoundLogger,
        bus: Bus | None,
        db: Pool | None,
        health: Health,
    ) -> None:
        self.settings = settings
        self.log = log
        self.db = db
        self._reads: Pool | None = None
        self.stopping = asyncio.Event()
        self.was_ready = False
        self.code_version = settings.code_version or code_version()
        self.crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bus = bus
        self._health = health
        self.handling = Handling(settings.data_dir)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._channels: dict[str, grpc.aio.Channel] = {}
        account = settings.params.get("account")
        self._account = AccountId(account) if isinstance(account, str) else None
        record = service_of(settings.service)
        keys = key_file(settings.token_key_file)
        self._tokens = {
            peer: token_source(
                key_file(settings.peer_key_files[peer]) if peer in settings.peer_key_files else keys,
                record.role,
                settings.workload,
                audience(peer, self._account),
                self._account,
            )
            for peer in settings.peers
        }
        self._certificates = None if settings.tls is None else Certificates(settings.tls).current
        self._server = GrpcServer(
            settings.listen,
            keys,
            to=audience(settings.service, self._account),
            account=self._account,
            certificates=self._certificates,
            connection_age=settings.connection_age,
            health=health,
            largest_request_bytes=MAX_MESSAGE_BYTES if record.large_requests else LARGEST_REQUEST_BYTES,
        )
        self._works = False
        self._needs = Needs(self._looks(), self._show_ready)
        if bus is not None:
            bus.failed.add_done_callback(self._crash_with)

    @property
    def bus(self) -> Bus:
        """The bus. RuntimeError for a service whose settings name none."""
        if self._bus is None:
            raise RuntimeError(f"the settings of {self.settings.workload} name no bus")
        return self._bus

    @property
    def pool(self) -> Pool:
        """The database. RuntimeError for a service whose settings name none."""
        if self.db is None:
            raise RuntimeError(f"the settings of {self.settings.workload} name no database")
        return self.db

    async def reading_pool(self) -> Pool:
        """Connections for those who only read. RuntimeError for a service whose settings name no database."""
        if self.settings.database is None:
            raise RuntimeError(f"the settings of {self.settings.workload} name no database")
        if self._reads is None:
            self._reads = await reading_pool(self.settings.database, self.settings.workload)
        return self._reads

    @property
    def port(self) -> int:
        """The port that the server listens on, 0 before `serve`."""
        return self._server.port

    def add_service(self, add_to_server: AddToServer, servicer: object, full_name: str) -> None:
        """Serve a contract; before `serve`."""
        self._server.add_service(add_to_server, servicer, full_name)

    async def serve(self) -> None:
        """Start the gRPC server; it says that it is not ready until `set_ready`. Raises OSError."""
        port = await self._server.start()
        self.log.info("service.listening", address=self.settings.listen, port=port)
        self.spawn(self._needs.watch(), "needs")

    def set_ready(self, ready: bool) -> None:
        """Tell the probes whether this service does its work; they hear so while it has what it needs for it."""
        self.was_ready = self.was_ready or ready
        self._works = ready
        self._show_ready()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what this service needs and does not have now, in their order."""
        return tuple(sorted(self._needs.missing))

    def need(self, name: str, look: Look) -> None:
        """Have readiness depend on something else besides; before `serve`."""
        self._needs.add(name, look)

    def _show_ready(self) -> None:
        ready = self._works and not self._needs.missing
        self._server.set_ready(ready)
        measurements.READY.labels(self.settings.service).set(ready)

    def _looks(self) -> dict[str, Look]:
        looks: dict[str, Look] = {}
        bus, db = self._bus, self.db
        if bus is not None:

            async def connected() -> bool:
                return bus.connected

            looks["bus"] = connected
        if db is not None:
            looks["database"] = database_answers(db)
        for peer in self.settings.peers:
            looks[peer] = peer_serves(partial(self.channel, peer))
        return looks

    def set_alive(self, alive: bool) -> None:
        """Tell the probes whether this service gets on with its work."""
        self._health.set_alive(alive)

    def channel(self, peer: str) -> grpc.aio.Channel:
        """The channel to a peer of the settings, with this service's token on each call. Raises Unknown."""
        if peer not in self.settings.peers:
            raise Unknown("peer", peer, tuple(sorted(self.settings.peers)))
        if peer not in self._channels:
            self._channels[peer] = open_channel(self.settings.peers[peer], self._tokens[peer], self._certificates)
        return self._channels[peer]

    async def current_run(self) -> Run:
        """The run announced last; waits until there is one that was opened with the instruments of this process.

        Ticks of another sheet would be read as other prices. When another run is opened later the process ends, and
        starts again on that one. When this one is announced again with further contracts, they come into its mapping.
        """
        runs = announced_runs(self.bus)
        run = await anext(runs)
        while run.instruments != instruments.own_digest:
            self.log.warning(
                "run.of_other_instruments",
                tape=run.tape,
                reason="it was opened with other instruments of one's own; the next run is waited for",
            )
            run = await anext(runs)
        self.spawn(_watch(run, runs), "run")
        return run

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a task of the service. If it fails, the process ends with an error and is started again by its keeper."""
        task = asyncio.create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    async def close(self) -> None:
        """Give everything back."""
        self.stopping.set()
        # Again and again: a library that is interrupted while it meets an error may tell the error instead.
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        await self._server.stop()
        for channel in self._channels.values():
            await channel.close(None)
        if self._bus is not None:
            await self._bus.close()
        for pool in (self.db, self._reads):
            if pool is not None:
                pool.terminate()

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._crash_with(task)

    def _crash_with(self, ended: "asyncio.Future[Any]") -> None:
        error = None if ended.cancelled() else ended.exception()
        if error is not None and not self.crashed.done() and not self.stopping.is_set():
            self.crashed.set_exception(error)


async def open_context(
    settings: ServiceSettings, log: structlog.stdlib.BoundLogger, health: Health | None = None
) -> Context:
    """Connect to what the settings name, waiting for it as long as it takes.

    Raises BusDenied when the bus refuses the user or its password, InvalidInput and OSError for a secret's file.
    """
    bus = None if settings.nats is None else await _open_bus(settings.nats)
    try:
        db = None if settings.database is None else await open_pool(settings.database, settings.workload)
        return Context(settings, log, bus, db, health or Health())
    except BaseException:
        if bus is not None:
            await bus.close()
        raise


async def _open_bus(settings: NatsSettings) -> Bus:
    bus = await until_done(lambda: open_bus(settings), "bus")
    try:
        await until_done(lambda: _require_migrated(bus), "bus")
    except BaseException:
        await bus.close()
        raise
    return bus


async def _require_migrated(bus: Bus) -> None:
    """Raises NotMigrated until `leadline bus migrate` has been there: this stream is the last that it makes."""
    try:
        await bus.state(RUNS)
    except Unknown as missing:
        raise NotMigrated(f"{missing}: `leadline bus migrate` makes it") from None


async def _watch(run: Run, runs: AsyncGenerator[Run, None]) -> None:
    """Take up the contracts that the run gains. Raises RunReplaced when another run than this one is announced."""
    async with aclosing(runs):
        async for announced in runs:
            if announced.tape != run.tape:
                raise RunReplaced(run.tape, announced.tape)
            if gained := run.gain(announced):
                _log.info("run.gains", tape=run.tape, contracts=gained)
