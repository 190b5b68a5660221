"""What has to hold: when an order leaves, when the venue changes, when a process ends, and when all is at rest."""

from typing import TYPE_CHECKING

from leadline.execution.core.orders import GIVEN_UP, foreseen
from leadline.execution.core.records import AccountRecords
from leadline.execution.loop.ports import Fenced
from leadline.model.halts import HaltSource
from leadline.model.ids import ContractId, LegKind
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
    """I4, I6: no more than allowed, whatever fills; and exits that could all fill never exceed the position."""
    positions, exits = world.market.positions(), _exits(world)
    for contract, size in exits.items():
        held = abs(positions.get(contract, 0))
        if size > held and contract not in world.venue.tampered:
            world.violates("I6", f"exits of {size} work in {contract}, of which {held} are held")
    entries = sum(order.remaining for order in world.market.live_orders() if order.leg.kind is LegKind.ENTRY)
    worst = entries + sum(abs(quantity) for quantity in positions.values())
    most = world.schedule.account.spec.limits.max_position or 0
    if worst > most and not world.doubtful:
        world.violates("I4", f"{worst} could be held, and {most} may be")


def before_prints(world: "World") -> None:
    """I5: before the market goes on, all that is held has a stop, or an order that closes it, at the venue."""
    covered: dict[ContractId, int] = {}
    for order in world.market.live_orders():
        if order.leg.kind in (LegKind.STOP, LegKind.FLATTEN):
            covered[order.contract] = covered.get(order.contract, 0) + order.remaining
    for contract, quantity in world.market.positions().items():
        size = covered.get(contract, 0)
        if size < abs(quantity) and contract not in world.venue.tampered and not world.doubtful:
            world.violates("I5", f"{quantity} of {contract} meet the next print, and {size} of it are protected")


def _exits(world: "World") -> dict[ContractId, int]:
    """How much the exits of each contract could close, of each pair the larger one."""
    live = {order.client_id: order for order in world.market.live_orders()}
    found: dict[ContractId, int] = {}
    for order in live.values():
        twin = live.get(order.oco)
        if order.leg.kind is LegKind.ENTRY or (twin is not None and twin.client_id < order.client_id):
            continue
        size = max(order.remaining, 0 if twin is None else twin.remaining)
        found[order.contract] = found.get(order.contract, 0) + size
    return found


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
    _protected_or_flat(world)
    if not world.doubtful:
        for stored in world.database.halts.get(ACCOUNT, {}).values():
            if stored.halt.source is HaltSource.DIFFERENCE:
                world.violates("difference", f"halted where nothing differs: {stored.halt.reason}")


def _protected_or_flat(world: "World") -> None:
    """I5, I6: what is held at the end rests behind stops of its size, or is being closed."""
    exits = _exits(world)
    for contract, quantity in world.market.positions().items():
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
    if sorted(records.events) != list(range(1, len(records.events) + 1)):
        world.violates("audit", "the events are not numbered one after the other")
