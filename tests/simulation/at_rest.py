"""What has to hold when a schedule has come to rest: book, venue, audit and money are one, and nothing was left out."""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from leadline.execution.adapters.outbox import event_subjects
from leadline.execution.core.book import order_facts
from leadline.execution.core.orders import GIVEN_UP, foreseen
from leadline.execution.core.records import AccountRecords
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.halts import Halt, HaltSource
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import OrderState
from leadline.model.subjects import signal_subject
from tests.simulation.faults import Fault
from tests.simulation.invariants import exits_at, records_of
from tests.simulation.schedule import ACCOUNT

if TYPE_CHECKING:
    from tests.simulation.world import World


def at_rest(world: "World") -> None:
    """I2, I3, I5, I8 and the audit: book, venue and what was said are one."""
    records = records_of(world)
    if records.account is None:
        world.violates("liveness", "no book was ever written")
        return
    _fills_once(world, records)
    _orders_as_at_the_venue(world, records, finished=records.account.finished)
    _audit(world, records)
    _protected_or_flat(world)
    _money(world, records)
    _decided(world, records)
    _halts_written(world)
    _published(world, records)
    if not world.doubtful:
        for stored in world.database.halts.get(ACCOUNT, {}).values():
            if stored.halt.source is HaltSource.DIFFERENCE:
                world.violates("difference", f"halted where nothing differs: {stored.halt.reason}")


def _protected_or_flat(world: "World") -> None:
    """I5, I6: what is held at the end rests behind stops of its size, or is being closed."""
    exits = exits_at(world)
    for contract, quantity in world.market.positions().items():
        if not world.doubtful:
            world.violates("I5", f"{quantity} of {contract} are held after the close of the session")
        if exits.get(contract, 0) != abs(quantity):
            world.violates("I5", f"{quantity} of {contract} rest behind exits of {exits.get(contract, 0)}")


def _fills_once(world: "World", records: AccountRecords) -> None:
    """I3: each fill of the venue is booked once, and the book holds what the venue holds."""
    fills = {event.fill.fill_id: event.fill for event in world.market.events_after(0) if event.fill is not None}
    for name in sorted(fills.keys() ^ records.fills.keys()):
        world.violates("I3", f"fill {name} is only {'at the venue' if name in fills else 'in the book'}")
    held: dict[str, int] = {}
    for position in records.positions.values():
        held[position.contract] = held.get(position.contract, 0) + position.quantity
    held = {contract: quantity for contract, quantity in held.items() if quantity}
    if held != world.market.positions():
        world.violates("I3", f"the book holds {held}, the venue {world.market.positions()}")


def _orders_as_at_the_venue(world: "World", records: AccountRecords, *, finished: bool) -> None:
    """I2, I3: every order is at the venue as it is in the book, and there is no other."""
    at_venue = {order.client_id: order for order in world.market.orders()}
    for name, (order, _) in records.orders.items():
        there = at_venue.pop(name, None)
        if not order.state.terminal and order.state not in (OrderState.WORKING, OrderState.PARTIAL):
            world.violates("liveness", f"{name} is {order.state} at rest")
        if order.state in GIVEN_UP:
            if there is not None and not (name in world.late and finished):  # nobody looks after the tape's end
                world.violates("I3", f"{name} is {order.state} in the book, and {there.state} at the venue")
        elif there is None and order.state is OrderState.REJECTED and world.doubtful:
            continue  # the venue had an error and no word of the order, which is absent
        elif there is None or (order.state, order.filled) != (there.state, there.filled):
            said = "nothing" if there is None else f"{there.state} with {there.filled} filled"
            world.violates("I3", f"{name} is {order.state} with {order.filled} filled in the book, {said} at the venue")
    for name in at_venue:
        world.violates("I3", f"order {name} is only at the venue")


def _audit(world: "World", records: AccountRecords) -> None:
    """I8: orders go only where the table has a way, and the events are numbered one after the other."""
    states: dict[str, OrderState] = {}
    for number, event in sorted(records.events.items()):
        if event.kind == "order":
            after = OrderState(event.body["state"])
            before = states.get(event.key, after)
            if not foreseen(before, after) and not world.doubtful:
                world.violates("I8", f"event {number}: {event.key} goes from {before} to {after}")
            states[event.key] = after
    _told_by_the_audit(world, records)
    if sorted(records.events) != list(range(1, len(records.events) + 1)):
        world.violates("audit", "the events are not numbered one after the other")


def _told_by_the_audit(world: "World", records: AccountRecords) -> None:
    """The book that the events make, one after the other, is the one in the rows."""
    orders: dict[str, dict[str, Any]] = {}
    fills: dict[str, dict[str, Any]] = {}
    held: dict[tuple[str, str], int] = {}
    decided: dict[str, int] = {}
    for _, event in sorted(records.events.items()):
        body = event.body
        if event.kind == "order":
            orders[event.key] = body
        elif event.kind == "fill":
            fills[event.key] = body
        elif event.kind == "position":
            held[body["strategy"], body["contract"]] = body["quantity"]
        elif event.kind == "decision":
            decided[event.key] = event.instant_ns
    rows = {name: plain(order_facts(order)) for name, (order, _) in records.orders.items()}
    if orders != rows:
        world.violates("audit", f"orders by the events {orders}, by the rows {rows}")
    if fills.keys() != records.fills.keys():
        world.violates("audit", f"fills by the events {sorted(fills)}, by the rows {sorted(records.fills)}")
    positions = {(each.strategy, each.contract): each.quantity for each in records.positions.values()}
    if held != positions:
        world.violates("audit", f"positions by the events {held}, by the rows {positions}")
    if decided != {name: each.instant_ns for name, each in records.decisions.items()}:
        world.violates("audit", "decisions by the events are not those in the rows")


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as an event keeps them."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(facts))
    return found


def _money(world: "World", records: AccountRecords) -> None:
    """I3: a flat account has what its fills have made of the balance that it began with, over every roll."""
    book = records.account
    if book is None or any(position.quantity for position in records.positions.values()) or world.doubtful:
        return
    balance = world.schedule.account.spec.starting_balance
    for fill, _, _ in records.fills.values():
        sheet = sheet_of(fill.contract)
        assert sheet is not None
        balance -= fill.side.sign * fill.quantity * fill.price * sheet.tick_value
        balance -= COMMISSION * fill.quantity
    if book.equity_at_roll + book.realised != balance:
        world.violates("I3", f"the account has {book.equity_at_roll + book.realised}, its fills come to {balance}")


COMMISSION = Decimal("1.25")
"""Of a side of a micro, as the account's defaults have it."""


def _decided(world: "World", records: AccountRecords) -> None:
    """I15: every proposal that a strategy has made since it counts has its one decision."""
    forgot = any(each.fault is Fault.LOST_TAIL for each in world.plan.struck)
    if forgot or any(halt.source is HaltSource.POISON for halt in _halts(world)):
        return  # time has gone on at the venue since what the database knows
    decided = {(decision.strategy, decision.source) for decision in records.decisions.values()}
    for name, said in world.schedule.messages.items():
        strategy = records.strategies.get(name)
        # An account that starts on a live tape leaves out what was said minutes before it stood still.
        heard_s = world.bus.passed_over_s.get(signal_subject(world.schedule.tape, ACCOUNT, name), 0.0)
        for order, (_, message) in enumerate(said):
            bar = message.bar
            # One that was not said when all has come to rest was not waited for.
            if world.said_s.get((name, order), math.inf) < heard_s:
                continue
            if strategy is None or strategy.fence is not None or bar is None:
                continue
            if bar.known_at_ns <= max(strategy.joined_ns, world.joined.get(name, 0)):
                continue
            for number in range(1, len(bar.proposals) + 1):
                source = bar.bar.text() if number == 1 else f"{bar.bar.text()}#{number}"
                if (name, source) not in decided:
                    world.violates("I15", f"{source} of {name} was never decided")


def _published(world: "World", records: AccountRecords) -> None:
    """X25: every event is on the bus as it is in the book, in its order, and nothing that the book does not have."""
    for found in () if world.forgot else other_on_the_bus(world, records):
        world.violates("outbox", found)


def other_on_the_bus(world: "World", records: AccountRecords) -> Iterator[str]:
    """What the bus has otherwise than the book, in words."""
    for kind, subject in event_subjects(world.run.tape, ACCOUNT).items():
        found = [pb.StreamOrderEventsResponse.FromString(each.payload) for each in world.bus.messages(subject)]
        numbers = list(dict.fromkeys(each.event for each in found))
        written = {number: event for number, event in records.events.items() if event.kind == kind}
        if numbers != sorted(written):
            yield f"of kind {kind} the bus has {numbers}, the book {sorted(written)}"
            return
        for each in found:
            if orjson.loads(each.body_json) != written[each.event].body:
                yield f"event {each.event} is another on the bus"


def _halts(world: "World") -> list[Halt]:
    return [stored.halt for stored in world.database.halts.get(ACCOUNT, {}).values()]


def _halts_written(world: "World") -> None:
    """I9: a halt that somebody was answered and nobody has cleared is in force, and has its row."""
    current = world.current()
    if world.doubtful or current is None:
        return
    rows = world.database.halts.get(ACCOUNT, {}).values()
    stand = {stored.halt.reason for stored in rows if stored.cleared is None}
    for machine, reason in world.halted:
        if machine == current.name and reason not in stand:
            world.violates("I9", f"the halt {reason} was answered, and has no row that is in force")
