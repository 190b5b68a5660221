"""Orders, fills and positions: the vocabulary of risk, execution and the venues."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from leadline.model.frozen import quickly_made
from leadline.model.ids import NO_ORDER, ClientOrderId, ContractId, DecisionId, FillId, Leg, StrategyId

DEFAULT_UNIT: Final = "main"
"""The unit of an entry that names none."""


class Side(StrEnum):
    """Buy or sell; `sign` is +1 or -1."""

    sign: int

    BUY = "BUY"
    SELL = "SELL"

    def __init__(self, name: str) -> None:
        self.sign = 1 if name == "BUY" else -1

    @property
    def opposite(self) -> "Side":
        """The side that closes what this one opens."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order is priced. A stop-limit rests as a limit order once a print has reached its stop."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"


_TERMINAL: Final = frozenset({"FILLED", "CANCELLED", "REJECTED", "EXPIRED", "DEAD", "EXPIRED_LOCAL"})


class OrderState(StrEnum):
    """Where an order is on its way. UNKNOWN may or may not exist at the venue and counts as live.

    Nothing can happen any more to an order whose state is `terminal`.
    """

    terminal: bool

    PENDING = "PENDING"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    WORKING = "WORKING"
    PARTIAL = "PARTIAL"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DEAD = "DEAD"
    EXPIRED_LOCAL = "EXPIRED_LOCAL"

    def __init__(self, name: str) -> None:
        self.terminal = name in _TERMINAL


@dataclass(frozen=True, slots=True)
class Trail:
    """A stop that follows the price: what an entry asks of its stop.

    Once a print is `trigger_ticks` (0 or more) beyond the entry's fill, the stop stays `offset_ticks` (1 or more)
    behind the best print since. It never goes back.
    """

    trigger_ticks: int
    offset_ticks: int


@dataclass(frozen=True, slots=True)
class Trailing:
    """The trail of one stop order: prints at or beyond `from_price` move it to `offset_ticks` behind them."""

    from_price: int
    offset_ticks: int

    def level(self, stop: int, side: Side) -> int:
        """The first price, ticks, at which a print moves an order of that side whose stop is at `stop`."""
        worst = max if side is Side.SELL else min
        return worst(self.from_price, stop - side.sign * (self.offset_ticks + 1))

    def behind(self, price: int, side: Side) -> int:
        """Where a print at `price` moves the stop of an order of that side to, ticks."""
        return price + side.sign * self.offset_ticks


@quickly_made
@dataclass(frozen=True, slots=True)
class Bracket:
    """The exits that the venue makes for each fill of an entry.

    Stop and target are distances in ticks from the fill, or prices in ticks; at most one of both for each, and none
    means that there is no such exit. `trail` moves the stop.
    """

    stop_ticks: int | None = None
    target_ticks: int | None = None
    stop_price: int | None = None
    target_price: int | None = None
    trail: Trail | None = None

    @property
    def has_stop(self) -> bool:
        """Whether there is a stop behind each fill."""
        return self.stop_ticks is not None or self.stop_price is not None

    @property
    def has_target(self) -> bool:
        """Whether there is a target before each fill."""
        return self.target_ticks is not None or self.target_price is not None

    def stop_at(self, fill: int, side: Side) -> int | None:
        """Price in ticks of the stop behind an entry of that side which filled at `fill`; None without a stop."""
        return self.stop_price if self.stop_ticks is None else fill - side.sign * self.stop_ticks

    def target_at(self, fill: int, side: Side) -> int | None:
        """Price in ticks of the target before an entry of that side which filled at `fill`; None without a target."""
        return self.target_price if self.target_ticks is None else fill + side.sign * self.target_ticks


def bracket_of(values: Mapping[str, Any]) -> Bracket:
    """The bracket whose plain values `asdict` gave, as JSON keeps them."""
    trail = values["trail"]
    return Bracket(**{**values, "trail": None if trail is None else Trail(**trail)})


@quickly_made
@dataclass(frozen=True, slots=True)
class Order:
    """One order of one account.

    `client_id` is derived from `decision` and `leg`; `strategy` owns it; `tape_contract` is the contract whose prints
    price it, for as long as it lives: its own, or the signal contract where the feed has no other. Quantities are in
    size steps of the contract; `limit_price`/`stop_price` in ticks. `bracket` are the native exits of each fill
    (entries only), `trail` moves this order's own stop. From `valid_until_ns` on nothing fills it. `parent` is the
    entry's client id on bracket legs, whose `oco` names the other. `decided_at_ns` is the account's instant at which it
    was decided (for a bracket leg: its entry fill's time). `first_fill_ns` is the time of an entry's first fill.

    `wanted_price` is where its strategy or its trail wants a stop or a target, until the venue has it there or better;
    `wanted_trail` is how its strategy wants a stop to trail, until it does. `unwanted` says that the strategy has taken
    an entry back. `moved_ns` is when this account last moved a stop that trails, None before and where the venue moves
    it. `entry_price` is that of the fill which a bracket leg closes, ticks, None where nobody knows it. `protection`
    has the exits that a strategy wants of what is held of an entry: its later fills get them, too. Entries with the
    same `group` are alternatives, empty without any. `taken_out_by` is the client id of the entry whose first fill has
    taken this one out, empty while none has. `unit` is the part of its strategy's position that the order opens or
    closes; empty where it is of no one unit: it closes all, or somebody else placed it.
    """

    client_id: ClientOrderId
    decision: DecisionId
    leg: Leg
    strategy: StrategyId
    contract: ContractId
    tape_contract: ContractId
    side: Side
    type: OrderType
    quantity: int
    decided_at_ns: int
    state: OrderState = OrderState.PENDING
    limit_price: int | None = None
    stop_price: int | None = None
    bracket: Bracket | None = None
    trail: Trailing | None = None
    valid_until_ns: int | None = None
    parent: ClientOrderId = NO_ORDER
    oco: ClientOrderId = NO_ORDER
    filled: int = 0
    reason: str = ""
    version: int = 1
    first_fill_ns: int | None = None
    wanted_price: int | None = None
    unwanted: bool = False
    group: str = ""
    moved_ns: int | None = None
    taken_out_by: ClientOrderId = NO_ORDER
    wanted_trail: Trailing | None = None
    entry_price: int | None = None
    protection: Bracket | None = None
    unit: str = DEFAULT_UNIT

    @property
    def price(self) -> int | None:
        """Where it waits, ticks: at its limit, else at its stop; None at the market."""
        return self.stop_price if self.limit_price is None else self.limit_price

    @property
    def remaining(self) -> int:
        """Contracts not filled yet."""
        return self.quantity - self.filled


@quickly_made
@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `price` in ticks, `quantity` in size steps, `commission` in the account's currency.

    `source_index` is the print that made it (paper), `k` the running number of this order's fills from 1. `unread` is
    as in `VenueOrder`, and empty in a fill that is booked.
    """

    fill_id: FillId
    client_id: ClientOrderId
    contract: ContractId
    side: Side
    quantity: int
    price: int
    time_ns: int
    source_index: int
    k: int
    commission: Decimal = Decimal(0)
    unread: tuple[tuple[str, str], ...] = ()


@quickly_made
@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue holds it.

    `tape_contract` is the contract whose prints match it: its own, or the signal contract where the feed has no other.
    `reduce_only` orders never exceed the net position. `triggered` says that a print has reached the stop of a
    stop-limit order, which rests as a limit order since. `unread` names the fields whose value this release has no word
    for, each with that value; what stands in them says nothing. The other fields are those of `Order`.
    """

    client_id: ClientOrderId
    decision: DecisionId
    leg: Leg
    contract: ContractId
    tape_contract: ContractId
    side: Side
    type: OrderType
    quantity: int
    decided_at_ns: int
    limit_price: int | None = None
    stop_price: int | None = None
    bracket: Bracket | None = None
    trail: Trailing | None = None
    valid_until_ns: int | None = None
    reduce_only: bool = False
    parent: ClientOrderId = NO_ORDER
    oco: ClientOrderId = NO_ORDER
    state: OrderState = OrderState.WORKING
    filled: int = 0
    reason: str = ""
    triggered: bool = False
    unread: tuple[tuple[str, str], ...] = ()

    @property
    def remaining(self) -> int:
        """Contracts not filled yet."""
        return self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Replacement:
    """New terms of a working order, which keeps its id and its type. A term that is None stays as it is.

    `quantity` counts what has filled already; of a bracket leg it is a bound, for such a leg only shrinks. The prices
    are ticks; `bracket` stands in place of the whole bracket, and `trail` in place of how its own stop trails.
    """

    client_id: ClientOrderId
    quantity: int | None = None
    limit_price: int | None = None
    stop_price: int | None = None
    bracket: Bracket | None = None
    valid_until_ns: int | None = None
    trail: Trailing | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class VenueEvent:
    """One entry of the venue's ledger: the order after it, and the fill where it was one. Numbered from 1."""

    event: int
    instant_ns: int
    order: VenueOrder
    fill: Fill | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class LastPrint:
    """The last print of a contract at or before an instant. Price in ticks."""

    price: int
    time_ns: int
    source_index: int


@quickly_made
@dataclass(frozen=True, slots=True)
class WatchedPosition:
    """A position whose result moves with the prints of `tape_contract`.

    `cost` is what its lots cost, in money: the sum of worth x signed quantity; `tick_value` and `inverse` are those of
    `leadline.model.worth`. Its result at a price is quantity x worth - cost.
    """

    tape_contract: ContractId
    quantity: int
    cost: Decimal
    tick_value: Decimal
    inverse: bool = False


@quickly_made
@dataclass(frozen=True, slots=True)
class Watch:
    """Stop when `base` plus the open result of `positions` is at or below, or at or above, a bound."""

    base: Decimal
    positions: tuple[WatchedPosition, ...]
    at_or_below: Decimal | None = None
    at_or_above: Decimal | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Passed:
    """How far time has come: the instant up to which everything has passed, and the last print of each contract.

    `final` says that every tape has ended and nothing follows.
    """

    instant_ns: int
    last_prints: dict[ContractId, LastPrint]
    final: bool = False


@quickly_made
@dataclass(frozen=True, slots=True)
class OrderEvents:
    """Events of an account's orders after the one asked for.

    `positions` is what the venue holds after the last of them, net and signed by contract, flat ones absent; None from
    a venue that does not tell it together with its events. `lost` says in a sentence what may have happened to orders
    that nobody can tell any more; empty where nothing was lost.
    """

    events: tuple[VenueEvent, ...]
    positions: Mapping[ContractId, int] | None = None
    lost: str = ""


@quickly_made
@dataclass(frozen=True, slots=True)
class Advanced:
    """Both at once: how far time has come, and what has become of the orders until then.

    The fields are those of `Passed` and `OrderEvents`. A venue that matches the tape itself answers so.
    """

    instant_ns: int
    events: tuple[VenueEvent, ...]
    last_prints: dict[ContractId, LastPrint]
    final: bool = False
    positions: Mapping[ContractId, int] | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class Lot:
    """An open entry: what first-in-first-out matching consumes. Price in ticks, quantity in size steps > 0.

    It belongs to a `unit` of its strategy's position. `client_id` is the order that filled, empty where the account has
    taken the lot over from its venue.
    """

    price: int
    quantity: int
    fill_id: FillId
    unit: str = DEFAULT_UNIT
    client_id: ClientOrderId = NO_ORDER


@quickly_made
@dataclass(frozen=True, slots=True)
class Position:
    """Net position of one strategy in one contract, as first-in-first-out lots, all on one side.

    `quantity` is signed. `tape_contract` is the contract whose prints value it, `tick_value` and `inverse` are those of
    `leadline.model.worth`, all captured when the position opens; `decision` is the decision whose entry opened it.
    `realised` (gross) and `commission` are sums since it opened. `stopless` says how many size steps of a unit were
    entered without a stop on purpose, by the unit's name; the others have one.
    """

    strategy: StrategyId
    contract: ContractId
    tape_contract: ContractId
    quantity: int
    lots: tuple[Lot, ...]
    tick_value: Decimal
    decision: DecisionId
    realised: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    inverse: bool = False
    stopless: tuple[tuple[str, int], ...] = ()

    @property
    def without_stop(self) -> int:
        """Size steps that were entered without a stop on purpose."""
        return sum(quantity for _, quantity in self.stopless)

    @property
    def units(self) -> tuple[str, ...]:
        """The names of its units, in the order of their oldest lots."""
        return tuple(dict.fromkeys(lot.unit for lot in self.lots))

    def held_by(self, unit: str) -> int:
        """Size steps that a unit holds, 0 or more."""
        return sum(lot.quantity for lot in self.lots if lot.unit == unit)

    def without_stop_of(self, unit: str) -> int:
        """Size steps of a unit that were entered without a stop on purpose."""
        return dict(self.stopless).get(unit, 0)

    @property
    def cost(self) -> int:
        """Sum of price x signed quantity of the lots, in ticks x size steps; for averages that are displayed."""
        sign = 1 if self.quantity >= 0 else -1
        return sign * sum(lot.price * lot.quantity for lot in self.lots)
