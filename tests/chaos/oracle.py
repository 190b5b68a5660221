"""Whether a platform is right: its venue's ledger against its book, and each against itself.

Both go on while they are read. The book says up to which event of the venue it has booked, so it is compared with the
venue as it was at that event; what the venue has done since says nothing yet.
"""

from dataclasses import dataclass
from typing import Final

from leadline.model.ids import ENTRY
from leadline.model.orders import OrderState
from tests.chaos.book_side import BookSide, MarketSide
from tests.chaos.venue_side import VenueSide

IN_DOUBT: Final = frozenset({OrderState.PENDING, OrderState.SENDING, OrderState.UNKNOWN, OrderState.PENDING_CANCEL})
"""What cannot stay for long: the fate of an order, or of its cancel, is open."""

GONE: Final = frozenset({OrderState.DEAD, OrderState.EXPIRED_LOCAL})
"""What a kill of execution or the venue may make of an entry."""

LONGEST_NS: Final = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is not as it has to be. `kind` is a word to count and to allow by."""

    kind: str
    what: str


def differences(account: str, venue: VenueSide, book: BookSide) -> list[Wrong]:
    """What is wrong with one account; the venue was read after the book."""
    if venue.last_event < book.venue_event:
        return [Wrong("ledger", f"{account}: the book has event {book.venue_event}, the ledger {venue.last_event}")]
    found = [Wrong(text.partition(":")[0], f"{account}: {text}") for text in venue.wrong]
    found += _fills(account, venue, book)
    orders, positions = venue.state_at(book.venue_event)
    if positions != book.positions:
        found.append(Wrong("position", f"{account}: the venue holds {positions}, the book {book.positions}"))
    for client_id, order in orders.items():
        intent = book.intents.get(client_id)
        if intent is None:
            found.append(Wrong("unknown", f"{account}: the venue has {order.leg} {client_id}, which no row has"))
        elif venue.touched[client_id] <= book.venue_event and intent.filled != order.filled:
            text = f"{account}: {order.leg} {client_id} has {order.filled} filled, the book says {intent.filled}"
            found.append(Wrong("filled", text))
        elif venue.touched[client_id] <= book.venue_event and intent.state.terminal != order.state.terminal:
            text = f"{account}: {order.leg} {client_id} is {order.state} at the venue, {intent.state} in the book"
            found.append(Wrong("state", text))
    for intent in book.intents.values():
        if intent.client_id not in venue.orders and not (intent.state in IN_DOUBT or intent.state in GONE):
            found.append(Wrong("state", f"{account}: {intent.client_id} is {intent.state}, and the venue never had it"))
    found += [Wrong("halt", f"{account}: {halt}") for halt in book.halts]
    found += [Wrong("audit", f"{account}: {text}") for text in book.audit]
    return found


def _fills(account: str, venue: VenueSide, book: BookSide) -> list[Wrong]:
    """Each fill once, and as the venue says it."""
    found: list[Wrong] = []
    told: set[str] = set()
    for event in venue.events:
        if (fill := event.fill) is None:
            continue
        told.add(fill.fill_id)
        booked = book.fills.get(fill.fill_id)
        if booked is None:
            if event.event <= book.venue_event:
                found.append(Wrong("lost", f"{account}: fill {fill.fill_id} of {fill.client_id} is not in the book"))
        elif (booked.client_id, booked.side, booked.quantity, booked.price) != (
            fill.client_id,
            fill.side,
            fill.quantity,
            fill.price,
        ):
            found.append(Wrong("fill", f"{account}: fill {fill.fill_id} is {booked} in the book, {fill} at the venue"))
    alone = sorted(set(book.fills) - told)
    return found + [Wrong("invented", f"{account}: fill {name} is in the book alone") for name in alone]


def unsettled(account: str, before: BookSide, after: BookSide) -> list[Wrong]:
    """Orders whose fate is open in both of two looks, and that nothing has moved between them."""
    return [
        Wrong("unsettled", f"{account}: {intent.leg} {name} stays {intent.state} at version {intent.version}")
        for name, intent in after.intents.items()
        if intent.state in IN_DOUBT and before.intents.get(name) == intent
    ]


def market_faults(market: MarketSide) -> list[Wrong]:
    """What is wrong with prints and bars."""
    return [Wrong("market", text) for text in market.wrong]


def given_up(book: BookSide) -> set[str]:
    """The entries that were given up: never sent, or not found at the venue."""
    return {name for name, intent in book.intents.items() if intent.state in GONE and intent.leg == ENTRY}
