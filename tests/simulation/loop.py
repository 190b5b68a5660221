"""An event loop without a world: its time jumps to the next timer, and chance says which ready callback is next.

Each callback belongs to the process in whose context it was scheduled. Those of a process that was killed are never
run again, those of one that stands still wait; what belongs to no process is the world around them.
"""

import asyncio
import contextlib
import contextvars
import hashlib
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, Final, Protocol

MOST_STEPS: Final = 200_000
"""Callbacks after which a schedule counts as one that never rests."""


class Owner(Protocol):
    """The process that a callback belongs to."""

    @property
    def alive(self) -> bool:
        """Whether its callbacks run at all."""

    @property
    def stands_until_s(self) -> float:
        """Until when it stands still."""

    def about_to_step(self) -> bool:
        """Told before each of its callbacks; False when it has died here."""


OWNER: Final[ContextVar[Owner | None]] = ContextVar("owner", default=None)


class Restless(AssertionError):
    """A schedule that does not come to rest."""


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop. `chance` draws the order of what is ready; `told` takes the trace."""

    _ready: "deque[asyncio.Handle]"
    _scheduled: "list[asyncio.TimerHandle]"

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.steps = 0
        self.world: Context = contextvars.copy_context()
        self._now_s = 0.0
        self._chance = chance
        self._trace = hashlib.blake2b(digest_size=8)
        self.lines: list[str] | None = None
        """The trace as text, where somebody wants to read it."""
        self.errors: list[str] = []

    def time(self) -> float:
        return self._now_s

    @property
    def trace(self) -> str:
        """The digest of all that was told so far."""
        return self._trace.hexdigest()

    def tell(self, line: str, detail: Callable[[], str] = str) -> None:
        """Add to the trace; `detail` is for those who read it."""
        text = f"{self._now_s:.6f} {line}"
        self._trace.update(text.encode())
        if self.lines is not None:
            self.lines.append(f"{text} {detail()}".rstrip())

    def spawn(self, work: Coroutine[Any, Any, Any], owner: Owner | None = None) -> "asyncio.Task[Any]":
        """A task of a process, or of the world."""
        context = self.world.copy()
        context.run(OWNER.set, owner)
        task: asyncio.Task[Any] = asyncio.Task(work, loop=self, context=context)
        task._log_destroy_pending = False  # type: ignore[attr-defined] # a process that is killed leaves its tasks
        return task

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run until the world's own work is done."""
        task = self.spawn(work)
        events._set_running_loop(self)
        try:
            while not task.done():
                self._run_once()
        finally:
            events._set_running_loop(None)
        return task.result()

    def close(self) -> None:
        """Drop all that has not ended, as a machine does that is switched off: nobody hears of what it says then."""
        for task in asyncio.all_tasks(self):
            with contextlib.suppress(RuntimeError):  # one that waits for something on its way out waits for ever
                task.get_coro().close()
        super().close()

    def _run_once(self) -> None:
        ready, timers = self._ready, self._scheduled
        if not ready:
            if not timers:
                raise Restless("nothing is left to happen")
            self._now_s = max(self._now_s, timers[0].when())
        while timers and timers[0].when() <= self._now_s:
            timer = heapq.heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            if not timer.cancelled():
                ready.append(timer)
        if not ready:
            return
        place = self._chance.randrange(len(ready)) if len(ready) > 1 else 0
        handle = ready[place]
        del ready[place]
        if handle.cancelled():
            return
        owner = handle._context.get(OWNER)  # type: ignore[attr-defined]
        if owner is not None:
            if not owner.alive:
                return
            if owner.stands_until_s > self._now_s:
                self.call_at(owner.stands_until_s, ready.append, handle, context=self.world)
                return
            if not owner.about_to_step():
                return
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Restless(f"{MOST_STEPS} steps, and no rest")
        handle._run()

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("there is no input or output here")

    def _write_to_self(self) -> None:
        """Nobody waits in a selector."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error in a callback; what a dropped task or future had to say does not count."""
        if "handle" in context:
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")
