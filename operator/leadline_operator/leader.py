"""Leadership: of several operators the one that holds the Lease works. The others watch, and are warm when it goes.

A holder believes in its lease for a third less than the others do, on its own clock: it stops before another begins.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from leadline_operator import metrics
from leadline_operator.clients.kube import Conflict, Kube, KubeError, Missing
from leadline_operator.kinds import LEASE, JsonObject

# Of the lease's duration: how often it is renewed, and for how long its holder believes in it.
RENEW_PART: Final = 2 / 15
BELIEVE_PART: Final = 2 / 3

_log = structlog.get_logger(__name__)


class Leadership:
    """Competes for a Lease. `leading()` tells whether this process may write now.

    on_change: told True when the lease is won and False when it is lost. clock: a monotonic time in seconds.
    """

    def __init__(
        self,
        namespace: str,
        name: str,
        identity: str,
        seconds: float,
        on_change: Callable[[bool], None],
        clock: Callable[[], float],
    ) -> None:
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._seconds = seconds
        self._on_change = on_change
        self._clock = clock
        self._believed_until = 0.0
        self._led = False
        # When the holder's last sign of life was seen, on our clock: clocks of different machines are never compared.
        self._last_seen: tuple[str, float] | None = None
        self._held: JsonObject | None = None

    def leading(self) -> bool:
        """Whether this process holds the lease, for all that it can know."""
        return self._clock() < self._believed_until

    async def compete(self, kube: Kube) -> None:
        """Win the lease and keep it, until cancelled; then give it back."""
        try:
            while True:
                await self._turn(kube)
                self._notify()
                await asyncio.sleep(self._seconds * RENEW_PART)
        finally:
            if self.leading():
                await asyncio.shield(self._release(kube))
            self._believed_until = 0.0
            self._notify()

    async def _turn(self, kube: Kube) -> None:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(self._seconds * BELIEVE_PART):
                # The holder has written it last, and need not ask.
                found = self._held or await kube.get(LEASE, self._namespace, self._name)
                if found is None:
                    self._held = await kube.create_lease(self._lease(None))
                elif self._may_take(found):
                    self._held = await kube.replace(self._lease(found))
                else:
                    return
        except (Conflict, Missing):
            self._held = self._last_seen = None
            return
        except (KubeError, TimeoutError) as error:
            # It may have been written all the same.
            self._held = None
            _log.warning("lease.unreachable", reason=str(error) or type(error).__name__)
            return
        self._believed_until = asked_at + self._seconds * BELIEVE_PART

    def _may_take(self, found: JsonObject) -> bool:
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder in {"", self._identity}:
            return True
        version = found["metadata"]["resourceVersion"]
        if self._last_seen is None or self._last_seen[0] != version:
            self._last_seen = (version, self._clock())
            return False
        return self._clock() - self._last_seen[1] > float(spec.get("leaseDurationSeconds") or self._seconds)

    def _lease(self, found: JsonObject | None, *, holder: str | None = None) -> JsonObject:
        spec: dict[str, Any] = dict((found or {}).get("spec") or {})
        identity = self._identity if holder is None else holder
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if spec.get("holderIdentity") != identity:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (found is not None)
            spec["acquireTime"] = now
        spec.update(
            {"holderIdentity": identity, "leaseDurationSeconds": max(1, round(self._seconds)), "renewTime": now}
        )
        metadata: JsonObject = {"name": self._name, "namespace": self._namespace}
        if found is not None:
            metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
        return {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec}

    async def _release(self, kube: Kube) -> None:
        """Say that nobody holds it, so that the next one need not wait."""
        try:
            async with asyncio.timeout(self._seconds / 3):
                found = await kube.get(LEASE, self._namespace, self._name)
                if found is not None and (found.get("spec") or {}).get("holderIdentity") == self._identity:
                    await kube.replace(self._lease(found, holder=""))
        except (KubeError, TimeoutError) as error:
            _log.warning("lease.not_released", reason=str(error) or type(error).__name__)

    def _notify(self) -> None:
        leads = self.leading()
        metrics.LEADER.set(leads)
        if leads != self._led:
            self._led = leads
            _log.info("lease.won" if leads else "lease.lost", identity=self._identity)
            self._on_change(leads)
