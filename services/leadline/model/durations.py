"""Lengths of time and of bars, as people write them."""

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from leadline.model.errors import InvalidInput

NS_PER_MICROSECOND: Final = 1_000
NS_PER_MILLISECOND: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000
NS_PER_MINUTE: Final = 60 * NS_PER_SECOND
NS_PER_HOUR: Final = 60 * NS_PER_MINUTE
NS_PER_DAY: Final = 24 * NS_PER_HOUR

DURATION_PATTERN: Final = r"^[0-9]{1,6}(ms|s|m|h)$"
# From 1m to 1440m: no session is longer than a day.
_MINUTES_PATTERN: Final = r"([1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)m"
_TIME_PATTERN: Final = rf"{_MINUTES_PATTERN}|1h|4h|1d"
TIME_BARS_PATTERN: Final = rf"^({_TIME_PATTERN})$"
TIME_BARS_EXPECTED: Final = "minutes from 1m to 1440m such as 5m or 75m, or 1h, 4h, 1d"
BAR_SPEC_PATTERN: Final = rf"^({_TIME_PATTERN}|ticks:[1-9][0-9]{{0,5}}|volume:[1-9][0-9]{{0,8}})$"
BAR_SPEC_EXPECTED: Final = f"{TIME_BARS_EXPECTED}, or ticks:N up to 999999, or volume:N up to 999999999"

_UNIT_NS: Final = {"ms": NS_PER_MILLISECOND, "s": NS_PER_SECOND, "m": NS_PER_MINUTE, "h": NS_PER_HOUR}
# Lengths that have a name of their own. Their minutes are another spelling of them: a length has one name, so that one
# series of bars has one key and one subject, however a manifest asks for it.
_NAMED_MINUTES: Final = {"1h": 60, "4h": 240, "1d": 1440}
_NAMES_OF_MINUTES: Final = {minutes: name for name, minutes in _NAMED_MINUTES.items()}


def parse_duration(text: str, field: str = "duration") -> int:
    """Nanoseconds of a whole number with a unit: `50ms`, `2s`, `5m`, `1h`. InvalidInput for anything else."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise InvalidInput(field, text, "a whole number with a unit ms, s, m or h, such as 50ms or 5m")
    digits = text.rstrip("msh")
    return int(digits) * _UNIT_NS[text[len(digits) :]]


NEVER: Final = "never"
FLATTEN_PATTERN: Final = r"^(never|[0-9]{1,6}(ms|s|m|h))$"

DAY: Final = "day"
VALIDITY_PATTERN: Final = r"^(day|bars:[1-9][0-9]{0,2}|[0-9]{1,6}(ms|s|m|h))$"
_BARS: Final = "bars:"


class Validity(NamedTuple):
    """How long an entry works: as long as entries are allowed (day), some nanoseconds (time), or a number of bars.

    `length` is in nanoseconds or in the strategy's own bars; 0 for a day.
    """

    kind: Literal["day", "time", "bars"]
    length: int


def parse_validity(text: str, field: str = "validFor") -> Validity:
    """The meaning of `day`, of a length such as `15m` and of `bars:3`. InvalidInput for anything else."""
    if text == DAY:
        return Validity("day", 0)
    if not text.startswith(_BARS):
        return Validity("time", parse_duration(text, field))
    if not re.fullmatch(VALIDITY_PATTERN, text):
        raise InvalidInput(field, text, f"{DAY}, a length such as 15m, or {_BARS}N")
    return Validity("bars", int(text.removeprefix(_BARS)))


@dataclass(frozen=True, slots=True)
class BarSpec:
    """The rule that closes a bar.

    `kind` time: `length` is in nanoseconds, whole minutes. Its bars begin at the session's open and every `length`
    after it; the session's close cuts the last one (`1d` is the session itself: no session is longer). ticks: the
    number of prints; volume: the number of size steps.
    """

    kind: Literal["time", "ticks", "volume"]
    length: int

    @property
    def token(self) -> str:
        """The one spelling for subjects and bar keys: `5m`, `75m`, `1h` (never `60m`), `ticks500`, `volume2000`."""
        return str(self).replace(":", "")

    def __str__(self) -> str:
        if self.kind != "time":
            return f"{self.kind}:{self.length}"
        minutes = self.length // _UNIT_NS["m"]
        return _NAMES_OF_MINUTES.get(minutes, f"{minutes}m")

    def in_minutes(self) -> str:
        """The length for people: time bars in minutes, with their other name where they have one: `60m (1h)`."""
        minutes = f"{self.length // _UNIT_NS['m']}m"
        return str(self) if self.kind != "time" or str(self) == minutes else f"{minutes} ({self})"

    def bars_in(self, session_length_ns: int) -> int:
        """How many time bars a session of that length has, the cut last one included. ValueError for other kinds."""
        if self.kind != "time":
            raise ValueError(f"{self} bars have no fixed number in a session")
        return -(-session_length_ns // self.length)


def spec_token(bars: str, ticks_per_row: int) -> str:
    """How bars with that token and row height are called in bar keys and subjects, such as `5m-r1`."""
    return f"{bars}-r{ticks_per_row}"


def parse_bar_spec(text: str, field: str = "bars") -> BarSpec:
    """`5m`, `75m`, `1h` or the same as `60m`, `ticks:500`, `volume:2000`; InvalidInput for anything else."""
    if not re.fullmatch(BAR_SPEC_PATTERN, text):
        raise InvalidInput(field, text, BAR_SPEC_EXPECTED)
    kind, colon, count = text.partition(":")
    if not colon:
        minutes = _NAMED_MINUTES[text] if text in _NAMED_MINUTES else int(text.removesuffix("m"))
        return BarSpec("time", minutes * _UNIT_NS["m"])
    return BarSpec("ticks" if kind == "ticks" else "volume", int(count))
