"""A bounded window of messages pulled from a consumer: never more than asked for, and never silent for long."""

import asyncio
import contextlib
from collections import deque
from typing import Final

import nats.errors
import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from leadline.model.durations import NS_PER_SECOND
from leadline.runtime.bus._link import BusTrouble, Link

MAX_BYTES_PER_PULL: Final = 8 * 1024 * 1024
PULL_EXPIRES_SECONDS: Final = 30.0
HEARTBEAT_SECONDS: Final = 2.0
# Three heartbeats missed: the consumer or its server is gone.
SILENT_SECONDS: Final = 3 * HEARTBEAT_SECONDS

_HEARTBEAT: Final = "100"
# What ends one pull request and leaves the consumer well: nothing there, expired, its messages or bytes used up.
_PULL_ENDED: Final = ("404", "408")
_PULL_USED_UP: Final = ("batch completed", "message size exceeds maxbytes")


class Puller:
    """Messages of one consumer in order, with at most `window` of them here or on their way.

    Make it with `Puller.open`. A reader that is slow asks for nothing, so nothing is dropped and nothing piles up.
    """

    def __init__(self, link: Link, stream: str, consumer: str, window: int) -> None:
        self._link = link
        self._request = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = link.new_inbox()
        self._window = window
        self._asked = 0
        self._here: deque[Msg] = deque()
        self._arrived = asyncio.Event()
        self._trouble: str | None = None
        self._subscription: Subscription | None = None
        self._unwatch = link.watch(self._lost)

    @classmethod
    async def open(cls, link: Link, stream: str, consumer: str, window: int) -> "Puller":
        """Start pulling. Raises BusTrouble when the connection is lost."""
        puller = cls(link, stream, consumer, window)
        puller._subscription = await link.listen(puller._inbox, puller._receive)
        return puller

    async def next(self) -> Msg:
        """The next message, waiting for it as long as it takes. Raises BusTrouble when the consumer is lost."""
        while not self._here:
            await self._wait()
        message = self._here.popleft()
        await self._top_up()
        return message

    async def take(self, most: int, timeout_s: float) -> list[Msg]:
        """At most `most` messages that are here; waits `timeout_s` for the first. Raises BusTrouble as `next` does."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._here:
                    await self._wait()
        if not self._here:
            return []
        taken = [self._here.popleft() for _ in range(min(most, len(self._here)))]
        await self._top_up()
        return taken

    async def close(self) -> None:
        """Stop listening; messages that are here are forgotten."""
        self._unwatch()
        self._here.clear()
        if self._subscription is not None and not self._link.lost.is_set():
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._subscription.unsubscribe()

    async def _wait(self) -> None:
        if self._trouble is not None:
            raise BusTrouble(self._trouble)
        await self._top_up()
        self._arrived.clear()
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                await self._arrived.wait()
        except TimeoutError:
            if not self._here:
                raise BusTrouble(f"{self._request}: silent for {SILENT_SECONDS:g} s") from None

    async def _top_up(self) -> None:
        missing = self._window - len(self._here) - self._asked
        if 2 * missing < self._window:
            return
        pull = {
            "batch": missing,
            "max_bytes": MAX_BYTES_PER_PULL,
            "expires": int(PULL_EXPIRES_SECONDS * NS_PER_SECOND),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * NS_PER_SECOND),
        }
        self._asked += missing
        await self._link.send(self._request, orjson.dumps(pull), reply=self._inbox)

    async def _receive(self, message: Msg) -> None:
        status = message.headers.get("Status") if message.headers else None
        if status is None:
            self._here.append(message)
            self._asked = max(0, self._asked - 1)
        elif status != _HEARTBEAT:
            self._ended(status, message.headers or {})
        self._arrived.set()

    def _ended(self, status: str, headers: dict[str, str]) -> None:
        description = headers.get("Description", "")
        if status in _PULL_ENDED or description.lower() in _PULL_USED_UP:
            self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages", 0)))
        else:
            self._trouble = f"{self._request}: {status} {description}".strip()

    def _lost(self) -> None:
        self._trouble = "the connection to the bus was lost"
        self._arrived.set()
