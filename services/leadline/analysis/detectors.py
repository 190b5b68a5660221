"""The order-flow patterns of one closed bar, found in its footprint.

A *level* is a row of the footprint in which something traded; "one tick away" means one row away, and a row in which
nothing traded counts as 0. Each function returns the signals of its pattern with the evidence to check them by hand:
rows as prices in ticks (a row is named by its lowest tick), volumes in size steps, ratios as decimal strings. All
comparisons are exact: volumes are integers and thresholds fractions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from leadline.analysis.exact import at_least, capped_quotient, quotient
from leadline.analysis.settings import (
    AbsorptionSettings,
    DeltaSource,
    DivergenceSettings,
    ExhaustionSettings,
    ImbalanceSettings,
    StackedSettings,
    ZeroVolume,
)
from leadline.model.bars import Bar
from leadline.model.signals import Direction, Pattern, Signal
from leadline.model.ticks import Int64Array

# What is as strong as it gets: ten to one, five rows in a stack, twice the absorption minimum closing at the far end.
FULL_RATIO: Final = 10
FULL_STACK: Final = 5
FULL_ABSORPTION: Final = 2
DIVERGENCE_STRENGTH: Final = Decimal("0.700000")


@dataclass(frozen=True, slots=True)
class Imbalance:
    """One imbalanced row: `volume` at `row` against `against` of the other side at `neighbour`, one row away."""

    row: int
    volume: int
    neighbour: int
    against: int


def buy_imbalances(bar: Bar, settings: ImbalanceSettings) -> list[Imbalance]:
    """Rows, lowest first, whose buying outweighs the selling one row below; the bar's lowest row has none below."""
    return _imbalances(bar, bar.rows.ask, bar.rows.bid, -1, settings)


def sell_imbalances(bar: Bar, settings: ImbalanceSettings) -> list[Imbalance]:
    """Rows, lowest first, whose selling outweighs the buying one row above; the bar's highest row has none above."""
    return _imbalances(bar, bar.rows.bid, bar.rows.ask, 1, settings)


def _imbalances(
    bar: Bar, own: Int64Array, other: Int64Array, side: int, settings: ImbalanceSettings
) -> list[Imbalance]:
    """Rows of `own` that outweigh `other` one row away; `side` is -1 for the row below and 1 for the row above."""
    heavy = np.flatnonzero(own >= settings.min_volume)
    heavy = heavy[(heavy + side >= 0) & (heavy + side < len(own))]
    step = side * bar.ticks_per_row
    found = []
    for row, volume, next_row, next_volume in zip(
        bar.rows.price[heavy].tolist(),
        own[heavy].tolist(),
        bar.rows.price[heavy + side].tolist(),
        other[heavy + side].tolist(),
        strict=True,
    ):
        against = next_volume if next_row == row + step else 0
        if _outweighs(volume, against, settings):
            found.append(Imbalance(row, volume, row + step, against))
    return found


def _outweighs(volume: int, against: int, settings: ImbalanceSettings) -> bool:
    if against == 0 and settings.zero is not ZeroVolume.AS_ONE:
        return settings.zero is ZeroVolume.ALWAYS
    return at_least(volume, max(against, 1), settings.ratio)


def imbalance_signals(buys: Sequence[Imbalance], sells: Sequence[Imbalance]) -> list[Signal]:
    """One signal for each imbalanced row, strong in proportion to its ratio."""
    return [_imbalance_signal(Pattern.BUY_IMBALANCE, Direction.LONG, found) for found in buys] + [
        _imbalance_signal(Pattern.SELL_IMBALANCE, Direction.SHORT, found) for found in sells
    ]


def _imbalance_signal(pattern: Pattern, direction: Direction, found: Imbalance) -> Signal:
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


def stacked_signals(
    bar: Bar, buys: Sequence[Imbalance], sells: Sequence[Imbalance], settings: StackedSettings
) -> list[Signal]:
    """Imbalances of one side on neighbouring rows, each longest run once.

    The price is the top of a buy stack and the bottom of a sell stack.
    """
    step = bar.ticks_per_row
    up = [run for run in _runs(buys, step) if len(run) >= settings.levels]
    down = [run for run in _runs(sells, step) if len(run) >= settings.levels]
    return [_stack(Pattern.STACKED_BUY_IMBALANCE, Direction.LONG, run[-1].row, run) for run in up] + [
        _stack(Pattern.STACKED_SELL_IMBALANCE, Direction.SHORT, run[0].row, run) for run in down
    ]


def _runs(found: Sequence[Imbalance], step: int) -> list[list[Imbalance]]:
    runs: list[list[Imbalance]] = []
    for imbalance in found:
        if runs and imbalance.row == runs[-1][-1].row + step:
            runs[-1].append(imbalance)
        else:
            runs.append([imbalance])
    return runs


def _stack(pattern: Pattern, direction: Direction, price: int, run: Sequence[Imbalance]) -> Signal:
    return Signal(
        pattern,
        direction,
        price,
        capped_quotient(len(run), FULL_STACK),
        {
            "rows": [imbalance.row for imbalance in run],
            "volumes": [imbalance.volume for imbalance in run],
            "against": [imbalance.against for imbalance in run],
        },
    )


def exhaustion_signals(bar: Bar, settings: ExhaustionSettings) -> list[Signal]:
    """Buying that dries up into the high (SHORT), selling that dries up into the low (LONG).

    Walked from the extreme inwards the aggressors' volume must rise strictly from level to level; the strength is the
    share by which it has fallen from the innermost level of that run to the extreme.
    """
    rows, outer = bar.rows, settings.within
    from_high, from_low = slice(None, -outer - 1, -1), slice(outer)
    high = rows.price[from_high], rows.ask[from_high]
    low = rows.price[from_low], rows.bid[from_low]
    return [
        *_exhaustion(Pattern.BUYING_EXHAUSTION, Direction.SHORT, bar.high, *high, settings),
        *_exhaustion(Pattern.SELLING_EXHAUSTION, Direction.LONG, bar.low, *low, settings),
    ]


def _exhaustion(
    pattern: Pattern,
    direction: Direction,
    price: int,
    prices: Int64Array,
    volumes: Int64Array,
    settings: ExhaustionSettings,
) -> list[Signal]:
    """`prices` and `volumes` from the extreme inwards."""
    falling = np.flatnonzero(volumes[1:] <= volumes[:-1])
    length = int(falling[0]) + 1 if len(falling) else len(volumes)
    if length < settings.levels:
        return []
    run = volumes[:length].tolist()
    outermost, innermost = run[0], run[-1]
    if innermost < settings.min_volume or not at_least(innermost - outermost, innermost, settings.drop):
        return []
    drop = quotient(innermost - outermost, innermost)
    evidence: dict[str, int | str | list[int]] = {"rows": prices[:length].tolist(), "volumes": run, "drop": str(drop)}
    return [Signal(pattern, direction, price, drop, evidence)]


def absorption_signals(bar: Bar, settings: AbsorptionSettings) -> list[Signal]:
    """Aggressors at an extreme whom passive orders absorbed, so that the bar closed away from it.

    Named for the side that results: passive buyers who absorbed sellers at the low are BUYING_ABSORPTION (LONG). A bar
    gives at most one: the stronger, neither on a tie.
    """
    span = bar.high - bar.low
    if span == 0 or len(bar.rows) < settings.levels:
        return []
    outer = settings.levels
    found = _absorption(
        Pattern.BUYING_ABSORPTION, Direction.LONG, bar.low, slice(None, outer), bar.close - bar.low, bar, settings
    ) + _absorption(
        Pattern.SELLING_ABSORPTION, Direction.SHORT, bar.high, slice(-outer, None), bar.high - bar.close, bar, settings
    )
    if len(found) < 2:
        return found
    weaker, stronger = sorted(found, key=lambda signal: signal.strength)
    return [] if weaker.strength == stronger.strength else [stronger]


def _absorption(
    pattern: Pattern,
    direction: Direction,
    price: int,
    outer: slice,
    away: int,
    bar: Bar,
    settings: AbsorptionSettings,
) -> list[Signal]:
    """`outer` rows at the extreme `price`; the close is `away` ticks from it."""
    span = bar.high - bar.low
    bid, ask = int(bar.rows.bid[outer].sum()), int(bar.rows.ask[outer].sum())
    aggressors = ask if direction is Direction.SHORT else bid
    if bid + ask < settings.min_volume or not at_least(aggressors, bid + ask, settings.share) or 2 * away < span:
        return []
    return [
        Signal(
            pattern,
            direction,
            price,
            capped_quotient(away * aggressors, span * FULL_ABSORPTION * settings.min_volume),
            {
                "rows": bar.rows.price[outer].tolist(),
                "bid": bid,
                "ask": ask,
                "share": str(quotient(aggressors, bid + ask)),
                "close_position": str(quotient(bar.close - bar.low, span)),
            },
        )
    ]


def divergence_signals(bars: Sequence[Bar], settings: DivergenceSettings) -> list[Signal]:
    """A new extreme of price that delta does not confirm.

    `bars`: closed bars of one session, oldest first, the current one last; only the last `lookback` count, and with
    fewer there is no answer. The current delta must have the sign against the extreme and be beyond that of the bar
    that held the extreme before (the latest of equals). An equal extreme is not a new one.
    """
    if len(bars) < settings.lookback:
        return []
    *before, current = bars[-settings.lookback :]
    high = max(reversed(before), key=lambda bar: bar.high)
    low = min(reversed(before), key=lambda bar: bar.low)
    delta = _delta(current, settings)
    if current.high > high.high and delta < 0 and delta < _delta(high, settings):
        evidence = _divergence(high.high, high, delta, settings)
        return [Signal(Pattern.BEARISH_DELTA_DIVERGENCE, Direction.SHORT, current.high, DIVERGENCE_STRENGTH, evidence)]
    if current.low < low.low and delta > 0 and delta > _delta(low, settings):
        evidence = _divergence(low.low, low, delta, settings)
        return [Signal(Pattern.BULLISH_DELTA_DIVERGENCE, Direction.LONG, current.low, DIVERGENCE_STRENGTH, evidence)]
    return []


def _delta(bar: Bar, settings: DivergenceSettings) -> int:
    return bar.delta if settings.source is DeltaSource.BAR else bar.cumulative_delta


def _divergence(
    price: int, reference: Bar, delta: int, settings: DivergenceSettings
) -> dict[str, int | str | list[int]]:
    return {
        "delta": delta,
        "reference_ordinal": reference.key.ordinal,
        "reference_price": price,
        "reference_delta": _delta(reference, settings),
    }
