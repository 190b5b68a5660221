"""What stands against removing the operator: strategies and accounts that nobody would look after any more.

Only the operator takes the orders of a strategy back when it is deleted, and releases what it holds. Without it they
would trade on, and could not be deleted.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from leadline.model.errors import LeadlineError
from leadline_operator.clients.kube import Forbidden, Kube, Missing, kube_configuration
from leadline_operator.kinds import NAMESPACE, OWNERS, Kind

_SHOWN: Final = 10


class StillThere(LeadlineError):
    """Objects are left that need the operator: `names` as `Kind namespace/name`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.names = tuple(names)

    def __str__(self) -> str:
        more = f" and {len(self.names) - _SHOWN} more" if len(self.names) > _SHOWN else ""
        return (
            f"not uninstalled, because these are left: {', '.join(self.names[:_SHOWN])}{more}. Without the operator "
            "nobody takes their orders back, and they cannot be deleted. Delete them first, and wait until they are "
            "gone: kubectl delete tstrat,tacct --all --namespace NAMESPACE"
        )


def guard_uninstall(namespaces: Sequence[str]) -> None:
    """Return when nothing in the namespaces needs the operator. Raises StillThere, and KubeError."""
    asyncio.run(_guard(namespaces))


async def left_behind(kube: Kube, namespaces: Sequence[str]) -> list[str]:
    """The strategies and accounts of the namespaces, as `Kind namespace/name`; those that are going still count."""
    return [
        f"{kind.name} {namespace}/{found}"
        for kind in OWNERS
        for namespace in namespaces
        for found in await _names(kube, kind, namespace)
    ]


async def _guard(namespaces: Sequence[str]) -> None:
    kube = Kube(await kube_configuration(), may_write=lambda: False)
    try:
        names = await left_behind(kube, namespaces)
    finally:
        await kube.close()
    if names:
        raise StillThere(names)


async def _names(kube: Kube, kind: Kind, namespace: str) -> list[str]:
    try:
        found, _ = await kube.every(kind, namespace)
    except Missing:
        # The kind is gone, and every object with it.
        return []
    except Forbidden:
        # With a namespace goes the right to look into it.
        if await kube.get(NAMESPACE, None, namespace) is None:
            return []
        raise
    return sorted(each["metadata"]["name"] for each in found)
