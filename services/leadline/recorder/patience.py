"""What a failed write means: a message that will never do, or a database that is in trouble and recovers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
import structlog

from leadline.recorder import metrics

RETRY_FIRST_SECONDS: Final = 0.2
RETRY_MOST_SECONDS: Final = 5.0

# What the content of a message can do to the database.
UNACCEPTABLE: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
# Everything else that the database may say is its own trouble.
TROUBLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


class StoppedInTrouble(Exception):
    """The process is told to stop while the database is in trouble: what is in hand will be delivered again."""


async def insist(stream: str, stopping: asyncio.Event, work: Callable[[], Awaitable[Result]]) -> Result:
    """Do `work` until the database has done it, with growing pauses; nothing else is read meanwhile.

    Raises what `UNACCEPTABLE` lists at once, and StoppedInTrouble when `stopping` is set during a pause.
    """
    pause = RETRY_FIRST_SECONDS
    while True:
        try:
            return await work()
        except UNACCEPTABLE:
            raise
        except TROUBLE as error:
            _log.warning("recorder.database_trouble", stream=stream, reason=str(error), pause_seconds=pause)
            metrics.RETRIES[stream].inc()
        try:
            async with asyncio.timeout(pause):
                await stopping.wait()
        except TimeoutError:
            pause = min(RETRY_MOST_SECONDS, 2 * pause)
        else:
            raise StoppedInTrouble
