"""Committed events of the book, published to the bus in their order. A message may come again, under the same id.

What the bus has lost of it is published again: the table is the audit, and the stream its copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import orjson
from google.protobuf.message import DecodeError

from leadline.execution.adapters import metrics
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.errors import RefusedMessage
from leadline.model.ids import AccountId, RunId
from leadline.model.subjects import ORDER_KINDS, ORDERS, OrderKind, order_subject
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import last_usable
from leadline.runtime.database import Pool

BATCH: Final = 500
LARGEST_BODY_BYTES: Final = 256 * 1024
"""A longer body goes out without what makes it long: one event must not hold up those that come after it."""
LONGEST_KEPT: Final = 500
MOST_COUNTED: Final = 100_000
"""Unpublished events are counted to here, so that a long outage makes no pass slow."""

_AGAIN_AFTER: Final = """
    WITH lost AS (
        UPDATE order_event SET published = false
        WHERE tape = $1 AND account = $2 AND kind = $3 AND event > $4 AND published RETURNING 1
    )
    SELECT count(*) FROM lost
"""
_UNPUBLISHED: Final = """
    SELECT event, kind, key, version, instant_ns, body, (
        SELECT count(*) FROM (
            SELECT FROM order_event WHERE tape = $1 AND account = $2 AND NOT published LIMIT $4
        ) AS counted
    ) AS unpublished
    FROM order_event WHERE tape = $1 AND account = $2 AND NOT published ORDER BY event LIMIT $3
"""
_PUBLISHED: Final = """
    UPDATE order_event SET published = true WHERE tape = $1 AND account = $2 AND event = ANY($3)
"""


def event_subjects(tape: RunId, account: AccountId) -> dict[OrderKind, str]:
    """Where each kind of an account's events goes."""
    return {kind: order_subject(kind, tape, account) for kind in ORDER_KINDS}


@dataclass(frozen=True, slots=True)
class OutboxRows:
    """The events of one account on one tape, of which each row says whether it is published."""

    pool: Pool
    tape: RunId
    account: AccountId

    async def again_after(self, kind: OrderKind, event: int) -> int:
        """Take what was published of a kind after an event as unpublished; how many there are."""
        again: int = await self.pool.fetchval(_AGAIN_AFTER, self.tape, self.account, kind, event)
        return again

    async def unpublished(self) -> list[asyncpg.Record]:
        """The oldest unpublished events, a batch of them; `unpublished` of each is how many there are in all."""
        return list(await self.pool.fetch(_UNPUBLISHED, self.tape, self.account, BATCH, MOST_COUNTED))

    async def published(self, events: Sequence[int]) -> None:
        """These events are on the bus."""
        await self.pool.execute(_PUBLISHED, self.tape, self.account, events)


async def resume_outbox(rows: OutboxRows, bus: Bus) -> int:
    """Ask the stream for its last event of each kind, and take what the book published after it as unpublished.

    To be called before anything is published, and when the bus has lost the end of one of the subjects. Events are
    compared by their numbers, which are the account's own: a stream that has lost its end gives its sequences out
    twice. Returns how many are to be published again.
    """
    again = 0
    for kind, subject in event_subjects(rows.tape, rows.account).items():
        last = await last_usable(bus, ORDERS, subject, _read_event, own=True)
        again += await rows.again_after(kind, 0 if last is None else last.event)
    return again


def _read_event(_subject: str, payload: bytes) -> pb.StreamOrderEventsResponse:
    try:
        return pb.StreamOrderEventsResponse.FromString(payload)
    except DecodeError as error:
        raise RefusedMessage("unreadable", str(error)) from None


async def publish_pending(rows: OutboxRows, bus: Bus) -> int:
    """Publish the oldest unpublished events of an account, mark them, and return how many there were."""
    found = await rows.unpublished()
    # Shown before the bus is asked: while it takes nothing, this is what shows that it does not.
    unpublished = found[0]["unpublished"] if found else 0
    metrics.UNPUBLISHED.labels(rows.account).set(unpublished)
    if not found:
        return 0
    subjects = event_subjects(rows.tape, rows.account)
    await bus.publish_many(
        [
            (
                subjects[row["kind"]],
                _bounded(event_message(row)).SerializeToString(),
                f"{subjects[row['kind']]}/{row['key']}/{row['version']}",
            )
            for row in found
        ]
    )
    await rows.published([row["event"] for row in found])
    metrics.UNPUBLISHED.labels(rows.account).set(unpublished - len(found))
    return len(found)


def _bounded(message: pb.StreamOrderEventsResponse) -> pb.StreamOrderEventsResponse:
    """The event as the bus can take it: of a body that is too long the short values, and `cut`, its length in bytes."""
    size = len(message.body_json.encode())
    if size <= LARGEST_BODY_BYTES:
        return message
    body = orjson.loads(message.body_json)
    short = {name: value for name, value in body.items() if len(orjson.dumps(value)) <= LONGEST_KEPT}
    kept = dict(list(short.items())[:_MOST_KEPT])
    message.body_json = orjson.dumps({**kept, "cut": size}, option=orjson.OPT_SORT_KEYS).decode()
    return message


_MOST_KEPT: Final = 64


async def read_events(pool: Pool, tape: RunId, account: AccountId, after: int) -> list[asyncpg.Record]:
    """Events after a number, oldest first, a batch at a time."""
    return list(
        await pool.fetch(
            """
            SELECT event, kind, key, version, instant_ns, body FROM order_event
            WHERE tape = $1 AND account = $2 AND event > $3 ORDER BY event LIMIT $4
            """,
            tape,
            account,
            after,
            BATCH,
        )
    )


def event_message(row: asyncpg.Record) -> pb.StreamOrderEventsResponse:
    """A stored event as a message."""
    text = orjson.dumps(row["body"], option=orjson.OPT_SORT_KEYS).decode()
    return pb.StreamOrderEventsResponse(
        event=row["event"], kind=row["kind"], instant_ns=row["instant_ns"], body_json=text
    )
