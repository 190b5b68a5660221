"""Messages of the bus on their way in: what is no message of its kind is refused here, and told.

Whatever a reader gets from a stream goes through one of these functions first. Each raises `RefusedMessage` for what
cannot be read, and for what stands on another subject than its own words belong to.
"""

from collections.abc import Callable
from contextlib import aclosing
from typing import TypeVar

import structlog

from leadline.model.bars import BarMessage
from leadline.model.errors import RefusedMessage
from leadline.model.signals import SignalMessage
from leadline.model.subjects import bar_subject, signal_subject, tick_subject
from leadline.model.ticks import TickBatch
from leadline.model.wire.bars import decode_bar
from leadline.model.wire.signals import decode_signal
from leadline.model.wire.ticks import decode_tick_batch
from leadline.runtime import measurements
from leadline.runtime.bus.bus import Bus, Received

Value = TypeVar("Value")

_log = structlog.get_logger(__name__)


def read_ticks(subject: str, payload: bytes) -> TickBatch:
    """Prints from the stream of ticks."""
    batch = decode_tick_batch(payload)
    _belongs(subject, tick_subject(batch.tape, batch.venue, batch.contract))
    return batch


def read_bar(subject: str, payload: bytes) -> BarMessage:
    """A bar or progress from the stream of bars."""
    message = decode_bar(payload)
    carried = message.bar or message.unfinished
    key = None if carried is None else carried.key
    if key is None:
        own = tick_subject(message.tape, message.venue, message.contract).replace(".tick.", ".bar.", 1)
        _belongs(subject.rpartition(".")[0], own)
    elif key.contract != message.contract:
        raise RefusedMessage("other_subject", f"a bar of {key.contract} in a message of {message.contract}")
    else:
        _belongs(subject, bar_subject(message.tape, message.venue, key.contract, key.session, key.spec))
    return message


def read_signal(subject: str, payload: bytes) -> SignalMessage:
    """A strategy's message from the stream of signals."""
    message = decode_signal(payload)
    _belongs(subject, signal_subject(message.tape, message.account, message.strategy))
    return message


async def last_usable(
    bus: Bus, stream: str, subject: str, read: Callable[[str, bytes], Value], *, own: bool = False
) -> Value | None:
    """The last message on a subject; where it is refused, the last one that is not. None when there is none.

    own: the caller publishes to the subject and goes on from there, as with `Bus.resume`. Raises as `Bus.last`.
    """
    last = await (bus.resume if own else bus.last)(stream, subject)
    if last is None:
        return None
    intake, found = Intake(stream), None
    value = intake.usable(last, read)
    if value is not None:
        return value
    async with aclosing(bus.ordered(stream, subject)) as messages:
        async for message in messages:
            value = intake.usable(message, read)
            found = found if value is None else value
            if message.sequence >= last.sequence:
                break
    return found


async def place_before(
    bus: Bus, stream: str, subject: str, reached: Callable[[str, bytes], int], wanted: int
) -> int | None:
    """The sequence of the last message on a subject that is at or before a place of the tape.

    reached: the place that a message has come to, a time or a source index, which never falls on the subject; it may
    raise RefusedMessage. None where the first message on the subject is behind that place, or there is none. The stream
    is halved again and again: a few dozen messages are looked at. Raises as `Bus.last`.
    """
    state = await bus.state(stream)
    low, high, found = max(1, state.first_sequence), state.last_sequence, None
    while low <= high:
        middle = (low + high) // 2
        message = await bus.at(stream, subject, middle)
        if message is None or message.sequence > high:
            high = middle - 1
            continue
        try:
            is_before = reached(message.subject, message.payload) <= wanted
        except RefusedMessage:
            # It says no time: what stands behind it is looked at instead.
            low = message.sequence + 1
            continue
        if is_before:
            found, low = message.sequence, message.sequence + 1
        else:
            high = middle - 1
    return found


def _belongs(subject: str, own: str) -> None:
    if subject != own:
        raise RefusedMessage("other_subject", f"the message says that it belongs to {own}")


class Intake:
    """One reader's way of passing over what it cannot use: counted and told. The log bounds its own lines.

    stream: its name, for the metric and the log.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream

    def usable(self, received: Received, read: Callable[[str, bytes], Value]) -> Value | None:
        """A message as `read` decodes it; None for one that is refused."""
        try:
            return read(received.subject, received.payload)
        except RefusedMessage as refused:
            self.refuse(received, refused)
            return None

    def refuse(self, received: Received, refused: RefusedMessage) -> None:
        """Count a message that is not used, and tell of it."""
        measurements.REFUSED_MESSAGES.labels(self._stream, refused.reason).inc()
        _log.error(
            "bus.message_refused",
            stream=self._stream,
            subject=received.subject,
            sequence=received.sequence,
            bytes=len(received.payload),
            reason=refused.reason,
            detail=refused.detail,
        )
