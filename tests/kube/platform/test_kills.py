"""Every service is lost in the middle of a session: its Pod deleted, or all its processes killed at once.

On the market-data side, and for risk, the recorder, the bus and the database, that changes nothing at all. When
execution or the venue go, no order is sent twice and no fill is lost; only entries in doubt may differ.
"""

import pytest

from tests.kube.platform.book import Book, check_one_trader, open_book, until
from tests.kube.platform.installation import MANIFESTS, Installation

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(900)]

BUSY = MANIFESTS / "busy.yaml"
FEED = {"speed": 600, "history": 1}


async def lose(cluster: Installation, book: Book, service: str, how: str) -> None:
    """Lose one service, and wait until the account has come further after that."""
    assert not await book.finished(), f"the session was over before {service} could be lost"
    restarts = cluster.restarts(service)
    if how == "delete pod":
        cluster.delete_pod(service)
    else:
        cluster.kill(service)
        cluster.node.wait_until(lambda: cluster.restarts(service) > restarts, f"{service} is started again", 60)
    cluster.wait_up(service)
    await book.goes_on()


@pytest.mark.parametrize("how", ["delete pod", "kill -9"])
async def test_the_book_is_that_of_the_undisturbed_run(how, busy_laptop, install):
    cluster = install(feed=FEED)
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        for service in ("aggregation", "analysis", "risk", "recorder", "nats", "postgresql", "ingestion"):
            await lose(cluster, book, service, how)
        await until(book.finished, "the session is over", 400)
        await check_one_trader(book)
        await book.comes_to(busy_laptop.digest)


@pytest.mark.parametrize("how", ["delete pod", "kill -9"])
async def test_losing_a_trading_service_changes_at_most_what_the_report_lists_as_in_doubt(how, busy_laptop, install):
    cluster = install(feed=FEED)
    async with open_book(cluster) as book:
        cluster.apply(BUSY)
        await until(book.fills, "it trades", 120)
        for service in ("execution", "venue", "execution", "venue"):
            await until(book.position, "it holds a position", 120)
            await lose(cluster, book, service, how)
        await until(book.finished, "the session is over", 400)
        await check_one_trader(book)
        report = await book.report()
        assert all(order.state in {"DEAD", "EXPIRED_LOCAL"} for order in report.in_doubt)
        if not report.in_doubt:
            await book.comes_to(busy_laptop.digest)
