"""A new version of a strategy takes over from the old one, and at no time do both have their way."""

import signal
from typing import Any

import pytest

from tests.kube.platform.book import Book, check_one_trader, open_book, until
from tests.kube.platform.installation import MANIFESTS, Installation, execution_of

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(600)]

HOLDING = MANIFESTS / "holding.yaml"
BUSY = MANIFESTS / "busy.yaml"
# Half an hour of the tape is then six seconds.
FEED = {"speed": 300, "history": 1}
MINUTE_NS = 60_000_000_000


async def says(cluster: Installation, name: str, kind: str, reason: str, seconds: float = 60) -> None:
    async def look():
        return cluster.reason(name, kind) == reason

    await until(look, f"{kind} of {name} says {reason}", seconds)


async def analysis_in_force(book: Book) -> str:
    """The hash of the analysis that execution was told of."""
    query = "SELECT analysis_hash FROM strategy_state WHERE tape = $1"
    return str(await book.value(query, await book.tape()))


async def working_orders(book: Book) -> list[tuple[str, str]]:
    query = "SELECT client_id, leg FROM intent WHERE tape = $1 AND state IN ('WORKING', 'PARTIAL') ORDER BY 1"
    return [(row["client_id"], row["leg"]) for row in await book.rows(query, await book.tape())]


async def rolled_out(cluster: Installation, book: Book, name: str, old_pod: str, old_hash: str) -> None:
    """Wait until another version trades, in a Pod of its own."""

    async def look():
        status = cluster.strategy(name)["status"]
        return "rollout" not in status and await analysis_in_force(book) != old_hash

    await until(look, f"{name} is rolled out", 120)
    cluster.wait_ready(name)
    assert cluster.pod("analysis") != old_pod


async def test_when_flat_a_new_version_waits_as_long_as_the_old_one_holds_a_position(install):
    cluster = install(feed=FEED)
    async with open_book(cluster) as book:
        cluster.apply(HOLDING)
        await until(book.position, "it holds a position", 180)
        pod, version = cluster.pod("analysis"), await analysis_in_force(book)
        cluster.edit("holding", bars="5m")
        await says(cluster, "holding", "ConfigApplied", "WaitingForFlat")
        protection = await working_orders(book)
        assert len(protection) == 2
        later = await book.instant_ns() + 30 * MINUTE_NS

        async def half_an_hour_later():
            assert cluster.pod("analysis") == pod
            return await book.instant_ns() > later

        await until(half_an_hour_later, "half an hour has passed on the tape")
        assert (await analysis_in_force(book), await working_orders(book)) == (version, protection)
        assert await book.position() == 1

        cluster.leadline("flatten", "--strategy", f"{cluster.traders}/holding", "--reason", "the new version waits")
        await rolled_out(cluster, book, "holding", pod, version)
        await check_one_trader(book)


async def test_auto_takes_over_at_once_and_the_position_keeps_its_protection(install):
    cluster = install(feed=FEED)
    async with open_book(cluster) as book:
        cluster.apply(HOLDING)
        await until(book.position, "it holds a position", 180)
        pod, version = cluster.pod("analysis"), await analysis_in_force(book)
        protection = await working_orders(book)
        cluster.edit("holding", updatePolicy="Auto", bars="5m")
        await rolled_out(cluster, book, "holding", pod, version)
        assert await working_orders(book) == protection
        assert await book.position() == 1

        # The policy may also say that it leaves the market first.
        pod, version = cluster.pod("analysis"), await analysis_in_force(book)
        cluster.edit("holding", suspendPolicy={"positions": "Flatten"}, bars="15m")
        await rolled_out(cluster, book, "holding", pod, version)
        flattened = "SELECT count(*) FROM intent WHERE tape = $1 AND leg LIKE 'F%' AND state = 'FILLED'"
        assert await book.value(flattened, await book.tape()) == 1
        await check_one_trader(book)


async def test_a_version_that_sleeps_through_a_rollout_is_not_heard_when_it_wakes(install):
    cluster = install(feed=FEED)
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 180)
        old, version = cluster.pod("analysis"), await analysis_in_force(book)
        frozen = cluster.pids("analysis")
        cluster.signal(frozen, signal.SIGSTOP)
        # The cluster loses sight of it, as of a Pod on a node that is cut off, and nobody ends it.
        cluster.kubectl("label", "pod", old, "leadline.dev/strategy-", "app.kubernetes.io/component-")
        cluster.wait_up("analysis")
        between = cluster.pod("analysis")
        cluster.edit("busy", updatePolicy="Auto", bars="5m")
        await rolled_out(cluster, book, "busy", between, version)
        heard = cluster.metric("execution", "leadline_signals_of_other_analysis_total")
        cluster.signal(frozen, signal.SIGCONT)

        async def speaks():
            return cluster.metric("execution", "leadline_signals_of_other_analysis_total") > heard

        await until(speaks, "the old version speaks, and execution passes over it", 90)
        joined = await book.value("SELECT joined_ns FROM strategy_state WHERE tape = $1", await book.tape())
        await until(book.finished, "the session is over", 400)
        await check_one_trader(book)
        # Decisions since then are about bars of the new version alone.
        keys = await book.rows(
            "SELECT bar_key FROM decision WHERE tape = $1 AND instant_ns > $2", await book.tape(), joined
        )
        assert keys
        assert [row["bar_key"] for row in keys if "/5m-" not in row["bar_key"]] == []


async def test_a_writer_that_sleeps_while_another_takes_over_can_write_nothing_when_it_wakes(install):
    cluster = install(feed=FEED)
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.position, "it holds a position", 180)
        epoch_query = "SELECT epoch FROM lease WHERE account = $1"
        epoch = await book.value(epoch_query, book.account)
        name = execution_of(cluster.traders)
        sleeper = cluster.node.json("get", "pod", f"{name}-0", "--namespace", cluster.traders)
        frozen = cluster.pids("execution")
        cluster.signal(frozen, signal.SIGSTOP)
        # What a cluster does that has given the Pod's node up: the same Pod on another one. Its name differs here,
        # because there is only one node and it has not given anything up.
        cluster.node.apply(another(sleeper))

        async def taken_over():
            return int(await book.value(epoch_query, book.account)) > epoch

        await until(taken_over, "the other one has taken the account over", 60)
        await book.goes_on()
        cluster.signal(frozen, signal.SIGCONT)

        # It is told at its first word that it is not the writer any more, ends, and is started again.
        async def ended():
            found = cluster.node.json("get", "pod", f"{name}-0", "--namespace", cluster.traders)
            return int(found["status"]["containerStatuses"][0]["restartCount"]) > 0

        await until(ended, "the old writer has ended", 60)
        log = cluster.kubectl("logs", f"{name}-0", "--previous")
        assert "another writer holds" in log
        cluster.kubectl("delete", "pod", "another", "--wait=false")
        await until(book.finished, "the session is over", 400)
        await check_one_trader(book)


def another(pod: dict[str, Any]) -> dict[str, Any]:
    """The same Pod under another name, which nobody counts among the StatefulSet's."""
    spec = {key: value for key, value in pod["spec"].items() if key not in {"hostname", "subdomain", "nodeName"}}
    labels = {"app.kubernetes.io/name": "leadline", "app.kubernetes.io/component": "execution"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "another", "namespace": pod["metadata"]["namespace"], "labels": labels},
        "spec": spec,
    }
