"""What has to hold: when an order leaves, when the venue changes, when a process ends, and when all is at rest."""

from typing import TYPE_CHECKING

from leadline.execution.core.orders import GIVEN_UP, foreseen
from leadline.execution.core.records import AccountRecords
from leadline.execution.loop.ports import Fenced
from leadline.model.halts import HaltSource
from leadline.model.ids import LegKind
from leadline.model.orders import OrderState, VenueOrder
from tests.simulation.schedule import ACCOUNT, TAPE

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


def records_of(world: "World") -> AccountRecords:
    """What the transactions of the account have written."""
    return world.database.records.get((TAPE, ACCOUNT)) or AccountRecords()


def at_a_send(world: "World", process: "Process", order: VenueOrder) -> None:
    """I1, I7, I9, I11: it is SENDING, by the one who holds the account, in the journal, once, and no halted entry."""
    account = process.account
    assert account is not None
    name = order.client_id
    written = records_of(world).orders.get(name)
    lease = world.database.leases[ACCOUNT]
    if written is None or written.order.state is not OrderState.SENDING:
        said = "nothing" if written is None else written.order.state
        world.violates("I1", f"{name} leaves, and the book has {said} of it")
    elif written.epoch != account.store.epoch:
        world.violates("I1", f"{name} leaves under epoch {account.store.epoch}, its row is of {written.epoch}")
    if account.store.epoch != lease.epoch:
        world.violates("I7", f"{name} leaves under epoch {account.store.epoch}, and {lease.epoch} holds the account")
    if world.sent[name] > 1:
        world.violates("I11", f"{name} leaves for the {world.sent[name]}th time")
    if name not in (process.folder / f"sent-{TAPE}.journal").read_text().split():
        world.violates("I1", f"{name} leaves, and the journal does not have it")
    halted = account.kill_switch.halts.words
    if order.leg.kind is LegKind.ENTRY and halted:
        world.violates("I9", f"the entry {name} leaves in spite of: {halted}")


def at_the_venue(world: "World") -> None:
    """I6: exits that could all fill never exceed the position."""
    market = world.market
    positions = market.positions()
    exits: dict[str, int] = {}
    counted: set[str] = set()
    for order in market.live_orders():
        if order.leg.kind is LegKind.ENTRY or order.client_id in counted:
            continue
        counted.add(order.client_id)
        size = order.remaining
        if order.oco:
            counted.add(order.oco)
            twin = next((each for each in market.live_orders() if each.client_id == order.oco), None)
            size = max(size, 0 if twin is None else twin.remaining)
        exits[order.contract] = exits.get(order.contract, 0) + size
    for contract, size in exits.items():
        held = abs(positions.get(contract, 0))  # type: ignore[call-overload]
        if size > held:
            world.violates("I6", f"exits of {size} work in {contract}, of which {held} are held")


def at_an_end(world: "World", process: "Process") -> None:
    """A process that was not killed ends for one reason alone: another holds the account."""
    if process.error is not None and not isinstance(process.error, Fenced):
        world.violates("process", f"{process.name} ended: {type(process.error).__name__}: {process.error}")


def at_rest(world: "World") -> None:
    """I2, I3, I5, I8 and the audit: book, venue and what was said are one."""
    records = records_of(world)
    if records.account is None:
        world.violates("liveness", "no book was ever written")
        return
    _fills_once(world, records)
    _orders_as_at_the_venue(world, records, finished=records.account.finished)
    _audit(world, records)
    for stored in world.database.halts.get(ACCOUNT, {}).values() if not world.late else ():
        if stored.halt.source is HaltSource.DIFFERENCE:
            world.violates("difference", f"halted where nothing differs: {stored.halt.reason}")


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
            if not foreseen(before, after):
                world.violates("I8", f"event {number}: {event.key} goes from {before} to {after}")
            states[event.key] = after
    if sorted(records.events) != list(range(1, len(records.events) + 1)):
        world.violates("audit", "the events are not numbered one after the other")
