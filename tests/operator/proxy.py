"""A way to the API server that misbehaves on demand: refuses, asks to wait, drops watches, and tells of each write.

It speaks for one user, so that who uses it needs no credentials.
"""

import asyncio
import json
import random
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.kube.cluster.control_plane import ControlPlane

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive"}


class Proxy:
    """Listens on a free port of the loopback, in a thread of its own.

    conflicts, waits: the share of the requests that are answered with 409 and 429 (the lease's are left alone: who
    leads is another story). on_write: called with the number of writes that are still to go before it, see `after`.
    """

    def __init__(self, kube: ControlPlane, user: str, chance: random.Random) -> None:
        self.conflicts = 0.0
        self.waits = 0.0
        self.refused = 0
        self._kube = kube
        self._user = user
        self._chance = chance
        self._countdown: tuple[int, Callable[[], None]] | None = None
        self._watches: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopped: asyncio.Event | None = None
        self._started = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    def kubeconfig(self, file: Path) -> Path:
        """A kubeconfig that leads through here."""
        cluster = {"server": f"http://127.0.0.1:{self.port}"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": cluster}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        }
        file.write_text(json.dumps(document))
        return file

    def after(self, writes: int, act: Callable[[], None]) -> None:
        """Act at the write after so many more, once; whether before or after it is done, chance says."""
        self._countdown = (writes, act)

    def drop_watches(self) -> None:
        """Break every watch that is open."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._watches])

    def stop(self) -> None:
        """Close the port and end the thread."""
        if self._stopped is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        self._stopped = asyncio.Event()
        context = ssl.create_default_context(cafile=str(self._kube.ca_certificate))
        context.load_cert_chain(*self._kube._client_certificate(self._user, ()))
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        # What is compressed stays so: it is only passed on.
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            self._started.set()
            await self._stopped.wait()
            for task in self._watches:
                task.cancel()
            await runner.cleanup()
        # A closed session's connections end a little later, and must before the loop does.
        await asyncio.sleep(0.25)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        leases = "/leases" in request.path
        body = await request.read()
        last, act = False, _nothing
        if request.method in WRITES and not leases and self._countdown is not None:
            left, act = self._countdown
            self._countdown = (left - 1, act) if left > 0 else None
            last = left == 0
            if last and self._chance.random() < 0.5:
                act()
                raise web.HTTPServiceUnavailable
        if not leases and "watch" not in request.query:
            if self._chance.random() < self.conflicts and request.method in WRITES:
                self.refused += 1
                return _refusal(409, "Conflict")
            if self._chance.random() < self.waits:
                self.refused += 1
                return _refusal(429, "TooManyRequests", {"Retry-After": "1"})
        answer = await self._forward(request, body)
        if last:
            act()
        return answer

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = f"{self._kube.api_url}{request.rel_url}"
        try:
            async with self._session.request(request.method, url, data=body or None, headers=headers) as upstream:
                kept = {name: value for name, value in upstream.headers.items() if name.lower() not in _HOP}
                if "Content-Encoding" in upstream.headers:
                    kept["Content-Encoding"] = upstream.headers["Content-Encoding"]
                if "watch" not in request.query:
                    return web.Response(status=upstream.status, body=await upstream.read(), headers=kept)
                return await self._stream(request, upstream, kept)
        except (aiohttp.ClientError, OSError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        answer = web.StreamResponse(status=upstream.status, headers=headers)
        await answer.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            async for chunk in upstream.content.iter_any():
                await answer.write(chunk)
        except asyncio.CancelledError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._watches.discard(task)
        return answer


def _nothing() -> None:
    """What is done at most writes."""


def _refusal(code: int, reason: str, headers: dict[str, str] | None = None) -> web.Response:
    said = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code,
        "message": "chance",
    }
    return web.json_response(said, status=code, headers=headers)
