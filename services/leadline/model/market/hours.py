"""Local clock times: session hours, and the way between a zone's wall clock and int64 nanoseconds UTC."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from leadline.model.durations import NS_PER_MICROSECOND, NS_PER_SECOND
from leadline.model.errors import InvalidInput

CLOCK_PATTERN: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
ZONE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SessionHours:
    """Daily hours on the wall clock of a zone: half-open [open, close), both `HH:MM`.

    A close at or before the open is on the next day, so `18:00` to `17:00` lasts 23 hours and `00:00` to `00:00`
    the whole day. `id` names the hours in bar keys and subjects: the sheet's name where there is one, else derived
    from the three values; two hours are equal when open, close and zone are.
    Raises InvalidInput for a malformed time or an unknown zone.
    """

    open: str
    close: str
    zone: str
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        parse_clock(self.open, "open")
        parse_clock(self.close, "close")
        zone_of(self.zone)
        if not self.id:
            derived = f"{self.open}-{self.close}-{self.zone}".replace(":", "").replace("/", "-")
            object.__setattr__(self, "id", derived)

    @property
    def crosses_midnight(self) -> bool:
        """Whether the close is on the day after the open."""
        return self.close <= self.open

    @property
    def length_ns(self) -> int:
        """Nominal length, as on a day without a clock change or an early close."""
        opens, closes = (parse_clock(text, "hours") for text in (self.open, self.close))
        minutes = (closes.hour - opens.hour) * 60 + closes.minute - opens.minute
        return ((minutes - 1) % 1440 + 1) * 60 * NS_PER_SECOND

    def window_on(self, day: date) -> tuple[int, int]:
        """Open and close in ns UTC of the window that opens on this local calendar day."""
        closing_day = day + timedelta(days=1) if self.crosses_midnight else day
        return instant_ns(day, self.open, self.zone), instant_ns(closing_day, self.close, self.zone)


@cache
def _zone_or_none(zone: str) -> ZoneInfo | None:
    if len(zone) > 64 or not re.fullmatch(ZONE_PATTERN, zone):
        return None
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # a folder of zones such as "America" is an OSError
        return None


def zone_of(zone: str) -> ZoneInfo:
    """The zone of that name in the IANA time zone database; InvalidInput when there is none."""
    found = _zone_or_none(zone)
    if found is None:
        raise InvalidInput("zone", zone, "a name of the IANA time zone database, such as America/New_York")
    return found


@cache  # of a bounded number: a day has 1,440 minutes, and what is no time is not kept
def parse_clock(text: str, field_name: str = "time") -> time:
    """`HH:MM` of a 24-hour clock; InvalidInput for anything else."""
    if not re.fullmatch(CLOCK_PATTERN, text):
        raise InvalidInput(field_name, text, "a time HH:MM from 00:00 to 23:59")
    return time(int(text[:2]), int(text[3:]))


def instant_ns(day: date, clock: str, zone: str) -> int:
    """Nanoseconds UTC of a local clock time.

    A time that the clock change skips is read with the offset before the change, a repeated one as the first.
    """
    local = datetime.combine(day, parse_clock(clock), zone_of(zone))
    return (local - _EPOCH) // _MICROSECOND * NS_PER_MICROSECOND


def local_datetime(ts_ns: int, zone: str) -> datetime:
    """The wall clock of a zone at an instant, to the microsecond below."""
    try:
        moment = _EPOCH + timedelta(microseconds=ts_ns // NS_PER_MICROSECOND)
    except OverflowError:
        raise InvalidInput("time", ts_ns, "nanoseconds since 1970 within the years 1 to 9999") from None
    return moment.astimezone(zone_of(zone))


def local_time_in(ts_ns: int, zone: str) -> time:
    """The clock time of a zone at an instant, to the microsecond below."""
    return local_datetime(ts_ns, zone).time()
