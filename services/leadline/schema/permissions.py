"""What each user may do on the bus: its own facts out, what it reads in, and nothing else.

The platform's services are users by their own names. In a cluster the services of a trader's namespace are users of
their own, `<service>-<namespace>`, who can speak for the accounts and strategies of that namespace alone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from leadline.model.errors import Unknown
from leadline.model.subjects import BARS, ORDER_KINDS, ORDERS, RUN_SUBJECT, RUNS, SIGNALS, TICKS

MIGRATE_USER: Final = "migrate"
RECORDER: Final = "recorder"
# Durable consumers, by stream. Their readers' names are the services'.
DURABLES: Final = {TICKS: (RECORDER,), BARS: (RECORDER,), SIGNALS: (RECORDER,)}
# Services of which every trader's namespace has its own.
TRADER_SERVICES: Final = ("analysis", "execution", "venue")

_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class BusPermissions:
    """Subjects that a user may publish to, those it may not in spite of that, and those it may subscribe to."""

    publish: tuple[str, ...]
    publish_deny: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Use:
    """`reads` maps a stream to the subjects in it that may be read, `>` for all of them."""

    publishes: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    extra: tuple[str, ...] = ()


def _whole(*streams: str) -> tuple[tuple[str, str], ...]:
    return tuple((stream, ">") for stream in streams)


_PLATFORM_USES: Final = {
    "ingestion": _Use(
        publishes=("ll.*.tick.>", RUN_SUBJECT),
        reads=_whole(TICKS, BARS, RUNS),
        extra=(f"$JS.API.STREAM.PURGE.{TICKS}", f"$JS.API.CONSUMER.INFO.{TICKS}.{RECORDER}"),
    ),
    "aggregation": _Use(publishes=("ll.*.bar.>",), reads=_whole(TICKS, BARS, RUNS)),
    "recorder": _Use(
        reads=_whole(TICKS, BARS, SIGNALS, ORDERS, RUNS),
        extra=tuple(
            subject
            for stream in DURABLES
            for subject in (
                f"$JS.API.CONSUMER.INFO.{stream}.{RECORDER}",
                f"$JS.API.CONSUMER.RESET.{stream}.{RECORDER}",
                f"$JS.ACK.{stream}.{RECORDER}.>",
            )
        ),
    ),
    "supervisor": _Use(reads=_whole(TICKS, BARS, SIGNALS, ORDERS, RUNS)),
    MIGRATE_USER: _Use(extra=("$JS.API.>",)),
}
PLATFORM_USERS: Final = tuple(_PLATFORM_USES)
# On one machine one process group serves every namespace: the traders' services are users without one.
USERS: Final = ("ingestion", "aggregation", *TRADER_SERVICES, "recorder", "supervisor", MIGRATE_USER)


def trader_users(namespaces: Iterable[str]) -> tuple[str, ...]:
    """The users of traders' namespaces."""
    return tuple(f"{service}-{namespace}" for namespace in namespaces for service in TRADER_SERVICES)


def bus_permissions(user: str) -> BusPermissions:
    """Permissions of one of `USERS` or of a trader's service `<service>-<namespace>`. Raises Unknown."""
    use = _use(user)
    publish = list(use.publishes)
    for stream, subjects in use.reads:
        publish += [
            f"$JS.API.STREAM.INFO.{stream}",
            # The server takes a consumer only when the filter in its configuration is the one in this subject.
            f"$JS.API.CONSUMER.CREATE.{stream}.{'' if subjects == '>' else '*.'}{subjects}",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
        ]
    deny: list[str] = []
    if user != MIGRATE_USER:
        # A durable consumer is nobody's to change, and only its reader's to read.
        for name in sorted({name for names in DURABLES.values() for name in names}):
            deny += [f"$JS.API.CONSUMER.CREATE.*.{name}", f"$JS.API.CONSUMER.CREATE.*.{name}.>"]
            if user != name:
                deny.append(f"$JS.API.CONSUMER.MSG.NEXT.*.{name}")
    return BusPermissions((*publish, *use.extra), tuple(deny), (f"_INBOX_{user}.>",))


def _use(user: str) -> _Use:
    if user in _PLATFORM_USES:
        return _PLATFORM_USES[user]
    service, dash, namespace = user.partition("-")
    if service not in TRADER_SERVICES or (dash and not _NAMESPACE.fullmatch(namespace)):
        raise Unknown("user of the bus", user, (*USERS, *(f"{name}-<namespace>" for name in TRADER_SERVICES)))
    return _trader_use(service, namespace or "*")


def _trader_use(service: str, namespace: str) -> _Use:
    """What a trader's service does, for the accounts and strategies of a namespace, or of all."""
    if service == "analysis":
        # The account may be of another namespace, which decides for itself whose signals it takes.
        own = f"ll.*.signal.*.*.{namespace}.>"
        return _Use(publishes=(own,), reads=(*_whole(BARS, RUNS), (SIGNALS, own)))
    if service == "execution":
        return _Use(
            publishes=tuple(f"ll.*.{kind}.{namespace}.>" for kind in ORDER_KINDS),
            reads=(*_whole(TICKS, RUNS), (SIGNALS, f"ll.*.signal.{namespace}.>"), (ORDERS, f"ll.*.*.{namespace}.>")),
        )
    return _Use(reads=_whole(TICKS, RUNS))
