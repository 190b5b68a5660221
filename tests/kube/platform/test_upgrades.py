"""The platform is upgraded and rolled back under a strategy that trades: no fill is lost, no order is sent twice."""

import pytest

from tests.kube.cluster.images import PROJECT_NAME
from tests.kube.platform.book import Book, check_one_trader, open_book, until
from tests.kube.platform.installation import INSTALL_SECONDS, MANIFESTS, RELEASE, Installation

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(900)]

NEXT = "localhost/leadline:next"
SERVICES = ("ingestion", "aggregation", "recorder", "risk", "nats", "postgresql", "operator")
TRADERS = ("execution", "venue", "analysis")


async def runs(cluster: Installation, book: Book, image: str) -> None:
    """Wait until every Pod runs this image and the account has come further."""

    def images(service: str) -> list[str]:
        return [pod["spec"]["containers"][0]["image"] for pod in cluster.pods(service)]

    async def everywhere():
        return all(images(service) == [image] for service in (*SERVICES, *TRADERS))

    await until(everywhere, f"all Pods run {image}", 180)
    for service in (*SERVICES, *TRADERS):
        cluster.wait_up(service)
    cluster.wait_ready("busy")
    assert not await book.finished(), "the session was over before the release was changed"
    await book.goes_on()


async def test_an_upgrade_and_a_rollback_under_a_trading_strategy(install):
    # The same program under another name: what an upgrade does to Pods, and nothing else.
    cluster = install(feed={"speed": 250, "history": 1})
    cluster.node.exec_in_netns(["ctr", "--namespace", "k8s.io", "images", "tag", "--force", PROJECT_NAME, NEXT])
    async with open_book(cluster) as book:
        cluster.apply(MANIFESTS / "busy.yaml")
        await until(book.position, "it holds a position", 120)
        cluster.upgrade(image={"tag": "next"})
        await runs(cluster, book, NEXT)
        await until(book.position, "it holds a position", 120)
        cluster.helm.rollback(RELEASE, version=1, wait="watcher", timeout=INSTALL_SECONDS)
        await runs(cluster, book, PROJECT_NAME)
        await until(book.finished, "the session is over", 600)
        await check_one_trader(book)
        assert (await book.report()).in_doubt == ()
