"""Delta divergence: a new extreme of price that delta does not confirm."""

from collections import deque
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from leadline.model.bars import Bar
from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import Detector, DetectorParams, Found, Inputs, NodeContext

STRENGTH: Final = Decimal("0.700000")


class DivergenceParams(DetectorParams):
    """A new extreme of price that delta does not confirm."""

    lookback: Annotated[int, Field(ge=2, le=100)] = 5
    """Closed bars of one session, the current one included."""
    source: Literal["Bar", "Cumulative"] = "Bar"
    """Which delta is compared: the bar's own, or the session's running sum."""


class Divergence(Detector[DivergenceParams, Found]):
    """A new extreme of price among the last bars of the session that delta does not confirm.

    The current delta must have the sign against the extreme and be beyond that of the bar that held the extreme before
    (the latest of equals). An equal extreme is not a new one. With fewer bars than `lookback` there is no answer.
    """

    name = "divergence"
    params_model = DivergenceParams
    patterns = (Pattern.BULLISH_DELTA_DIVERGENCE, Pattern.BEARISH_DELTA_DIVERGENCE)

    def __init__(self, params: DivergenceParams, context: NodeContext) -> None:
        super().__init__(params, context)
        # Bars of one session only: the bars of the history sessions are not told here, but in `warm`.
        self._bars: deque[Bar] = deque(maxlen=params.lookback)

    @property
    def warm_up(self) -> int:
        """The bars that it compares."""
        return self.params.lookback

    def update(self, inputs: Inputs) -> Found:
        """The divergence at the bar, if there is one."""
        self._bars.append(inputs.bar)
        if len(self._bars) < self.params.lookback:
            return Found(())
        *before, current = self._bars
        high = max(reversed(before), key=lambda bar: bar.high)
        low = min(reversed(before), key=lambda bar: bar.low)
        delta = self._delta(current)
        if current.high > high.high and delta < 0 and delta < self._delta(high):
            evidence = self._evidence(high.high, high, delta)
            return Found([Signal(Pattern.BEARISH_DELTA_DIVERGENCE, Direction.SHORT, current.high, STRENGTH, evidence)])
        if current.low < low.low and delta > 0 and delta > self._delta(low):
            evidence = self._evidence(low.low, low, delta)
            return Found([Signal(Pattern.BULLISH_DELTA_DIVERGENCE, Direction.LONG, current.low, STRENGTH, evidence)])
        return Found(())

    def _delta(self, bar: Bar) -> int:
        return bar.delta if self.params.source == "Bar" else bar.cumulative_delta

    def _evidence(self, price: int, reference: Bar, delta: int) -> dict[str, int | str | list[int]]:
        return {
            "delta": delta,
            "reference_ordinal": reference.key.ordinal,
            "reference_price": price,
            "reference_delta": self._delta(reference),
        }
