"""Watching the API server: kopf in each namespace by itself, so that what one of them meets stops no other.

kopf tells of what changes. It does not tell of what has gone while it did not watch: so each listing of it is followed
by one of ours, and one that finds what may not be read takes just that out of kopf's hands.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Final

import structlog

from leadline.runtime.clock import monotonic_s
from leadline_operator import metrics
from leadline_operator.clients.kube import Forbidden, Kube, KubeError, Missing
from leadline_operator.handlers import Watcher
from leadline_operator.informer import Informer
from leadline_operator.kinds import MANAGED_SELECTOR, NAMESPACE, Kind

# Between two tries of what has just failed, and of what may not be read: rights come back when somebody gives them.
AGAIN_SECONDS: Final = 1.0
LONGEST_AGAIN_SECONDS: Final = 30.0
UNREADABLE_SECONDS: Final = 5.0
# kopf serves what it finds when it begins: what it has not listed by then it has not found.
BEGIN_SECONDS: Final = 30.0
# A watch that has lasted for so long has begun well, and begins again at once.
STEADY_SECONDS: Final = 60.0

_log = structlog.get_logger(__name__)


class Place:
    """A kind in a namespace, or in all of them for None.

    `unreadable` is the API server's word for why it may not be listed, empty while it may.
    """

    def __init__(self, kind: Kind, namespace: str | None, kube: Kube, watcher: Watcher) -> None:
        self.kind = kind
        self.namespace = namespace
        self.unreadable = ""
        self.readable = False
        self._kube = kube
        self._watcher = watcher
        self._labels = MANAGED_SELECTOR if kind in watcher.children else None

    async def list(self) -> None:
        """Take in everything that is there; then `readable` says whether there was anything to read.

        Raises KubeError for what has nothing to do with this place: the API server is away, or overrun.
        """
        try:
            found, version = await self._kube.every(self.kind, self.namespace, self._labels)
        except Missing:
            # Its definition is gone, and every object with it.
            self.readable = False
            self._watcher.lose_all(self.kind, self.namespace)
        except Forbidden as refused:
            self.readable = False
            await self._lock_out(refused)
        except KubeError:
            metrics.RELIST_FAILURES.labels(self.kind.name).inc()
            raise
        else:
            metrics.RELISTS.labels(self.kind.name).inc()
            self.readable, self.unreadable = True, ""
            self._watcher.take_listing(self.kind, self.namespace, found, version)

    async def _lock_out(self, refused: Forbidden) -> None:
        """With a namespace go the rights in it, in any order: what was there stays known until it is gone itself."""
        if not self.unreadable:
            metrics.RELIST_FAILURES.labels(self.kind.name).inc()
            _log.warning("watch.unreadable", kind=self.kind.name, namespace=self.namespace, reason=refused.message)
        self.unreadable = refused.message
        if self.namespace is not None and await self._kube.get(NAMESPACE, None, self.namespace) is None:
            self._watcher.lose_all(self.kind, self.namespace)


class Watch:
    """Everything of one namespace, or of all: kopf watches what may be read, and the rest is asked for now and then."""

    def __init__(self, places: Sequence[Place], namespace: str | None, kube: Kube, watcher: Watcher) -> None:
        self.namespace = namespace
        self._places = {place.kind: place for place in places}
        self._kube = kube
        self._watcher = watcher
        self._to_list: set[Kind] = set()
        self._changed = asyncio.Event()
        self._awaited: set[Kind] = set()
        self._begun = asyncio.Event()

    async def follow(self) -> None:
        """Watch until cancelled, after the places were listed a first time."""
        delay = AGAIN_SECONDS
        while True:
            began = monotonic_s()
            try:
                await self._watch_what_can_be_read()
            except Exception as error:  # noqa: BLE001 - kopf ends with whatever it has met; all of it begins again
                metrics.WATCH_ENDS.inc()
                _log.warning("watch.broken", namespace=self.namespace, reason=f"{type(error).__name__}: {error}")
                delay = AGAIN_SECONDS if monotonic_s() - began > STEADY_SECONDS else delay
                await asyncio.sleep(delay)
                delay = min(LONGEST_AGAIN_SECONDS, 2 * delay)
            for place in self._places.values():
                await self._list(place)

    async def _watch_what_can_be_read(self) -> None:
        """Return when something else can be read than at first. Raises what kopf ended with."""
        kinds = self._readable()
        jobs = [asyncio.create_task(self._until_more_can_be_read(kinds))]
        if kinds:
            work = (self._inform(kinds), self._until_begun(kinds), self._list_as_kopf_does())
            jobs += [asyncio.create_task(each) for each in work]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        for job in done:
            job.result()

    def _readable(self) -> frozenset[Kind]:
        return frozenset(kind for kind, place in self._places.items() if place.readable)

    async def _inform(self, kinds: frozenset[Kind]) -> None:
        await Informer(
            kinds, self._watcher.children, self.namespace, self._kube, self._watcher.take, self._on_answer
        ).run()
        raise RuntimeError("kopf has ended")

    async def _until_begun(self, kinds: frozenset[Kind]) -> None:
        """Stay as long as kopf does. Raises TimeoutError when it does not list each of the kinds."""
        self._awaited = set(kinds)
        self._begun.clear()
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                await self._begun.wait()
        except TimeoutError:
            missing = ", ".join(sorted(kind.plural for kind in self._awaited))
            raise TimeoutError(f"kopf has not begun to watch {missing}") from None
        await asyncio.Event().wait()

    async def _until_more_can_be_read(self, before: frozenset[Kind]) -> None:
        while self._readable() <= before:
            await asyncio.sleep(UNREADABLE_SECONDS)
            for place in self._places.values():
                if not place.readable:
                    await self._list(place)

    async def _list_as_kopf_does(self) -> None:
        """List what kopf has just asked for. Return when some of it cannot be read any more: kopf would end of it."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for kind in list(self._to_list):
                self._to_list.discard(kind)
                if not await self._list(self._places[kind]):
                    self._to_list.add(kind)
                elif not self._places[kind].readable:
                    return
            if self._to_list:
                self._changed.set()
                await asyncio.sleep(AGAIN_SECONDS)

    async def _list(self, place: Place) -> bool:
        """List a place; False when the API server has not answered."""
        try:
            await place.list()
        except KubeError as error:
            _log.info("watch.not_listed", kind=place.kind.name, namespace=place.namespace, reason=str(error))
            return False
        return True

    def _on_answer(self, kind: Kind, status: int, listed: bool) -> None:
        """Kopf was answered. A kind that it has listed, or was refused, is listed from here as well."""
        if status < HTTPStatus.BAD_REQUEST:
            self._watcher.mark_contact()
        if listed:
            self._awaited.discard(kind)
            if not self._awaited:
                self._begun.set()
        if listed or status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            self._to_list.add(kind)
            self._changed.set()


def places_of(
    kinds: Iterable[Kind], namespaces: Iterable[str], make: Callable[[Kind, str | None], Place]
) -> list[Place]:
    """Where to look: each namespaced kind in each of the namespaces, or in all at once where none are named."""
    named: tuple[str | None, ...] = tuple(namespaces) or (None,)
    return [make(kind, namespace) for kind in kinds for namespace in (named if kind.namespaced else (None,))]


def watches_of(places: Iterable[Place], kube: Kube, watcher: Watcher) -> list[Watch]:
    """One watch for the places of each namespace, and one for those of all."""
    by_namespace: dict[str | None, list[Place]] = {}
    for place in places:
        by_namespace.setdefault(place.namespace, []).append(place)
    return [Watch(found, namespace, kube, watcher) for namespace, found in by_namespace.items()]


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
