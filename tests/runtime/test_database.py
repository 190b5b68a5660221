"""What becomes of a statement whose connection dies under it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from leadline.runtime.database import DATABASE_LOST, connect, copy_rows
from leadline.runtime.settings import DatabaseSettings
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
