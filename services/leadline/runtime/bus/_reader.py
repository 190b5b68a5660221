"""Reading a stream in order, from wherever it was left, on whatever connection there is."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import structlog
from nats.aio.msg import Msg
from nats.nuid import NUID

from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import Unknown
from leadline.runtime import measurements
from leadline.runtime.bus._link import BusRefused, BusTrouble, Link
from leadline.runtime.bus._pull import Puller

Start = Literal["all", "last", "new"] | datetime | int
GetLink = Callable[[], Awaitable[Link]]

ORDERED_WINDOW: Final = 256
# How long the server keeps the consumer of a reader that asks for nothing. A reader that comes later makes another.
INACTIVE_SECONDS: Final = 60
# One message is asked for at once.
LAST_SECONDS: Final = 5
# A reader whose consumer is lost again at once waits, so that it cannot spin.
REOPEN_WAIT_SECONDS: Final = 0.1

_STREAM_NOT_FOUND: Final = 10059
_CONSUMER_NOT_FOUND: Final = 10014

_log = structlog.get_logger(__name__)
_names = NUID()


@dataclass(frozen=True, slots=True)
class Received:
    """A message of a stream. `sequence` is the stream's and holds only as long as the server's storage does."""

    subject: str
    sequence: int
    payload: bytes
    message_id: str


@dataclass(frozen=True, slots=True)
class Delivery(Received):
    """A message that a durable consumer keeps giving out until `ack` is called."""

    reply: str
    link: Link

    async def ack(self) -> None:
        """Say that this message is done with. Lost with the connection, it is delivered again."""
        with contextlib.suppress(BusTrouble):
            await self.link.send(self.reply, b"+ACK")


@dataclass(frozen=True, slots=True)
class _Position:
    """The last message that was yielded; `stored_ns` is None when only its sequence is known."""

    sequence: int
    stored_ns: int | None


class _Regressed(Exception):
    """The stream at the server is not the one that was read before: it lost its end."""


async def read_ordered(
    get_link: GetLink, stream: str, subject: str, start: Start, window: int = ORDERED_WINDOW
) -> AsyncGenerator[Received, None]:
    """Messages of `subject` in the stream's order, without end, across lost connections and restarted servers.

    The position is kept in memory only. When the stream has lost its end, reading starts over, and messages repeat.
    Raises BusDenied, and Unknown when there is no such stream.
    """
    position: _Position | None = None
    # What it gave is given: a generator cannot be tried again from outside, it goes on from its position.
    while True:
        puller: Puller | None = None
        try:
            link = await get_link()
            if position is None:
                position = await _new_position(link, stream) if start == "new" else None
            puller = await _open(link, stream, subject, start, position, window)
            resumed = position
            while True:
                message = await puller.next()
                sequence, stored_ns = _stored_at(message.reply)
                known, resumed = resumed, None
                if known is not None and _is_known(known, sequence, stored_ns):
                    continue
                position = _Position(sequence, stored_ns)
                yield Received(message.subject, sequence, message.data, _message_id(message))
        except BusTrouble as trouble:
            _log.warning("bus.reader_reopens", stream=stream, subject=subject, reason=str(trouble))
        except _Regressed:
            _log.error("bus.stream_regressed", stream=stream, subject=subject)
            position, start = None, "all" if start == "new" or isinstance(start, int) else start
        finally:
            if puller is not None:
                await puller.close()
        measurements.READER_RESTARTS.labels(stream).inc()
        await asyncio.sleep(REOPEN_WAIT_SECONDS)


class Durable:
    """A consumer that the server remembers, read by one process at a time. Made by `Bus.durable`."""

    def __init__(self, get_link: GetLink, stream: str, consumer: str) -> None:
        self._get_link = get_link
        self._stream = stream
        self._consumer = consumer
        self._link: Link | None = None
        self._puller: Puller | None = None

    async def fetch(self, most: int, timeout_s: float) -> list[Delivery]:
        """Up to `most` messages in the stream's order, waiting up to `timeout_s` seconds for the first.

        After a start and after each lost connection it begins again at the oldest message that was not acknowledged.
        Raises BusDenied; an unreachable bus is an empty answer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                link, puller = await self._bind(most)
        except (BusTrouble, TimeoutError):
            await self._unbind()
            await asyncio.sleep(REOPEN_WAIT_SECONDS)
            return []
        try:
            messages = await puller.take(most, timeout_s)
        except BusTrouble as trouble:
            _log.warning("bus.durable_reopens", stream=self._stream, consumer=self._consumer, reason=str(trouble))
            measurements.READER_RESTARTS.labels(self._stream).inc()
            await self._unbind()
            return []
        return [Delivery(m.subject, _stored_at(m.reply)[0], m.data, _message_id(m), m.reply, link) for m in messages]

    async def close(self) -> None:
        """Give back what was fetched ahead."""
        await self._unbind()

    async def _bind(self, window: int) -> tuple[Link, Puller]:
        link = await self._get_link()
        if self._puller is None or self._link is not link:
            await self._unbind()
            # What an earlier reader got and did not acknowledge comes first, and in order.
            await _call_consumer(link, f"CONSUMER.RESET.{self._stream}.{self._consumer}", self._stream, self._consumer)
            self._link, self._puller = link, await Puller.open(link, self._stream, self._consumer, window)
        return link, self._puller

    async def _unbind(self) -> None:
        puller, self._puller, self._link = self._puller, None, None
        if puller is not None:
            await puller.close()


async def _call_consumer(link: Link, name: str, stream: str, consumer: str) -> dict[str, Any]:
    try:
        return await link.api(name)
    except BusRefused as refusal:
        if refusal.code in {_STREAM_NOT_FOUND, _CONSUMER_NOT_FOUND}:
            raise Unknown("consumer of the bus", f"{stream}/{consumer}") from refusal
        raise


async def read_last(link: Link, stream: str, subject: str) -> Received | None:
    """The last message on one subject, None when there is none.

    Through a consumer, whose subject a server's permissions can bound: asking for a message directly cannot be.
    Raises BusDenied, BusTrouble, and Unknown when there is no such stream.
    """
    return await _first(link, stream, subject, {"deliver_policy": "last"})


async def read_at(link: Link, stream: str, subject: str, sequence: int) -> Received | None:
    """The message with a sequence, None when it is not there or on another subject. Raises as `read_last`."""
    begin = {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence}
    found = await _first(link, stream, subject, begin)
    return found if found is not None and found.sequence == sequence else None


async def read_from(link: Link, stream: str, subject: str, sequence: int) -> Received | None:
    """The first message on a subject from a sequence on, None when there is none. Raises as `read_last`."""
    return await _first(link, stream, subject, {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence})


async def _first(link: Link, stream: str, subject: str, begin: dict[str, Any]) -> Received | None:
    """The first message of a consumer that begins there."""
    name, info = await _create(link, stream, subject, begin, LAST_SECONDS)
    if info["num_pending"] == 0:
        return None
    puller = await Puller.open(link, stream, name, 1)
    try:
        # It may be purged just now: then asking again finds the one before it, or none.
        taken = await puller.take(1, LAST_SECONDS)
    finally:
        await puller.close()
    if not taken:
        raise BusTrouble(f"{stream}: the message that was asked for on {subject} did not come")
    message = taken[0]
    return Received(message.subject, _stored_at(message.reply)[0], message.data, _message_id(message))


async def stream_info(link: Link, stream: str) -> dict[str, Any]:
    """The server's account of a stream. Raises Unknown when there is none."""
    try:
        return await link.api(f"STREAM.INFO.{stream}")
    except BusRefused as refusal:
        if refusal.code == _STREAM_NOT_FOUND:
            raise Unknown("stream of the bus", stream) from refusal
        raise


async def consumer_info(link: Link, stream: str, consumer: str) -> dict[str, Any]:
    """The server's account of a durable consumer. Raises Unknown when there is none."""
    return await _call_consumer(link, f"CONSUMER.INFO.{stream}.{consumer}", stream, consumer)


def _is_known(known: _Position, sequence: int, stored_ns: int) -> bool:
    """Whether the first message after a resumption is the one before it. Raises _Regressed when it took its place."""
    if sequence != known.sequence or known.stored_ns is None:
        return False
    if stored_ns != known.stored_ns:
        raise _Regressed
    return True


async def _new_position(link: Link, stream: str) -> _Position:
    return _Position((await stream_info(link, stream))["state"]["last_seq"], None)


async def _open(link: Link, stream: str, subject: str, start: Start, position: _Position | None, window: int) -> Puller:
    if position is None:
        begin: dict[str, Any] = {"deliver_policy": "last_per_subject" if start == "last" else "all"}
        if isinstance(start, datetime):
            begin = {"deliver_policy": "by_start_time", "opt_start_time": start.isoformat()}
        elif isinstance(start, int):
            begin = {"deliver_policy": "by_start_sequence", "opt_start_seq": start}
    else:
        if (await stream_info(link, stream))["state"]["last_seq"] < position.sequence:
            raise _Regressed
        # The last message again, to see that it is still the same one.
        again = position.sequence + (position.stored_ns is None)
        begin = {"deliver_policy": "by_start_sequence", "opt_start_seq": max(1, again)}
    name, _ = await _create(link, stream, subject, begin, INACTIVE_SECONDS)
    return await Puller.open(link, stream, name, window)


async def _create(
    link: Link, stream: str, subject: str, begin: dict[str, Any], seconds: int
) -> tuple[str, dict[str, Any]]:
    """A consumer that the server forgets after so many seconds without a reader: its name, and the server's account."""
    name = _names.next().decode()
    config = {
        "name": name,
        "ack_policy": "none",
        "replay_policy": "instant",
        "filter_subject": subject,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": seconds * NS_PER_SECOND,
        **begin,
    }
    try:
        info = await link.api(f"CONSUMER.CREATE.{stream}.{name}.{subject}", {"stream_name": stream, "config": config})
    except BusRefused as refusal:
        if refusal.code == _STREAM_NOT_FOUND:
            raise Unknown("stream of the bus", stream) from refusal
        raise
    return name, info


def _stored_at(reply: str) -> tuple[int, int]:
    """Stream sequence and time of storing, from `$JS.ACK.[domain.account.]stream.consumer.n.sequence.n.time.n`."""
    tokens = reply.split(".")
    offset = 0 if len(tokens) == _SHORT_REPLY_TOKENS else 2
    return int(tokens[5 + offset]), int(tokens[7 + offset])


_SHORT_REPLY_TOKENS: Final = 9


def _message_id(message: Msg) -> str:
    return (message.headers or {}).get("Nats-Msg-Id", "")
