"""The meaning of a failed write: a message that can never be stored, or a database in trouble that recovers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from leadline.recorder import metrics
from leadline.runtime.retry import until_done

# The longest that a stop waits for a pause to end.
RETRY_MOST_SECONDS: Final = 1.0

# What the content of a message can do to the database.
REFUSED_BY_CONTENT: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
# Everything else that the database may say is its own trouble.
TROUBLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

Result = TypeVar("Result")


class Stopped(Exception):
    """The process is told to stop while the database is in trouble: what is in hand will be delivered again."""


async def write_until_done(stream: str, stopping: asyncio.Event, work: Callable[[], Awaitable[Result]]) -> Result:
    """Do `work` until the database has done it, with growing pauses; nothing else is read meanwhile.

    Raises what `REFUSED_BY_CONTENT` lists at once, and Stopped when `stopping` is set and a trial has failed.
    """
    troubled = False

    def again(error: Exception) -> bool:
        nonlocal troubled
        troubled = isinstance(error, TROUBLE) and not isinstance(error, REFUSED_BY_CONTENT)
        if troubled:
            metrics.RETRIES[stream].inc()
        return troubled

    async def trial() -> Result:
        if troubled and stopping.is_set():
            raise Stopped
        return await work()

    return await until_done(trial, "database", again, most_s=RETRY_MOST_SECONDS)
