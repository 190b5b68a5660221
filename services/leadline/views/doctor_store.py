"""Facts of a database, asked of its server."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import asyncpg
import orjson

from leadline.runtime.clock import wall_ns
from leadline.schema.grants import Grant
from leadline.views.doctor.facts import Applied, Database, Halt

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
