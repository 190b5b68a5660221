"""What has to hold whenever an order leaves, the venue changes, a transaction is written, or somebody is answered.

What has to hold at the end is in `tests.simulation.at_rest`. The names are those of docs/explanation/simulation.md.
"""

from collections import Counter
from typing import TYPE_CHECKING

from leadline.execution.core.exits import QUICK_TRIES
from leadline.execution.core.orders import UNRESOLVED
from leadline.execution.core.records import AccountRecords
from leadline.execution.loop.account_loop import LATE_NS
from leadline.execution.loop.ports import Fenced
from leadline.model.ids import ClientOrderId, ContractId, LegKind, StrategyId
from leadline.model.orders import OrderState, VenueOrder
from leadline.model.ticks import NS_PER_SECOND
from tests.simulation.schedule import ACCOUNT

MARGIN_S = 0.1
STALE_S = 6.0
"""Prints are stale after two seconds; one that was asked may take until here to leave."""

OLDEST_BAR_S = 3.0
OFF_S = 0.15
LONGEST_S = 2.0
"""So long something may stand on a live tape that an account could do something about."""

if TYPE_CHECKING:
    from tests.simulation.live import Source
    from tests.simulation.process import Process
    from tests.simulation.world import World


def records_of(world: "World") -> AccountRecords:
    """What the transactions of the account have written."""
    return world.database.records.get((world.schedule.tape, ACCOUNT)) or AccountRecords()


def at_a_send(world: "World", process: "Process", order: VenueOrder) -> None:
    """I1, I7, I11: it is SENDING, by the one who holds the account, in the journal, and it leaves once."""
    account = process.account
    assert account is not None
    name, records = order.client_id, records_of(world)
    lease = world.database.leases[ACCOUNT]
    # Where the database has forgotten while its word that it knows the order was on its way, nobody can tell.
    if account.store.confirmed_life == world.wire.lives.get("database", 0):
        _has_its_row(world, account.store.epoch, name, records)
    if account.store.epoch != lease.epoch:
        world.violates("I7", f"{name} leaves under epoch {account.store.epoch}, and {lease.epoch} holds the account")
    if world.sent[name] > 1:
        world.violates("I11", f"{name} leaves for the {world.sent[name]}th time")
    if name not in (process.folder / f"sent-{world.schedule.tape}.journal").read_text().split():
        world.violates("I1", f"{name} leaves, and the journal does not have it")
    if order.leg.kind is LegKind.ENTRY:
        _at_an_entry(world, process, order, records)


def _has_its_row(world: "World", epoch: int, name: ClientOrderId, records: AccountRecords) -> None:
    written = records.orders.get(name)
    if written is None or written.order.state is not OrderState.SENDING:
        said = "nothing" if written is None else written.order.state
        world.violates("I1", f"{name} leaves, and the book has {said} of it")
    elif written.epoch != epoch:
        world.violates("I1", f"{name} leaves under epoch {epoch}, its row is of {written.epoch}")


def _at_an_entry(world: "World", process: "Process", order: VenueOrder, records: AccountRecords) -> None:
    """I2, I9, I10: no halt stands, it is sent at its instant, and no other entry's fate in its contract is open."""
    account, name = process.account, order.client_id
    assert account is not None
    halts = [reason for machine, reason in world.halted if machine == process.name]
    stored = world.database.halts.get(ACCOUNT, {}).values()
    halts += [each.halt.reason for each in stored if each.cleared is None]
    halts += [account.kill_switch.halts.words] if account.kill_switch.halts.words else []
    if halts:
        world.violates("I9", f"the entry {name} leaves in spite of: {halts[0]}")
    if world.source is not None:
        _at_a_live_entry(world, world.source, order)
    elif order.decided_at_ns != account.loop.book.instant_ns:
        world.violates("I10", f"the entry {name} leaves after its instant")
    others = [
        each.client_id
        for each, _ in records.orders.values()
        if each.leg.kind is LegKind.ENTRY and each.state in UNRESOLVED and each.contract == order.contract
    ]
    if others not in ([name], []):
        world.violates("I2", f"the entry {name} leaves while the fate of {others} is open")


def _at_a_live_entry(world: "World", source: "Source", order: VenueOrder) -> None:
    """I10: it is not late, prints of its contract have come, and the clock is not off; each by some margin."""
    live, now_s = world.schedule.live, world.loop.time()
    assert live is not None
    behind_s = (source.now_ns - order.decided_at_ns) / NS_PER_SECOND / live.rate
    silent_s = now_s - source.last_said_s.get(order.tape_contract, 0.0)
    if behind_s > LATE_NS / NS_PER_SECOND + abs(world.clock_ahead_s) + MARGIN_S:
        world.violates("I10", f"the entry {order.client_id} leaves {behind_s:g} s after its decision")
    known_ns = known_at(world, order)
    if known_ns is not None and (order.decided_at_ns - known_ns) / NS_PER_SECOND / live.rate > OLDEST_BAR_S:
        world.violates("I10", f"the entry {order.client_id} leaves on an old bar")
    if silent_s > STALE_S:
        world.violates("I10", f"the entry {order.client_id} leaves, and its prints are {silent_s:g} s old")
    if abs(world.clock_ahead_s) > OFF_S and now_s - world.clock_set_s > LONGEST_S:
        world.violates("I10", f"the entry {order.client_id} leaves while the clock is {world.clock_ahead_s:g} s off")


def known_at(world: "World", order: VenueOrder) -> int | None:
    """When the bar was known that an order has come of."""
    decision = records_of(world).decisions.get(order.decision)
    said = world.schedule.messages.get(decision.strategy, ()) if decision is not None else ()
    bars = [message.bar for _, message in said if message.bar is not None]
    return next((bar.known_at_ns for bar in bars if decision and bar.bar.text() == decision.bar_key), None)


def at_the_venue(world: "World") -> None:
    """I4, I6: no more than allowed, whatever fills; and exits that could all fill never exceed the position."""
    positions, exits = world.market.positions(), exits_at(world)
    for contract, size in exits.items():
        held = abs(positions.get(contract, 0))
        if size > held and contract not in world.venue.tampered:
            world.violates("I6", f"exits of {size} work in {contract}, of which {held} are held")
    entries = sum(order.remaining for order in world.market.live_orders() if order.leg.kind is LegKind.ENTRY)
    worst = entries + sum(abs(quantity) for quantity in positions.values())
    most = world.schedule.account.spec.limits.max_position or 0
    if worst > most and not world.doubtful:
        world.violates("I4", f"{worst} could be held, and {most} may be")


def before_prints(world: "World", process: "Process") -> None:
    """I5, I9: before the market goes on, all that is held is protected, and a halt has taken entries out."""
    if has_heard(world, process) and not world.uncertain:
        for contract, size in _unprotected(world).items():
            quantity = world.market.positions()[contract]
            world.violates("I5", f"{quantity} of {contract} meet the next print, and {size} of it are protected")
    halts = [at_s for (machine, _), at_s in world.halted.items() if machine == process.name]
    if any(at_s < process.went_on_s for at_s in halts) and not world.doubtful:
        for order in world.market.live_orders():
            if order.leg.kind is LegKind.ENTRY:
                world.violates("I9", f"the entry {order.client_id} meets a print in spite of a halt")


def as_time_goes_on(world: "World", seconds: float) -> None:
    """I5, I9: on a live tape nothing that is held stays unprotected, and no entry works in spite of a halt.

    Each is looked at so often, and counts where an account that has heard all could do something about it.
    """
    process, stands = world.current(), set()
    if process is not None and process.account is not None and world.can_act(process):
        if not world.uncertain:
            stands = {f"I5: {contract} is held and not protected" for contract in _unprotected(world)}
        halts = [reason for machine, reason in world.halted if machine == process.name]
        entries = [order for order in world.market.live_orders() if order.leg.kind is LegKind.ENTRY]
        if halts and entries and not world.doubtful:
            stands.add(f"I9: {entries[0].client_id} works in spite of {halts[0]}")
    world.stands = {found: world.stands.get(found, 0.0) + seconds for found in stands}
    for found, for_s in world.stands.items():
        if for_s == LONGEST_S:
            name, _, words = found.partition(": ")
            world.violates(name, f"{words}, for {for_s:g} s")


def _unprotected(world: "World") -> dict[ContractId, int]:
    """What is held and neither behind a stop nor being closed, and how much of it is.

    Where the venue ends no exit with another, a target that is there has taken the place of its stop: it closes.
    """
    covered: dict[ContractId, int] = {}
    closing = [LegKind.STOP, LegKind.FLATTEN, *([] if world.venue.pairs else [LegKind.TARGET])]
    for order in world.market.live_orders():
        if order.leg.kind in closing:
            covered[order.contract] = covered.get(order.contract, 0) + order.remaining
    return {
        contract: covered.get(contract, 0)
        for contract, quantity in world.market.positions().items()
        if covered.get(contract, 0) < abs(quantity) and not _waits_to_close(world, contract)
    }


def has_heard(world: "World", process: "Process") -> bool:
    """Whether a process has booked all that the venue has to tell."""
    return process.account is not None and process.account.loop.book.venue_event >= world.market.last_event


def _waits_to_close(world: "World", contract: ContractId) -> bool:
    """Whether so many closing orders of what is held came to nothing that the next one waits for its time."""
    records = records_of(world)
    held = {position.decision for position in records.positions.values() if position.contract == contract}
    spent = Counter(
        order.decision
        for order, _ in records.orders.values()
        if order.leg.kind is LegKind.FLATTEN and order.state.terminal and not order.filled
    )
    return any(spent[decision] >= QUICK_TRIES for decision in held)


def exits_at(world: "World") -> dict[ContractId, int]:
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


def at_a_commit(world: "World", epoch: int) -> None:
    """I3, I7: only the one who holds the account writes, and what is held is what the booked fills come to."""
    if epoch != world.database.leases[ACCOUNT].epoch:
        world.violates("I7", f"a transaction of epoch {epoch} is written, and another holds the account")
    records = records_of(world)
    summed: dict[tuple[StrategyId, ContractId], int] = {}
    for fill, strategy, _ in records.fills.values():
        summed[strategy, fill.contract] = summed.get((strategy, fill.contract), 0) + fill.side.sign * fill.quantity
    for (strategy, _), position in records.positions.items():
        found = summed.get((strategy, position.contract), 0)
        if position.quantity != found and not world.doubtful:
            world.violates("I3", f"{strategy} holds {position.quantity} {position.contract}, its fills come to {found}")


def after_flatten(world: "World") -> None:
    """I12: whoever was answered that all is to leave finds that written, or nothing that could leave."""
    records = records_of(world)
    held = any(position.quantity for position in records.positions.values())
    live = any(not order.state.terminal for order, _ in records.orders.values())
    if records.account is not None and not records.account.flatten and (held or live) and not world.doubtful:
        world.violates("I12", "a flatten was answered, and is not written")


def after_set_strategy(world: "World", name: StrategyId) -> None:
    """I12: whoever was answered that a strategy counts finds it written.

    It counts from where the market has come by then, which may be beyond what the account has heard.
    """
    world.joined[name] = world.now_ns
    if name not in records_of(world).strategies and not world.doubtful:
        world.violates("I12", f"{name} was answered, and is not written")


def at_an_end(world: "World", process: "Process") -> None:
    """A process that was not killed ends for one reason alone: another holds the account."""
    if process.error is not None and not isinstance(process.error, Fenced):
        world.violates("process", f"{process.name} ended: {type(process.error).__name__}: {process.error}")
