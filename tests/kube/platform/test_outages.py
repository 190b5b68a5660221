"""Trading needs neither the operator nor the API server nor the kubelet, and takes new credentials as it goes."""

import asyncio
import json
import signal
from typing import Any

import pytest

from tests.kube.platform.book import check_one_trader, open_book, until
from tests.kube.platform.installation import MANIFESTS, RELEASE, document

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(900)]

BUSY = MANIFESTS / "busy.yaml"
SPEED = 600
FEED = {"speed": SPEED, "history": 1}
SECOND_NS = 1_000_000_000


async def test_trading_goes_on_without_operator_and_api_server(busy_laptop, install):
    cluster = install(feed=FEED)
    node = cluster.node
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        node.kubectl("scale", "deployment", f"{RELEASE}-operator", "--replicas=0", "--namespace", cluster.system)
        before = await book.instant_ns()
        node.stop_apiserver()
        # Nobody can look in now: how far it came is seen afterwards.
        await asyncio.sleep(30)
        node.start_apiserver()
        assert await book.instant_ns() - before > 25 * SPEED * SECOND_NS
        node.kubectl("scale", "deployment", f"{RELEASE}-operator", "--replicas=1", "--namespace", cluster.system)
        cluster.wait_up("operator")
        cluster.wait_ready("busy")
        await until(book.finished, "the session is over", 400)
        await check_one_trader(book)
        await book.comes_to(busy_laptop.digest)


async def test_trading_goes_on_while_the_kubelet_is_away_for_a_minute(busy_laptop, install):
    cluster = install(feed=FEED)
    node = cluster.node
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        before = await book.instant_ns()
        node.kubelet.stop()
        try:
            await asyncio.sleep(60)
        finally:
            node.start_kubelet()
        assert await book.instant_ns() - before > 50 * SPEED * SECOND_NS
        cluster.wait_ready("busy")
        await until(book.finished, "the session is over", 400)
        for service in ("execution", "venue", "analysis", "risk", "ingestion"):
            assert cluster.restarts(service) == 0
        await check_one_trader(book)
        await book.comes_to(busy_laptop.digest)


async def test_of_two_operators_one_acts_and_the_other_takes_over(install):
    cluster = install(feed=FEED, operator={"replicas": 2})
    lease = ("get", "lease", f"{RELEASE}-operator", "--namespace", cluster.system)

    def holder() -> str:
        return str(cluster.node.json(*lease)["spec"].get("holderIdentity") or "")

    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        cluster.wait_ready("busy")
        await until(book.fills, "it trades", 120)
        first = holder()
        assert first in {pod["metadata"]["name"] for pod in cluster.pods("operator")}
        frozen = cluster.pids("operator", first)
        cluster.signal(frozen, signal.SIGSTOP)

        async def another():
            return holder() != first

        await until(another, "the other operator leads", 60)
        cluster.edit("busy", bracket={"stopTicks": 17, "targetTicks": 25})
        cluster.wait_ready("busy")
        # Who wakes finds that another one leads, and leaves the strategies alone.
        cluster.signal(frozen, signal.SIGCONT)
        cluster.edit("busy", updatePolicy="Auto", bars="5m")

        async def rolled_out():
            status: dict[str, Any] = cluster.strategy("busy")["status"]
            return "rollout" not in status and status.get("runningHash") == status.get("desiredHash")

        await until(rolled_out, "the new version trades", 90)
        cluster.wait_ready("busy")
        assert holder() != first
        assert len(cluster.pods("analysis")) == 1
        await until(book.finished, "the session is over", 400)
        await check_one_trader(book)


async def test_new_passwords_reach_what_trades_without_a_new_pod(busy_laptop, install):
    cluster = install(feed=FEED)
    users = {f"{service}-{cluster.traders}": f"{service}-{'n' * 32}" for service in ("analysis", "execution", "venue")}
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        pods = {service: cluster.pod(service) for service in ("analysis", "execution", "venue")}
        cluster.upgrade(nats={"passwords": users}, postgresql={"passwords": {"execution": "e" * 32}})
        cluster.node.kubectl(
            *("rollout", "restart", "statefulset,deployment", "--namespace", cluster.system),
            *("--selector", "app.kubernetes.io/part-of=leadline"),
        )
        await until(book.finished, "the session is over", 500)
        assert {service: cluster.pod(service) for service in pods} == pods
        await check_one_trader(book)
        await book.comes_to(busy_laptop.digest)


async def test_a_new_key_for_calls_comes_into_force_while_it_trades(busy_laptop, install):
    # Slow enough that nothing signs with the former key any more before the session is over.
    cluster = install(feed={**FEED, "speed": 300})
    services = ("execution", "venue", "risk", "ingestion", "operator")
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        cluster.wait_ready("busy")
        pods = {service: cluster.pod(service) for service in services}
        cluster.upgrade(token={"master": "n" * 40})
        assert not await book.finished()
        await until(book.finished, "the session is over", 600)
        assert {service: cluster.pod(service) for service in pods} == pods
        for service in services:
            assert cluster.restarts(service) == 0
            assert "key.changed" in cluster.log(service)
        await check_one_trader(book)
        await book.comes_to(busy_laptop.digest)
    # Whoever calls with the new key is let in, and the operator is.
    assert json.loads(cluster.leadline("status", "--output", "json"))
    cluster.edit("busy", deletionPolicy={"positions": "Flatten"})
    cluster.kubectl("delete", "tstrat", "busy", "--timeout=60s", timeout=90)


async def test_another_strategy_in_the_middle_of_the_session_leaves_no_gap_in_the_first_ones(busy_laptop, install):
    cluster = install(feed=FEED)
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        second = document(BUSY, account={"name": "second"}, bars="5m")
        second["metadata"] = {"name": "second", "namespace": cluster.traders}
        account = {"apiVersion": second["apiVersion"], "kind": "TradingAccount", "spec": {}}
        cluster.node.apply({**account, "metadata": {"name": "second", "namespace": cluster.traders}}, second)
        cluster.wait_ready("second")
        joined = "SELECT count(*) FROM signal WHERE tape = $1 AND strategy = $2"

        async def speaks():
            return bool(await book.value(joined, await book.tape(), f"{cluster.traders}/second"))

        await until(speaks, "the second strategy has bars of its own", 90)
        cluster.edit("second", deletionPolicy={"positions": "Flatten"})
        cluster.kubectl("delete", "tstrat", "second", "--timeout=90s", timeout=100)
        await until(book.finished, "the session is over", 400)
        report = await book.report()
        laptop = busy_laptop.report
        assert [(trade.entry_ns, trade.exit_ns, str(trade.gross)) for trade in report.trades] == [
            (int(trade["entry_ns"]), int(trade["exit_ns"]), trade["gross"]) for trade in laptop["trades"]
        ]
        bars = "SELECT count(*) FROM candle WHERE tape = $1 AND spec LIKE '1m-%'"
        assert await book.value(bars, await book.tape()) == laptop["bars"]
        await check_one_trader(book)
