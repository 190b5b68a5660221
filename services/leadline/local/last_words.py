"""The reason for which a process ended, out of the lines that it logged."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

_ENDS: Final = frozenset({"service.given_up", "service.cannot_start", "service.failed"})


def reason_of(lines: Sequence[str]) -> str | None:
    """The reason that the last of a service's own log lines about its end gives; None when there is no such line."""
    for line in reversed(lines):
        event = _event(line)
        if event.get("event") in _ENDS and isinstance(event.get("reason"), str):
            return str(event["reason"])
    return None


def last_warning(lines: Sequence[str]) -> str | None:
    """The newest warning or error of a service in words; None when it has said none."""
    for line in reversed(lines):
        event = _event(line)
        if event.get("level") in {"warning", "error", "critical"}:
            what = str(event.get("event", ""))
            why = event.get("reason") or event.get("error")
            return f"{what}: {why}" if why else what
    return None


def _event(line: str) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
