"""Each user's permissions on the bus: to publish its own facts and to read its inputs, and nothing else.

The platform's services are users by their own names. In a cluster the services of a trader's namespace are users of
their own, `<service>-<namespace>`, who can speak for the accounts and strategies of that namespace alone. The table of
services says what each does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from leadline.model.errors import Unknown
from leadline.model.services import SERVICES, BusUse, Services, bus_services, durable_readers, traders_services

MIGRATE_USER: Final = "migrate"
DURABLES: Final = durable_readers()
"""Durable consumers, by stream. Their readers' names are the services'."""
TRADER_SERVICES: Final = traders_services()
"""Services of which every trader's namespace has its own."""

_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class BusPermissions:
    """Subjects that a user may publish to, those it may not in spite of that, and those it may subscribe to."""

    publish: tuple[str, ...]
    publish_deny: tuple[str, ...]
    subscribe: tuple[str, ...]


USERS: Final = (*bus_services(), MIGRATE_USER)
"""On one machine one process group serves every namespace: the traders' services are users without one."""
PLATFORM_USERS: Final = tuple(user for user in USERS if user not in TRADER_SERVICES)


def trader_users(namespaces: Iterable[str]) -> tuple[str, ...]:
    """The users of traders' namespaces."""
    return tuple(f"{service}-{namespace}" for namespace in namespaces for service in TRADER_SERVICES)


def bus_permissions(user: str, services: Services = SERVICES) -> BusPermissions:
    """Permissions of one of `USERS` or of a trader's service `<service>-<namespace>`. Raises Unknown."""
    inbox = f"_INBOX_{user}.>"
    if user == MIGRATE_USER:
        return BusPermissions(("$JS.API.>",), (), (inbox,))
    name, use = _use(user, services)
    publish = list(use.publishes)
    for stream, subjects in use.reads:
        publish += [
            f"$JS.API.STREAM.INFO.{stream}",
            # The server takes a consumer only when the filter in its configuration is the one in this subject.
            f"$JS.API.CONSUMER.CREATE.{stream}.{'' if subjects == '>' else '*.'}{subjects}",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
        ]
    publish += [f"$JS.API.STREAM.PURGE.{stream}" for stream in use.purges]
    publish += [f"$JS.API.CONSUMER.INFO.{stream}.{reader}" for stream, reader in use.follows]
    for stream in use.durables:
        publish += [
            f"$JS.API.CONSUMER.INFO.{stream}.{name}",
            f"$JS.API.CONSUMER.RESET.{stream}.{name}",
            f"$JS.ACK.{stream}.{name}.>",
        ]
    deny: list[str] = []
    # A durable consumer is nobody's to change, and only its reader's to read.
    for reader in sorted({reader for readers in durable_readers(services).values() for reader in readers}):
        deny += [f"$JS.API.CONSUMER.CREATE.*.{reader}", f"$JS.API.CONSUMER.CREATE.*.{reader}.>"]
        if name != reader:
            deny.append(f"$JS.API.CONSUMER.MSG.NEXT.*.{reader}")
    return BusPermissions(tuple(publish), tuple(deny), (inbox,))


def _use(user: str, services: Services) -> tuple[str, BusUse]:
    """The service that a user of the bus is, and what it does there: for a namespace, or for all of them."""
    for each in services:
        if each.bus is None:
            continue
        if user == each.name:
            return each.name, _for_namespace(each.bus, "*")
        namespace = user.removeprefix(f"{each.name}-")
        if each.owner != "platform" and namespace != user and _NAMESPACE.fullmatch(namespace):
            return each.name, _for_namespace(each.bus, namespace)
    traders = (f"{name}-<namespace>" for name in traders_services(services))
    raise Unknown("user of the bus", user, (*bus_services(services), MIGRATE_USER, *traders))


def _for_namespace(use: BusUse, namespace: str) -> BusUse:
    return replace(
        use,
        publishes=tuple(subject.replace("{namespace}", namespace) for subject in use.publishes),
        reads=tuple((stream, subjects.replace("{namespace}", namespace)) for stream, subjects in use.reads),
    )
