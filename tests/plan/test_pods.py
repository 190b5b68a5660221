"""A platform with Pods' settings: whatever starts first, all of it comes to serve, and a namespace trades by itself."""

import asyncio
from datetime import date
from pathlib import Path

import asyncpg
import grpc
import pytest

from leadline.execution.v1 import execution_pb2
from leadline.local import bootstrap
from leadline.local.calls import Credentials, Services, same_keys
from leadline.model.ids import AccountId, StrategyId, account_id, strategy_id
from leadline.model.services import Role
from leadline.model.subjects import SIGNALS, order_subject, signal_subject
from leadline.plan.demand import demand_rows
from leadline.plan.plan import Plan, plan, workload_id
from leadline.plan.platform import Feed, PlatformSettings
from leadline.plan.store import INSERT_DEMAND, demand_values
from leadline.runtime.bus.bus import BusDenied, open_bus
from leadline.runtime.database import connect
from leadline.runtime.runs import Run
from tests.plan.builders import strategy
from tests.plan.pods import Pods, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

NAMESPACE = "team-a"
ACCOUNT, STRATEGY = account_id(NAMESPACE, "paper"), strategy_id(NAMESPACE, "flow")


def one_strategy() -> Plan:
    platform = PlatformSettings(feed=Feed(kind="sim", seed=1, sessions=1), trade_from=date(2026, 3, 3))
    return plan(platform, [], [strategy("flow", NAMESPACE, history=1)])


async def test_pods_in_any_order_come_to_serve_and_trade(tmp_path: Path):
    built = one_strategy()
    services = [workload.id for workload in built.workloads]
    async with Pods(tmp_path, built) as pods:
        # The worst order: who needs most comes first, and what all need comes last.
        await pods.start(reversed(services))
        await asyncio.sleep(2)
        await pods.start_servers()
        await pods.migrate()
        await pods.serving(services)
        assert pods.restarted() == {}, "nobody ended while it waited"

        run = await start(pods, built)
        connection = await connect(pods.database("reader"), "test")
        await until(lambda: connection.fetchval("SELECT finished_at IS NOT NULL FROM run"), "the tape has ended")
        await until(lambda: connection.fetchval("SELECT count(*) FROM decision"), "something was decided")
        await nobody_else_may_speak(pods, run)

        # Started again on the same launch, ingestion stays on the finished run, and everybody stays where he is.
        assert await pods.stop("ingestion") == 0
        await pods.start(["ingestion"])
        await pods.serving(services)
        assert await connection.fetchval("SELECT count(*) FROM run") == 1
        assert pods.restarted() == {}

        # Another launch opens another run, and all that read the one before follow.
        await pods.stop("ingestion")
        pods.launch = "another"
        await pods.start(["ingestion"])
        followers = {workload.id for workload in built.workloads} - {"ingestion", "risk", "recorder"}
        await until(lambda: have_restarted(pods, followers), "the others follow")
        await pods.serving(services)
        assert await connection.fetchval("SELECT count(*) FROM run") == 2
        await connection.close()

        # Asked to stop, the servers do so in order.
        assert (await pods.stop("postgres"), await pods.stop("nats")) == (0, 0)
        assert "database system is shut down" in (tmp_path / "postgres" / "log").read_text()


async def have_restarted(pods: Pods, names: set[str]) -> bool:
    return pods.restarted().keys() == names


async def start(pods: Pods, built: Plan) -> Run:
    """What an operator does for a new strategy, with the keys that it derives."""
    execution = {workload_id("execution", ACCOUNT): pods.address(workload_id("execution", ACCOUNT))}
    platform = calls(pods, "ingestion")
    run = await bootstrap.announced_run(platform, pods.address("ingestion"))
    await platform.close()
    stranger = calls(pods, "execution", "team-b")
    stub = stranger.execution(pods.address(workload_id("execution", ACCOUNT)), ACCOUNT)
    with pytest.raises(grpc.aio.AioRpcError, match="not signed with this platform's key"):
        await stub.GetState(execution_pb2.GetStateRequest(), timeout=5)
    await stranger.close()
    own = calls(pods, "execution", NAMESPACE)
    await bootstrap.set_strategies(own, built, execution)
    await own.close()
    connection = await connect(pods.database("supervisor"), "test")
    rows = demand_rows(built, run.contracts, run.trade_from)
    await connection.executemany(INSERT_DEMAND, [demand_values(row) for row in rows])
    await connection.close()
    return run


def calls(pods: Pods, service: str, namespace: str = "platform", role: Role = "supervisor") -> Services:
    return Services(Credentials(same_keys(pods.key_file(service, namespace)), "test"), role)


async def nobody_else_may_speak(pods: Pods, run: Run) -> None:
    """On the real server: the namespace's analysis says what is its own, and nothing of another's or of an account."""
    own = signal_subject(run.tape, ACCOUNT, STRATEGY)
    bus = await open_bus(pods.nats(f"analysis-{NAMESPACE}"))
    assert await bus.last(SIGNALS, own) is not None
    other = signal_subject(run.tape, AccountId("team-b/paper"), StrategyId("team-b/flow"))
    for denied in (other, order_subject("order", run.tape, ACCOUNT)):
        with pytest.raises(BusDenied, match=denied):
            await bus.publish(denied, b"", denied)
    with pytest.raises(BusDenied, match=r"CONSUMER\.CREATE\.SIGNALS"):
        await bus.last(SIGNALS, other)
    await bus.close()


async def test_a_password_of_the_database_that_was_changed_counts_after_a_restart(tmp_path: Path):
    async with Pods(tmp_path, one_strategy()) as pods:
        await pods.start_servers()
        await pods.migrate()
        before = await connect(pods.database("reader"), "test")
        await pods.stop("postgres")
        assert before.is_closed() or await gone(before)
        # What a kubelet does to a volume that belongs to a group.
        (tmp_path / "postgres" / "data" / "data").chmod(0o2770)
        (tmp_path / "secrets" / "database" / "owner").write_text("another one")
        await pods.stop("nats")
        await pods.start_servers()
        await pods.migrate()
        after = await connect(pods.database("reader"), "test")
        await after.close()


async def gone(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Whether the server has ended the session."""
    try:
        await connection.fetchval("SELECT 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return True
    return False
