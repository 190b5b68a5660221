"""The one place where the bus's and the services' shared messages become domain values, and back."""

from datetime import date
from decimal import Decimal
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from leadline.model.bars import Bar, BarKey, BarMessage, FootprintRows
from leadline.model.signals import BarSignals, Direction, Pattern, Regime, RegimeReading, Signal, SignalMessage
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.v1 import model_pb2 as pb

_DIRECTION_TO_PB: Final = {Direction.LONG: pb.DIRECTION_LONG, Direction.SHORT: pb.DIRECTION_SHORT}
_DIRECTION_FROM_PB: Final = {value: key for key, value in _DIRECTION_TO_PB.items()}


def _int64(field: object) -> NDArray[np.int64]:
    return np.asarray(field, dtype=np.int64)


# --- ticks ---------------------------------------------------------------------------------------------------------


def tick_batch_to_proto(batch: TickBatch) -> pb.TickBatch:
    """Columns to a message."""
    ticks = batch.ticks
    return pb.TickBatch(
        tape=batch.tape,
        venue=batch.venue,
        contract=batch.contract,
        first_index=ticks.first_index,
        last_index=ticks.last_index,
        watermark_ns=batch.watermark_ns,
        final=batch.final,
        time_ns=ticks.time_ns.tolist(),
        price=ticks.price.tolist(),
        size=ticks.size.tolist(),
        aggressor=ticks.aggressor.tolist(),
    )


def tick_batch_from_proto(message: pb.TickBatch) -> TickBatch:
    """A message to columns; ValueError when they are not of equal length, or an aggressor does not fit a byte."""
    aggressor = _int64(message.aggressor)
    narrow = aggressor.astype(np.int8)
    if (narrow != aggressor).any():
        raise ValueError("an aggressor of a tick batch is none of 1, -1 and 0")
    ticks = TickColumns(
        _int64(message.time_ns),
        _int64(message.price),
        _int64(message.size),
        narrow,
        message.first_index,
    )
    if not len(ticks.time_ns) == len(ticks.price) == len(ticks.size) == len(ticks.aggressor):
        raise ValueError("columns of a tick batch differ in length")
    return TickBatch(message.tape, message.venue, message.contract, ticks, message.watermark_ns, message.final)


def encode_tick_batch(batch: TickBatch) -> bytes:
    """Payload of the tick stream."""
    return tick_batch_to_proto(batch).SerializeToString()


def decode_tick_batch(payload: bytes) -> TickBatch:
    """From the payload of the tick stream."""
    return tick_batch_from_proto(pb.TickBatch.FromString(payload))


# --- bars ----------------------------------------------------------------------------------------------------------


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
        message.contract, message.session, message.spec, date.fromisoformat(message.trading_day), message.ordinal
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
    "trades",
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
_ROW_COLUMNS: Final = ("price", "bid", "ask", "unknown", "bid_trades", "ask_trades", "unknown_trades")


def bar_to_proto(bar: Bar, *, rows: bool = True) -> pb.Bar:
    """A bar as a message, with its footprint or without."""
    integers: dict[str, Any] = {name: int(getattr(bar, name)) for name in _BAR_INTEGERS}
    message = pb.Bar(
        key=bar_key_to_proto(bar.key),
        vwap_price_volume=str(bar.vwap_price_volume),
        vwap_price2_volume=str(bar.vwap_price2_volume),
        **integers,
    )
    if rows:
        message.rows.CopyFrom(pb.FootprintRows(**{name: getattr(bar.rows, name).tolist() for name in _ROW_COLUMNS}))
    return message


def bar_from_proto(message: pb.Bar) -> Bar:
    """A message as a bar."""
    integers: dict[str, Any] = {name: getattr(message, name) for name in _BAR_INTEGERS}
    return Bar(
        key=bar_key_from_proto(message.key),
        rows=FootprintRows(**{name: _int64(getattr(message.rows, name)) for name in _ROW_COLUMNS}),
        vwap_price_volume=int(message.vwap_price_volume),
        vwap_price2_volume=int(message.vwap_price2_volume),
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
    ).SerializeToString()


def decode_bar(payload: bytes) -> BarMessage:
    """From the payload of the bar stream."""
    message = pb.BarMessage.FromString(payload)
    bar = bar_from_proto(message.bar) if message.HasField("bar") else None
    return BarMessage(message.tape, message.venue, message.contract, message.progress_ns, message.final, bar)


# --- signals -------------------------------------------------------------------------------------------------------


def _signal_to_proto(signal: Signal) -> pb.Signal:
    return pb.Signal(
        pattern=signal.pattern.value,
        direction=_DIRECTION_TO_PB[signal.direction],
        price=signal.price,
        strength=str(signal.strength),
        evidence_json=orjson.dumps(signal.evidence, option=orjson.OPT_SORT_KEYS).decode(),
        approved=signal.approved,
        rejection=signal.rejection,
    )


def _signal_from_proto(message: pb.Signal) -> Signal:
    return Signal(
        Pattern(message.pattern),
        _DIRECTION_FROM_PB[message.direction],
        message.price,
        Decimal(message.strength),
        orjson.loads(message.evidence_json),
        message.approved,
        message.rejection,
    )


def bar_signals_to_proto(bar: BarSignals) -> pb.BarSignals:
    """What a strategy says at a bar, as a message."""
    regime = bar.regime
    return pb.BarSignals(
        bar=bar_key_to_proto(bar.bar),
        known_at_ns=bar.known_at_ns,
        close=bar.close,
        session_open_ns=bar.session_open_ns,
        session_close_ns=bar.session_close_ns,
        regime=pb.RegimeReading(
            regime=regime.regime.value,
            confidence=str(regime.confidence),
            multiplier=str(regime.multiplier),
            reason=regime.reason,
            scores=regime.scores,
            inputs=regime.inputs,
        ),
        signals=[_signal_to_proto(signal) for signal in bar.signals],
    )


def bar_signals_from_proto(message: pb.BarSignals) -> BarSignals:
    """A message as what a strategy says at a bar; ValueError on an unknown pattern or regime."""
    regime = message.regime
    return BarSignals(
        bar=bar_key_from_proto(message.bar),
        known_at_ns=message.known_at_ns,
        close=message.close,
        session_open_ns=message.session_open_ns,
        session_close_ns=message.session_close_ns,
        regime=RegimeReading(
            Regime(regime.regime),
            Decimal(regime.confidence),
            Decimal(regime.multiplier),
            regime.reason,
            dict(sorted(regime.scores.items())),
            dict(sorted(regime.inputs.items())),
        ),
        signals=tuple(_signal_from_proto(signal) for signal in message.signals),
    )


def encode_signal(message: SignalMessage) -> bytes:
    """Payload of the signal stream; the same message gives the same bytes."""
    return pb.SignalMessage(
        tape=message.tape,
        account=message.account,
        strategy=message.strategy,
        analysis_hash=message.analysis_hash,
        progress_ns=message.progress_ns,
        final=message.final,
        bar=None if message.bar is None else bar_signals_to_proto(message.bar),
    ).SerializeToString(deterministic=True)


def decode_signal(payload: bytes) -> SignalMessage:
    """From the payload of the signal stream."""
    message = pb.SignalMessage.FromString(payload)
    return SignalMessage(
        message.tape,
        message.account,
        message.strategy,
        message.analysis_hash,
        message.progress_ns,
        message.final,
        bar_signals_from_proto(message.bar) if message.HasField("bar") else None,
    )
