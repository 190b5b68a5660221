"""From an empty cluster to a strategy that trades, and back: with the files that a user has, unchanged."""

import asyncio
import time

import helm_python
import pytest

from tests.kube.cluster.binaries import say
from tests.kube.cluster.control_plane import KubectlFailed
from tests.kube.platform.book import check_one_trader, check_rests, open_book, until
from tests.kube.platform.installation import EXAMPLE, RELEASE, seconds_of
from tests.system.stack_run import run_stack

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(900)]

NAME = "mes-orderflow"


@pytest.fixture
def laptop(tmp_path):
    """The same file and the same seed under `leadline up`."""
    return asyncio.run(run_stack(EXAMPLE, tmp_path, "--feed", "sim", "--seed", "1"))


async def test_a_cluster_trades_the_laptops_session_and_lets_the_strategy_go(laptop, install, capsys):
    cluster = install(traders="default", feed={"speed": "max", "seed": 1})
    async with open_book(cluster) as book:
        began = time.monotonic()
        cluster.apply(EXAMPLE)
        ready = asyncio.create_task(asyncio.to_thread(seconds_of, lambda: cluster.wait_ready(NAME)))
        await until(book.bars, "there is a bar")
        first_bar = time.monotonic() - began
        await ready
        with capsys.disabled():
            say(f"\nfrom kubectl apply to the first bar {first_bar:.1f} s, to Ready {ready.result():.1f} s")

        await until(book.finished, "the session is over", 180)
        report = await book.report()
        assert len(report.trades) >= 5
        assert [[trade.entry_ns, trade.exit_ns, str(trade.gross)] for trade in report.trades] == [
            [int(trade["entry_ns"]), int(trade["exit_ns"]), trade["gross"]] for trade in laptop.report["trades"]
        ]
        await book.comes_to(laptop.digest)
        await check_one_trader(book)

        # Nobody would take the strategy's orders back.
        with pytest.raises(helm_python.HelmError):
            cluster.uninstall()
        cluster.helm.rollback(RELEASE, version=1)

        cluster.kubectl("delete", "--filename", str(EXAMPLE), "--timeout=60s", timeout=70)
        with pytest.raises(KubectlFailed, match="NotFound"):
            cluster.strategy(NAME)
        await check_rests(book)
    cluster.uninstall()
    left = [name for name in ("operator", "ingestion", "execution", "analysis") if cluster.pods(name)]
    assert left == []
