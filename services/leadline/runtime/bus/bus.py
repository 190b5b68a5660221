"""The bus as a service sees it: publish facts, read them in order, and survive a server that dies.

`Bus.publish` and `Bus.publish_many` return when the server has stored the messages, in the order in which they were
given, also when the connection is lost in between. `Bus.ordered` yields the messages of a subject in the stream's
order for as long as the process lives.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

import structlog

from leadline.runtime import measurements
from leadline.runtime.bus._link import BusDenied, BusError, BusRefused, BusTrouble, Link, MessageTooLarge
from leadline.runtime.bus._reader import (
    Delivery,
    Durable,
    Received,
    Start,
    consumer_info,
    read_at,
    read_from,
    read_last,
    read_ordered,
    stream_info,
)
from leadline.runtime.bus._store import Message, StreamFull, store, store_batch
from leadline.runtime.bus._tails import TailLost, Tails
from leadline.runtime.retry import until_done
from leadline.runtime.settings import NatsSettings

__all__ = [
    "Bus",
    "BusDenied",
    "BusError",
    "BusRefused",
    "BusUnavailable",
    "Delivery",
    "Durable",
    "MessageTooLarge",
    "Received",
    "Start",
    "StreamFull",
    "StreamState",
    "TailLost",
    "open_bus",
]

# How long a publisher goes on trying before it gives up and with it, as a rule, its process.
TIMEOUT_SECONDS: Final = 60.0
# A batch is stored whole or not at all; the server takes at most 1000 messages in one.
MAX_BATCH_MESSAGES: Final = 256
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
# Below this a batch's fixed cost is more than what single messages cost.
MIN_BATCH_MESSAGES: Final = 12
RECONNECT_FIRST_SECONDS: Final = 0.05
RECONNECT_MOST_SECONDS: Final = 1.0

_BATCH_HAS_DUPLICATES: Final = 10201

_log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")


class BusUnavailable(BusError):
    """The bus did not answer for as long as one is willing to wait. last: the last trouble."""

    again_after_s: ClassVar[float | None] = 1.0
    grpc_status: ClassVar[str] = "UNAVAILABLE"

    def __init__(self, what: str, seconds: float, last: object) -> None:
        super().__init__(what, seconds, last)

    def __str__(self) -> str:
        what, seconds, last = self.args
        return f"{what}: the bus was not available for {seconds:g} s; last: {last}"


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream is. Sequences are the stream's; `max_bytes` is -1 without a limit."""

    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    max_bytes: int


class Bus:
    """One service's access to the bus. Make it with `open_bus`, close it with `close`.

    Connections come and go underneath; `failed` is done when there will be no other one, with the reason.
    """

    def __init__(self, settings: NatsSettings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._link: Link | None = None
        self._connected = asyncio.Event()
        self._tails = Tails()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep_connected(), name="bus connection")

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None and not self._link.lost.is_set()

    async def publish(self, subject: str, payload: bytes, message_id: str) -> None:
        """Publish one message and return when it is stored. `message_id` lets the server drop a repetition.

        Raises BusDenied, StreamFull, BusRefused, BusUnavailable after `timeout_s`, and TailLost when the stream has
        lost what was published on the subject before: `resume` says from where to go on.
        """
        with self._tails.under_way([(subject, message_id)]):
            await self._publish_one((subject, payload, message_id))

    async def publish_many(self, messages: Sequence[Message]) -> None:
        """Publish (subject, payload, message id) in this order; return when all are stored.

        A reader never sees a later message of one stream without the earlier ones. Raises as `publish`; then the
        messages before the refused one may be stored, and the same call can be repeated.
        """
        for chunk in _chunks(messages):
            with self._tails.under_way([(subject, message_id) for subject, _, message_id in chunk]):
                if len(chunk) < MIN_BATCH_MESSAGES or not await self._publish_batch(chunk):
                    for message in chunk:
                        await self._publish_one(message)

    async def resume(self, stream: str, subject: str) -> Received | None:
        """The last message on a subject that this process publishes to, from where to go on; None when there is none.

        From here on the bus sees to it that what is published on the subject stays: on each new connection the last
        message is looked at first. Raises as `last`.
        """
        return await self._with_retries(subject, lambda link: self._tails.resume(link, stream, subject))

    async def tail_lost(self, subjects: Collection[str]) -> None:
        """Return when the bus has lost acknowledged messages of one of the subjects, to one waiter, once each time.

        Until `resume` asks about it, publishing on the subject raises TailLost.
        """
        await self._tails.wait(subjects)

    def ordered(self, stream: str, subject: str, *, start: Start = "all") -> AsyncGenerator[Received, None]:
        """Messages of `subject` (which may have wildcards) in the stream's order, without end.

        start: from the first kept, from the last of each subject, only what comes from now on, what has been stored
        from a time on (in UTC), by the server's clock, or from a sequence that `at` has just told. Prefetch is bounded.
        Messages repeat when the server has lost its end of the stream: drop what you know by its own key.
        Raises BusDenied, and Unknown when there is no such stream.
        """
        return read_ordered(self._current_link, stream, subject, start)

    async def last(self, stream: str, subject: str) -> Received | None:
        """The last message on one subject, None when there is none. Raises as `publish`, and Unknown."""
        return await self._with_retries(subject, lambda link: read_last(link, stream, subject))

    async def at(self, stream: str, subject: str, sequence: int) -> Received | None:
        """The first message on one subject from a sequence on, None when there is none. Raises as `last`."""
        return await self._with_retries(subject, lambda link: read_from(link, stream, subject, sequence))

    async def durable(self, stream: str, consumer: str) -> Durable:
        """A consumer made by `leadline bus migrate`. Raises Unknown when there is none, BusDenied."""
        await self._with_retries(f"{stream}/{consumer}", lambda link: consumer_info(link, stream, consumer))
        return Durable(self._current_link, stream, consumer)

    async def acknowledged(self, stream: str, consumer: str) -> int:
        """Every message up to this sequence was acknowledged by a durable consumer; 0 when none was."""
        info = await self._with_retries(f"{stream}/{consumer}", lambda link: consumer_info(link, stream, consumer))
        floor: int = info["ack_floor"]["stream_seq"]
        return floor

    async def state(self, stream: str) -> StreamState:
        """How far a stream is. Raises Unknown when there is none."""
        info = await self._with_retries(stream, lambda link: stream_info(link, stream))
        state = info["state"]
        return StreamState(
            state["messages"], state["bytes"], state["first_seq"], state["last_seq"], info["config"]["max_bytes"]
        )

    async def purge(self, stream: str, subject: str, *, before: int | None = None) -> None:
        """Remove the messages of a subject, all or those with a sequence below `before`."""
        body: dict[str, Any] = {"filter": subject}
        if before is not None:
            body["seq"] = before
        await self._api(f"STREAM.PURGE.{stream}", body)

    async def api(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the JetStream API for those who manage streams, such as `STREAM.CREATE.TICKS`.

        Raises BusDenied, BusRefused, and BusUnavailable after `timeout_s`.
        """
        return await self._api(name, body)

    async def server_version(self) -> tuple[int, int, int]:
        """Version of the server."""
        return (await self._current_link()).server_version

    async def close(self) -> None:
        """Close the connection. Readers end with BusUnavailable. Idempotent."""
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        if self._link is not None:
            await self._link.close()
        if not self.failed.done():
            self.failed.set_exception(BusUnavailable("bus", 0, "closed"))
            self.failed.exception()
        self._connected.set()

    async def _api(self, name: str, body: dict[str, Any] | None) -> dict[str, Any]:
        return await self._with_retries(f"$JS.API.{name}", lambda link: link.api(name, body))

    async def _current_link(self) -> Link:
        while True:
            if self.failed.done():
                self.failed.result()
            if self._link is not None and self.connected:
                return self._link
            self._connected.clear()
            await self._connected.wait()

    async def _with_retries(self, what: str, attempt: Callable[[Link], Awaitable[_Answer]]) -> _Answer:
        """`attempt` on whatever connection there is, again after trouble, for as long as patience lasts."""
        trouble: BusTrouble | None = None

        async def trial() -> _Answer:
            nonlocal trouble
            try:
                return await attempt(await self._current_link())
            except BusTrouble as met:
                trouble = met
                raise

        try:
            async with asyncio.timeout(self._timeout_s):
                # Most need no second trial, and it is made at once: the connection was the trouble.
                try:
                    return await trial()
                except BusTrouble:
                    pass
                return await until_done(
                    trial, "bus", (BusTrouble,), first_s=RECONNECT_FIRST_SECONDS, most_s=RECONNECT_MOST_SECONDS
                )
        except TimeoutError:
            raise BusUnavailable(what, self._timeout_s, trouble or "no connection") from None

    async def _publish_one(self, message: Message) -> None:
        with measurements.PUBLISH_SECONDS.time():
            await self._with_retries(message[0], lambda link: self._store(link, message))
        measurements.PUBLISHED.labels(_kind(message[0])).inc()

    async def _store(self, link: Link, message: Message) -> None:
        subject, payload, message_id = message
        await self._tails.require(link, (subject,))
        stored = await store(link, message)
        if stored.duplicate:
            measurements.DUPLICATES.labels(_kind(subject)).inc()
            there = await read_at(link, stored.stream, subject, stored.sequence)
            if there is None or there.payload != payload:
                # The id is another message's. Under one that follows from the content this one is stored, once.
                message_id = f"{message_id}/{hashlib.sha256(payload).hexdigest()[:16]}"
                _log.error("bus.id_taken", subject=subject, sequence=stored.sequence, message_id=message_id)
                measurements.IDS_TAKEN.labels(_kind(subject)).inc()
                stored = await store(link, (subject, payload, message_id))
        self._tails.stored(subject, message_id, stored.stream, stored.sequence)

    async def _publish_batch(self, batch: Sequence[Message]) -> bool:
        """Store all or none. False when some of them are stored already, from a call whose answer was lost."""
        try:
            with measurements.PUBLISH_SECONDS.time():
                await self._with_retries(batch[0][0], lambda link: self._store_batch(link, batch))
        except BusRefused as refusal:
            if refusal.code == _BATCH_HAS_DUPLICATES:
                return False
            raise
        measurements.PUBLISHED.labels(_kind(batch[0][0])).inc(len(batch))
        return True

    async def _store_batch(self, link: Link, batch: Sequence[Message]) -> None:
        await self._tails.require(link, {subject for subject, _, _ in batch})
        stored = await store_batch(link, batch)
        for sequence, (subject, _, message_id) in enumerate(batch, start=stored.sequence - len(batch) + 1):
            self._tails.stored(subject, message_id, stored.stream, sequence)

    async def _check_tails(self, link: Link) -> None:
        """Look, also for a publisher that has nothing to say now, whether what it said is still there."""

        def again(error: Exception) -> bool:
            return isinstance(error, BusTrouble) and not link.lost.is_set()

        try:
            await until_done(lambda: self._tails.check(link), "bus", again, first_s=RECONNECT_MOST_SECONDS)
        except BusTrouble:
            return
        except BusError as error:
            _log.error("bus.tails_unseen", reason=str(error))

    async def _keep_connected(self) -> None:
        opened_before = False
        while True:
            try:
                link = await self._connect(once_opened=opened_before)
            except Exception as error:  # noqa: BLE001 - whatever ends this ends the wait of all others, too
                self.failed.set_exception(error)
                self.failed.exception()  # also without anyone who awaits it
                self._connected.set()
                return
            measurements.LINKS.inc()
            _log.info("bus.connected", servers=self._settings.servers, again=opened_before)
            opened_before = True
            self._link = link
            self._connected.set()
            checking = asyncio.create_task(self._check_tails(link), name="bus tails")
            try:
                await link.lost.wait()
            finally:
                checking.cancel()
            _log.warning("bus.connection_lost")
            await link.close()

    async def _connect(self, *, once_opened: bool) -> Link:
        """A new connection. The first one is given up after `timeout_s`, or when the password is refused."""
        try:
            return await until_done(
                lambda: Link.open(self._settings),
                "bus",
                (BusTrouble, BusDenied) if once_opened else (BusTrouble,),
                timeout_s=None if once_opened else self._timeout_s,
                first_s=RECONNECT_FIRST_SECONDS,
                most_s=RECONNECT_MOST_SECONDS,
            )
        except BusTrouble as trouble:
            raise BusUnavailable("connect", self._timeout_s, trouble) from trouble


async def open_bus(settings: NatsSettings, *, timeout_s: float = TIMEOUT_SECONDS) -> Bus:
    """Connect to the bus, waiting up to `timeout_s` for it.

    Raises BusUnavailable, and BusDenied when the user or its password is refused.
    """
    bus = Bus(settings, timeout_s)
    try:
        await bus._current_link()  # noqa: SLF001 - this module's own class
    except BusError:
        await bus.close()
        raise
    return bus


def _kind(subject: str) -> str:
    """The kind of a subject: the third token of `ll.<tape>.<kind>...`, so that the label is bounded."""
    tokens = subject.split(".", 3)
    return tokens[2] if len(tokens) > _KIND_TOKEN else tokens[-1]


_KIND_TOKEN: Final = 2


def _chunks(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Runs of messages of one kind, which is one stream, within the bounds of a batch."""
    begin, size = 0, 0
    for end, (subject, payload, _) in enumerate(messages):
        size += len(payload)
        full = end - begin >= MAX_BATCH_MESSAGES or size > MAX_BATCH_BYTES
        if end > begin and (full or _kind(subject) != _kind(messages[begin][0])):
            yield messages[begin:end]
            begin, size = end, len(payload)
    if begin < len(messages):
        yield messages[begin:]
