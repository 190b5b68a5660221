"""Open ends of a stopped run: positions with the orders that protect them, and other working orders."""

from collections.abc import Iterable
from dataclasses import dataclass

from leadline.model.ids import AccountId, RunId
from leadline.views.values import OrderView, PositionView


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """A position that is not flat, and the working orders that close it at a stop or a target, by leg."""

    position: PositionView
    exits: tuple[OrderView, ...]


@dataclass(frozen=True, slots=True)
class AccountLeftOpen:
    """An account's open ends. account: `namespace/name`. others: working orders that protect nothing."""

    account: AccountId
    held: tuple[HeldPosition, ...]
    others: tuple[OrderView, ...]


@dataclass(frozen=True, slots=True)
class RunLeftOpen:
    """A run's open ends.

    goes_on: a start on the same feed goes on with it. over: its accounts have come to its end.
    """

    tape: RunId
    accounts: tuple[AccountLeftOpen, ...]
    goes_on: bool
    over: bool


def left_open_of(
    account: AccountId, positions: Iterable[PositionView], working: Iterable[OrderView]
) -> AccountLeftOpen:
    """The positions of an account, each with its exits, and its other working orders."""
    others, held = list(working), []
    for position in positions:
        exits = [order for order in others if _protects(order, position)]
        others = [order for order in others if order not in exits]
        held.append(HeldPosition(position, tuple(sorted(exits, key=lambda order: order.leg))))
    return AccountLeftOpen(account, tuple(held), tuple(others))


def _protects(order: OrderView, position: PositionView) -> bool:
    closing = order.side == ("SELL" if position.quantity > 0 else "BUY")
    place = (order.strategy, order.contract) == (position.strategy, position.contract)
    return place and closing and order.leg.is_exit
