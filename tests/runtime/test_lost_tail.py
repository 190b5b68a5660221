"""A server that comes back with an older store: publishers hear of it before they say anything else."""

import asyncio
from contextlib import aclosing

import pytest

from leadline.local.local_nats import LocalNats
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import TICKS, tick_subject
from leadline.runtime.bus.bus import Bus, TailLost
from tests.measured import total, value
from tests.stack import OlderStore, bus_as

pytestmark = pytest.mark.integration

MES, ES = (tick_subject(RunId("t"), "cme", ContractId(contract)) for contract in ("MESZ2025", "ESZ2025"))
PATIENCE_S = 30


def numbered(begin: int, end: int, subject: str = MES) -> list[tuple[str, bytes, str]]:
    return [(subject, b"%d" % n, f"{subject}/{n}") for n in range(begin, end)]


async def stored(bus: Bus, count: int, subject: str = MES) -> list[int]:
    found: list[int] = []
    async with aclosing(bus.ordered(TICKS, subject)) as messages:
        async for message in messages:
            found.append(int(message.payload))
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize("size", [1, 20])
async def test_nothing_is_published_behind_a_lost_tail_until_the_publisher_knows(
    nats_server: LocalNats, tmp_path, size
):
    """One by one and in a batch: the next message would leave a hole that no reader can see."""
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, 10))
        await bus.publish_many(numbered(0, 3, ES))
        older = OlderStore(nats_server, tmp_path)
        await bus.publish_many(numbered(10, 20))
        older.put_back()
        with pytest.raises(TailLost, match="MESZ2025"):
            await bus.publish_many(numbered(20, 20 + size))
        await bus.publish_many(numbered(3, 4, ES))  # it has lost nothing
        last = await bus.resume(TICKS, MES)
        assert last is not None
        await bus.publish_many(numbered(int(last.payload) + 1, 20 + size))
        assert await stored(bus, 20 + size) == list(range(20 + size))
        assert await stored(bus, 4, ES) == list(range(4))


@pytest.mark.moves("leadline_bus_tails_lost_total")
async def test_a_publisher_that_has_nothing_to_say_hears_of_it_too(nats_server: LocalNats, tmp_path):
    before = total("leadline_bus_tails_lost_total")
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.resume(TICKS, MES)
        older = OlderStore(nats_server, tmp_path)
        await bus.publish_many(numbered(0, 1))
        lost = asyncio.create_task(bus.tail_lost([ES, MES]))
        older.put_back()
        await asyncio.wait_for(lost, PATIENCE_S)
        assert await bus.resume(TICKS, MES) is None
    assert total("leadline_bus_tails_lost_total") > before


async def test_what_is_removed_from_the_front_is_not_lost(nats_server: LocalNats):
    """Old messages go for their age, or to make room."""
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, 10))
        await bus.publish_many(numbered(0, 1, ES))
        await bus.purge(TICKS, MES)
        nats_server.kill()
        nats_server.start()
        await bus.publish_many(numbered(10, 11))
        assert await stored(bus, 1) == [10]


@pytest.mark.moves("leadline_bus_duplicates_total", "leadline_bus_ids_taken_total")
async def test_a_message_whose_id_another_one_has_is_stored_all_the_same(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        names = ("leadline_bus_duplicates_total", "leadline_bus_ids_taken_total")
        before = [value(name, kind="tick") for name in names]
        for payload in (b"1", b"1", b"2", b"2", b"3"):
            await bus.publish(MES, payload, f"{MES}/same")
        assert await stored(bus, 3) == [1, 2, 3]
        assert (await bus.state(TICKS)).messages == 3
        assert [value(name, kind="tick") - first for name, first in zip(names, before, strict=True)] == [4, 3]
