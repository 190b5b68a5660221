"""Committed events for those who follow them: read once for all of them, apart from the book's own connections.

However many follow, the account's database sees one reader at the end of the events and one that fetches older pages,
and the account's event loop a bounded number of events a second.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

import asyncpg

from leadline.execution.adapters.outbox import BATCH, event_message, read_events
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.ids import AccountId, RunId
from leadline.runtime.database import DATABASE_LOST, Pool
from leadline.runtime.retry import until_done
from leadline.runtime.rpc.pace import Pace

KEPT_EVENTS: Final = 5_000
"""Events at the end that are held for all; who is farther behind reads pages."""

EVENTS_PER_SECOND: Final = 500
"""Events given to all followers together: each takes about a tenth of a millisecond of the account's own loop."""

AT_ONCE: Final = 20
"""Events of a follower that are given one after the other before somebody else has a turn."""

GATHER_SECONDS: Final = 0.05
"""How long events are gathered before they are read: one query for many commits."""

AGAIN_SECONDS: Final = 1.0


class EventTail:
    """The events of one account on one tape. `run` is a task of the service; `note` says that there are new ones."""

    def __init__(self, pool: Pool, tape: RunId, account: AccountId) -> None:
        self._pool = pool
        self._scope = (tape, account)
        self._kept: deque[pb.StreamOrderEventsResponse] = deque(maxlen=KEPT_EVENTS)
        self._last: int | None = None
        self._followers = 0
        self._news = asyncio.Event()
        self._grown = asyncio.Event()
        self._page = asyncio.Lock()
        self._pace = Pace(EVENTS_PER_SECOND)

    def note(self) -> None:
        """Something was committed."""
        self._news.set()

    async def run(self) -> None:
        """Read what was committed, as long as somebody follows."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._followers:
                continue
            await until_done(self._catch_up, "database", DATABASE_LOST, most_s=AGAIN_SECONDS)
            await asyncio.sleep(GATHER_SECONDS)

    async def _catch_up(self) -> None:
        while await self._read_on():
            pass

    async def follow(self, after: int) -> AsyncGenerator[pb.StreamOrderEventsResponse, None]:
        """Events after a number, and then as they come. Raises what the database raises while older ones are read."""
        self._followers += 1
        self._news.set()
        try:
            while True:
                grown = self._grown
                batch = self._from_memory(after)
                if batch is None:
                    batch = await self._older(after)
                if not batch:
                    await grown.wait()
                    continue
                for start in range(0, len(batch), AT_ONCE):
                    part = batch[start : start + AT_ONCE]
                    await self._pace.take(len(part))
                    for message in part:
                        yield message
                after = batch[-1].event
        finally:
            self._followers -= 1

    def _from_memory(self, after: int) -> list[pb.StreamOrderEventsResponse] | None:
        """The events in memory after a number; None when older ones have to be read first."""
        if self._last is None:
            return []
        first = self._kept[0].event if self._kept else self._last + 1
        if after < first - 1:
            return None
        return [message for message in self._kept if message.event > after]

    async def _older(self, after: int) -> list[pb.StreamOrderEventsResponse]:
        async with self._page:
            return [event_message(row) for row in await read_events(self._pool, *self._scope, after)]

    async def _read_on(self) -> bool:
        """Read what has come since; says whether there may be more."""
        if self._last is None:
            query = "SELECT coalesce(max(event), 0) FROM order_event WHERE tape = $1 AND account = $2"
            self._last = await self._pool.fetchval(query, *self._scope)
            rows: list[asyncpg.Record] = []
        else:
            rows = await read_events(self._pool, *self._scope, self._last)
        for row in rows:
            self._kept.append(event_message(row))
            self._last = int(row["event"])
        self._grown.set()
        self._grown = asyncio.Event()
        return len(rows) == BATCH
