"""Domain values as rows of the tables, and which prints of a batch are still to be stored."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from leadline.model.bars import Bar, BarMessage, UnfinishedBar
from leadline.model.ids import RunId
from leadline.model.signals import BarSignals, Signal, SignalMessage
from leadline.model.ticks import NS_PER_SECOND, TickBatch, TickColumns

Row = tuple[Any, ...]

_EPOCH: Final = date(1970, 1, 1)
_NS_PER_DAY: Final = 86_400 * NS_PER_SECOND

TICK_COLUMNS: Final = ("source", "source_index", "ts_ns", "price", "size", "aggressor")
# A row of a binary COPY: how many fields follow, and each behind its length in bytes.
_TICK_ROW: Final = np.dtype(
    [
        ("fields", ">i2"),
        *(
            field
            for name, kind in zip(TICK_COLUMNS, (">i4", ">i8", ">i8", ">i8", ">i8", ">i2"), strict=True)
            for field in ((f"{name}_bytes", ">i4"), (name, kind))
        ),
    ]
)
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
    times = np.concatenate([batch.ticks.time_ns for batch in batches])
    return {_EPOCH + timedelta(days) for days in np.unique(times // _NS_PER_DAY).tolist()}


def tick_rows(source: int, parts: Sequence[TickColumns]) -> bytes:
    """Rows of `TICK_COLUMNS`, in PostgreSQL's binary form of a COPY (the manual, COPY, "Binary Format")."""
    rows = np.empty(sum(map(len, parts)), _TICK_ROW)
    rows["fields"] = len(TICK_COLUMNS)
    for name in TICK_COLUMNS:
        rows[f"{name}_bytes"] = _TICK_ROW[name].itemsize
    rows["source"] = source
    start = 0
    for ticks in parts:
        part, start = rows[start : start + len(ticks)], start + len(ticks)
        part["source_index"] = np.arange(ticks.first_index, ticks.last_index + 1)
        part["ts_ns"], part["price"], part["size"] = ticks.time_ns, ticks.price, ticks.size
        part["aggressor"] = ticks.aggressor
    return rows.tobytes()


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
