"""What a bus user can get stored where it may not publish: nothing, by no way that the server has."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from leadline.local.nats_server import bus_accounts, nats_binary, nats_config
from leadline.local.ports import LOOPBACK, Ports
from leadline.local.server_process import ServerProcess
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.subjects import (
    BARS,
    ORDERS,
    RUN_SUBJECT,
    RUNS,
    SIGNALS,
    TICKS,
    bar_subject,
    order_subject,
    signal_subject,
    tick_subject,
)
from leadline.runtime.bus.bus import Bus, BusRefused, open_bus
from leadline.runtime.settings import NatsSettings
from leadline.schema.permissions import MIGRATE_USER, PLATFORM_USERS, trader_users
from tests.stack import make_streams

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

STREAMS = (TICKS, BARS, SIGNALS, ORDERS, RUNS)
TICK = tick_subject(RunId("t"), "cme", ContractId("MESM2025"))
BAR = bar_subject(RunId("t"), "cme", ContractId("MESM2025"), "rth", "5m-r1")
OWN_SIGNAL = signal_subject(RunId("t"), AccountId("a/paper"), StrategyId("a/mes"))
OTHER_SIGNAL = signal_subject(RunId("t"), AccountId("b/paper"), StrategyId("b/mes"))
HALT = order_subject("halt", RunId("t"), AccountId("b/paper"))
USERS = (*PLATFORM_USERS, *trader_users(("a", "b")))
PASSWORD = "p" * 20


class Server:
    """A server with the users of a platform with two traders' namespaces."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.port = directory, port
        (directory / "password").write_text(PASSWORD)
        config = nats_config(f"{LOOPBACK}:{port}", directory / "store", 4 << 30, dict.fromkeys(USERS, PASSWORD))
        (directory / "server.conf").write_text(json.dumps(config))
        self.process = ServerProcess("nats-server", directory / "server.log", signal.SIGTERM)

    def settings(self, user: str) -> NatsSettings:
        return NatsSettings(
            servers=(f"nats://{LOOPBACK}:{self.port}",), user=user, password_file=self.directory / "password"
        )

    @contextlib.asynccontextmanager
    async def bus(self, user: str) -> AsyncIterator[Bus]:
        bus = await open_bus(self.settings(user), timeout_s=20)
        try:
            yield bus
        finally:
            await bus.close()

    @contextlib.asynccontextmanager
    async def raw(self, user: str) -> AsyncIterator[Client]:
        """The library's own client: what somebody can do who has a user's password and not our code."""
        client = Client()

        async def ignore(error: Exception) -> None:
            """A refusal is what these tests are about."""

        await client.connect(
            f"nats://{LOOPBACK}:{self.port}",
            user=user,
            password=PASSWORD,
            inbox_prefix=f"_INBOX_{user}",
            error_cb=ignore,
        )
        try:
            yield client
        finally:
            await client.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("nats")
    with Ports(str(directory)) as held:
        found = Server(directory, held.take())
        found.process.start([nats_binary(), "-c", str(directory / "server.conf")])
        yield found
        found.process.stop(signal.SIGTERM)


@pytest.fixture
async def admin(server: Server) -> AsyncIterator[Bus]:
    """Who manages the streams, which are all new."""
    async with server.bus(MIGRATE_USER) as bus:
        for stream in STREAMS:
            with contextlib.suppress(BusRefused):
                await bus.api(f"STREAM.DELETE.{stream}")
        await make_streams(bus)
        yield bus


async def stored(bus: Bus) -> dict[str, int]:
    return {stream: (await bus.state(stream)).messages for stream in STREAMS}


async def answered(client: Client) -> None:
    """Return when the server has dealt with all that this client sent: its answers to the same calls are here."""
    for _ in range(3):
        await client.request(f"$JS.API.STREAM.INFO.{RUNS}", b"", timeout=5)


@pytest.mark.parametrize(
    "user", ["analysis-a", "execution-a", "venue-a", "aggregation", "ingestion", "recorder", "supervisor"]
)
async def test_no_answer_of_the_server_is_stored(server: Server, admin: Bus, user: str):
    """A server does not ask whether the subject of an answer is one that the asker may publish to."""
    others = [subject for subject in (TICK, BAR, OTHER_SIGNAL, HALT, RUN_SUBJECT) if not may(user, subject)]
    async with server.raw(user) as client:
        for subject in others:
            await client.publish(f"$JS.API.STREAM.INFO.{RUNS}", b"", reply=subject)
            await client.publish(f"$JS.API.STREAM.INFO.{RUNS}", b"garbage", reply=subject)
        await answered(client)
    assert await stored(admin) == dict.fromkeys(STREAMS, 0)


async def test_no_acknowledgement_of_a_publication_is_stored(server: Server, admin: Bus):
    async with server.raw("analysis-a") as client:
        for subject in (TICK, BAR, OTHER_SIGNAL, HALT, RUN_SUBJECT):
            await client.publish(OWN_SIGNAL, b"mine", reply=subject)
        await answered(client)
    assert await stored(admin) == {**dict.fromkeys(STREAMS, 0), SIGNALS: 5}


async def test_no_message_of_a_stream_is_pulled_into_another(server: Server, admin: Bus):
    async with server.bus("aggregation") as bus:
        await bus.publish(BAR, b"a bar", "1")
    async with server.raw("analysis-a") as client:
        config = {"name": "c", "ack_policy": "none", "filter_subject": BAR, "inactive_threshold": 60 * 10**9}
        body = json.dumps({"stream_name": BARS, "config": config}).encode()
        made = await client.request(f"$JS.API.CONSUMER.CREATE.{BARS}.c.{BAR}", body, timeout=5)
        assert "error" not in json.loads(made.data)
        for subject in (TICK, BAR, OTHER_SIGNAL, HALT, RUN_SUBJECT):
            await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{BARS}.c", b'{"batch": 10}', reply=subject)
        await answered(client)
    assert await stored(admin) == {**dict.fromkeys(STREAMS, 0), BARS: 1}


async def test_no_consumer_delivers_into_a_stream(server: Server, admin: Bus):
    async with server.bus("aggregation") as bus:
        await bus.publish(BAR, b"a bar", "1")
    async with server.raw("analysis-a") as client:
        for number, subject in enumerate((TICK, OTHER_SIGNAL, HALT, RUN_SUBJECT)):
            config = {
                "name": f"c{number}",
                "ack_policy": "none",
                "filter_subject": BAR,
                "deliver_subject": subject,
                "inactive_threshold": 60 * 10**9,
            }
            body = json.dumps({"stream_name": BARS, "config": config}).encode()
            await client.request(f"$JS.API.CONSUMER.CREATE.{BARS}.c{number}.{BAR}", body, timeout=5)
        # A delivery would come on the heels of the message, which the server gives to those that pull it, too.
        async with server.bus("aggregation") as bus:
            await bus.publish(BAR, b"another bar", "2")
            assert (await bus.last(BARS, BAR)).payload == b"another bar"  # type: ignore[union-attr]
        await answered(client)
    assert await stored(admin) == {**dict.fromkeys(STREAMS, 0), BARS: 2}


async def test_a_user_that_is_let_in_does_all_of_its_work(server: Server, admin: Bus):
    """Publish, in batches too, read in order, ask for the last, and take from a durable consumer."""
    async with server.bus("ingestion") as source, server.bus("recorder") as sink, server.bus("venue-b") as reader:
        await source.publish_many([(TICK, str(number).encode(), f"{TICK}/{number}") for number in range(600)])
        found = []
        async for message in reader.ordered(TICKS, TICK):
            found.append(int(message.payload))
            if len(found) == 600:
                break
        assert found == list(range(600))
        durable = await sink.durable(TICKS, "recorder")
        taken = 0
        while taken < 600:
            for delivery in await durable.fetch(64, 5):
                await delivery.ack()
                taken += 1
        await durable.close()
        while await sink.acknowledged(TICKS, "recorder") < 600:  # noqa: ASYNC110 - the server is the one that knows
            await asyncio.sleep(0.01)
        await source.purge(TICKS, TICK)
    assert await stored(admin) == dict.fromkeys(STREAMS, 0)


def test_only_who_manages_the_streams_is_in_their_account():
    accounts = bus_accounts(dict.fromkeys(USERS, PASSWORD))
    members = {name: [user["user"] for user in account["users"]] for name, account in accounts.items()}
    assert members.pop("STREAMS") == [MIGRATE_USER]
    assert sorted(found for users in members.values() for found in users) == sorted({*USERS} - {MIGRATE_USER})
    assert all(len(users) == 1 for users in members.values())


def may(user: str, subject: str) -> bool:
    return {
        "aggregation": subject == BAR,
        "ingestion": subject in {TICK, RUN_SUBJECT},
    }.get(user, False)
