"""Diagonal imbalances: one side's volume against the other side's one row away."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Final, Literal

from leadline.model.frozen import quickly_made
from leadline.model.manifest.spec_base import DecimalText
from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import Detector, DetectorParams, Found, FromProfile, Inputs, NodeContext, Volume, known
from leadline.nodes.exact import at_least, capped_quotient, quotient

# As strong as it gets: ten to one.
FULL_RATIO: Final = 10


class ImbalanceParams(DetectorParams):
    """Diagonal imbalances: one side's volume against the other side's one row away."""

    ratio: DecimalText = Decimal("3.0")
    """The larger side must be at least this many times the smaller."""
    min_volume: Annotated[Volume | None, FromProfile("imbalance_min")] = None
    """Least volume of the larger side in size steps; the instrument's profile where absent."""
    zero: Literal["AsOne", "Skip", "Always"] = "AsOne"
    """The count of an empty other side: one, no imbalance, or always an imbalance."""


@quickly_made
@dataclass(frozen=True, slots=True)
class ImbalancedRow:
    """One imbalanced row: `volume` at `row` against `against` of the other side at `neighbour`, one row away."""

    row: int
    volume: int
    neighbour: int
    against: int


@dataclass(frozen=True, slots=True)
class Imbalances(Found):
    """The imbalanced rows of each side, lowest first."""

    buys: Sequence[ImbalancedRow]
    sells: Sequence[ImbalancedRow]


class Imbalance(Detector[ImbalanceParams, Imbalances]):
    """Rows in which one side outweighs the other side's volume one row away, one signal for each.

    Buying is compared with the selling one row below, which the bar's lowest row does not have; selling with the buying
    one row above, which the highest row does not have. A signal is strong in proportion to its ratio.
    """

    name = "imbalance"
    params_model = ImbalanceParams
    patterns = (Pattern.BUY_IMBALANCE, Pattern.SELL_IMBALANCE)
    spans_sessions = True

    def __init__(self, params: ImbalanceParams, context: NodeContext) -> None:
        super().__init__(params, context)
        self._ratio = Fraction(self.params.ratio)
        self._least = known(self.params.min_volume)

    def update(self, inputs: Inputs) -> Imbalances:
        """The bar's imbalanced rows, with their signals where the detector is on."""
        step, rows = inputs.bar.ticks_per_row, inputs.bar.rows
        # Plain numbers: a bar has some twenty rows, for which arrays cost more than they save.
        prices, bids, asks = rows.price.tolist(), rows.bid.tolist(), rows.ask.tolist()
        beside = [high - low == step for low, high in pairwise(prices)]
        buys = self._imbalanced(prices[1:], asks[1:], _next_to(bids[:-1], beside), -step)
        sells = self._imbalanced(prices[:-1], bids[:-1], _next_to(asks[1:], beside), step)
        return Imbalances(_signals(buys, sells) if self.params.enabled else (), buys, sells)

    def _imbalanced(
        self, prices: Sequence[int], own: Sequence[int], others: Sequence[int], step: int
    ) -> list[ImbalancedRow]:
        """Rows at `prices` whose volumes outweigh those of the `others`, `step` ticks away."""
        least, ratio, unit = self._least, self._ratio.numerator, self._ratio.denominator
        return [
            ImbalancedRow(price, volume, price + step, against)
            for price, volume, against in zip(prices, own, others, strict=True)
            if volume >= least and (volume * unit >= ratio * against if against else self._outweighs_nothing(volume))
        ]

    def _outweighs_nothing(self, volume: int) -> bool:
        if self.params.zero != "AsOne":
            return self.params.zero == "Always"
        return at_least(volume, 1, self._ratio)


def _next_to(volumes: Sequence[int], beside: Sequence[bool]) -> Sequence[int]:
    """The volumes of the next rows, nothing where the next row is not beside: none was traded there."""
    return (
        volumes if all(beside) else [volume if is_next else 0 for volume, is_next in zip(volumes, beside, strict=True)]
    )


def _signals(buys: Sequence[ImbalancedRow], sells: Sequence[ImbalancedRow]) -> list[Signal]:
    return [_signal(Pattern.BUY_IMBALANCE, Direction.LONG, found) for found in buys] + [
        _signal(Pattern.SELL_IMBALANCE, Direction.SHORT, found) for found in sells
    ]


def _signal(pattern: Pattern, direction: Direction, found: ImbalancedRow) -> Signal:
    against = max(found.against, 1)
    return Signal(
        pattern,
        direction,
        found.row,
        capped_quotient(found.volume, FULL_RATIO * against),
        {
            "volume": found.volume,
            "neighbour": found.neighbour,
            "against": found.against,
            "ratio": str(quotient(found.volume, against)),
        },
    )
