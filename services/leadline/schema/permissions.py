"""What each service's user may do on the bus: its own facts out, what it reads in, and nothing else."""

from dataclasses import dataclass
from typing import Final

from leadline.runtime.subjects import BARS, ORDER_KINDS, ORDERS, RUN_SUBJECT, RUNS, SIGNALS, TICKS

MIGRATE_USER: Final = "migrate"
RECORDER: Final = "recorder"
# Durable consumers, by stream. Their readers' names are the services'.
DURABLES: Final = {TICKS: (RECORDER,), BARS: (RECORDER,), SIGNALS: (RECORDER,)}


@dataclass(frozen=True, slots=True)
class BusPermissions:
    """Subjects that a user may publish to, those it may not in spite of that, and those it may subscribe to."""

    publish: tuple[str, ...]
    publish_deny: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Use:
    publishes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


_USES: Final = {
    "ingestion": _Use(
        publishes=("ll.*.tick.>", RUN_SUBJECT),
        reads=(TICKS, BARS, RUNS),
        extra=(f"$JS.API.STREAM.PURGE.{TICKS}", f"$JS.API.CONSUMER.INFO.{TICKS}.{RECORDER}"),
    ),
    "aggregation": _Use(publishes=("ll.*.bar.>",), reads=(TICKS, BARS, RUNS)),
    "analysis": _Use(publishes=("ll.*.signal.>",), reads=(BARS, SIGNALS, RUNS)),
    "execution": _Use(publishes=tuple(f"ll.*.{kind}.>" for kind in ORDER_KINDS), reads=(TICKS, SIGNALS, ORDERS, RUNS)),
    "venue": _Use(reads=(TICKS, RUNS)),
    "recorder": _Use(
        reads=(TICKS, BARS, SIGNALS, ORDERS, RUNS),
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
    "supervisor": _Use(reads=(TICKS, BARS, SIGNALS, ORDERS, RUNS)),
    MIGRATE_USER: _Use(extra=("$JS.API.>",)),
}
USERS: Final = tuple(_USES)


def bus_permissions(user: str) -> BusPermissions:
    """Permissions of one of `USERS`. KeyError for another name."""
    use = _USES[user]
    publish = list(use.publishes)
    for stream in use.reads:
        publish += [
            f"$JS.API.STREAM.INFO.{stream}",
            f"$JS.API.STREAM.MSG.GET.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}.>",
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
