"""The same bars, print by print in plain Python: what the columns must agree with."""

from collections.abc import Sequence
from typing import Any

from leadline.aggregation.builder import session_from
from leadline.model.durations import BarSpec
from leadline.model.market.hours import SessionHours
from tests.aggregation.builders import BUY, CALENDAR, CONTRACT, SELL, Print

GRACE = 2_000_000_000


def reference_bars(
    rows: Sequence[Print], end_ns: int, spec: BarSpec, hours: SessionHours, ticks_per_row: int
) -> list[dict[str, Any]]:
    bars: list[dict[str, Any]] = []
    session = None
    open_bar: list[tuple[int, Print]] = []
    ordinal = 0
    limit = 0
    sums = [0, 0, 0, 0]

    def close(known_at: int) -> None:
        bars.append(_bar(open_bar, session, ordinal, limit, known_at, spec, hours, ticks_per_row, sums))
        open_bar.clear()

    for index, row in enumerate(rows):
        time = row[0]
        if open_bar and time >= limit:
            close(min(time, limit + GRACE))
        if session is None or time >= session.close_ns:
            session = session_from(CALENDAR, hours, time)
            ordinal = 0
            sums = [0, 0, 0, 0]
        if time < session.open_ns:
            continue
        if not open_bar:
            if spec.kind == "time":
                ordinal = (time - session.open_ns) // spec.length
                limit = min(session.open_ns + (ordinal + 1) * spec.length, session.close_ns)
            else:
                limit = session.close_ns
        open_bar.append((index, row))
        held = len(open_bar) if spec.kind == "ticks" else sum(size for _, (_, _, size, _) in open_bar)
        if spec.kind != "time" and held >= spec.length:
            close(time)
            ordinal += 1
    if open_bar and end_ns >= limit + GRACE:
        close(limit + GRACE)
    return bars


def _bar(
    held: list[tuple[int, Print]],
    session: Any,
    ordinal: int,
    limit: int,
    known_at: int,
    spec: BarSpec,
    hours: SessionHours,
    ticks_per_row: int,
    sums: list[int],
) -> dict[str, Any]:
    prints = [row for _, row in held]
    ladder: dict[int, list[int]] = {}
    running = low_delta = high_delta = 0
    for _, price, size, side in prints:
        row = ladder.setdefault(price // ticks_per_row * ticks_per_row, [0] * 6)
        column = {SELL: 0, BUY: 1}.get(side, 2)
        row[column] += size
        row[3 + column] += 1
        running += side * size
        low_delta, high_delta = min(low_delta, running), max(high_delta, running)
    volume = sum(size for _, _, size, _ in prints)
    sums[0] += running
    sums[1] += volume
    sums[2] += sum(price * size for _, price, size, _ in prints)
    sums[3] += sum(price * price * size for _, price, size, _ in prints)
    prices = sorted(ladder)
    poc, area_low, area_high = _profile({price: sum(ladder[price][:3]) for price in prices}, ticks_per_row)
    by_time = spec.kind == "time"
    return {
        "key": {
            "contract": CONTRACT,
            "session": hours.id,
            "spec": f"{str(spec).replace(':', '')}-r{ticks_per_row}",
            "trading_day": session.trading_day,
            "ordinal": ordinal,
        },
        "start_ns": session.open_ns + ordinal * spec.length if by_time else prints[0][0],
        "end_ns": limit if by_time else prints[-1][0],
        "known_at_ns": known_at,
        "open": prints[0][1],
        "high": max(price for _, price, _, _ in prints),
        "low": min(price for _, price, _, _ in prints),
        "close": prints[-1][1],
        "volume": volume,
        "prints": len(prints),
        "delta": running,
        "min_delta": low_delta,
        "max_delta": high_delta,
        "cumulative_delta": sums[0],
        "poc": poc,
        "value_area_low": area_low,
        "value_area_high": area_high,
        "vwap_volume": sums[1],
        "vwap_price_volume": sums[2],
        "vwap_price2_volume": sums[3],
        "first_index": held[0][0],
        "last_index": held[-1][0],
        "session_open_ns": session.open_ns,
        "session_close_ns": session.close_ns,
        "ticks_per_row": ticks_per_row,
        "rows": {
            "price": prices,
            "bid": [ladder[price][0] for price in prices],
            "ask": [ladder[price][1] for price in prices],
            "unknown": [ladder[price][2] for price in prices],
            "bid_prints": [ladder[price][3] for price in prices],
            "ask_prints": [ladder[price][4] for price in prices],
            "unknown_prints": [ladder[price][5] for price in prices],
        },
        "revision": 0,
        "gap": False,
    }


def _profile(traded: dict[int, int], ticks_per_row: int) -> tuple[int, int, int]:
    prices = list(range(min(traded), max(traded) + 1, ticks_per_row))
    volumes = [traded.get(price, 0) for price in prices]
    middle = (prices[0] + prices[-1]) / 2
    best = max(volumes)
    centre = min(
        (i for i, volume in enumerate(volumes) if volume == best), key=lambda i: (abs(prices[i] - middle), prices[i])
    )
    low = high = centre
    while sum(volumes[low : high + 1]) < 0.7 * sum(volumes) - 1e-9:
        above = volumes[high + 1 : high + 3]
        below = volumes[:low][-2:]
        if below and (not above or sum(below) > sum(above)):
            low -= len(below)
        else:
            high += len(above)
    return prices[centre], prices[low], prices[high]
