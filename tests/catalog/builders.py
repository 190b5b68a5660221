"""Days of prints to keep, and ways to spoil the files that keep them."""

from datetime import date
from pathlib import Path

import numpy as np

from leadline.catalog.catalog import Catalog
from leadline.catalog.entry import describe, to_words
from leadline.catalog.parquet import encode
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickColumns

CONTRACT = ContractId("ESH2025")
DAY = date(2025, 1, 13)


def prints(count: int, *, contract: str = CONTRACT, day: date = DAY, seed: int = 1) -> TickColumns:
    """Prints of a trading day, a seeded walk, some of them at the same time."""
    rng = np.random.default_rng(seed)
    window = calendar(instrument_of(contract).calendar).market(day)
    assert window is not None
    time_ns = np.sort(rng.integers(window[0], window[1], count))
    time_ns[1::7] = time_ns[0::7][: len(time_ns[1::7])]
    return TickColumns(
        np.sort(time_ns),
        20_000 + np.cumsum(rng.integers(-1, 2, count)),
        rng.integers(1, 40, count),
        rng.integers(-1, 2, count).astype(np.int8),
    )


def filled(root: Path, count: int = 500) -> Catalog:
    """A catalog with one day."""
    catalog = Catalog(root)
    catalog.write(CONTRACT, DAY, prints(count), source="a test")
    return catalog


def put(catalog: Catalog, content: bytes, day: date = DAY) -> Path:
    """A file in the place of a day, whatever it is."""
    path = catalog.path(CONTRACT, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def said(ticks: TickColumns, **words: str) -> bytes:
    """A whole file of prints whose head says some other words than its prints do."""
    good = prints(len(ticks))
    return encode(ticks, to_words(describe(CONTRACT, DAY, good)) | words)


def equal(some: TickColumns, others: TickColumns) -> bool:
    """Whether both have the same prints at the same places."""
    pairs = zip(columns(some), columns(others), strict=True)
    return some.first_index == others.first_index and all(np.array_equal(one, other) for one, other in pairs)


def columns(ticks: TickColumns) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The four columns."""
    return ticks.time_ns, ticks.price, ticks.size, ticks.aggressor


def changed(ticks: TickColumns, number: int, value: int) -> TickColumns:
    """The prints with another value in the middle of a column, which is given by its number."""
    time_ns, price, size, aggressor = (column.copy() for column in columns(ticks))
    (time_ns, price, size, aggressor)[number][len(ticks) // 2] = value
    return TickColumns(time_ns, price, size, aggressor)
