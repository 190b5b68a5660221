"""What a fault is, and all of them by name. A file of faults of one kind gives `FAULTS`, and is named here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.chaos.platform import Platform

HEALS_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `inject` does it and returns when it is over; what is drawn comes from its generator alone.

    prepare: is done once, before the first of these faults on a platform that trades, such as leading its connections
    through proxies; the platform has to trade again afterwards. heals_s: how long it may take after the fault until
    all is well. allows: kinds of `tests.chaos.oracle.Wrong` that are right after it, such as `halt`. fresh: nothing
    else may happen on the platform afterwards.
    """

    name: str
    what: str
    inject: Callable[[Platform, Random], Awaitable[None]]
    prepare: Callable[[Platform], Awaitable[None]] | None = None
    heals_s: float = HEALS_SECONDS
    allows: frozenset[str] = frozenset()
    fresh: bool = False


def all_faults() -> dict[str, Fault]:
    """Every fault by its name."""
    from tests.chaos import clock, disk, kills, network, stores  # noqa: PLC0415 - they name what is defined above

    found = (*kills.FAULTS, *stores.FAULTS, *network.FAULTS, *disk.FAULTS, *clock.FAULTS)
    return {fault.name: fault for fault in found}
