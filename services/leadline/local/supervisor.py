"""A plan on one machine, from the first server to the last service, and back to nothing but the data directory.

The order of a start: PostgreSQL and NATS, their schema, ingestion with its run, each service after those it waits for,
every strategy named to its account, and then the demand, all of it at once: only then do prints flow.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from leadline.ingestion.feed import Feed
from leadline.local import bootstrap, left_behind
from leadline.local.binding import BoundWorkload, bind, service_sockets
from leadline.local.calls import Credentials, Services, same_keys
from leadline.local.child import dies_with_parent
from leadline.local.data_dir import DataDir
from leadline.local.disk import FULL_BYTES, LOW_BYTES, free_bytes, require_room, room_text
from leadline.local.environment import child_environment
from leadline.local.health import HealthProbe
from leadline.local.last_words import last_warning, reason_of
from leadline.local.local_nats import LocalNats
from leadline.local.local_postgres import LocalPostgres
from leadline.local.logfile import LogFile
from leadline.local.ports import Ports
from leadline.local.process import KeptProcess
from leadline.local.standstill import Standstills
from leadline.local.supervised_server import SupervisedServer
from leadline.model.counted import counted
from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId
from leadline.plan.demand import DemandRow, demand_rows
from leadline.plan.plan import Plan
from leadline.runtime.database import DATABASE_LOST
from leadline.runtime.exit_codes import EXIT_REFUSED
from leadline.runtime.retry import until_done
from leadline.runtime.runs import Run

SERVING_SECONDS: Final = 60.0
PROBE_SECONDS: Final = 0.1
WATCH_SECONDS: Final = 1.0
STOP_GRACE_SECONDS: Final = 10.0
# Between two looks at the contracts of a live tape.
FOLLOW_SECONDS: Final = 2.0


class StackFailed(LeadlineError):
    """A part of the stack did not come up or did not stay up.

    part: which one; what: what happened; lines: the last that it said, oldest first. The message is one sentence where
    the part said why it ended.
    """

    def __init__(self, part: str, what: str, lines: Sequence[str] = ()) -> None:
        super().__init__(part, what, tuple(lines))
        self.part = part
        self.what = what
        self.lines = tuple(lines)

    def __str__(self) -> str:
        reason = reason_of(self.lines)
        if reason is not None:
            return f"{self.part} {self.what}: {reason}"
        said = "".join(f"\n  {line}" for line in self.lines)
        return f"{self.part} {self.what}" + (f"; the last it said:{said}" if said else "")


@dataclass(frozen=True, slots=True)
class PartStatus:
    """How one part of the stack is: `health` is `serving`, `starting`, `restarting`, `not serving` or `stopped`.

    `trouble` says why it is not well, in its own last words; empty where it is, or has said nothing. A disk that is
    nearly full is a part of its own, `low` or `full`.
    """

    name: str
    health: str
    restarts: int
    pid: int | None
    trouble: str = ""


class Supervisor:
    """Runs a plan in a data directory that the caller holds. `start` once, `stop` once, whatever happened between.

    `say` is told each step in words. `feed` is what its files were found to hold: with it a run that these manifests
    cannot go on with is refused as soon as the database, which knows it, has started. `failed` is done with a
    StackFailed when a part is given up later; with `needs_disk` a disk that is full is one, because the end of the run
    would never come.
    """

    def __init__(
        self,
        plan: Plan,
        data: DataDir,
        feed_files: Mapping[str, Path],
        say: Callable[[str], None],
        *,
        feed: Feed | None = None,
        needs_disk: bool = False,
        new_run: bool = False,
    ) -> None:
        self.plan = plan
        self.data = data
        self._ports = Ports(str(data.root))
        self.nats = LocalNats(data.nats_dir, self._ports.take())
        self.postgres = LocalPostgres(data.postgres_dir)
        self.services = Services(Credentials(same_keys(data.token_key_file), "leadline up"), "supervisor")
        self.bound: tuple[BoundWorkload, ...] = ()
        self.demand: tuple[DemandRow, ...] = ()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._feed_files = feed_files
        self._feed = feed
        self._say = say
        self._needs_disk = needs_disk
        self._new_run = new_run
        self._servers = [
            SupervisedServer("postgres", self.postgres, self._server_failed),
            SupervisedServer("nats", self.nats, self._server_failed, self._make_streams),
        ]
        self._processes: dict[str, KeptProcess] = {}
        self._probes: dict[str, HealthProbe] = {}
        self._serving: dict[str, asyncio.Event] = {}
        self._healthy: dict[str, bool] = {}
        self._standstills = Standstills()
        self._watcher: asyncio.Task[None] | None = None
        self.following: list[asyncio.Task[None]] = []

    async def start(self) -> Run:
        """Bring everything up and let the prints flow. Raises StackFailed; then `stop` is still to be called."""
        require_room(self.data.root)
        self.data.ensure_token_key()
        self.data.ensure_metrics_token()
        for server in self._servers:
            self._say(f"starting {server.name}")
            await server.start()
            if server.name == "postgres" and self._feed is not None and not self._new_run:
                await left_behind.require_resumable(self.postgres.settings("reader"), self.plan, self._feed)
        self._say("preparing the database and the bus")
        await bootstrap.migrate(self.nats, self.postgres, self._kind_of_feed)
        launch = f"{os.getpid()}-{time.time_ns()}"
        self.bound = bind(
            self.plan, self.data, self.nats, self.postgres, self._ports, self._feed_files, launch, new_run=self._new_run
        )
        self._serving = {bound.workload.id: asyncio.Event() for bound in self.bound}
        try:
            async with asyncio.TaskGroup() as group:
                for bound in self.bound:
                    group.create_task(self._bring_up(bound))
        except* LeadlineError as errors:
            raise _first(errors) from None
        self._watcher = asyncio.create_task(self._watch(), name="watch health")
        addresses = {bound.workload.id: bound.address for bound in self.bound}
        self._say("naming the strategies to their accounts")
        run = await bootstrap.announced_run(self.services, addresses["ingestion"])
        # First those that leave, so that another one may take over what they traded.
        removed = await left_behind.left_behind(self.postgres, self.plan, run.tape)
        for each in removed:
            self._say(each.told)
        await left_behind.drain(self.services, addresses, removed)
        await bootstrap.set_strategies(self.services, self.plan, addresses)
        await bootstrap.same_code(self.services, self.plan, addresses)
        await self._demand(run)
        await bootstrap.bars_are_built(self.services, addresses["aggregation"], self.demand)
        return run

    def follow(self, gained: Callable[[Run], None]) -> None:
        """Write the demand again whenever the live tape has other contracts, and tell. run: as it was started."""
        self.following = [asyncio.create_task(self._follow(gained), name="follow the run")]

    async def _follow(self, gained: Callable[[Run], None]) -> None:
        address = next(bound.address for bound in self.bound if bound.workload.service == "ingestion")
        known: dict[ContractId, str] | None = None
        while True:
            # It is kept alive like every part: however long a start of it takes, the others go on meanwhile.
            run = await bootstrap.announced_run(self.services, address, timeout_s=None)
            if known is not None and run.contracts != known:
                await until_done(partial(self._demand, run), "database", DATABASE_LOST, quiet=True)
                self._say(f"the tape has {', '.join(run.contracts)} from now on")
            with suppress(OSError):  # a full disk is told as a part of its own, and this is done again
                gained(run)
            known = run.contracts
            await asyncio.sleep(FOLLOW_SECONDS)

    async def _demand(self, run: Run) -> None:
        """Make what the plan wants of a run the whole demand."""
        wanted = demand_rows(self.plan, run.contracts, run.trade_from)
        held = await left_behind.held_rows(self.postgres, run.tape, run.contracts, wanted)
        self.demand = (*wanted, *held)
        await bootstrap.write_demand(self.postgres, self.demand)

    async def stop(
        self, grace_seconds: float = STOP_GRACE_SECONDS, *, between: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Stop the services in the reverse of their start, then the servers. Nothing is left but the data.

        between: is awaited when the last service is gone, and the book is as it stays. It must not raise.
        """
        watching = [*self.following, *([] if self._watcher is None else [self._watcher])]
        for task in watching:
            task.cancel()
        if watching:
            await asyncio.wait(watching)
        self.data.stack_file.unlink(missing_ok=True)
        for name in self._processes:
            if stands := self._standstills.work_of(name):
                self._say(f"{name} is killed if it does not stop: {self._subject_of(name)} {stands}")
        for level in reversed(_levels(self.plan)):
            running = [self._processes[name] for name in level if name in self._processes]
            await asyncio.gather(*(process.stop(grace_seconds) for process in running))
        await asyncio.gather(*(probe.close() for probe in self._probes.values()), self.services.close())
        if between is not None:
            await between()
        for server in reversed(self._servers):
            await server.stop()
        shutil.rmtree(service_sockets(self.data), ignore_errors=True)
        self._ports.close()
        if not self.failed.done():
            self.failed.cancel()
        elif not self.failed.cancelled():
            self.failed.exception()  # heard, also when nobody waited for it

    @property
    def given_up(self) -> str:
        """The part that did not stay up; empty while none was given up."""
        failed = self.failed
        error = failed.exception() if failed.done() and not failed.cancelled() else None
        return error.part if isinstance(error, StackFailed) else ""

    def kill_services(self) -> None:
        """Shorten a stop that is under way: SIGKILL to every service that is still there."""
        for process in self._processes.values():
            process.kill()

    def status(self) -> list[PartStatus]:
        """How every part is, servers first."""
        servers = [
            PartStatus(part.name, "serving" if part.state == "running" else part.state, part.restarts, part.pid)
            for part in self._servers
        ]
        services = [
            PartStatus(process.name, health, process.restarts, process.pid, self._trouble_of(process, health))
            for process in self._processes.values()
            for health in [self._health_of(process)]
        ]
        return [*self._disk(), *servers, *services]

    def _disk(self) -> list[PartStatus]:
        free = free_bytes(self.data.root)
        if free >= LOW_BYTES:
            return []
        return [PartStatus("disk", "full" if free < FULL_BYTES else "low", 0, None, room_text(self.data.root, free))]

    def _trouble_of(self, process: KeptProcess, health: str) -> str:
        if health in {"serving", "starting", "stopped"}:
            return ""
        stands = self._standstills.work_of(process.name)
        if stands:
            return f"{self._subject_of(process.name)} {stands}"
        lines = process.log.tail()
        return reason_of(lines) or last_warning(lines) or ""

    def _subject_of(self, name: str) -> str:
        """A service as a sentence speaks of it: an analysis is its strategy."""
        workload = next(bound.workload for bound in self.bound if bound.workload.id == name)
        return f"the strategy {workload.owner_name}" if workload.service == "analysis" else workload.service

    def _look_for_standstills(self) -> None:
        for name, process in self._processes.items():
            if process.state != "running" or self._healthy.get(name):
                self._standstills.forget(name)
                continue
            stands = self._standstills.look(name, self.data.volume(name), time.monotonic())
            if stands is not None:
                self._say(f"{name} does not answer: {self._subject_of(name)} {stands}")

    def _health_of(self, process: KeptProcess) -> str:
        if process.state != "running":
            return process.state
        if not self._serving[process.name].is_set():
            return "starting"
        return "serving" if self._healthy.get(process.name) else "not serving"

    async def _bring_up(self, bound: BoundWorkload) -> None:
        workload = bound.workload
        # It waits by itself for those that it calls, as in a cluster: its code may be loaded meanwhile.
        called = set(workload.calls.values())
        for before in workload.after:
            if before not in called:
                await self._serving[before].wait()
        self._say(f"starting {workload.id}")
        log = LogFile(self.data.log_file(workload.id))
        process = KeptProcess(
            workload.id,
            dies_with_parent(bound.command),
            log,
            env=child_environment(os.environ),
            cwd=self.data.root,
            on_failed=self._process_failed,
        )
        self._processes[workload.id] = process
        probe = self._probes[workload.id] = HealthProbe(bound.address)
        await process.start()
        for before in called:
            await self._serving[before].wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(SERVING_SECONDS):
                while not await probe.serving():
                    if process.state == "failed":
                        raise self._failure(process)
                    await asyncio.sleep(PROBE_SECONDS)
                process.prove()
                self._healthy[workload.id] = True
                self._serving[workload.id].set()
                return
        raise StackFailed(workload.id, f"was not ready within {SERVING_SECONDS:g} s", log.tail())

    async def _watch(self) -> None:
        while True:
            names = list(self._probes)
            answers = await asyncio.gather(*(self._probes[name].serving() for name in names))
            self._healthy = dict(zip(names, answers, strict=True))
            self._look_for_standstills()
            for disk in self._disk() if self._needs_disk else ():
                if disk.health == "full":
                    self._give_up(disk.name, f"is full: {disk.trouble}")
            await asyncio.sleep(WATCH_SECONDS)

    def _process_failed(self, process: KeptProcess) -> None:
        # While it starts, whoever waits for it says so; afterwards nobody waits.
        if self._serving[process.name].is_set() and not self.failed.done():
            self.failed.set_exception(self._failure(process))

    @property
    def _kind_of_feed(self) -> Literal["live", "replay"]:
        return "live" if self.plan.live else "replay"

    async def _make_streams(self) -> None:
        """A bus that has come back without its store has its streams again; what was in them is said again."""
        try:
            await bootstrap.make_streams(self.nats, self._kind_of_feed)
        except LeadlineError as error:
            self._say(f"nats has no streams: {error}")

    def _server_failed(self, name: str, what: str) -> None:
        self._give_up(name, f"did not stay up: {what}")

    def _give_up(self, name: str, what: str) -> None:
        if not self.failed.done():
            self.failed.set_exception(StackFailed(name, what))

    @staticmethod
    def _failure(process: KeptProcess) -> StackFailed:
        if process.exit_code == EXIT_REFUSED:
            return StackFailed(process.name, "cannot go on", process.log.tail())
        again = f" and {counted(process.restarts, 'restart')}" if process.restarts else ""
        return StackFailed(process.name, f"ended with code {process.exit_code}{again}", process.log.tail())


def _levels(plan: Plan) -> list[list[str]]:
    """Ids by how far they are from the start: each level waits only for the levels before it."""
    depth: dict[str, int] = {}
    for workload in plan.workloads:
        depth[workload.id] = 1 + max((depth[name] for name in workload.after), default=-1)
    return [[name for name in depth if depth[name] == level] for level in range(max(depth.values()) + 1)]


def _first(errors: BaseExceptionGroup[LeadlineError]) -> LeadlineError:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, LeadlineError)
    return found
