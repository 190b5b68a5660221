"""An account in one process: the real loop, market, risk, journal and database, over a tape that is at hand."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import orjson

from leadline.execution.adapters.journal import SendJournal
from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.core.account_settings import set_account
from leadline.execution.core.book import Book, BookEvent, Drain, RefusedSignal
from leadline.execution.loop import commands
from leadline.execution.loop.account_loop import AccountLoop
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import PartFailed, Risk
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.execution.venues.both_ports import BothPorts, MatchingVenue
from leadline.execution.venues.paper.direct import DirectVenue, fill_rules_of
from leadline.execution.venues.paper.venue import PaperVenue
from leadline.model.errors import RefusedMessage
from leadline.model.halts import Halt, HaltSource
from leadline.model.ids import ClientOrderId, ContractId, RunId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.manifest.venues import Capability
from leadline.model.orders import Advanced, VenueEvent, Watch
from leadline.model.signals import SignalMessage
from leadline.model.ticks import TickColumns
from leadline.risk.decide import decide
from leadline.risk.view import DecisionInputs, RiskDecision
from leadline.venue.history import Step
from leadline.venue.ledger import Ledger
from leadline.venue.matching import PaperMarket
from tests.execution.harness.builders import ANALYSIS, DAY, account, ns
from tests.execution.harness.checks import AccountStore, CheckedStore, CheckedVenue
from tests.execution.harness.ports import replace_venue, venue_of

MOST_RESTARTS = 20


class Starved(AssertionError):
    """The loop waits for signals, and there are no more."""


class Bounded:
    """A venue that goes no further than an instant."""

    def __init__(self, venue: MatchingVenue, most_ns: int) -> None:
        self._venue = venue
        self._most_ns = most_ns
        self.submit, self.cancel, self.replace = venue.submit, venue.cancel, venue.replace
        self.find, self.positions, self.working = venue.find, venue.positions, venue.working

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        return await self._venue.advance(from_ns, min(to_ns, self._most_ns), after_event, contracts, watches)


class DirectRisk:
    """Risk called in the process."""

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        return decide(inputs)


class Books(Protocol):
    """Where accounts have their books: in memory or in a database (`tests.execution.harness.stores`).

    `test` begins the names of a test's tapes, so that many tests can share a database.
    """

    @property
    def test(self) -> str:
        """The beginning of the names of this test's tapes."""

    def store(
        self,
        tape: RunId,
        manifest: TradingAccount,
        feed_contracts: tuple[ContractId, ...],
        trade_from: date,
        holder: str,
    ) -> AccountStore:
        """The book of an account on a tape, as a new process writes it."""

    async def rows(self, tape: RunId, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
        """Columns (names, joined by `, `; or `*`) of a table's rows of a tape, in the order of other columns."""

    async def lines(self, tape: RunId) -> list[bytes]:
        """What the digest of a tape is made of."""

    async def written(self, tape: RunId, client_id: ClientOrderId) -> tuple[str, int, int] | None:
        """An order's state as it was written, the epoch of its writer, and the epoch of who holds the account now."""

    async def clear_halts(self) -> None:
        """Clear the halts of all accounts."""

    async def let_the_lease_run_out(self) -> None:
        """As if every holder had been silent for longer than a lease lasts."""

    async def copy(self, before: RunId, after: RunId) -> None:
        """The rows of one tape again, under the name of another."""

    async def move(self, tape: RunId, by_ns: int) -> None:
        """As if the tape's accounts had come further, nanoseconds."""


@dataclass
class Desk:
    """One account on one tape: what survives a kill, and what its world says.

    `prints` by contract, `signals` by strategy; `begins` and `ends` in seconds from the first day's open; `name` tells
    it from the test's other desks. `capabilities` are those that its venue is taken to have.
    """

    books: Books
    folder: Path
    prints: Mapping[ContractId, TickColumns]
    signals: Mapping[str, Sequence[Any]]
    strategies: Sequence[TradingStrategy]
    manifest: TradingAccount = field(default_factory=account)
    begins: float = -60
    ends: float = 0
    name: str = "tape"
    holder: str = "execution-0"
    trade_from: date = DAY
    sent: dict[str, int] = field(default_factory=dict)
    begun: bool = False
    capabilities: frozenset[Capability] = frozenset(Capability)

    @property
    def tape(self) -> RunId:
        """The tape's name in the database."""
        return RunId(f"{self.books.test}-{self.name}")

    def open(
        self,
        through: Callable[[Deps], Deps] = lambda deps: deps,
        *,
        read_back: bool = False,
        chance: random.Random | None = None,
    ) -> "Session":
        """The account as a new process finds it; `through` puts faults at its ports."""
        return Session(self, through, read_back, chance)

    def store(self) -> AccountStore:
        """The book, as the desk's holder writes it."""
        return self.books.store(
            self.tape, self.manifest, tuple(sorted(self.prints)), trade_from=self.trade_from, holder=self.holder
        )

    async def run(self, **options: Any) -> "Session":
        """Run the account to the end of its tape."""
        session = self.open(**options)
        try:
            await session.run()
        finally:
            session.close()
        return session

    async def lines(self) -> list[dict[str, Any]]:
        """What the digest of the tape is made of."""
        return [orjson.loads(line) for line in await self.books.lines(self.tape)]

    async def rows(self, table: str, columns: str, order: str) -> list[tuple[Any, ...]]:
        """Rows of a table of this tape; see `Books.rows`."""
        return await self.books.rows(self.tape, table, columns, order)

    async def orders(self) -> list[tuple[Any, ...]]:
        """Every order as (leg, type, side, quantity, price, state), in the order of their decisions and legs."""
        found = await self.rows(
            "intent", "leg, type, side, quantity, limit_price, stop_price, state", "decided_at_ns, leg"
        )
        return [(*order, stop if limit is None else limit, state) for *order, limit, stop, state in found]

    async def fills(self) -> list[tuple[Any, ...]]:
        """Every fill as (leg, second, price, quantity, commission)."""
        legs = dict(await self.rows("intent", "client_id, leg", "client_id"))
        found = await self.rows("fill", "client_id, ts_ns, price, quantity, commission", "venue_event")
        return [(legs[client_id], (ts_ns - ns(0)) / 1e9, *rest) for client_id, ts_ns, *rest in found]

    async def decisions(self) -> list[tuple[Any, ...]]:
        """Every decision as (strategy, second, accepted, reason)."""
        found = await self.rows("decision", "strategy, instant_ns, accepted, reason", "instant_ns, strategy, bar_key")
        return [(strategy, (instant - ns(0)) / 1e9, *rest) for strategy, instant, *rest in found]


class Session:
    """One process of the account. It ends by `close`, or by being thrown away."""

    def __init__(
        self, desk: Desk, through: Callable[[Deps], Deps], read_back: bool, chance: random.Random | None
    ) -> None:
        self.desk = desk
        self.events: list[BookEvent] = []
        self.pauses = 0
        self._chance = chance
        self._heard: dict[StrategyId, int] = {}
        self.queues: dict[StrategyId, SignalQueue] = {}
        paper = PaperVenue().section_of(desk.manifest.spec)
        rules = fill_rules_of(paper)
        self.ledger = Ledger.open(desk.folder / desk.tape, desk.tape)
        self.market = PaperMarket(rules, ns(desk.begins))
        for step in self.ledger.steps():
            self.market.restore(step)
        self.journal = SendJournal(desk.folder / f"sent-{desk.tape}.journal")
        self.switch = KillSwitch(desk.folder / f"halts-{desk.tape}.json", time.time_ns)
        self.store = desk.store()
        self.steps_written = 0
        venue = DirectVenue(self.market, desk.prints, ns(desk.ends), self._append)
        checked = CheckedVenue(venue, desk.books.written, self.store, desk.tape, desk.sent)
        both = BothPorts(checked, tuple(sorted(desk.prints)))
        deps = Deps(
            store=CheckedStore(self.store, self.market, read_back=read_back),
            time=both,
            venue=both,
            risk=DirectRisk(),
            journal=self.journal,
            queues=self.queues,
            pause=self._pause,
            idle=self._idle,
            switch=self.switch,
            committed=self.events.extend,
            capabilities=desk.capabilities,
        )
        self.loop = AccountLoop(through(deps), self._new_book)

    @property
    def book(self) -> Book:
        """The book in memory."""
        return self.loop.book

    @property
    def halted(self) -> str:
        """Why nothing is entered; empty when entries may go on."""
        return self.switch.words

    def halt(self, reason: str = "a person", by: str = "test", source: HaltSource = HaltSource.PERSON) -> Halt:
        """As a call stops entries."""
        return self.switch.halt(source, reason, by)

    def _append(self, step: Step) -> None:
        self.ledger.append(step)
        self.steps_written += 1

    def replace_deps(self, through: Callable[[Deps], Deps]) -> None:
        """Put something else at a port."""
        self.loop._keeper.deps = through(self.loop._deps)

    def close(self) -> None:
        """Let go of the files, as the end of a process does."""
        self.journal.close()
        self.ledger.close()

    async def run(self, until: Callable[[Book], bool] = lambda book: book.finished) -> None:
        """Recover and go on until the tape has ended or `until` says so; a part that does not answer is asked again."""
        for _ in range(MOST_RESTARTS):
            try:
                await self.start()
                while not until(self.book):
                    await self.loop.step()
            except PartFailed:
                continue
            return
        raise AssertionError(f"still not done after {MOST_RESTARTS} restarts")

    async def start(self) -> None:
        """Take the account, recover, and name the strategies that it does not know yet."""
        if not self.store.epoch:
            assert await self.store.acquire()
        if not self.desk.begun:  # all desks are of one account, and what it was halted for before is not this desk's
            self.desk.begun = True
            await self.desk.books.clear_halts()
        await self.loop.recover()
        for manifest in self.desk.strategies:
            if manifest.full_name not in self.book.strategies:
                await self.set_strategy(manifest)
        self._open_queues()

    async def set_strategy(self, manifest: TradingStrategy, analysis_hash: str = ANALYSIS) -> None:
        """As the supervisor or the operator does."""
        text = orjson.dumps(manifest.to_manifest()).decode()
        commands.set_strategy(self.book, manifest.full_name, analysis_hash, text)
        await self.commit()
        self._open_queues()

    async def drain(
        self, name: str = "default/mes", drain_id: str = "one", *, orders: str = "Cancel", positions: str = "Keep"
    ) -> None:
        """As the operator takes a strategy out."""
        commands.drain(self.book, StrategyId(name), Drain(drain_id, orders, positions, self.book.instant_ns))
        await self.commit()
        self._open_queues()

    async def set_account(self, manifest: TradingAccount) -> None:
        """As the operator mirrors an account's resource."""
        set_account(self.book, manifest)
        await self.commit()

    async def commit(self) -> None:
        """Write what a command has changed, and carry out what it calls for."""
        await self.loop.commit()
        await self.loop.carry_out()

    async def until(self, seconds: float) -> None:
        """Run until the account stands at exactly this second of the first day, or has finished."""
        deps = self.loop._keeper.deps
        self.loop._keeper.deps = replace_venue(deps, Bounded(venue_of(deps), ns(seconds)))
        await self.run(until=lambda book: book.finished or book.instant_ns >= ns(seconds))
        self.loop._keeper.deps = deps

    def _open_queues(self) -> None:
        for name, strategy in self.book.strategies.items():
            queue = self.queues.get(name)
            named = (strategy.analysis_hash, strategy.joined_ns)
            if not strategy.waited_for:
                self.queues.pop(name, None)
                self._heard.pop(name, None)
            elif queue is None or (queue.analysis_hash, queue.joined_ns) != named:
                self.queues[name] = SignalQueue(StrategyId(name), *named, strategy.cleared_ns)
                self._heard[name] = 0

    async def _idle(self) -> None:
        """News comes in: the next message of whoever is behind, or by chance some of anybody's."""
        signals = self.desk.signals
        waiting = [name for name in sorted(self._heard) if self._heard[name] < len(signals[name])]
        if not waiting:
            raise Starved(f"the loop is {self.loop.phase} at {(self.book.instant_ns - ns(0)) / 1e9} s")
        if self._chance is None:
            name, count = min(waiting, key=lambda name: self.queues[name].progress_ns), 1
        else:
            name, count = self._chance.choice(waiting), self._chance.randint(1, 4)
        for message in signals[name][self._heard[name] :][:count]:
            self._hear(self.queues[name], message)
            self._heard[name] += 1

    def _hear(self, queue: SignalQueue, message: SignalMessage | RefusedSignal) -> None:
        if isinstance(message, RefusedSignal):
            queue.refuse(message)
            return
        try:
            queue.push(message)
        except RefusedMessage as why:
            queue.refuse(RefusedSignal("ll.t.signal.x", self._heard[queue.strategy], "id", b"", why))

    async def _pause(self, phase: LoopPhase) -> None:
        self.pauses += 1

    def _new_book(self) -> Book:
        desk = self.desk
        return Book(
            tape=desk.tape,
            account=desk.manifest.full_name,
            manifest=desk.manifest,
            feed_contracts=tuple(sorted(desk.prints)),
            trade_from=desk.trade_from,
            instant_ns=ns(desk.begins),
            equity_at_roll=desk.manifest.spec.starting_balance,
        )


def replace_risk(deps: Deps, risk: Risk) -> Deps:
    """The world with another risk."""
    return replace(deps, risk=risk)


def venue_fills(events: Sequence[VenueEvent]) -> list[tuple[str, str, int, int]]:
    """The fills of a venue's history as (fill id, client id, quantity, price)."""
    found = [event.fill for event in events if event.fill is not None]
    return [(fill.fill_id, fill.client_id, fill.quantity, fill.price) for fill in found]
