"""A day of the live tape again, from what was recorded of it: its prints, and the instants at which accounts looked.

Bars and signals are made of the prints alone. An account acts when it hears of something, and that is recorded: the
same loop goes through the same instants, hears of bars and fills when the live one did, and has a market of its own
that matches the recorded prints. What it decides, how large, what fills and at what price is worked out anew.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from leadline.backtest.account import DirectRisk, paper_market
from leadline.backtest.days import BacktestDay, BacktestDays, backtest_days
from leadline.backtest.market import in_this_process
from leadline.backtest.names import ANALYSIS
from leadline.backtest.prints import Prints, PrintsInMemory, numbered_from
from leadline.backtest.work import ContractDay, day_bars, series_of
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
from leadline.execution.venues.paper.direct import DirectVenue
from leadline.model.durations import NS_PER_SECOND
from leadline.model.ids import LIVE, AccountId, ContractId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, able_at, signal_instrument
from leadline.model.market.contracts import instrument_of
from leadline.model.orders import Advanced, VenueEvent, Watch
from leadline.model.signals import SignalMessage
from leadline.model.ticks import TickColumns
from leadline.venue.matching import PaperMarket
from leadline.views.digest import Line, Owners, line_of, owned
from leadline.views.digest_values import bar_row, decision_row, fill_row, order_row
from leadline.views.recorded_store import RecordedAccount

CATCH_UP_NS: Final = NS_PER_SECOND
"""An account that asks what its orders have done meanwhile has been told so within this time of a clock at rate 1."""


class RecordedVenue(DirectVenue):
    """The time and the market of a recorded day: `advance` goes to the next instant at which the account looked.

    What fills is told when the live account booked it, and bars are told (by `hear`) when it had heard of them.
    """

    def __init__(
        self,
        market: PaperMarket,
        recorded: RecordedAccount,
        tapes: Mapping[ContractId, TickColumns],
        end_ns: int,
        hear: "_Heard",
        rate: int,
    ) -> None:
        super().__init__(market, tapes, end_ns)
        self._paper = market
        self._prints = tapes
        self._booked = recorded.booked
        self._instants = deque((*recorded.instants, end_ns))
        self._hear = hear
        self._near_ns = CATCH_UP_NS * rate

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        """Go on to the next instant that was recorded; where only the present one is asked for, if that is near."""
        at_ns = self._next(from_ns, None if to_ns > from_ns else from_ns + self._near_ns)
        self._match(at_ns, watches)
        self._hear.until(at_ns)
        last = {name: self._paper.marks[name].last for name in contracts if name in self._paper.marks}
        return Advanced(at_ns, tuple(self._told(after_event, at_ns)), last)

    def _next(self, from_ns: int, latest_ns: int | None) -> int:
        while len(self._instants) > 1 and self._instants[0] <= from_ns:
            self._instants.popleft()
        found = max(self._instants[0], from_ns)
        return found if latest_ns is None or found <= latest_ns else from_ns

    def _match(self, at_ns: int, watches: Sequence[Watch]) -> None:
        """Match the prints up to an instant, or up to the one at which a watched result is crossed."""
        while self._paper.instant_ns < at_ns:
            reached = self._paper.advance(self._prints, at_ns, watches)
            if reached.stopped and not reached.events:
                return
            if reached.events:
                watches = ()  # they are of a position that is another one now

    def _told(self, after_event: int, at_ns: int) -> Iterable[VenueEvent]:
        """The events up to the first fill that the live account had not heard of."""
        for event in self._paper.events_after(after_event):
            if event.fill is not None and self._booked.get(event.fill.fill_id, at_ns) > at_ns:
                return
            yield event


class _Heard:
    """Words of strategies on bars, until the instant at which the live account decided on each."""

    def __init__(self, recorded: RecordedAccount, said: Mapping[StrategyId, Sequence[SignalMessage]]) -> None:
        self.queues: dict[StrategyId, SignalQueue] = {}
        found = [
            (at_ns, message)
            for name, messages in said.items()
            for message in messages
            if message.bar is not None and (at_ns := recorded.decided.get((name, message.bar.bar.text()))) is not None
        ]
        self._waiting = deque(sorted(found, key=lambda each: (each[0], each[1].strategy, each[1].progress_ns)))

    def until(self, at_ns: int) -> None:
        """Let the account hear what it had heard by an instant."""
        while self._waiting and self._waiting[0][0] <= at_ns:
            message = self._waiting.popleft()[1]
            self.queues[message.strategy].push(message)


class RecordedDay:
    """A trading day of the live tape, of which the market's side is made at once.

    prints: of its contracts, from the first session of history on; first: the source index of the first of each.
    Raises as `backtest_days` and `in_this_process`.
    """

    def __init__(
        self, strategies: Sequence[TradingStrategy], market: Mapping[ContractId, TickColumns], day: date
    ) -> None:
        prints = PrintsInMemory(market, whole_days=True)
        self.days = _numbered_on(backtest_days(prints, strategies, day, day), prints, market)
        (self.market,) = [each for each in in_this_process(prints, self.days, strategies) if each.day.day == day]
        self.strategies = tuple(strategies)
        self._beside = _bars_beside(prints, market, self.days, self.market.day, strategies)
        self.records: dict[AccountId, AccountRecords] = {}

    async def trade(self, account: TradingAccount, recorded: RecordedAccount, rate: int) -> None:
        """Take an account through the day; `rate` is that of its clock. Raises as the account does."""
        own = [each for each in self.strategies if each.account_name == account.full_name]
        balance = account.spec.starting_balance
        if recorded.equity == balance:
            recorded = replace(recorded, equity=balance)  # written as the account has it
        with TemporaryDirectory(prefix="leadline-recorded-") as folder:
            self.records[account.full_name] = await _traded(self, account, own, recorded, rate, Path(folder))

    def filled_earlier(self, recorded: RecordedAccount) -> int:
        """Fills of an account that the replay has at an earlier print: the live order came to its venue too late."""
        fills = [each.fill for each in self.records[recorded.account].fills.values()]
        again = {(fill.client_id, fill.k): fill.time_ns for fill in fills}
        return sum(again.get(key, at_ns) < at_ns for key, at_ns in recorded.filled.items())

    def lines(self) -> list[tuple[bytes, str]]:
        """The canonical lines of the day's digest in their order, each with its kind."""
        rows: list[tuple[str, dict[str, Any]]] = []
        for account, records in self.records.items():
            keys = {each.decision_id: each.bar_key for each in records.decisions.values()}
            rows += [("decision", decision_row(account, each)) for each in records.decisions.values()]
            orders = {client_id: written.order for client_id, written in records.orders.items()}
            rows += [("order", order_row(account, each, keys.get(each.decision))) for each in orders.values()]
            rows += [
                ("fill", fill_row(account, each, order, keys.get(order.decision)))
                for each in records.fills.values()
                for order in (orders[each.fill.client_id],)
            ]
        accounts = {each.full_name: each.account_name for each in self.strategies}
        said = {name: words.lines for name, words in self.market.said.items() if words.lines}
        owners = Owners.of(
            [*((row["account"], row["strategy"]) for _, row in rows), *((accounts[name], name) for name in said)]
        )
        found: list[Line] = [line_of(kind, row, owners) for kind, row in rows]
        found += [line for series in self.market.lines.values() for lines in series.values() for line in lines]
        found += self._beside
        found += [owned(line, *owners.place(accounts[name], name)) for name, lines in said.items() for line in lines]
        return [(text, kind) for _, text, kind in sorted(found)]


async def _traded(
    day: RecordedDay,
    account: TradingAccount,
    strategies: Sequence[TradingStrategy],
    recorded: RecordedAccount,
    rate: int,
    folder: Path,
) -> AccountRecords:
    contracts, begins_ns, end_ns = day.days.contracts, day.days.begins_ns, day.market.day.end_ns
    name, trade_from, said = account.full_name, day.market.day.day, day.market.said
    own = (each.full_name for each in strategies if each.full_name in said)
    heard = _Heard(recorded, {strategy: said[strategy].heard for strategy in own})
    tapes = {contract: day.market.ticks.get(contract, TickColumns.empty()) for contract in contracts}
    venue = RecordedVenue(paper_market(account, begins_ns), recorded, tapes, end_ns, heard, rate)
    both, database = BothPorts(venue, contracts), MemoryDatabase(lambda: 0.0)
    store = MemoryStore(
        database, tape=LIVE, manifest=account, feed_contracts=contracts, trade_from=trade_from, holder="replay"
    )

    def new_book() -> Book:
        return Book(LIVE, name, account, contracts, trade_from, begins_ns, recorded.equity, clock_rate=rate)

    loop = AccountLoop(
        Deps(
            store=store,
            time=both,
            venue=both,
            risk=DirectRisk(),
            journal=MemoryJournal(),
            queues=heard.queues,
            pause=_nothing,
            idle=_nothing,
            switch=KillSwitch(folder / "halts.json", lambda: 0),
            committed=lambda _: None,
            capabilities=able_at(account),
        ),
        new_book,
    )
    await store.acquire()
    await loop.recover()
    for strategy in strategies:
        commands.set_strategy(loop.book, strategy.full_name, ANALYSIS, orjson.dumps(strategy.to_manifest()).decode())
        heard.queues[strategy.full_name] = SignalQueue(strategy.full_name, ANALYSIS, begins_ns)
    await loop.commit()
    while loop.book.instant_ns < end_ns:
        await loop.step()
    return database.records[LIVE, name]


async def _nothing(*_: object) -> None:
    return None


def _bars_beside(
    prints: Prints,
    market: Mapping[ContractId, TickColumns],
    days: BacktestDays,
    day: BacktestDay,
    strategies: Sequence[TradingStrategy],
) -> list[Line]:
    """The lines of the bars of other months: the live tape builds those of each month that it carries on a day."""
    found: list[Line] = []
    built = {part.contract for part in day.tapes if days.readers[part.contract]}
    for contract in sorted(set(prints.contracts) - built):
        before = sum(each.prints for each in prints.days(contract) if each.day < day.day)
        own = next((each for each in prints.days(contract) if each.day == day.day), None)
        root = instrument_of(contract).root
        read = [each for each in strategies if root in {each.spec.instrument, signal_instrument(each.spec).root}]
        if own is None or not read:
            continue
        first, ends_ns = market[contract].first_index + before, prints.ends_ns(contract, day.day)
        part = ContractDay(contract, day.day, first, own.prints, own.first_ns, None, ends_ns)
        series = tuple(dict.fromkeys(each for strategy in read for each in series_of(strategy).values()))
        told = day_bars(part, numbered_from(prints.read(contract, day.day), first), series)
        bars = [message.bar for messages in told.values() for message in messages]
        found += [line_of("bar", bar_row(bar), Owners.of(())) for bar in bars if bar is not None]
    return found


def _numbered_on(days: BacktestDays, prints: Prints, market: Mapping[ContractId, TickColumns]) -> BacktestDays:
    """The days with the source indices that the live tape gave their prints."""
    firsts = {
        contract: market[contract].first_index
        + sum(each.prints for each in prints.days(contract) if each.day < days.plan.sessions[contract][0])
        for contract in days.contracts
    }

    def numbered(day: BacktestDay) -> BacktestDay:
        tapes = (replace(part, first_index=part.first_index + firsts[part.contract]) for part in day.tapes)
        return replace(day, tapes=tuple(tapes))

    return replace(days, days=tuple(map(numbered, days.days)))
