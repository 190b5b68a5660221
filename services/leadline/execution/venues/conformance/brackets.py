"""Cases about exits: made by the venue or handed in later, as pairs of which one ends the other; and flattening."""

from dataclasses import replace
from typing import Final

from leadline.execution.loop.ports import Refused
from leadline.execution.venues.conformance.cases import Cases
from leadline.execution.venues.conformance.exercise import Exercise, require
from leadline.model.ids import LegKind, client_order_id
from leadline.model.manifest.venues import Capability
from leadline.model.orders import Bracket, OrderState, OrderType, Replacement, Side, Trail, VenueOrder

CASES: Final = Cases()

STOP, TARGET = LegKind.STOP, LegKind.TARGET
_WIDE: Final = Bracket(stop_ticks=40, target_ticks=60)
_ENDED: Final = (OrderState.CANCELLED, OrderState.EXPIRED)


async def _pair(at: Exercise, entry: VenueOrder) -> tuple[VenueOrder, VenueOrder]:
    """The stop and the target of the first fill of an entry, once both are told."""
    await at.until("stop and target are told", lambda: at.legs(entry, STOP) and at.legs(entry, TARGET))
    return at.legs(entry, STOP)[0], at.legs(entry, TARGET)[0]


@CASES.case(Capability.NATIVE_BRACKET)
async def bracket(at: Exercise) -> None:
    """The venue makes stop and target of each fill, with its size and at the distances asked for."""
    entry = await at.entered(Side.BUY, 2, _WIDE)
    stop, target = await _pair(at, entry)
    (fill,) = (fill for fill in at.fills.values() if fill.client_id == entry.client_id)
    prices = (stop.stop_price, target.limit_price)
    expected = (fill.price - 40, fill.price + 60)
    require(
        prices == expected, f"stop and target are at {prices[0]} and {prices[1]}, not {expected[0]} and {expected[1]}"
    )
    for leg in (stop, target):
        require(leg.quantity == 2, f"{leg.leg} has the size {leg.quantity}, the fill 2")
        require(leg.side is Side.SELL, f"{leg.leg} is to {leg.side}")
        require(leg.parent == entry.client_id, f"{leg.leg} does not name its entry")
        derived = client_order_id(entry.decision, leg.leg)
        require(leg.client_id == derived, f"{leg.leg} has the id {leg.client_id}, expected {derived}")
    require((stop.oco, target.oco) == (target.client_id, stop.client_id), "stop and target do not name one another")
    await at.work(stop, target)


@CASES.case()
async def bracket_is_not_ignored(at: Exercise) -> None:
    """An entry that asks for stop and target gets them, or is refused: it is never taken without them."""
    entry = at.entry(bracket=_WIDE)
    try:
        answer = await at.orders.submit(entry)
    except Refused:
        answer = None
    await at.trade(0)
    await at.quiet()
    if answer is None or answer.state is OrderState.REJECTED:
        require(not at.fills, "a refused entry has filled")
        return
    await _pair(at, entry)


@CASES.case(Capability.NATIVE_BRACKET)
async def fill_with_its_stop(at: Exercise) -> None:
    """An entry and its exits are told together: no fill is heard of without its stop."""
    entry = at.entry(bracket=_WIDE)
    await at.submit(entry)
    await at.trade(0)
    await at.until("the entry fills", lambda: at.filled(entry))
    require(at.legs(entry, STOP), "the fill is told, and its stop is not")


@CASES.case(Capability.NATIVE_BRACKET, Capability.OCO)
async def stop_ends_target(at: Exercise) -> None:
    """When the stop fills, the target is cancelled, and nothing is held."""
    stop, target = await _pair(at, await at.entered(bracket=_WIDE))
    await at.trade(-50)
    await at.trade(-50)
    await at.in_state(stop, OrderState.FILLED)
    await at.in_state(target, *_ENDED)
    await at.trade(80)
    await at.quiet()
    await at.holds(0)
    await at.work()


@CASES.case(Capability.NATIVE_BRACKET, Capability.OCO)
async def target_ends_stop(at: Exercise) -> None:
    """When the target fills, the stop is cancelled, and nothing is held."""
    stop, target = await _pair(at, await at.entered(bracket=_WIDE))
    await at.trade(80)
    await at.in_state(target, OrderState.FILLED)
    await at.in_state(stop, *_ENDED)
    await at.trade(-50)
    await at.quiet()
    await at.holds(0)
    await at.work()


@CASES.case(Capability.NATIVE_BRACKET, Capability.PARTIAL_FILLS)
async def bracket_of_parts(at: Exercise) -> None:
    """Each fill of an entry in parts has exits of its own size."""
    entry = at.entry(quantity=3, limit=-40, bracket=_WIDE)
    await at.submit(entry)
    await at.trade(-44, 1)
    await at.until("the first part has its stop", lambda: len(at.legs(entry, STOP)) == 1)
    await at.trade(-44, 2)
    await at.in_state(entry, OrderState.FILLED)
    await at.until("each part has its stop", lambda: len(at.legs(entry, STOP)) > 1)
    sizes = [sum(leg.quantity for leg in at.legs(entry, kind)) for kind in (STOP, TARGET)]
    require(sizes == [3, 3], f"3 are held behind stops for {sizes[0]} and targets for {sizes[1]}")


@CASES.case(Capability.NATIVE_BRACKET, Capability.PARTIAL_FILLS)
async def partial_target(at: Exercise) -> None:
    """When a target fills in part, the stop shrinks by as much."""
    stop, target = await _pair(at, await at.entered(Side.BUY, 3, _WIDE))
    await at.trade(80, 1)
    await at.in_state(target, OrderState.PARTIAL)
    await at.until("the stop has the size of what is left", lambda: at.told(stop).remaining == 2)
    await at.trade(-50)
    await at.trade(-50)
    await at.in_state(stop, OrderState.FILLED)
    await at.in_state(target, *_ENDED)
    await at.holds(0)


@CASES.case(Capability.NATIVE_BRACKET)
async def bracket_of_a_sale(at: Exercise) -> None:
    """A sale has its stop above and its target below."""
    stop, target = await _pair(at, await at.entered(Side.SELL, 1, _WIDE))
    require(stop.side is Side.BUY and target.side is Side.BUY, "the exits of a sale do not buy")
    prices = (stop.stop_price or 0, target.limit_price or 0)
    require(prices[0] > at.at(0) > prices[1], f"the exits of a sale are at {prices[0]} and {prices[1]}")


@CASES.case(Capability.NATIVE_BRACKET, Capability.TRAILING)
async def trailing_stop(at: Exercise) -> None:
    """A stop moves behind the price by itself and never goes back."""
    entry = await at.entered(bracket=Bracket(stop_ticks=40, trail=Trail(10, 20)))
    await at.until("the stop is told", lambda: at.legs(entry, STOP))
    (stop,) = at.legs(entry, STOP)
    await at.trade(50)
    await at.until("the stop follows", lambda: (at.told(stop).stop_price or 0) >= at.at(30))
    moved = at.told(stop).stop_price
    await at.trade(35)
    await at.quiet()
    require(at.told(stop).stop_price == moved, "the stop went back with the price")
    await at.trade(20)
    await at.trade(20)
    await at.in_state(stop, OrderState.FILLED)
    await at.holds(0)


@CASES.case(Capability.NATIVE_BRACKET, Capability.REPLACE)
async def moved_stop(at: Exercise) -> None:
    """A stop is moved to another price under its id."""
    stop, target = await _pair(at, await at.entered(bracket=_WIDE))
    await at.orders.replace(Replacement(stop.client_id, stop_price=at.at(-10)))
    await at.until("the new price is told", lambda: at.told(stop).stop_price == at.at(-10))
    await at.work(stop, target)
    await at.trade(-15)
    await at.trade(-15)
    await at.in_state(stop, OrderState.FILLED)
    await at.in_state(target, *_ENDED)


@CASES.case(Capability.NATIVE_BRACKET, Capability.SHRINK)
async def shrunk_exits(at: Exercise) -> None:
    """Stop and target are made smaller while they work; another fill takes from both."""
    stop, target = await _pair(at, await at.entered(Side.BUY, 3, _WIDE))
    for leg in (stop, target):
        await at.orders.replace(Replacement(leg.client_id, quantity=2))
    await at.until("both have the size 2", lambda: all(at.told(leg).remaining == 2 for leg in (stop, target)))
    await at.orders.replace(Replacement(stop.client_id, quantity=3))
    await at.quiet()
    require(at.told(stop).remaining == 2, "a size that is larger than the present one made the stop grow")
    await at.trade(80, 1)
    await at.until("the fill takes from the stop", lambda: at.told(stop).remaining == 1)


@CASES.case(Capability.ATTACH, Capability.OCO)
async def attached_pair(at: Exercise) -> None:
    """A stop and a target that are handed in after the fill are a pair: one ends the other."""
    entry = await at.entered(Side.BUY, 1)
    target_id = client_order_id(entry.decision, at.exit_of(entry, TARGET, 60, quantity=1).leg)
    stop = at.exit_of(entry, STOP, -40, quantity=1, oco=target_id)
    target = at.exit_of(entry, TARGET, 60, quantity=1, oco=stop.client_id)
    await at.submit(stop)
    await at.submit(target)
    await at.in_state(stop, OrderState.WORKING)
    await at.in_state(target, OrderState.WORKING)
    await at.trade(80)
    await at.in_state(target, OrderState.FILLED)
    await at.in_state(stop, *_ENDED)
    await at.trade(-50)
    await at.quiet()
    await at.holds(0)
    await at.work()


@CASES.case(Capability.ATTACH, Capability.OCO, Capability.PARTIAL_FILLS)
async def attached_pair_in_parts(at: Exercise) -> None:
    """When a target that was handed in later fills in part, its stop shrinks by as much."""
    entry = await at.entered(Side.BUY, 3)
    stop = at.exit_of(entry, STOP, -40, quantity=3)
    target = at.exit_of(entry, TARGET, 60, quantity=3, oco=stop.client_id)
    await at.submit(stop)
    await at.submit(target)
    await at.trade(80, 1)
    await at.in_state(target, OrderState.PARTIAL)
    await at.until("the stop has the size of what is left", lambda: at.told(stop).remaining == 2)
    await at.trade(-50)
    await at.trade(-50)
    await at.in_state(stop, OrderState.FILLED)
    await at.in_state(target, *_ENDED)
    await at.holds(0)


@CASES.case(Capability.ATTACH, Capability.OCO)
async def attached_too_late(at: Exercise) -> None:
    """A target that is handed in for a stop that has filled meanwhile is refused."""
    entry = await at.entered(Side.BUY, 1)
    stop = at.exit_of(entry, STOP, -40, quantity=1)
    await at.submit(stop)
    await at.trade(-50)
    await at.trade(-50)
    await at.in_state(stop, OrderState.FILLED)
    target = at.exit_of(entry, TARGET, 60, quantity=1, oco=stop.client_id)
    require(await at.refused("a target whose pair has ended", target), "it is refused without a reason")
    await at.trade(80)
    await at.quiet()
    await at.holds(0)
    await at.work()


@CASES.case(Capability.ATTACH, Capability.STOP)
async def attached_stop(at: Exercise) -> None:
    """A stop that is handed in after the fill protects it."""
    entry = await at.entered(Side.SELL, 2)
    stop = at.exit_of(entry, STOP, 40, quantity=2)
    await at.submit(stop)
    told = await at.in_state(stop, OrderState.WORKING)
    require(told.type is OrderType.STOP, f"the stop is told as {told.type}")
    await at.work(stop)
    await at.trade(50)
    await at.trade(50)
    await at.in_state(stop, OrderState.FILLED)
    await at.holds(0)


@CASES.case(Capability.ATTACH, Capability.LIMIT)
async def target_for_its_stop(at: Exercise) -> None:
    """Once a stop is told as cancelled, a target of the same fill is taken alone, and nothing is left behind."""
    entry = await at.entered(Side.BUY, 2)
    stop = at.exit_of(entry, STOP, -40, quantity=2)
    await at.submit(stop)
    await at.in_state(stop, OrderState.WORKING)
    await at.orders.cancel(stop.client_id, "exercise")
    await at.in_state(stop, OrderState.CANCELLED)
    target = replace(at.exit_of(entry, TARGET, 60, quantity=2), reduce_only=True)
    await at.submit(target)
    await at.trade(80)
    await at.trade(80)
    await at.in_state(target, OrderState.FILLED)
    await at.trade(-50)
    await at.quiet()
    await at.holds(0)
    await at.work()


@CASES.case(Capability.ATTACH, Capability.LIMIT, Capability.REDUCE_ONLY)
async def exits_without_a_pair(at: Exercise) -> None:
    """A stop and a target that name no pair do not turn the position: the second one finds nothing to reduce."""
    entry = await at.entered(Side.BUY, 1)
    stop = replace(at.exit_of(entry, STOP, -40, quantity=1), reduce_only=True)
    target = replace(at.exit_of(entry, TARGET, 60, quantity=1), reduce_only=True)
    await at.submit(stop)
    await at.submit(target)
    await at.trade(80)
    await at.trade(80)
    await at.in_state(target, OrderState.FILLED)
    await at.trade(-50)
    await at.trade(-50)
    await at.in_state(stop, *_ENDED)
    require(not at.filled(stop), "the stop fills although nothing is held any more")
    await at.holds(0)


@CASES.case(Capability.ATTACH)
async def pair_is_not_ignored(at: Exercise) -> None:
    """A venue that ends no exit with another refuses one that names a pair: its sender would count on it."""
    if at.can(Capability.OCO):
        return
    entry = await at.entered(Side.BUY, 1)
    stop = at.exit_of(entry, STOP, -40, quantity=1)
    await at.submit(stop)
    target = at.exit_of(entry, TARGET, 60, quantity=1, oco=stop.client_id)
    require(await at.refused("a target that names a pair", target), "it is refused without a reason")
    await at.work(stop)


@CASES.case(Capability.REDUCE_ONLY)
async def flatten(at: Exercise) -> None:
    """Exits cancelled, then one order that only reduces: the venue is flat and nothing works."""
    entry = await at.entered(Side.BUY, 2, _WIDE if at.can(Capability.NATIVE_BRACKET) else None)
    waits = at.entry(Side.BUY, limit=-40)
    await at.submit(waits)
    exits = [order for order in await at.orders.working() if order.client_id != waits.client_id]
    for order in (waits, *exits):
        await at.orders.cancel(order.client_id, "exercise")
    await at.in_state(waits, OrderState.CANCELLED)
    close = at.close(entry.side.opposite, 2)
    await at.submit(close)
    await at.trade(0)
    await at.in_state(close, OrderState.FILLED)
    await at.holds(0)
    await at.work()


@CASES.case(Capability.NATIVE_BRACKET, Capability.REDUCE_ONLY)
async def flatten_meets_the_stop(at: Exercise) -> None:
    """A close that meets the stop on its way never turns the position."""
    entry = await at.entered(bracket=_WIDE)
    await _pair(at, entry)
    close = at.close(Side.SELL, 1)
    await at.submit(close)
    await at.trade(-50)
    await at.trade(-50)
    await at.trade(-50)
    await at.in_state(close, OrderState.FILLED, *_ENDED)
    for leg in await at.orders.working():
        await at.orders.cancel(leg.client_id, "exercise")
    await at.trade(-50)
    await at.quiet()
    require((await at.orders.positions()).get(at.stand_in.contract, 0) >= 0, "the position was turned round")
