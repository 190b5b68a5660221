"""A stand-in of a venue, as the conformance suite holds it: an adapter's connection, and a hand on what is behind it.

A venue's declaration names the function that opens one: `open(section)` returns an asynchronous context manager of a
`StandIn`. It may be a process that speaks the venue's protocol, or the venue's own place for exercises.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from importlib import import_module
from typing import Any, Protocol, TypeAlias

from leadline.execution.loop.ports import Orders
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.venues import Venue
from leadline.model.orders import VenueOrder


class Call(StrEnum):
    """The calls that a stand-in can lose."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    REPLACE = "replace"
    FIND = "find"


class StandIn(Protocol):
    """A venue of exercises with one account, flat and without orders, and the adapter that is connected to it.

    contract: the contract of the exercises. price: where it trades at the beginning, ticks, more than a thousand from
    any end of its prices. now_ns: the venue's time, UTC; it stands still but for `trade`.
    """

    contract: ContractId
    price: int

    @property
    def orders(self) -> Orders:
        """The adapter under test, as it is connected now."""

    @property
    def now_ns(self) -> int:
        """The venue's time, ns UTC."""

    async def trade(self, price: int, size: int) -> None:
        """Let time pass by a second or more, and others trade at a price; whatever follows of it has happened then."""

    def lose(self, call: Call, *, reaches: bool) -> None:
        """Have the next call of that kind end without an answer; `reaches` says whether the venue gets it."""

    async def cut(self) -> None:
        """Cut the connection: no call is answered from now on. The market goes on."""

    async def mend(self) -> None:
        """Let the connection be made again, and return when a call is answered."""

    async def restart(self) -> None:
        """Connect a new adapter in the place of the one that is there, as a new process of the account does."""

    async def place(self, order: VenueOrder) -> None:
        """Hand an order in past the adapter, as another program with the account's credentials does."""


OpenStandIn: TypeAlias = Callable[[Any], AbstractAsyncContextManager[StandIn]]


def stand_in_of(venue: Venue[Any]) -> OpenStandIn:
    """The function that opens a venue's stand-in. Raises InvalidInput where it declares none that can be loaded."""
    module, _, function = venue.stand_in.partition(":")
    expected = "module:function that opens a stand-in, declared as `stand_in`"
    if not venue.stand_in:
        raise InvalidInput(f"venue {venue.name}", None, expected)
    try:
        opened: OpenStandIn = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"venue {venue.name}", venue.stand_in, f"{expected} ({error})") from error
    return opened
