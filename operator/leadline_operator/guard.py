"""The guard of an uninstall and an upgrade: strategies and accounts that need the operator refuse both.

Only the operator takes the orders of a strategy back when it is deleted, and releases what it holds. Without it they
would trade on, and could not be deleted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from leadline.model.errors import LeadlineError
from leadline_operator.clients.kube import Kube, Missing, kube_configuration
from leadline_operator.kinds import DEPLOYMENT, STRATEGY, JsonObject, Kind
from leadline_operator.registry import OWNERS

_SHOWN: Final = 10
INSTRUMENTS_CHECKSUM: Final = "checksum/instruments"
"""The annotation of the Pods of a release with what names its instruments of one's own."""


class StillThere(LeadlineError):
    """Objects are left that need the operator: `names` as `Kind namespace/name`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.names = tuple(names)

    def __str__(self) -> str:
        return (
            f"not uninstalled, because these are left: {_listed(self.names)}. Without the operator "
            "nobody takes their orders back, and they cannot be deleted. Delete them first, and wait until they are "
            "gone: kubectl delete tstrat,tacct --all --namespace NAMESPACE"
        )


class LeftOut(LeadlineError):
    """Objects need the operator whose namespaces it would not look after any more: `names` as `Kind namespace/name`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.names = tuple(names)

    def __str__(self) -> str:
        return (
            "not upgraded, because these are in no namespace of the chart's value `namespaces`: "
            f"{_listed(self.names)}. They would lose their credentials, their network policies, and "
            "whoever takes their orders back. Name the namespace again, or delete them first, and wait until they are "
            "gone: kubectl delete tstrat,tacct --all --namespace NAMESPACE"
        )


class OtherInstruments(LeadlineError):
    """Strategies trade, and would go on with other instruments: `names` as `Kind namespace/name`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.names = tuple(names)

    def __str__(self) -> str:
        return (
            "not upgraded, because the chart's value `ownInstruments` is another one and these may enter, or hold a "
            f"position or an order: {_listed(self.names)}. Prices are counted in ticks, and other instruments begin "
            "another run. Set their state to ReduceOnly, and wait until they are flat"
        )


def guard_uninstall(namespaces: Sequence[str]) -> None:
    """Return when nothing needs the operator: nothing in these namespaces, and nowhere what it has once taken up.

    Raises StillThere, and KubeError.
    """
    if names := asyncio.run(_asked(lambda kube: left_behind(kube, namespaces))):
        raise StillThere(names)


def guard_upgrade(namespaces: Sequence[str], operator: str = "", instruments: str = "") -> None:
    """Return when an operator of these namespaces leaves out nothing that it has taken up, and changes no instruments.

    operator: `namespace/name` of the Deployment that is to change, empty to ask nothing about instruments; instruments:
    the checksum of those to come, empty for none. Raises LeftOut, OtherInstruments, and KubeError.
    """
    if names := asyncio.run(_asked(lambda kube: left_out(kube, namespaces))):
        raise LeftOut(names)
    if operator and (names := asyncio.run(_asked(lambda kube: trading_others(kube, operator, instruments)))):
        raise OtherInstruments(names)


async def left_behind(kube: Kube, namespaces: Sequence[str]) -> list[str]:
    """Objects that need the operator, as `Kind namespace/name`; one that is being deleted still counts.

    In these namespaces that is every strategy and account, elsewhere those that an operator has taken up: they bear
    its finalizer, and cannot go without it.
    """
    return await _owners(kube, lambda found: _namespace(found) in namespaces or _taken_up(found))


async def left_out(kube: Kube, namespaces: Sequence[str]) -> list[str]:
    """Objects that an operator has taken up in other namespaces than these, as `Kind namespace/name`."""
    return await _owners(kube, lambda found: _namespace(found) not in namespaces and _taken_up(found))


async def trading_others(kube: Kube, operator: str, instruments: str) -> list[str]:
    """Strategies that may enter or hold something, where the operator has other instruments than these; else none."""
    namespace, _, name = operator.partition("/")
    deployment = await kube.get(DEPLOYMENT, namespace, name)
    template = {} if deployment is None else deployment["spec"]["template"]["metadata"]
    if (template.get("annotations") or {}).get(INSTRUMENTS_CHECKSUM, "") == instruments:
        return []
    return await _owners(kube, lambda found: _taken_up(found) and _trades(found), (STRATEGY,))


def _trades(found: JsonObject) -> bool:
    """Whether a strategy may enter, or has something at its venue."""
    status = found.get("status") or {}
    busy = status.get("openPositions") or status.get("workingOrders")
    return bool(busy) or found["spec"].get("state", "Running") == "Running"


async def _asked(look: Callable[[Kube], Awaitable[list[str]]]) -> list[str]:
    kube = Kube(await kube_configuration(), may_write=lambda: False)
    try:
        return await look(kube)
    finally:
        await kube.close()


async def _owners(kube: Kube, counts: Callable[[JsonObject], bool], kinds: Sequence[Kind] = OWNERS.held) -> list[str]:
    names: list[str] = []
    for kind in kinds:
        try:
            listed, _ = await kube.every(kind)
        except Missing:
            # The kind is gone, and every object with it.
            continue
        names += sorted(
            f"{kind.name} {_namespace(found)}/{found['metadata']['name']}" for found in listed if counts(found)
        )
    return names


def _namespace(found: JsonObject) -> str:
    return str(found["metadata"]["namespace"])


def _taken_up(found: JsonObject) -> bool:
    return bool(OWNERS.finalizers & set(found["metadata"].get("finalizers") or ()))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
