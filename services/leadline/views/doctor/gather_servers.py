"""Facts of a database and of a bus, asked of their servers."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson

from leadline.runtime.bus.bus import BusRefused, open_bus
from leadline.runtime.clock import wall_ns
from leadline.runtime.settings import NatsSettings
from leadline.schema.grants import Grant
from leadline.schema.permissions import DURABLES
from leadline.schema.streams import stream_definitions
from leadline.views.doctor.facts import Applied, Bus, Database, Halt, Stream

BUS_SECONDS: Final = 5.0

_SETTINGS: Final = ("fsync", "synchronous_commit", "full_page_writes")
_GRANTS: Final = """
    SELECT r.rolname AS role, c.relname AS on, a.privilege_type AS right
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public',
         aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition AND a.grantee <> c.relowner
      AND r.rolname LIKE 'leadline\\_%'
    UNION
    SELECT r.rolname, c.relname || '.' || t.attname, a.privilege_type
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public',
         aclexplode(t.attacl) a JOIN pg_roles r ON r.oid = a.grantee
    WHERE NOT c.relispartition AND a.grantee <> c.relowner AND r.rolname LIKE 'leadline\\_%'
"""
_OVERRIDES: Final = """
    SELECT unnest(setconfig) AS setting FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase
    WHERE s.setdatabase = 0 OR d.datname = current_database()
"""
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


async def database(connection: Any) -> Database:
    """The facts of a database, from the server that it is connected to. The connection may be a reader's."""
    settings = {name: str(await connection.fetchval(f"SHOW {name}")) for name in _SETTINGS}
    for row in await connection.fetch(_OVERRIDES):
        name, _, value = row["setting"].partition("=")
        if name in settings and value == "off":
            settings[name] = value
    asked_ns = wall_ns()
    server_ns = await connection.fetchval("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint") * 1000
    answered_ns = wall_ns()
    roles = await connection.fetch("SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname LIKE 'leadline\\_%'")
    return Database(
        version=int(await connection.fetchval("SHOW server_version_num")),
        settings=settings,
        applied=await _applied(connection),
        extensions=frozenset(row[0] for row in await connection.fetch("SELECT extname FROM pg_extension")),
        roles={row["rolname"]: row["rolconnlimit"] for row in roles},
        grants=frozenset(Grant(**row) for row in await connection.fetch(_GRANTS)),
        offset_ns=server_ns - (asked_ns + answered_ns) // 2,
        uncertain_ns=(answered_ns - asked_ns) // 2,
        halts=await _halts(connection),
        dead_letters=await _dead_letters(connection),
        fences=await _fences(connection),
    )


async def _applied(connection: Any) -> tuple[Applied, ...]:
    if not await _is_there(connection, "schema_version"):
        return ()
    rows = await connection.fetch("SELECT version, name, checksum FROM schema_version ORDER BY version")
    return tuple(Applied(**row) for row in rows)


async def _halts(connection: Any) -> tuple[Halt, ...]:
    if not await _is_there(connection, "halt"):
        return ()
    rows = await connection.fetch(
        "SELECT account, number, source, reason FROM halt WHERE cleared_at IS NULL ORDER BY account, number"
    )
    return tuple(Halt(**row) for row in rows)


async def _dead_letters(connection: Any) -> Mapping[tuple[str, str], int]:
    if not await _is_there(connection, "dead_letter"):
        return {}
    rows = await connection.fetch("SELECT reader, reason, count(*) AS count FROM dead_letter GROUP BY reader, reason")
    return {(row["reader"], row["reason"]): row["count"] for row in rows}


async def _fences(connection: Any) -> Mapping[str, str]:
    """The strategies of the newest run that are fenced off."""
    if not await _is_there(connection, "strategy_state"):
        return {}
    rows = await connection.fetch(
        """
        SELECT strategy, fence FROM strategy_state
        WHERE fence IS NOT NULL AND tape = (SELECT tape FROM run ORDER BY opened_at DESC LIMIT 1)
        """
    )
    found = {row["strategy"]: orjson.loads(row["fence"]) for row in rows}
    return {strategy: f"{fence['reason']}, {fence['detail']}" for strategy, fence in found.items()}


async def _is_there(connection: Any, table: str) -> bool:
    """Whether there is such a table, and this role may read it."""
    with suppress(asyncpg.UndefinedTableError):
        return bool(await connection.fetchval("SELECT has_table_privilege($1, 'SELECT')", table))
    return False


async def contracts_in_use(connection: Any) -> tuple[str, ...]:
    """The contracts that strategies of the newest run read, and those that are held anywhere."""
    if not await _is_there(connection, "strategy_state"):
        return ()
    rows = await connection.fetch(
        """
        SELECT contract FROM strategy_state WHERE tape = (SELECT tape FROM run ORDER BY opened_at DESC LIMIT 1)
        UNION SELECT contract FROM position
        WHERE quantity <> 0 AND tape = (SELECT tape FROM run ORDER BY opened_at DESC LIMIT 1)
        """
    )
    return tuple(sorted(row["contract"] for row in rows if row["contract"]))


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
