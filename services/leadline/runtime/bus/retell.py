"""Work that publishes what it folds, and that starts over when the bus has lost the end of it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from leadline.runtime.bus.bus import Bus, TailLost


async def retell(bus: Bus, subjects: Collection[str], tell: Callable[[], Awaitable[None]]) -> None:
    """Run `tell`, and again from its beginning whenever a stream has lost the end of one of `subjects`. Without end.

    subjects: those that `tell` publishes to, and asks `Bus.resume` about before it does: it goes on as after a
    restart of the process, from what the stream has. It is watched over also when it has told everything. Raises what
    `tell` raises.
    """
    while True:
        lost = asyncio.create_task(bus.tail_lost(subjects))
        telling = asyncio.ensure_future(tell())
        try:
            await asyncio.wait({lost, telling}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                try:
                    telling.result()
                except TailLost:
                    continue
                await lost
        finally:
            for task in (lost, telling):
                task.cancel()
            await asyncio.wait({lost, telling})
