"""Watches: when does the account's result reach a bound? Exact, over columns.

A price is watched as a position of one size step without cost, with a tick value of 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.orders import Watch
from leadline.model.ticks import Int64Array, TickColumns
from leadline.model.worth import WORTH_PLACES, worth
from leadline.venue.fill_rules import Mark

_INT64_SAFE: Final = 2**62
_DECIMAL_PLACES: Final = 28
_NO_PRINTS: Final = TickColumns.empty()


Range = tuple[int, int]
"""The lowest and the highest price of some prints, ticks."""


def price_range(ticks: TickColumns) -> Range | None:
    """The range of the prices of prints; None where there are none."""
    price = ticks.price
    return (int(np.minimum.reduce(price)), int(np.maximum.reduce(price))) if len(price) else None


@dataclass(frozen=True, slots=True)
class _Part:
    """A contract's part of the result at a price, as integers of a scale: price x weight, or quantity x worth."""

    contract: ContractId
    weight: int
    inverse_value: Decimal | None
    scale: int

    def at(self, prices: NDArray[Any]) -> NDArray[Any]:
        """The results at prices: of the prices' type where it is linear, else Python's integers."""
        if self.inverse_value is None:
            return prices * self.weight
        different, where = np.unique(prices, return_inverse=True)
        table = np.array([self.one(int(price)) for price in different], dtype=object)
        found: NDArray[Any] = table[where]
        return found

    def one(self, price: int) -> int:
        """The result at one price."""
        if self.inverse_value is None:
            return price * self.weight
        return self.weight * int(worth(price, self.inverse_value, inverse=True) * self.scale)


def _parts(watch: Watch, scale: int) -> list[_Part]:
    """The watch's positions, those of one contract together; what moves nothing is left out."""
    linear: dict[ContractId, int] = {}
    inverse: dict[tuple[ContractId, Decimal], int] = {}
    for position in watch.positions:
        contract, value = position.tape_contract, position.tick_value
        if position.inverse:
            inverse[contract, value] = inverse.get((contract, value), 0) + position.quantity
        else:
            linear[contract] = linear.get(contract, 0) + position.quantity * int(value * scale)
    parts = [_Part(contract, weight, None, scale) for contract, weight in linear.items()]
    parts += [_Part(contract, quantity, value, scale) for (contract, value), quantity in inverse.items()]
    return [part for part in parts if part.weight]


@dataclass(frozen=True, slots=True)
class ScaledWatch:
    """A watch in integers: its result is `constant` and that of its parts at their prices."""

    constant: int
    parts: tuple[_Part, ...]
    below: int | None
    above: int | None


def scaled(watch: Watch) -> ScaledWatch:
    """A watch in integers of the power of ten that makes one of every decimal of it, and of every worth.

    InvalidInput when a decimal is not finite or has too many places, or there is no bound to reach.
    """
    if watch.at_or_below is None and watch.at_or_above is None:
        raise InvalidInput("watch", None, "a bound below, above, or both")
    places = max(0, *map(_places, _decimals(watch)))
    if any(position.inverse for position in watch.positions):
        places = max(places, WORTH_PLACES)
    scale = int(10**places)
    return ScaledWatch(
        int(watch.base * scale) - sum(int(position.cost * scale) for position in watch.positions),
        tuple(_parts(watch, scale)),
        None if watch.at_or_below is None else int(watch.at_or_below * scale),
        None if watch.at_or_above is None else int(watch.at_or_above * scale),
    )


def _decimals(watch: Watch) -> list[Decimal]:
    bounds = [value for value in (watch.at_or_below, watch.at_or_above) if value is not None]
    values = [value for position in watch.positions for value in (position.tick_value, position.cost)]
    return [watch.base, *bounds, *values]


def _places(value: Decimal) -> int:
    """Decimal places of a number, below 0 of a round one; InvalidInput when it is none or has too many."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _DECIMAL_PLACES:
        raise InvalidInput("watch", value, f"finite decimals of at most {_DECIMAL_PLACES} places")
    return -exponent


def first_crossing(
    watch: ScaledWatch,
    window: Mapping[ContractId, TickColumns],
    ranges: Mapping[ContractId, Range | None],
    marks: Mapping[ContractId, Mark],
) -> int | None:
    """Time of the first instant in the window at whose last prints the watch holds, or None.

    `window` maps a contract to its prints, whole instants only, and `ranges` to the range of their prices, where it has
    some; `marks` has the last prints before the window. A contract that has not printed at all keeps the watch silent
    until it does.
    """
    constant, parts, below, above = watch.constant, watch.parts, watch.below, watch.above
    lowest, highest, largest = _extremes(constant, parts, ranges, marks)
    if (below is None or lowest > below) and (above is None or highest < above):
        return None
    contracts = list(dict.fromkeys(part.contract for part in parts))
    times = _instants([window[contract] for contract in contracts if contract in window])
    for contract in contracts:
        if contract not in marks:
            first = window.get(contract, _NO_PRINTS).time_ns[:1]
            times = times[times >= first[0]] if len(first) else times[:0]
    if not len(times):
        return None
    # Exact in any case: beyond 64 bits the columns hold Python's integers.
    exact = np.int64 if largest < _INT64_SAFE else object
    result = np.full(len(times), constant, exact)
    for part in parts:
        prices = _price_at(times, window.get(part.contract, _NO_PRINTS), marks.get(part.contract))
        result += part.at(prices.astype(exact) if part.inverse_value is None else prices).astype(exact)
    crossed: NDArray[np.bool_] = np.zeros(len(times), dtype=np.bool_)
    if below is not None:
        crossed |= (result <= below).astype(np.bool_)
    if above is not None:
        crossed |= (result >= above).astype(np.bool_)
    row = int(crossed.argmax())
    return int(times[row]) if crossed[row] else None


def _extremes(
    constant: int,
    parts: Sequence[_Part],
    ranges: Mapping[ContractId, Range | None],
    marks: Mapping[ContractId, Mark],
) -> tuple[int, int, int]:
    """Lowest and highest result that the window's prices could make, together or not, and a bound of every sum.

    A part moves one way with its price, so that its own extremes are at those of the price.
    """
    lowest = highest = constant
    largest = abs(constant)
    for part in parts:
        ends = list(ranges.get(part.contract) or ())
        if part.contract in marks:
            ends.append(marks[part.contract].last.price)
        results = [part.one(end) for end in ends] or [0]
        lowest, highest = lowest + min(results), highest + max(results)
        largest += abs(part.weight) + max(abs(result) for result in results)
    return lowest, highest, largest


def _instants(parts: list[TickColumns]) -> Int64Array:
    """The times of all prints of the parts, in order."""
    if len(parts) == 1:
        return parts[0].time_ns
    return np.sort(np.concatenate([part.time_ns for part in parts])) if parts else np.empty(0, dtype=np.int64)


def _price_at(times: Int64Array, ticks: TickColumns, mark: Mark | None) -> Int64Array:
    """Price of the last print at or before each time; `mark` is the last print before `ticks`."""
    before = mark.last.price if mark is not None else 0
    return np.concatenate(([before], ticks.price))[ticks.time_ns.searchsorted(times, "right")]
