"""The one place where the bus's and the services' shared messages become domain values, and back.

What comes from the bus may be anything: an encoder's counterpart raises `RefusedMessage` for whatever is no message of
its kind, and nothing else.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, TypeVar

import numpy as np
import orjson
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from leadline.model.bars import Bar, BarKey, BarMessage, FootprintRows, UnfinishedBar
from leadline.model.counted import counted
from leadline.model.errors import RefusedMessage
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.orders import Bracket, OrderType, Trail
from leadline.model.proposals import Action, EntryTerms, Proposal, Withdrawal
from leadline.model.signals import BarSignals, Direction, Pattern, Regime, RegimeReading, Signal, SignalMessage
from leadline.model.ticks import SenderPosition, TickBatch, TickColumns
from leadline.model.v1 import model_pb2 as pb

_DIRECTION_TO_PB: Final = {Direction.LONG: pb.DIRECTION_LONG, Direction.SHORT: pb.DIRECTION_SHORT}
_DIRECTION_FROM_PB: Final = {value: key for key, value in _DIRECTION_TO_PB.items()}

# More than any source publishes in one message, and less than can hurt.
MOST_PRINTS: Final = 65_536
MOST_ROWS: Final = 65_536
# Prices, sizes, volumes and their sums over a message stay far inside of int64.
LARGEST_NUMBER: Final = 1 << 45
LONGEST_NUMBER: Final = 64
LONGEST_NAME: Final = 128

_Value = TypeVar("_Value")


def _decoded(payload: bytes, read: Callable[[bytes], _Value]) -> _Value:
    """A payload as `read` decodes it. Raises RefusedMessage and nothing else."""
    try:
        return read(payload)
    except RefusedMessage:
        raise
    except DecodeError as error:
        raise RefusedMessage("unreadable", f"no message in {counted(len(payload), 'byte')}: {error}") from None
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise RefusedMessage("malformed", f"{type(error).__name__}: {error}") from None


def _require(holds: object, detail: str) -> None:
    if not holds:
        raise RefusedMessage("malformed", detail)


def _names(*names: str) -> None:
    for name in names:
        _require(0 < len(name) <= LONGEST_NAME, f"a name of {len(name)} characters")


def _within(column: NDArray[np.int64], least: int, name: str) -> None:
    if len(column):
        low, high = int(column.min()), int(column.max())
        _require(least <= low and high <= LARGEST_NUMBER, f"{name} from {low} to {high}")


def _decimal(text: str) -> Decimal:
    _require(len(text) <= LONGEST_NUMBER, f"a number of {len(text)} characters")
    return Decimal(text)


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
        sender=None if batch.sender is None else _sender_to_proto(batch.sender),
    )


def tick_batch_from_proto(message: pb.TickBatch) -> TickBatch:
    """A message to columns, as somebody's source has them: nothing else is said about what stands in them.

    Raises RefusedMessage, a ValueError, when they are not of equal length, or an aggressor does not fit a byte.
    """
    columns = (message.time_ns, message.price, message.size, message.aggressor)
    _require(len({len(column) for column in columns}) == 1, "columns of a tick batch differ in length")
    aggressor = _int64(message.aggressor)
    narrow = aggressor.astype(np.int8)
    _require(not (narrow != aggressor).any(), "an aggressor of a tick batch is none of 1, -1 and 0")
    ticks = TickColumns(
        _int64(message.time_ns),
        _int64(message.price),
        _int64(message.size),
        narrow,
        message.first_index,
    )
    sender = _sender_from_proto(message.sender) if message.HasField("sender") else None
    return TickBatch(
        RunId(message.tape),
        message.venue,
        message.contract,
        ticks,
        message.watermark_ns,
        message.final,
        sender,
    )


def _sender_to_proto(sender: SenderPosition) -> pb.SenderPosition:
    days: dict[str, pb.KeptOutDays] = {}
    for (day, reason), prints in sender.kept_out.items():
        column = days.setdefault(reason, pb.KeptOutDays(reason=reason))
        column.day.append(0 if day is None else day.toordinal())
        column.prints.append(prints)
    return pb.SenderPosition(
        next_index=sender.next_index,
        settled_from=[begin for begin, _ in sender.settled],
        settled_until=[end for _, end in sender.settled],
        last_time_ns=sender.last_time_ns,
        last_price=sender.last_price,
        kept_out=list(days.values()),
    )


def _sender_from_proto(message: pb.SenderPosition) -> SenderPosition:
    settled = tuple(zip(message.settled_from, message.settled_until, strict=True))
    edges = [message.next_index, *(edge for each in settled for edge in each)]
    _require(
        edges[0] >= 0 and all(a < b for a, b in pairwise(edges)), "a sender's ranges that do not follow each other"
    )
    kept_out = {
        (date.fromordinal(day) if day else None, column.reason): prints
        for column in message.kept_out
        for day, prints in zip(column.day, column.prints, strict=True)
    }
    _require(all(prints >= 0 for prints in kept_out.values()), "a count of prints below zero")
    return SenderPosition(message.next_index, settled, message.last_time_ns, message.last_price, kept_out)


def _checked_tick_batch(payload: bytes) -> TickBatch:
    """Prints as ingestion publishes them."""
    message = pb.TickBatch.FromString(payload)
    batch = tick_batch_from_proto(message)
    ticks = batch.ticks
    _names(batch.tape, batch.venue, batch.contract)
    _require(len(ticks) <= MOST_PRINTS, f"{len(ticks)} prints in one message")
    _require(0 <= message.first_index <= LARGEST_NUMBER, f"first_index {message.first_index}")
    _require(message.last_index == ticks.last_index, f"last_index {message.last_index}, {counted(len(ticks), 'print')}")
    _within(ticks.price, -LARGEST_NUMBER, "prices")
    _within(ticks.size, 1, "sizes")
    if len(ticks):
        _require(ticks.aggressor.min() >= -1 and ticks.aggressor.max() <= 1, "a side that is none of -1, 0 and 1")
        times = ticks.time_ns
        _require(times[0] >= 0 and bool((times[1:] >= times[:-1]).all()), "times that run backwards")
    return batch


def encode_tick_batch(batch: TickBatch) -> bytes:
    """Payload of the tick stream."""
    return tick_batch_to_proto(batch).SerializeToString()


def decode_tick_batch(payload: bytes) -> TickBatch:
    """From the payload of the tick stream. Raises RefusedMessage."""
    return _decoded(payload, _checked_tick_batch)


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
    """A message as a bar. Raises RefusedMessage when its footprint or its numbers are not those of one."""
    integers: dict[str, Any] = {name: getattr(message, name) for name in _BAR_INTEGERS}
    rows = FootprintRows(**{name: _int64(getattr(message.rows, name)) for name in _ROW_COLUMNS})
    _names(message.key.contract, message.key.session, message.key.spec)
    _require(message.key.ordinal >= 0, f"ordinal {message.key.ordinal}")
    _require(len({len(getattr(rows, name)) for name in _ROW_COLUMNS}) == 1, "columns of a footprint differ in length")
    _require(0 < len(rows) <= MOST_ROWS, f"a footprint of {len(rows)} rows")
    _require(bool((rows.price[1:] > rows.price[:-1]).all()), "rows whose prices do not rise")
    _within(rows.price, -LARGEST_NUMBER, "prices of rows")
    for name in _ROW_COLUMNS[1:]:
        _within(getattr(rows, name), 0, name)
    volume = int(rows.bid.sum() + rows.ask.sum() + rows.unknown.sum())
    _require(volume == message.volume, f"volume {message.volume}, rows that sum to {volume}")
    _require(
        message.low <= min(message.open, message.close) and message.high >= max(message.open, message.close), "range"
    )
    _require(message.ticks_per_row >= 1 and message.revision >= 0, "ticks_per_row or revision")
    _require(0 <= message.start_ns <= message.end_ns and message.session_open_ns < message.session_close_ns, "times")
    for text in (message.vwap_price_volume, message.vwap_price2_volume):
        _require(len(text) <= LONGEST_NUMBER, f"a sum of {len(text)} characters")
    return Bar(
        key=bar_key_from_proto(message.key),
        rows=rows,
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
        unfinished=unfinished_to_proto(message.unfinished),
    ).SerializeToString()


def unfinished_to_proto(unfinished: UnfinishedBar | None) -> pb.UnfinishedBar | None:
    """An unfinished bar as a message."""
    if unfinished is None:
        return None
    return pb.UnfinishedBar(bar=bar_key_to_proto(unfinished.key), prints=unfinished.prints)


def _unfinished(message: pb.BarMessage) -> UnfinishedBar | None:
    if not message.HasField("unfinished"):
        return None
    _require(message.final and message.unfinished.prints > 0, "an unfinished bar without prints, or before the end")
    return UnfinishedBar(bar_key_from_proto(message.unfinished.bar), message.unfinished.prints)


def decode_bar(payload: bytes) -> BarMessage:
    """From the payload of the bar stream. Raises RefusedMessage."""
    return _decoded(payload, _bar_message)


def _bar_message(payload: bytes) -> BarMessage:
    message = pb.BarMessage.FromString(payload)
    _names(message.tape, message.venue, message.contract)
    bar = bar_from_proto(message.bar) if message.HasField("bar") else None
    return BarMessage(
        RunId(message.tape),
        message.venue,
        message.contract,
        message.progress_ns,
        message.final,
        bar,
        _unfinished(message),
    )


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
    evidence = orjson.loads(message.evidence_json)
    _require(isinstance(evidence, dict), "evidence that is no mapping")
    return Signal(
        Pattern(message.pattern),
        _DIRECTION_FROM_PB[message.direction],
        message.price,
        _decimal(message.strength),
        evidence,
        message.approved,
        message.rejection,
    )


def _regime_to_proto(reading: RegimeReading) -> pb.RegimeReading:
    return pb.RegimeReading(
        regime=reading.regime.value,
        confidence=str(reading.confidence),
        multiplier=str(reading.multiplier),
        reason=reading.reason,
        scores=reading.scores,
        inputs=reading.inputs,
    )


def _regime_from_proto(message: pb.RegimeReading) -> RegimeReading:
    return RegimeReading(
        Regime(message.regime),
        _decimal(message.confidence),
        _decimal(message.multiplier),
        message.reason,
        dict(sorted(message.scores.items())),
        dict(sorted(message.inputs.items())),
    )


def proposal_to_proto(proposal: Proposal) -> pb.Proposal:
    """A proposal as a message."""
    entry, direction = proposal.entry, proposal.direction
    return pb.Proposal(
        action=proposal.action.value,
        direction=pb.DIRECTION_UNSPECIFIED if direction is None else _DIRECTION_TO_PB[direction],
        entry=None
        if entry is None
        else pb.EntryTerms(type=entry.type.value, price=entry.price, valid_for_ns=entry.valid_for_ns),
        bracket=None if proposal.bracket is None else bracket_to_proto(proposal.bracket),
        quantity=proposal.quantity,
        why=proposal.why,
        withdrawn="" if proposal.withdrawn is None else proposal.withdrawn.value,
        group=proposal.group,
        unit=proposal.unit,
    )


def proposal_from_proto(message: pb.Proposal) -> Proposal:
    """A message as what a strategy wants; ValueError or LookupError for a word that there is not."""
    unsaid = message.direction == pb.DIRECTION_UNSPECIFIED
    return Proposal(
        action=Action(message.action),
        direction=None if unsaid else _DIRECTION_FROM_PB[message.direction],
        entry=_entry_from_proto(message.entry) if message.HasField("entry") else None,
        bracket=bracket_from_proto(message.bracket) if message.HasField("bracket") else None,
        quantity=message.quantity if message.HasField("quantity") else None,
        why=tuple(message.why),
        withdrawn=Withdrawal(message.withdrawn) if message.withdrawn else None,
        group=message.group,
        unit=message.unit,
    )


def _entry_from_proto(message: pb.EntryTerms) -> EntryTerms:
    return EntryTerms(
        OrderType(message.type),
        message.price if message.HasField("price") else None,
        message.valid_for_ns if message.HasField("valid_for_ns") else None,
    )


def bar_signals_to_proto(bar: BarSignals) -> pb.BarSignals:
    """A strategy's answer to a bar as a message."""
    return pb.BarSignals(
        bar=bar_key_to_proto(bar.bar),
        known_at_ns=bar.known_at_ns,
        close=bar.close,
        session_open_ns=bar.session_open_ns,
        session_close_ns=bar.session_close_ns,
        regime=None if bar.regime is None else _regime_to_proto(bar.regime),
        signals=[_signal_to_proto(signal) for signal in bar.signals],
        proposals=[proposal_to_proto(proposal) for proposal in bar.proposals],
    )


def bar_signals_from_proto(message: pb.BarSignals) -> BarSignals:
    """A message as what a strategy says at a bar; ValueError or LookupError for a word that there is not."""
    return BarSignals(
        bar=bar_key_from_proto(message.bar),
        known_at_ns=message.known_at_ns,
        close=message.close,
        session_open_ns=message.session_open_ns,
        session_close_ns=message.session_close_ns,
        regime=_regime_from_proto(message.regime) if message.HasField("regime") else None,
        signals=tuple(_signal_from_proto(signal) for signal in message.signals),
        proposals=tuple(proposal_from_proto(proposal) for proposal in message.proposals),
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
    """From the payload of the signal stream. Raises RefusedMessage.

    What it says has the form of a message, and that is all: `leadline.model.signal_checks` says whether it may count.
    """
    return _decoded(payload, _signal_message)


def _signal_message(payload: bytes) -> SignalMessage:
    message = pb.SignalMessage.FromString(payload)
    _names(message.tape, message.account, message.strategy, message.analysis_hash)
    return SignalMessage(
        RunId(message.tape),
        AccountId(message.account),
        StrategyId(message.strategy),
        message.analysis_hash,
        message.progress_ns,
        message.final,
        bar_signals_from_proto(message.bar) if message.HasField("bar") else None,
    )


def bracket_to_proto(bracket: Bracket) -> pb.Bracket:
    """The exits of an entry as a message."""
    return pb.Bracket(
        stop_ticks=bracket.stop_ticks,
        target_ticks=bracket.target_ticks,
        stop_price=bracket.stop_price,
        target_price=bracket.target_price,
        trail=None if bracket.trail is None else pb.Trail(**asdict(bracket.trail)),
    )


def bracket_from_proto(message: pb.Bracket) -> Bracket:
    """A message as the exits of an entry."""
    trail = Trail(message.trail.trigger_ticks, message.trail.offset_ticks) if message.HasField("trail") else None
    return Bracket(
        stop_ticks=message.stop_ticks if message.HasField("stop_ticks") else None,
        target_ticks=message.target_ticks if message.HasField("target_ticks") else None,
        stop_price=message.stop_price if message.HasField("stop_price") else None,
        target_price=message.target_price if message.HasField("target_price") else None,
        trail=trail,
    )
