"""Liveness is about work that gets done, and not about a server that answers."""

import asyncio
from dataclasses import dataclass

import pytest

from leadline_operator.health import NO_CONTACT_SECONDS, STUCK_SECONDS, Progress
from leadline_operator.kinds import Key
from leadline_operator.queue import WorkQueue

KEY = Key("TradingStrategy", "default", "flow")


@dataclass
class Operator:
    """A queue, whose work a test lets end, under a clock that the test moves."""

    progress: Progress
    queue: WorkQueue[Key]
    go_on: asyncio.Event
    now: float = 1000.0
    last_contact: float = 1000.0
    leads: bool = True


@pytest.fixture
async def operator():
    go_on = asyncio.Event()

    async def work(_: Key) -> None:
        await go_on.wait()

    queue: WorkQueue[Key] = WorkQueue(
        work, jitter=lambda: 1.0, on_error=lambda *_: None, retry_after=lambda _: None, observe=lambda *_: None
    )
    queue.may_work.set()
    progress = Progress(queue, lambda: found.now, lambda: found.leads, lambda: found.last_contact)
    found = Operator(progress, queue, go_on)
    consumer = asyncio.create_task(queue.consume())
    yield found
    consumer.cancel()


async def test_an_empty_queue_is_no_problem_however_long(operator: Operator):
    operator.now += 100_000
    operator.last_contact = operator.now
    assert operator.progress.problem() == ""


async def test_work_that_does_not_get_done_is_a_problem(operator: Operator):
    operator.queue.add(KEY)
    await asyncio.sleep(0)
    assert operator.progress.problem() == ""
    operator.now = operator.last_contact = operator.now + STUCK_SECONDS + 1
    assert "none was done" in operator.progress.problem()
    operator.leads = False
    assert operator.progress.problem() == "", "who does not lead has nothing to do"


async def test_done_work_clears_it(operator: Operator):
    operator.queue.add(KEY)
    await asyncio.sleep(0)
    operator.progress.problem()
    operator.go_on.set()
    while not operator.queue.idle():  # noqa: ASYNC110 - nothing else tells
        await asyncio.sleep(0)
    operator.now = operator.last_contact = operator.now + STUCK_SECONDS + 1
    assert operator.progress.problem() == ""


async def test_an_api_server_that_says_nothing_for_too_long_is_a_problem(operator: Operator):
    operator.now += NO_CONTACT_SECONDS + 1
    assert "nothing was heard" in operator.progress.problem()


async def test_what_is_cancelled_from_inside_does_not_end_a_consumer():
    done: list[Key] = []
    errors: list[Exception] = []

    async def work(key: Key) -> None:
        if not errors:
            raise asyncio.CancelledError
        done.append(key)

    queue: WorkQueue[Key] = WorkQueue(
        work,
        jitter=lambda: 0.0,
        on_error=lambda _, error, __: errors.append(error),
        retry_after=lambda _: None,
        observe=lambda *_: None,
    )
    queue.may_work.set()
    queue.add(KEY)
    consumer = asyncio.create_task(queue.consume())
    async with asyncio.timeout(5):
        while not done:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0)
    consumer.cancel()
    assert len(errors) == 1
