"""Exhaustion: one side's volume that dries up towards the bar's extreme."""

from decimal import Decimal
from fractions import Fraction

from leadline.model.manifest.spec_base import DecimalText
from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import Detector, DetectorParams, Found, Inputs, Levels, NodeContext
from leadline.nodes.exact import at_least, quotient


class ExhaustionParams(DetectorParams):
    """One side's volume drying up towards the bar's extreme."""

    levels: Levels = 3
    """Fewest rows that fall in a row."""
    within: Levels = 5
    """Among this many outermost rows."""
    drop: DecimalText = Decimal("0.30")
    """Least share by which the volume falls."""


class Exhaustion(Detector[ExhaustionParams, Found]):
    """Buying that dries up into the high (SHORT), selling that dries up into the low (LONG).

    Walked from the extreme inwards the aggressors' volume must rise strictly from level to level; the strength is the
    share by which it has fallen from the innermost level of that run to the extreme. The innermost level must have
    traded the instrument's own imbalance minimum, whatever the manifest asks of an imbalance.
    """

    name = "exhaustion"
    params_model = ExhaustionParams
    patterns = (Pattern.BUYING_EXHAUSTION, Pattern.SELLING_EXHAUSTION)
    spans_sessions = True

    def __init__(self, params: ExhaustionParams, context: NodeContext) -> None:
        super().__init__(params, context)
        self._drop = Fraction(self.params.drop)
        self._least = context.thresholds.imbalance_min

    def thresholds(self) -> dict[str, str]:
        """The parameters, and `minVolume`: what the innermost level must have traded."""
        return super().thresholds() | {"minVolume": str(self._least)}

    def update(self, inputs: Inputs) -> Found:
        """Exhaustion at the bar's high, then at its low."""
        bar, outer = inputs.bar, self.params.within
        rows = bar.rows
        from_high, from_low = slice(None, -outer - 1, -1), slice(outer)
        high = rows.price[from_high].tolist(), rows.ask[from_high].tolist()
        low = rows.price[from_low].tolist(), rows.bid[from_low].tolist()
        return Found(
            [
                *self._exhausted(Pattern.BUYING_EXHAUSTION, Direction.SHORT, bar.high, *high),
                *self._exhausted(Pattern.SELLING_EXHAUSTION, Direction.LONG, bar.low, *low),
            ]
        )

    def _exhausted(
        self, pattern: Pattern, direction: Direction, price: int, prices: list[int], volumes: list[int]
    ) -> list[Signal]:
        """`prices` and `volumes` from the extreme inwards."""
        length = 1
        while length < len(volumes) and volumes[length] > volumes[length - 1]:
            length += 1
        if length < self.params.levels:
            return []
        run = volumes[:length]
        outermost, innermost = run[0], run[-1]
        if innermost < self._least or not at_least(innermost - outermost, innermost, self._drop):
            return []
        drop = quotient(innermost - outermost, innermost)
        evidence: dict[str, int | str | list[int]] = {
            "rows": prices[:length],
            "volumes": run,
            "drop": str(drop),
        }
        return [Signal(pattern, direction, price, drop, evidence)]
