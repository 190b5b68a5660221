"""Booking of a venue's reports: the venue is the truth about orders, fills and positions, whatever the book thought.

Nothing that a venue says is an error here. What the book did not foresee is followed, and told as a surprise that a
person has to look at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from leadline.execution.core.alternatives import is_excess, take_out_alternatives
from leadline.execution.core.book import (
    Book,
    Changes,
    RefusedSignal,
    commission_of,
    is_entry,
    note,
    put_order,
)
from leadline.execution.core.bracket_legs import of_entry
from leadline.execution.core.contracts import tape_contract
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.marks import UNMARKED, Marks
from leadline.execution.core.order_reports import apply_report
from leadline.execution.core.orders import UNRESOLVED, add_fill
from leadline.execution.core.positions import apply_fill, flat
from leadline.execution.core.unit_fills import behind_stop, counted_stops, take_off, unit_at_venue
from leadline.execution.core.venue_reports import check_fill, check_order, shown, storable
from leadline.model.errors import RefusedMessage
from leadline.model.frozen import replace
from leadline.model.ids import (
    FOREIGN,
    NO_ORDER,
    SETTLEMENT,
    UNASSIGNED,
    ClientOrderId,
    ContractId,
    FillId,
    LegKind,
    StrategyId,
    client_order_id,
    fill_id,
    foreign_decision,
)
from leadline.model.market.contracts import sheet_of
from leadline.model.market.settlement import SETTLED, settles_at_ns
from leadline.model.orders import (
    Fill,
    Order,
    OrderState,
    OrderType,
    Position,
    VenueEvent,
    VenueOrder,
)

_ON_ITS_WAY: Final = frozenset({*UNRESOLVED, OrderState.DEAD, OrderState.EXPIRED_LOCAL})
"""States of an order of which the venue has not said that it has it."""

VENUE_EVENTS: Final = "VENUE"
"""The stream under which events of the venue are kept that were not believed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Orders (by client id) and fills (by fill id) that the rows hold and the book in memory does not."""

    orders: Mapping[ClientOrderId, Order] = field(default_factory=dict)
    fills: Mapping[FillId, Fill] = field(default_factory=dict)


def not_booked(book: Book, events: Iterable[VenueEvent]) -> list[VenueEvent]:
    """The events that are not booked yet, in their order."""
    return [event for event in events if event.event > book.venue_event]


def asked_of_rows(book: Book, events: Iterable[VenueEvent]) -> tuple[list[ClientOrderId], list[FillId]]:
    """Client ids and fill ids of these events that only the rows can tell new from forgotten."""
    named = {name for event in events for name in (event.order.client_id, event.order.parent) if storable(name)}
    fills = {event.fill.fill_id for event in events if event.fill is not None and storable(event.fill.fill_id)}
    return sorted(named - set(book.orders)), sorted(fills)


def is_foreign(order: Order) -> bool:
    """Whether somebody else placed an order: this account never derives an order's id from itself."""
    return order.decision == foreign_decision(order.client_id)


def book_venue_events(
    book: Book, changes: Changes, events: Iterable[VenueEvent], stored: Stored, marks: Marks = UNMARKED, batch: str = ""
) -> list[str]:
    """Book what the venue reports, in its order. Events and fills that are booked already change nothing.

    `stored` has what the rows know of the ids in `asked_of_rows`. Returns a sentence for each thing that a person
    has to look at; an event of which something cannot be is kept as well, as it came. So is one that is passed over
    because processes ended at it by `marks`, or at all of them together, which `batch` names.
    """
    surprises: list[str] = []
    for event in not_booked(book, events):
        if event.event > book.venue_event + 1:
            surprises.append(
                f"the venue tells of event {event.event} after {book.venue_event}: what was between is lost"
            )
        book.venue_event = event.event
        name = f"event {event.event} of the venue"
        why = marks.poison(batch) or marks.poison(name)
        if why:
            surprises.append(_keep(book, changes, event, f"is passed over: {why}"))
            continue
        with marks.at(name):
            surprises += _book_event(book, changes, event, stored)
    return surprises


def book_working_order(book: Book, changes: Changes, reported: VenueOrder, stored: Stored) -> list[str]:
    """Take over an order that works at the venue and that the book does not have: no event has told of it.

    `stored` as in `book_venue_events`. Returns a sentence for each thing that a person has to look at.
    """
    return _book_event(book, changes, VenueEvent(book.venue_event, book.instant_ns, reported), stored)


def _book_event(book: Book, changes: Changes, event: VenueEvent, stored: Stored) -> list[str]:
    """Book one event; a sentence for each thing that a person has to look at."""
    surprises: list[str] = []
    named = _named(book, event.order, stored)
    before = order = _known(book, named.client_id, stored)
    checked = check_order(order, named)
    words = [] if named is event.order else [f"client_id {shown(event.order.client_id)}"]
    words += [checked.words] if checked.words else []
    reported, fill = checked.order, event.fill
    if reported is not None and order is not None and reported.tape_contract not in book.feed_contracts:
        if reported.tape_contract != order.tape_contract:  # whose prints price an order is not the venue's to say
            words.append(f"tape_contract {shown(reported.tape_contract)}")
        reported = replace(reported, tape_contract=order.tape_contract)
    if reported is None:
        surprises.append(_keep(book, changes, event, f"says what cannot be, {checked.words}: it is passed over"))
        return surprises
    if order is None and fill is not None and _is_settlement(reported, event.instant_ns):
        return surprises + _book_settlement(book, changes, event.event, reported, fill)
    if order is None:
        order = _new_at_venue(book, changes, reported, stored, surprises)
    if fill is not None and fill.fill_id not in stored.fills:
        fill, doubt = check_fill(order, reported, fill, event.instant_ns)
        words += [f"{doubt}{'' if fill else ', which is not booked'}"] if doubt else []
    if words:
        surprises.append(_keep(book, changes, event, f"says what cannot be, {', '.join(words)}"))
    if fill is not None:
        order = _with_fill(book, changes, order, event.event, fill, stored, surprises)
    order, differences = apply_report(order, reported)
    surprises += differences
    if "filled" not in checked.doubted and reported.filled != order.filled:
        surprises.append(
            f"order {order.client_id} has {reported.filled} filled at the venue, its fills come to {order.filled}"
        )
        order = replace(order, filled=reported.filled, version=order.version + 1)
    put_order(book, changes, order)
    if before is not None:
        joined(book, changes, before, order)
    return surprises


def _named(book: Book, reported: VenueOrder, stored: Stored) -> VenueOrder:
    """The order under its right id, where that cannot be and its decision and leg say which it is.

    An order of this account's, or a leg of one: each has one id. The venue is asked for it at the next reconciliation.
    """
    if storable(reported.client_id) or not storable(reported.leg):
        return reported
    parent = _known(book, reported.parent, stored) if storable(reported.parent) else None
    decision = reported.decision if parent is None else parent.decision
    client_id = client_order_id(decision, reported.leg) if storable(decision) else NO_ORDER
    if client_id in book.orders or (client_id and parent is not None):
        return replace(reported, client_id=client_id)
    return reported


def _keep(book: Book, changes: Changes, event: VenueEvent, what: str) -> str:
    """Keep an event of which something is not believed, to be looked at; returns what is told of it."""
    surprise = f"event {shown(event.event)} of the venue, on order {shown(event.order.client_id)}, {what}"
    payload = repr(event).encode(errors="backslashreplace")
    why = RefusedMessage("venue_word", surprise)
    changes.refused.append(RefusedSignal(f"venue.{book.account}", event.event, "", payload, why, VENUE_EVENTS))
    return surprise


def other_positions(book: Book, venue: Mapping[ContractId, int]) -> str:
    """In what book and venue hold different positions, in a sentence; empty when they hold the same.

    `venue`: net signed positions by contract, flat ones absent.
    """
    held: dict[ContractId, int] = {}
    for position in book.open_positions():
        held[position.contract] = held.get(position.contract, 0) + position.quantity
    if {contract: quantity for contract, quantity in held.items() if quantity} == venue:
        return ""
    return f"book {sorted(held.items())} and venue {sorted(venue.items())} hold different positions"


def other_working(book: Book, venue: Iterable[VenueOrder]) -> str:
    """In what the orders that work at the venue are not those of the book, in a sentence; empty when they are.

    Orders whose fate is open are left out: they are asked for by their ids.
    """
    there = {order.client_id for order in venue}
    here = {order.client_id for order in book.live_orders() if order.state not in UNRESOLVED}
    missing, unknown = sorted(here - there), sorted(name for name in there if name not in book.orders)
    if missing:
        return f"order {missing[0]} works in the book and not at the venue"
    if unknown:
        return f"order {shown(unknown[0])} works at the venue and is not in the book"
    ended = sorted(name for name in there - here if book.orders[name].state.terminal)
    return f"order {ended[0]} works at the venue and has ended in the book" if ended else ""


def joined(book: Book, changes: Changes, before: Order, after: Order) -> None:
    """Let an exit that the venue has taken be the pair of the one it names, and a stop protect.

    What rests behind a stop now needs one from here on.
    """
    if not before.parent or before.state not in _ON_ITS_WAY or after.state in {*_ON_ITS_WAY, OrderState.REJECTED}:
        return
    twin = book.orders.get(after.oco)
    if twin is not None and twin.oco != after.client_id:
        put_order(book, changes, replace(twin, oco=after.client_id, version=twin.version + 1))
    key = (after.strategy, after.contract)
    position = book.positions.get(key)
    if position is not None and after.leg.kind is LegKind.STOP and position.without_stop_of(after.unit):
        changes.positions[key] = behind_stop(book, position, after)
        book.hold(changes.positions[key])


def _known(book: Book, client_id: ClientOrderId, stored: Stored) -> Order | None:
    """The order of that id, from the book or from its row."""
    return book.orders.get(client_id) or stored.orders.get(client_id)


def _new_at_venue(book: Book, changes: Changes, reported: VenueOrder, stored: Stored, surprises: list[str]) -> Order:
    """A bracket leg that the venue made for an entry; or an order that this account does not know, and adopts."""
    parent = _known(book, reported.parent, stored) if reported.parent else None
    leg = reported.leg
    if parent is not None:
        decision, strategy = parent.decision, parent.strategy
    elif reported.client_id == client_order_id(reported.decision, leg):
        surprises.append(f"the venue reports order {reported.client_id}, whose row is lost: it is adopted")
        decision, strategy = reported.decision, owner_of(book, reported.contract)
    else:
        surprises.append(f"the venue reports order {reported.client_id}, which this book never intended")
        decision, strategy, leg = foreign_decision(reported.client_id), owner_of(book, reported.contract), FOREIGN
    order = Order(
        client_id=reported.client_id,
        decision=decision,
        leg=leg,
        strategy=strategy,
        contract=reported.contract,
        tape_contract=_tape_of(book, reported, parent, strategy),
        side=reported.side,
        type=reported.type,
        quantity=reported.quantity,
        decided_at_ns=reported.decided_at_ns,
        state=OrderState.WORKING,
        limit_price=reported.limit_price,
        stop_price=reported.stop_price,
        bracket=reported.bracket,
        trail=reported.trail,
        valid_until_ns=reported.valid_until_ns,
        parent=reported.parent,
        oco=reported.oco,
        version=0,
        unit=unit_at_venue(parent, leg),
    )
    return order if parent is None else of_entry(book, changes, order, parent)


def _tape_of(book: Book, reported: VenueOrder, parent: Order | None, strategy: StrategyId) -> ContractId:
    """The contract of the feed whose prints price an order of a venue's report, where one is known."""
    if reported.tape_contract in book.feed_contracts:
        return reported.tape_contract
    if parent is not None:
        return parent.tape_contract
    owner = book.strategies.get(strategy)
    if owner is None:
        return reported.tape_contract
    return tape_contract(reported.contract, owner.contract, book.feed_contracts)


def owner_of(book: Book, contract: ContractId) -> StrategyId:
    """The strategy that trades a contract, for no other one does; `UNASSIGNED` when nobody does."""
    for name, strategy in book.present():
        if contract in book.contracts(strategy.manifest):
            return name
    return UNASSIGNED


def _with_fill(
    book: Book, changes: Changes, order: Order, event: int, fill: Fill, stored: Stored, surprises: list[str]
) -> Order:
    """The order with a fill that is booked, unless it was before."""
    if fill.client_id != order.client_id:
        surprises.append(f"fill {fill.fill_id} of order {order.client_id} names order {fill.client_id}")
    before = stored.fills.get(fill.fill_id)
    if before is None:
        order = add_fill(order, fill.quantity)
        if not is_entry(order):
            _book_fill(book, changes, order, fill, event)
            return order
        if order.first_fill_ns is None:
            order = replace(order, first_fill_ns=fill.time_ns)
        excess, owner = is_excess(book, order), book.strategies.get(order.strategy)
        opens = not book.open_positions(order.strategy)
        _book_fill(book, changes, order, fill, event)
        if not excess:
            take_out_alternatives(book, changes, order, opens=opens)
        elif owner is not None:
            owner.flatten = owner.flatten or ExitReason.FIRST_FILL
        return order
    if replace(before, commission=Decimal(0)) != replace(fill, commission=Decimal(0)):
        surprises.append(f"the venue tells fill {fill.fill_id} again with another content")
    return order


def _is_settlement(reported: VenueOrder, instant_ns: int) -> bool:
    """Whether the venue tells that a contract is settled which is, by the calendar."""
    at_ns = settles_at_ns(reported.contract)
    return reported.leg.kind is LegKind.SETTLEMENT and at_ns is not None and at_ns <= instant_ns


def _book_settlement(book: Book, changes: Changes, event: int, reported: VenueOrder, fill: Fill) -> list[str]:
    """Close what is held of a contract at the price at which the venue settles it, each holder's part of its own.

    A sentence where the venue has settled another size than the book holds.
    """
    left = reported.filled
    for position in book.open_positions():
        if position.contract != reported.contract or position.quantity * reported.side.sign >= 0 or not left:
            continue
        size = min(left, abs(position.quantity))
        left -= size
        settle(book, changes, position, replace(fill, quantity=size), reported.client_id, event)
    if not left:
        return []
    return [f"the venue settles {reported.filled} {reported.contract}, {left} more than the book holds"]


def settle(
    book: Book, changes: Changes, position: Position, fill: Fill, parent: ClientOrderId, event: int, *, part: int = 1
) -> None:
    """Close a position of a contract that has settled by a fill, under an order of its decision that was never sent.

    parent: the id under which the venue has told of it. event: its number in the venue's ledger. part: 2 for what the
    venue does not tell of, because other positions of the account are its other side: some of a position may be both.
    """
    client_id = client_order_id(position.decision, SETTLEMENT, part)
    order = Order(
        client_id=client_id,
        decision=position.decision,
        leg=SETTLEMENT,
        strategy=position.strategy,
        contract=position.contract,
        tape_contract=position.tape_contract,
        side=fill.side,
        type=OrderType.MARKET,
        quantity=fill.quantity,
        decided_at_ns=book.instant_ns,
        state=OrderState.FILLED,
        filled=fill.quantity,
        reason=SETTLED,
        parent=parent,
        unit="",
    )
    put_order(book, changes, order)
    _book_fill(book, changes, order, replace(fill, fill_id=fill_id(client_id, fill.source_index)), event)


def _book_fill(book: Book, changes: Changes, order: Order, fill: Fill, venue_event: int) -> None:
    fees = commission_of(book.manifest, fill.contract, fill.quantity, fill.price)
    fill = replace(fill, client_id=order.client_id, commission=fees)
    if order.strategy == UNASSIGNED and order.leg.kind is not LegKind.SETTLEMENT:
        left = book.positions.get((UNASSIGNED, fill.contract))
        if left is None or left.quantity * fill.side.sign >= 0:  # it closes nothing that nobody looks after
            order = replace(order, strategy=owner_of(book, fill.contract))  # its contract says whose position it is
    key = (order.strategy, fill.contract)
    before = book.positions.get(key)
    if before is None or not before.quantity:
        sheet = sheet_of(fill.contract)
        tick_value = Decimal(0) if sheet is None else sheet.tick_value
        inverse = sheet is not None and sheet.inverse
        before = flat(order.strategy, fill.contract, order.tape_contract, tick_value, order.decision, inverse=inverse)
    after = counted_stops(book, before, apply_fill(before, fill, order.unit), order)
    book.hold(after)
    changes.positions[key] = after
    changes.fills.append((fill, order.strategy, venue_event))
    result = (after.realised - before.realised) - fill.commission
    book.realised += result
    strategy = book.strategies.get(order.strategy)
    if strategy is not None:
        strategy.realised += result
        take_off(strategy, order, fill.quantity, before.without_stop_of(order.unit) - after.without_stop_of(order.unit))
    body = {
        "fill_id": fill.fill_id,
        "client_id": fill.client_id,
        "strategy": order.strategy,
        "unit": order.unit,
        "contract": fill.contract,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": fill.price,
        "time_ns": fill.time_ns,
        "commission": str(fill.commission),
    }
    note(book, changes, "fill", fill.fill_id, 1, body)
    position = {"strategy": order.strategy, "contract": fill.contract, "quantity": after.quantity}
    note(book, changes, "position", f"{order.strategy}/{fill.contract}/{fill.fill_id}", 1, position)
    if not after.quantity:
        _count_trade(book, after.realised - after.commission)


def _count_trade(book: Book, net: Decimal) -> None:
    """A trade ends when its position is flat: it lengthens or turns the streak; break-even does neither."""
    if net > 0:
        book.streak = max(book.streak, 0) + 1
    elif net < 0:
        book.streak = min(book.streak, 0) - 1
