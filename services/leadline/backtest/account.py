"""An account over a range of days: the loop that trades, with its store, its risk and the paper market in one process.

The tapes come a step at a time, and what the strategies say of it with them. The loop goes on until it needs more.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import orjson

from leadline.backtest.names import ANALYSIS, TAPE
from leadline.execution.adapters.kill_switch import KillSwitch
from leadline.execution.adapters.memory_journal import MemoryJournal
from leadline.execution.adapters.memory_store import MemoryDatabase, MemoryStore
from leadline.execution.core.book import Book
from leadline.execution.core.records import AccountRecords
from leadline.execution.loop import commands
from leadline.execution.loop.account_loop import AccountLoop
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.execution.venues.both_ports import BothPorts
from leadline.execution.venues.connection import Connection
from leadline.execution.venues.paper.direct import DirectVenue, fill_rules_of
from leadline.execution.venues.paper.venue import PaperVenue
from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, able_at
from leadline.model.manifest.venues import Capability
from leadline.model.signals import SignalMessage
from leadline.model.ticks import TickColumns, concat
from leadline.risk.decide import decide
from leadline.risk.view import DecisionInputs, RiskDecision, Tier, tier_at
from leadline.venue.matching import PaperMarket


class Halted(LeadlineError):
    """The account was halted before the end of the prints; `reasons` says why."""

    def __init__(self, account: str, reasons: str) -> None:
        super().__init__(f"the account {account} was halted: {reasons}")
        self.account = account
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class TierDay:
    """The capital tier of a trading day, None where there is none, and the account's equity when the day began."""

    day: date
    index: int
    tier: Tier | None
    equity: Decimal


class DirectRisk:
    """Risk, called in the process."""

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        """As `Risk.decide`."""
        return decide(inputs)


def paper_market(account: TradingAccount, begins_ns: int) -> PaperMarket:
    """A fresh paper market with the rules of an account's manifest, from an instant on."""
    return PaperMarket(fill_rules_of(PaperVenue().section_of(account.spec)), begins_ns)


class Tape(Protocol):
    """The time and the venue of an account, whose prints come a step at a time."""

    @property
    def connection(self) -> Connection:
        """Both ports of the loop."""

    def go_on(self, prints: Mapping[ContractId, TickColumns], end_ns: int, *, final: bool) -> None:
        """Take more prints by contract, numbered on from those before; all are complete up to `end_ns`.

        They end there where `final`.
        """


class PaperTape:
    """The paper market over tapes of which no more is kept than it has not matched yet.

    contracts: of the feed. begins_ns: an instant before the first print.
    """

    def __init__(self, account: TradingAccount, contracts: Sequence[ContractId], begins_ns: int) -> None:
        none = dict.fromkeys(contracts, TickColumns.empty())
        self._venue = DirectVenue(paper_market(account, begins_ns), none, begins_ns, final=False)
        both = BothPorts(self._venue, contracts)
        self.connection = Connection(both, both)

    def go_on(self, prints: Mapping[ContractId, TickColumns], end_ns: int, *, final: bool) -> None:
        """See `Tape`."""
        tapes = {contract: _joined(self._venue.unmatched(contract), ticks) for contract, ticks in prints.items()}
        others = {name: _own(self._venue.unmatched(name)) for name in self._venue.contracts if name not in prints}
        self._venue.go_on({**others, **tapes}, end_ns, final=final)


class AccountRun:
    """One account with its strategies; `start`, then `go_on` for each step of the tape, the last of them final.

    contracts: of the feed. begins_ns: an instant before everything that is decided. folder: for the account's halts.
    tape: its time and its venue, the paper market where none is given; `capabilities` are that venue's,
    those of the account's manifest where none are given.
    """

    def __init__(
        self,
        account: TradingAccount,
        strategies: Iterable[TradingStrategy],
        contracts: Sequence[ContractId],
        trade_from: date,
        begins_ns: int,
        folder: Path,
        tape: Tape | None = None,
        capabilities: AbstractSet[Capability] | None = None,
    ) -> None:
        self._account = account
        self._strategies = tuple(sorted(strategies, key=lambda each: each.full_name))
        self._database = MemoryDatabase(lambda: 0.0)
        self._store = MemoryStore(
            self._database,
            tape=TAPE,
            manifest=account,
            feed_contracts=tuple(contracts),
            trade_from=trade_from,
            holder="backtest",
        )
        self._queues: dict[StrategyId, SignalQueue] = {}
        # Words about instants that the tapes do not reach yet.
        self._heard: dict[StrategyId, list[SignalMessage]] = {}
        self._switch = KillSwitch(folder / "halts.json", lambda: 0)
        self._idle = False
        self._tier_days: list[TierDay] = []
        self._tape = tape or PaperTape(account, contracts, begins_ns)

        def new_book() -> Book:
            balance = account.spec.starting_balance
            return Book(TAPE, account.full_name, account, tuple(contracts), trade_from, begins_ns, balance)

        self._loop = AccountLoop(
            Deps(
                store=self._store,
                time=self._tape.connection.time,
                venue=self._tape.connection.orders,
                risk=DirectRisk(),
                journal=MemoryJournal(),
                queues=self._queues,
                pause=self._pause,
                idle=self._note_idle,
                switch=self._switch,
                committed=lambda _: None,
                capabilities=able_at(account) if capabilities is None else capabilities,
            ),
            new_book,
        )

    @property
    def book(self) -> Book:
        """The book as of the last committed transaction."""
        return self._loop.book

    @property
    def records(self) -> AccountRecords:
        """All that the account has written."""
        return self._database.records[TAPE, self._account.full_name]

    def tier_on(self, day: date) -> TierDay | None:
        """The capital tier that held on a trading day, None before the first one.

        The account may have begun the next day already: a tape that reaches to the roll rolls it.
        """
        return next((each for each in reversed(self._tier_days) if each.day <= day), None)

    def has(self, strategy: StrategyId) -> bool:
        """Whether a strategy trades this account."""
        return strategy in self._queues

    async def start(self) -> None:
        """Open the account with its strategies. Raises InvalidInput and Unknown as the account refuses them."""
        await self._store.acquire()
        await self._loop.recover()
        for strategy in self._strategies:
            manifest = orjson.dumps(strategy.to_manifest()).decode()
            commands.set_strategy(self.book, strategy.full_name, ANALYSIS, manifest)
        await self._loop.commit()
        for strategy in self._strategies:
            name = strategy.full_name
            self._queues[name] = SignalQueue(name, ANALYSIS, self.book.instant_ns)
            self._heard[name] = []

    async def go_on(
        self,
        prints: Mapping[ContractId, TickColumns],
        said: Mapping[StrategyId, Sequence[SignalMessage]],
        end_ns: int,
        *,
        final: bool,
    ) -> None:
        """Go as far as the tapes and the strategies' words reach.

        prints: more of the tapes by contract, numbered on from those before; all of them are complete up to `end_ns`,
        and end there where `final`. They are looked at until the next ones come. said: what each strategy says of them;
        more of what is known by `end_ns` does not come. Raises Halted, and RefusedMessage for words that no account
        would listen to.
        """
        if not self._strategies:
            return  # it trades nothing, and waits for nobody
        self._tape.go_on(prints, end_ns, final=final)
        for name, messages in said.items():
            self._heard[name] += messages
        for name, queue in self._queues.items():
            self._heard[name] = _push(queue, self._heard[name], end_ns)
            # All of them have spoken of all that is known by then, wherever the tape of one may end.
            through_ns = end_ns if final else end_ns + 1
            queue.push(SignalMessage(TAPE, self._account.full_name, name, ANALYSIS, through_ns, final=final, bar=None))
            assert not (final and self._heard[name]), name
        self._idle = False
        while not (self._idle or self.book.finished):
            await self._loop.step()
            self._note_tier()
            if self._switch.words:
                raise Halted(self._account.full_name, self._switch.words)
        if final and not self.book.finished:
            raise Halted(self._account.full_name, "nothing more is said, and the tape goes on")

    def _note_tier(self) -> None:
        book = self.book
        day = book.trading_day
        if day is not None and (not self._tier_days or self._tier_days[-1].day != day):
            tier = tier_at(book.tiers_in_force, book.tier_index)
            self._tier_days.append(TierDay(day, book.tier_index, tier, book.equity_at_roll))

    async def _note_idle(self) -> None:
        self._idle = True

    async def _pause(self, _: LoopPhase) -> None:
        return None


def _push(queue: SignalQueue, messages: Sequence[SignalMessage], end_ns: int) -> list[SignalMessage]:
    """Push what is said of instants up to one; what is left. That a tape of its own ends, no account needs to hear."""
    for place, message in enumerate(messages):
        if message.bar is not None and message.bar.known_at_ns > end_ns:
            return list(messages[place:])
        if message.final or message.progress_ns > end_ns + 1:
            message = replace(message, progress_ns=min(message.progress_ns, end_ns + 1), final=False)  # noqa: PLW2901
        queue.push(message)
    return []


def _own(ticks: TickColumns) -> TickColumns:
    """The same prints in columns of their own: those that they came in hold another day soon."""
    columns = (ticks.time_ns.copy(), ticks.price.copy(), ticks.size.copy(), ticks.aggressor.copy())
    return TickColumns(*columns, ticks.first_index)


def _joined(before: TickColumns, after: TickColumns) -> TickColumns:
    return concat([before, after]) if len(before) and len(after) else before if len(before) else after
