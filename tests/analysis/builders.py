"""Bars and thresholds for the tests of analysis."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

import numpy as np

from leadline.analysis.strategies import NO_FILTERS, OrderFlow
from leadline.model.bars import Bar, BarKey, FootprintRows
from leadline.model.ids import ContractId
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.specs import Detectors
from leadline.model.signals import BarSignals, RegimeReading, Signal
from leadline.nodes.base import Filter, NodeContext, Thresholds
from leadline.nodes.detectors.absorption import AbsorptionParams
from leadline.nodes.detectors.divergence import DivergenceParams
from leadline.nodes.detectors.exhaustion import ExhaustionParams
from leadline.nodes.detectors.imbalance import ImbalanceParams
from leadline.nodes.detectors.stacked import StackedParams
from leadline.nodes.detectors.unfinished import UnfinishedParams
from leadline.nodes.regime import RegimeScale, regime_scale
from leadline.nodes.registry import detector_types
from leadline.nodes.router import RouterParams, routing_table

MONDAY = date(2025, 11, 17)
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE

Row = tuple[int, int, int]

THRESHOLDS = Thresholds(imbalance_min=20, absorption_min=150, typical_bar_volume=5000)
CONTEXT = NodeContext(THRESHOLDS)
IMBALANCE = ImbalanceParams(ratio=Decimal(3), min_volume=10, zero="AsOne")
STACKED = StackedParams(levels=3)
EXHAUSTION = ExhaustionParams(levels=3, within=5, drop=Decimal("0.30"))
ABSORPTION = AbsorptionParams(levels=3, share=Decimal("0.60"), min_volume=150)
DIVERGENCE = DivergenceParams(lookback=5, source="Bar")
UNFINISHED = UnfinishedParams(keep=50)
SECTIONS: dict[str, Any] = {
    "imbalance": IMBALANCE,
    "stacked": STACKED,
    "exhaustion": EXHAUSTION,
    "absorption": ABSORPTION,
    "divergence": DIVERGENCE,
    "unfinished": UNFINISHED,
}
DETECTORS = Detectors(**SECTIONS)
ROUTER = RouterParams()
TABLE = routing_table(ROUTER)
SCALE: RegimeScale = regime_scale(5000)

Params = TypeVar("Params", bound=SpecModel)


def changed(params: Params, **fields: Any) -> Params:
    """Parameters with other fields, judged like those of a manifest."""
    return type(params)(**{**{name: getattr(params, name) for name in type(params).model_fields}, **fields})


def ticks(price: str) -> int:
    """A price of ES or MES in ticks of 0.25."""
    return int(Decimal(price) * 4)


def footprint(rows: Iterable[Row], unknown: Sequence[int] | None = None) -> FootprintRows:
    """Rows (price in ticks, bid, ask) in any order."""
    table = sorted(rows)
    price, bid, ask = (np.array([row[i] for row in table], dtype=np.int64) for i in range(3))
    none = np.zeros(len(table), dtype=np.int64)
    return FootprintRows(
        price, bid, ask, none if unknown is None else np.array(unknown, dtype=np.int64), bid, ask, none
    )


def footprint_bar(rows: Iterable[Row], *, ticks_per_row: int = 1, **fields: Any) -> Bar:
    """A bar with this footprint; whatever is not named follows from the rows or from the place of the bar."""
    table = footprint(rows, fields.pop("unknown", None))
    day, ordinal = fields.pop("day", MONDAY), fields.pop("ordinal", 0)
    open_ns = session_open_ns(day)
    volume = int(table.bid.sum() + table.ask.sum() + table.unknown.sum())
    delta = int(table.ask.sum() - table.bid.sum())
    low, high = int(table.price[0]), int(table.price[-1]) + ticks_per_row - 1
    values: dict[str, Any] = {
        "start_ns": open_ns + ordinal * 5 * MINUTE,
        "end_ns": open_ns + (ordinal + 1) * 5 * MINUTE,
        "known_at_ns": open_ns + (ordinal + 1) * 5 * MINUTE,
        "open": low,
        "high": high,
        "low": low,
        "close": high,
        "volume": volume,
        "prints": volume,
        "delta": delta,
        "min_delta": min(delta, 0),
        "max_delta": max(delta, 0),
        "cumulative_delta": delta,
        "poc": low,
        "value_area_low": low,
        "value_area_high": high,
        "vwap_volume": volume,
        "vwap_price_volume": low * volume,
        "vwap_price2_volume": low * low * volume,
        "first_index": 0,
        "last_index": volume - 1,
        "session_open_ns": open_ns,
        "session_close_ns": open_ns + 6 * HOUR + 30 * MINUTE,
    }
    key = BarKey(ContractId("MESZ2025"), "rth", f"5m-r{ticks_per_row}", day, ordinal)
    return Bar(key=key, ticks_per_row=ticks_per_row, rows=table, **(values | fields))


def session_open_ns(day: date) -> int:
    """14:30 UTC of that day."""
    return (day - date(1970, 1, 1)).days * 24 * HOUR + 14 * HOUR + 30 * MINUTE


def candle(high: int, low: int, close: int, *, volume: int = 1000, delta: int = 0, **fields: Any) -> Bar:
    """A bar of which only the candle and its sums matter."""
    rows = [(low, 0, 0), (high, 0, 0)] if high > low else [(low, 0, 0)]
    sums = {
        "vwap_volume": volume,
        "vwap_price_volume": close * volume,
        "vwap_price2_volume": close * close * volume,
    }
    return footprint_bar(rows, close=close, volume=volume, delta=delta, high=high, low=low, **(sums | fields))


def example_bar(**fields: Any) -> Bar:
    """The bar on which the definitions are explained: volume 318, delta +134."""
    rows = [
        (ticks("5001.25"), 0, 6),
        (ticks("5001.00"), 2, 45),
        (ticks("5000.75"), 8, 60),
        (ticks("5000.50"), 12, 90),
        (ticks("5000.25"), 30, 25),
        (ticks("5000.00"), 40, 0),
    ]
    return footprint_bar(rows, **fields)


def random_session(random: Random, day: date, bars: int, start: int = 20_000) -> list[Bar]:
    """Bars of one session with consistent sums: a walk with drift, gaps in the ladder, one-sided and thick rows."""
    made: list[Bar] = []
    price, cumulative, volume, price_volume, price2_volume = start, 0, 0, 0, 0
    drift = random.choice((-2, 0, 2))
    for ordinal in range(bars):
        low = price + drift + random.randint(-6, 3)
        rows = [
            (row, random.choice((0, 3, 12, 40, 90)), random.choice((0, 3, 12, 40, 90)))
            for row in range(low, low + random.randint(1, 9))
            if random.random() < 0.9
        ] or [(low, 5, 5)]
        rows = [(row, bid, ask if bid + ask else 1) for row, bid, ask in rows]
        price = random.choice(rows)[0]
        bar = footprint_bar(rows, day=day, ordinal=ordinal, close=price)
        cumulative += bar.delta
        volume += bar.volume
        price_volume += sum(row * (bid + ask) for row, bid, ask in rows)
        price2_volume += sum(row * row * (bid + ask) for row, bid, ask in rows)
        made.append(
            replace(
                bar,
                cumulative_delta=cumulative,
                vwap_volume=volume,
                vwap_price_volume=price_volume,
                vwap_price2_volume=price2_volume,
            )
        )
    return made


def random_tape(seed: int, days: int, bars_a_day: int) -> list[Bar]:
    """Sessions of consecutive calendar days from Monday on."""
    random = Random(seed)
    return [bar for n in range(days) for bar in random_session(random, MONDAY + timedelta(days=n), bars_a_day)]


def order_flow(
    detectors: Detectors = DETECTORS,
    router: RouterParams = ROUTER,
    context: NodeContext = CONTEXT,
    filters: Mapping[str, Sequence[Filter[Any]]] = NO_FILTERS,
) -> OrderFlow:
    return OrderFlow([kind(detectors.of(kind), context) for kind in detector_types()], router, context, filters)


def opinions(bars: Iterable[Bar]) -> list[BarSignals]:
    """What one strategy says about bars of one session."""
    strategy = order_flow()
    return [strategy.on_bar(bar) for bar in bars]


def prices(signals: Iterable[Signal]) -> list[int]:
    return [signal.price for signal in signals]


def reading_of(answers: BarSignals) -> RegimeReading:
    """The regime of what a strategy says that reads one."""
    assert answers.regime is not None
    return answers.regime
