"""Proposals and decisions: what a strategy wants to do in the market, and what became of it.

What a strategy saw (`leadline.model.signals`) only tells why. Proposals are decided one at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from leadline.model.bars import BarKey
from leadline.model.frozen import quickly_made
from leadline.model.ids import ContractId, DecisionId, StrategyId
from leadline.model.orders import Bracket, OrderType, Side, bracket_of


class Direction(StrEnum):
    """The side that a signal or a proposal speaks for."""

    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def side(self) -> Side:
        """The side of an entry in this direction."""
        return Side.BUY if self is Direction.LONG else Side.SELL


class Action(StrEnum):
    """The action of a proposal: an entry, or a change to the position and the working orders of its strategy.

    ADD enters beside what is held already, in its direction, with exits of its own. EXIT closes all of it and takes its
    entries back, CANCEL takes its entries back alone, PROTECT moves its stop, its target or both to other prices and
    says how its stop trails. All three may name a unit, and are about that alone then. EXIT may say how much leaves:
    then entries stay.

    Only what `enters` asks for an entry, which risk decides.
    """

    enters: bool

    ENTER = "ENTER"
    ADD = "ADD"
    EXIT = "EXIT"
    PROTECT = "PROTECT"
    CANCEL = "CANCEL"

    def __init__(self, name: str) -> None:
        self.enters = name in {"ENTER", "ADD"}


class Withdrawal(StrEnum):
    """Why a strategy proposes nothing although it saw something: such a proposal is refused in this word."""

    NO_APPROVED_SIGNAL = "no_approved_signal"
    CONFLICT = "conflict"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class EntryTerms:
    """How an entry is priced: at the market, or as a limit or a stop at `price` (ticks of the signal instrument).

    One that waits works for `valid_for_ns`, None for as long as its strategy may enter.
    """

    type: OrderType = OrderType.MARKET
    price: int | None = None
    valid_for_ns: int | None = None


def limit_at(price: int, valid_for_ns: int | None = None) -> EntryTerms:
    """An entry at a price (ticks) or better."""
    return EntryTerms(OrderType.LIMIT, price, valid_for_ns)


def stop_at(price: int, valid_for_ns: int | None = None) -> EntryTerms:
    """An entry at the market once a print reaches a price (ticks)."""
    return EntryTerms(OrderType.STOP, price, valid_for_ns)


@quickly_made
@dataclass(frozen=True, slots=True)
class Proposal:
    """One action that a strategy wants at a closed bar.

    `direction` is that of an entry. Without `entry` and `bracket` the manifest's hold; of a PROTECT, `bracket` has the
    price of the stop, of the target, or both. `quantity` bounds the size of an entry, in size steps; risk may make it
    smaller. Of an EXIT it is how much leaves, the oldest first. `unit` names the part of the strategy's position that
    an entry belongs to, empty for `DEFAULT_UNIT`; of the other actions, the unit that is meant, empty for all. `why`
    are patterns and words of the strategy's own, the most important first. Entries of one bar with the same `group` are
    alternatives: the first of them that fills, be it in part, takes the others back. A proposal that is `withdrawn`
    asks for nothing: it leaves a refused decision that says why.
    """

    action: Action
    direction: Direction | None = None
    entry: EntryTerms | None = None
    bracket: Bracket | None = None
    quantity: int | None = None
    why: tuple[str, ...] = ()
    withdrawn: Withdrawal | None = None
    group: str = ""
    unit: str = ""


def group_of(bar_key: str, proposal: Proposal) -> str:
    """The name of a proposal's group among all that its strategy ever makes; empty without one."""
    return f"{bar_key}/{proposal.group}" if proposal.group else ""


def source_of(bar: BarKey, number: int) -> str:
    """Where the proposal of that number (from 1) at a bar comes from: what its decision is derived from."""
    return source_text(bar.text(), number)


def source_text(bar: str, number: int) -> str:
    """The source of that proposal of a bar whose key is given as text."""
    return bar if number == 1 else f"{bar}#{number}"


def proposal_of(values: Mapping[str, Any]) -> Proposal:
    """The proposal whose plain values `asdict` gave, as JSON keeps them."""
    entry, bracket = values["entry"], values["bracket"]
    return Proposal(
        action=Action(values["action"]),
        direction=None if values["direction"] is None else Direction(values["direction"]),
        entry=None if entry is None else EntryTerms(**{**entry, "type": OrderType(entry["type"])}),
        bracket=None if bracket is None else bracket_of(bracket),
        quantity=values["quantity"],
        why=tuple(values["why"]),
        withdrawn=None if values["withdrawn"] is None else Withdrawal(values["withdrawn"]),
        group=values["group"],
        unit=values["unit"],
    )


@quickly_made
@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one proposal of one strategy: risk's for an entry, the account's for all else.

    A refused one carries the first reason that refused it.

    `source` is that of the proposal, and `bar_key` the bar at which it was made. An entry of `type` LIMIT or STOP waits
    at `price` (ticks) until `valid_until_ns`, None until it is cancelled.

    `arithmetic` is the size computation, name to decimal string, in the order in which it was done.
    `patterns` is what the proposal says why. `regime` is the bar's, empty where the strategy reads none.
    """

    decision_id: DecisionId
    strategy: StrategyId
    source: str
    bar_key: str
    proposal: Proposal
    instant_ns: int
    trading_day: date
    accepted: bool
    reason: str
    side: Side | None
    quantity: int
    contract: ContractId
    bracket: Bracket | None
    patterns: tuple[str, ...]
    regime: str
    arithmetic: tuple[tuple[str, str], ...]
    type: OrderType = OrderType.MARKET
    price: int | None = None
    valid_until_ns: int | None = None

    @property
    def entered(self) -> bool:
        """Whether an entry follows from it."""
        return self.accepted and self.proposal.action.enters
