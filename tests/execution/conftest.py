"""What the tests of the account's loop share: a database of their own, as execution sees it."""

from collections.abc import AsyncIterator

import pytest

from leadline.runtime.database import Pool
from tests.stack import Database, pool_as


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections with the rights of execution."""
    async with pool_as(database, "execution") as opened:
        yield opened
