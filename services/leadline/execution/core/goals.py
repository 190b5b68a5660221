"""Goals: things that the account has set out to do at the venue and are not done yet, and those that take too long."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from leadline.execution.core.book import Book
from leadline.execution.core.orders import UNRESOLVED
from leadline.model.ids import UNASSIGNED, StrategyId
from leadline.model.orders import OrderState

OVERDUE_SECONDS: Final = 10.0
"""A goal that is open for longer is a person's matter."""

_ON_THE_WAY: Final = frozenset({*UNRESOLVED, OrderState.PENDING_CANCEL})


@dataclass(frozen=True, slots=True)
class Goal:
    """Something that is to be so, in words that stay the same; `strategy` is `UNASSIGNED` of what is the account's."""

    strategy: StrategyId
    words: str


def open_goals(book: Book) -> Iterator[Goal]:
    """Things that are to leave the market and are still in it, and orders of which the venue's word is awaited."""
    if book.flatten:
        yield Goal(UNASSIGNED, f"the account is to be flat: {book.flatten}")
    for name, strategy in sorted(book.strategies.items()):
        if strategy.flatten:
            yield Goal(name, f"it is to be flat: {strategy.flatten}")
        for leaving in strategy.exits:
            yield Goal(name, f"its unit {leaving.unit} is to leave: {leaving.reason}")
    for order in book.live_orders():
        if order.state in _ON_THE_WAY:
            yield Goal(order.strategy, f"its order {order.client_id} ({order.leg}) is {order.state}")


class Overdue:
    """Since when each goal is open, by a clock that its caller reads: a new process begins to count anew."""

    def __init__(self) -> None:
        self._since_s: dict[Goal, float] = {}

    def look(self, goals: Iterable[Goal], now_s: float) -> tuple[Goal, ...]:
        """The goals that are open for longer than `OVERDUE_SECONDS`, in their order; `now_s` in seconds."""
        self._since_s = {goal: self._since_s.get(goal, now_s) for goal in goals}
        return tuple(goal for goal, since_s in self._since_s.items() if now_s - since_s > OVERDUE_SECONDS)
