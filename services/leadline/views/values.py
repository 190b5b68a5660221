"""An account as it is shown: its orders and positions.

Prices and money are decimal strings as execution answers them: prices of the contract, money in the account's currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar

Value = TypeVar("Value")

Int64 = Annotated[int, "64 bits"]
"""A number of 64 bits. A JSON document has it as text, because a float does not hold it."""


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order.

    client_id: its id; decision_id: the decision that made it. leg: `E`, `S1`, `T1`, `F1` ... strategy:
    `namespace/name`. contract: dated. side: `BUY` or `SELL`; type: `MARKET`, `LIMIT` or `STOP`. quantity, filled: size
    steps. state: such as `WORKING`. price: limit or stop price, empty for a market order. decided_at_ns: instant of its
    decision, ns UTC. reason: why it was rejected, cancelled or given up, else empty. version: number of its state
    changes. average_price: of its fills, empty before the first.
    """

    client_id: str
    decision_id: str
    leg: str
    strategy: str
    contract: str
    side: str
    type: str
    quantity: Int64
    filled: Int64
    state: str
    price: str
    decided_at_ns: Int64
    reason: str
    version: int
    average_price: str


@dataclass(frozen=True, slots=True)
class PositionView:
    """One position that is not flat.

    strategy: `namespace/name`, empty where none is known. contract: dated. quantity: signed, size steps. average_price:
    of its entries. last_price: of the last print, empty before the first. open: its open result, money.
    """

    strategy: str
    contract: str
    quantity: Int64
    average_price: str
    last_price: str
    open: str


@dataclass(frozen=True, slots=True)
class OrdersWanted:
    """Which orders of an account are asked for: at most `limit` of the newest.

    strategy: `namespace/name`, or empty for all. only_working: those that can still be filled.
    """

    limit: int
    strategy: str = ""
    only_working: bool = False


@dataclass(frozen=True, slots=True)
class Answers(Generic[Value]):
    """What was answered by name (of an account or a strategy), and why the others did not answer.

    left_out: what else is missing from the answers, by its name, each with the reason in words.
    """

    found: Mapping[str, Value]
    failed: Mapping[str, Exception] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
