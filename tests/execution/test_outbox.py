"""What the book committed, on its way to the bus."""

import asyncio
import contextlib

import orjson
import pytest

from leadline.execution.adapters import outbox
from leadline.execution.adapters.outbox import OutboxRows, publish_pending, resume_outbox
from leadline.execution.v1 import execution_pb2 as pb
from leadline.local.local_nats import LocalNats
from leadline.model.ids import AccountId, RunId
from leadline.model.subjects import ORDERS, order_subject
from leadline.runtime.bus.bus import BusError, TailLost
from tests.execution.harness.stores import PostgresBooks
from tests.measured import value
from tests.stack import OlderStore, bus_as

pytestmark = pytest.mark.integration

ACCOUNT = AccountId("default/paper")


async def test_an_event_that_is_too_large_for_the_bus_holds_up_no_other(
    postgres_books: PostgresBooks, nats_server: LocalNats
):
    tape = f"{postgres_books.test}-outbox"
    bodies = [{"a": 1}, {"halted": True, "reason": "x" * 1_200_000}, {"a": 3}]
    for number, body in enumerate(bodies, start=1):
        await postgres_books.pool.execute(
            "INSERT INTO order_event (tape, account, event, kind, key, version, instant_ns, body)"
            " VALUES ($1, $2, $3, 'halt', $4, 1, 0, $5)",
            *(tape, ACCOUNT, number, f"halt-{number}", body),
        )
    found = []
    async with bus_as(nats_server, "execution") as bus:
        assert await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus) == 3
        assert await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus) == 0
        async for message in bus.ordered(ORDERS, order_subject("halt", RunId(tape), ACCOUNT)):
            found.append(orjson.loads(pb.StreamOrderEventsResponse.FromString(message.payload).body_json))
            if len(found) == 3:
                break
    assert found == [{"a": 1}, {"halted": True, "cut": len(orjson.dumps(bodies[1]))}, {"a": 3}]


async def commit_five(postgres_books: PostgresBooks, tape: RunId, account: AccountId) -> None:
    """Five events of an account that are not published."""
    await postgres_books.pool.execute(
        """
        INSERT INTO order_event (tape, account, event, kind, key, version, instant_ns, body)
        SELECT $1, $2, n, 'order', 'k' || n, 1, n, '{"state": "WORKING"}' FROM generate_series(1, 5) n
        """,
        *(tape, account),
    )


def unpublished(account: AccountId) -> float:
    return value("leadline_outbox_unpublished", account=account)


@pytest.mark.moves("leadline_outbox_unpublished")
async def test_the_gauge_shows_what_the_bus_has_not_taken_and_falls_when_it_has(
    postgres_books: PostgresBooks, nats_server: LocalNats, monkeypatch
):
    tape, account = f"{postgres_books.test}-unpublished", "default/unpublished"
    monkeypatch.setattr(outbox, "BATCH", 3)
    await commit_five(postgres_books, RunId(tape), AccountId(account))

    async def publish() -> int:
        while True:
            with contextlib.suppress(BusError):
                return await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), AccountId(account)), bus)

    async with bus_as(nats_server, "execution") as bus:
        nats_server.stop()
        publishing = asyncio.create_task(publish())
        try:
            while unpublished(AccountId(account)) != 5:  # noqa: ASYNC110 - a gauge tells nobody
                await asyncio.sleep(0.05)
            assert not publishing.done()
        finally:
            nats_server.start()
        assert await publishing == 3
        assert unpublished(AccountId(account)) == 2
        assert await publish() == 2
        assert unpublished(AccountId(account)) == 0


async def test_a_long_outage_is_counted_no_further_than_its_bound(
    postgres_books: PostgresBooks, nats_server: LocalNats, monkeypatch
):
    tape, account = f"{postgres_books.test}-long", "default/long"
    monkeypatch.setattr(outbox, "MOST_COUNTED", 4)
    monkeypatch.setattr(outbox, "BATCH", 1)
    await commit_five(postgres_books, RunId(tape), AccountId(account))
    async with bus_as(nats_server, "execution") as bus:
        assert await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), AccountId(account)), bus) == 1
    assert unpublished(AccountId(account)) == 3, "four were counted, and one of them is out"


async def test_events_that_the_bus_has_lost_go_out_again(
    postgres_books: PostgresBooks, nats_server: LocalNats, tmp_path
):
    """Each kind has a subject of its own; what is lost of them is what the stream had last."""
    tape = f"{postgres_books.test}-outbox"

    async def commit(begin: int, end: int) -> None:
        for number in range(begin, end):
            await postgres_books.pool.execute(
                "INSERT INTO order_event (tape, account, event, kind, key, version, instant_ns, body)"
                " VALUES ($1, $2, $3, $4, $5, 1, 0, $6)",
                *(tape, ACCOUNT, number, "fill" if number % 3 else "order", f"{number}", {"a": number}),
            )

    async with bus_as(nats_server, "execution") as bus:
        assert await resume_outbox(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus) == 0
        await commit(1, 11)
        assert await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus) == 10
        older = OlderStore(nats_server, tmp_path)
        await commit(11, 21)
        assert await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus) == 10
        older.put_back()
        await commit(21, 23)
        with pytest.raises(TailLost):
            await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus)
        # As another process finds it.
        async with bus_as(nats_server, "execution") as other:
            assert await resume_outbox(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), other) == 10
        await resume_outbox(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus)
        assert await publish_pending(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus) == 12
        assert await resume_outbox(OutboxRows(postgres_books.pool, RunId(tape), ACCOUNT), bus) == 0
        found = []
        async for message in bus.ordered(ORDERS, f"ll.{tape}.*.default.paper"):
            found.append(pb.StreamOrderEventsResponse.FromString(message.payload).event)
            if len(found) == 22:
                break
    assert found == list(range(1, 23))
