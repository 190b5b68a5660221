"""Facts of a bus, asked of its server."""

import json
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from leadline.runtime.bus.bus import BusRefused, open_bus
from leadline.runtime.clock import wall_ns
from leadline.runtime.settings import NatsSettings
from leadline.schema.permissions import DURABLES
from leadline.schema.streams import stream_definitions
from leadline.views.doctor.facts import Bus, Stream

BUS_SECONDS: Final = 5.0

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


async def bus(settings: NatsSettings, configuration: Path | None) -> Bus:
    """The facts of a bus, as its server tells them to the user that may manage streams.

    configuration: the server's own file, where it can be read. Raises BusError, and what reading a password raises.
    """
    connection = await open_bus(settings, timeout_s=BUS_SECONDS)
    try:
        streams: dict[str, Stream] = {}
        offset_ns, uncertain_ns = 0, 0
        for definition in stream_definitions("replay"):
            asked_ns = wall_ns()
            with suppress(BusRefused):
                info = await connection.api(f"STREAM.INFO.{definition.name}")
                answered_ns = wall_ns()
                streams[definition.name] = Stream(info["config"], info["state"]["bytes"], info["state"]["messages"])
                if "ts" in info:
                    offset_ns = _ns(info["ts"]) - (asked_ns + answered_ns) // 2
                    uncertain_ns = (answered_ns - asked_ns) // 2
        lags = {}
        for stream, readers in DURABLES.items():
            for reader in readers:
                name = f"{stream}/{reader}"
                lags[name] = -1
                with suppress(BusRefused):
                    found = await connection.api(f"CONSUMER.INFO.{stream}.{reader}")
                    lags[name] = int(found["num_pending"]) + int(found["num_ack_pending"])
        version = await connection.server_version()
    finally:
        await connection.close()
    return Bus(version, streams, lags, _sync_seconds(configuration), offset_ns, uncertain_ns)


def _sync_seconds(configuration: Path | None) -> float | None:
    """How often the server of a configuration brings its files to the disk; None where nobody can say."""
    if configuration is None:
        return None
    try:
        found = json.loads(configuration.read_bytes())["jetstream"].get("sync_interval", "2m")
    except (OSError, ValueError, KeyError):
        return None
    if found == "always":
        return 0.0
    parsed = re.fullmatch(r"(\d+)(ms|s|m|h)", str(found))
    return None if parsed is None else int(parsed[1]) * _UNITS[parsed[2]]


def _ns(text: str) -> int:
    """A time of the server, RFC 3339 with up to nine decimals, in ns UTC."""
    whole, _, rest = text.partition(".")
    fraction = re.match(r"\d*", rest)
    digits = fraction[0] if fraction is not None else ""
    zone = rest[len(digits) :] or "Z"
    seconds = int(datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp())
    return seconds * 1_000_000_000 + int(digits.ljust(9, "0")[:9] or 0)
