"""A strategy that is deleted while it holds a position."""

import pytest

from tests.kube.platform.book import check_one_trader, check_rests, open_book, until
from tests.kube.platform.installation import MANIFESTS

pytestmark = [pytest.mark.integration, pytest.mark.node_minutes, pytest.mark.timeout(600)]


async def test_what_is_deleted_in_the_market_leaves_it_as_its_policy_says(install):
    cluster = install(feed={"speed": 1000, "history": 1})
    async with open_book(cluster) as book:
        cluster.apply(MANIFESTS / "holding.yaml")
        await until(book.position, "it holds a position", 120)
        cluster.kubectl("delete", "tstrat", "holding", "--wait=false")

        async def refused():
            return cluster.reason("holding", "Drained") == "PositionsOpen"

        await until(refused, "it stays, because a position is open")
        assert await book.position() == 1
        cluster.edit("holding", deletionPolicy={"positions": "Flatten"})
        cluster.kubectl("wait", "--for=delete", "tstrat/holding", "--timeout=60s", timeout=70)
        await check_rests(book)
        await check_one_trader(book)
        assert cluster.pods("analysis") == []
