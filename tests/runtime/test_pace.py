"""What others are given: so many items a second, and so large a share of the process."""

import asyncio

import pytest

from leadline.runtime.rpc import pace
from leadline.runtime.rpc.pace import Pace, Share


class Clocks:
    """Both clocks of the process, which go on only where a test says so, and while one sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.worked_s = 0.0
        self.slept_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.now_s += seconds

    def work(self, seconds: float) -> None:
        self.now_s += seconds
        self.worked_s += seconds


@pytest.fixture
def clocks(monkeypatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(pace, "monotonic_s", lambda: made.now_s)
    monkeypatch.setattr(pace, "worked_s", lambda: made.worked_s)
    monkeypatch.setattr(asyncio, "sleep", made.sleep)
    return made


async def test_all_who_ask_together_get_so_many_items_a_second(clocks: Clocks):
    made = Pace(1_000)
    for _ in range(20):
        await made.take(100)
    assert clocks.slept_s == pytest.approx(2_000 / 1_000 - pace.BURST_SECONDS)


async def test_callers_that_give_up_take_nothing_from_those_behind_them(clocks: Clocks, monkeypatch):
    made = Pace(10)
    await made.take(5)  # the burst
    for_ever = asyncio.Event()

    async def wait(_: float) -> None:
        await for_ever.wait()

    with monkeypatch.context() as slow:
        slow.setattr(asyncio, "sleep", wait)
        gone = [asyncio.ensure_future(made.take(1)) for _ in range(200)]
        await asyncio.wait(gone, timeout=0)
        for each in gone:
            each.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
    before = clocks.slept_s
    await made.take(1)
    assert clocks.slept_s - before == pytest.approx(0.1)


@pytest.mark.parametrize("piece_s", [0.0005, 0.003, 0.2])
async def test_work_for_others_keeps_its_share_whatever_a_piece_takes(clocks: Clocks, piece_s: float):
    share = Share(0.01)
    began_s = clocks.now_s
    for _ in range(50):
        async with share.turn():
            clocks.work(piece_s)
    # The last piece's rest is still to come.
    assert clocks.worked_s / (clocks.now_s - began_s) <= 0.01 * 50 / 49


async def test_work_that_fails_counts_as_well(clocks: Clocks):
    share = Share(0.5)

    async def fail() -> None:
        async with share.turn():
            clocks.work(1.0)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fail()
    async with share.turn():
        pass
    assert clocks.slept_s == pytest.approx(1.0 + pace.CALL_WORK_SECONDS)


async def test_who_asks_seldom_does_not_wait(clocks: Clocks):
    share = Share(0.01)
    for _ in range(5):
        async with share.turn():
            clocks.work(0.003)
        clocks.work(1.0)
    assert clocks.slept_s == 0
