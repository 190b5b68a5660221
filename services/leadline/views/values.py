"""An account as it is shown: its day, its strategies, orders, positions and halts.

Prices and money are decimal strings as execution answers them: prices of the contract, money in the account's currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar

from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, Leg, RunId, StrategyId

Value = TypeVar("Value")

Choice = Annotated[str, "word"]
"""A name out of a few, as the book spells it: `BUY`, `DAY_LOSS`. A JSON document has it in small letters."""


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order.

    client_id: its id; decision_id: the decision that made it. leg: `E`, `S1`, `T1`, `F1` ... unit: the part of its
    strategy's position that it opens or closes, empty where it is of no one unit. strategy: `namespace/name`. contract:
    dated. side: `BUY` or `SELL`; type: `MARKET`, `LIMIT` or `STOP`. quantity, filled: size
    steps. state: such as `WORKING`. price: limit or stop price, empty for a market order. decided_at_ns: instant of its
    decision, ns UTC. reason: why it was rejected, cancelled or given up, else empty. version: number of its state
    changes. average_price: of its fills, empty before the first. taken_out_by: the client id of the entry whose first
    fill has taken this one out, empty while none has.
    """

    client_id: ClientOrderId
    decision_id: DecisionId
    leg: Leg
    strategy: StrategyId
    contract: ContractId
    side: Choice
    type: Choice
    quantity: int
    filled: int
    state: Choice
    price: str
    decided_at_ns: int
    reason: str
    version: int
    average_price: str
    taken_out_by: str
    unit: str


@dataclass(frozen=True, slots=True)
class UnitView:
    """A part of a position, which its strategy has named.

    unit: `main` where it named none. quantity: signed, size steps. average_price: of its entries. open: its open
    result, money.
    """

    unit: str
    quantity: int
    average_price: str
    open: str


@dataclass(frozen=True, slots=True)
class PositionView:
    """One position that is not flat.

    strategy: `namespace/name`, empty where none is known. contract: dated. quantity: signed, size steps. average_price:
    of its entries. last_price: of the last print, empty before the first. open: its open result, money. units: its
    parts, in the order of their oldest entries.
    """

    strategy: StrategyId
    contract: ContractId
    quantity: int
    average_price: str
    last_price: str
    open: str
    units: tuple[UnitView, ...] = ()


@dataclass(frozen=True, slots=True)
class HaltView:
    """One halt of an account.

    number: grows with each halt of the account, 0 until execution has read the account's rows. source: `PERSON`,
    `FIELD`, `DIFFERENCE`, `LIMIT`, `POISON` or `SYSTEM`. by: a person's name, or `execution`. at_ns: wall time, ns UTC.
    """

    number: int
    source: Choice
    reason: str
    by: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class JournalRestorationView:
    """A send journal that was lost, or older than the book, and made whole.

    at_ns: wall time, ns UTC. orders: ids that were put back from the book; found: ids that it still had, 0 for one that
    was lost whole.
    """

    at_ns: int
    orders: int
    found: int


@dataclass(frozen=True, slots=True)
class LeavingView:
    """A unit that is to leave, or a part of one.

    unit: its name. quantity: size steps that have not left yet; without_stop: those of them that were entered without
    a stop. whole: all of the unit leaves. reason: why.
    """

    unit: str
    quantity: int
    without_stop: int
    whole: bool
    reason: str


@dataclass(frozen=True, slots=True)
class StrategyView:
    """One strategy on its account. Money in the account's currency.

    strategy: `namespace/name`. state: `Running`, `ReduceOnly` or `Suspended`, during a drain `Draining` and `Drained`.
    analysis_hash: the analysis that counts. progress_ns: of its signals, ns UTC, 0 while nobody waits for them.
    realised: net result of the day. trades: entries of the day. working_orders: a count. position: signed, size steps.
    settings_hash: of its settings. joined_ns: instant from which its analysis counts, ns UTC. drain_id: empty when
    there is no drain; drained: it is done; forgotten: only its history is left. flatten: why its position is being
    closed, else empty. loosening_waits: a looser limit of its own waits. fence: why nothing that it says counts, else
    empty. contract: the contract whose prints it reads now. leaving: units of it that are to leave, by name.
    last_bar_ns: close of the last bar of which its analysis has told, 0 for none. lacking: why nothing of it can be
    decided at this moment although its market is open, else empty.
    """

    strategy: StrategyId
    state: str
    analysis_hash: str
    progress_ns: int
    realised: str
    trades: int
    working_orders: int
    position: int
    settings_hash: str
    joined_ns: int
    drain_id: str
    drained: bool
    forgotten: bool
    flatten: str
    loosening_waits: bool
    fence: str
    contract: ContractId
    leaving: tuple[LeavingView, ...]
    last_bar_ns: int
    lacking: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account's day. Money in its currency.

    account: `namespace/name`. instant_ns: the account's instant on the tape, ns UTC. trading_day: ISO 8601. phase: what
    its loop does, such as `running` or `waiting_for_risk`. equity: cash, at the day's roll plus realised. realised: net
    result of the day; open: open result at the last prints. streak: wins positive, losses negative. trades: entries of
    the day. block: in force, empty, `DAY_LOSS` or `DAY_TARGET`. halts: in force, in the order in which they came.
    writer_epoch: of its writer. tier: from 1, 0 when tiers are off. settings_hash: of the hot settings, empty before
    the first. loosening_waits: a looser limit waits for the roll. journal_restored: absent when it never was. lacking:
    why it cannot trade at this moment, empty while it can.
    """

    account: AccountId
    tape: RunId
    instant_ns: int
    trading_day: str
    phase: str
    equity: str
    realised: str
    open: str
    streak: int
    trades: int
    block: Choice
    halts: tuple[HaltView, ...]
    writer_epoch: int
    tier: int
    strategies: tuple[StrategyView, ...]
    currency: str
    settings_hash: str
    loosening_waits: bool
    journal_restored: JournalRestorationView | None
    lacking: str


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
    """The answers by name (of an account or a strategy), and why the others did not answer.

    left_out: what else is missing from the answers, by its name, each with the reason in words.
    """

    found: Mapping[str, Value]
    failed: Mapping[str, Exception] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
