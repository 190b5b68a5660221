"""A queue of names to work on: each stands in it once, and one consumer at a time works on it.

`Schedule` is the rule, without a clock of its own; `WorkQueue` runs it with consumers. Work that fails comes back later
and later, except for a conflict, which only says that something has changed meanwhile.
"""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

FIRST_DELAY_SECONDS: Final = 1.0
LONGEST_DELAY_SECONDS: Final = 300.0
CONSUMERS: Final = 16

KeyT = TypeVar("KeyT", bound=Hashable)


class RetryAfter(Exception):
    """Work on the name again after so many seconds, whatever the number of its failures."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Schedule(Generic[KeyT]):
    """Which names are due. `now` is a monotonic time in seconds, given by the caller.

    jitter: the factor of a delay, drawn anew for each; 1.0 for none.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._due: OrderedDict[KeyT, float] = OrderedDict()
        self._later: dict[KeyT, float] = {}
        self._heap: list[tuple[float, int, KeyT]] = []
        self._pushed = 0
        self._working: set[KeyT] = set()
        self._again: dict[KeyT, float] = {}
        self._failures: dict[KeyT, int] = {}

    def add(self, key: KeyT, now: float) -> None:
        """Work on the name as soon as possible; once more when it is being worked on."""
        self._later.pop(key, None)
        if key in self._working:
            self._again.setdefault(key, now)
        elif key not in self._due:
            self._due[key] = now

    def add_after(self, key: KeyT, seconds: float, now: float) -> None:
        """Work on the name in so many seconds, or before that when it is due before."""
        if key in self._due or key in self._again:
            return
        when = now + seconds
        if key not in self._later or when < self._later[key]:
            self._later[key] = when
            self._pushed += 1
            heapq.heappush(self._heap, (when, self._pushed, key))

    def next(self, now: float) -> tuple[KeyT, float] | None:
        """Take the name that waits longest, with the seconds that it has waited; None when nothing is due."""
        self._promote(now)
        if not self._due:
            return None
        key, since = self._due.popitem(last=False)
        self._working.add(key)
        return key, now - since

    def wakes_at(self) -> float | None:
        """When the next delayed name becomes due, None when there is none."""
        while self._heap and self._later.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def done(self, key: KeyT, now: float) -> None:
        """The name was worked on with success."""
        self._failures.pop(key, None)
        self._finish(key, now)

    def failed(self, key: KeyT, now: float, retry_after: float | None = None) -> float:
        """The work on the name failed: it comes back. Returns in how many seconds, at the latest."""
        if retry_after is None:
            count = self._failures[key] = self._failures.get(key, 0) + 1
            delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(count - 1, 16)) * self._jitter()
        else:
            delay = retry_after
        self._finish(key, now)
        self.add_after(key, delay, now)
        return delay

    def depth(self) -> int:
        """How many names are due."""
        return len(self._due)

    def working(self) -> int:
        """How many names are being worked on."""
        return len(self._working)

    def _finish(self, key: KeyT, now: float) -> None:
        self._working.discard(key)
        since = self._again.pop(key, None)
        if since is not None:
            self.add(key, now)

    def _promote(self, now: float) -> None:
        while (when := self.wakes_at()) is not None and when <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._later[key]
            # It may have been taken up meanwhile: then it is looked at once more.
            self.add(key, when)


class WorkQueue(Generic[KeyT]):
    """Consumers that call `work` with each due name, while `may_work` is set.

    work: returns the seconds after which to look again, None for not before something happens. It raises RetryAfter to
    come back at a time of its own; `describe` says what any other error means: seconds to wait, or None for the growing
    delay. Errors are told to `on_error` and never end a consumer.
    """

    def __init__(
        self,
        work: Callable[[KeyT], Awaitable[float | None]],
        *,
        jitter: Callable[[], float],
        on_error: Callable[[KeyT, Exception, float], None],
        retry_after: Callable[[Exception], float | None],
        observe: Callable[[KeyT, float], None],
    ) -> None:
        self._work = work
        self._on_error = on_error
        self._retry_after = retry_after
        self._observe = observe
        self._schedule: Schedule[KeyT] = Schedule(jitter)
        self._changed = asyncio.Event()
        self.may_work = asyncio.Event()
        self.last_finished: float | None = None

    def add(self, key: KeyT) -> None:
        """Work on the name as soon as possible."""
        self._schedule.add(key, self._now())
        self._changed.set()

    def add_after(self, key: KeyT, seconds: float) -> None:
        """Work on the name in so many seconds at the latest."""
        self._schedule.add_after(key, seconds, self._now())
        self._changed.set()

    def depth(self) -> int:
        """How many names are due and not taken up."""
        return self._schedule.depth()

    def idle(self) -> bool:
        """Whether nothing is due and nothing is being worked on."""
        return self._schedule.depth() == 0 and self._schedule.working() == 0

    async def consume(self) -> None:
        """Work until cancelled. Run as many of these as names may be worked on at the same time."""
        while True:
            await self.may_work.wait()
            taken = self._schedule.next(self._now())
            if taken is None:
                await self._wait()
                continue
            key, waited = taken
            self._observe(key, waited)
            await self._work_on(key)

    async def _work_on(self, key: KeyT) -> None:
        try:
            again_in = await self._work(key)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                # The name is still to be worked on, by the next consumer that may.
                self._schedule.failed(key, self._now(), 0)
                raise
            # Something that was waited for was cancelled, and not this consumer.
            cancelled = RuntimeError("what was waited for was cancelled")
            cancelled.__cause__ = error
            self._on_error(key, cancelled, self._schedule.failed(key, self._now()))
        except RetryAfter as asked:
            self._schedule.failed(key, self._now(), asked.seconds)
        except Exception as error:  # noqa: BLE001 - a consumer outlives whatever one name does to it
            delay = self._schedule.failed(key, self._now(), self._retry_after(error))
            self._on_error(key, error, delay)
        else:
            self._schedule.done(key, self._now())
            if again_in is not None:
                self._schedule.add_after(key, again_in, self._now())
        self.last_finished = self._now()
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        wakes_at = self._schedule.wakes_at()
        try:
            async with asyncio.timeout(None if wakes_at is None else max(0.0, wakes_at - self._now())):
                await self._changed.wait()
        except TimeoutError:
            pass

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
