"""Files as Databento gives them, small and made up."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import pyarrow as pa

# 2025-01-13 15:00 UTC.
BEGINS_NS = 1_736_780_400_000_000_000
ES, SPREAD, OTHER = 17, 18, 19
SYMBOLS = {ES: "ESH5", SPREAD: "ESH5-ESM5", OTHER: "ESM5"}


def trade(
    second: float, price: float | None = 5850.25, size: int = 3, side: str = "B", instrument: int = ES
) -> dbn.TradeMsg:
    """A trade so many seconds after the beginning. `side` is the aggressor's letter; None is the price of none."""
    at = BEGINS_NS + int(second * 10**9)
    return dbn.TradeMsg(
        publisher_id=1,
        instrument_id=instrument,
        ts_event=at,
        size=size,
        action=dbn.Action("T"),
        side=dbn.Side(side),
        depth=0,
        price=dbn.UNDEF_PRICE if price is None else round(price * 10**9),
        ts_recv=at + 1_000,
    )


def order(second: float, action: str, side: str) -> dbn.MBOMsg:
    """A message of the book, of which those with action T are trades."""
    at = BEGINS_NS + int(second * 10**9)
    return dbn.MBOMsg(
        publisher_id=1,
        instrument_id=ES,
        ts_event=at,
        order_id=1,
        price=5850 * 10**9,
        size=2,
        channel_id=0,
        action=dbn.Action(action),
        side=dbn.Side(side),
        ts_recv=at,
    )


def dbn_bytes(
    records: Sequence[Any],
    symbols: Mapping[int, str] = SYMBOLS,
    schema: str = "trades",
    days: tuple[date, date] = (date(2025, 1, 13), date(2025, 1, 15)),
) -> bytes:
    """A file with these records. days: for which the numbers of symbols mean what they do, the last not included."""
    mappings: Any = [
        SimpleNamespace(
            raw_symbol=name,
            intervals=[SimpleNamespace(start_date=days[0], end_date=days[1], symbol=str(number))],
        )
        for number, name in symbols.items()
    ]
    metadata = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=records[0].ts_event if records else 0,
        stype_in=dbn.SType("parent"),
        stype_out=dbn.SType("instrument_id"),
        schema=dbn.Schema(schema),
        symbols=["ES.FUT"],
        mappings=mappings,
    )
    return b"".join(map(bytes, [metadata, *records]))


def dbn_file(folder: Path, name: str, records: Sequence[Any], **other: Any) -> Path:
    """The same on disk, packed where the name says so."""
    content = dbn_bytes(records, **other)
    path = folder / name
    path.write_bytes(pa.compress(content, codec="zstd", asbytes=True) if name.endswith(".zst") else content)
    return path
