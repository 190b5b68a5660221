"""What a running stack shows in the terminal: a live picture, or a line now and then where nobody draws."""

import asyncio
from typing import Final

from leadline.cli.follow import Scene, follow
from leadline.cli.stack import Stack
from leadline.plan.supervisor import Supervisor

LINE_SECONDS: Final = 5.0


async def show(stack: Stack, supervisor: Supervisor, *, live: bool) -> None:
    """Show the stack until cancelled."""
    scene = Scene()
    async with asyncio.TaskGroup() as group:
        group.create_task(follow(stack, supervisor.services, scene))
        while True:
            await asyncio.sleep(LINE_SECONDS)
            print(progress_line(scene))


def progress_line(scene: Scene) -> str:
    if scene.feed is None:
        return "no feed"
    states = ", ".join(f"{s.phase} {s.instant_ns} {s.equity}" for s in scene.states.values())
    return f"{scene.feed.state} {scene.feed.progress:.0%} bars {scene.bar_count} signals {scene.signal_count} fills {scene.fills} {states}"
