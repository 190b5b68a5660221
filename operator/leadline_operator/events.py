"""Events about an object, as `kubectl describe` shows them. A repetition is counted instead of written anew."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import structlog

from leadline.model.ids import derive
from leadline_operator import metrics
from leadline_operator.clients.kube import Kube, KubeError, Missing, NamespaceEnding, NotLeading
from leadline_operator.conditions import Reason
from leadline_operator.kinds import EVENT, FIELD_MANAGER, JsonObject

EventType = Literal["Normal", "Warning"]

REPEAT_SECONDS: Final = 300.0
MOST_REMEMBERED: Final = 4096
MESSAGE_LENGTH: Final = 1024

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Written:
    name: str
    at: float
    count: int


class EventRecorder:
    """Writes Events. They are told for people: one that cannot be written is logged and left.

    clock: monotonic seconds; now: the time for people.
    """

    def __init__(self, kube: Kube, identity: str, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._identity = identity
        self._clock = clock
        self._now = now
        self._written: OrderedDict[tuple[str, ...], _Written] = OrderedDict()

    async def record(
        self, about: Mapping[str, Any], reason: Reason, message: str, event_type: EventType = "Normal"
    ) -> None:
        """Write an Event about an object; at most once in five minutes the same."""
        metadata = about["metadata"]
        key = (metadata["uid"], reason, message)
        written = self._written.get(key)
        if written is not None and self._clock() - written.at < REPEAT_SECONDS:
            return
        metrics.EVENTS.labels(event_type, reason).inc()
        try:
            if written is None or not await self._again(metadata["namespace"], written):
                written = await self._first(about, reason, message, event_type)
        except NamespaceEnding:
            return
        except (KubeError, NotLeading) as error:
            _log.warning("event.not_written", reason=reason, message=message, error=str(error))
            return
        written.at = self._clock()
        self._written[key] = written
        self._written.move_to_end(key)
        while len(self._written) > MOST_REMEMBERED:
            self._written.popitem(last=False)

    async def _first(self, about: Mapping[str, Any], reason: Reason, message: str, event_type: EventType) -> _Written:
        metadata = about["metadata"]
        now = self._time()
        name = f"{metadata['name'][:200]}.{derive(metadata['uid'], reason, message, now)[:16]}"
        await self._kube.apply(
            {
                "apiVersion": EVENT.api_version,
                "kind": EVENT.name,
                "metadata": {"name": name, "namespace": metadata["namespace"]},
                "regarding": _reference(about),
                "reason": reason,
                "action": reason,
                "type": event_type,
                "note": message[:MESSAGE_LENGTH],
                "eventTime": now,
                "reportingController": f"leadline.dev/{FIELD_MANAGER}",
                "reportingInstance": self._identity[:128],
            }
        )
        return _Written(name, self._clock(), 1)

    async def _again(self, namespace: str, written: _Written) -> bool:
        written.count += 1
        series = {"series": {"count": written.count, "lastObservedTime": self._time()}}
        try:
            await self._kube.merge(EVENT, namespace, written.name, series)
        except Missing:
            return False
        return True

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _reference(about: Mapping[str, Any]) -> JsonObject:
    metadata = about["metadata"]
    return {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
