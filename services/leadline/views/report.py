"""A run as it is reported: its trades, what they came to, why others were refused, and the market beside the book."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from leadline.ingestion.tally import OUTSIDE
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.orders import Order, OrderState, Position
from leadline.model.worth import places
from leadline.views.days import TradedDay
from leadline.views.halts import ReportedHalt
from leadline.views.trades import EquityPoint, Trade

IN_DOUBT: Final = (OrderState.DEAD, OrderState.EXPIRED_LOCAL)


@dataclass(frozen=True, slots=True)
class PricePoint:
    """Close of a bar, in ticks, at the instant from which it was known."""

    time_ns: int
    close: int


@dataclass(frozen=True, slots=True)
class PatternTotal:
    """Trades of one pattern. Money in the account's currency."""

    pattern: str
    trades: int
    wins: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class Coverage:
    """One session of the tape: its prints that are in bars, and the times of the first and the last, ns UTC."""

    contract: ContractId
    session: str
    trading_day: date
    prints: int
    bars: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class KeptOut:
    """Prints of a contract that did not reach a bar. trading_day: None for times that belong to none.

    reason: `outside_session` for good prints in no session that bars are built of. samples: the first few, as their
    source wrote them: {source, row, ts_ns, price, size, side}.
    """

    contract: ContractId
    trading_day: date | None
    reason: str
    prints: int
    samples: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class UnfinishedBar:
    """Prints with which a tape ends inside a bar of one series, of which they are in none. `spec`: of its bars."""

    contract: ContractId
    session: str
    spec: str
    trading_day: date
    prints: int


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """A position that is open at the end, and its result at the last print; both None where no print is known.

    `last_price` in ticks, `result` in the account's currency, before the commission of closing it.
    """

    position: Position
    last_price: int | None
    result: Decimal | None


@dataclass(frozen=True, slots=True)
class AccountReport:
    """One account on one tape. Money in its currency, times ns UTC of the tape.

    `day` is the trading day of which all of this is alone, None for the whole tape: a trade is of the day on which it
    was closed, and `finished` says that the day has rolled. `prints` are then those in bars, and the last price of an
    open position is the last close of the day.
    failure: why the tape is not one to trust; empty when it is.

    `refused` counts decisions by the first reason that refused them, `not_filled` those whose entry came to no fill by
    what took it out, `entered` are those whose entry was filled, at least in part, and `adjusted` those that left, took
    entries back or moved exits: together all `decisions`; `in_doubt` are entries that were given up because their fate
    was unknown or because they were never sent; `closes` are bar closes by contract; `days` are the
    traded days with the contract of each; `halts` are those that were set in the run or in force when it began.
    `currency` is empty where no strategy says in what it trades. `misdated` counts by strategy the bars that it said at
    another instant than the one at which that bar was known, or that there never were. `series` are the bars that
    strategies read besides their own: strategy, name of the series, and its specification with the ticks per row.
    `taken_out` counts the entries that the first fill of another took out: its strategy, theirs, how many.
    """

    tape: RunId
    account: AccountId
    feed: str
    trade_from: date
    missing_sessions: tuple[str, ...]
    finished: bool
    start_equity: Decimal
    end_equity: Decimal
    trades: tuple[Trade, ...]
    open_positions: tuple[OpenPosition, ...]
    curve: tuple[EquityPoint, ...]
    by_pattern: tuple[PatternTotal, ...]
    decisions: int
    refused: tuple[tuple[str, int], ...]
    in_doubt: tuple[Order, ...]
    closes: dict[str, tuple[PricePoint, ...]]
    prints: int
    bars: int
    signals: int
    digest: str
    substitutes: tuple[tuple[str, str], ...]
    failure: str = ""
    coverage: tuple[Coverage, ...] = ()
    kept_out: tuple[KeptOut, ...] = ()
    unfinished: tuple[UnfinishedBar, ...] = ()
    misdated: tuple[tuple[StrategyId, int], ...] = ()
    days: tuple[TradedDay, ...] = ()
    halts: tuple[ReportedHalt, ...] = ()
    currency: str = ""
    entered: int = 0
    adjusted: int = 0
    not_filled: tuple[tuple[str, int], ...] = ()
    series: tuple[tuple[StrategyId, str, str], ...] = ()
    taken_out: tuple[tuple[str, str, int], ...] = ()
    day: date | None = None

    @property
    def places(self) -> int:
        """Decimals with which sums of the account's currency are shown."""
        return places(self.currency)

    @property
    def faulty(self) -> int:
        """Prints that were kept out for a fault of their own."""
        return sum(item.prints for item in self.kept_out if item.reason != OUTSIDE)

    @property
    def net(self) -> Decimal:
        """Result of all closed and open trades that is cash."""
        return self.end_equity - self.start_equity

    @property
    def open_result(self) -> Decimal:
        """Result of the open positions at their last prints, which is not cash yet."""
        return sum((item.result for item in self.open_positions if item.result is not None), Decimal(0))

    @property
    def wins(self) -> int:
        """Trades that won after commission."""
        return sum(trade.net > 0 for trade in self.trades)

    @property
    def max_drawdown(self) -> Decimal:
        """Largest fall of cash equity from its highest point so far."""
        highest, worst = self.start_equity, Decimal(0)
        for point in self.curve:
            highest = max(highest, point.equity)
            worst = max(worst, highest - point.equity)
        return worst
