"""Messages that a reader refused, kept for a person to look at: the one way to write the table `dead_letter`."""

import hashlib
from typing import Any, Final, Protocol

from leadline.model.errors import RefusedMessage

MOST_PAYLOAD_BYTES: Final = 64 * 1024
"""A longer payload is cut; its digest is that of the whole."""

MOST_PER_SUBJECT: Final = 100
"""So many messages of a subject are kept for each reader. Those that come then are counted and told, and not kept."""

INSERT_DEAD_LETTER: Final = f"""
    INSERT INTO dead_letter (reader, stream, subject, sequence, message_id, digest, bytes, payload, reason, detail)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
    WHERE (SELECT count(*) FROM dead_letter WHERE reader = $1 AND subject = $3) < {MOST_PER_SUBJECT}
    ON CONFLICT (reader, subject, digest) DO NOTHING
"""  # noqa: S608  # a number of our own


class Message(Protocol):
    """A message as it came from the stream with this sequence."""

    @property
    def subject(self) -> str:
        """Its subject."""

    @property
    def sequence(self) -> int:
        """Its place in the stream."""

    @property
    def message_id(self) -> str:
        """Its id, empty when it has none."""

    @property
    def payload(self) -> bytes:
        """The bytes of the message."""


def dead_letter_row(reader: str, stream: str, message: Message, refused: RefusedMessage) -> tuple[Any, ...]:
    """The arguments of `INSERT_DEAD_LETTER`. Text that came with the message is cut, and free of zero characters."""
    payload = message.payload
    return (
        reader,
        stream,
        message.subject,
        message.sequence,
        message.message_id.replace("\x00", "")[:_LONGEST_ID],
        hashlib.blake2b(payload, digest_size=20).hexdigest(),
        len(payload),
        payload[:MOST_PAYLOAD_BYTES],
        refused.reason,
        refused.detail,
    )


_LONGEST_ID: Final = 512
