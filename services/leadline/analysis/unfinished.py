"""Unfinished auctions: extremes at which both sides still traded, remembered until price comes back."""

from collections import deque
from dataclasses import dataclass

from leadline.analysis.exact import capped_quotient
from leadline.analysis.settings import UnfinishedSettings
from leadline.model.bars import Bar, BarKey
from leadline.model.signals import Direction, Pattern, Signal


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


class UnfinishedAuctions:
    """The auctions of past bars that are still unfinished, newest last, at most as many as the settings keep.

    An auction at a high is finished when nobody sold into it, at a low when nobody bought there.
    """

    def __init__(self, settings: UnfinishedSettings) -> None:
        self._settings = settings
        self._open: deque[UnfinishedAuction] = deque(maxlen=settings.keep)

    @property
    def open(self) -> tuple[UnfinishedAuction, ...]:
        """What is listed, oldest first."""
        return tuple(self._open)

    def update(self, bar: Bar) -> list[Signal]:
        """Take one bar in: auctions that it revisits leave the list, then its own are added.

        A bar never revisits its own extremes.
        """
        revisited = [auction for auction in self._open if _trades_at(bar, auction)]
        for auction in revisited:
            self._open.remove(auction)
        fresh = _unfinished(bar)
        self._open.extend(fresh)
        return [self._found(auction) for auction in fresh] + [self._revisited(auction) for auction in revisited]

    def _found(self, auction: UnfinishedAuction) -> Signal:
        high = auction.direction is Direction.LONG
        return Signal(
            Pattern.UNFINISHED_HIGH if high else Pattern.UNFINISHED_LOW,
            auction.direction,
            auction.price,
            capped_quotient(min(auction.bid, auction.ask), self._settings.full_volume),
            {"bid": auction.bid, "ask": auction.ask},
        )

    def _revisited(self, auction: UnfinishedAuction) -> Signal:
        return Signal(
            Pattern.UNFINISHED_REVISITED,
            auction.direction,
            auction.price,
            capped_quotient(min(auction.bid, auction.ask), self._settings.full_volume),
            {
                "extreme": "high" if auction.direction is Direction.LONG else "low",
                "trading_day": auction.bar.trading_day.isoformat(),
                "ordinal": auction.bar.ordinal,
                "bid": auction.bid,
                "ask": auction.ask,
            },
        )


def _trades_at(bar: Bar, auction: UnfinishedAuction) -> bool:
    """At the auction's price or through it."""
    return bar.high >= auction.price if auction.direction is Direction.LONG else bar.low <= auction.price


def _unfinished(bar: Bar) -> list[UnfinishedAuction]:
    found = []
    for direction, price, row in ((Direction.LONG, bar.high, -1), (Direction.SHORT, bar.low, 0)):
        bid, ask = int(bar.rows.bid[row]), int(bar.rows.ask[row])
        if bid > 0 and ask > 0:
            found.append(UnfinishedAuction(direction, price, bar.key, bid, ask))
    return found
