"""The score of each regime in its parts, for people who check a reading: condition, value, and the points that it gave.

The table is that of `leadline.nodes.regime`, which computes the same sums without naming them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from leadline.model.signals import Regime
from leadline.nodes.regime import RegimeScale


@dataclass(frozen=True, slots=True)
class Points:
    """One part of a score: the condition with its thresholds, the value that was held to it, and what it gave.

    most: the points that it can give.
    """

    regime: Regime
    condition: str
    value: str
    points: float
    most: float


def points_of(inputs: Mapping[str, str], scale: RegimeScale) -> tuple[Points, ...]:
    """The parts of every candidate's score, from the inputs of a reading by name; none where one is missing."""
    try:
        values = {name: float(inputs[name]) for name in _NEEDED}
    except (KeyError, ValueError):
        return ()
    return (
        *_trending(values, inputs, 1),
        *_trending(values, inputs, -1),
        *_ranging(values, inputs, scale),
        *_volatile(values, inputs, scale),
    )


_NEEDED = (
    "adx",
    "adx_slope",
    "atr",
    "atr_percentile",
    "cumulative_delta",
    "delta_slope",
    "delta_slope_change",
    "ema_fast",
    "ema_slow",
    "higher_high",
    "higher_low",
    "lower_high",
    "lower_low",
    "mean_range",
    "range_bound_bars",
    "volume_ratio",
    "vwap_distance",
)


def _trending(at: Mapping[str, float], said: Mapping[str, str], way: int) -> Iterator[Points]:
    regime = Regime.TRENDING_UP if way > 0 else Regime.TRENDING_DOWN
    above, up, extreme, pullback = (
        ("above", "up", "higher_high", "higher_low") if way > 0 else ("below", "down", "lower_low", "lower_high")
    )
    words = {name: name.replace("_", " ") for name in (extreme, pullback)}
    yield Points(regime, "ADX above 25 / 20", said["adx"], _two(at["adx"] > 25, 2, at["adx"] > 20, 1), 2)
    average = way * (at["ema_fast"] - at["ema_slow"]) > 0
    yield Points(regime, f"EMA 9 {above} EMA 21", f"{said['ema_fast']}, {said['ema_slow']}", 1.5 * average, 1.5)
    yield Points(regime, f"close {above} VWAP", said["vwap_distance"], 1.0 * (way * at["vwap_distance"] > 0), 1)
    steps = _two(bool(at[extreme] and at[pullback]), 2, bool(at[pullback]), 1)
    value = f"{_yes(said[extreme])}, {_yes(said[pullback])}"
    yield Points(regime, f"{words[extreme]} and {words[pullback]} / {words[pullback]} only", value, steps, 2)
    delta = way * at["cumulative_delta"] > 0
    both = _two(delta and way * at["delta_slope"] > 0, 1.5, delta, 0.5)
    value = f"{said['cumulative_delta']}, {said['delta_slope']}"
    yield Points(regime, f"cumulative delta {above} 0 and its slope {up} / {above} 0", value, both, 1.5)
    yield Points(regime, "ADX rising", said["adx_slope"], 0.5 * (at["adx_slope"] > 0), 0.5)


def _ranging(at: Mapping[str, float], said: Mapping[str, str], scale: RegimeScale) -> Iterator[Points]:
    regime = Regime.RANGING
    yield Points(regime, "ADX below 20 / 25", said["adx"], _two(at["adx"] < 20, 2, at["adx"] < 25, 1), 2)
    near = abs(at["vwap_distance"]) < scale.near_vwap
    yield Points(regime, f"close within {scale.near_vwap} ticks of VWAP", said["vwap_distance"], 1.0 * near, 1)
    neither = not (at["higher_high"] or at["lower_low"])
    value = f"{_yes(said['higher_high'])}, {_yes(said['lower_low'])}"
    yield Points(regime, "no higher high and no lower low", value, 1.5 * neither, 1.5)
    bound = at["range_bound_bars"]
    yield Points(
        regime, "closes in the range of the bar before: 3 or more / 2", said["range_bound_bars"],
        _two(bound >= 3, 2, bound == 2, 1), 2,
    )  # fmt: skip
    quiet = abs(at["cumulative_delta"]) < scale.quiet_delta
    text = f"cumulative delta within {scale.quiet_delta:g} of 0"
    yield Points(regime, text, said["cumulative_delta"], 1.0 * quiet, 1)
    yield Points(regime, "ATR percentile below 50", said["atr_percentile"], 1.0 * (at["atr_percentile"] < 50), 1)


def _volatile(at: Mapping[str, float], said: Mapping[str, str], scale: RegimeScale) -> Iterator[Points]:
    regime = Regime.VOLATILE
    rank = at["atr_percentile"]
    yield Points(
        regime, "ATR percentile above 85 / 70", said["atr_percentile"], _two(rank > 85, 2.5, rank > 70, 1.5), 2.5
    )
    wide = at["mean_range"] > 1.5 * at["atr"]
    value = f"{said['mean_range']}, {said['atr']}"
    yield Points(regime, "mean range of 5 bars above 1.5 ATR", value, 1.5 * wide, 1.5)
    heavy = at["volume_ratio"] > 2
    yield Points(regime, "volume above twice the mean of 20 bars", said["volume_ratio"], 1.0 * heavy, 1)
    fading = 20 <= at["adx"] <= 25 and at["adx_slope"] < 0
    yield Points(regime, "ADX 20 to 25 and falling", f"{said['adx']}, {said['adx_slope']}", 1.0 * fading, 1)
    fast = abs(at["delta_slope_change"]) > scale.fast_slope
    text = f"delta's slope changed by more than {scale.fast_slope:g}"
    yield Points(regime, text, said["delta_slope_change"], 1.0 * fast, 1)


def _two(strong: bool, points: float, weak: bool, fewer: float) -> float:
    return float(points) if strong else float(fewer) if weak else 0.0


def _yes(flag: str) -> str:
    return "yes" if flag == "1" else "no"
