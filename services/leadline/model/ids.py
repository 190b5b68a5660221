"""Derived identities. Nothing on the order path has an id that a restart could not derive again."""

import base64
import hashlib
import json
from enum import StrEnum


class Leg(StrEnum):
    """First letter of an order's leg: entry, stop, target, flatten; or an order that somebody else placed."""

    ENTRY = "E"
    STOP = "S"
    TARGET = "T"
    FLATTEN = "F"
    FOREIGN = "X"


def derive(*parts: str) -> str:
    """BLAKE2b-160 of the JSON array of `parts` (UTF-8, no spaces), as 32 lower-case base32 characters."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.blake2b(text.encode(), digest_size=20).digest()
    return base64.b32encode(digest).decode().lower()


def decision_id(account: str, strategy: str, source: str) -> str:
    """The one decision on a proposal of a strategy, by its source. `account` and `strategy` are `namespace/name`."""
    return derive("d", account, strategy, source)


def client_order_id(decision: str, leg: str, attempt: int = 1) -> str:
    """The order's id at the venue: 17 characters, so that it fits the shortest field of the venues we know."""
    return "L" + derive("o", decision, leg, str(attempt))[:16]


def fill_id(client_id: str, source_index: int) -> str:
    """A paper fill's id: a print can fill an order once."""
    return derive("f", client_id, str(source_index))
