"""Bars and their footprints as messages, and back."""

from datetime import date
from typing import Any, Final

from leadline.model.bars import Bar, BarKey, BarMessage, FootprintRows, UnfinishedBar
from leadline.model.ids import ContractId, RunId
from leadline.model.v1 import model_pb2 as pb
from leadline.model.wire.fields import (
    LARGEST_NUMBER,
    LONGEST_NUMBER,
    MOST_ROWS,
    decoded,
    int64_column,
    require,
    require_names,
    require_within,
)


def bar_key_to_proto(key: BarKey) -> pb.BarKey:
    """A bar's identity as a message."""
    return pb.BarKey(
        contract=key.contract,
        session=key.session,
        spec=key.spec,
        trading_day=key.trading_day.isoformat(),
        ordinal=key.ordinal,
    )


def bar_key_from_proto(message: pb.BarKey) -> BarKey:
    """A bar's identity; ValueError when the trading day is not a date."""
    return BarKey(
        ContractId(message.contract),
        message.session,
        message.spec,
        date.fromisoformat(message.trading_day),
        message.ordinal,
    )


_BAR_INTEGERS: Final = (
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
    "revision",
)
_ROW_COLUMNS: Final = ("price", "bid", "ask", "unknown", "bid_prints", "ask_prints", "unknown_prints")


def bar_to_proto(bar: Bar, *, rows: bool = True) -> pb.Bar:
    """A bar as a message, with its footprint or without."""
    integers: dict[str, Any] = {name: int(getattr(bar, name)) for name in _BAR_INTEGERS}
    message = pb.Bar(
        key=bar_key_to_proto(bar.key),
        vwap_price_volume=str(bar.vwap_price_volume),
        vwap_price2_volume=str(bar.vwap_price2_volume),
        gap=bar.gap,
        **integers,
    )
    if rows:
        message.rows.CopyFrom(pb.FootprintRows(**{name: getattr(bar.rows, name).tolist() for name in _ROW_COLUMNS}))
    return message


def bar_from_proto(message: pb.Bar) -> Bar:
    """A message as a bar. Raises RefusedMessage when its footprint or its numbers are not those of one."""
    integers: dict[str, Any] = {name: getattr(message, name) for name in _BAR_INTEGERS}
    rows = FootprintRows(**{name: int64_column(getattr(message.rows, name)) for name in _ROW_COLUMNS})
    require_names(message.key.contract, message.key.session, message.key.spec)
    require(message.key.ordinal >= 0, f"ordinal {message.key.ordinal}")
    require(len({len(getattr(rows, name)) for name in _ROW_COLUMNS}) == 1, "columns of a footprint differ in length")
    require(0 < len(rows) <= MOST_ROWS, f"a footprint of {len(rows)} rows")
    require(bool((rows.price[1:] > rows.price[:-1]).all()), "rows whose prices do not rise")
    require_within(rows.price, -LARGEST_NUMBER, "prices of rows")
    for name in _ROW_COLUMNS[1:]:
        require_within(getattr(rows, name), 0, name)
    volume = int(rows.bid.sum() + rows.ask.sum() + rows.unknown.sum())
    require(volume == message.volume, f"volume {message.volume}, rows that sum to {volume}")
    require(
        message.low <= min(message.open, message.close) and message.high >= max(message.open, message.close), "range"
    )
    require(message.ticks_per_row >= 1 and message.revision >= 0, "ticks_per_row or revision")
    require(0 <= message.start_ns <= message.end_ns and message.session_open_ns < message.session_close_ns, "times")
    for text in (message.vwap_price_volume, message.vwap_price2_volume):
        require(len(text) <= LONGEST_NUMBER, f"a sum of {len(text)} characters")
    return Bar(
        key=bar_key_from_proto(message.key),
        rows=rows,
        vwap_price_volume=int(message.vwap_price_volume),
        vwap_price2_volume=int(message.vwap_price2_volume),
        gap=message.gap,
        **integers,
    )


def encode_bar(message: BarMessage) -> bytes:
    """Payload of the bar stream."""
    return pb.BarMessage(
        tape=message.tape,
        venue=message.venue,
        contract=message.contract,
        progress_ns=message.progress_ns,
        final=message.final,
        bar=None if message.bar is None else bar_to_proto(message.bar),
        unfinished=unfinished_to_proto(message.unfinished),
        quiet_until_ns=message.quiet_until_ns,
    ).SerializeToString()


def unfinished_to_proto(unfinished: UnfinishedBar | None) -> pb.UnfinishedBar | None:
    """An unfinished bar as a message."""
    if unfinished is None:
        return None
    return pb.UnfinishedBar(bar=bar_key_to_proto(unfinished.key), prints=unfinished.prints)


def _unfinished(message: pb.BarMessage) -> UnfinishedBar | None:
    if not message.HasField("unfinished"):
        return None
    require(message.final and message.unfinished.prints > 0, "an unfinished bar without prints, or before the end")
    return UnfinishedBar(bar_key_from_proto(message.unfinished.bar), message.unfinished.prints)


def decode_bar(payload: bytes) -> BarMessage:
    """From the payload of the bar stream. Raises RefusedMessage."""
    return decoded(payload, _bar_message)


def _bar_message(payload: bytes) -> BarMessage:
    message = pb.BarMessage.FromString(payload)
    require_names(message.tape, message.venue, message.contract)
    bar = bar_from_proto(message.bar) if message.HasField("bar") else None
    return BarMessage(
        RunId(message.tape),
        message.venue,
        ContractId(message.contract),
        message.progress_ns,
        message.final,
        bar,
        _unfinished(message),
        message.quiet_until_ns,
    )
