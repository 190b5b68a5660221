"""Cases about what goes wrong: lost answers, repeated events, orders of somebody else, connections that break."""

from typing import Final

from leadline.execution.loop.ports import Refused, Unavailable
from leadline.execution.venues.conformance.cases import Cases
from leadline.execution.venues.conformance.exercise import Exercise, Failed, require
from leadline.execution.venues.conformance.stand_in import Call
from leadline.model.ids import ClientOrderId, LegKind
from leadline.model.manifest.venues import Capability
from leadline.model.orders import Bracket, OrderState, Replacement, Side, VenueOrder

CASES: Final = Cases()

_FAR: Final = 40
_WIDE: Final = Bracket(stop_ticks=40, target_ticks=60)


@CASES.case(Capability.LOOK_UP)
async def lost_answer(at: Exercise) -> None:
    """An order whose answer is lost is found by its id; there is one of it."""
    order = at.entry(limit=-_FAR)
    at.stand_in.lose(Call.SUBMIT, reaches=True)
    await at.unheard(order)
    found = await at.find(order)
    require(found.state is OrderState.WORKING, f"it is found as {found.state}")
    await at.work(order)
    await at.trade(-_FAR - 10)
    await at.in_state(order, OrderState.FILLED)
    await at.trade(-_FAR - 10)
    await at.quiet()
    await at.holds(1)


@CASES.case(Capability.LOOK_UP)
async def lost_order(at: Exercise) -> None:
    """An order that the venue never got is not there: the adapter does not send it again."""
    order = at.entry(limit=-_FAR)
    at.stand_in.lose(Call.SUBMIT, reaches=False)
    await at.unheard(order)
    require(await at.orders.find(order.client_id) is None, "the order is at the venue, which never got it")
    await at.trade(-_FAR - 10)
    await at.quiet()
    require(await at.orders.find(order.client_id) is None, "the order has come to the venue later")
    await at.holds(0)
    await at.work()


@CASES.case(Capability.LOOK_UP)
async def lost_answer_and_fill(at: Exercise) -> None:
    """An order whose answer is lost, and that fills at once, is told with its fill."""
    order = at.entry()
    at.stand_in.lose(Call.SUBMIT, reaches=True)
    await at.unheard(order)
    await at.trade(0)
    await at.in_state(order, OrderState.FILLED)
    found = await at.find(order)
    require((found.state, found.filled) == (OrderState.FILLED, 1), f"it is found as {found.state}")
    await at.holds(1)


@CASES.case()
async def lost_answer_of_a_cancel(at: Exercise) -> None:
    """A cancel whose answer is lost is told by the order's events."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    at.stand_in.lose(Call.CANCEL, reaches=True)
    await _unheard_cancel(at, order.client_id)
    await at.in_state(order, OrderState.CANCELLED)
    await at.work()


@CASES.case()
async def lost_cancel(at: Exercise) -> None:
    """A cancel that the venue never got leaves the order working, and is not said again by the adapter."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    at.stand_in.lose(Call.CANCEL, reaches=False)
    await _unheard_cancel(at, order.client_id)
    await at.quiet()
    await at.work(order)
    await at.orders.cancel(order.client_id, "exercise")
    await at.in_state(order, OrderState.CANCELLED)


async def _unheard_cancel(at: Exercise, client_id: ClientOrderId) -> None:
    try:
        await at.orders.cancel(client_id, "exercise")
    except Unavailable:
        return
    raise Failed("no answer to a cancel was heard, and the adapter says nothing of it")


@CASES.case(Capability.REPLACE)
async def lost_answer_of_a_replacement(at: Exercise) -> None:
    """A replacement whose answer is lost stands; said again, it changes nothing."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    wanted = Replacement(order.client_id, limit_price=at.at(-2 * _FAR))
    at.stand_in.lose(Call.REPLACE, reaches=True)
    try:
        await at.orders.replace(wanted)
    except Unavailable:
        pass
    else:
        raise Failed("no answer to a replacement was heard, and the adapter says nothing of it")
    await at.until("the new price is told", lambda: at.told(order).limit_price == wanted.limit_price)
    await at.orders.replace(wanted)
    await at.work(order)
    require((await at.find(order)).limit_price == wanted.limit_price, "the order has another price than was asked for")


@CASES.case(Capability.LOOK_UP)
async def lost_look_up(at: Exercise) -> None:
    """A look-up that is not answered is no word on the order: it is an error, and never nothing."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    at.stand_in.lose(Call.FIND, reaches=True)
    try:
        found = await at.orders.find(order.client_id)
    except Unavailable:
        pass
    else:
        require(found is not None, "an answer that was not heard is told as an order that is not there")
    await at.find(order)


@CASES.case()
async def event_numbers(at: Exercise) -> None:
    """Events are numbered on from the one that is booked, without a hole, and end at the instant asked for."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    before_ns = at.stand_in.now_ns
    await at.trade(-_FAR - 10)
    early = (await at.orders.events_since(at.booked, before_ns)).events
    late = [event.event for event in early if event.instant_ns > before_ns]
    require(not late, f"event {late[0] if late else ''} is later than the instant that was asked for")
    await at.in_state(order, OrderState.FILLED)
    numbers = [event.event for event in at.events]
    require(numbers == sorted(set(numbers)), "the numbers of the events do not grow by one")
    require([event.event for event in await at.listen()] == [], "an event that was named as booked is told again")


@CASES.case()
async def events_told_again(at: Exercise) -> None:
    """The same question gets the same events again, until one is named as booked."""
    order = at.entry()
    await at.submit(order)
    await at.trade(0)
    now_ns = at.stand_in.now_ns
    await at.until("the order fills", lambda: at.filled(order))
    await at.quiet()
    other = at.entry(limit=-_FAR)
    await at.submit(other)
    booked = at.booked
    await at.until("the order is told", lambda: other.client_id in at.known)
    first = (await at.orders.events_since(booked, now_ns)).events
    again = (await at.orders.events_since(booked, now_ns)).events
    told = [(event.event, event.order.client_id, event.order.state) for event in first]
    require(told[:1], "an event that was told and not named as booked is not told again")
    repeated = [(event.event, event.order.client_id, event.order.state) for event in again]
    require(repeated[: len(told)] == told, "the same question is answered with other events")


@CASES.case(Capability.FILL_IDS)
async def fill_ids(at: Exercise) -> None:
    """Each fill has an id of its own, which stays the same when it is told again."""
    await at.entered(Side.BUY, 1)
    await at.entered(Side.BUY, 1)
    ids = set(at.fills)
    require(len(ids) == 2, f"two fills have {len(ids)} ids")
    await at.stand_in.restart()
    await at.trade(0)
    await at.quiet()
    require(set(at.fills) == ids, "after a start a fill is told under another id than before")
    await at.holds(2)


@CASES.case(Capability.KEEP_ENTRIES)
async def restart(at: Exercise) -> None:
    """After a start nothing is lost: orders and fills of the time without an adapter are told."""
    order, other = at.entry(quantity=2, limit=-_FAR), at.entry(limit=-2 * _FAR)
    await at.submit(order)
    await at.submit(other)
    await at.in_state(other, OrderState.WORKING)
    await at.stand_in.cut()
    await at.trade(-_FAR - 10)
    await at.stand_in.mend()
    await at.stand_in.restart()
    await at.in_state(order, OrderState.FILLED)
    await at.holds(2)
    await at.work(other)


@CASES.case()
async def foreign_order(at: Exercise) -> None:
    """An order that another program has placed works in the list, and its fill is told."""
    own, foreign = at.entry(limit=-_FAR), at.entry(Side.SELL, limit=_FAR)
    await at.submit(own)
    await at.stand_in.place(foreign)
    working = [order.client_id for order in await at.orders.working()]
    require(len(working) == 2, f"{len(working)} orders work in the list, expected both")
    await at.trade(_FAR + 10)
    await at.until("the fill of the other order is told", lambda: any(f.side is Side.SELL for f in at.fills.values()))
    await at.holds(-1)
    await at.work(own)


@CASES.case()
async def foreign_order_stays(at: Exercise) -> None:
    """An order that another program has placed is not cancelled by the adapter, whatever happens."""
    foreign = at.entry(Side.SELL, limit=_FAR)
    await at.stand_in.place(foreign)
    own = at.entry(limit=-_FAR)
    await at.submit(own)
    await at.orders.cancel(own.client_id, "exercise")
    await at.stand_in.restart()
    await at.quiet()
    require(len(await at.orders.working()) == 1, "the other program's order does not work any more")


@CASES.case()
async def cut_connection(at: Exercise) -> None:
    """While the connection is cut every call is an error that says so, and none is answered from memory."""
    order = at.entry(limit=-_FAR)
    await at.submit(order)
    await at.stand_in.cut()
    calls = {
        "a cancel": lambda: at.orders.cancel(order.client_id, "exercise"),
        "a look-up": lambda: at.orders.find(order.client_id),
        "a question for the working orders": at.orders.working,
        "a question for the positions": at.orders.positions,
    }
    for name, call in calls.items():
        try:
            await call()
        except Unavailable:
            continue
        except Refused as refusal:
            raise Failed(f"{name} without a connection is told as the venue's no: {refusal}") from refusal
        raise Failed(f"{name} is answered without a connection")
    await at.stand_in.mend()
    await at.quiet()
    await _outlives_a_cut(at, order)


async def _outlives_a_cut(at: Exercise, entry: VenueOrder, *others: VenueOrder) -> None:
    """Require that others work on after a cut, and that an entry which waited works or has ended, as is declared."""
    kept = at.can(Capability.KEEP_ENTRIES)
    if not kept:
        await at.in_state(entry, OrderState.CANCELLED, OrderState.EXPIRED)
    for order in (*others, *([entry] if kept else [])):
        words = f"{order.leg} does not work after the connection is back"
        require((await at.find(order)).state is OrderState.WORKING, words)
    await at.work(*others, *([entry] if kept else []))


@CASES.case(Capability.KEEP_EXITS)
async def exits_outlive_a_cut(at: Exercise) -> None:
    """A stop works on when the connection is back, as the same order; an entry that waits does as is declared."""
    if at.can(Capability.NATIVE_BRACKET):
        entry = await at.entered(bracket=Bracket(stop_ticks=_FAR))
        await at.until("the stop is told", lambda: at.legs(entry, LegKind.STOP))
        (stop,) = at.legs(entry, LegKind.STOP)
    else:
        entry = await at.entered()
        stop = at.exit_of(entry, LegKind.STOP, -_FAR, quantity=1)
        await at.submit(stop)
    waits = at.entry(limit=-2 * _FAR)
    await at.submit(waits)
    await at.stand_in.cut()
    await at.trade(0)
    await at.stand_in.mend()
    await at.quiet()
    await _outlives_a_cut(at, waits, stop)
    await at.trade(-_FAR - 5)
    await at.trade(-_FAR - 5)
    await at.in_state(stop, OrderState.FILLED)
    await at.holds(0)


@CASES.case()
async def order_without_a_connection(at: Exercise) -> None:
    """An order that is handed in without a connection is at most once at the venue when it is back."""
    order = at.entry(limit=-_FAR)
    await at.stand_in.cut()
    await at.unheard(order)
    await at.stand_in.mend()
    for _ in range(3):
        await at.trade(0)
    await at.quiet()
    there = len(await at.orders.working())
    require(there <= 1, f"it works {there} times")
    found = await at.orders.find(order.client_id)
    require((found is not None) == bool(there), "what works and what is found do not agree")


@CASES.case(Capability.KEEP_ENTRIES)
async def fill_while_cut(at: Exercise) -> None:
    """Fills of a time without a connection are told when it is back, once and in order."""
    order = at.entry(quantity=2, limit=-_FAR)
    await at.submit(order)
    await at.in_state(order, OrderState.WORKING)
    await at.stand_in.cut()
    await at.trade(-_FAR - 10)
    await at.stand_in.mend()
    await at.in_state(order, OrderState.FILLED)
    await at.quiet()
    await at.holds(2)
    require(at.filled(order) == 2, f"the fills come to {at.filled(order)}, expected 2")


@CASES.case(Capability.NATIVE_BRACKET, Capability.KEEP_EXITS)
async def stop_rests_while_cut(at: Exercise) -> None:
    """A stop rests at the venue while the connection is cut, and fills there."""
    entry = await at.entered(bracket=_WIDE)
    await at.until("the stop is told", lambda: at.legs(entry, LegKind.STOP))
    (stop,) = at.legs(entry, LegKind.STOP)
    await at.stand_in.cut()
    await at.trade(-50)
    await at.trade(-50)
    await at.stand_in.mend()
    await at.in_state(stop, OrderState.FILLED)
    await at.quiet()
    await at.holds(0)
    await at.work()


@CASES.case(Capability.ATTACH, Capability.KEEP_EXITS)
async def attached_stop_rests_while_cut(at: Exercise) -> None:
    """A stop that was handed in later rests at the venue while the connection is cut, and fills there."""
    entry = await at.entered()
    stop = at.exit_of(entry, LegKind.STOP, -40, quantity=1)
    await at.submit(stop)
    await at.stand_in.cut()
    await at.trade(-50)
    await at.trade(-50)
    await at.stand_in.mend()
    await at.in_state(stop, OrderState.FILLED)
    await at.holds(0)
    await at.work()


@CASES.case(Capability.NATIVE_BRACKET, Capability.KEEP_ENTRIES)
async def fill_while_cut_is_protected(at: Exercise) -> None:
    """An entry that fills while the connection is cut has its stop at once."""
    entry = at.entry(limit=-_FAR, bracket=_WIDE)
    await at.submit(entry)
    await at.stand_in.cut()
    await at.trade(-_FAR - 5)
    await at.trade(-_FAR - 60)
    await at.trade(-_FAR - 60)
    await at.stand_in.mend()
    await at.in_state(entry, OrderState.FILLED)
    await at.quiet()
    await at.holds(0)
    await at.work()
