"""Faults one after another on a running platform, at random moments, and after each one the whole truth."""

import asyncio
import contextlib
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from leadline.ingestion.live.tape import Clock
from leadline.runtime.clock import wall_ns
from leadline.runtime.database import DATABASE_LOST
from tests.chaos.book_side import BookSide, MarketSide, read_sides
from tests.chaos.faults import Fault
from tests.chaos.oracle import LONGEST_NS, Wrong, differences, given_up, market_faults, unsettled
from tests.chaos.platform import ACCOUNTS, SPEED, NotStarted, Platform
from tests.chaos.recovery import Recovered, Watch

LOOK_AGAIN_SECONDS: Final = 6.0
"""After how long an order whose fate was open is looked at again."""

CALM_SECONDS: Final = 150.0
NEW_YORK: Final = ZoneInfo("America/New_York")
# The market is busiest in regular hours, and a fault needs time to heal before they are over.
FIRST_HOUR, LAST_HOUR = 9.5, 15.25


@dataclass(frozen=True, slots=True)
class Round:
    """One fault and what came of it. `wrong` is what does not hold, `given_up` how many entries were."""

    number: int
    fault: str
    fault_s: float
    recovered: Recovered
    wrong: tuple[Wrong, ...]
    given_up: int


@dataclass(slots=True)
class Tally:
    """All rounds so far, and what the platforms have traded in them."""

    rounds: list[Round] = field(default_factory=list)
    platforms: int = 0
    orders: int = 0
    fills: int = 0
    decisions: Counter[str] = field(default_factory=Counter)

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def schedule(faults: Sequence[Fault], times: int, rng: Random) -> Iterator[Fault]:
    """Every fault so many times, in a random order; those that a platform is prepared for stand together."""
    plain = [fault for fault in faults if fault.prepare is None] * times
    rng.shuffle(plain)
    yield from plain
    for fault in faults:
        if fault.prepare is not None:
            yield from [fault] * times


class Runner:
    """Runs a schedule; keeps in `folder` what every round that failed has left behind.

    speed: of the tape's clock. patience: that many times as long may everything take, for a machine that is not alone.
    """

    def __init__(self, folder: Path, seed: int, *, speed: int = SPEED, patience: float = 1.0) -> None:
        self.tally = Tally()
        self._folder = folder
        self._seed = seed
        self._speed = speed
        self._patience = patience
        self._rng = Random(seed)
        self._given_up: dict[str, set[str]] = {}

    async def run(self, faults: Sequence[Fault], times: int) -> Tally:
        """Every fault so many times."""
        todo = list(schedule(faults, times, self._rng))
        while todo:
            async with self._platform() as (platform, watch):
                while todo and await self._goes_on(platform):
                    if not await self._round(platform, watch, todo.pop(0)):
                        break
        return self.tally

    @contextlib.asynccontextmanager
    async def _platform(self) -> AsyncIterator[tuple[Platform, Watch]]:
        self.tally.platforms += 1
        self._given_up = {account: set() for account in ACCOUNTS}
        self._prepared: set[str] = set()
        folder, seed = self._folder / f"platform-{self.tally.platforms}", self._seed + self.tally.platforms
        platform = Platform(folder, seed, speed=self._speed)
        say(f"platform {self.tally.platforms} starts")
        watch = None
        try:
            await platform.start()
            watch = Watch(platform)
            yield platform, watch
            await self._count(platform)
        finally:
            if watch is not None:
                await watch.close()
            await platform.stop()
            platform.close()
            shutil.rmtree(platform.folder, ignore_errors=True)

    async def _count(self, platform: Platform) -> None:
        """Add what a platform has traded to the tally."""
        with contextlib.suppress(*DATABASE_LOST):
            books, _ = await sides(platform)
            for book in books.values():
                self.tally.orders += len(book.intents)
                self.tally.fills += len(book.fills)
                self.tally.decisions.update(book.decisions)

    async def _goes_on(self, platform: Platform) -> bool:
        """Whether there is time for another fault before the market is quiet."""
        connection = await platform.connect()
        try:
            clock = await platform.clock(connection)
        finally:
            await connection.close()
        now = hour_of(clock)
        return FIRST_HOUR <= now < LAST_HOUR

    async def _round(self, platform: Platform, watch: Watch, fault: Fault) -> bool:
        """One fault. Whether the platform is as good as before."""
        number = len(self.tally.rounds) + 1
        if fault.prepare is not None and fault.name not in self._prepared:
            await fault.prepare(platform)
            self._prepared.add(fault.name)
        now = time.monotonic()
        calm = await watch.healed(now, now, CALM_SECONDS * self._patience)
        if not calm.well:
            what = f"before the fault: ready {calm.ready_s}, trading {calm.trading_s}, not ready {set(watch.lacking())}"
            return self._end_round(platform, Round(number, fault.name, 0.0, calm, (Wrong("calm", what),), 0))
        await asyncio.sleep(self._rng.uniform(0, 3))
        began_s = time.monotonic()
        try:
            await fault.inject(platform, self._rng)
        except NotStarted as error:
            recovered = Recovered(None, None)
            return self._end_round(platform, Round(number, fault.name, 0, recovered, (Wrong("start", str(error)),), 0))
        ended_s, heals_s = time.monotonic(), fault.heals_s * self._patience
        recovered = await watch.healed(began_s, ended_s, heals_s)
        wrong: list[Wrong] = (
            [] if recovered.well else [Wrong("healed", f"not within {heals_s:g} s: {set(watch.lacking())}")]
        )
        lost = 0
        if platform.runs:
            found, lost = await self._look(platform, watch)
            wrong += found
        elif not wrong:
            wrong.append(Wrong("supervisor", "leadline up has ended"))
        wrong = [each for each in wrong if each.kind not in fault.allows]
        done = Round(number, fault.name, ended_s - began_s, recovered, tuple(wrong), lost)
        return self._end_round(platform, done) and not fault.fresh

    def _end_round(self, platform: Platform, done: Round) -> bool:
        self.tally.rounds.append(done)
        well = done.recovered
        told = f"ready {shown(well.ready_s)}, trading {shown(well.trading_s)}, bare {shown(well.bare_s)}"
        say(f"{done.number:4} {done.fault:20} {done.fault_s:6.1f} s: {told}, given up {done.given_up}")
        for each in done.wrong:
            say(f"     WRONG {each.kind}: {each.what[:600]}")
        if done.wrong:
            place = self._folder / f"failed-{self._seed}-{done.number}-{done.fault}"
            platform.keep_logs(place)
            (place / "what").write_text(f"seed {self._seed}, round {done.number}\n{done}\n")
            say(f"     kept in {place}")
        return not done.wrong

    async def _look(self, platform: Platform, watch: Watch) -> tuple[list[Wrong], int]:
        """What is wrong with the platform, and how many entries were given up since the last time.

        What is open at the first look may be so; what is still so at the second, may not.
        """
        try:
            books, market = await sides(platform)
            watch.read_ledgers()
            found = self._compare(watch, books, market)
            if found or any(unsettled(name, book, book) for name, book in books.items()):
                await asyncio.sleep(LOOK_AGAIN_SECONDS * self._patience)
                again, market = await sides(platform)
                watch.read_ledgers()
                found = self._compare(watch, again, market)
                for name, book in books.items():
                    found += unsettled(name, book, again[name])
                books = again
        except DATABASE_LOST as error:
            return [Wrong("database", repr(error))], 0
        lost = 0
        for name, book in books.items():
            lost += len(given_up(book) - self._given_up[name])
            self._given_up[name] = given_up(book)
        return found, lost

    @staticmethod
    def _compare(watch: Watch, books: dict[str, BookSide], market: MarketSide) -> list[Wrong]:
        found = market_faults(market)
        for name, book in books.items():
            side = watch.ledgers[name].side
            found += differences(name, side, book)
            for what, exposure in (("bare", side.bare), ("excess", side.excess)):
                since = exposure.since_ns
                if since is not None and side.events[-1].instant_ns - since > 30 * LONGEST_NS:
                    found.append(Wrong(what, f"{name}: since {since} ns of the tape"))
        return found


async def sides(platform: Platform) -> tuple[dict[str, BookSide], MarketSide]:
    """The books and the market now."""
    connection = await platform.connect()
    try:
        return await read_sides(connection, ACCOUNTS)
    finally:
        await connection.close()


def hour_of(clock: Clock) -> float:
    """The hour of the day in New York that the tape's clock shows."""
    now = datetime.fromtimestamp(clock.now_ns(wall_ns()) / 1e9, UTC).astimezone(NEW_YORK)
    return now.hour + now.minute / 60


def shown(seconds: float | None) -> str:
    """Seconds for people."""
    return "never" if seconds is None else f"{seconds:.2f} s"


def say(line: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
