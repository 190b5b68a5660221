"""Those who follow an account's events: all of them, in order, and few reads however many they are."""

import asyncio
from typing import Any

import pytest

from leadline.execution.adapters import tail as tails
from leadline.execution.adapters.tail import EventTail
from leadline.model.ids import AccountId, RunId
from leadline.runtime.database import Pool
from tests.execution.harness.stores import PostgresBooks

pytestmark = pytest.mark.integration


class Counted:
    """A pool that counts what it is asked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.asked = 0

    async def fetch(self, *arguments: Any) -> Any:
        self.asked += 1
        return await self._pool.fetch(*arguments)

    async def fetchval(self, *arguments: Any) -> Any:
        self.asked += 1
        return await self._pool.fetchval(*arguments)


async def commit(postgres_books: PostgresBooks, first: int, last: int) -> None:
    """Events of the test's account."""
    await postgres_books.pool.execute(
        """
        INSERT INTO order_event (tape, account, event, kind, key, version, instant_ns, body)
        SELECT $1, 'default/paper', n, 'order', 'k' || n, 1, n, '{"state": "WORKING"}'
        FROM generate_series($2::int, $3::int) n
        """,
        postgres_books.test,
        first,
        last,
    )


async def read(tail: EventTail, after: int, last: int) -> list[int]:
    """The numbers of the events from one to another."""
    found = []
    async for message in tail.follow(after):
        found.append(message.event)
        if message.event == last:
            break
    return found


@pytest.mark.parametrize("kept", [5_000, 10])
async def test_everybody_gets_every_event_once_and_in_order(postgres_books: PostgresBooks, monkeypatch, kept: int):
    monkeypatch.setattr(tails, "KEPT_EVENTS", kept)
    monkeypatch.setattr(tails, "EVENTS_PER_SECOND", 1_000_000)
    tail = EventTail(postgres_books.reader, RunId(postgres_books.test), AccountId("default/paper"))
    running = asyncio.create_task(tail.run())
    await commit(postgres_books, 1, 1_200)
    readers = [asyncio.create_task(read(tail, after, 1_500)) for after in (0, 700, 1_200, 1_499)]
    await asyncio.sleep(0)
    await commit(postgres_books, 1_201, 1_500)
    tail.note()
    async with asyncio.timeout(30):
        found = await asyncio.gather(*readers)
    assert found == [list(range(after + 1, 1_501)) for after in (0, 700, 1_200, 1_499)]
    running.cancel()


async def test_two_hundred_at_the_end_are_read_for_once(postgres_books: PostgresBooks, monkeypatch):
    monkeypatch.setattr(tails, "EVENTS_PER_SECOND", 1_000_000)
    counted = Counted(postgres_books.reader)
    tail = EventTail(counted, postgres_books.test, "default/paper")  # type: ignore[arg-type]
    running = asyncio.create_task(tail.run())
    await commit(postgres_books, 1, 5)
    # One who has read the rest says where the end is.
    await read(tail, 0, 5)
    asked = counted.asked
    readers = [asyncio.create_task(read(tail, 5, 9)) for _ in range(200)]
    await asyncio.sleep(0)
    await commit(postgres_books, 6, 9)
    tail.note()
    async with asyncio.timeout(30):
        assert await asyncio.gather(*readers) == [[6, 7, 8, 9]] * 200
    assert counted.asked - asked <= 2  # as they begin to follow, and for what was committed
    running.cancel()
