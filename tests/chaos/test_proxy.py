"""What the misbehaving network does to a client and a server that only send back what they hear."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.proxy import Address, Proxy, proxied


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1000):
            writer.write(data)
    writer.close()


@pytest.fixture(params=["tcp", "unix"])
async def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Proxy]:
    if request.param == "tcp":
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        here, there = Address(), Address(port=server.sockets[0].getsockname()[1])
    else:
        server = await asyncio.start_unix_server(_echo, tmp_path / "server")
        here, there = Address(path=str(tmp_path / "proxy")), Address(path=str(tmp_path / "server"))
    async with proxied(here, there) as found:
        yield found
    server.close()


class Client:
    """Says something, and hears whether it comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hears(self, data: bytes, within_s: float = 1) -> bytes:
        """What comes back in time; empty for an end or nothing."""
        self.writer.write(data)
        return await self.listens(len(data), within_s)

    async def listens(self, size: int, within_s: float = 1) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.readexactly(size), within_s)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return b""

    async def ended(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), 1) == b""
        except ConnectionError:
            return True


Connect = Callable[[], Awaitable[Client]]


@pytest.fixture
async def connect(proxy: Proxy) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def connected() -> Client:
        clients.append(Client(*await proxy.address.connect()))
        return clients[-1]

    yield connected
    for client in clients:
        client.writer.transport.abort()
    await asyncio.sleep(0.01)


async def test_a_cut_ends_what_is_connected_and_lets_nobody_in_until_it_is_over(proxy: Proxy, connect: Connect):
    client = await connect()
    assert await client.hears(b"before") == b"before"
    async with proxy.cut():
        assert await client.ended()
        with pytest.raises(OSError, match=r"refused|No such file|Connect call failed"):
            await connect()
    assert await (await connect()).hears(b"after") == b"after"


async def test_who_is_connected_goes_on_while_others_are_refused(proxy: Proxy, connect: Connect):
    client = await connect()
    assert await client.hears(b"before") == b"before"
    async with proxy.refusing():
        assert await client.hears(b"still") == b"still"
        with pytest.raises(OSError, match=r"refused|No such file|Connect call failed"):
            await connect()
    assert await (await connect()).hears(b"after") == b"after"


async def test_a_half_open_connection_is_dead_for_ever_and_a_new_one_is_not(proxy: Proxy, connect: Connect):
    client = await connect()
    assert await client.hears(b"before") == b"before"
    async with proxy.half_open():
        assert await client.hears(b"lost", 0.1) == b""
        late = await connect()
        assert await late.hears(b"lost", 0.1) == b""
    assert await client.hears(b"dead", 0.1) == b""
    assert await (await connect()).hears(b"after") == b"after"


async def test_what_was_on_its_way_may_arrive_late(proxy: Proxy, connect: Connect):
    client = await connect()
    async with proxy.half_open(delivers=True):
        assert await client.hears(b"late", 0.1) == b""
    assert await client.listens(4) == b"late"
    assert await client.hears(b"after") == b"after"


async def test_a_slow_network_delivers_in_small_pieces(proxy: Proxy, connect: Connect):
    client = await connect()
    assert await client.hears(b"before") == b"before"
    async with proxy.slow(0.02, most_bytes=2):
        client.writer.write(b"0123456789")
        assert await client.listens(10, 0.1) == b""
    assert await client.hears(b"x" * 10, 3)


async def test_a_connection_is_reset_after_so_many_bytes(proxy: Proxy, connect: Connect):
    client = await connect()
    async with proxy.resetting(10):
        assert await client.hears(b"12345") == b"12345"
        assert await client.hears(b"6") == b""
        assert await client.ended()
    assert await (await connect()).hears(b"after") == b"after"
