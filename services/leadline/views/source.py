"""Where values come from: the services of a running stack, here or in a cluster, or the database of a stopped one."""

from typing import Protocol

from leadline.views.signals import SignalledBar
from leadline.views.values import Answers, OrdersWanted, OrderView, PositionView


class Source(Protocol):
    """Answers what is shown of a stack.

    Every question about accounts is for one of them, `namespace/name` or a name alone, or for all where it is None.
    Raises Unknown for a name that nobody has. An account that does not answer is named in the answers.
    """

    @property
    def note(self) -> str:
        """A sentence about the origin of the values; empty for a running stack."""

    async def orders(self, account: str | None, wanted: OrdersWanted) -> Answers[list[OrderView]]:
        """The orders by account, oldest first."""

    async def positions(self, account: str | None) -> Answers[list[PositionView]]:
        """The positions that are not flat, by account, by strategy and contract."""

    async def signals(self, strategy: str | None, last: int) -> Answers[list[SignalledBar]]:
        """The newest bars with signals by strategy, oldest first, at most `last` of them over all strategies."""
