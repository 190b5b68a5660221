"""Fill rules: at which print an order matches, and at what price. The only place that knows them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.model.errors import InvalidInput
from leadline.model.frozen import quickly_made
from leadline.model.orders import LastPrint, OrderType, Side, VenueOrder
from leadline.model.ticks import NS_PER_SECOND, Aggressor, Int8Array, Int64Array, TickColumns

QUOTE_AGE_NS: Final = NS_PER_SECOND
"""How old an aggressor's print may be to stand for the price that a market order would have to pay."""

QUEUE_MULTIPLE: Final = 2
"""A limit order is reached in its queue when more than this many times its size has printed at its price."""

# Aggressors as the bytes of their column, of which the last is found at once.
_BUYER, _SELLER = (int(side).to_bytes(1, "little", signed=True) for side in (Aggressor.BUY, Aggressor.SELL))


class FillRule(StrEnum):
    """Which print fills what.

    PESSIMISTIC: a market order pays the worse of the first eligible print and the last print of its own aggressor not
    older than a second, plus slippage; a stop triggers on a print at or through it and fills at the worse of the two,
    plus slippage; a limit fills at its price when a print trades through it, or when a print at it makes the size
    printed there since the order rested exceed twice the order. One that comes when the last print is through its price
    already takes what is there: the prints through it that follow without another between fill it as they fill a market
    order, at its price at the worst. A stop-limit triggers like a stop, and fills like one where that is within its
    limit; else it rests as a limit from that print on.
    OPTIMISTIC: the first eligible print, no slippage; a limit fills when touched.
    NEXT_PRINT: a market order fills at the first eligible print plus slippage, whoever was its aggressor; stops as
    PESSIMISTIC; a limit fills only when a print trades through it.
    NAUTILUS_1_231: what NautilusTrader 1.231 does with prints alone, for comparisons with it. A market order fills at
    the last print before the first eligible one; a stop fills at the print that triggers it, a limit at its price when
    touched. What waits above the market answers to no print of a seller, what waits below it to none of a buyer. No
    slippage.
    """

    PESSIMISTIC = "Pessimistic"
    OPTIMISTIC = "Optimistic"
    NEXT_PRINT = "NextPrint"
    NAUTILUS_1_231 = "Nautilus1231"


_WITHOUT_SLIPPAGE: Final = (FillRule.OPTIMISTIC, FillRule.NAUTILUS_1_231)


def parse_fill_rule(text: str, field: str = "fillRule") -> FillRule:
    """The rule of that name; InvalidInput for any other."""
    try:
        return FillRule(text)
    except ValueError:
        raise InvalidInput(field, text, "one of " + ", ".join(FillRule)) from None


@dataclass(frozen=True, slots=True)
class FillRules:
    """A paper account's declarations: the rule, slippage of market and stop fills in ticks, and latency in ns.

    `native_brackets`: whether the market makes stop and target of each fill; else it takes no order that asks for them.
    `pairs`: whether it ends the one of an exit and its pair when the other fills; else it takes no exit that names one.
    InvalidInput when slippage or latency is negative.
    """

    rule: FillRule = FillRule.PESSIMISTIC
    slippage_ticks: int = 1
    latency_ns: int = 50_000_000
    native_brackets: bool = True
    pairs: bool = True

    def __post_init__(self) -> None:
        if self.slippage_ticks < 0:
            raise InvalidInput("slippageTicks", self.slippage_ticks, "0 or more ticks")
        if self.latency_ns < 0:
            raise InvalidInput("latency", self.latency_ns, "0 or more nanoseconds")


class Rest(NamedTuple):
    """How an order rests.

    It matches prints strictly later than `after_ns`; `queued` is the size printed at a limit order's price since then.
    `took` is the source index of the last print of which a limit order took that does not rest yet, -1 before.
    """

    after_ns: int
    queued: int = 0
    took: int = -1


@quickly_made
@dataclass(frozen=True, slots=True)
class Mark:
    """How far a contract's tape has been matched: its last print, and the last of each aggressor."""

    last: LastPrint
    buy: LastPrint | None = None
    sell: LastPrint | None = None


def mark_after(mark: Mark | None, ticks: TickColumns) -> Mark | None:
    """The mark once `ticks` have been matched too."""
    sides = ticks.aggressor.tobytes()
    if not sides:
        return mark
    buy, sell = sides.rfind(_BUYER), sides.rfind(_SELLER)
    return Mark(
        _print_at(ticks, len(sides) - 1),
        _print_at(ticks, buy) if buy >= 0 else mark.buy if mark else None,
        _print_at(ticks, sell) if sell >= 0 else mark.sell if mark else None,
    )


def _print_at(ticks: TickColumns, row: int) -> LastPrint:
    return LastPrint(ticks.price.item(row), ticks.time_ns.item(row), ticks.first_index + row)


def rests_as_limit(order: VenueOrder) -> bool:
    """Whether prints through the order's price fill it: a limit, and a stop-limit whose stop was reached."""
    return order.type is OrderType.LIMIT or (order.type is OrderType.STOP_LIMIT and order.triggered)


def turn_of(order: VenueOrder) -> int:
    """Precedence when one print reaches several orders: a stop before a target, protection before a flatten."""
    return 2 if rests_as_limit(order) else 1 if order.type is OrderType.MARKET else 0


def beyond_limit(order: VenueOrder, price: int) -> bool:
    """Whether a stop-limit order that is triggered may not pay that price."""
    limit = order.limit_price
    return order.type is OrderType.STOP_LIMIT and limit is not None and order.side.sign * (price - limit) > 0


def trigger_of(order: VenueOrder) -> int:
    """The price that decides what the next print does to a limit or a stop order, in ticks."""
    price = order.limit_price if rests_as_limit(order) else order.stop_price
    if price is None:
        raise AssertionError(f"{order.type} order {order.client_id} without a price")
    return price


def trail_level(order: VenueOrder) -> int | None:
    """The first price at which a print moves the order's stop; None for an order that does not trail."""
    if order.trail is None or order.stop_price is None:
        return None
    return order.trail.level(order.stop_price, order.side)


def trailed(order: VenueOrder, price: int) -> int | None:
    """Where a print at `price` moves the order's stop, in ticks; None where it stays."""
    level = trail_level(order)
    if level is None or order.trail is None or order.side.sign * (price - level) > 0:
        return None
    return order.trail.behind(price, order.side)


def within_reach(order: VenueOrder, low: int, high: int) -> bool:
    """Whether prints between these prices, inclusive, can concern the order: fill or move it, or stand in its queue."""
    if order.type is OrderType.MARKET:
        return True
    upwards = rests_as_limit(order) != (order.side is Side.BUY)
    if high >= trigger_of(order) if upwards else low <= trigger_of(order):
        return True
    level = trail_level(order)
    return level is not None and (low <= level if upwards else high >= level)


def first_match(rules: FillRules, order: VenueOrder, rest: Rest, ticks: TickColumns) -> int:
    """First row of `ticks` at which the order fills or is triggered; `len(ticks.time_ns)` when none does."""
    start, end = _eligible(order, rest, ticks)
    if start >= end:
        return len(ticks.time_ns)
    if order.type is OrderType.MARKET:
        return start
    price = ticks.price[start:end]
    row = _first(_reached(rules, order, price, ticks.aggressor[start:end]))
    if rules.rule is FillRule.PESSIMISTIC and rests_as_limit(order):
        row = _first_in_queue(order, rest.queued, price[:row], ticks.size[start : start + row])
    return start + row if start + row < end else len(ticks.time_ns)


def first_trail(order: VenueOrder, rest: Rest, ticks: TickColumns) -> int:
    """First row of `ticks` that moves the order's stop; `len(ticks.time_ns)` when none does."""
    level = trail_level(order)
    if level is None:
        return len(ticks.time_ns)
    start, end = _eligible(order, rest, ticks)
    if start >= end:
        return len(ticks.time_ns)
    price = ticks.price[start:end]
    row = start + _first(price >= level if order.side is Side.SELL else price <= level)
    return row if row < end else len(ticks.time_ns)


def _eligible(order: VenueOrder, rest: Rest, ticks: TickColumns) -> tuple[int, int]:
    """The rows [start, end) that can concern an order: later than it rests, and before it expires."""
    start = int(ticks.time_ns.searchsorted(rest.after_ns, "right"))
    if order.valid_until_ns is None:
        return start, len(ticks.time_ns)
    return start, int(ticks.time_ns.searchsorted(order.valid_until_ns, "left"))


def _first(hits: NDArray[np.bool_]) -> int:
    """The first row that is true of one or more; their number where none is."""
    row = int(hits.argmax())
    return row if hits[row] else len(hits)


def _reached(rules: FillRules, order: VenueOrder, price: Int64Array, aggressor: Int8Array) -> NDArray[np.bool_]:
    """Which of these eligible prints a limit or stop order answers to, whatever has printed at its price."""
    trigger, limit = trigger_of(order), rests_as_limit(order)
    upwards = limit != (order.side is Side.BUY)
    touched: NDArray[np.bool_] = price >= trigger if upwards else price <= trigger
    if rules.rule is FillRule.NAUTILUS_1_231:
        against: NDArray[np.bool_] = aggressor == (Aggressor.SELL if upwards else Aggressor.BUY)
        return touched & ~against
    if not limit or rules.rule is FillRule.OPTIMISTIC:
        return touched
    through: NDArray[np.bool_] = price > trigger if upwards else price < trigger
    return through


def _first_in_queue(order: VenueOrder, queued: int, price: Int64Array, size: Int64Array) -> int:
    """The first of these eligible prints at a limit order's price that reaches it in its queue; their number if none.

    `queued` has printed at its price before.
    """
    at = np.flatnonzero(price == trigger_of(order))
    printed = size[at].cumsum()
    place = int(printed.searchsorted(QUEUE_MULTIPLE * order.quantity - queued, "right"))
    return int(at[place]) if place < len(at) else len(price)


def rest_after(order: VenueOrder, rest: Rest, ticks: TickColumns) -> Rest:
    """How the order rests once these rows, which did not fill it, have printed."""
    if not rests_as_limit(order):
        return rest
    start = int(ticks.time_ns.searchsorted(rest.after_ns, "right"))
    at = ticks.size[start:][ticks.price[start:] == trigger_of(order)]
    return Rest(rest.after_ns, rest.queued + int(np.add.reduce(at)), rest.took) if len(at) else rest


def takes(order: VenueOrder, rest: Rest, before: Mark | None) -> bool:
    """Whether the print after `before` meets a limit order that has not rested yet.

    The market was through its price when it came, and every print since: at a venue it would have taken them.
    """
    if before is None or not rests_as_limit(order):
        return False
    last = before.last
    unrested = last.time_ns <= rest.after_ns or last.source_index == rest.took
    return unrested and order.side.sign * (last.price - trigger_of(order)) < 0


def fill_price(
    rules: FillRules, order: VenueOrder, mark: Mark, before: Mark | None = None, *, taking: bool = False
) -> int:
    """Price in ticks of a fill at the print `mark.last`; of a stop-limit, where it fills as a stop.

    `before` is the mark before that print, None where it is the first. `taking` says that a limit order fills before it
    rests, at the price of a market order or its own, if that is better.
    """
    limit = rests_as_limit(order)
    if limit and not taking:
        return trigger_of(order)
    worst = max if order.side is Side.BUY else min
    price = mark.last.price
    if order.type is not OrderType.MARKET and not limit:
        price = worst(price, trigger_of(order))
    elif rules.rule is FillRule.PESSIMISTIC:
        quote = mark.buy if order.side is Side.BUY else mark.sell
        if quote is not None and mark.last.time_ns - quote.time_ns <= QUOTE_AGE_NS:
            price = worst(price, quote.price)
    elif rules.rule is FillRule.NAUTILUS_1_231 and before is not None:
        price = before.last.price
    if rules.rule not in _WITHOUT_SLIPPAGE:
        price += order.side.sign * rules.slippage_ticks
    best = min if order.side is Side.BUY else max
    return best(price, trigger_of(order)) if limit else price
