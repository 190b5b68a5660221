"""A live desk on a node: two accounts, three strategies, each Pod deleted once, and a status that is always true."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from leadline.model.durations import NS_PER_SECOND
from leadline.model.ids import AccountId
from leadline.model.orders import OrderState
from leadline.plan.plan import workload_id
from leadline.runtime.clock import wall_ns
from tests.chaos.venue_side import LedgerReader
from tests.kube.cluster.binaries import say
from tests.kube.platform.book import Book, check_one_trader, check_rests, open_book, until
from tests.kube.platform.installation import MANIFESTS, Installation

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(2400)]

FEED: Final = {"mode": "live", "instruments": ["MES", "NQ"], "shift": "session", "history": 1}
ACCOUNTS: Final = {"busy": "native", "nasdaq": "native", "trend": "attached"}
# Without these nothing is traded; the others are missed by nobody for as long as a Pod takes.
NEEDED: Final = ("execution", "venue", "analysis", "ingestion", "nats", "postgresql")
SECONDS: Final = 240
_DONE: Final = [state.value for state in OrderState if state.terminal]


@dataclass(frozen=True, slots=True)
class Lost:
    """A Pod that was deleted, and seconds from then: until every Pod was ready, every strategy said that it was, and
    each had another bar. bare_s: the longest time that a position was without its stop. wrong: what was not true.
    """

    pod: str
    up_s: float
    ready_s: float
    trading_s: float
    bare_s: float
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        """A line of the table."""
        return f"| {self.pod} | {self.bare_s:.1f} | {self.up_s:.1f} | {self.ready_s:.1f} | {self.trading_s:.1f} |"


async def test_every_pod_of_a_live_desk_is_deleted_once_and_the_status_is_true_at_each_step(install, capsys):
    cluster = install(feed=FEED)
    cluster.apply(MANIFESTS / "desk.yaml")
    for name in ACCOUNTS:
        cluster.wait_ready(name, SECONDS)
    async with open_book(cluster, "native") as native, open_book(cluster, "attached") as attached:
        books = {"native": native, "attached": attached}
        ledgers = {account: LedgerReader(ledger(cluster, account)) for account in books}
        await until(native.fills, "it trades", 600)
        lost = []
        with capsys.disabled():
            say("\n| Pod | longest without its stop | Pods ready | strategies ready | next bars |")
            for pod in list(pods(cluster)):
                lost.append(await lose(cluster, books, ledgers, pod))
                say(str(lost[-1]))
        assert [words for each in lost for words in each.wrong] == []
        assert all(reader.side.events for reader in ledgers.values())
        for name in ACCOUNTS:
            cluster.edit(name, deletionPolicy={"positions": "Flatten"})
            cluster.kubectl("delete", "tstrat", name, f"--timeout={SECONDS}s", timeout=SECONDS + 10)
        for book in books.values():
            await check_rests(book)
            await check_one_trader(book)
        assert [words for reader in ledgers.values() for words in reader.read().wrong] == []


async def lose(
    cluster: Installation, books: dict[str, Book], ledgers: dict[str, LedgerReader], pod: dict[str, Any]
) -> Lost:
    """Delete a Pod, and wait until every Pod is ready, every strategy says so, and each has decided on another bar."""
    labels, metadata = pod["metadata"]["labels"], pod["metadata"]
    service = labels["app.kubernetes.io/component"]
    at, began = datetime.now(UTC).replace(microsecond=0), time.monotonic()
    tape_ns = await tape_now_ns(books["native"])
    cluster.node.kubectl("delete", "pod", metadata["name"], "--namespace", metadata["namespace"], "--wait=false")
    cluster.node.wait_until(lambda: all_are_ready(cluster, metadata["uid"]), f"{metadata['name']} is back", SECONDS)
    up_s = time.monotonic() - began
    cluster.node.wait_until(lambda: all(ready_of(cluster).values()), "all are ready", SECONDS)
    ready_s = time.monotonic() - began
    bars = {name: status(cluster, name)["lastBarAt"] for name in ACCOUNTS}
    cluster.node.wait_until(
        lambda: all(status(cluster, name)["lastBarAt"] > bar for name, bar in bars.items()), "bars go on", SECONDS
    )
    trading_s = time.monotonic() - began
    wrong = []
    for name in meant(labels) if service in NEEDED else ():
        since = datetime.fromisoformat(condition(cluster, name, "Ready")["lastTransitionTime"])
        if since < at:
            wrong.append(f"{name} was said to be ready while {metadata['name']} was away")
    for name, account in ACCOUNTS.items():
        await shows_the_book(cluster, books[account], name)
    now_ns = await tape_now_ns(books["native"])
    bare_s = max(reader.read().bare.longest_after(tape_ns, now_ns) for reader in ledgers.values()) / NS_PER_SECOND
    return Lost(metadata["name"], up_s, ready_s, trading_s, bare_s, tuple(wrong))


async def tape_now_ns(book: Book) -> int:
    """The time of the tape's clock, ns UTC."""
    details = await book.value("SELECT details FROM run WHERE tape = 'live'")
    return wall_ns() + int(json.loads(details)["clock"]["offset_ns"])


def ledger(cluster: Installation, account: str) -> Path:
    """The file of an account's paper venue, on this machine."""
    claims = cluster.node.json("get", "pvc", "--namespace", cluster.traders)["items"]
    name = workload_id("venue", AccountId(f"{cluster.traders}/{account}"))
    (volume,) = [each["spec"]["volumeName"] for each in claims if each["metadata"]["name"].endswith(f"{name}-0")]
    folder = Path(cluster.node.directory) / "volumes" / str(volume).removeprefix("local-")
    return next(folder.glob("**/live/ledger"))


async def shows_the_book(cluster: Installation, book: Book, name: str) -> None:
    """The status has the orders and contracts of the strategy that the book has, as soon as it is looked at again."""

    async def agrees() -> bool:
        tape, strategy = await book.tape(), f"{cluster.traders}/{name}"
        orders = await book.value(
            "SELECT count(*) FROM intent WHERE tape = $1 AND account = $2 AND strategy = $3 AND NOT (state = ANY($4))",
            *(tape, book.account, strategy, _DONE),
        )
        held = await book.value(
            "SELECT coalesce(sum(abs(quantity)), 0) FROM position WHERE tape = $1 AND account = $2 AND strategy = $3",
            *(tape, book.account, strategy),
        )
        shown = status(cluster, name)
        return (shown.get("workingOrders", 0), shown.get("openPositions", 0)) == (orders, held)

    await until(agrees, f"the status of {name} shows its orders and its position")


def pods(cluster: Installation) -> Iterator[dict[str, Any]]:
    """Every Pod of the platform and of the traders that is there."""
    for namespace in (cluster.system, cluster.traders):
        yield from cluster.node.json("get", "pods", "--namespace", namespace)["items"]


def all_are_ready(cluster: Installation, gone: str) -> bool:
    """Whether a Pod is gone, and every other one is ready, among them that in its place."""
    found = list(pods(cluster))
    ready = [
        any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
        and "deletionTimestamp" not in pod["metadata"]
        and pod["metadata"]["uid"] != gone
        for pod in found
    ]
    return len(found) == PODS and all(ready)


PODS: Final = 7 + 2 * 2 + 3
"""Operator, four services, bus and database; execution and venue of two accounts; three analyses."""


def ready_of(cluster: Installation) -> dict[str, bool]:
    """Whether each strategy says that it is ready."""
    return {name: condition(cluster, name, "Ready")["status"] == "True" for name in ACCOUNTS}


def status(cluster: Installation, name: str) -> dict[str, Any]:
    """What the operator says of a strategy."""
    found: dict[str, Any] = cluster.strategy(name)["status"]
    return found


def condition(cluster: Installation, name: str, kind: str) -> dict[str, Any]:
    """A condition of a strategy."""
    found: dict[str, Any] = next(each for each in status(cluster, name)["conditions"] if each["type"] == kind)
    return found


def meant(labels: dict[str, str]) -> list[str]:
    """The strategies that cannot trade without a Pod."""
    strategy, account = labels.get("leadline.dev/strategy"), labels.get("leadline.dev/account")
    return [name for name in ACCOUNTS if (strategy or name) == name and (account or ACCOUNTS[name]) == ACCOUNTS[name]]
