"""Batches of prints as messages of the bus and of the feeds, and back."""

from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np

from leadline.model.counted import counted
from leadline.model.ids import ContractId, RunId
from leadline.model.ticks import SenderPosition, TickBatch, TickColumns
from leadline.model.v1 import model_pb2 as pb
from leadline.model.wire.fields import (
    LARGEST_NUMBER,
    MOST_PRINTS,
    decoded,
    int64_column,
    require,
    require_names,
    require_within,
)

# The columns of a batch are the fields from here on.
_TIME_NS: Final = pb.TickBatch.TIME_NS_FIELD_NUMBER


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
        late=batch.late,
        gap_from_ns=batch.gap_from_ns,
    )


def tick_batch_from_proto(message: pb.TickBatch) -> TickBatch:
    """A message to columns, as somebody's source has them: nothing else is said about what stands in them.

    Raises RefusedMessage, a ValueError, when they are not of equal length, or an aggressor does not fit a byte.
    """
    columns = (message.time_ns, message.price, message.size, message.aggressor)
    require(len({len(column) for column in columns}) == 1, "columns of a tick batch differ in length")
    aggressor = int64_column(message.aggressor)
    narrow = aggressor.astype(np.int8)
    require(not (narrow != aggressor).any(), "an aggressor of a tick batch is none of 1, -1 and 0")
    ticks = TickColumns(
        int64_column(message.time_ns),
        int64_column(message.price),
        int64_column(message.size),
        narrow,
        message.first_index,
    )
    sender = _sender_from_proto(message.sender) if message.HasField("sender") else None
    return TickBatch(
        RunId(message.tape),
        message.venue,
        ContractId(message.contract),
        ticks,
        message.watermark_ns,
        message.final,
        sender,
        message.late,
        message.gap_from_ns,
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
    require(edges[0] >= 0 and all(a < b for a, b in pairwise(edges)), "a sender's ranges that do not follow each other")
    kept_out = {
        (date.fromordinal(day) if day else None, column.reason): prints
        for column in message.kept_out
        for day, prints in zip(column.day, column.prints, strict=True)
    }
    require(all(prints >= 0 for prints in kept_out.values()), "a count of prints below zero")
    return SenderPosition(message.next_index, settled, message.last_time_ns, message.last_price, kept_out)


def _checked_tick_batch(payload: bytes) -> TickBatch:
    """Prints as ingestion publishes them."""
    message = pb.TickBatch.FromString(payload)
    batch = tick_batch_from_proto(message)
    ticks = batch.ticks
    require_names(batch.tape, batch.venue, batch.contract)
    require(len(ticks) <= MOST_PRINTS, f"{len(ticks)} prints in one message")
    require(0 <= message.first_index <= LARGEST_NUMBER, f"first_index {message.first_index}")
    require(message.last_index == ticks.last_index, f"last_index {message.last_index}, {counted(len(ticks), 'print')}")
    require(message.gap_from_ns >= 0, f"gap_from_ns {message.gap_from_ns}")
    require_within(ticks.price, -LARGEST_NUMBER, "prices")
    require_within(ticks.size, 1, "sizes")
    if len(ticks):
        require(ticks.aggressor.min() >= -1 and ticks.aggressor.max() <= 1, "a side that is none of -1, 0 and 1")
        times = ticks.time_ns
        require(times[0] >= 0 and bool((times[1:] >= times[:-1]).all()), "times that run backwards")
    return batch


def encode_tick_batch(batch: TickBatch) -> bytes:
    """Payload of the tick stream: the bytes of `tick_batch_to_proto`, with the columns written as they lie in memory.

    Messages that are put one behind the other are read as one (Protocol Buffers, "Encoding"), and a packed column of
    sfixed64 is its numbers as little-endian bytes. An aggressor is one byte in zigzag form.
    """
    ticks = batch.ticks
    head = pb.TickBatch(
        tape=batch.tape,
        venue=batch.venue,
        contract=batch.contract,
        first_index=ticks.first_index,
        last_index=ticks.last_index,
        watermark_ns=batch.watermark_ns,
        final=batch.final,
    )
    tail = pb.TickBatch(
        sender=None if batch.sender is None else _sender_to_proto(batch.sender),
        late=batch.late,
        gap_from_ns=batch.gap_from_ns,
    )
    if not len(ticks):
        return head.SerializeToString() + tail.SerializeToString()
    sides = ticks.aggressor
    columns = [column.astype("<i8").tobytes() for column in (ticks.time_ns, ticks.price, ticks.size)]
    columns.append(((sides << 1) ^ (sides >> 7)).astype(np.uint8).tobytes())
    packed = [_packed(number, data) for number, data in enumerate(columns, _TIME_NS)]
    return b"".join((head.SerializeToString(), *packed, tail.SerializeToString()))


def _packed(number: int, data: bytes) -> bytes:
    """A packed field: its number and wire type, its length as a varint, and its numbers."""
    length, found = len(data), bytearray([number << 3 | 2])
    while length > 0x7F:
        found.append(length & 0x7F | 0x80)
        length >>= 7
    found.append(length)
    return bytes(found) + data


def decode_tick_batch(payload: bytes) -> TickBatch:
    """From the payload of the tick stream. Raises RefusedMessage."""
    return decoded(payload, _checked_tick_batch)
