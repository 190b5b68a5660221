"""Fill rules: at which print an order matches, and at what price. The only place that knows them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leadline.execution.venues.paper.orders import VenueOrder
from leadline.model.errors import InvalidInput
from leadline.model.orders import OrderType, Side
from leadline.model.ticks import NS_PER_SECOND, Aggressor, TickColumns

QUOTE_AGE_NS: Final = NS_PER_SECOND
"""How old an aggressor's print may be to stand for the price that a market order would have to pay."""

QUEUE_MULTIPLE: Final = 2
"""A limit order is reached in its queue when more than this many times its size has printed at its price."""


class FillRule(StrEnum):
    """Which print fills what.

    PESSIMISTIC: a market order pays the worse of the first eligible print and the last print of its own aggressor not
    older than a second, plus slippage; a stop triggers on a print at or through it and fills at the worse of the two,
    plus slippage; a limit fills at its price when a print trades through it, or when a print at it makes the size
    printed there since the order rested exceed twice the order.
    OPTIMISTIC: the first eligible print, no slippage; a limit fills when touched.
    NEXT_PRINT: a market order fills at the first eligible print plus slippage, whoever was its aggressor; stops as
    PESSIMISTIC; a limit fills only when a print trades through it.
    """

    PESSIMISTIC = "Pessimistic"
    OPTIMISTIC = "Optimistic"
    NEXT_PRINT = "NextPrint"


def parse_fill_rule(text: str, field: str = "fillRule") -> FillRule:
    """The rule of that name; InvalidInput for any other."""
    try:
        return FillRule(text)
    except ValueError:
        raise InvalidInput(field, text, "one of " + ", ".join(FillRule)) from None


@dataclass(frozen=True, slots=True)
class FillRules:
    """What a paper account declares: the rule, slippage of market and stop fills in ticks, and latency in ns.

    InvalidInput when slippage or latency is negative.
    """

    rule: FillRule = FillRule.PESSIMISTIC
    slippage_ticks: int = 1
    latency_ns: int = 50_000_000

    def __post_init__(self) -> None:
        if self.slippage_ticks < 0:
            raise InvalidInput("slippageTicks", self.slippage_ticks, "0 or more ticks")
        if self.latency_ns < 0:
            raise InvalidInput("latency", self.latency_ns, "0 or more nanoseconds")


class Print(NamedTuple):
    """One print: ns UTC, ticks, source index."""

    time_ns: int
    price: int
    source_index: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a contract's tape has been matched: its last print, and the last of each aggressor."""

    last: Print
    buy: Print | None = None
    sell: Print | None = None


def mark_after(mark: Mark | None, ticks: TickColumns) -> Mark | None:
    """The mark once `ticks` have been matched too."""
    if not len(ticks):
        return mark
    return Mark(
        _print_at(ticks, len(ticks) - 1),
        _last_of(Aggressor.BUY, ticks) or (mark.buy if mark else None),
        _last_of(Aggressor.SELL, ticks) or (mark.sell if mark else None),
    )


def _print_at(ticks: TickColumns, row: int) -> Print:
    return Print(int(ticks.time_ns[row]), int(ticks.price[row]), ticks.first_index + row)


def _last_of(aggressor: Aggressor, ticks: TickColumns) -> Print | None:
    found = ticks.aggressor[::-1] == aggressor
    back = int(found.argmax())
    return _print_at(ticks, len(ticks) - 1 - back) if found[back] else None


def first_match(rules: FillRules, order: VenueOrder, queued: int, ticks: TickColumns) -> int:
    """First row of `ticks` at which the order matches; `len(ticks)` when none does.

    `queued` is the size that printed at a limit order's price since it rested, before these rows.
    """
    start = int(ticks.time_ns.searchsorted(order.eligible_after_ns, "right"))
    if start == len(ticks) or order.type is OrderType.MARKET:
        return start
    hits = _reached(rules, order, queued, ticks.price[start:], ticks.size[start:])
    row = int(hits.argmax())
    return start + row if hits[row] else len(ticks)


def _reached(
    rules: FillRules, order: VenueOrder, queued: int, price: NDArray[np.int64], size: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which of these eligible prints a limit or stop order answers to."""
    buy = order.side is Side.BUY
    trigger = order.trigger
    above: NDArray[np.bool_] = price >= trigger
    below: NDArray[np.bool_] = price <= trigger
    if order.type is OrderType.STOP:
        return above if buy else below
    if rules.rule is FillRule.OPTIMISTIC:
        return below if buy else above
    through: NDArray[np.bool_] = price < trigger if buy else price > trigger
    if rules.rule is FillRule.NEXT_PRINT:
        return through
    at = price == trigger
    if not at.any():
        return through
    printed = queued + np.cumsum(np.where(at, size, 0))
    reached: NDArray[np.bool_] = through | (at & (printed > QUEUE_MULTIPLE * order.quantity))
    return reached


def size_queued(order: VenueOrder, ticks: TickColumns) -> int:
    """Size that these rows print at a limit order's price while it rests; 0 for other orders."""
    if order.type is not OrderType.LIMIT:
        return 0
    start = int(ticks.time_ns.searchsorted(order.eligible_after_ns, "right"))
    return int(ticks.size[start:][ticks.price[start:] == order.trigger].sum())


def fill_price(rules: FillRules, order: VenueOrder, mark: Mark) -> int:
    """Price in ticks of a fill at the print `mark.last`."""
    if order.type is OrderType.LIMIT:
        return order.trigger
    worst = max if order.side is Side.BUY else min
    price = mark.last.price
    if order.type is OrderType.STOP:
        price = worst(price, order.trigger)
    elif rules.rule is FillRule.PESSIMISTIC:
        quote = mark.buy if order.side is Side.BUY else mark.sell
        if quote is not None and mark.last.time_ns - quote.time_ns <= QUOTE_AGE_NS:
            price = worst(price, quote.price)
    if rules.rule is FillRule.OPTIMISTIC:
        return price
    return price + order.side.sign * rules.slippage_ticks
