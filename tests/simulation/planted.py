"""Faults planted in the real code, one function each: what the simulation has to find, or it is worth nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from leadline.execution.adapters.journal import SendJournal
from leadline.execution.core.decisions import venue_order
from leadline.execution.core.orders import follow, move
from leadline.execution.loop.order_sender import OrderSender
from leadline.execution.loop.ports import PartFailed
from leadline.execution.loop.reconciliation import Reconciliation
from leadline.model.orders import Order, OrderState

Plant = tuple[object, str, Callable[[Any], Any]]
"""Where a function stands, its name there, and what stands in its place, made of it."""


def _sent_before_it_is_committed(_: Any) -> Any:
    async def send(self: OrderSender, order: Order) -> None:
        order = move(order, OrderState.SENDING)
        await self.hand_in(order)

    return send


def _sent_again_when_nothing_is_heard(hand_in: Any) -> Any:
    async def twice(self: OrderSender, order: Order) -> None:
        try:
            await hand_in(self, order)
        except PartFailed:
            await self._deps.venue.submit(venue_order(order, trails=self._deps.trails))
            raise

    return twice


def _written_after_the_byte(_: Any) -> Any:
    def write(self: SendJournal, client_id: Any) -> None:
        self._written[client_id] = None  # the file has it when the process is closed

    return write


def _unknown_is_rejected(_: Any) -> Any:
    async def settle(self: Reconciliation, order: Order) -> None:
        if order.state in (OrderState.SENDING, OrderState.UNKNOWN):
            await self._keeper.commit_order(follow(order, OrderState.REJECTED, reason="no answer"))

    return settle


PLANTED: Final[dict[str, Plant]] = {
    "send before commit": (OrderSender, "send", _sent_before_it_is_committed),
    "blind retry after a timeout": (OrderSender, "hand_in", _sent_again_when_nothing_is_heard),
    "journal after the byte": (SendJournal, "write", _written_after_the_byte),
    "UNKNOWN taken for rejected": (Reconciliation, "_settle", _unknown_is_rejected),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The code with one of these faults in it."""
    owner, attribute, make = PLANTED[name]
    real = getattr(owner, attribute)
    setattr(owner, attribute, make(real))
    try:
        yield
    finally:
        setattr(owner, attribute, real)
