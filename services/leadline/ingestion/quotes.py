"""The side of prints whose venue does not say it, by the quote before each: Lee and Ready's rule."""

import numpy as np

from leadline.model.errors import InvalidInput
from leadline.model.ticks import Aggressor, Int8Array, Int64Array, TickColumns


class QuotedSides:
    """Gives the prints of one contract their sides, in the order of their source.

    A print at the ask or above was bought, one at the bid or below sold; between them the nearer one counts. Exactly in
    the middle the tick rule does: bought above the last other price, sold below it. The first print of all there, and
    one without a quote, stays unknown. A side that the venue has said stays as it is.
    """

    def __init__(self) -> None:
        self._price: int | None = None
        self._way = 0

    def of(self, ticks: TickColumns, bid: Int64Array, ask: Int64Array) -> Int8Array:
        """The sides of prints; int8 of `Aggressor`, shape (n,).

        bid, ask: the quote before each, ticks, shape (n,); the bid lies above the ask where there was none. Raises
        InvalidInput for columns of another length.
        """
        for name, column in (("bid", bid), ("ask", ask)):
            if len(column) != len(ticks):
                raise InvalidInput(name, f"{len(column)} values", f"one for each of {len(ticks)} prints, or none")
        quoted = bid <= ask
        twice, middle = 2 * ticks.price, bid + ask
        side = np.where(
            twice > middle, Aggressor.BUY, np.where(twice < middle, Aggressor.SELL, self._ticks(ticks.price))
        )
        return np.where((ticks.aggressor == 0) & quoted, side, ticks.aggressor).astype(np.int8)

    def _ticks(self, price: Int64Array) -> Int64Array:
        """The way from the last other price to each, 1 up and -1 down, 0 before there was another; shape (n,)."""
        if not len(price):
            return price
        first = price[0] if self._price is None else self._price
        ways = np.sign(np.diff(price, prepend=first))
        # A print at the price before it has the way of that print.
        moved = np.maximum.accumulate(np.where(ways != 0, np.arange(len(ways)), -1))
        found: Int64Array = np.where(moved >= 0, ways[moved], self._way)
        self._price, self._way = int(price[-1]), int(found[-1])
        return found
