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
    times = _instants([window[contract] for contract in weights])
    for contract in weights:
        if contract not in marks:
            first = window[contract].time_ns[:1]
            times = times[times >= first[0]] if len(first) else times[:0]
    if not len(times):
        return None
    prices = {contract: _price_at(times, window[contract], marks.get(contract)) for contract in weights}
    below = None if watch.at_or_below is None else int(watch.at_or_below * scale)
    above = None if watch.at_or_above is None else int(watch.at_or_above * scale)
    largest = abs(constant) + sum(abs(weight) * int(np.abs(prices[c]).max()) for c, weight in weights.items())
    exact = np.int64 if max(largest, abs(below or 0), abs(above or 0)) < _INT64_SAFE else object
    result = sum((prices[c].astype(exact) * weight for c, weight in weights.items()), start=np.array(constant, exact))
    crossed: NDArray[np.bool_] = np.zeros(len(times), dtype=np.bool_)
    if below is not None:
        crossed |= (result <= below).astype(np.bool_)
    if above is not None:
        crossed |= (result >= above).astype(np.bool_)
    row = int(crossed.argmax())
    return int(times[row]) if crossed[row] else None


def _instants(parts: list[TickColumns]) -> Int64Array:
    """The distinct times of the parts, in order."""
    if len(parts) == 1:
        time_ns = parts[0].time_ns
        return time_ns[np.append(time_ns[1:] != time_ns[:-1], True)] if len(time_ns) else time_ns
    joined = np.concatenate([part.time_ns for part in parts]) if parts else np.empty(0, dtype=np.int64)
    return np.unique(joined)


def _price_at(times: Int64Array, ticks: TickColumns, mark: Mark | None) -> Int64Array:
    """Price of the last print at or before each time; `mark` is the last print before `ticks`."""
    before = mark.last.price if mark is not None else 0
    return np.concatenate(([before], ticks.price))[ticks.time_ns.searchsorted(times, "right")]
