"""Watching the API server: each kind in each namespace by itself, so that what one of them meets stops no other.

A watch begins with a complete listing and goes on from the version that the listing has. The API server ends a stream
every few minutes, and it is taken up where it was. What is too old to go on from, or may not be read, is listed anew.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from leadline.runtime.clock import monotonic_s
from leadline_operator import metrics
from leadline_operator.clients.kube import Forbidden, Kube, KubeError, Missing
from leadline_operator.handlers import Watcher
from leadline_operator.kinds import CHILDREN, MANAGED_SELECTOR, NAMESPACE, Kind

# Between two tries of what has just failed, and of what may not be read: rights come back when somebody gives them.
AGAIN_SECONDS: Final = 1.0
UNREADABLE_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class Place:
    """A kind in a namespace, or in all of them for None.

    `unreadable` is the API server's word for why it may not be listed, empty while it may.
    """

    def __init__(self, kind: Kind, namespace: str | None, kube: Kube, watcher: Watcher) -> None:
        self.kind = kind
        self.namespace = namespace
        self.unreadable = ""
        self._kube = kube
        self._watcher = watcher
        self._labels = MANAGED_SELECTOR if kind in CHILDREN else None
        self._version: int | None = None

    async def list(self) -> int | None:
        """Take in everything that is there; the version to watch from, None where nothing can be read.

        Raises KubeError for what has nothing to do with this place: the API server is away, or overrun.
        """
        try:
            found, self._version = await self._kube.every(self.kind, self.namespace, self._labels)
        except Missing:
            # Its definition is gone, and every object with it.
            self._version = None
            self._watcher.lose_all(self.kind, self.namespace)
        except Forbidden as refused:
            self._version = None
            await self._lock_out(refused)
        except KubeError:
            metrics.RELIST_FAILURES.labels(self.kind.name).inc()
            raise
        else:
            metrics.RELISTS.labels(self.kind.name).inc()
            self.unreadable = ""
            self._watcher.take_listing(self.kind, self.namespace, found, self._version)
        return self._version

    async def follow(self) -> None:
        """Watch until cancelled, from what was listed last, or from a listing of its own."""
        version = self._version
        while True:
            try:
                if version is not None:
                    await self._stream(version)
                version = await self.list()
            except KubeError as error:
                _log.info("watch.broken", kind=self.kind.name, namespace=self.namespace, reason=str(error))
                version = None
            await asyncio.sleep(UNREADABLE_SECONDS if self.unreadable else AGAIN_SECONDS)

    async def _stream(self, version: int) -> None:
        """Watch from a version on, until the API server does not know any more what came after it."""
        while True:
            began = monotonic_s()
            async for event, found in self._kube.watch(self.kind, self.namespace, version, self._labels):
                if event == "ERROR":
                    return
                version = int(found["metadata"]["resourceVersion"])
                if event == "BOOKMARK":
                    self._watcher.hear()
                else:
                    self._watcher.take(self.kind, event, found)
            if monotonic_s() - began < AGAIN_SECONDS:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _lock_out(self, refused: Forbidden) -> None:
        """With a namespace go the rights in it, in any order: what was there stays known until it is gone itself."""
        if not self.unreadable:
            metrics.RELIST_FAILURES.labels(self.kind.name).inc()
            _log.warning("watch.unreadable", kind=self.kind.name, namespace=self.namespace, reason=refused.message)
        self.unreadable = refused.message
        if self.namespace is not None and await self._kube.get(NAMESPACE, None, self.namespace) is None:
            self._watcher.lose_all(self.kind, self.namespace)


def places_of(
    kinds: Iterable[Kind], namespaces: Iterable[str], make: Callable[[Kind, str | None], Place]
) -> list[Place]:
    """Where to look: each namespaced kind in each of the namespaces, or in all at once where none are named."""
    named: tuple[str | None, ...] = tuple(namespaces) or (None,)
    return [make(kind, namespace) for kind in kinds for namespace in (named if kind.namespaced else (None,))]


async def list_all(places: Iterable[Place]) -> None:
    """List every place. Raises the first KubeError after all were tried."""
    failed: KubeError | None = None
    for place in places:
        try:
            await place.list()
        except KubeError as error:
            failed = failed or error
    if failed is not None:
        raise failed
