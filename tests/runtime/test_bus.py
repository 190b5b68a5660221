import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from nats.aio.msg import Msg
from opentelemetry.sdk.trace import TracerProvider

from leadline.local.local_nats import LocalNats
from leadline.model.errors import Unknown
from leadline.model.ids import AccountId, ContractId, RunId
from leadline.model.subjects import BARS, ORDERS, TICKS, order_subject, tick_subject
from leadline.runtime.bus import _link
from leadline.runtime.bus._link import BusTrouble, Link
from leadline.runtime.bus.bus import Bus, BusDenied, BusUnavailable, Received, StreamFull, open_bus
from leadline.schema.permissions import MIGRATE_USER
from leadline.schema.streams import migrate_bus
from tests.measured import total
from tests.stack import bus_as

pytestmark = pytest.mark.integration

MES = tick_subject(RunId("r1"), "sim", ContractId("MESZ6"))
ES = tick_subject(RunId("r1"), "sim", ContractId("ESZ6"))


def numbered(first: int, count: int, subject: str = MES, size: int = 40) -> list[tuple[str, bytes, str]]:
    return [(subject, str(i).encode().ljust(size), f"{subject}/{i}") for i in range(first, first + count)]


async def read(bus: Bus, count: int, subject: str = "ll.*.tick.>", start="all") -> list[Received]:
    found: list[Received] = []
    async with contextlib.aclosing(bus.ordered(TICKS, subject, start=start)) as messages:
        async for message in messages:
            found.append(message)
            if len(found) == count:
                return found
    raise AssertionError


def numbers(messages: list[Received]) -> list[int]:
    return [int(message.payload) for message in messages]


async def test_a_published_message_is_read_with_its_subject_payload_and_id(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as writer, bus_as(nats_server, "aggregation") as reader:
        await writer.publish(MES, b"prints", f"{MES}/0-9")
        (message,) = await read(reader, 1)
    assert (message.subject, message.payload, message.message_id) == (MES, b"prints", f"{MES}/0-9")


async def test_a_message_id_published_twice_is_stored_once(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish(MES, b"0", "a")
        await bus.publish(MES, b"0", "a")
        await bus.publish_many(numbered(0, 40))
        await bus.publish_many(numbered(20, 40))
        assert (await bus.state(TICKS)).messages == 1 + 60
        assert numbers((await read(bus, 61))[1:]) == list(range(60))


@pytest.mark.parametrize("count", [1, 11, 12, 256, 700])
async def test_many_messages_keep_their_order(nats_server: LocalNats, count: int):
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, count))
        assert numbers(await read(bus, count)) == list(range(count))


async def test_messages_of_several_streams_in_one_call_all_arrive(nats_server: LocalNats):
    account = "default/paper"
    async with bus_as(nats_server, "execution") as bus:
        mixed = [
            (order_subject("order" if i % 2 else "fill", RunId("r1"), AccountId(account)), b"", f"m{i}")
            for i in range(50)
        ]
        await bus.publish_many(mixed)
        assert (await bus.state(ORDERS)).messages == 50


async def test_a_reader_that_starts_with_the_last_gets_the_last_of_each_subject_and_what_follows(
    nats_server: LocalNats,
):
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, 3) + numbered(10, 3, ES))
        messages = bus.ordered(TICKS, "ll.*.tick.>", start="last")
        assert [int((await anext(messages)).payload) for _ in range(2)] == [2, 12]
        await bus.publish_many(numbered(3, 1))
        assert int((await anext(messages)).payload) == 3
        await messages.aclose()


async def test_a_reader_that_starts_new_gets_only_what_follows(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, 3))
        reading = asyncio.create_task(read(bus, 1, start="new"))
        # The reader is there when the server has its consumer: it is the second one, after the recorder's.
        await consumer_count(bus, 2)
        await bus.publish_many(numbered(3, 1))
        assert numbers(await reading) == [3]


async def consumer_count(bus: Bus, wanted: int) -> None:
    async with asyncio.timeout(10):
        while (await bus.api(f"STREAM.INFO.{TICKS}"))["state"]["consumer_count"] < wanted:  # noqa: ASYNC110 - a server's
            await asyncio.sleep(0.01)


async def test_the_last_message_of_a_subject_can_be_asked_for(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        assert await bus.last(TICKS, MES) is None
        await bus.publish_many(numbered(0, 3))
        found = await bus.last(TICKS, MES)
        assert found is not None
        assert (found.sequence, int(found.payload), found.message_id) == (3, 2, f"{MES}/2")


async def test_purge_removes_one_subject_or_its_messages_before_a_sequence(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, 5) + numbered(5, 5, ES))
        await bus.purge(TICKS, MES, before=4)
        assert numbers(await read(bus, 7)) == [3, 4, 5, 6, 7, 8, 9]
        await bus.purge(TICKS, MES)
        assert numbers(await read(bus, 5)) == [5, 6, 7, 8, 9]


async def test_a_reader_goes_on_when_what_it_has_read_is_purged(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, 600))
        messages = bus.ordered(TICKS, MES)
        got = [await anext(messages) for _ in range(10)]
        await bus.purge(TICKS, MES, before=500)
        nats_server.restart()
        await bus.publish_many(numbered(600, 20))
        while int(got[-1].payload) < 619:
            got.append(await anext(messages))
        await messages.aclose()
    seen = numbers(got)
    assert seen == sorted(set(seen))
    assert seen[-120:] == list(range(500, 620))  # 500 is sequence 501, and what is prefetched may come before


@pytest.mark.parametrize("count", [1, 40])
async def test_a_denied_publish_says_so_at_the_call_and_at_once(nats_server: LocalNats, count: int):
    async with bus_as(nats_server, "aggregation", timeout_s=60) as bus:
        async with asyncio.timeout(3):
            with pytest.raises(BusDenied, match=r"ll\.r1\.tick\.sim\.MESZ6"):
                await bus.publish_many(numbered(0, count))
        assert (await bus.state(TICKS)).messages == 0


async def test_what_a_service_has_no_business_with_is_denied(nats_server: LocalNats):
    async with bus_as(nats_server, "analysis") as bus:
        with pytest.raises(BusDenied):
            await anext(bus.ordered(TICKS, MES))
        with pytest.raises(BusDenied):
            await bus.purge(TICKS, MES)
        with pytest.raises(BusDenied):
            await bus.durable(BARS, "recorder")
        with pytest.raises(BusDenied):
            await bus.api(f"STREAM.DELETE.{BARS}")


async def test_a_wrong_password_is_an_error_and_no_endless_wait(nats_server: LocalNats, tmp_path):
    (tmp_path / "wrong").write_text("wrong")
    settings = nats_server.settings("ingestion").model_copy(update={"password_file": tmp_path / "wrong"})
    async with asyncio.timeout(5):
        with pytest.raises(BusDenied, match="ingestion"):
            await open_bus(settings)


async def test_a_stream_that_is_not_there_is_unknown(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as bus:
        with pytest.raises(Unknown, match="NOPE"):
            await bus.state("NOPE")
        with pytest.raises(Unknown, match="NOPE"):
            await anext(bus.ordered("NOPE", MES))
        with pytest.raises(Unknown, match="TICKS/nobody"):
            await bus.durable(TICKS, "nobody")


@pytest.mark.parametrize("count", [5, 100])
async def test_a_full_stream_refuses_and_takes_again_after_a_purge(nats_server: LocalNats, count: int):
    async with bus_as(nats_server, MIGRATE_USER) as admin:
        assert await migrate_bus(admin, tick_bytes=20_000) == [TICKS]
    async with bus_as(nats_server, "ingestion") as bus:
        await bus.publish_many(numbered(0, 15, size=1000))
        late = numbered(15, count, size=6000 // count * 5)
        with pytest.raises(StreamFull) as full:
            await bus.publish_many(late)
        assert full.value.stream == TICKS
        await bus.purge(TICKS, MES)
        await bus.publish_many(late[:3])
        assert numbers(await read(bus, 3))[-1] == 17


async def test_a_full_stream_never_takes_a_later_message_before_an_earlier_one(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as admin:
        await migrate_bus(admin, tick_bytes=20_000)
    async with bus_as(nats_server, "ingestion") as bus:
        small_after_large = [*numbered(0, 40, size=600), *numbered(40, 20, size=1)]
        for messages in (small_after_large, small_after_large[:8] + small_after_large[30:33]):
            with contextlib.suppress(StreamFull):
                await bus.publish_many(messages)
            stored = (await bus.state(TICKS)).messages
            if stored:
                found = numbers(await read(bus, stored))
                assert found == [int(payload) for _, payload, _ in messages[:stored]]


async def test_an_unreachable_bus_is_reported_after_the_patience(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion", timeout_s=0.5) as bus:
        nats_server.stop()
        with pytest.raises(BusUnavailable, match=r"0\.5 s"):
            await bus.publish(MES, b"", "a")
        with pytest.raises(BusUnavailable):
            await open_bus(nats_server.settings("ingestion"), timeout_s=0.2)
    nats_server.start()


@pytest.mark.parametrize("batch", [1, 50])
async def test_no_message_is_lost_doubled_or_moved_when_the_server_is_killed_again_and_again(
    nats_server: LocalNats, batch: int
):
    total, kills = (900, 3) if batch == 1 else (20_000, 3)
    async with bus_as(nats_server, "ingestion") as writer, bus_as(nats_server, "aggregation") as reader:
        due = [(kill * total // (kills + 1), asyncio.Event()) for kill in range(1, kills + 1)]

        async def write() -> None:
            for first in range(0, total, batch):
                await writer.publish_many(numbered(first, batch))
                for at, event in due:
                    if first >= at:
                        event.set()

        reading = asyncio.create_task(read(reader, total, MES))
        writing = asyncio.create_task(write())
        for _, event in due:
            await event.wait()
            nats_server.kill()
            nats_server.start()
        await writing
        async with asyncio.timeout(30):
            found = await reading
    assert numbers(found) == list(range(total))


async def until_nothing_is_taken(link: Link) -> None:
    """Wait until the socket has taken what it takes of what is on its way, and the rest waits in this process."""
    async with asyncio.timeout(20):
        while True:
            wire = link._client._transport
            assert wire is not None
            if wire._io_writer.transport.get_write_buffer_size():  # type: ignore[attr-defined]
                return
            await asyncio.sleep(0.01)


async def test_a_server_killed_while_more_is_on_its_way_than_it_takes_is_found_again(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        assert nats_server.pid is not None
        os.kill(nats_server.pid, signal.SIGSTOP)
        large = numbered(0, 64, size=500_000)
        writing = asyncio.gather(*(bus.publish(*message) for message in large))
        assert bus._link is not None
        await until_nothing_is_taken(bus._link)
        nats_server.kill()
        nats_server.start()
        async with asyncio.timeout(5):
            await writing
        assert (await bus.state(TICKS)).messages == len(large)


@pytest.fixture
def frozen(nats_server: LocalNats) -> Iterator[Callable[[], None]]:
    """Call it to freeze the server until the test is over."""
    pid = nats_server.pid
    assert pid is not None
    yield lambda: os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def more_than_a_socket_takes(link: Link) -> "asyncio.Future[list[Msg | BaseException]]":
    large = numbered(0, 64, size=500_000)
    requests = (link.request(subject, payload) for subject, payload, _ in large)
    return asyncio.gather(*requests, return_exceptions=True)


async def test_a_frozen_server_is_given_up_also_while_it_takes_nothing(
    nats_server: LocalNats, frozen: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_link, "PING_INTERVAL_SECONDS", 0.2)
    link = await Link.open(nats_server.settings("ingestion"))
    frozen()
    asked = more_than_a_socket_takes(link)
    async with asyncio.timeout(4):
        await link.lost.wait()
        assert all(isinstance(answer, BusTrouble) for answer in await asked)
        await link.close()


async def test_closing_does_not_wait_for_a_frozen_server(nats_server: LocalNats, frozen: Callable[[], None]):
    link = await Link.open(nats_server.settings("ingestion"))
    frozen()
    asked = more_than_a_socket_takes(link)
    await until_nothing_is_taken(link)
    async with asyncio.timeout(4):
        await link.close()
        assert all(isinstance(answer, BusTrouble) for answer in await asked)


@pytest.mark.moves("leadline_bus_reader_restarts_total")
async def test_an_idle_reader_survives_a_restart_and_then_sees_what_is_new(nats_server: LocalNats):
    before = total("leadline_bus_reader_restarts_total")
    async with bus_as(nats_server, "ingestion") as writer, bus_as(nats_server, "aggregation") as reader:
        await writer.publish_many(numbered(0, 2))
        messages = reader.ordered(TICKS, MES)
        seen = [await anext(messages), await anext(messages)]
        nats_server.kill()
        nats_server.start()
        await writer.publish_many(numbered(2, 2))
        seen += [await anext(messages), await anext(messages)]
        await messages.aclose()
    assert numbers(seen) == [0, 1, 2, 3]
    assert total("leadline_bus_reader_restarts_total") > before


@pytest.mark.parametrize("longer", [False, True])
async def test_a_reader_starts_over_when_the_server_has_lost_the_streams_end(nats_server: LocalNats, longer: bool):
    async with (
        bus_as(nats_server, MIGRATE_USER) as admin,
        bus_as(nats_server, "ingestion") as writer,
        bus_as(nats_server, "aggregation") as reader,
    ):
        await writer.publish_many(numbered(0, 10))
        messages = reader.ordered(TICKS, MES)
        first = [await anext(messages) for _ in range(10)]
        # The storage comes back without its end, and numbers are given out again.
        await admin.api(f"STREAM.DELETE.{TICKS}")
        await migrate_bus(admin)
        await writer.publish_many(numbered(100, 15 if longer else 5))
        again = [await anext(messages) for _ in range(5)]
        await messages.aclose()
    assert numbers(first) == list(range(10))
    assert numbers(again) == list(range(100, 105))


async def test_a_durable_consumer_gives_out_again_in_order_what_was_not_acknowledged(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as writer, bus_as(nats_server, "recorder") as recorder:
        await writer.publish_many(numbered(0, 30))
        durable = await recorder.durable(TICKS, "recorder")
        taken = await durable.fetch(20, 5)
        for message in taken[:10]:
            await message.ack()
        nats_server.kill()
        nats_server.start()
        found: list[int] = []
        while 29 not in found:
            delivered = await durable.fetch(20, 5)
            found += [int(message.payload) for message in delivered]
            for message in delivered:
                await message.ack()
        # An acknowledgement may be lost with the server, also after its message was given out again; a message that
        # needs one may not, and the last time they come in order.
        first = min(found)
        again = len(found) - 1 - found[::-1].index(first)
        assert found[again:] == list(range(first, 30))
        assert first <= 10
        assert await durable.fetch(20, 0.05) == []
        assert await recorder.acknowledged(TICKS, "recorder") == 30
        await durable.close()


async def test_a_slow_reader_holds_only_its_window(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as writer, bus_as(nats_server, "aggregation") as reader:
        await writer.publish_many(numbered(0, 2000))
        messages = reader.ordered(TICKS, MES)
        await anext(messages)
        async with bus_as(nats_server, MIGRATE_USER) as admin:
            still, mine = 0, dict[str, Any]()
            async with asyncio.timeout(20):
                while still < 3:  # as often as that the server has answered, the reader has not asked for more
                    listed = await admin.api(f"CONSUMER.LIST.{TICKS}")
                    (mine,) = [c for c in listed["consumers"] if c["name"] != "recorder"]
                    still = still + 1 if mine["num_waiting"] == 0 else 0
            assert 0 < mine["delivered"]["stream_seq"] <= 2 * 256
        rest = [await anext(messages) for _ in range(1999)]
        await messages.aclose()
    assert all(b.sequence == a.sequence + 1 for a, b in pairwise(rest))


@pytest.mark.parametrize("count", [1, 20])
async def test_the_current_trace_goes_with_what_is_published(nats_server: LocalNats, count: int):
    async with bus_as(nats_server, "ingestion") as bus:
        with TracerProvider().get_tracer("test").start_as_current_span("open") as span:
            await bus.publish_many(numbered(0, count))
    async with bus_as(nats_server, MIGRATE_USER) as admin:
        stored = await admin.api(f"STREAM.MSG.GET.{TICKS}", {"last_by_subj": MES})
    headers = base64.b64decode(stored["message"]["hdrs"]).decode()
    assert format(span.get_span_context().trace_id, "032x") in headers
