"""Absorption: heavy aggression at the bar's extreme that does not move the price further."""

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Final

from leadline.model.bars import Bar
from leadline.model.manifest.spec_base import DecimalText
from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import (
    Detector,
    DetectorParams,
    Found,
    FromProfile,
    Inputs,
    Levels,
    NodeContext,
    Volume,
    known,
)
from leadline.nodes.exact import at_least, capped_quotient, quotient

# As strong as it gets: twice the absorption minimum, with the close at the far end.
FULL_ABSORPTION: Final = 2


class AbsorptionParams(DetectorParams):
    """Heavy aggression at the bar's extreme that does not move the price further."""

    levels: Levels = 3
    """Outermost rows taken together."""
    share: DecimalText = Decimal("0.60")
    """Least share of the aggressors in their volume."""
    min_volume: Annotated[Volume | None, FromProfile("absorption_min")] = None
    """Least volume of these rows in size steps; the instrument's profile where absent."""


class Absorption(Detector[AbsorptionParams, Found]):
    """Aggressors at an extreme whom passive orders absorbed, so that the bar closed away from it.

    Named for the side that results: passive buyers who absorbed sellers at the low are BUYING_ABSORPTION (LONG). A bar
    gives at most one: the stronger, neither on a tie.
    """

    name = "absorption"
    params_model = AbsorptionParams
    patterns = (Pattern.BUYING_ABSORPTION, Pattern.SELLING_ABSORPTION)
    spans_sessions = True

    def __init__(self, params: AbsorptionParams, context: NodeContext) -> None:
        super().__init__(params, context)
        self._share = Fraction(self.params.share)
        self._least = known(self.params.min_volume)

    def update(self, inputs: Inputs) -> Found:
        """The bar's absorption, if there is one."""
        bar, outer = inputs.bar, self.params.levels
        if bar.high == bar.low or len(bar.rows) < outer:
            return Found(())
        low, high = slice(None, outer), slice(-outer, None)
        found = self._absorbed(
            Pattern.BUYING_ABSORPTION, Direction.LONG, bar.low, low, bar.close - bar.low, bar
        ) + self._absorbed(Pattern.SELLING_ABSORPTION, Direction.SHORT, bar.high, high, bar.high - bar.close, bar)
        if len(found) < 2:
            return Found(found)
        weaker, stronger = sorted(found, key=lambda signal: signal.strength)
        return Found([] if weaker.strength == stronger.strength else [stronger])

    def _absorbed(
        self, pattern: Pattern, direction: Direction, price: int, outer: slice, away: int, bar: Bar
    ) -> list[Signal]:
        """`outer` rows at the extreme `price`; the close is `away` ticks from it."""
        span = bar.high - bar.low
        bid, ask = sum(bar.rows.bid[outer].tolist()), sum(bar.rows.ask[outer].tolist())
        aggressors = ask if direction is Direction.SHORT else bid
        if bid + ask < self._least or not at_least(aggressors, bid + ask, self._share) or 2 * away < span:
            return []
        return [
            Signal(
                pattern,
                direction,
                price,
                capped_quotient(away * aggressors, span * FULL_ABSORPTION * self._least),
                {
                    "rows": bar.rows.price[outer].tolist(),
                    "bid": bid,
                    "ask": ask,
                    "share": str(quotient(aggressors, bid + ask)),
                    "close_position": str(quotient(bar.close - bar.low, span)),
                },
            )
        ]
