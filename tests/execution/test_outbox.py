"""What the book committed, on its way to the bus."""

import orjson
import pytest

from leadline.execution.outbox import publish_pending
from leadline.execution.v1 import execution_pb2 as pb
from leadline.plan.servers import LocalNats
from leadline.runtime.subjects import ORDERS, order_subject
from tests.execution.harness.world import Books
from tests.stack import bus_as

pytestmark = pytest.mark.integration

ACCOUNT = "default/paper"


async def test_an_event_that_is_too_large_for_the_bus_holds_up_no_other(books: Books, nats_server: LocalNats):
    tape = f"{books.test}-outbox"
    bodies = [{"a": 1}, {"halted": True, "reason": "x" * 1_200_000}, {"a": 3}]
    for number, body in enumerate(bodies, start=1):
        await books.pool.execute(
            "INSERT INTO order_event (tape, account, event, kind, key, version, instant_ns, body)"
            " VALUES ($1, $2, $3, 'halt', $4, 1, 0, $5)",
            *(tape, ACCOUNT, number, f"halt-{number}", body),
        )
    found = []
    async with bus_as(nats_server, "execution") as bus:
        assert await publish_pending(books.pool, bus, tape, ACCOUNT) == 3
        assert await publish_pending(books.pool, bus, tape, ACCOUNT) == 0
        async for message in bus.ordered(ORDERS, order_subject("halt", tape, ACCOUNT)):
            found.append(orjson.loads(pb.StreamOrderEventsResponse.FromString(message.payload).body_json))
            if len(found) == 3:
                break
    assert found == [{"a": 1}, {"halted": True, "cut": len(orjson.dumps(bodies[1]))}, {"a": 3}]
