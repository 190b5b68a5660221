"""kopf as an informer: it lists and watches kinds in one namespace, or in all, and tells what it hears. Nothing else.

kopf takes an event loop for its own: when an operator of it ends, it ends every task of the loop that began later. One
refused watch ends the operator, and where others wait for their requests just then it does not come to its end by
itself. So each informer has a thread and a loop of its own, in which all tasks are kopf's and are ended from here.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import socket
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import kopf

from leadline_operator import metrics
from leadline_operator.clients.kube import PAGE, REQUEST_SECONDS, Kube
from leadline_operator.kinds import MANAGED_SELECTOR, JsonObject, Kind

# kopf keeps the bookmarks to itself: that a watch is taken up again every minute is how the API server is heard of.
WATCH_SECONDS: Final = 60
WATCH_CLIENT_SECONDS: Final = 70
# The API server sends a bookmark every minute: a watch that is silent for longer is dead.
SILENT_SECONDS: Final = 70
# Between the tries of a request; what is refused after the last ends the informer.
BACKOFFS: Final = (1.0, 2.0, 3.0)
WORKERS: Final = 32
IDLE_SECONDS: Final = 0.05
EXIT_SECONDS: Final = 5.0
EXIT_ROUNDS: Final = 10
CLOSING_TURNS: Final = 5
# After a refusal of the credentials: they are read anew as often as the API server refuses them.
UNAUTHORIZED_SECONDS: Final = 1.0

_UNAUTHORIZED: Final = 401

# Each of its warnings is about what is known here: which kinds are not served, and that signals are not its part.
logging.getLogger("kopf").setLevel(logging.ERROR)


class Informer:
    """kopf for these kinds. Both callables are called on the loop in which it is run.

    labelled: the kinds of which only the objects with our label are watched.
    on_event: a kind, the type of an event (ADDED, MODIFIED, DELETED; None for an object of a listing) and the object.
    on_answer: the API server has answered a request for a kind: the status, and whether a listing was begun.
    """

    def __init__(
        self,
        kinds: Iterable[Kind],
        labelled: Iterable[Kind],
        namespace: str | None,
        kube: Kube,
        on_event: Callable[[Kind, str | None, JsonObject], None],
        on_answer: Callable[[Kind, int, bool], None],
    ) -> None:
        self._kinds = tuple(kinds)
        self._labelled = tuple(labelled)
        self._namespace = namespace
        self._kube = kube
        self._on_event = on_event
        self._on_answer = on_answer
        root = urlsplit(kube.server).path.rstrip("/")
        self._paths = {root + kind.path(namespace): kind for kind in self._kinds}
        self._lock = threading.Lock()
        self._stopping = False
        self._sessions: list[aiohttp.ClientSession] = []
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._at_work: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    async def run(self) -> None:
        """Watch until cancelled, or until kopf ends; raises what it has ended with. Run it once."""
        owner = asyncio.get_running_loop()
        ended: asyncio.Future[None] = owner.create_future()
        name = f"informer {self._namespace or ''}".rstrip()
        threading.Thread(target=self._apart, args=(owner, ended), name=name, daemon=True).start()
        try:
            await asyncio.shield(ended)
        finally:
            self._stop()
            await asyncio.wait([ended], timeout=EXIT_SECONDS)

    def _apart(self, owner: asyncio.AbstractEventLoop, ended: "asyncio.Future[None]") -> None:
        """The thread."""
        problem: Exception | None = None
        try:
            asyncio.run(self._operate(owner))
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - `run` raises it
            problem = error

        def notify() -> None:
            if ended.done():
                return
            if problem is None:
                ended.set_result(None)
            else:
                ended.set_exception(problem)

        _call(owner, notify)

    async def _operate(self, owner: asyncio.AbstractEventLoop) -> None:
        task = asyncio.current_task()
        assert task is not None
        with self._lock:
            self._at_work = asyncio.get_running_loop(), task
            if self._stopping:
                return
        try:
            roots = await kopf.spawn_tasks(
                registry=self._registry(owner),
                settings=watch_settings(self._labelled),
                standalone=True,
                clusterwide=self._namespace is None,
                namespaces=() if self._namespace is None else (self._namespace,),
            )
            done, _ = await asyncio.wait(roots, return_when=asyncio.FIRST_COMPLETED)
            for root in done:
                root.result()
        finally:
            with self._lock:
                self._at_work = None
            await _end_all_others(task)
            for session in self._sessions:
                await session.close()
            await self._cut_off()

    async def _cut_off(self) -> None:
        """Close the connections without waiting for the other end: the loop that would wait is ending.

        A session forgets some of them, such as that of a request that ended before its answer; their sockets are here.
        """
        for each in self._sockets:
            with contextlib.suppress(OSError):  # it is closed, or was never connected
                each.shutdown(socket.SHUT_RDWR)
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            if self._at_work is not None:
                loop, task = self._at_work
                loop.call_soon_threadsafe(task.cancel)

    def _registry(self, owner: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        """A raw event handler for each kind, and the session."""
        registry = kopf.OperatorRegistry()
        for kind in self._kinds:
            kopf.on.event(kind.group, kind.version, kind.plural, id=kind.plural, registry=registry)(
                self._handler(owner, kind)
            )

        async def login(**_: Any) -> kopf.AiohttpSession:
            async def signed(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
                return await self._send(owner, request, send)

            self._sessions[:] = [each for each in self._sessions if not each.closed]
            self._sessions.append(self._kube.session(signed, self._sockets))
            return kopf.AiohttpSession(server=self._kube.server, aiohttp_session=self._sessions[-1])

        kopf.on.login(id="login", registry=registry)(login)
        return registry

    def _handler(self, owner: asyncio.AbstractEventLoop, kind: Kind) -> Callable[..., Any]:
        async def handler(event: Any, **_: Any) -> None:
            found = dict(event["object"])
            # The items of a listing do not say what they are.
            found["apiVersion"], found["kind"] = kind.api_version, kind.name
            taken: concurrent.futures.Future[None] = concurrent.futures.Future()

            def take() -> None:
                self._on_event(kind, event["type"], found)
                taken.set_result(None)

            # kopf's workers wait, so that no more is on its way than they are.
            _call(owner, take)
            await asyncio.wrap_future(taken)

        return handler

    async def _send(
        self, owner: asyncio.AbstractEventLoop, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Each request of kopf's: signed as ours are at this moment, counted, and told of."""
        request.headers.update(await self._kube.signature())
        kind = self._paths.get(request.url.path)
        verb = "get" if kind is None else "watch" if "watch" in request.url.query else "list"
        plural = "apis" if kind is None else kind.plural
        try:
            answer = await send(request)
        except (aiohttp.ClientError, OSError, TimeoutError):
            metrics.API_REQUESTS.labels(verb, plural, "0").inc()
            raise
        metrics.API_REQUESTS.labels(verb, plural, str(answer.status)).inc()
        if answer.status == _UNAUTHORIZED:
            await asyncio.sleep(UNAUTHORIZED_SECONDS)
        elif kind is not None:
            begun = answer.ok and verb == "list" and "continue" not in request.url.query
            _call(owner, lambda: self._on_answer(kind, answer.status, begun))
        return answer


def watch_settings(labelled: Iterable[Kind]) -> kopf.OperatorSettings:
    """Kopf as a watcher and nothing else: no peering, no Events, no finalizer, no look at definitions or namespaces."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_CLIENT_SECONDS
    settings.watching.inactivity_timeout = SILENT_SECONDS
    settings.watching.chunk_size = PAGE
    settings.queueing.worker_limit = WORKERS
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.networking.request_timeout = REQUEST_SECONDS
    settings.networking.error_backoffs = BACKOFFS
    # A part that ends slowly must not end the process.
    settings.process.ultimate_exiting_timeout = None
    settings.persistence.diffbase_storage = _NoEssence()
    settings.persistence.progress_storage = _NoProgress()
    for kind in labelled:
        selector: Any = (kind.group, kind.version, kind.plural)
        settings.watching.label_selectors[selector] = MANAGED_SELECTOR
    return settings


async def _end_all_others(own: asyncio.Task[Any]) -> None:
    """End every task of the loop but this one; again and again, since some only begin anew when they are cancelled."""
    # A task that is cancelled before the one that waits for it fails in kopf's callbacks.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for _ in range(EXIT_ROUNDS):
        if not (others := asyncio.all_tasks() - {own}):
            return
        for other in others:
            other.cancel()
        await asyncio.wait(others, timeout=EXIT_SECONDS / EXIT_ROUNDS)


def _call(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Act on another thread's loop; nothing when that loop is closed, since then nobody is there to hear."""
    try:
        loop.call_soon_threadsafe(act)
    except RuntimeError:
        if not loop.is_closed():
            raise


class _NoEssence(kopf.DiffBaseStorage):
    """kopf need not find out what has changed, which takes it longer than all the rest of an event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class _NoProgress(kopf.ProgressStorage):
    """Nothing of kopf's own is written to an object."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is kept."""

    def purge(self, **_: Any) -> None:
        """Nothing was kept."""

    def touch(self, **_: Any) -> None:
        """Nobody is to be woken."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
