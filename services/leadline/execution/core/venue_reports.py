"""Checks of a venue's report before it is booked: impossible parts are not believed, and the others are followed.

A size below nothing, a price that no market has, an id that no table can hold: one such value is no reason to stop, nor
to lose the other words of the same message. What this account knows better stands in its place: its own order's
contract, side and size. Where it knows nothing better the message is passed over, and what the venue says that it holds
is taken instead (`leadline.execution.core.adoption`). Each time a person is told in one sentence, in which the value is
quoted so that it can be printed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final

from leadline.execution.core.book import Book
from leadline.execution.core.day import day_at
from leadline.model.checks.proposals import LARGEST_PRICE
from leadline.model.durations import NS_PER_DAY
from leadline.model.errors import Refused, Unknown
from leadline.model.frozen import quickly_made, replace
from leadline.model.halts import LONGEST_REASON, printable
from leadline.model.ids import ContractId
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import (
    Advanced,
    Bracket,
    Fill,
    LastPrint,
    Order,
    Trail,
    Trailing,
    VenueEvent,
    VenueOrder,
)

LONGEST_ID: Final = 128
"""Characters of an id or a name that a venue gives; ours have 17, and 32."""

LARGEST_QUANTITY: Final = 1 << 45
"""Size steps: more than anybody holds, and sums of them still fit their columns."""

LATEST_NS: Final = 1 << 62
"""An instant in the year 2116: what is later is none."""

MOST_LOST: Final = 1_000_000
"""Events that may be missing between two; a number further on is none."""

MOST_POSITIONS: Final = 1_000
"""Contracts in which an account may hold something."""

_LARGEST_INT: Final = (1 << 63) - 1
_LARGEST_K: Final = (1 << 31) - 1
_SHOWN: Final = 60
_LONGEST_AGO_NS: Final = 8 * NS_PER_DAY

_NEEDED: Final = frozenset({"client_id", "contract", "tape_contract", "leg", "side", "type", "quantity"})
"""Fields without which an order cannot be adopted. Of a known order the book has all of them."""

_NAMES: Final = ("client_id", "contract", "tape_contract", "leg", "decision", "parent", "oco")
_TEXTS: Final = attrgetter(*_NAMES)

_OPTIONAL: Final[dict[str, Any]] = {
    "decision": "",
    "parent": "",
    "oco": "",
    "limit_price": None,
    "stop_price": None,
    "bracket": None,
    "trail": None,
    "valid_until_ns": None,
}


@quickly_made
@dataclass(frozen=True, slots=True)
class CheckedOrder:
    """An order's word as far as it can be believed: None where nothing of it can be.

    `doubted` names the fields that cannot be, each with its value in words.
    """

    order: VenueOrder | None
    doubted: Mapping[str, str]

    @property
    def words(self) -> str:
        """The impossible parts, in words; empty when there are none."""
        return ", ".join(f"{name} {value}" for name, value in self.doubted.items())


def shown(value: object) -> str:
    """A value that somebody else said, quoted in a bounded number of printable characters."""
    text = ascii(value) if isinstance(value, str) else printable(str(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def storable(text: object) -> bool:
    """Whether a text can be an id or a name: printable, of bounded length, and there."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST_ID and text.isprintable()


def check_order(known: Order | None, reported: VenueOrder) -> CheckedOrder:
    """An order's word; `known` is the order as the book has it, None for one that it does not have."""
    doubted = dict(_doubts(known, reported))
    if not doubted:
        return CheckedOrder(reported, doubted)
    if known is None and _NEEDED & doubted.keys():
        return CheckedOrder(None, doubted)
    better: dict[str, Any] = {"reason": printable(reported.reason), "unread": ()}
    for name in doubted.keys() - {"reason", "client_id"}:
        if known is not None:
            better[name] = getattr(known, name)
        elif name in _OPTIONAL:
            better[name] = _OPTIONAL[name]
        else:  # what is filled and since when: its fills and the present tell
            better[name] = 0
    return CheckedOrder(replace(reported, **better), doubted)


def check_fill(order: Order, reported: VenueOrder, fill: Fill, instant_ns: int) -> tuple[Fill | None, str]:
    """A fill that is not booked yet, as far as it can be believed, and in words what of it cannot be.

    `order` is the order as the book has it, `instant_ns` when the venue tells of it. Without an id, a size that fits
    the order and a price nothing of it can be booked.
    """
    doubted: dict[str, str] = {}
    better: dict[str, Any] = {"unread": ()}
    for name, value in fill.unread:
        doubted[name], better[name] = value, order.side
    if not storable(fill.contract):
        doubted["contract"], better["contract"] = shown(fill.contract), order.contract
    if not storable(fill.client_id):
        doubted["client_id"], better["client_id"] = shown(fill.client_id), order.client_id
    if not 0 < fill.time_ns <= instant_ns:
        doubted["time_ns"], better["time_ns"] = shown(fill.time_ns), instant_ns
    for name, largest in (("source_index", _LARGEST_INT), ("k", _LARGEST_K)):
        if not 0 <= (value := getattr(fill, name)) <= largest:
            doubted[name], better[name] = shown(value), 0
    left = max(order.quantity, reported.quantity) - order.filled
    bookable = True
    if not storable(fill.fill_id):
        doubted["fill_id"], bookable = shown(fill.fill_id), False
    if not 0 < fill.quantity <= left:
        doubted["quantity"], bookable = f"{shown(fill.quantity)} where {left} can fill", False
    if not _is_price(better.get("contract", fill.contract), fill.price):
        doubted["price"], bookable = shown(fill.price), False
    words = ", ".join(f"fill {name} {value}" for name, value in doubted.items())
    return (replace(fill, **better) if bookable else None), words


def check_advanced(book: Book, advanced: Advanced) -> tuple[Advanced, list[str]]:
    """An answer of the venue without instants, prints and positions that cannot be, and a sentence for each kind.

    Orders and fills are looked at one by one, when they are booked. Raises Refused for an instant that no calendar
    knows: there is nothing to go to then.
    """
    now_ns = advanced.instant_ns
    try:
        day_at(book, now_ns)
    except (Unknown, ValueError, OverflowError) as error:
        raise Refused(f"the venue has come to an instant that cannot be, {shown(now_ns)}", "venue") from error
    doubts: list[str] = []
    if now_ns < book.instant_ns:
        doubts.append(f"the venue has come to {now_ns}, and the book was at {book.instant_ns} before")
    earliest_ns, latest_ns = book.instant_ns - _LONGEST_AGO_NS, max(now_ns, book.instant_ns)
    events: list[VenueEvent] = []
    numbered, doubt = _numbered(book.venue_event, advanced.events) if advanced.events else ([], "")
    if doubt:
        doubts.append(doubt)
    for event in numbered:
        if not earliest_ns <= event.instant_ns <= latest_ns:
            at = f"of an instant that cannot be, {event.instant_ns}"
            doubts.append(f"event {shown(event.event)} of the venue is {at}")
            event = replace(event, instant_ns=latest_ns)  # noqa: PLW2901 - the event as it can be believed
        events.append(event)
    prints = {name: last for name, last in advanced.last_prints.items() if _is_print(book, name, last, latest_ns)}
    if len(prints) < len(advanced.last_prints):
        name = min((name for name in advanced.last_prints if name not in prints), key=shown)
        last = advanced.last_prints[name]
        doubts.append(
            f"the venue tells of a last print that cannot be: {shown(name)} at {shown(last.price)}, {last.time_ns}"
        )
    positions, doubt = check_positions(advanced.positions)
    if doubt:
        doubts.append(doubt)
    return Advanced(now_ns, tuple(events), prints, advanced.final, positions), doubts


def _numbered(last: int, events: Sequence[VenueEvent]) -> tuple[list[VenueEvent], str]:
    """The events that are new after the `last` one that is booked, under numbers that can be; and in words if not.

    An event that is told twice in one answer counts once. Numbers that follow one another may begin later: what was
    between is lost. Any others say nothing, and the events are taken in their order, under no number that is past the
    highest one told: a venue that has told of six events is never asked for those after a seventh. A fill that is told
    again under its right number is known by its id.
    """
    fresh: list[VenueEvent] = []
    told: dict[int, VenueEvent] = {}
    for event in events:
        if not 0 < event.event <= last and told.get(event.event) != event:
            told[event.event] = event
            fresh.append(event)
    numbers = [event.event for event in fresh]
    if not fresh or numbers == list(range(last + 1, last + 1 + len(fresh))):
        return fresh, ""
    in_a_row = all(after == before + 1 for before, after in pairwise(numbers))
    if len(fresh) > 1 and in_a_row and last < numbers[0] <= last + MOST_LOST:
        return fresh, ""
    said = ", ".join(shown(number) for number in numbers[:8])
    highest = max(last + 1, *numbers)
    renumbered = [replace(event, event=min(number, highest)) for number, event in enumerate(fresh, last + 1)]
    return renumbered, f"the venue numbers its events {said} after {last}: they are taken in their order"


def check_positions(venue: Mapping[ContractId, int] | None) -> tuple[Mapping[ContractId, int] | None, str]:
    """The positions of the venue, None where one of them cannot be, and that in a sentence."""
    if venue is None:
        return None, ""
    if len(venue) > MOST_POSITIONS:
        return None, f"the venue tells of {len(venue)} positions, and nobody has so many"
    for contract, quantity in venue.items():
        if not storable(contract) or not abs(quantity) <= LARGEST_QUANTITY:
            return None, f"the venue tells of a position that cannot be: {shown(quantity)} of {shown(contract)}"
    return venue, ""


def _doubts(known: Order | None, said: VenueOrder) -> Iterator[tuple[str, str]]:
    yield from said.unread
    yield from _doubted_texts(known, said)
    yield from _doubted_numbers(known, said)


def _doubted_texts(known: Order | None, said: VenueOrder) -> Iterator[tuple[str, str]]:
    texts = _TEXTS(said)
    if known is None or texts != _TEXTS(known):  # what the book has was believed before
        for name, text in zip(_NAMES, texts, strict=True):
            if (text or name in _NEEDED) and not storable(text):
                yield name, shown(text)
    if said.reason != printable(said.reason):
        yield "reason", shown(said.reason) if len(said.reason) <= LONGEST_REASON else "without end"


def _doubted_numbers(known: Order | None, said: VenueOrder) -> Iterator[tuple[str, str]]:
    whole = 0 < said.quantity <= LARGEST_QUANTITY
    if not whole:
        yield "quantity", shown(said.quantity)
    size = said.quantity if whole or known is None else known.quantity
    if not 0 <= said.filled <= size:
        yield "filled", f"{shown(said.filled)} of {shown(size)}"
    for name in ("limit_price", "stop_price"):
        if (price := getattr(said, name)) is not None and abs(price) > LARGEST_PRICE:
            yield name, shown(price)
    for name in ("bracket", "trail"):
        value = getattr(said, name)
        if value is None or (known is not None and value == getattr(known, name)):
            continue
        if any(abs(n) > LARGEST_PRICE for n in _numbers(value)):
            yield name, shown(value)
    if said.valid_until_ns is not None and not 0 <= said.valid_until_ns <= LATEST_NS:
        yield "valid_until_ns", shown(said.valid_until_ns)
    if not 0 <= said.decided_at_ns <= LATEST_NS:
        yield "decided_at_ns", shown(said.decided_at_ns)


def _numbers(terms: Bracket | Trail | Trailing) -> Iterator[int]:
    """Every number of the terms of an exit."""
    values = [getattr(terms, field.name) for field in fields(terms)]
    yield from (value for value in values if isinstance(value, int))
    for value in values:
        if isinstance(value, Trail):
            yield from _numbers(value)


def _is_price(contract: ContractId, price: int) -> bool:
    """Whether a contract can trade at a price, ticks; of one that no sheet knows, whether anything can."""
    sheet = sheet_of(contract)
    return abs(price) <= LARGEST_PRICE and (price > 0 or sheet is None or sheet.below_zero)


def _is_print(book: Book, contract: ContractId, last: LastPrint, latest_ns: int) -> bool:
    known = contract in book.feed_contracts and _is_price(contract, last.price)
    return known and 0 <= last.time_ns <= latest_ns and 0 <= last.source_index <= _LARGEST_INT
