"""What becomes of a statement whose connection dies under it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from leadline.runtime.database import DATABASE_LOST, Pool, connect, copy_rows, open_pool
from leadline.runtime.settings import DatabaseSettings, read_secret
from leadline.schema.migrate import set_role_passwords
from leadline.schema.roles import login_role
from tests.stack import Database, run_sql

pytestmark = pytest.mark.integration

ROWS = 2_000_000


@contextlib.asynccontextmanager
async def dying_way(settings: DatabaseSettings, after_bytes: int) -> AsyncIterator[DatabaseSettings]:
    """A way to the server that stands still after so many bytes from the client, and then is cut."""
    place = parse_qs(urlsplit(settings.url).query)
    socket = f"{place['host'][0]}/.s.PGSQL.{place.get('port', ['5432'])[0]}"
    ways: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(socket)
        ways.extend((writer, to_server))
        back = asyncio.create_task(carry(from_server, writer))
        left = after_bytes
        while left > 0 and (data := await reader.read(min(65536, left))):
            left -= len(data)
            to_server.write(data)
        await asyncio.sleep(0.5)
        for way in (writer, to_server):
            way.transport.abort()
        await back

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    user = place["user"][0]
    name = urlsplit(settings.url).path
    try:
        yield settings.model_copy(update={"url": f"postgresql://{user}@{host}:{port}{name}"})
    finally:
        server.close()
        for way in ways:
            way.transport.abort()


@pytest.mark.parametrize("after_bytes", [20_000, 200_000, 2_000_000])
async def test_a_copy_whose_connection_dies_ends(database: Database, after_bytes: int):
    await run_sql(database.admin_settings(), "CREATE TABLE numbers (a bigint, b bigint)")
    async with dying_way(database.admin_settings(), after_bytes) as settings:
        connection = await connect(settings, "test")
        with pytest.raises(DATABASE_LOST):
            await copy_rows(connection, "numbers", ("a", "b"), ((number, number) for number in range(ROWS)))
        connection.terminate()


async def test_a_changed_password_counts_for_the_next_connection(database: Database, tmp_path):
    own = database.settings("recorder")
    password_file = tmp_path / "password"
    password_file.write_text(read_secret(own.password_file))
    pool = await open_pool(own.model_copy(update={"password_file": password_file}), "test")
    try:
        await set_role_passwords(database.admin_settings(), {login_role("recorder"): "another"})
        with pytest.raises(asyncpg.InvalidPasswordError):
            await new_connection(pool)
        password_file.write_text("another")
        await new_connection(pool)
    finally:
        await pool.close()
        await set_role_passwords(database.admin_settings(), database.server.passwords())


async def new_connection(pool: Pool) -> None:
    await pool.expire_connections()
    await pool.execute("SELECT 1")


async def test_a_connection_that_is_given_back_asks_the_server_for_nothing(database: Database):
    pool = await open_pool(database.settings("recorder"), "asks-once")
    looking = await connect(database.settings("recorder"), "looks")
    try:
        await pool.fetchval("SELECT 41")
        last = await looking.fetchval(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'asks-once' AND pid <> pg_backend_pid()"
        )
        assert last == "SELECT 41"
    finally:
        await looking.close()
        await pool.close()


async def test_a_transaction_that_was_left_open_ends_when_its_connection_is_given_back(database: Database):
    pool = await open_pool(database.settings("recorder"), "leaves")
    try:
        async with pool.acquire() as connection:
            await connection.execute("BEGIN")
        async with pool.acquire() as connection:
            assert not connection.is_in_transaction()
    finally:
        await pool.close()
