"""The market regime at a bar's close: inputs folded bar by bar, gates, and a score for each candidate.

Prices and ranges are in ticks, volumes and deltas in size steps. Inputs run across sessions, except that delta and
VWAP are the session's own.

Scores compare floats with lines, and two machines still agree. An input that follows from integers (the distance to
VWAP, the delta slope and its change, the volume ratio, the mean range) is a quotient of integers, which Python rounds
once: it stands on the side of its line, or on it, on which the exact value does, as long as sums stay below 2^51.
Averages, ADX and the ATR are recurrences that floats define: the same additions, multiplications and divisions of 64
bits in the same order, each correctly rounded as IEEE 754 has it, none of them vectorised, contracted or done by a
mathematics library. Their state is never stored: a process that begins again folds the same bars from the same first
one. Scores are halves, so their sums are exact.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Final

from leadline.model.bars import Bar
from leadline.model.frozen import quickly_made
from leadline.model.signals import Regime, RegimeReading
from leadline.model.ticks import NS_PER_MINUTE
from leadline.nodes.base import Inputs, Node, NodeContext, NoParams
from leadline.nodes.exact import float_text, quotient, slope
from leadline.nodes.indicators import AverageTrueRange, DirectionalIndex, ExponentialAverage, Percentile
from leadline.nodes.structure import BARS_NEEDED, Structure, structure

EMA_FAST: Final = 9
EMA_SLOW: Final = 21
ADX_LENGTH: Final = 14
ADX_SLOPE: Final = 5
ATR_LENGTH: Final = 14
ATR_WINDOW: Final = 50
ATR_LEAST: Final = 10
DELTA_SLOPE: Final = 10
VOLUME_LENGTH: Final = 20
RANGE_LENGTH: Final = 5
# ADX has its first value with bar 28, and its slope needs five of them: every other input is there by then.
WARM_UP_BARS: Final = 2 * ADX_LENGTH + ADX_SLOPE - 1

WARM_UP: Final = "warm_up"
"""Why a reading is NO_TRADE before every input is there."""

OPENING_NS: Final = 5 * NS_PER_MINUTE
CLOSING_NS: Final = 15 * NS_PER_MINUTE
LEAST_VOLUME_RATIO: Final = 0.3
LEAST_SCORE: Final = 4.0
UNDECIDED_CONFIDENCE: Final = Decimal("0.500000")
CERTAIN: Final = Decimal("1.000000")
NO_SIZE: Final = Decimal(0)

# The safest first: on equal scores the earlier wins.
CANDIDATES: Final = (Regime.VOLATILE, Regime.RANGING, Regime.TRENDING_UP, Regime.TRENDING_DOWN)


@dataclass(frozen=True, slots=True)
class RegimeScale:
    """Distances and speeds that count as near, quiet and fast for an instrument.

    `near_vwap` in ticks; `quiet_delta` (of the session's delta) and `fast_slope` (of the change of the delta slope) in
    size steps.
    """

    near_vwap: int
    quiet_delta: float
    fast_slope: float


def regime_scale(typical_bar_volume: int) -> RegimeScale:
    """The scale of an instrument whose bars typically trade `typical_bar_volume` size steps."""
    return RegimeScale(near_vwap=2, quiet_delta=typical_bar_volume / 10, fast_slope=typical_bar_volume / 50)


@quickly_made
@dataclass(frozen=True, slots=True)
class RegimeInputs:
    """All that the score is made of.

    `vwap_distance` = close - VWAP in ticks; `delta_slope` in size steps per bar, `delta_slope_change` its change from
    the bar before; `volume_ratio` to the mean of the bars before; `mean_range` and `atr` in ticks.
    """

    since_open_ns: int
    to_close_ns: int
    close: int
    cumulative_delta: int
    structure: Structure
    ema_fast: float
    ema_slow: float
    adx: float
    adx_slope: float
    atr: float
    atr_percentile: float
    vwap_distance: float
    delta_slope: float
    delta_slope_change: float
    volume_ratio: float
    mean_range: float

    def texts(self) -> dict[str, str]:
        """Name to decimal string, for people who check a reading; yes and no are 1 and 0."""
        shape = self.structure
        return {
            "minutes_since_open": float_text(self.since_open_ns / NS_PER_MINUTE),
            "minutes_to_close": float_text(self.to_close_ns / NS_PER_MINUTE),
            "close": str(self.close),
            "cumulative_delta": str(self.cumulative_delta),
            "higher_high": str(int(shape.higher_high)),
            "higher_low": str(int(shape.higher_low)),
            "lower_high": str(int(shape.lower_high)),
            "lower_low": str(int(shape.lower_low)),
            "range_bound_bars": str(shape.range_bound_bars),
            **{name: float_text(getattr(self, name)) for name in _FLOATS},
        }


_FLOATS: Final = (
    "ema_fast",
    "ema_slow",
    "adx",
    "adx_slope",
    "atr",
    "atr_percentile",
    "vwap_distance",
    "delta_slope",
    "delta_slope_change",
    "volume_ratio",
    "mean_range",
)


class RegimeTracker:
    """The inputs as a fold over bars, in the order in which they closed."""

    def __init__(self) -> None:
        self._ema_fast = ExponentialAverage(EMA_FAST)
        self._ema_slow = ExponentialAverage(EMA_SLOW)
        self._adx = DirectionalIndex(ADX_LENGTH)
        self._atr = AverageTrueRange(ATR_LENGTH)
        self._atr_rank = Percentile(ATR_WINDOW, ATR_LEAST)
        self._atr_now: float | None = None
        self._atr_percentile: float | None = None
        self._adx_values: deque[float] = deque(maxlen=ADX_SLOPE)
        self._bars: deque[Bar] = deque(maxlen=max(VOLUME_LENGTH, DELTA_SLOPE, BARS_NEEDED) + 1)

    def update(self, bar: Bar) -> None:
        """Take one bar in."""
        self._bars.append(bar)
        self._ema_fast.update(bar.close)
        self._ema_slow.update(bar.close)
        adx = self._adx.update(bar.high, bar.low, bar.close)
        if adx is not None:
            self._adx_values.append(adx)
        self._atr_now = self._atr.update(bar.high, bar.low, bar.close)
        if self._atr_now is not None:
            self._atr_percentile = self._atr_rank.update(self._atr_now)

    def extend(self, bars: Sequence[Bar]) -> None:
        """Take bars in as `update` does, some hundred in a tenth of the time."""
        self._bars.extend(bars)
        candles = [(bar.high, bar.low, bar.close) for bar in bars]
        closes = [bar.close for bar in bars]
        self._ema_fast.extend(closes)
        self._ema_slow.extend(closes)
        self._adx_values.extend(self._adx.extend(candles))
        if ranges := self._atr.extend(candles):
            self._atr_now = ranges[-1]
            self._atr_rank.extend(ranges[:-1])
            self._atr_percentile = self._atr_rank.update(ranges[-1])

    def inputs(self) -> RegimeInputs | None:
        """The inputs at the close of the bar taken in last; None while any of them is not available yet."""
        bars = tuple(self._bars)
        shape = structure(bars)
        slopes = _delta_slopes(bars)
        if shape is None or slopes is None:
            return None
        bar = bars[-1]
        values = {
            "ema_fast": self._ema_fast.value,
            "ema_slow": self._ema_slow.value,
            "adx": self._adx_values[-1] if self._adx_values else None,
            "adx_slope": slope(tuple(self._adx_values)) if len(self._adx_values) == ADX_SLOPE else None,
            "atr": self._atr_now,
            "atr_percentile": self._atr_percentile,
            "vwap_distance": _vwap_distance(bar),
            "volume_ratio": _volume_ratio(bars),
            "mean_range": sum(bar.high - bar.low for bar in bars[-RANGE_LENGTH:]) / RANGE_LENGTH,
        }
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values):
            return None
        return RegimeInputs(
            since_open_ns=bar.end_ns - bar.session_open_ns,
            to_close_ns=bar.session_close_ns - bar.end_ns,
            close=bar.close,
            cumulative_delta=bar.cumulative_delta,
            structure=shape,
            delta_slope=slopes[0],
            delta_slope_change=slopes[1],
            **known,
        )


def _delta_slopes(bars: Sequence[Bar]) -> tuple[float, float] | None:
    """Slope of the running sum of the last bars' deltas, and its change from the bar before; each rounded once."""
    if len(bars) <= DELTA_SLOPE:
        return None
    deltas = [bar.delta for bar in bars[-DELTA_SLOPE - 1 :]]
    now, before = tuple(accumulate(deltas[1:])), tuple(accumulate(deltas[:-1]))
    return slope(now), slope(tuple(new - old for new, old in zip(now, before, strict=True)))


def _vwap_distance(bar: Bar) -> float | None:
    """Close less VWAP, rounded once: the difference of two floats could lose a distance that is small."""
    volume = bar.vwap_volume
    return (bar.close * volume - bar.vwap_price_volume) / volume if volume else None


def _volume_ratio(bars: Sequence[Bar]) -> float | None:
    if len(bars) <= VOLUME_LENGTH:
        return None
    return bars[-1].volume * VOLUME_LENGTH / sum(bar.volume for bar in bars[-VOLUME_LENGTH - 1 : -1])


def classify(inputs: RegimeInputs | None, scale: RegimeScale, *, around_the_clock: bool = False) -> RegimeReading:
    """The regime with the highest score, unless a gate says NO_TRADE; its multiplier, 0 here, is the router's to say.

    `inputs` None means that one of them is not available yet. A session `around_the_clock` has no open and no close
    whose nearness matters. Confidence is one half where two candidates tie and 1 where only one scored. A best score
    below four is VOLATILE with confidence one half.
    """
    if inputs is None:
        return RegimeReading(Regime.NO_TRADE, CERTAIN, NO_SIZE, WARM_UP)
    scores = {
        Regime.TRENDING_UP: _trending(inputs, 1),
        Regime.TRENDING_DOWN: _trending(inputs, -1),
        Regime.RANGING: _ranging(inputs, scale),
        Regime.VOLATILE: _volatile(inputs, scale),
    }
    regime, confidence, reason = _decide(scores, _gate(inputs, around_the_clock=around_the_clock))
    texts = {candidate.value: f"{score:.1f}" for candidate, score in scores.items()}
    return RegimeReading(regime, confidence, NO_SIZE, reason, texts, inputs.texts())


class RegimeNode(Node[NoParams, RegimeReading]):
    """The market's present behaviour: trending up or down, ranging, volatile, or not to be traded.

    Indicators over the bars of all sessions give each candidate a score; the highest is the regime. What is near, quiet
    and fast follows from the instrument's typical bar volume.
    """

    name = "regime"
    section = ""
    spans_sessions = True

    def __init__(self, params: NoParams, context: NodeContext) -> None:
        super().__init__(params, context)
        self._scale = regime_scale(context.thresholds.typical_bar_volume)
        self._tracker = RegimeTracker()
        # Bars of the history that the indicators do not know yet.
        self._before: list[Bar] = []

    @property
    def warm_up(self) -> int:
        """The bars until every input is there."""
        return WARM_UP_BARS

    def warm(self, bar: Bar) -> None:
        """Keep a bar of an earlier session: all of them are folded into the indicators before the session's first."""
        self._before.append(bar)

    def update(self, inputs: Inputs) -> RegimeReading:
        """The regime at the bar's close."""
        if self._before:
            self._tracker.extend(self._before)
            self._before.clear()
        self._tracker.update(inputs.bar)
        return classify(self._tracker.inputs(), self._scale, around_the_clock=self.context.around_the_clock)


def _gate(inputs: RegimeInputs, *, around_the_clock: bool) -> str:
    if inputs.to_close_ns < CLOSING_NS and not around_the_clock:
        return "near_close"
    if inputs.since_open_ns < OPENING_NS and not around_the_clock:
        return "near_open"
    return "thin_volume" if inputs.volume_ratio < LEAST_VOLUME_RATIO else ""


def _decide(scores: Mapping[Regime, float], gate: str) -> tuple[Regime, Decimal, str]:
    # An ADX above 20 scores for both trends and one below 25 for a range, so the best is never 0.
    ranked = sorted(CANDIDATES, key=lambda candidate: -scores[candidate])
    best, second = scores[ranked[0]], scores[ranked[1]]
    if gate:
        return Regime.NO_TRADE, CERTAIN, gate
    if best < LEAST_SCORE:
        return Regime.VOLATILE, UNDECIDED_CONFIDENCE, ""
    # .5 + .5 x (best - second) / best, in half points so that it is exact
    return ranked[0], quotient(int(4 * best - 2 * second), int(4 * best)), ""


def _trending(inputs: RegimeInputs, way: int) -> float:
    """Score of a trend up (`way` 1) or down (-1)."""
    shape = inputs.structure
    if way > 0:
        extreme, pullback = shape.higher_high, shape.higher_low
    else:
        extreme, pullback = shape.lower_low, shape.lower_high
    score = _strong_or_weak(inputs.adx > 25, 2, inputs.adx > 20, 1)
    score += 1.5 * (way * (inputs.ema_fast - inputs.ema_slow) > 0)
    score += 1.0 * (way * inputs.vwap_distance > 0)
    score += _strong_or_weak(extreme and pullback, 2, pullback, 1)
    delta = way * inputs.cumulative_delta > 0
    score += _strong_or_weak(delta and way * inputs.delta_slope > 0, 1.5, delta, 0.5)
    return score + 0.5 * (inputs.adx_slope > 0)


def _ranging(inputs: RegimeInputs, scale: RegimeScale) -> float:
    shape = inputs.structure
    score = _strong_or_weak(inputs.adx < 20, 2, inputs.adx < 25, 1)
    score += 1.0 * (abs(inputs.vwap_distance) < scale.near_vwap)
    score += 1.5 * (not (shape.higher_high or shape.lower_low))
    score += _strong_or_weak(shape.range_bound_bars >= 3, 2, shape.range_bound_bars == 2, 1)
    score += 1.0 * (abs(inputs.cumulative_delta) < scale.quiet_delta)
    return score + 1.0 * (inputs.atr_percentile < 50)


def _volatile(inputs: RegimeInputs, scale: RegimeScale) -> float:
    score = _strong_or_weak(inputs.atr_percentile > 85, 2.5, inputs.atr_percentile > 70, 1.5)
    score += 1.5 * (inputs.mean_range > 1.5 * inputs.atr)
    score += 1.0 * (inputs.volume_ratio > 2)
    score += 1.0 * (20 <= inputs.adx <= 25 and inputs.adx_slope < 0)
    return score + 1.0 * (abs(inputs.delta_slope_change) > scale.fast_slope)


def _strong_or_weak(strong: bool, points: float, weak: bool, fewer: float) -> float:
    return points if strong else fewer if weak else 0.0
