"""The streams of the bus and their durable consumers, and the one function that brings a server to them."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import InvalidInput
from leadline.model.subjects import BARS, ORDER_KINDS, ORDERS, RUNS, RUNS_SUBJECTS, SIGNALS, TICKS
from leadline.runtime.bus.bus import Bus, BusRefused
from leadline.schema.permissions import DURABLES

MINIMUM_SERVER: Final = (2, 14)
# Room for the prints that are not used yet. It must hold the largest session and a batch.
DEFAULT_TICK_BYTES: Final = 1 << 30
ACK_WAIT_SECONDS: Final = 60
MAX_ACK_PENDING: Final = 10_000

_DAY: Final = 86_400
_NOT_FOUND: Final = (10014, 10059)

Feed = Literal["live", "replay"]


@dataclass(frozen=True, slots=True)
class StreamDefinition:
    """A stream: its subjects, how long (seconds, 0 for ever) and how much (bytes, -1 without bound) it keeps."""

    name: str
    subjects: tuple[str, ...]
    max_age_seconds: int = 0
    max_bytes: int = -1
    refuse_when_full: bool = False
    last_only: bool = False
    append_only: bool = False
    duplicate_window_seconds: int = 120

    def config(self, replicas: int) -> dict[str, Any]:
        """The configuration as the server's API spells it."""
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": "limits",
            "storage": "file",
            "num_replicas": replicas,
            "max_age": self.max_age_seconds * NS_PER_SECOND,
            "max_bytes": self.max_bytes,
            "max_msgs_per_subject": 1 if self.last_only else -1,
            "discard": "new" if self.refuse_when_full else "old",
            "deny_delete": self.append_only,
            "deny_purge": self.append_only,
            "duplicate_window": self.duplicate_window_seconds * NS_PER_SECOND,
            "allow_atomic": True,
        }


def stream_definitions(feed: Feed, tick_bytes: int = DEFAULT_TICK_BYTES) -> tuple[StreamDefinition, ...]:
    """All streams, in the order in which they are made: services take the last one, RUNS, for all of them.

    A live feed's old prints make room for new ones; a replayed feed waits until there is room.
    """
    ticks = StreamDefinition(
        TICKS,
        ("ll.*.tick.>",),
        max_age_seconds=2 * _DAY if feed == "live" else 0,
        max_bytes=tick_bytes,
        refuse_when_full=feed == "replay",
    )
    return (
        ticks,
        StreamDefinition(BARS, ("ll.*.bar.>",), max_age_seconds=60 * _DAY),
        StreamDefinition(SIGNALS, ("ll.*.signal.>",), max_age_seconds=30 * _DAY),
        StreamDefinition(
            ORDERS,
            tuple(f"ll.*.{kind}.>" for kind in ORDER_KINDS),
            max_age_seconds=400 * _DAY,
            append_only=True,
            duplicate_window_seconds=300,
        ),
        StreamDefinition(RUNS, (RUNS_SUBJECTS,), last_only=True),
    )


async def migrate_bus(
    bus: Bus, *, feed: Feed = "replay", tick_bytes: int = DEFAULT_TICK_BYTES, replicas: int = 1
) -> list[str]:
    """Create what is missing and update what differs; returns the names of what changed. Idempotent.

    `bus` must be connected as the user that may manage streams. Raises InvalidInput when the server is too old, and
    what `Bus.api` raises.
    """
    check_server_version(await bus.server_version())
    changed: list[str] = []
    for definition in stream_definitions(feed, tick_bytes):
        if await _migrate_stream(bus, definition.config(replicas)):
            changed.append(definition.name)
        changed += [
            f"{definition.name}/{consumer}"
            for consumer in DURABLES.get(definition.name, ())
            if await _migrate_consumer(bus, definition.name, consumer)
        ]
    return changed


def check_server_version(version: tuple[int, int, int]) -> None:
    """Raises InvalidInput for a server that lacks what the streams need, or is known to lose them."""
    if version < MINIMUM_SERVER:
        wanted = ".".join(map(str, MINIMUM_SERVER))
        raise InvalidInput("version of nats-server", ".".join(map(str, version)), f"{wanted} or newer")


async def _migrate_stream(bus: Bus, wanted: dict[str, Any]) -> bool:
    name = wanted["name"]
    found = await _find(bus, f"STREAM.INFO.{name}")
    if found is None:
        await bus.api(f"STREAM.CREATE.{name}", wanted)
        return True
    if not _differs(found, wanted):
        return False
    await bus.api(f"STREAM.UPDATE.{name}", {**found, **wanted})
    return True


async def _migrate_consumer(bus: Bus, stream: str, name: str) -> bool:
    wanted = {
        "name": name,
        "durable_name": name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT_SECONDS * NS_PER_SECOND,
        "max_ack_pending": MAX_ACK_PENDING,
        "replay_policy": "instant",
    }
    found = await _find(bus, f"CONSUMER.INFO.{stream}.{name}")
    if found is not None and not _differs(found, wanted):
        return False
    body = {"stream_name": stream, "config": {**(found or {}), **wanted}}
    await bus.api(f"CONSUMER.CREATE.{stream}.{name}", body)
    return True


async def _find(bus: Bus, name: str) -> dict[str, Any] | None:
    try:
        config: dict[str, Any] = (await bus.api(name))["config"]
    except BusRefused as refusal:
        if refusal.code in _NOT_FOUND:
            return None
        raise
    return config


def _differs(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    # The server leaves out what is false.
    return any(found.get(key, False) != value for key, value in wanted.items())
