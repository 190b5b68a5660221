"""The operator's process: watches always, and works on what they bring while it holds the lease."""

import asyncio
import contextlib
import random
import socket
from typing import Final

from structlog.stdlib import BoundLogger

from leadline.local.full_disk import write_error
from leadline.runtime.clock import monotonic_s
from leadline.runtime.context import Context
from leadline.runtime.retry import until_done
from leadline.runtime.rpc.auth import key_file
from leadline.runtime.settings import validate_params
from leadline_operator import metrics
from leadline_operator.cache import Cache
from leadline_operator.clients.calls import Channels, Feed, utc_now
from leadline_operator.clients.demand import Demand
from leadline_operator.clients.execution import Executions
from leadline_operator.clients.kube import Conflict, Forbidden, Kube, KubeError, NotLeading, kube_configuration
from leadline_operator.conditions import Reason
from leadline_operator.events import EventRecorder
from leadline_operator.halts import HaltWatch
from leadline_operator.handlers import Watcher
from leadline_operator.health import Progress
from leadline_operator.kinds import Key, own_key
from leadline_operator.leader import Leadership
from leadline_operator.params import OperatorParams
from leadline_operator.queue import CONSUMERS, WorkQueue
from leadline_operator.reconcile.deps import Deps
from leadline_operator.registry import OWNERS
from leadline_operator.watches import Place, list_all, places_of, watches_of

JITTER: Final = 0.2
HEARTBEAT_SECONDS: Final = 1.0
RELIST_RETRY_SECONDS: Final = 1.0
# More than any single request may take, so that no object holds a consumer for good.
RECONCILE_SECONDS: Final = 90.0
# A listing that is not older need not be made again.
FRESH_SECONDS: Final = 10.0


async def run(context: Context) -> None:
    """Watch and reconcile until the process is told to stop."""
    operator = await make_operator(context)
    try:
        await operator.run()
    finally:
        await operator.close()


async def make_operator(context: Context) -> "Operator":
    """The operator of a process. Raises InvalidInput for settings that it cannot work with."""
    params = validate_params(OperatorParams, context.settings.params)
    return Operator(context, params, await kube_configuration())


class Operator:
    """All parts of one operator. `run` once, `close` once."""

    def __init__(self, context: Context, params: OperatorParams, configuration: object) -> None:
        self.context = context
        self.params = params
        self._random = random.Random()  # noqa: S311 - spreads load, keeps nothing secret
        self._log: BoundLogger = context.log
        identity = params.identity or socket.gethostname()
        self.leadership = Leadership(
            params.namespace, params.lease, identity, params.lease_seconds, self._leadership_changed, monotonic_s
        )
        self.kube = Kube(configuration, self.leadership.leading)  # type: ignore[arg-type]
        self._channels = Channels(key_file(context.settings.token_key_file), context.settings.tls)
        self.queue: WorkQueue[Key] = WorkQueue(
            self._work,
            jitter=self._jitter,
            on_error=self._failed,
            retry_after=retry_after,
            observe=lambda _, waited: metrics.QUEUE_SECONDS.observe(waited),
        )
        self.deps = Deps(
            params=params,
            code_version=context.code_version,
            cache=Cache(OWNERS),
            kube=self.kube,
            executions=Executions(self._channels, params.workload_address),
            feed=Feed(self._channels, params.peers.ingestion),
            demand=Demand(context.pool),
            events=EventRecorder(self.kube, identity, monotonic_s, utc_now),
            now=utc_now,
            clock=monotonic_s,
            enqueue=self.queue.add_after,
        )
        self.watcher = Watcher(self.deps.cache, self.queue.add, monotonic_s)
        self.places = places_of(
            OWNERS.watched, params.namespaces, lambda kind, namespace: Place(kind, namespace, self.kube, self.watcher)
        )
        self.progress = Progress(self.queue, monotonic_s, self.leadership.leading, lambda: self.watcher.last_contact)
        self._relist_now = asyncio.Event()
        self._listed_at = 0.0
        self._lease: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Watch and reconcile until told to stop."""
        spawn = self.context.spawn
        await self.context.serve()
        # Warm before it competes: the holder of the lease works at once.
        await self._relist_with_retries()
        self._lease = spawn(self.leadership.compete(self.kube), "lease")
        for watch in watches_of(self.places, self.kube, self.watcher):
            spawn(watch.follow(), f"watch {watch.namespace or ''}".rstrip())
        spawn(self._relist_regularly(), "relist")
        spawn(self._watch_progress(), "progress")
        if self.params.nats.monitor is not None:
            spawn(self._watch_bus(self.params.nats.monitor), "bus")
        halts = HaltWatch(self.deps, self.leadership.leading, self.queue.add, self.params.halt_seconds)
        spawn(halts.run(), "halts")
        for number in range(CONSUMERS):
            spawn(self.queue.consume(), f"consumer {number}")
        self.context.set_ready(True)
        await self.context.stopping.wait()

    async def close(self) -> None:
        """Give the lease back, so that the next operator need not wait, and close all connections."""
        if self._lease is not None:
            self._lease.cancel()
            await asyncio.wait([self._lease])
        await self._channels.close()
        await self.kube.close()

    async def relist(self) -> None:
        """List everything, to make up for all that the watches have missed. A kind that is refused stops no other."""
        await list_all(self.places)
        self._listed_at = monotonic_s()
        self.deps.prune()

    async def _relist_with_retries(self) -> None:
        """A first complete listing: nothing is decided on less."""
        await until_done(self.relist, "api_server", (KubeError,), first_s=RELIST_RETRY_SECONDS)

    async def _relist_regularly(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.params.resync_seconds * self._jitter()):
                    await self._relist_now.wait()
            self._relist_now.clear()
            await self._relist_with_retries()
            if self.leadership.leading():
                self._enqueue_all(self.params.resync_seconds / 10)

    def _leadership_changed(self, leads: bool) -> None:
        """The lease was won or lost."""
        if leads:
            self.queue.may_work.set()
            # The objects say what the last leader has left half done.
            if monotonic_s() - self._listed_at > FRESH_SECONDS:
                self._relist_now.set()
            self._enqueue_all(0)
        else:
            self.queue.may_work.clear()

    def _enqueue_all(self, spread: float) -> None:
        for kind in self.deps.cache.owners.kinds:
            for found in self.deps.cache.all(kind):
                self.queue.add_after(own_key(found, kind), spread * self._random.random())

    async def _work(self, key: Key) -> float | None:
        async with asyncio.timeout(RECONCILE_SECONDS):
            with metrics.RECONCILE_SECONDS.labels(key.kind).time():
                again = await self.deps.cache.owners.of(key).reconcile(self.deps, key)
        metrics.RECONCILES.labels(key.kind, "done").inc()
        return again

    def _failed(self, key: Key, error: Exception, delay: float) -> None:
        metrics.RECONCILES.labels(key.kind, "failed").inc()
        metrics.RECONCILE_ERRORS.labels(key.kind, reason_of(error).value).inc()
        expected = isinstance(error, KubeError | NotLeading)
        self._log.warning(
            "reconcile.failed",
            object="/".join(key),
            again_in=round(delay, 1),
            reason=str(error),
            exc_info=None if expected else error,
        )

    async def _watch_progress(self) -> None:
        """Measure, and tell the probes whether work gets done."""
        while True:
            problem = self.progress.problem()
            if problem:
                self._log.error("operator.stuck", reason=problem)
            self.context.set_alive(not problem)
            metrics.QUEUE_DEPTH.set(self.queue.depth())
            measure(self.deps.cache, monotonic_s() - self.watcher.last_contact)
            await asyncio.sleep(HEARTBEAT_SECONDS * 5)

    async def _watch_bus(self, monitor: str) -> None:
        """Have everything looked at when the bus begins to refuse messages, and when it takes them again."""
        while True:
            problem = await asyncio.to_thread(write_error, monitor)
            if problem != self.deps.bus_problem:
                self._log.warning("bus.cannot_store" if problem else "bus.stores_again", reason=problem)
                self.deps.bus_problem = problem
                self._enqueue_all(0)
            await asyncio.sleep(self.params.bus_seconds)

    def _jitter(self) -> float:
        return self._random.uniform(1 - JITTER, 1 + JITTER)


def retry_after(error: Exception) -> float | None:
    """In how many seconds to try again, None for the growing delay."""
    if isinstance(error, Conflict):
        return 0
    if isinstance(error, NotLeading):
        return 1
    return error.retry_after if isinstance(error, KubeError) else None


def reason_of(error: Exception) -> Reason:
    """The word of the metrics for an error."""
    if isinstance(error, Forbidden):
        return Reason.FORBIDDEN
    return Reason.API_ERROR if isinstance(error, KubeError) else Reason.INTERNAL


def measure(cache: Cache, watch_age_s: float) -> None:
    """Show what is looked after, what of it is not ready, and how long ago the API server was last heard of."""
    metrics.WATCH_AGE.set(watch_age_s)
    metrics.NOT_READY.clear()
    for kind in cache.owners.kinds:
        metrics.RESOURCES.labels(kind.name).set(cache.count(kind))
        for found in cache.all(kind):
            for condition in (found.get("status") or {}).get("conditions") or ():
                if condition["type"] == "Ready" and condition["status"] != "True":
                    metrics.NOT_READY.labels(kind.name, condition["reason"]).inc()
