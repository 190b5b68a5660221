"""No order of events loses a halt: calls, causes found by the loop, resumes, the field, crashes and restarts at random.

A tiny model knows the causes that nobody has cleared. After each event the account has to be halted for just these.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.core.account_settings import set_account
from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored
from leadline.execution.core.halts import Seen, StoredHalts
from leadline.execution.loop.account_loop import AccountLoop
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import HaltStands, Unavailable
from leadline.execution.venues.both_ports import BothPorts
from leadline.model.halts import FIELD_REASON, Halt, HaltSource
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId, RunId
from leadline.model.manifest.venues import Capability
from leadline.model.orders import Advanced, Replacement, VenueOrder, Watch
from leadline.risk.view import DecisionInputs, RiskDecision
from tests.execution.harness.builders import DAY, MES, account, ns
from tests.execution.harness.checks import AccountStore
from tests.execution.harness.desk import Books
from tests.execution.harness.stores import IN_POSTGRES, MemoryBooks

SEQUENCES = int(os.environ.get("LEADLINE_SEQUENCES", "1000"))  # `make halts` runs ten thousand
SHARDS = 10
EVENTS = 14
PERSONS = ("ann", "bob")
REASONS = ("news", "looks wrong")
AUTOMATIC = (HaltSource.DIFFERENCE, HaltSource.LIMIT, HaltSource.POISON, HaltSource.SYSTEM)
ON, OFF = account(halt=True), account()
NAME = ON.full_name

Cause = tuple[HaltSource, str, str]


class Died(BaseException):
    """The process ends at a port."""


class Rows:
    """One account's rows, in a store that refuses what its keys refuse: a halt and its clearing have to come once."""

    def __init__(self, store: AccountStore, books: Books, tape: RunId) -> None:
        self._store, self._books, self._tape = store, books, tape
        self._first = 0

    async def begin(self) -> None:
        """Take the account as other tests have left it: its halts cleared, its numbers used up."""
        assert await self._store.acquire()
        await self._books.clear_halts()
        self._first = (await self._store.halts([])).last

    async def write(self, book: Book, changes: Changes) -> None:
        stored = await self._store.halts([clearing.halt.number for clearing in changes.cleared])
        for clearing in changes.cleared:
            assert stored.rows[clearing.halt.number] == (clearing.halt, False)
        await self._store.commit(book, changes)

    async def read(self, numbers: Sequence[int]) -> StoredHalts:
        return await self._store.halts(numbers)

    async def load(self) -> Book | None:
        return await self._store.load()

    async def check(self) -> None:
        """Every halt was told once, and so was its clearing."""
        last = (await self._store.halts([])).last
        stored = await self._store.halts(range(self._first + 1, last + 1))
        written = {(f"halt-{number}", 1) for number in stored.rows}
        cleared = {(f"halt-{number}", 2) for number, (_, gone) in stored.rows.items() if gone}
        events = await self._books.rows(self._tape, "order_event", "key, version", "event")
        assert sorted(events) == sorted(written | cleared)


class Store:
    """The rows as the loop reaches them: anything may come in meanwhile, an answer may be lost, the process may die."""

    def __init__(self, rows: Rows, meanwhile: Callable[[], None]) -> None:
        self._rows = rows
        self._meanwhile = meanwhile

    async def load(self) -> Book | None:
        return await self._rows.load()

    async def commit(self, book: Book, changes: Changes, check: Any = None) -> None:
        self._meanwhile()
        await self._rows.write(book, changes)
        self._meanwhile()

    async def halts(self, numbers: Sequence[int]) -> StoredHalts:
        self._meanwhile()
        found = await self._rows.read(numbers)
        self._meanwhile()
        return found

    async def confirm(self) -> None: ...

    async def decided(self, decision: DecisionId) -> bool:
        return False

    async def recall(self, client_ids: Sequence[ClientOrderId], fill_ids: Sequence[FillId]) -> Stored:
        return Stored()

    async def sent(self, newest: int) -> frozenset[ClientOrderId]:
        return frozenset()


class Venue:
    """A market in which nothing happens; it may hold something that the book does not.

    No two reads of that say the same: what they say alike would be taken over.
    """

    differs = False
    _reads = 0

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        return Advanced(from_ns, (), {})

    async def working(self) -> Sequence[VenueOrder]:
        return ()

    async def submit(self, order: VenueOrder) -> VenueOrder:
        raise AssertionError(order)

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        raise AssertionError(client_id)

    async def replace(self, wanted: Replacement) -> VenueOrder:
        raise AssertionError(wanted)

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        return None

    async def positions(self) -> dict[ContractId, int]:
        self._reads += 1
        return {MES: 1 + self._reads % 2} if self.differs else {}


class Nobody:
    """Risk, and a journal, that nobody asks."""

    written: frozenset[ClientOrderId] = frozenset()

    def newest(self, count: int) -> list[ClientOrderId]:
        return []

    def restore(self, client_ids: object) -> None: ...

    def write(self, client_id: ClientOrderId) -> None: ...

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        raise AssertionError(inputs)


@dataclass
class Story:
    """One random sequence. `causes` is the model: what was said and not cleared, with when it was said last."""

    chance: random.Random
    file: Path
    rows: Rows
    tape: RunId = RunId("tape")
    venue: Venue = field(default_factory=Venue)
    causes: dict[Cause, int] = field(default_factory=dict)
    clock: int = 0
    shown: dict[str, tuple[tuple[Halt, ...], int]] = field(default_factory=dict)
    waiting: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    quiet: bool = False
    said: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """A new process."""
        self.up = False
        self.waiting.clear()
        self.switch = KillSwitch(self.file, self._now)
        nobody = Nobody()
        both = BothPorts(self.venue, (MES,))
        deps = Deps(
            store=Store(self.rows, self._meanwhile),
            time=both,
            venue=both,
            risk=nobody,
            journal=nobody,
            queues={},
            pause=_no_pause,
            idle=_no_idle,
            switch=self.switch,
            committed=lambda _: None,
            capabilities=frozenset(Capability),
        )
        self.loop = AccountLoop(
            deps, lambda: Book(RunId(self.tape), NAME, OFF, (MES,), DAY, ns(0), OFF.spec.starting_balance)
        )

    def _now(self) -> int:
        self.clock += 1
        return self.clock * 1000

    # --- what may happen at any time, also while the loop waits for the database ---

    def _meanwhile(self) -> None:
        if self.quiet:
            return
        if self.chance.random() < 0.15:
            self.arrive()
        if self.chance.random() < 0.06:
            self.said.append("a fault")
            raise self.chance.choice([Died, Unavailable])("here")

    def arrive(self) -> None:
        """A call comes in, or somebody looks."""
        self.chance.choice([self._halt, self._halt, self._look, self._resume, self._field])()

    def _say(self, source: HaltSource, reason: str, by: str) -> None:
        self.said.append(f"{source} {reason} {by}")
        self.switch.halt(source, reason, by)
        self.causes[_cause(source, reason, by)] = self._now()

    def _halt(self) -> None:
        self._say(HaltSource.PERSON, self.chance.choice(REASONS), self.chance.choice(PERSONS))

    def found(self) -> None:
        """The loop finds a cause."""
        self._say(self.chance.choice(AUTOMATIC), self.chance.choice(REASONS), "execution")

    def _look(self) -> None:
        self.shown[self.chance.choice(PERSONS)] = (self.switch.halts.in_force, self._now())

    def _resume(self) -> None:
        person = self.chance.choice(PERSONS)
        halts, looked = self.shown.get(person, ((), 0))
        chosen = [halt for halt in halts if self.chance.random() < 0.8]
        seen = self.switch.halts.seen(halt.number for halt in chosen)
        arrived = self._now()
        allowed = {}
        for halt in chosen:
            # A person's call is known by when he was shown it; what the loop finds again is the same halt till now.
            limit = looked if halt.source is HaltSource.PERSON else arrived
            if self.causes.get(_cause_of(halt), limit) < limit:
                allowed[_cause_of(halt)] = limit
        self.said.append(f"{person} asks to resume {[halt.number for halt in chosen]}")
        self.waiting.append(lambda: self._carry_out(seen, allowed, person))

    async def _carry_out(self, seen: Seen, allowed: dict[Cause, int], person: str) -> None:
        field_says = self.loop.book.manifest.spec.halt
        doubtful = {cause for cause, limit in allowed.items() if self.causes.get(cause, limit) < limit}
        try:
            cleared = await self.loop.halts.resume(seen, person, "go on", self._now())
        except HaltStands:
            assert field_says or self.venue.differs
            return
        except (Died, Unavailable):
            self._outcome_unknown(doubtful)
            raise
        standing = {_cause_of(halt) for halt in self.switch.halts.in_force}
        for halt in cleared:
            cause = _cause_of(halt)
            assert halt.number in seen
            if cause in standing:  # an older number of what was said again: a fault had kept its row open
                continue
            assert cause in allowed, f"{cause} was cleared by who had not seen it"
            assert self.causes.pop(cause, 0) < allowed[cause], f"{cause} was said again"
            assert not (halt.source is HaltSource.FIELD and field_says)
            assert not (halt.source is HaltSource.DIFFERENCE and self.venue.differs)

    def _outcome_unknown(self, doubtful: set[Cause]) -> None:
        """Nobody was answered: what was asked may be done. What is on disk decides."""
        kept = {_cause_of(halt) for halt in KillSwitch(self.file, self._now).halts.in_force}
        for cause in doubtful - kept:
            self.causes.pop(cause, None)

    def _field(self) -> None:
        """The account's manifest comes, with the name of who wrote it or without."""
        wanted, person = self.chance.choice([ON, OFF]), self.chance.choice(["", "ann"])
        if wanted.spec.halt:
            self._say(HaltSource.FIELD, FIELD_REASON, person or "operator")
        seen = self.switch.halts.seen(halt.number for halt in self.switch.halts.of(HaltSource.FIELD))
        arrived = self._now()

        async def carry_out() -> None:
            set_account(self.loop.book, wanted)
            await self.loop.commit()
            cause = _cause(HaltSource.FIELD, "", "")
            try:
                await self.loop.halts.follow_field(seen, person or "operator", person, self._now())
            except (Died, Unavailable):
                if person and not wanted.spec.halt:
                    self._outcome_unknown({cause} if self.causes.get(cause, arrived) < arrived else set())
                raise
            if wanted.spec.halt:
                self.causes.setdefault(cause, self._now())
            elif person and self.causes.get(cause, arrived) < arrived and min(seen, default=0) >= 0:
                del self.causes[cause]  # a halt that had no number yet when the manifest came stays

        self.said.append(f"halt: {wanted.spec.halt} by {person or 'nobody'}")
        self.waiting.append(carry_out)

    # --- the loop ---

    async def recover(self) -> None:
        before = self.venue.differs
        await self.loop.recover()
        if before:
            assert any("venue" in halt.reason for halt in self.switch.halts.of(HaltSource.DIFFERENCE))
            self._learn()
        if self.loop.book.manifest.spec.halt:
            self.causes.setdefault(_cause(HaltSource.FIELD, "", ""), self._now())

    async def turn(self) -> None:
        """The commands that wait, and what has no row yet; after a start and after a fault the loop recovers first."""
        while True:
            try:
                if not self.up:
                    self._learn()
                    await self.recover()
                    self.up = True
                while self.waiting:
                    action = self.waiting.pop(0)
                    if self.chance.random() < 0.9:  # else its caller has gone
                        await action()
                await self.loop.halts.tell()
            except Died:
                self.begin()
            except Unavailable:
                self.up = False
            else:
                return

    def _learn(self) -> None:
        """A cause that the loop found in a recovery that a fault ended stands, too."""
        for halt in self.switch.halts.in_force:
            if halt.by == "execution":
                self.causes.setdefault(_cause_of(halt), self._now())

    async def event(self) -> None:
        draw = self.chance.random()
        if draw < 0.5:
            self.arrive()
        elif draw < 0.6:
            self.found()
        elif draw < 0.65:
            self.venue.differs = not self.venue.differs
        elif draw < 0.75:
            self.begin()
            await self.turn()
        else:
            await self.turn()

    def check(self) -> None:
        halted = {_cause_of(halt) for halt in self.switch.halts.in_force}
        assert halted == set(self.causes)
        on_disk = KillSwitch(self.file, self._now).halts.in_force
        assert on_disk == self.switch.halts.in_force

    async def run(self) -> None:
        self.begin()
        await self.turn()
        for _ in range(EVENTS):
            await self.event()
            self.check()
        self.quiet = True
        await self.turn()
        self.check()
        assert not (self.loop.book.manifest.spec.halt and not self.switch.halts.of(HaltSource.FIELD))
        stored = await self.rows.read([])
        in_force = {number for number, (_, cleared) in stored.rows.items() if not cleared}
        assert in_force == {halt.number for halt in self.switch.halts.in_force}
        await self.rows.check()


def _cause(source: HaltSource, reason: str, by: str) -> Cause:
    """What makes a halt the same: the field is one, a person's word is his own, the loop's is its reason."""
    if source is HaltSource.FIELD:
        return source, "", ""
    return source, reason, by if source is HaltSource.PERSON else ""


def _cause_of(halt: Halt) -> Cause:
    return _cause(halt.source, halt.reason, halt.by)


async def _no_pause(phase: str) -> None: ...


async def _no_idle() -> None: ...


def rows_of(books: Books, tape: RunId) -> Rows:
    store = books.store(tape, OFF, (MES,), trade_from=DAY, holder="execution-0")
    return Rows(store, books, tape)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_halt_is_lost_in_any_interleaving(folder: Path, shard: int):
    async def run() -> None:
        for seed in range(shard, SEQUENCES, SHARDS):
            rows = rows_of(MemoryBooks(), RunId("tape"))
            await rows.begin()
            sequence = Story(random.Random(seed), folder / f"halts-{seed}.json", rows)
            try:
                await sequence.run()
            except BaseException as error:
                error.add_note(f"seed {seed}: {sequence.said}")
                raise
            sequence.file.unlink(missing_ok=True)

    asyncio.run(run())


@IN_POSTGRES
@pytest.mark.parametrize("seed", range(10))
async def test_nor_in_the_database(books: Books, folder: Path, seed: int):
    tape = f"{books.test}-{seed}"
    rows = rows_of(books, RunId(tape))
    await rows.begin()
    await Story(random.Random(seed), folder / "halts.json", rows, RunId(tape)).run()
