"""Orders, fills, decisions and positions: the vocabulary of risk, execution and the venues."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """Buy or sell; `sign` is +1 or -1."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order is priced."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"


class OrderState(StrEnum):
    """Where an order is on its way. UNKNOWN may or may not exist at the venue and counts as live."""

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

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.DEAD,
        OrderState.EXPIRED_LOCAL,
    }
)


@dataclass(frozen=True, slots=True)
class Order:
    """One order of one account.

    `client_id` is derived from `decision` and `leg`; `strategy` owns it; quantities in size steps of the execution
    contract; `limit_price`/`stop_price` in ticks. `stop_ticks`/`target_ticks` are the native bracket's distances from
    each entry fill (entries only). `parent` is the entry's client id on bracket legs, whose `oco` names the other.
    `decided_at_ns` is the account's instant at which it was decided (for a bracket leg: its entry fill's time).
    """

    client_id: str
    decision: str
    leg: str
    strategy: str
    contract: str
    side: Side
    type: OrderType
    quantity: int
    decided_at_ns: int
    state: OrderState = OrderState.PENDING
    limit_price: int | None = None
    stop_price: int | None = None
    stop_ticks: int | None = None
    target_ticks: int | None = None
    parent: str = ""
    oco: str = ""
    filled: int = 0
    reason: str = ""
    version: int = 1

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `price` in ticks, `quantity` in size steps, `commission` in the account's currency.

    `source_index` is the print that made it (paper), `k` the running number of this order's fills from 1.
    """

    fill_id: str
    client_id: str
    contract: str
    side: Side
    quantity: int
    price: int
    time_ns: int
    source_index: int
    k: int
    commission: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Decision:
    """Risk's word on one bar of one strategy. Refused decisions carry the first reason that refused them.

    `arithmetic` is the size computation, name to decimal string, in the order in which it was done.
    `patterns` lists the approved patterns, the owner first.
    """

    decision_id: str
    strategy: str
    bar_key: str
    instant_ns: int
    trading_day: date
    accepted: bool
    reason: str
    side: Side | None
    quantity: int
    contract: str
    stop_ticks: int
    target_ticks: int
    patterns: tuple[str, ...]
    regime: str
    arithmetic: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Lot:
    """An open entry: what first-in-first-out matching consumes. Price in ticks, quantity in size steps > 0."""

    price: int
    quantity: int
    fill_id: str


@dataclass(frozen=True, slots=True)
class Position:
    """Net position of one strategy in one contract, as first-in-first-out lots, all on one side.

    `quantity` is signed. `tick_value` is the currency value of one tick of one size step, captured when the
    position opens. `realised` (gross) and `commission` are sums over the trading day.
    """

    strategy: str
    contract: str
    quantity: int
    lots: tuple[Lot, ...]
    tick_value: Decimal
