"""A sink writes one stream of the bus to its tables: it buffers, stores, and then acknowledges."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import structlog

from leadline.model.errors import LeadlineError, RefusedMessage
from leadline.model.ticks import NS_PER_SECOND
from leadline.recorder import metrics
from leadline.recorder.store import Store
from leadline.recorder.writes import Stopped, write_until_done
from leadline.runtime.bus.bus import Delivery, Durable
from leadline.runtime.poison import Handling

# A buffer is written when it holds this many rows, or as many as its stream has for itself, or is this old, or when the
# tape ends with it.
BUFFER_ROWS: Final = 5000
BUFFER_SECONDS: Final = 0.5
# Messages taken from a stream at once; a tick message holds at most some hundred prints.
FETCH_MESSAGES: Final = 64


class StreamMessage(Protocol):
    """A message of a stream that says when nothing follows it."""

    @property
    def final(self) -> bool:
        """The tape ends with it."""


Value = TypeVar("Value", bound=StreamMessage)


@dataclass(frozen=True, slots=True)
class SinkSpec(Generic[Value]):
    """How the messages of one stream are read and stored.

    decode: subject and payload of a message to its value; raises RefusedMessage. rows: how many rows it will be.
    reached_ns: the tape time that it speaks of. write: stores values in the order of the stream and returns how many
    rows were new; it may be called again with values that it has stored. buffer_rows: so many are written at once.
    """

    stream: str
    decode: Callable[[str, bytes], Value]
    rows: Callable[[Value], int]
    reached_ns: Callable[[Value], int]
    write: Callable[[Sequence[Value]], Awaitable[int]]
    buffer_rows: int = BUFFER_ROWS


class StreamSink(Generic[Value]):
    """Reads one durable consumer until the process is told to stop; what was fetched by then is stored."""

    def __init__(self, spec: SinkSpec[Value], store: Store, stopping: asyncio.Event, handling: Handling) -> None:
        self._spec = spec
        self._stream = spec.stream
        self._store = store
        self._stopping = stopping
        self._handling = handling
        self._log = structlog.get_logger(__name__).bind(stream=spec.stream)

    async def run(self, durable: Durable) -> None:
        """Store messages until `stopping` is set."""
        try:
            while not self._stopping.is_set():
                await self._store_messages(await self._gather(durable))
        except Stopped:
            self._log.warning("recorder.stopped_in_trouble")
        finally:
            await durable.close()

    async def _gather(self, durable: Durable) -> list[tuple[Delivery, Value | None]]:
        """Messages for one write, in order. One that cannot be read becomes a dead letter without a value."""
        found: list[tuple[Delivery, Value | None]] = []
        rows, final = 0, False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + BUFFER_SECONDS
        while not (final or rows >= self._spec.buffer_rows or self._stopping.is_set()):
            if (left := deadline - loop.time()) <= 0:
                break
            for delivery in await durable.fetch(FETCH_MESSAGES, left):
                try:
                    with self._handling.of(self._stream, delivery):
                        value = self._spec.decode(delivery.subject, delivery.payload)
                except RefusedMessage as error:
                    await self._dead_letter(delivery, error)
                    found.append((delivery, None))
                else:
                    rows, final = rows + max(1, self._spec.rows(value)), final or value.final
                    found.append((delivery, value))
        return found

    async def _store_messages(self, messages: list[tuple[Delivery, Value | None]]) -> None:
        values = [value for _, value in messages if value is not None]
        if values:
            with metrics.WRITE_SECONDS[self._stream].time():
                await self._store_all(messages, values)
            metrics.REACHED[self._stream].set(self._spec.reached_ns(values[-1]) / NS_PER_SECOND)
        for delivery, _ in messages:
            await delivery.ack()

    async def _store_all(self, messages: list[tuple[Delivery, Value | None]], values: list[Value]) -> None:
        try:
            await self._store_values(values)
        except (LeadlineError, Stopped):
            raise
        except Exception:  # noqa: BLE001 - the database's own trouble does not come here
            # One message that the database refuses, or that fails on its way there, must not hold up the others.
            for delivery, value in messages:
                if value is not None:
                    try:
                        await self._store_values([value])
                    except (LeadlineError, Stopped):
                        raise
                    except Exception as error:  # noqa: BLE001 - as above
                        await self._dead_letter(delivery, error)

    async def _store_values(self, values: Sequence[Value]) -> None:
        stored = await write_until_done(self._stream, self._stopping, lambda: self._spec.write(values))
        metrics.STORED[self._stream].inc(stored)

    async def _dead_letter(self, delivery: Delivery, error: Exception) -> None:
        self._log.error("recorder.dead_letter", subject=delivery.subject, reason=str(error))
        metrics.DEAD_LETTERS[self._stream].inc()
        await write_until_done(
            self._stream,
            self._stopping,
            lambda: self._store.dead_letter(self._stream, delivery, error),
        )
