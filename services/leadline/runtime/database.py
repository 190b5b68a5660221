"""A service's connections to PostgreSQL: opened when the schema is ready, with decimals and JSON as themselves."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Final

import asyncpg
import orjson
import structlog

from leadline.model.errors import LeadlineError
from leadline.runtime.retry import until_done
from leadline.runtime.settings import DatabaseSettings, read_secret

# The oldest schema that this code can work with. Newer ones are accepted: a release only ever adds.
MINIMUM_SCHEMA: Final = 10
STATEMENT_TIMEOUT_SECONDS: Final = 30
CONNECT_TIMEOUT_SECONDS: Final = 3
READING_CONNECTIONS: Final = 2
READING_TIMEOUT_SECONDS: Final = 5
WAIT_FIRST_SECONDS: Final = 0.1

# The server or the way to it is gone, or it cannot do now what it can do at another time. What was asked may or may not
# be done: ask again, by keys that make it safe.
DATABASE_LOST: Final[tuple[type[Exception], ...]] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says of a statement on a connection that died under the one before.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # No disk, no memory, no connection left.
    asyncpg.InsufficientResourcesError,
    # Another transaction was first, or a statement took longer than it may.
    asyncpg.TransactionRollbackError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # A standby that is becoming the primary, and a password that is being changed.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
)

_COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END: Final = b"\xff\xff"

_log = structlog.get_logger(__name__)

if TYPE_CHECKING:  # the stubs are generic, the classes are not
    Connection = asyncpg.Connection[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection, Pool = asyncpg.Connection, asyncpg.Pool


class SchemaTooOld(LeadlineError):
    """The database's schema is older than this code needs."""

    again_after_s: ClassVar[float | None] = 1.0
    grpc_status: ClassVar[str] = "UNAVAILABLE"

    def __init__(self, found: int, needed: int) -> None:
        super().__init__(found, needed)

    def __str__(self) -> str:
        return "the database has schema {} and this service needs {}: run `leadline db migrate`".format(*self.args)


_NOT_YET: Final[tuple[type[Exception], ...]] = (*DATABASE_LOST, asyncpg.PostgresError, SchemaTooOld)


async def open_pool(settings: DatabaseSettings, name: str, *, minimum_schema: int = MINIMUM_SCHEMA) -> Pool:
    """A pool of connections, as soon as the database answers and its schema is new enough; waits as long as it takes.

    `name` is how the database's own views show this service. Close it with `await pool.close()`.
    """
    return await until_done(
        lambda: _try_open(settings, name, minimum_schema), "database", _NOT_YET, first_s=WAIT_FIRST_SECONDS
    )


async def reading_pool(settings: DatabaseSettings, name: str) -> Pool:
    """A few connections for those who only read, without waiting for the database: what they ask can do without it.

    A statement on them ends after `READING_TIMEOUT_SECONDS`. Close it with `await pool.close()`.
    """
    return await _pool(settings, f"{name}-reads", READING_CONNECTIONS, READING_TIMEOUT_SECONDS)


@asynccontextmanager
async def answering(pool: Pool, within_s: float) -> AsyncIterator[Any]:
    """A connection of the pool that is cut off when it is not given back within so many seconds.

    Of a server that says nothing any more nobody hears before a statement's own timeout, and asyncpg then waits as long
    again to be heard. Raises what asyncpg raises, one of DATABASE_LOST for what was cut off.
    """
    async with pool.acquire(timeout=within_s) as connection:
        cut = asyncio.get_running_loop().call_later(within_s, connection.terminate)
        try:
            yield connection
        finally:
            cut.cancel()


async def connect(settings: DatabaseSettings, name: str) -> Connection:
    """One connection, at once. Raises what asyncpg raises."""
    connection = await asyncpg.connect(
        settings.url,
        password=read_secret(settings.password_file),
        timeout=CONNECT_TIMEOUT_SECONDS,
        server_settings={"application_name": name, "timezone": "UTC"},
    )
    await _set_codecs(connection)
    return connection


async def copy_rows(connection: Any, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Append rows to a table. Raises what asyncpg raises, and ConnectionResetError."""
    await _copied(connection, connection.copy_records_to_table(table, records=rows, columns=columns))


async def copy_binary(connection: Any, table: str, columns: Sequence[str], rows: bytes) -> None:
    """Append rows that are in the binary form of a COPY already, without its header and its end. Raises as `copy_rows`.

    Rows of numbers that numpy has put into that form are stored many times as fast as tuples.
    """
    source = BytesIO(_COPY_HEADER + rows + _COPY_END)
    copying = connection.copy_to_table(table, source=source, columns=columns, format="binary")
    await _copied(connection, copying)


async def _copied(connection: Any, work: Coroutine[Any, Any, str]) -> None:
    """Wait for a COPY.

    One whose connection dies while the client's buffer is full would wait for ever in asyncpg, whatever its timeout.
    """
    copying = asyncio.ensure_future(work)

    def give_up(_: object) -> None:
        copying.cancel()

    connection.add_termination_listener(give_up)
    try:
        await copying
    except asyncio.CancelledError:
        if not connection.is_closed():
            raise
        raise ConnectionResetError("the connection was lost while rows were copied") from None
    finally:
        connection.remove_termination_listener(give_up)


async def schema_version(connection: Connection) -> int:
    """The newest migration that was applied, 0 when there is none."""
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return 0
    found: int = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_version")
    return found


async def _try_open(settings: DatabaseSettings, name: str, minimum_schema: int) -> Pool:
    pool = await _pool(settings, name, settings.pool_size, STATEMENT_TIMEOUT_SECONDS)
    try:
        async with pool.acquire() as connection:
            await _check_schema(connection, minimum_schema)
    except BaseException:
        pool.terminate()
        raise
    return pool


async def _pool(settings: DatabaseSettings, name: str, size: int, statement_s: int) -> Pool:
    return await asyncpg.create_pool(
        settings.url,
        # Read for each connection: it may have been changed.
        password=lambda: read_secret(settings.password_file),
        min_size=0,
        max_size=size,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=statement_s,
        init=_set_codecs,
        reset=_as_it_is,
        server_settings={
            "application_name": name,
            "timezone": "UTC",
            "statement_timeout": f"{statement_s}s",
            "idle_in_transaction_session_timeout": f"{2 * statement_s}s",
        },
    )


async def _as_it_is(connection: Any) -> None:
    """Ask the server for nothing when a connection is given back: nobody changes its session.

    The library ends a transaction that was left open, and would have settings, locks and listeners undone in a question
    of its own, which the next commit of an account waits for.
    """


async def _check_schema(connection: Any, minimum_schema: int) -> None:
    found = await schema_version(connection)
    if found < minimum_schema:
        raise SchemaTooOld(found, minimum_schema)


async def _set_codecs(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=_to_json, decoder=orjson.loads)


def _to_json(value: object) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: object) -> str:
    """A decimal keeps its digits, as a string."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a JSON document")
