"""The account's book on one tape: what the loop knows, and how a venue's event or a command changes it.

The book in memory is what the rows of the last committed transaction say. Every change is made to it together with a
`Changes`, which the store writes in one transaction; when that fails the book is thrown away and read again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from leadline.execution.core.contracts import execution_contract, roots_of, signal_months, tapes_of, tiers_of
from leadline.execution.core.halts import Clearing
from leadline.execution.core.orders import UNRESOLVED
from leadline.model.blocks import Block
from leadline.model.drains import DrainOrders, DrainPositions
from leadline.model.durations import NS_PER_HOUR, NS_PER_MINUTE
from leadline.model.errors import RefusedMessage
from leadline.model.halts import Halt
from leadline.model.ids import ENTRY, LIVE, AccountId, ClientOrderId, ContractId, DecisionId, LegKind, RunId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import (
    DEFAULT_UNIT,
    Fill,
    LastPrint,
    Order,
    OrderType,
    Position,
)
from leadline.model.proposals import Decision, group_of
from leadline.risk.view import AccountLimits, StrategyLimits, Tier

KEPT_NS: Final = NS_PER_HOUR
"""Ended orders are looked at by the rate limits for this long, and then forgotten.

Those stay from which something that is held has come, all of the decision that has opened its position, and those in
whose place a live order stands."""

DECIDED_NS: Final = 10 * NS_PER_MINUTE
"""On a tape that is live, for how long after a decision its bar may be said again to an account that has started."""


@dataclass(frozen=True, slots=True)
class Drain:
    """A strategy is to leave the market, from `instant_ns` on.

    `working_orders` is Cancel or Keep, for entries that still work; `positions` is Keep, Flatten or Refuse, where
    Refuse means that it is not done before the position has been closed by something else.
    """

    drain_id: str
    working_orders: str
    positions: str
    instant_ns: int


@dataclass(frozen=True, slots=True)
class HeldLimits:
    """Limits that a strategy keeps since an instant, in which its settings became looser while it was exposed."""

    since_ns: int
    limits: StrategyLimits


@dataclass(frozen=True, slots=True)
class Fence:
    """A message of a strategy was refused: since `instant_ns` nothing that it says counts, and nobody waits for it.

    `reason` is the refusal's word and `detail` its explanation; `progress_ns` is how far its word had come before.
    """

    reason: str
    detail: str
    instant_ns: int
    progress_ns: int


@dataclass(frozen=True, slots=True)
class UnitExit:
    """A unit of a strategy's position is to leave, or `quantity` size steps of it; None is all of it.

    `reason` is that of its closing orders. What has left is taken off. `stop` is the farthest of the unit's stops when
    it was asked for (ticks; None without one): it is gone before the part has left, and the limits count down to it.
    `bare` of a part had no stop on purpose when it was asked for: what enters the unit later is not of the part.
    """

    unit: str
    quantity: int | None
    reason: str
    stop: int | None = None
    bare: int = 0


@dataclass(slots=True)
class StrategyBook:
    """One strategy on the account. `realised` (as `Book` has it) and `trades` are its trading day's.

    `flatten` is a reason or empty. `exits` are the units and parts of units that are to leave, by the unit's name.

    `contract` is the dated contract on whose signals it enters. For a root it becomes the lead month of the day in the
    trading day's roll, when the strategy is flat and has nothing working, else in the first later roll at which that is
    so: until then what it holds goes to its own exit, and it enters nothing.

    `block` is DAY_LOSS for the rest of a trading day in which its own loss was reached, else empty. `drain` and `held`
    are None where there is nothing to drain and nothing held. `fence` is None while what it says counts; what was
    refused of it up to the progress `cleared_ns` has been looked at.
    """

    strategy: StrategyId
    manifest: TradingStrategy
    settings_hash: str
    analysis_hash: str
    joined_ns: int
    contract: ContractId
    realised: Decimal = Decimal(0)
    trades: int = 0
    flatten: str = ""
    block: Block = Block.NONE
    drain: Drain | None = None
    held: HeldLimits | None = None
    fence: Fence | None = None
    cleared_ns: int = -1
    exits: tuple[UnitExit, ...] = ()

    @property
    def waited_for(self) -> bool:
        """Whether the loop waits for this strategy's signals."""
        return self.drain is None and self.fence is None and self.manifest.spec.state in {"Running", "ReduceOnly"}


_Item = TypeVar("_Item", Order, Position)


class _Owned(Generic[_Item]):
    """The orders or positions `of` a book that count, all of them and by the strategy that owns them."""

    __slots__ = ("all", "by_owner", "of")

    def __init__(self, of: object, items: Sequence[_Item]) -> None:
        self.of = of
        self.all: Sequence[_Item] = items
        self.by_owner: dict[StrategyId, list[_Item]] = {}
        for item in items:
            self.by_owner.setdefault(item.strategy, []).append(item)


@dataclass(slots=True)
class Book:
    """The account on one tape. Money in its currency; times ns UTC of the tape.

    `instant_ns` is how far the account has come. `trades` and `streak` are the trading day's, and so is `realised`:
    net, less the open result at the day's roll of what was held over it, which `equity_at_roll` has. The day's result
    is the sum of `realised` and the open result. `block` is empty, DAY_LOSS or DAY_TARGET; `flatten` a reason while the
    whole account is being closed; `venue_event` is the last event of the venue's ledger that is booked; `last_event`
    numbers the account's own.
    `feed_contracts` are the contracts that the feed has by now: a tape without an end gains months. `trade_from` is the
    trading day from which on anything is decided.

    `manifest` has the hot fields as they were last set; `settings` are these fields, None when they are still those of
    the process's settings. What is looser in them waits for the roll: `day_limits` are stricter until then, and so are
    `margin_limits`; `tiers` is the table that is still in force, None when it is the manifest's. `calendar` is the name
    of the calendar that rolls the trading day, from the first strategy on.

    `decided` has the decisions by which a bar that is said again is known, each with its instant, oldest first: those
    of the book's instant, and on a tape that is live those of the last minutes.

    `clock_rate` seconds of the tape's clock pass in one second of the machine's, more than 1 only in drills: what is
    bounded for the machine's sake, and what is said of it, may take that many times as long on the tape.

    `orders` and `positions` are never changed: `put` and `hold` set others in their place, so that what follows from
    them is worked out once.
    """

    tape: RunId
    account: AccountId
    manifest: TradingAccount
    feed_contracts: tuple[ContractId, ...]
    trade_from: date
    instant_ns: int
    equity_at_roll: Decimal
    trading_day: date | None = None
    tier_index: int = -1
    realised: Decimal = Decimal(0)
    trades: int = 0
    streak: int = 0
    block: Block = Block.NONE
    flatten: str = ""
    day_limits: AccountLimits = field(default_factory=AccountLimits)
    last_prints: dict[ContractId, LastPrint] = field(default_factory=dict)
    venue_event: int = 0
    last_event: int = 0
    finished: bool = False
    strategies: dict[StrategyId, StrategyBook] = field(default_factory=dict)
    orders: Mapping[ClientOrderId, Order] = field(default_factory=dict)
    positions: Mapping[tuple[StrategyId, str], Position] = field(default_factory=dict)
    entry_instants: list[int] = field(default_factory=list)
    decided: dict[DecisionId, int] = field(default_factory=dict)
    settings: dict[str, Any] | None = None
    tiers: tuple[Tier, ...] | None = None
    margin_limits: dict[str, Decimal] = field(default_factory=dict)
    calendar: str = ""
    clock_rate: int = 1
    _live: "_Owned[Order] | None" = field(default=None, init=False, repr=False, compare=False)
    _held: "_Owned[Position] | None" = field(default=None, init=False, repr=False, compare=False)

    @property
    def live(self) -> bool:
        """Whether the account's time is that of a clock, which waits for nobody."""
        return self.tape == LIVE

    @property
    def decided_since_ns(self) -> int:
        """The instant of the oldest decisions in `decided`."""
        return self.instant_ns - DECIDED_NS if self.live else self.instant_ns

    @property
    def tiers_in_force(self) -> tuple[Tier, ...]:
        """The capital tiers that hold now, lowest first; empty when they are off."""
        return tiers_of(self.manifest) if self.tiers is None else self.tiers

    def roots(self, signal: str) -> tuple[str, ...]:
        """The roots that may fill a strategy on this signal contract, now and with the tiers to come."""
        to_come = tiers_of(self.manifest)
        return roots_of([to_come] if self.tiers is None else [self.tiers, to_come], signal)

    def contracts(self, manifest: TradingStrategy) -> tuple[ContractId, ...]:
        """Every contract that a strategy may come to trade on this account, as tiers and months change."""
        signals = [month.contract for month in signal_months(manifest, self.feed_contracts, self.trade_from)]
        return tuple(execution_contract(signal, root) for signal in signals for root in self.roots(signal))

    @property
    def deciding_day(self) -> date:
        """The trading day whose contract counts: the present one, before `trade_from` that one."""
        return self.trade_from if self.trading_day is None else max(self.trade_from, self.trading_day)

    def front(self, manifest: TradingStrategy) -> ContractId | None:
        """The contract whose signals count on the present trading day; None where the feed does not have it.

        Before `trade_from` it is that day's.
        """
        months = signal_months(manifest, self.feed_contracts, self.trade_from)
        return next((month.contract for month in months if month.covers(self.deciding_day)), None)

    def tapes(self, strategy: StrategyBook) -> tuple[ContractId, ...]:
        """The feed's contracts whose prints can fill a strategy: those of its contract, and of the one to come."""
        symbol, signal = strategy.manifest.spec.instrument, strategy.contract
        return tapes_of(symbol, signal, self.roots(signal), self.feed_contracts, self.trade_from)

    def present(self) -> Iterator[tuple[StrategyId, StrategyBook]]:
        """The strategies that are not forgotten, by name."""
        found = sorted(self.strategies.items())
        return ((name, strategy) for name, strategy in found if strategy.drain is None or not self.forgotten(name))

    def drained(self, strategy: StrategyId) -> bool:
        """Whether a strategy's drain is done: False while there is none, too."""
        drain = self.strategies[strategy].drain
        if drain is None:
            return False
        if drain.positions != DrainPositions.KEEP:
            return not self.exposed(strategy)
        if drain.working_orders == DrainOrders.KEEP:
            return True
        return not any(is_entry(order) for order in self.live_orders(strategy))

    def forgotten(self, strategy: StrategyId) -> bool:
        """Whether a strategy is drained, flat and without an order: only its history is left."""
        return self.strategies[strategy].drain is not None and not self.exposed(strategy)

    def live_orders(self, strategy: StrategyId | None = None) -> Sequence[Order]:
        """Orders that are not in a terminal state, in the order of their ids."""
        found = self._live
        if found is None or found.of is not self.orders:
            live = (order for order in self.orders.values() if not order.state.terminal)
            found = self._live = _Owned(self.orders, sorted(live, key=lambda order: order.client_id))
        return found.all if strategy is None else found.by_owner.get(strategy, [])

    def open_positions(self, strategy: StrategyId | None = None) -> Sequence[Position]:
        """Positions that are not flat, by strategy and contract."""
        found = self._held
        if found is None or found.of is not self.positions:
            held = (key for key, position in self.positions.items() if position.quantity)
            found = self._held = _Owned(self.positions, [self.positions[key] for key in sorted(held)])
        return found.all if strategy is None else found.by_owner.get(strategy, [])

    def put(self, order: Order) -> None:
        """Have an order as it stands now."""
        self.orders = {**self.orders, order.client_id: order}

    def hold(self, position: Position) -> None:
        """Have a strategy's position in a contract as it is now."""
        self.positions = {**self.positions, (position.strategy, position.contract): position}

    def places(self) -> list[StrategyId]:
        """Owners of orders and positions, by name: the strategies, and the empty name where somebody else's are."""
        owners = {position.strategy for position in self.open_positions()}
        owners.update(order.strategy for order in self.orders.values() if not order.state.terminal)
        return sorted({*self.strategies, *owners})

    def exposed(self, strategy: StrategyId) -> bool:
        """Whether a strategy holds a position or an order that could make one."""
        return bool(self.open_positions(strategy) or self.live_orders(strategy))

    @property
    def unresolved(self) -> bool:
        """Whether an order's fate is open."""
        live = self.live_orders()
        return bool(live) and any(order.state in UNRESOLVED for order in live)


@dataclass(frozen=True, slots=True)
class RefusedSignal:
    """A message that was refused, as it came, and why. `sequence` is its place in its stream."""

    subject: str
    sequence: int
    message_id: str
    payload: bytes
    why: RefusedMessage
    stream: str = "SIGNALS"


@dataclass(slots=True)
class BookEvent:
    """One line of the account's audit, published after its commit."""

    event: int
    kind: str
    key: str
    version: int
    instant_ns: int
    body: dict[str, Any]


@dataclass(slots=True)
class Changes:
    """The rows that one transaction writes besides the account's and strategies' own."""

    orders: dict[ClientOrderId, Order] = field(default_factory=dict)
    fills: list[tuple[Fill, StrategyId, int]] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    positions: dict[tuple[StrategyId, str], Position] = field(default_factory=dict)
    events: list[BookEvent] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)
    cleared: list[Clearing] = field(default_factory=list)
    refused: list[RefusedSignal] = field(default_factory=list)


def note(book: Book, changes: Changes, kind: str, key: str, version: int, body: dict[str, Any]) -> None:
    """Append a line to the account's audit."""
    book.last_event += 1
    changes.events.append(BookEvent(book.last_event, kind, key, version, book.instant_ns, body))


def put_order(book: Book, changes: Changes, order: Order) -> None:
    """Store an order's new state and tell of it."""
    before = book.orders.get(order.client_id)
    if before is not None and before.version == order.version and before == order:
        return
    book.put(order)
    changes.orders[order.client_id] = order
    note(book, changes, "order", order.client_id, order.version, order_facts(order))


def order_facts(order: Order) -> dict[str, Any]:
    """An order's facts for the audit: integers, names and nothing else."""
    return {
        "client_id": order.client_id,
        "decision": order.decision,
        "leg": order.leg,
        "unit": order.unit,
        "strategy": order.strategy,
        "contract": order.contract,
        "tape_contract": order.tape_contract,
        "side": order.side,
        "type": order.type,
        "quantity": order.quantity,
        "filled": order.filled,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "wanted_price": order.wanted_price,
        "state": order.state,
        "reason": order.reason,
        "taken_out_by": order.taken_out_by,
    }


def commission_of(manifest: TradingAccount, contract: ContractId, quantity: int, price: int) -> Decimal:
    """Fees of one side of a fill at a price in ticks; 0 where no row knows the contract.

    The account's commission by root stands in place of all that the instrument's row says.
    """
    sheet = sheet_of(contract)
    if sheet is None:
        return Decimal(0)
    return sheet.fee(price, quantity, manifest.spec.commission.get(sheet.root))


def count_entry(book: Book, strategy: StrategyBook) -> None:
    """An entry was decided: count it for the day and for the hour."""
    book.trades += 1
    strategy.trades += 1
    book.entry_instants.append(book.instant_ns)


def forget(book: Book) -> None:
    """Drop what no rule looks at any more, so that the book in memory is what a new process would read."""
    since = book.instant_ns - KEPT_NS
    if book.entry_instants and book.entry_instants[0] < since:  # the oldest
        book.entry_instants = [at for at in book.entry_instants if at >= since]
    old = [order for order in book.orders.values() if order.decided_at_ns < since and order.state.terminal]
    if not old:
        return
    held = book.open_positions()
    open_decisions = {position.decision for position in held}
    kept = {lot.client_id for position in held for lot in position.lots}
    kept.update(order.oco for order in book.live_orders())
    gone = {order.client_id for order in old if order.decision not in open_decisions} - kept
    if gone:
        book.orders = {client_id: order for client_id, order in book.orders.items() if client_id not in gone}


def forget_decided(book: Book) -> None:
    """Drop the decisions by which no bar has to be known at the book's instant."""
    if not book.live:
        book.decided.clear()
        return
    old = [decision for decision, at_ns in book.decided.items() if at_ns < book.decided_since_ns]
    for decision in old:
        del book.decided[decision]


def fence_off(book: Book, changes: Changes, strategy: StrategyBook, refused: RefusedSignal, progress_ns: int) -> None:
    """From the book's instant on nothing that a strategy says counts; what holds its position goes on."""
    why = refused.why
    strategy.fence = Fence(why.reason, why.detail, book.instant_ns, progress_ns)
    changes.refused.append(refused)
    body = {
        "strategy": strategy.strategy,
        "fenced": True,
        "reason": why.reason,
        "detail": why.detail,
        "subject": refused.subject,
        "sequence": refused.sequence,
    }
    note(book, changes, "fence", f"fence-{book.last_event + 1}", 1, body)


def unfence(book: Book, changes: Changes, strategy: StrategyBook, by: str, reason: str) -> None:
    """From the book's instant on what a strategy says counts again; what it said up to its fence is forgiven."""
    if strategy.fence is None:
        raise AssertionError(f"{strategy.strategy} is not fenced off")
    cleared_ns = strategy.fence.progress_ns
    body = {"strategy": strategy.strategy, "fenced": False, "cleared_by": by, "clear_reason": reason}
    note(book, changes, "fence", f"fence-{book.last_event + 1}", 1, body)
    strategy.fence, strategy.cleared_ns = None, cleared_ns
    strategy.joined_ns = max(book.instant_ns, cleared_ns)


def is_entry(order: Order) -> bool:
    """Whether an order opens exposure."""
    return order.leg.kind is LegKind.ENTRY


def new_order(decision: Decision, client_id: ClientOrderId, instant_ns: int, tape_contract: ContractId) -> Order:
    """The entry of an accepted decision, with its native bracket; the prints of `tape_contract` fill it."""
    if decision.side is None:
        raise AssertionError(f"accepted decision {decision.decision_id} has no side")
    return Order(
        client_id=client_id,
        decision=decision.decision_id,
        leg=ENTRY,
        strategy=decision.strategy,
        contract=decision.contract,
        tape_contract=tape_contract,
        side=decision.side,
        type=decision.type,
        quantity=decision.quantity,
        decided_at_ns=instant_ns,
        limit_price=decision.price if decision.type is OrderType.LIMIT else None,
        stop_price=decision.price if decision.type is OrderType.STOP else None,
        bracket=decision.bracket,
        valid_until_ns=decision.valid_until_ns,
        group=group_of(decision.bar_key, decision.proposal),
        unit=decision.proposal.unit or DEFAULT_UNIT,
    )
