"""Unfinished auctions: extremes at which both sides still traded, remembered until price comes back."""

from collections import deque
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, TypeAlias

from pydantic import Field

from leadline.model.bars import Bar, BarKey
from leadline.model.frozen import quickly_made
from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import Detector, DetectorParams, Found, Inputs, NodeContext
from leadline.nodes.exact import capped_quotient


@quickly_made
@dataclass(frozen=True, slots=True)
class UnfinishedAuction:
    """A bar's extreme with trading on both sides.

    `direction` LONG for a high (price is drawn up to it), SHORT for a low; `price` in ticks; `bid` and `ask` the
    volumes of the extreme row in size steps.
    """

    direction: Direction
    price: int
    bar: BarKey
    bid: int
    ask: int


_Numbered: TypeAlias = tuple[int, UnfinishedAuction]


class UnfinishedParams(DetectorParams):
    """Extremes at which both sides traded, listed until price comes back."""

    keep: Annotated[int, Field(ge=1, le=50)] = 50
    """How many stay listed, the newest."""


class Unfinished(Detector[UnfinishedParams, Found]):
    """Extremes at which both sides traded, listed until a later bar trades at or through them.

    An auction at a high is finished when nobody sold into it, at a low when nobody bought there. The list runs across
    sessions. The strength is the smaller side against the instrument's own imbalance minimum.
    """

    name = "unfinished"
    params_model = UnfinishedParams
    patterns = (Pattern.UNFINISHED_HIGH, Pattern.UNFINISHED_LOW, Pattern.UNFINISHED_REVISITED)
    spans_sessions = True

    def __init__(self, params: UnfinishedParams, context: NodeContext) -> None:
        super().__init__(params, context)
        self._full_volume = context.thresholds.imbalance_min
        # Highs and lows, each with its number, oldest first. No bar has come back to any, so highs fall from one to the
        # next and lows rise, and the newest is reached first.
        self._highs: deque[_Numbered] = deque()
        self._lows: deque[_Numbered] = deque()
        self._count = 0

    @property
    def open(self) -> tuple[UnfinishedAuction, ...]:
        """The extremes that are listed, oldest first."""
        return tuple(auction for _, auction in sorted([*self._highs, *self._lows], key=itemgetter(0)))

    def thresholds(self) -> dict[str, str]:
        """The parameters, and `fullVolume`: the volume of the smaller side that is full strength."""
        return super().thresholds() | {"fullVolume": str(self._full_volume)}

    def warm(self, bar: Bar) -> None:
        """Keep the list over the bars of the history sessions."""
        self._take(bar)

    def update(self, inputs: Inputs) -> Found:
        """Take one bar in: auctions that it revisits leave the list, then its own are added.

        A bar never revisits its own extremes.
        """
        fresh, revisited = self._take(inputs.bar)
        return Found([self._found(auction) for auction in fresh] + [self._revisited(auction) for auction in revisited])

    def _take(self, bar: Bar) -> tuple[list[UnfinishedAuction], list[UnfinishedAuction]]:
        highs, lows = self._highs, self._lows
        revisited: list[_Numbered] = []
        # At the auction's price or through it.
        while highs and bar.high >= highs[-1][1].price:
            revisited.append(highs.pop())
        while lows and bar.low <= lows[-1][1].price:
            revisited.append(lows.pop())
        revisited.sort(key=itemgetter(0))
        fresh = _unfinished(bar)
        for auction in fresh:
            self._count += 1
            (highs if auction.direction is Direction.LONG else lows).append((self._count, auction))
        while len(highs) + len(lows) > self.params.keep:
            (highs if not lows or (highs and highs[0][0] < lows[0][0]) else lows).popleft()
        return fresh, [auction for _, auction in revisited]

    def _found(self, auction: UnfinishedAuction) -> Signal:
        high = auction.direction is Direction.LONG
        return Signal(
            Pattern.UNFINISHED_HIGH if high else Pattern.UNFINISHED_LOW,
            auction.direction,
            auction.price,
            capped_quotient(min(auction.bid, auction.ask), self._full_volume),
            {"bid": auction.bid, "ask": auction.ask},
        )

    def _revisited(self, auction: UnfinishedAuction) -> Signal:
        return Signal(
            Pattern.UNFINISHED_REVISITED,
            auction.direction,
            auction.price,
            capped_quotient(min(auction.bid, auction.ask), self._full_volume),
            {
                "extreme": "high" if auction.direction is Direction.LONG else "low",
                "trading_day": auction.bar.trading_day.isoformat(),
                "ordinal": auction.bar.ordinal,
                "bid": auction.bid,
                "ask": auction.ask,
            },
        )


def _unfinished(bar: Bar) -> list[UnfinishedAuction]:
    found = []
    for direction, price, row in ((Direction.LONG, bar.high, -1), (Direction.SHORT, bar.low, 0)):
        bid, ask = bar.rows.bid.item(row), bar.rows.ask.item(row)
        if bid > 0 and ask > 0:
            found.append(UnfinishedAuction(direction, price, bar.key, bid, ask))
    return found
