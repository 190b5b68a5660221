"""What a network does between two parts that both live. Every connection of the platform leads through a proxy."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit
from weakref import WeakKeyDictionary

from tests.chaos.faults import Fault
from tests.chaos.platform import SERVICES, Platform
from tests.chaos.proxy import Address, Proxy

POSTGRES_SOCKET: Final = ".s.PGSQL.5432"
KINDS: Final = ("bus", "database", "venue", "risk")
SHORTEST_SECONDS, LONGEST_SECONDS = 4.0, 20.0


@dataclass(frozen=True, slots=True)
class Link:
    """The connections of one service to another part: `bus`, `database`, or the name of a peer."""

    service: str
    to: str


_networks: WeakKeyDictionary[Platform, dict[Link, Proxy]] = WeakKeyDictionary()


async def lead_through_proxies(platform: Platform) -> None:
    """Put a proxy into every connection between two parts; each service starts again for it."""
    if platform in _networks:
        return
    network = _networks[platform] = {}
    folder = platform.folder / "net"
    folder.mkdir()
    for service in SERVICES:
        for to, upstream in _upstreams(platform.settings(service)).items():
            place = folder / str(len(network))
            if to == "database":
                place.mkdir()
                place /= POSTGRES_SOCKET
            here = Address() if to == "bus" else Address(path=str(place))
            proxy = network[Link(service, to)] = Proxy(here, upstream)
            await proxy.listen()
    platform.rewire(lambda service, settings: _rewire(network, service, settings))


def _upstreams(settings: dict[str, Any]) -> dict[str, Address]:
    """Where a service's connections lead."""
    found = {name: Address(path=address.removeprefix("unix:")) for name, address in settings["peers"].items()}
    if settings.get("nats"):
        (server,) = settings["nats"]["servers"]
        found["bus"] = Address(port=urlsplit(server).port or 0)
    if settings.get("database"):
        folder = dict(parse_qsl(urlsplit(settings["database"]["url"]).query))["host"]
        found["database"] = Address(path=f"{folder}/{POSTGRES_SOCKET}")
    return found


def _rewire(network: dict[Link, Proxy], service: str, settings: dict[str, Any]) -> None:
    for name in settings["peers"]:
        settings["peers"][name] = f"unix:{network[Link(service, name)].address.path}"
    if settings.get("nats"):
        settings["nats"]["servers"] = [f"nats://127.0.0.1:{network[Link(service, 'bus')].address.port}"]
    if settings.get("database"):
        place, _, query = settings["database"]["url"].partition("?")
        folder = network[Link(service, "database")].address.path.removesuffix(f"/{POSTGRES_SOCKET}")
        settings["database"]["url"] = f"{place}?{urlencode({**dict(parse_qsl(query)), 'host': folder})}"


def _trouble(proxy: Proxy, how: str, rng: Random) -> AbstractAsyncContextManager[None]:
    match how:
        case "cut":
            return proxy.cut()
        case "half-open":
            return proxy.half_open()
        case "late":
            return proxy.half_open(delivers=True)
        case "slow":
            return proxy.slow(rng.uniform(0.05, 1.0), most_bytes=4096)
        case _:
            return proxy.resetting(rng.choice((0, 100, 1000, 10_000, 100_000)))


async def trouble(platform: Platform, rng: Random, *, how: str) -> None:
    """One kind of trouble on one connection of a kind, for 4 to 20 seconds."""
    kind, network = rng.choice(KINDS), _networks[platform]
    link = rng.choice([link for link in network if link.to == kind])
    sys.stderr.write(f"     {how} from {link.service} to {link.to}\n")
    async with _trouble(network[link], how, rng):
        await asyncio.sleep(rng.uniform(SHORTEST_SECONDS, LONGEST_SECONDS))


_WHAT: Final = {
    "cut": "a connection is cut for 4 to 20 s",
    "half-open": "a connection stays open for 4 to 20 s, nothing gets through, and it is dead afterwards",
    "late": "nothing gets through a connection for 4 to 20 s, and then all of it",
    "slow": "each piece on a connection takes 0.05 to 1 s, for 4 to 20 s",
    "reset": "a connection is reset again and again, for 4 to 20 s",
}

# Each service starts again when the proxies are put in: what the source said meanwhile may be a gap.
GAPS: Final = frozenset({"market"})

FAULTS: Final = tuple(
    Fault(name, what, partial(trouble, how=name), prepare=lead_through_proxies, allows=GAPS)
    for name, what in _WHAT.items()
)
