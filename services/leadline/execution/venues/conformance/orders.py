"""Cases about orders: handed in, filled, taken out, given other terms, looked up."""

from contextlib import suppress
from typing import Final

from leadline.execution.loop.ports import Refused
from leadline.execution.venues.conformance.cases import Cases
from leadline.execution.venues.conformance.exercise import LARGE, Exercise, Failed, require
from leadline.model.frozen import replace
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.manifest.venues import Capability
from leadline.model.orders import OrderState, Replacement, Side

CASES: Final = Cases()

_WORKS: Final = (OrderState.WORKING, OrderState.PARTIAL)
_FAR: Final = 40
"""Ticks from the market at which an order waits and is not met by chance."""
_UNKNOWN: Final = ClientOrderId("Lneverhandedin000")


@CASES.case()
async def market_order(at: Exercise) -> None:
    """A market order fills at the next trades, and the venue holds what its fills come to."""
    bought = await at.entered(Side.BUY, 2)
    await at.in_state(bought, OrderState.FILLED)
    await at.holds(2)
    await at.work()
    fill = next(iter(at.fills.values()))
    require(fill.side is Side.BUY, f"a purchase is told as a fill to {fill.side}")
    require(fill.contract == at.stand_in.contract, f"the fill is told of {fill.contract}")


@CASES.case(Capability.LIMIT)
async def limit_order(at: Exercise) -> None:
    """A limit order waits until trades go through its price, and pays no more."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    await at.in_state(order, OrderState.WORKING)
    await at.trade(-_FAR + 10)
    await at.quiet()
    require(not at.filled(order), "a limit order filled at trades above its price")
    await at.trade(-_FAR - 10)
    await at.in_state(order, OrderState.FILLED)
    (fill,) = at.fills.values()
    require(fill.price <= at.at(-_FAR), f"a purchase with the limit {at.at(-_FAR)} paid {fill.price}")


@CASES.case(Capability.STOP)
async def stop_order(at: Exercise) -> None:
    """A stop order waits until trades reach its price, and then fills."""
    order = at.entry(Side.SELL, stop=-_FAR)
    await at.submit(order)
    await at.trade(-_FAR + 10)
    await at.in_state(order, OrderState.WORKING)
    await at.trade(-_FAR - 1)
    await at.trade(-_FAR - 1)
    await at.in_state(order, OrderState.FILLED)
    await at.holds(-1)


@CASES.case(Capability.STOP_LIMIT)
async def stop_limit_order(at: Exercise) -> None:
    """A stop-limit order that is jumped over rests at its limit."""
    order = at.entry(Side.BUY, stop=_FAR, limit=_FAR + 2)
    await at.submit(order)
    await at.trade(_FAR + 20)
    await at.trade(_FAR + 20)
    await at.quiet()
    require(not at.filled(order), "a purchase beyond its limit was filled")
    await at.trade(_FAR - 10)
    await at.in_state(order, OrderState.FILLED)
    (fill,) = at.fills.values()
    require(fill.price <= at.at(_FAR + 2), f"a purchase with the limit {at.at(_FAR + 2)} paid {fill.price}")


@CASES.case()
async def repeated_id(at: Exercise) -> None:
    """The same order handed in again makes no second one."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    with suppress(Refused):  # a venue may refuse an id that it knows
        await at.submit(order)
    await at.work(await at.find(order))
    await at.trade(-_FAR - 10)
    await at.in_state(order, OrderState.FILLED)
    await at.trade(-_FAR - 10)
    await at.quiet()
    await at.holds(1)


@CASES.case()
async def taken_id(at: Exercise) -> None:
    """Another order under an id that is taken is refused, and changes nothing."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    other = replace(order, quantity=5, side=Side.SELL, limit_price=at.at(_FAR))
    try:
        answer = await at.orders.submit(other)
    except Refused:
        pass
    else:
        kept = (answer.quantity, answer.side) == (order.quantity, order.side)
        require(kept, f"another order under a taken id is accepted: {answer.side} {answer.quantity}")
    found = await at.find(order)
    require((found.quantity, found.side) == (1, Side.BUY), f"the order became {found.side} {found.quantity}")


@CASES.case()
async def nonsense(at: Exercise) -> None:
    """An order that makes no sense is refused with a reason, and does not work."""
    order = replace(at.entry(limit=-_FAR), quantity=0)
    require(await at.refused("an order for nothing", order), "an order for nothing is refused without a reason")
    await at.work()
    found = await at.orders.find(order.client_id)
    require(found is None or found.state is OrderState.REJECTED, "a refused order is found, and is not REJECTED")


@CASES.case()
async def unknown_contract(at: Exercise) -> None:
    """An order in a contract that the venue does not know is refused with a reason."""
    reason = await at.refused("an order in a contract that is none", at.entry(contract=ContractId("NONEZ2099")))
    require(reason, "it is refused without a reason")
    await at.work()
    await at.holds(0)


@CASES.case(Capability.PARTIAL_FILLS)
async def partial_fill(at: Exercise) -> None:
    """A small trade fills a part, told as PARTIAL, and the rest goes on waiting."""
    order = at.entry(quantity=3, limit=-_FAR)
    await at.submit(order)
    await at.trade(-_FAR - 4, 1)
    told = await at.in_state(order, OrderState.PARTIAL)
    require(told.filled == 1, f"after a trade of 1 the order says that {told.filled} are filled")
    await at.holds(1)
    await at.trade(-_FAR - 4, 2)
    await at.in_state(order, OrderState.FILLED)
    await at.holds(3)
    require(len(at.fills) > 1, "the fills of two trades have one id")


@CASES.case(Capability.PARTIAL_FILLS)
async def partial_fill_and_cancel(at: Exercise) -> None:
    """The rest of a partly filled order is cancelled, and its fill stays."""
    order = at.entry(quantity=3, limit=-_FAR)
    await at.submit(order)
    await at.trade(-_FAR - 4, 1)
    await at.in_state(order, OrderState.PARTIAL)
    await at.orders.cancel(order.client_id, "exercise")
    told = await at.in_state(order, OrderState.CANCELLED)
    require(told.filled == 1, f"the cancelled order says that {told.filled} are filled, not 1")
    await at.trade(-_FAR - 4)
    await at.quiet()
    await at.holds(1)


@CASES.case(Capability.VALIDITY)
async def validity(at: Exercise) -> None:
    """An order ends by itself at the instant until which it is valid."""
    order = at.entry(limit=-_FAR, valid_s=5)
    await at.submit(order)
    for _ in range(8):
        await at.trade(0)
    await at.in_state(order, OrderState.EXPIRED, OrderState.CANCELLED)
    await at.trade(-_FAR - 10)
    await at.quiet()
    await at.holds(0)
    await at.work()


@CASES.case()
async def cancel(at: Exercise) -> None:
    """A cancelled order is told as CANCELLED, works no more and never fills."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    await at.orders.cancel(order.client_id, "exercise")
    await at.in_state(order, OrderState.CANCELLED)
    await at.work()
    await at.trade(-_FAR - 10)
    await at.quiet()
    await at.holds(0)


@CASES.case()
async def cancel_after_fill(at: Exercise) -> None:
    """A cancel that comes after the fill changes nothing: the order is FILLED."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    await at.trade(-_FAR - 10)
    await _too_late(at, order.client_id)
    await at.in_state(order, OrderState.FILLED)
    await at.holds(1)


async def _too_late(at: Exercise, client_id: ClientOrderId) -> None:
    with suppress(Refused):  # either way: what became of the order is told by its events
        await at.orders.cancel(client_id, "exercise")


@CASES.case()
async def cancel_twice(at: Exercise) -> None:
    """A cancel that is said twice ends the order once."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    await at.orders.cancel(order.client_id, "exercise")
    await _too_late(at, order.client_id)
    await at.in_state(order, OrderState.CANCELLED)
    await at.quiet()
    ends = sum(event.order.state is OrderState.CANCELLED for event in at.events)
    require(ends == 1, f"the order's end is told {ends} times")


@CASES.case()
async def cancel_of_nothing(at: Exercise) -> None:
    """A cancel of an order that the venue does not have is refused."""
    try:
        await at.orders.cancel(_UNKNOWN, "exercise")
    except Refused as refusal:
        require(str(refusal), "the refusal has no reason")
        return
    raise Failed("a cancel of an order that nobody handed in is not refused")


@CASES.case(Capability.REPLACE)
async def replace_price(at: Exercise) -> None:
    """A working order that is given another price waits there, under its id."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    answer = await at.orders.replace(Replacement(order.client_id, limit_price=at.at(-2 * _FAR)))
    require(answer.limit_price == at.at(-2 * _FAR), f"the answer has the price {answer.limit_price}")
    await at.trade(-_FAR - 10)
    await at.quiet()
    require(not at.filled(order), "it filled at trades that its new price does not reach")
    await at.work(order)
    await at.trade(-2 * _FAR - 10)
    await at.in_state(order, OrderState.FILLED)


@CASES.case(Capability.REPLACE)
async def replace_twice(at: Exercise) -> None:
    """The same terms again change nothing and tell nothing."""
    order, terms = at.entry(limit=-_FAR), -_FAR - 5
    await at.submit(order)
    wanted = Replacement(order.client_id, limit_price=at.at(terms))
    await at.orders.replace(wanted)
    await at.until("the new price is told", lambda: at.told(order).limit_price == at.at(terms))
    await at.orders.replace(wanted)
    require(not await at.listen(), "the same terms again are told as an event")
    await at.work(order)


@CASES.case(Capability.REPLACE)
async def replace_after_fill(at: Exercise) -> None:
    """A replacement that comes after the fill changes nothing: no second order comes of it."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    await at.trade(-_FAR - 10)
    try:
        answer = await at.orders.replace(Replacement(order.client_id, limit_price=at.at(-2 * _FAR)))
    except Refused:
        pass
    else:
        require(answer.state is OrderState.FILLED, f"the answer says that the filled order is {answer.state}")
    await at.in_state(order, OrderState.FILLED)
    await at.trade(-2 * _FAR - 10)
    await at.quiet()
    await at.holds(1)
    await at.work()


@CASES.case(Capability.REPLACE)
async def replace_of_a_part(at: Exercise) -> None:
    """Of an order that fills in part while it is replaced, no more fills than was asked for."""
    order = at.entry(quantity=3, limit=-_FAR)
    await at.submit(order)
    await at.trade(-_FAR - 4, 1)
    await at.orders.replace(Replacement(order.client_id, quantity=2))
    await at.until("the smaller size is told", lambda: at.told(order).quantity == 2)
    await at.trade(-_FAR - 4)
    await at.in_state(order, OrderState.FILLED)
    await at.trade(-_FAR - 4)
    await at.quiet()
    await at.holds(2)


@CASES.case(Capability.REPLACE, Capability.PARTIAL_FILLS)
async def replace_by_what_has_filled(at: Exercise) -> None:
    """A size that has filled already ends the order."""
    order = at.entry(quantity=3, limit=-_FAR)
    await at.submit(order)
    await at.trade(-_FAR - 4, 1)
    await at.in_state(order, OrderState.PARTIAL)
    await at.orders.replace(Replacement(order.client_id, quantity=1))
    await at.in_state(order, OrderState.CANCELLED, OrderState.FILLED)
    await at.trade(-_FAR - 4)
    await at.quiet()
    await at.holds(1)
    await at.work()


@CASES.case(Capability.REPLACE)
async def replace_of_nothing(at: Exercise) -> None:
    """A replacement of an order that the venue does not have is refused."""
    try:
        await at.orders.replace(Replacement(_UNKNOWN, limit_price=at.at(-_FAR)))
    except Refused:
        return
    raise Failed("a replacement of an order that nobody handed in is not refused")


@CASES.case(Capability.LOOK_UP)
async def look_up_of_nothing(at: Exercise) -> None:
    """An id that nobody handed in is answered with nothing, and not with an error."""
    found = await at.orders.find(_UNKNOWN)
    require(found is None, "the venue finds an order that nobody handed in")


@CASES.case(Capability.LOOK_UP)
async def look_up(at: Exercise) -> None:
    """An order is found by its id while it works and after it has ended."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    found = await at.find(order)
    require(found.state in _WORKS, f"the working order is found as {found.state}")
    asked = (order.contract, order.side, order.type, order.quantity, order.limit_price)
    there = (found.contract, found.side, found.type, found.quantity, found.limit_price)
    require(there == asked, f"the order is found as {' '.join(map(str, there))}, not {' '.join(map(str, asked))}")
    await at.trade(-_FAR - 10)
    await at.in_state(order, OrderState.FILLED)
    ended = await at.find(order)
    words = f"the filled order is found as {ended.state} with {ended.filled} filled"
    require((ended.state, ended.filled) == (OrderState.FILLED, 1), words)


@CASES.case(Capability.REDUCE_ONLY)
async def reduce_only(at: Exercise) -> None:
    """An order that only reduces closes what is held and never turns it round."""
    await at.entered(Side.BUY, 1)
    close = at.close(Side.SELL, 3)
    await at.submit(close)
    for _ in range(3):
        await at.trade(0)
    await at.in_state(close, OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED)
    await at.holds(0)
    await at.work()


@CASES.case()
async def positions(at: Exercise) -> None:
    """Positions are net and signed; what is flat is left out."""
    await at.holds(0)
    await at.entered(Side.SELL, 2)
    await at.holds(-2)
    await at.entered(Side.BUY, 1)
    await at.holds(-1)
    await at.entered(Side.BUY, 1)
    await at.holds(0)
    await at.entered(Side.BUY, 1)
    await at.holds(1)


@CASES.case()
async def working_orders(at: Exercise) -> None:
    """The working orders are those that can still fill, each once, with what has filled of them."""
    waits, ends, fills = at.entry(quantity=3, limit=-_FAR), at.entry(limit=-2 * _FAR), at.entry(Side.SELL, limit=_FAR)
    for order in (waits, ends, fills):
        await at.submit(order)
    await at.work(waits, ends, fills)
    await at.orders.cancel(ends.client_id, "exercise")
    await at.trade(_FAR + 10, LARGE)
    await at.in_state(ends, OrderState.CANCELLED)
    await at.in_state(fills, OrderState.FILLED)
    await at.work(waits)
