"""The view of a running stack: a live picture in a terminal, a line now and then elsewhere."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.live import Live

from leadline.cli.feeding import tape_ns, unfinished_text
from leadline.cli.live_feed import feed_line, is_live
from leadline.cli.picture import draw
from leadline.local.supervisor import PartStatus, Supervisor
from leadline.model.counted import counted
from leadline.model.halts import halts_text
from leadline.model.worth import places
from leadline.report.clock import moment
from leadline.report.printable import printable
from leadline.views.follow import follow
from leadline.views.scene import Scene
from leadline.views.signals import readable
from leadline.views.stack import Stack

FRAME_SECONDS: Final = 0.25
LINE_SECONDS: Final = 5.0
# The first line waits for something to say.
FIRST_LINE_SECONDS: Final = 1.0


async def show(stack: Stack, supervisor: Supervisor, *, drawn: bool) -> None:
    """Show the stack until cancelled; `drawn` draws where standard output is a terminal.

    Lines go to standard error, so that standard output carries nothing but the answer.
    """
    scene = Scene()
    following = asyncio.create_task(follow(stack, supervisor.services, scene))
    try:
        if drawn and sys.stdout.isatty():
            await _draw(scene, stack, supervisor, following)
        else:
            await _print_progress(scene, stack, supervisor, following)
    finally:
        following.cancel()
        await asyncio.wait([following])


async def _draw(scene: Scene, stack: Stack, supervisor: Supervisor, following: "asyncio.Task[None]") -> None:
    console = Console(markup=False, emoji=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not following.done():
            live.update(draw(scene, stack, supervisor.status(), *console.size), refresh=True)
            await asyncio.sleep(FRAME_SECONDS)
    following.result()


async def _print_progress(scene: Scene, stack: Stack, supervisor: Supervisor, following: "asyncio.Task[None]") -> None:
    pause, shown = FIRST_LINE_SECONDS, ""
    while not following.done():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await asyncio.shield(following)
        line = printable(progress_line(scene, stack, supervisor.status()))
        if line != shown:
            print(line, file=sys.stderr, flush=True)
        shown = line
        pause = LINE_SECONDS
    following.result()


def progress_line(scene: Scene, stack: Stack, parts: Sequence[PartStatus]) -> str:
    """Where the run is, in one line."""
    feed = scene.feed
    if feed is None:
        return "leadline: waiting for the feed"
    prints = sum(item.prints for item in feed.contracts)
    rate = sum(found.per_second for found in scene.rates.values())
    reached_ns = max(map(tape_ns, feed.contracts), default=0)
    parts_of_line = [
        *(
            [f"leadline: {feed_line(feed)}", f"tape {moment(feed.now_ns)}"]
            if is_live(feed)
            else [f"leadline: feed {feed.state.replace('_', ' ')} {feed.progress:.0%}", f"tape {moment(reached_ns)}"]
        ),
        counted(prints, "print") + (f" at {rate:,.0f}/s" if rate >= 1 else ""),
        f"{counted(scene.bar_count, 'bar')}, {counted(scene.signal_count, 'signal')}, fills so far: {scene.fills:,}",
    ]
    kept_out = sum(item.faulty for item in feed.contracts)
    if kept_out:
        parts_of_line.append(f"{counted(kept_out, 'print')} kept out")
    outside_sessions = sum(item.outside for item in feed.contracts)
    if outside_sessions:
        parts_of_line.append(f"{outside_sessions:,} outside every session")
    if scene.unfinished:
        parts_of_line.append(unfinished_text(scene.unfinished.values()))
    if feed.failure:
        parts_of_line.append(f"FAILED {feed.failure}")
    for account in stack.accounts:
        state = scene.states.get(account)
        if state is not None:
            halt = halts_text(halt.reason for halt in state.halts)
            halted = f", HALT {halt}" if halt else f", block {readable(state.block)}" if state.block else ""
            phase = readable(state.phase)
            equity = f"{Decimal(state.equity):.{places(state.currency)}f} {state.currency}"
            parts_of_line.append(f"{account} {phase}, has come to {moment(state.instant_ns)}, equity {equity}{halted}")
    unwell = [
        f"{part.name} {part.health}" + (f" ({part.trouble})" if part.trouble else "")
        for part in parts
        if part.health != "serving"
    ]
    again = sum(part.restarts for part in parts)
    if unwell:
        parts_of_line.append(", ".join(unwell))
    if again:
        parts_of_line.append(counted(again, "restart"))
    return "; ".join(parts_of_line)
