"""One attempt at having messages stored, and what the stream says to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import orjson
from nats.aio.msg import Msg
from nats.nuid import NUID

from leadline.runtime.bus._link import STORE_FAILED, BusError, BusRefused, Headers, Link, read_answer
from leadline.runtime.telemetry import inject

Message = tuple[str, bytes, str]

_names = NUID()


class StreamFull(BusError):
    """A stream that keeps old messages has no room for new ones. stream: its name."""

    again_after_s: ClassVar[float | None] = 1.0
    grpc_status: ClassVar[str] = "UNAVAILABLE"

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.stream = stream

    def __str__(self) -> str:
        return f"stream {self.stream} is full"


@dataclass(frozen=True, slots=True)
class Stored:
    """A stream's acknowledgement: where the message is, and whether one of its id was there before."""

    stream: str
    sequence: int
    duplicate: bool


async def store(link: Link, message: Message) -> Stored:
    """Send (subject, payload, message id) once. Raises BusDenied, StreamFull, BusRefused and BusTrouble."""
    subject, payload, message_id = message
    headers = {"Nats-Msg-Id": message_id}
    inject(headers)
    return _acknowledged(subject, await link.request(subject, payload, headers))


async def store_batch(link: Link, batch: Sequence[Message]) -> Stored:
    """Send messages that the stream takes all or none of; the acknowledgement is the last one's. Raises as `store`."""
    batch_id = _names.next().decode()
    sent: list[tuple[str, bytes, Headers | None]] = []
    for number, (subject, payload, message_id) in enumerate(batch, start=1):
        headers = {"Nats-Msg-Id": message_id, "Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
        sent.append((subject, payload, headers))
    last = sent[-1][2]
    assert last is not None
    last["Nats-Batch-Commit"] = "1"
    inject(last)
    return _acknowledged(batch[-1][0], await link.request_last(sent))


def _acknowledged(subject: str, answer: Msg) -> Stored:
    """Raises StreamFull or what else the stream's answer says."""
    try:
        answer_of = read_answer(subject, answer.data)
    except BusRefused as refusal:
        if refusal.code == STORE_FAILED and "maximum" in refusal.description:
            raise StreamFull(orjson.loads(answer.data).get("stream", subject)) from None
        raise
    return Stored(answer_of["stream"], answer_of["seq"], answer_of.get("duplicate", False))
