"""Lengths of time and of bars, as people write them."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from leadline.model.errors import InvalidInput

DURATION_PATTERN: Final = r"^[0-9]{1,6}(ms|s|m|h)$"
BAR_SPEC_PATTERN: Final = r"^(1m|5m|15m|30m|1h|4h|1d|ticks:[1-9][0-9]{0,5}|volume:[1-9][0-9]{0,8})$"
BAR_SPEC_EXPECTED: Final = "one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, or ticks:N up to 999999, or volume:N up to 999999999"

_UNIT_NS: Final = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_TIME_BARS_NS: Final = {
    "1m": 60_000_000_000,
    "5m": 300_000_000_000,
    "15m": 900_000_000_000,
    "30m": 1_800_000_000_000,
    "1h": 3_600_000_000_000,
    "4h": 14_400_000_000_000,
    "1d": 86_400_000_000_000,
}


def parse_duration(text: str, field: str = "duration") -> int:
    """Nanoseconds of a whole number with a unit: `50ms`, `2s`, `5m`, `1h`. InvalidInput for anything else."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise InvalidInput(field, text, "a whole number with a unit ms, s, m or h, such as 50ms or 5m")
    digits = text.rstrip("msh")
    return int(digits) * _UNIT_NS[text[len(digits) :]]


DAY: Final = "day"
VALIDITY_PATTERN: Final = r"^(day|bars:[1-9][0-9]{0,2}|[0-9]{1,6}(ms|s|m|h))$"


@dataclass(frozen=True, slots=True)
class BarSpec:
    """What closes a bar.

    `kind` time: `length` is nanoseconds from the session's open (`1d` is the session itself: no session is longer);
    ticks: the number of prints; volume: the number of size steps.
    """

    kind: Literal["time", "ticks", "volume"]
    length: int

    @property
    def token(self) -> str:
        """Spelling for subjects and bar keys: `5m`, `ticks500`, `volume2000`."""
        return str(self).replace(":", "")

    def __str__(self) -> str:
        if self.kind != "time":
            return f"{self.kind}:{self.length}"
        return next(name for name, length in _TIME_BARS_NS.items() if length == self.length)

    def bars_in(self, session_length_ns: int) -> int:
        """How many time bars a session of that length has, the cut last one included. ValueError for other kinds."""
        if self.kind != "time":
            raise ValueError(f"{self} bars have no fixed number in a session")
        return -(-session_length_ns // self.length)


def parse_bar_spec(text: str, field: str = "bars") -> BarSpec:
    """`5m`, `ticks:500` or `volume:2000`; InvalidInput for anything else."""
    if not re.fullmatch(BAR_SPEC_PATTERN, text):
        raise InvalidInput(field, text, BAR_SPEC_EXPECTED)
    if text in _TIME_BARS_NS:
        return BarSpec("time", _TIME_BARS_NS[text])
    kind, count = text.split(":")
    return BarSpec("ticks" if kind == "ticks" else "volume", int(count))
