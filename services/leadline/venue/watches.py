"""Watches: when does the account's result reach a bound? Exact, over columns.

A price is watched as a position of one size step without cost, with a tick value of 1.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.model.errors import InvalidInput
from leadline.model.orders import Watch
from leadline.model.ticks import Int64Array, TickColumns
from leadline.venue.rules import Mark

_INT64_SAFE: Final = 2**62
_DECIMAL_PLACES: Final = 28


def check_watch(watch: Watch) -> None:
    """InvalidInput when a decimal is not finite or has too many places, or there is no bound to reach."""
    if watch.at_or_below is None and watch.at_or_above is None:
        raise InvalidInput("watch", None, "a bound below, above, or both")
    for value in _decimals(watch):
        if not value.is_finite() or abs(int(value.as_tuple().exponent)) > _DECIMAL_PLACES:
            raise InvalidInput("watch", value, f"finite decimals of at most {_DECIMAL_PLACES} places")


def _decimals(watch: Watch) -> list[Decimal]:
    bounds = [value for value in (watch.at_or_below, watch.at_or_above) if value is not None]
    return [watch.base, *bounds, *(position.tick_value for position in watch.positions)]


def _scale(watch: Watch) -> int:
    """The power of ten that makes an integer of every decimal of the watch."""
    exponents = [int(value.as_tuple().exponent) for value in _decimals(watch)]
    return int(10 ** max(0, *(-exponent for exponent in exponents)))


def first_crossing(watch: Watch, window: Mapping[str, TickColumns], marks: Mapping[str, Mark]) -> int | None:
    """Time of the first instant in the window at whose last prints the watch holds, or None.

    `window` maps a contract to its prints, whole instants only; `marks` has the last prints before the window. A
    contract that has not printed at all keeps the watch silent until it does.
    """
    scale = _scale(watch)
    weights: dict[str, int] = {}
    constant = int(watch.base * scale)
    for position in watch.positions:
        value = int(position.tick_value * scale)
        weights[position.tape_contract] = weights.get(position.tape_contract, 0) + position.quantity * value
        constant -= position.cost * value
    weights = {contract: weight for contract, weight in weights.items() if weight}
    below = None if watch.at_or_below is None else int(watch.at_or_below * scale)
    above = None if watch.at_or_above is None else int(watch.at_or_above * scale)
    lowest, highest, largest = _extremes(constant, weights, window, marks)
    if (below is None or lowest > below) and (above is None or highest < above):
        return None
    times = _instants([window[contract] for contract in weights])
    for contract in weights:
        if contract not in marks:
            first = window[contract].time_ns[:1]
            times = times[times >= first[0]] if len(first) else times[:0]
    if not len(times):
        return None
    # Exact in any case: beyond 64 bits the columns hold Python's integers.
    exact = np.int64 if max(largest, abs(below or 0), abs(above or 0)) < _INT64_SAFE else object
    result = np.full(len(times), constant, exact)
    for contract, weight in weights.items():
        result += _price_at(times, window[contract], marks.get(contract)).astype(exact) * weight
    crossed: NDArray[np.bool_] = np.zeros(len(times), dtype=np.bool_)
    if below is not None:
        crossed |= (result <= below).astype(np.bool_)
    if above is not None:
        crossed |= (result >= above).astype(np.bool_)
    row = int(crossed.argmax())
    return int(times[row]) if crossed[row] else None


def _extremes(
    constant: int, weights: Mapping[str, int], window: Mapping[str, TickColumns], marks: Mapping[str, Mark]
) -> tuple[int, int, int]:
    """Lowest and highest result that the window's prices could make, together or not, and a bound of every sum."""
    lowest = highest = constant
    largest = abs(constant)
    for contract, weight in weights.items():
        price = window[contract].price
        ends = [int(price.min()), int(price.max())] if len(price) else []
        if contract in marks:
            ends.append(marks[contract].last.price)
        results = [weight * end for end in ends] or [0]
        lowest, highest = lowest + min(results), highest + max(results)
        largest += abs(weight) + max(abs(result) for result in results)
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
