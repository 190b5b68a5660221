from collections.abc import AsyncIterator

import pytest

from leadline.runtime.database import Pool
from tests.stack import Database, pool_as


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections with the recorder's rights."""
    async with pool_as(database, "recorder") as found:
        yield found


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[Pool]:
    """Connections of somebody who looks on."""
    async with pool_as(database, "reader") as found:
        yield found
