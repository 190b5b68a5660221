"""Work that publishes what it folds, and that starts over when the bus has lost the end of it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from leadline.runtime.bus.bus import Bus, TailLost


async def keep_publishing(bus: Bus, subjects: Collection[str], publish: Callable[[], Awaitable[None]]) -> None:
    """Run `publish`, and again from its beginning whenever a stream has lost the end of one of `subjects`. Without end.

    subjects: those that `publish` publishes to, and asks `Bus.resume` about before it does: it goes on as after a
    restart of the process, from what the stream has. The subjects are watched also when everything is published.
    Raises what `publish` raises.
    """
    while True:
        lost = asyncio.create_task(bus.tail_lost(subjects))
        publishing = asyncio.ensure_future(publish())
        try:
            await asyncio.wait({lost, publishing}, return_when=asyncio.FIRST_COMPLETED)
            if publishing.done():
                try:
                    publishing.result()
                except TailLost:
                    continue
                await lost
        finally:
            for task in (lost, publishing):
                task.cancel()
            await asyncio.wait({lost, publishing})
