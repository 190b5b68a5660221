"""A network that misbehaves: a proxy between a client and a server, for TCP and for Unix sockets.

Every kind of trouble begins and ends while both ends run. Neither end knows the proxy.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

CHUNK_BYTES: Final = 64 * 1024
# SO_LINGER with zero seconds: a close sends RST instead of FIN, and throws away what is not delivered.
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a Unix socket's `path`, or a `port` of the loopback interface."""

    port: int = 0
    path: str = ""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to it. Raises OSError."""
        if self.path:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_connection("127.0.0.1", self.port)


class Proxy:
    """Passes bytes between whoever connects to `address` and the server at `upstream`, as it is told to.

    `accepted` counts the connections that were taken, `passed_bytes` what went through in both directions.
    """

    def __init__(self, address: Address, upstream: Address) -> None:
        self.address = address
        self.upstream = upstream
        self.accepted = 0
        self.passed_bytes = 0
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay_s = 0.0
        self._most_bytes = CHUNK_BYTES
        self._reset_after: int | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        """Take connections. Raises OSError."""
        if self.address.path:
            self._server = await asyncio.start_unix_server(self._accept, self.address.path)
        else:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.address.port, reuse_address=True)
            self.address = Address(port=self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections and end those that there are. Idempotent."""
        await self._refuse()
        self._end_all()
        await asyncio.gather(*self._links, return_exceptions=True)

    # --- what may be wrong with a network ---

    @contextlib.asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        """Every connection ends, and no other is taken."""
        await self._refuse()
        self._end_all()
        yield
        await self.listen()

    @contextlib.asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """What is connected goes on; nobody else is let in."""
        await self._refuse()
        yield
        await self.listen()

    @contextlib.asynccontextmanager
    async def half_open(self, *, delivers: bool = False) -> AsyncIterator[None]:
        """Every connection stays open, also a new one, and not a byte gets through.

        Afterwards the connections of before are dead for ever, as behind a router that has forgotten them; or, with
        `delivers`, what was on its way arrives then, late.
        """
        before, self._flows = self._flows, asyncio.Event()
        before.clear()
        yield
        self._flows.set()
        if delivers:
            before.set()
            before = self._flows

    @contextlib.asynccontextmanager
    async def slow(self, delay_s: float, most_bytes: int = CHUNK_BYTES) -> AsyncIterator[None]:
        """Each piece of at most so many bytes takes so long."""
        self._delay_s, self._most_bytes = delay_s, most_bytes
        yield
        self._delay_s, self._most_bytes = 0.0, CHUNK_BYTES

    @contextlib.asynccontextmanager
    async def resetting(self, after_bytes: int) -> AsyncIterator[None]:
        """A connection is reset when so many more bytes have come through, and each new one after as many."""
        self._reset_after = after_bytes
        yield
        self._reset_after = None

    # --- how it passes bytes ---

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _end_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for link in self._links:
            link.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        self._writers.add(writer)
        try:
            await self._link(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._links.discard(link)
            self._writers.discard(writer)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flows = self._flows
        await flows.wait()
        from_server, to_server = await self.upstream.connect()
        self._writers.add(to_server)
        budget = [0]
        try:
            async with asyncio.TaskGroup() as both:
                ends = (writer, to_server)
                both.create_task(self._pump(reader, to_server, flows, budget, ends))
                both.create_task(self._pump(from_server, writer, flows, budget, ends))
        except* OSError:
            pass
        finally:
            self._writers.discard(to_server)
            for end in (writer, to_server):
                end.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        flows: asyncio.Event,
        passed: list[int],
        ends: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            while data:
                piece, data = data[: self._most_bytes], data[self._most_bytes :]
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await flows.wait()
                if self._reset_after is not None:
                    passed[0] += len(piece)
                    if passed[0] > self._reset_after:
                        for end in ends:
                            _reset(end)
                        raise ConnectionResetError
                writer.write(piece)
                await writer.drain()
                self.passed_bytes += len(piece)
        # The other end says no more: neither does this one.
        raise ConnectionResetError


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def proxied(address: Address, upstream: Address) -> AsyncIterator[Proxy]:
    """A proxy that listens, closed at the end."""
    proxy = Proxy(address, upstream)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
