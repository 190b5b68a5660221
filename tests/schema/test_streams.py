import asyncio
import fnmatch

import pytest

from leadline.local.local_nats import LocalNats
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.subjects import (
    BARS,
    ORDER_KINDS,
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
from leadline.runtime.bus.bus import BusRefused
from leadline.schema.permissions import DURABLES, MIGRATE_USER, USERS, bus_permissions, trader_users
from leadline.schema.streams import check_server_version, migrate_bus, stream_definitions
from tests.stack import bus_as

TICK = tick_subject(RunId("r1"), "sim", ContractId("MESZ6"))
BAR = bar_subject(RunId("r1"), "sim", ContractId("MESZ6"), "rth", "5m-r1")
SIGNAL = signal_subject(RunId("r1"), AccountId("default/paper"), StrategyId("default/mes"))
ORDER = order_subject("order", RunId("r1"), AccountId("default/paper"))


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a pattern with `*` for one token and `>` for the rest."""
    wanted, found = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, found = wanted[:-1], found[: len(wanted) - 1] if len(found) >= len(wanted) else []
    return len(wanted) == len(found) and all(fnmatch.fnmatchcase(f, w) for w, f in zip(wanted, found, strict=True))


def may_publish(user: str, subject: str) -> bool:
    permissions = bus_permissions(user)
    return any(matches(allowed, subject) for allowed in permissions.publish) and not any(
        matches(denied, subject) for denied in permissions.publish_deny
    )


@pytest.mark.parametrize(
    ("subject", "publishers"),
    [
        (TICK, ["ingestion"]),
        (RUN_SUBJECT, ["ingestion"]),
        (BAR, ["aggregation"]),
        (SIGNAL, ["analysis"]),
        *[(order_subject(kind, RunId("r1"), AccountId("default/paper")), ["execution"]) for kind in ORDER_KINDS],
        (f"$JS.API.STREAM.PURGE.{TICKS}", ["ingestion", MIGRATE_USER]),
        (f"$JS.API.STREAM.PURGE.{ORDERS}", [MIGRATE_USER]),
        (f"$JS.API.STREAM.DELETE.{BARS}", [MIGRATE_USER]),
        (f"$JS.API.STREAM.UPDATE.{TICKS}", [MIGRATE_USER]),
        (f"$JS.API.CONSUMER.MSG.NEXT.{TICKS}.recorder", ["recorder", MIGRATE_USER]),
        (f"$JS.API.CONSUMER.CREATE.{BARS}.recorder", [MIGRATE_USER]),
        (f"$JS.API.CONSUMER.CREATE.{BARS}.recorder.ll.>", [MIGRATE_USER]),
        (f"$JS.ACK.{TICKS}.recorder.1.2.3.4.5", ["recorder"]),
    ],
)
def test_a_subject_has_only_its_publishers(subject, publishers):
    assert [user for user in USERS if may_publish(user, subject)] == publishers


def may_read(user: str, stream: str, subject: str) -> bool:
    return may_publish(user, f"$JS.API.CONSUMER.CREATE.{stream}.abc.{subject}")


@pytest.mark.parametrize(
    ("stream", "subject", "readers"),
    [
        (TICKS, TICK, ["ingestion", "aggregation", "venue", "execution", "recorder", "supervisor", MIGRATE_USER]),
        (BARS, BAR, ["ingestion", "aggregation", "analysis", "recorder", "supervisor", MIGRATE_USER]),
        (SIGNALS, SIGNAL, ["analysis", "execution", "recorder", "supervisor", MIGRATE_USER]),
        (ORDERS, ORDER, ["execution", "recorder", "supervisor", MIGRATE_USER]),
    ],
)
def test_a_stream_has_only_its_readers(stream, subject, readers):
    assert [user for user in USERS if may_read(user, stream, subject)] == readers


TRADERS = trader_users(("a", "b-1"))
A_STRATEGY = signal_subject(RunId("r1"), AccountId("b-1/paper"), StrategyId("a/mes"))
B_STRATEGY = signal_subject(RunId("r1"), AccountId("b-1/paper"), StrategyId("b-1/mes"))
A_ORDER = order_subject("fill", RunId("r1"), AccountId("a/paper"))


@pytest.mark.parametrize(
    ("subject", "publishers"),
    [
        (A_STRATEGY, ["analysis-a"]),
        (B_STRATEGY, ["analysis-b-1"]),
        *[(order_subject(kind, RunId("r1"), AccountId("a/paper")), ["execution-a"]) for kind in ORDER_KINDS],
        (TICK, []),
        (BAR, []),
        (RUN_SUBJECT, []),
        (f"$JS.API.STREAM.PURGE.{SIGNALS}", []),
        (f"$JS.API.STREAM.MSG.GET.{SIGNALS}", []),
        (f"$JS.API.CONSUMER.CREATE.{SIGNALS}", []),
        (f"$JS.API.CONSUMER.CREATE.{SIGNALS}.abc", []),
        (f"$JS.API.CONSUMER.CREATE.{SIGNALS}.abc.ll.>", []),
    ],
)
def test_a_namespace_speaks_only_for_its_own_strategies_and_accounts(subject, publishers):
    assert [user for user in TRADERS if may_publish(user, subject)] == publishers


@pytest.mark.parametrize(
    ("stream", "subject", "readers"),
    [
        (TICKS, TICK, ["venue-a", "execution-a", "venue-b-1", "execution-b-1"]),
        (BARS, BAR, ["analysis-a", "analysis-b-1"]),
        (SIGNALS, A_STRATEGY, ["analysis-a", "execution-b-1"]),
        (SIGNALS, B_STRATEGY, ["analysis-b-1", "execution-b-1"]),
        (ORDERS, A_ORDER, ["execution-a"]),
    ],
)
def test_a_namespace_hears_prints_bars_and_what_is_its_own(stream, subject, readers):
    assert [user for user in TRADERS if may_read(user, stream, subject)] == readers


@pytest.mark.parametrize("user", ["gambling", "ingestion-a", "analysis-", "analysis-A", "venue-a.b", "execution->"])
def test_a_name_that_is_no_users_has_no_permissions(user):
    with pytest.raises(Unknown, match="user of the bus"):
        bus_permissions(user)


@pytest.mark.parametrize("user", [*USERS, *TRADERS])
def test_a_user_hears_only_what_is_addressed_to_it(user):
    assert bus_permissions(user).subscribe == (f"_INBOX_{user}.>",)


@pytest.mark.parametrize(
    ("subject", "stream"),
    [(TICK, TICKS), (BAR, BARS), (SIGNAL, SIGNALS), (ORDER, ORDERS), (RUN_SUBJECT, RUNS)],
)
def test_every_subject_is_kept_by_one_stream(subject, stream):
    keepers = [d.name for d in stream_definitions("replay") if any(matches(pattern, subject) for pattern in d.subjects)]
    assert keepers == [stream]


def config(feed: str, name: str) -> dict[str, object]:
    (definition,) = [found for found in stream_definitions(feed) if found.name == name]  # type: ignore[arg-type]
    return definition.config(1)


def test_prints_of_a_replay_wait_for_room_and_live_ones_make_room():
    assert (config("replay", TICKS)["discard"], config("live", TICKS)["discard"]) == ("new", "old")
    assert (config("replay", TICKS)["max_age"], config("live", TICKS)["max_age"]) == (0, 48 * 3600 * 10**9)


@pytest.mark.integration
async def test_migrating_twice_changes_nothing_and_a_difference_is_brought_back(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as bus:
        assert await migrate_bus(bus) == []
        found = (await bus.api(f"STREAM.INFO.{BARS}"))["config"]
        await bus.api(f"STREAM.UPDATE.{BARS}", {**found, "max_age": 10**12})
        assert await migrate_bus(bus) == [BARS]
        assert await migrate_bus(bus, feed="live") == [TICKS]
        assert await migrate_bus(bus, feed="live") == []


@pytest.mark.integration
async def test_messages_survive_a_migration(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as writer, bus_as(nats_server, MIGRATE_USER) as admin:
        await writer.publish(TICK, b"", "a")
        await migrate_bus(admin, tick_bytes=1 << 20)
        assert (await writer.state(TICKS)).messages == 1
        assert (await writer.state(TICKS)).max_bytes == 1 << 20


@pytest.mark.integration
async def test_a_lost_durable_consumer_is_made_again(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as bus:
        for stream, consumers in DURABLES.items():
            for consumer in consumers:
                await bus.api(f"CONSUMER.DELETE.{stream}.{consumer}")
        assert await migrate_bus(bus) == [f"{stream}/recorder" for stream in DURABLES]


@pytest.mark.integration
async def test_the_last_stream_is_made_when_everything_else_is_there(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as bus:
        for stream in (SIGNALS, RUNS):
            await bus.api(f"STREAM.DELETE.{stream}")
        # What nobody but a consumer of messages from now on can have: the one that is wanted cannot be made of it.
        await bus.api(f"STREAM.CREATE.{SIGNALS}", {"name": SIGNALS, "subjects": ["ll.*.signal.>"]})
        only_new = {"durable_name": "recorder", "ack_policy": "explicit", "deliver_policy": "new"}
        await bus.api(f"CONSUMER.CREATE.{SIGNALS}.recorder", {"stream_name": SIGNALS, "config": only_new})
        with pytest.raises(BusRefused, match="deliver policy"):
            await migrate_bus(bus)
        with pytest.raises(Unknown, match=RUNS):
            await bus.state(RUNS)


@pytest.mark.integration
async def test_nobody_can_remove_what_the_book_has_published(nats_server: LocalNats):
    async with bus_as(nats_server, "execution") as writer, bus_as(nats_server, MIGRATE_USER) as admin:
        await writer.publish(ORDER, b"", "a")
        for name, body in ((f"STREAM.PURGE.{ORDERS}", {}), (f"STREAM.MSG.DELETE.{ORDERS}", {"seq": 1})):
            with pytest.raises(BusRefused):
                await admin.api(name, body)
        assert (await writer.state(ORDERS)).messages == 1


@pytest.mark.integration
async def test_only_the_last_run_is_kept(nats_server: LocalNats):
    async with bus_as(nats_server, "ingestion") as bus:
        for number in range(3):
            await bus.publish(RUN_SUBJECT, str(number).encode(), f"run/{number}")
        assert (await bus.state(RUNS)).messages == 1
        found = await bus.last(RUNS, RUN_SUBJECT)
        assert found is not None
        assert found.payload == b"2"


def test_a_server_that_is_too_old_is_refused_with_the_version_that_is_needed():
    check_server_version((2, 14, 0))
    with pytest.raises(InvalidInput, match=r"got '2\.10\.27', expected 2\.14 or newer"):
        check_server_version((2, 10, 27))


@pytest.mark.integration
async def test_several_migrations_at_once_agree(nats_server: LocalNats):
    async with bus_as(nats_server, MIGRATE_USER) as bus:
        for stream in (TICKS, BARS, SIGNALS, ORDERS, RUNS):
            await bus.api(f"STREAM.DELETE.{stream}")
        await asyncio.gather(*(migrate_bus(bus) for _ in range(3)))
        assert await migrate_bus(bus) == []
