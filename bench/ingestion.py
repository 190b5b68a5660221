"""How fast prints come in, against the same work with Python's csv module and decimals.

    python -m bench.ingestion [SESSIONS]

Simulated sessions are made (first figure) and written down as text. Reading that text and checking it (`parse_lines`,
`Normaliser.feed`) is measured against a loop over `csv.reader` that does the same with `Decimal`, print by print; then
the whole way from text to messages ready for the bus.
"""

import csv
import gc
import io
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from time import perf_counter
from typing import Final

import numpy as np

from leadline.ingestion.batching import BatchBounds, split
from leadline.ingestion.csv_ticks import parse_lines
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.raw import RawColumns
from leadline.ingestion.runs import previous_days
from leadline.ingestion.simulator import simulate
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickBatch, TickColumns, concat
from leadline.model.wire.ticks import encode_tick_batch

CONTRACT: Final = ContractId("MESM2025")
LAST_DAY: Final = date(2025, 6, 10)
LINES_AT_ONCE: Final = 32_768
REPETITIONS: Final = 3


def text_of(ticks: TickColumns) -> bytes:
    """Prints as lines of text."""
    instrument = instrument_of(CONTRACT)
    columns = (ticks.time_ns.tolist(), ticks.price.tolist(), ticks.size.tolist(), ticks.aggressor.tolist())
    return "".join(
        f"{time},{instrument.ticks_to_price(price)},{size},{side}\n"
        for time, price, size, side in zip(*columns, strict=True)
    ).encode()


def blocks_of(text: bytes) -> list[bytes]:
    """The text in blocks of whole lines."""
    lines = text.splitlines(keepends=True)
    return [b"".join(lines[start : start + LINES_AT_ONCE]) for start in range(0, len(lines), LINES_AT_ONCE)]


def normaliser() -> Normaliser:
    """A normaliser that has seen nothing."""
    return Normaliser.of(CONTRACT, allowed_lateness_ns=0)


def raw_of(block: bytes) -> RawColumns:
    """A block of text as columns."""
    columns = parse_lines(block, "bench", 1)
    return RawColumns(CONTRACT, *columns, np.arange(len(columns[0])), "bench")


def columns(blocks: list[bytes]) -> TickColumns:
    """Text to accepted prints, a column at a time."""
    accepting = normaliser()
    return concat([*(accepting.feed(raw_of(block)) for block in blocks), accepting.finish()])


def messages(blocks: list[bytes]) -> int:
    """Text to messages as they go to the bus; returns their bytes."""
    accepting, size = normaliser(), 0
    for ticks in (*(accepting.feed(raw_of(block)) for block in blocks), accepting.finish()):
        for draft in split(ticks, BatchBounds(2048)):
            size += len(encode_tick_batch(TickBatch(RunId("bench"), "cme", CONTRACT, draft.ticks, draft.watermark_ns)))
    return size


def print_by_print(text: str) -> list[tuple[int, int, int, int]]:
    """The same checks and the same result with the csv module, as people write it."""
    tick, found, newest = instrument_of(CONTRACT).tick, [], 0
    for time_text, price_text, size_text, side_text in csv.reader(io.StringIO(text)):
        time, price, size, side = int(time_text), Decimal(price_text), Decimal(size_text), int(side_text)
        ticks, off_grid = divmod(price, tick)
        if price <= 0 or size <= 0 or off_grid or size % 1 or abs(side) > 1 or time < newest:
            continue
        newest = time
        found.append((time, int(ticks), int(size), side))
    return found


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest repetition."""
    found = []
    for _ in range(REPETITIONS):
        gc.collect()
        started = perf_counter()
        work()
        found.append(perf_counter() - started)
    return min(found)


def main() -> None:
    """Measure and print."""
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    days = (*previous_days(calendar("cme"), LAST_DAY, sessions - 1), LAST_DAY)
    ticks = concat(simulate(CONTRACT, days, seed=1))
    text = text_of(ticks)
    blocks = blocks_of(text)
    read = columns(blocks)
    assert print_by_print(text.decode()) == list(
        zip(*(column.tolist() for column in (read.time_ns, read.price, read.size, read.aggressor)), strict=True)
    )
    prints = len(ticks)
    works: dict[str, Callable[[], object]] = {
        "csv module and decimals": lambda: print_by_print(text.decode()),
        "simulate": lambda: list(simulate(CONTRACT, days, seed=1)),
        "text to accepted prints": lambda: columns(blocks),
        "text to messages": lambda: messages(blocks),
    }
    found = {name: prints / best(work) for name, work in works.items()}
    plain = found["csv module and decimals"]
    print(f"{prints:,} prints of {sessions} sessions; million prints a second (times the csv module)")
    for name, speed in found.items():
        print(f"{name:<28}{speed / 1e6:8.2f} ({speed / plain:.1f})")


if __name__ == "__main__":
    main()
