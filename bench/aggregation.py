"""How fast prints become footprint bars, against a loop over single prints in plain Python.

    python -m bench.aggregation [PRINTS]

One regular session of a random walk is cut into batches beforehand; what is measured is `BarBuilder.feed`, to finished
bars. The loop makes candles, delta and footprints only (the volumes of its bars are compared), with a dictionary by
price, from tuples of Python integers: without value area, VWAP, calendar, watermarks and positions.
"""

import gc
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from time import process_time
from typing import Final

import numpy as np

from leadline.aggregation.builder import BarBuilder
from leadline.model.durations import BarSpec, parse_bar_spec
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import Session, calendar
from leadline.model.market.hours import SessionHours
from leadline.model.ticks import TickBatch, TickColumns

DAY: Final = date(2025, 11, 20)
HOURS: Final = SessionHours("09:30", "16:00", "America/New_York", id="rth")
BATCHES: Final = (1, 16, 256, 4_096, 65_536, 600_000)
SPECS: Final = ("5m", "1m", "ticks:500", "volume:2000")
REPETITIONS: Final = 3
# Small batches are measured on fewer prints: their cost a print does not depend on how many there are.
MOST_BATCHES: Final = 20_000

Footprint = dict[int, list[int]]


def tape(session: Session, prints: int) -> TickColumns:
    """A random walk of one tick at a time with small sizes, from open to close."""
    random = np.random.default_rng(1)
    return TickColumns(
        np.sort(random.integers(session.open_ns, session.close_ns, prints)),
        20_000 + np.cumsum(random.integers(-1, 2, prints)),
        1 + random.geometric(0.4, prints),
        random.choice([-1, 1], prints).astype(np.int8),
    )


def builder(spec: BarSpec) -> BarBuilder:
    """A builder that has seen nothing."""
    return BarBuilder(
        tape=RunId("bench"),
        venue="sim",
        contract=ContractId("MESZ2025"),
        calendar=calendar("cme"),
        hours=HOURS,
        spec=spec,
        ticks_per_row=1,
    )


def by_columns(ticks: TickColumns, spec: BarSpec, size: int) -> tuple[float, list[int]]:
    """Seconds, and the volumes of the bars."""
    starts = range(0, len(ticks), size)
    parts = [ticks.slice(start, start + size) for start in starts]
    batches = [TickBatch(RunId("bench"), "sim", ContractId("MESZ2025"), part, int(part.time_ns[-1])) for part in parts]
    one = builder(spec)
    began = process_time()
    messages = [message for batch in batches for message in one.feed(batch)]
    seconds = process_time() - began
    return seconds, [message.bar.volume for message in messages if message.bar is not None]


def by_prints(ticks: TickColumns, spec: BarSpec, open_ns: int) -> tuple[float, list[int]]:
    """Seconds, and the volumes of the bars."""
    rows = list(
        zip(ticks.time_ns.tolist(), ticks.price.tolist(), ticks.size.tolist(), ticks.aggressor.tolist(), strict=True)
    )
    length, by_time, weigh = spec.length, spec.kind == "time", spec.kind == "volume"
    bars: list[tuple[int, int, int, int, int, int, Footprint]] = []
    footprint: Footprint = {}
    held = volume = delta = opens = high = low = price = 0
    end = open_ns + length
    began = process_time()
    for time, price, size, side in rows:
        if by_time and time >= end and footprint:
            bars.append((opens, high, low, price, volume, delta, footprint))
            footprint, volume, delta = {}, 0, 0
        if by_time and time >= end:
            end = open_ns + ((time - open_ns) // length + 1) * length
        if not footprint:
            opens = high = low = price
        row = footprint.get(price)
        if row is None:
            row = footprint[price] = [0, 0, 0, 0]
            high, low = max(high, price), min(low, price)
        column = 1 if side > 0 else 0
        row[column] += size
        row[column + 2] += 1
        volume += size
        delta += side * size
        held += size if weigh else 1
        if not by_time and held >= length:
            bars.append((opens, high, low, price, volume, delta, footprint))
            footprint, volume, delta, held = {}, 0, 0, 0
    seconds = process_time() - began
    return seconds, [bar[4] for bar in bars]


def best(measure: Callable[[], tuple[float, list[int]]]) -> tuple[float, list[int]]:
    """The fastest of some repetitions."""
    gc.collect()
    return min((measure() for _ in range(REPETITIONS)), key=lambda found: found[0])


def row(spec_text: str, ticks: TickColumns, session: Session) -> str:
    """One row of the table."""
    spec = parse_bar_spec(spec_text)
    seconds, expected = best(partial(by_prints, ticks, spec, session.open_ns))
    plain = len(ticks) / seconds
    cells = [spec_text, f"{len(expected):,}", f"{plain / 1e6:.2f}"]
    for size in BATCHES:
        part = ticks.slice(0, size * MOST_BATCHES)
        seconds, volumes = best(partial(by_columns, part, spec, size))
        if volumes != expected[: len(volumes)]:
            raise AssertionError(f"{spec_text} in batches of {size}: the bars differ")
        speed = len(part) / seconds
        cells.append(f"{speed / 1e6:.2f} ({speed / plain:.2f})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    prints = int(sys.argv[1]) if len(sys.argv) > 1 else 600_000
    session = calendar("cme").session(DAY, HOURS)
    assert session is not None
    ticks = tape(session, prints)
    print(f"{prints:,} prints in one regular session; million prints a second of CPU time (times the plain loop)")
    print()
    print(f"| bars | n | plain loop | {' | '.join(f'batches of {size:,}' for size in BATCHES)} |")
    print("|---|---:|---:" + "|---:" * len(BATCHES) + "|")
    for spec in SPECS:
        print(row(spec, ticks, session), flush=True)


if __name__ == "__main__":
    main()
