"""Domain values as rows of the tables, and which prints of a batch are still to be stored."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import numpy as np

from leadline.model.bars import Bar, BarMessage, UnfinishedBar
from leadline.model.durations import NS_PER_DAY
from leadline.model.ids import RunId
from leadline.model.signals import BarSignals, Signal, SignalMessage
from leadline.model.ticks import Int8Array, Int64Array, TickBatch, TickColumns, concat

Row = tuple[Any, ...]

_EPOCH: Final = date(1970, 1, 1)

BLOCK_PRINTS: Final = 8192
"""A reader of one print reads all of its block."""
TICK_BLOCK_COLUMNS: Final = (
    "source",
    "first_index",
    "last_index",
    "first_ns",
    "last_ns",
    "ts_ns",
    "price",
    "size",
    "aggressor",
)
# The fields of a row of a binary COPY that are no arrays: how many there are in all, and each behind its length.
_BLOCK_HEAD: Final = struct.Struct(">h ii iq iq iq iq")
# An array: its length in bytes, dimensions, whether nulls are in it, the type of its elements; their number, the first.
_ARRAY_HEAD: Final = struct.Struct(">i iiI ii")
_INT8_OID: Final = 20
_INT2_OID: Final = 21
BAR_KEY_COLUMNS: Final = ("tape", "contract", "session", "spec", "trading_day", "ordinal")
FOOTPRINT_COLUMNS: Final = (
    *BAR_KEY_COLUMNS,
    "price",
    "bid",
    "ask",
    "unknown",
    "bid_prints",
    "ask_prints",
    "unknown_prints",
)
UNFINISHED_COLUMNS: Final = (*BAR_KEY_COLUMNS, "prints")
_BAR_FIELDS: Final = (
    "revision",
    "start_ns",
    "end_ns",
    "known_at_ns",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "prints",
    "delta",
    "min_delta",
    "max_delta",
    "cumulative_delta",
    "poc",
    "value_area_low",
    "value_area_high",
    "vwap_volume",
    "first_index",
    "last_index",
    "session_open_ns",
    "session_close_ns",
    "ticks_per_row",
    "gap",
)
CANDLE_COLUMNS: Final = (
    *BAR_KEY_COLUMNS,
    "bar_key",
    "venue",
    *_BAR_FIELDS,
    "vwap_price_volume",
    "vwap_price2_volume",
)
SIGNAL_COLUMNS: Final = (
    *BAR_KEY_COLUMNS,
    "account",
    "strategy",
    "analysis_hash",
    "bar_key",
    "known_at_ns",
    "close",
    "session_open_ns",
    "session_close_ns",
    "regime",
    "confidence",
    "multiplier",
    "reason",
    "scores",
    "inputs",
    "signals",
    "proposals",
)


@dataclass(frozen=True, slots=True)
class Unseen:
    """The part of some batches that is not stored yet.

    `parts` follow each other and the position without a hole; `overlapping` prints were stored before; `taken`
    batches are dealt with. When it is fewer than were given, the next one leaves out the source indices
    [`missing_from`, `missing_to`).
    """

    parts: tuple[TickColumns, ...]
    overlapping: int
    taken: int
    last_index: int
    missing_from: int = 0
    missing_to: int = 0


def unseen(batches: Sequence[TickBatch], last_index: int) -> Unseen:
    """The prints of `batches` that follow the stored position `last_index` (-1: nothing is stored), up to a hole."""
    parts: list[TickColumns] = []
    overlapping = 0
    for taken, batch in enumerate(batches):
        ticks = batch.ticks
        if ticks.first_index > last_index + 1:
            return Unseen(tuple(parts), overlapping, taken, last_index, last_index + 1, ticks.first_index)
        fresh = ticks.slice(last_index + 1 - ticks.first_index, len(ticks))
        overlapping += len(ticks) - len(fresh)
        if len(fresh):
            parts.append(fresh)
            last_index = fresh.last_index
    return Unseen(tuple(parts), overlapping, len(batches), last_index)


def tick_dates(batches: Sequence[TickBatch]) -> set[date]:
    """The dates of the prints of batches, in UTC."""
    days = np.concatenate([batch.ticks.time_ns for batch in batches]) // NS_PER_DAY
    found = {*days[:1].tolist(), *days[1:][np.diff(days) != 0].tolist()}
    return {_EPOCH + timedelta(day) for day in found}


def tick_blocks(parts: Sequence[TickColumns]) -> list[TickColumns]:
    """Prints that follow each other, in parts of one date and at most `BLOCK_PRINTS`, whose times do not go back."""
    whole = concat(parts)
    turns = (np.diff(whole.time_ns) < 0) | (np.diff(whole.time_ns // NS_PER_DAY) > 0)
    edges = [0, *(np.flatnonzero(turns) + 1).tolist(), len(whole)]
    return [
        whole.slice(start, min(start + BLOCK_PRINTS, stop))
        for begin, stop in pairwise(edges)
        for start in range(begin, stop, BLOCK_PRINTS)
    ]


def tick_block_rows(source: int, parts: Sequence[TickColumns]) -> bytes:
    """Rows of `TICK_BLOCK_COLUMNS`, in PostgreSQL's binary form of a COPY (the manual, COPY, "Binary Format")."""
    rows: list[bytes] = []
    for block in tick_blocks(parts):
        times = block.time_ns
        ends = (8, block.first_index, 8, block.last_index, 8, int(times[0]), 8, int(times[-1]))
        rows.append(_BLOCK_HEAD.pack(len(TICK_BLOCK_COLUMNS), 4, source, *ends))
        rows += [_array(column, ">i8", _INT8_OID) for column in (times, block.price, block.size)]
        rows.append(_array(block.aggressor, ">i2", _INT2_OID))
    return b"".join(rows)


def _array(column: Int64Array | Int8Array, kind: str, oid: int) -> bytes:
    """A field with the elements of a column, each behind its length."""
    elements = np.empty(len(column), [("bytes", ">i4"), ("value", kind)])
    elements["bytes"] = elements["value"].itemsize
    elements["value"] = column
    data = elements.tobytes()
    return _ARRAY_HEAD.pack(_ARRAY_HEAD.size - 4 + len(data), 1, 0, oid, len(column), 1) + data


def bar_key_row(tape: RunId, bar: Bar) -> Row:
    """A row of `BAR_KEY_COLUMNS`."""
    key = bar.key
    return (tape, key.contract, key.session, key.spec, key.trading_day, key.ordinal)


def candle_row(message: BarMessage, bar: Bar) -> Row:
    """A row of `CANDLE_COLUMNS`."""
    return (
        *bar_key_row(message.tape, bar),
        bar.key.text(),
        message.venue,
        *(getattr(bar, name) for name in _BAR_FIELDS),
        Decimal(bar.vwap_price_volume),
        Decimal(bar.vwap_price2_volume),
    )


def unfinished_row(message: BarMessage, unfinished: UnfinishedBar) -> Row:
    """A row of `UNFINISHED_COLUMNS`."""
    key = unfinished.key
    return (message.tape, key.contract, key.session, key.spec, key.trading_day, key.ordinal, unfinished.prints)


def footprint_table(message: BarMessage, bar: Bar) -> Iterator[Row]:
    """Rows of `FOOTPRINT_COLUMNS`, lowest price first."""
    key, rows = bar_key_row(message.tape, bar), bar.rows
    columns = (
        rows.price,
        rows.bid,
        rows.ask,
        rows.unknown,
        rows.bid_prints,
        rows.ask_prints,
        rows.unknown_prints,
    )
    return ((*key, *values) for values in zip(*(column.tolist() for column in columns), strict=True))


def signal_row(message: SignalMessage, bar: BarSignals) -> Row:
    """A row of `SIGNAL_COLUMNS`; the last four are JSON documents. Without a regime its columns are null."""
    key, regime = bar.bar, bar.regime
    return (
        message.tape,
        key.contract,
        key.session,
        key.spec,
        key.trading_day,
        key.ordinal,
        message.account,
        message.strategy,
        message.analysis_hash,
        key.text(),
        bar.known_at_ns,
        bar.close,
        bar.session_open_ns,
        bar.session_close_ns,
        *(
            (None,) * 6
            if regime is None
            else (
                regime.regime.value,
                regime.confidence,
                regime.multiplier,
                regime.reason,
                regime.scores,
                regime.inputs,
            )
        ),
        [signal_document(signal) for signal in bar.signals],
        [asdict(proposal) for proposal in bar.proposals],
    )


def signal_document(signal: Signal) -> dict[str, Any]:
    """A signal as the JSON of its row has it."""
    return {
        "pattern": str(signal.pattern),
        "direction": str(signal.direction),
        "price": signal.price,
        "strength": str(signal.strength),
        "approved": signal.approved,
        "rejection": signal.rejection,
        "evidence": signal.evidence,
    }
