"""A process of the execution service: the real account and its loop, whose ports are the models of the world around."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import structlog

from leadline.execution.adapters.memory_store import MemoryStore
from leadline.execution.params import ExecutionParams
from leadline.execution.service import Account
from leadline.execution.venues.both_ports import BothPorts
from leadline.execution.venues.paper.live import LiveOrders
from leadline.model.durations import NS_PER_SECOND
from leadline.risk.decide import decide
from leadline.risk.view import DecisionInputs, RiskDecision
from leadline.runtime.poison import Handling
from leadline.runtime.rpc.auth import Caller, set_caller
from leadline.runtime.runs import Run
from tests.simulation import invariants
from tests.simulation.outbox import ModelOutboxRows, ProcessBus
from tests.simulation.store import ModelStore
from tests.simulation.venue import ModelVenue

if TYPE_CHECKING:
    from tests.simulation.world import World


class ModelRisk:
    """Risk, over a wire."""

    def __init__(self, world: "World", process: "Process") -> None:
        self._world = world
        self._process = process

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        return await self._world.wire.call(self._process, "risk", "risk.decide", lambda: decide(inputs))


class NoChannel:
    """A channel on which nobody calls: the parts are behind other ports here."""

    def unary_unary(self, *_: Any, **__: Any) -> None:
        return None


class ModelContext:
    """What `leadline.runtime.context.Context` is to the account."""

    def __init__(self, world: "World", process: "Process") -> None:
        self._process = process
        self.settings = SimpleNamespace(data_dir=process.folder, workload=process.name)
        self.log = structlog.get_logger("simulation")
        self.bus = ProcessBus(world.wire, process, world.bus)
        self.handling = Handling(process.folder)
        self.stopping = asyncio.Event()
        self.pool = None
        self.ready = False

    def channel(self, _: str) -> NoChannel:
        return NoChannel()

    def need(self, *_: Any) -> None:
        """Nobody asks whether it is ready."""

    def add_service(self, *_: Any) -> None:
        """Calls come by `Process.ask`."""

    async def serve(self) -> None:
        self._process.serving = True

    def set_ready(self, ready: bool) -> None:
        self.ready = ready

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work, name=name)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._process.tasks.append(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._process.end(error)


class SimulatedAccount(Account):
    """The account, with a store, a venue and a risk of the world's."""

    store: ModelStore  # type: ignore[assignment]

    def __init__(self, world: "World", process: "Process", params: ExecutionParams, run: Run) -> None:
        context: Any = ModelContext(world, process)
        super().__init__(context, params, run, None)  # type: ignore[arg-type]
        inner = MemoryStore(
            world.database,
            tape=run.tape,
            manifest=self.manifest,
            feed_contracts=tuple(run.contracts),
            trade_from=run.trade_from,
            holder=process.name,
        )
        self.store = store = ModelStore(world.wire, process, inner, world.transactions, world.committed)
        self.outbox = ModelOutboxRows(  # type: ignore[assignment]
            world.wire, process, (run.tape, self.name), lambda: invariants.records_of(world), world.published
        )
        venue = ModelVenue(
            world.wire,
            process,
            world.venue,
            leaves=lambda order: world.leaves(process, order),
            lands=world.lands,
            absent=world.absent,
            advances=lambda to_ns: world.advances(process, to_ns),
        )
        settle_ns = round(world.schedule.settle_s * NS_PER_SECOND)
        deps = replace(self.loop._deps, store=store, risk=ModelRisk(world, process), settle_ns=settle_ns)
        if self._live is None:
            both = BothPorts(venue, tuple(run.contracts))
            self.loop._keeper.deps = replace(deps, time=both, venue=both)
        else:
            orders = LiveOrders(venue, self._live)
            self._hear = orders.hear
            self.loop._keeper.deps = replace(deps, time=self._live, venue=orders)


class Process:
    """One life of the service on one machine. It ends by a kill, or of an error of its own."""

    def __init__(self, world: "World", name: str, folder: Path, number: int) -> None:
        self.world = world
        self.name = name
        self.number = number
        self.folder = folder
        self.alive = True
        self.serving = False
        self.stands_until_s = 0.0
        self.went_on_s = 0.0
        """When it last had the market go on; what was answered before that is carried out before it does again."""
        self.tasks: list[asyncio.Task[Any]] = []
        self.account: SimulatedAccount | None = None
        self.error: BaseException | None = None
        self._calls: list[asyncio.Future[Any]] = []

    def start(self) -> None:
        """Begin to run."""
        main = self.world.loop.spawn(self._main(), self)
        self.tasks.append(main)
        main.add_done_callback(self._main_ended, context=self.world.loop.world)

    async def _main(self) -> None:
        self.account = SimulatedAccount(self.world, self, self.world.params, self.world.run)
        await self.account.run()

    def _main_ended(self, task: "asyncio.Task[Any]") -> None:
        if task.cancelled() or not self.alive:
            return
        if task.exception() is not None:
            self.end(task.exception())
        else:
            self.world.loop.tell(f"{self.name} stops as it was asked to")
            self._gone()

    def about_to_step(self) -> bool:
        """Count a callback; the schedule's plan may have something in mind with it."""
        return self.world.step_of(self)

    def kill(self, why: str) -> None:
        """Dead from here on; what it had sent is on its way."""
        if self.alive:
            self.world.loop.tell(f"{self.name} is killed {why}")
            self.world.points.note(self.tasks)
            self._gone()

    def stand_still(self, seconds: float) -> None:
        """Stand still; time goes on for everybody else."""
        self.world.loop.tell(f"{self.name} stands still for {seconds:g} s")
        self.stands_until_s = self.world.loop.time() + seconds
        self.world.disturbed(seconds)

    def end(self, error: BaseException | None) -> None:
        """The process has met an error that ends it."""
        if self.alive:
            self.error = error
            self.world.loop.tell(f"{self.name} ends: {type(error).__name__}: {error}")
            self._gone()

    def _gone(self) -> None:
        self.alive = False
        for call in self._calls:
            if not call.done():
                call.set_exception(ConnectionError("the process has gone"))
        self.world.gone(self)

    def ask(self, by: str, role: Any, work: Callable[[SimulatedAccount], Coroutine[Any, Any, Any]]) -> Any:
        """A call of somebody, answered by this process: its answer, or ConnectionError when it dies meanwhile."""
        account = self.account
        assert account is not None
        answer: asyncio.Future[Any] = self.world.loop.create_future()
        self._calls.append(answer)

        async def answered() -> None:
            set_caller(Caller(by, role))
            try:
                found = await work(account)
            except Exception as error:  # noqa: BLE001 - the caller gets it
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(found)

        self.tasks.append(self.world.loop.spawn(answered(), self))
        return answer
