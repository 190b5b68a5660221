"""A strategy over prints that are at hand whole: bars, signals, the account's loop and the paper venue."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from leadline.analysis.merge import merged
from leadline.analysis.months import month_folds
from leadline.analysis.publication import Publication
from leadline.backtest.account import AccountRun, Halted
from leadline.backtest.names import ANALYSIS, TAPE
from leadline.backtest.work import Series, builder_of, series_of
from leadline.execution.loop.ports import Orders
from leadline.execution.venues.connection import Connection
from leadline.model.bars import Bar, BarMessage
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.account_spec import default_account
from leadline.model.manifest.specs import OWN_SERIES, TradingAccount, TradingStrategy
from leadline.model.manifest.venues import Capability
from leadline.model.market.contracts import instrument_of
from leadline.model.orders import Fill, Order
from leadline.model.proposals import Decision
from leadline.model.signals import BarSignals, SignalMessage
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.wire.signals import decode_signal, encode_signal
from leadline.testing.tape_time import TapeTime

__all__ = ["ANALYSIS", "TAPE", "Halted", "Replay", "replay", "signal_messages"]


@dataclass(frozen=True, slots=True)
class Replay:
    """The results of a replay.

    `bars` are the strategy's own, `series` those that it reads besides, by name: both by contract, in the order of the
    tape. `said` is what it said of each of its own of the traded days, in their order. `decisions` are in the order in
    which they were made, those of one bar in the order of its proposals. `orders` are in the order of their decisions,
    the entry before its stops and these before its targets, those of its first fill first; each is as it was at the
    end. `fills` are in the order in which the venue told of them. `result` is the net result in the account's currency,
    commissions included; `open` the signed size steps that are held at the end, by contract.
    """

    bars: tuple[Bar, ...]
    series: Mapping[str, tuple[Bar, ...]]
    said: tuple[BarSignals, ...]
    decisions: tuple[Decision, ...]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    result: str
    open: Mapping[str, int]


def replay(
    strategy: TradingStrategy,
    market: Mapping[ContractId, TickColumns],
    trade_from: date,
    account: TradingAccount | None = None,
    connect: Callable[[TapeTime], Orders] | None = None,
    capabilities: AbstractSet[Capability] | None = None,
) -> Replay:
    """Run a strategy over prints (by contract) and return what came of it; the account is the paper one when not given.

    Nothing is decided before the trading day `trade_from`: what prints before it are history. `connect` puts the orders
    of another venue in the place of the paper venue's: it is given the time, to which that venue may listen, and
    `capabilities` say what that venue does by itself, where that is not all that there is. Raises
    InvalidInput and Unknown for what a plan refuses, whatever the strategy raises as StrategyFailed, and Halted.
    """
    if not market or not any(map(len, market.values())):
        raise InvalidInput("market", "nothing", "prints of a contract")
    manifest = account or default_account(strategy.metadata.namespace)
    bars: dict[ContractId, dict[str, list[BarMessage]]] = {
        contract: {name: _bars(contract, ticks, series) for name, series in series_of(strategy).items()}
        for contract, ticks in sorted(market.items())
    }
    signals = signal_messages(strategy, trade_from, bars)
    with TemporaryDirectory() as folder:
        return asyncio.run(
            _run(strategy, manifest, market, trade_from, bars, signals, Path(folder), connect, capabilities)
        )


def signal_messages(
    strategy: TradingStrategy,
    trade_from: date,
    bars: Mapping[ContractId, Mapping[str, Sequence[BarMessage]]],
    last: SignalMessage | None = None,
) -> list[SignalMessage]:
    """The messages of a strategy's analysis about bars, by contract and series; `last`: after a restart."""
    months = month_folds(strategy.spec, bars, trade_from)
    owner, name = strategy.account_name, strategy.full_name
    publication = Publication(TAPE, owner, name, ANALYSIS, months[0].fold, last, months[0].ends_ns)
    found: list[SignalMessage] = []
    for month in months:
        if month is not months[0]:
            publication.follow(month.fold, month.ends_ns)
        for series, message in merged(bars[month.contract]):
            if publication.passed:
                break
            one = publication.step(message, series)
            if one is not None:
                found.append(decode_signal(encode_signal(one)))  # as the account reads it from the bus
    return found


def _bars(contract: ContractId, ticks: TickColumns, series: Series) -> list[BarMessage]:
    end_ns = int(ticks.time_ns[-1]) if len(ticks) else 0
    batch = TickBatch(TAPE, instrument_of(contract).venue, contract, ticks, end_ns, final=True)
    return list(builder_of(contract, series).feed(batch))


def _in_order(orders: Iterable[Order], decisions: Sequence[Decision]) -> tuple[Order, ...]:
    """By decision, the entry before its exits; one that nobody has decided, such as a settlement, at its instant."""
    places = {each.decision_id: (each.instant_ns, place) for place, each in enumerate(decisions)}

    def place(order: Order) -> tuple[int, int, str, int]:
        return *places.get(order.decision, (order.decided_at_ns, len(places))), order.leg.kind, order.leg.number

    return tuple(sorted(orders, key=place))


class _TapeOfItsOwn:
    """A tape that is at hand whole, and the venue that listens to it; see `leadline.backtest.account.Tape`."""

    def __init__(self, time: TapeTime, orders: Orders) -> None:
        self.connection = Connection(time, orders)

    def go_on(self, prints: Mapping[ContractId, TickColumns], end_ns: int, *, final: bool) -> None:
        """Nothing more comes."""


async def _run(
    strategy: TradingStrategy,
    account: TradingAccount,
    market: Mapping[ContractId, TickColumns],
    trade_from: date,
    bars: Mapping[ContractId, Mapping[str, Sequence[BarMessage]]],
    signals: Sequence[SignalMessage],
    folder: Path,
    connect: Callable[[TapeTime], Orders] | None,
    capabilities: AbstractSet[Capability] | None,
) -> Replay:
    begins_ns = min(int(ticks.time_ns[0]) for ticks in market.values() if len(ticks)) - 1
    ends_ns = signals[-1].progress_ns
    tape = None
    if connect is not None:
        time = TapeTime(market, begins_ns, ends_ns)
        tape = _TapeOfItsOwn(time, connect(time))
        capabilities = frozenset(Capability) if capabilities is None else capabilities
    run = AccountRun(account, [strategy], tuple(sorted(market)), trade_from, begins_ns, folder, tape, capabilities)
    await run.start()
    await run.go_on(market, {strategy.full_name: signals}, ends_ns, final=True)

    def bars_of(series: str) -> tuple[Bar, ...]:
        return tuple(message.bar for found in bars.values() for message in found[series] if message.bar is not None)

    book, records = run.book, run.records
    decisions = tuple(sorted(records.decisions.values(), key=lambda one: (one.instant_ns, one.source)))
    return Replay(
        bars=bars_of(OWN_SERIES),
        series={each.name: bars_of(each.name) for each in strategy.spec.series},
        said=tuple(message.bar for message in signals if message.bar is not None),
        decisions=decisions,
        orders=_in_order((one.order for one in records.orders.values()), decisions),
        fills=tuple(one.fill for one in sorted(records.fills.values(), key=lambda one: one.venue_event)),
        result=str(book.equity_at_roll + book.realised - account.spec.starting_balance),
        open={position.contract: position.quantity for position in book.open_positions()},
    )
