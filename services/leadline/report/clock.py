"""Times for people: all of an output in one zone, whose name stands beside them."""

from datetime import datetime
from typing import Final

from leadline.model.errors import InvalidInput
from leadline.model.market.hours import local_datetime, zone_of

DEFAULT_ZONE: Final = "UTC"
NONE: Final = "–"

_zone = DEFAULT_ZONE


def show_times_in(zone: str) -> None:
    """From here on this process shows times in this zone. For its start, by its command line alone.

    Raises InvalidInput for a zone that nobody knows.
    """
    global _zone  # noqa: PLW0603 - one zone for the process: no output ever mixes two
    try:
        zone_of(zone)
    except InvalidInput as error:
        raise InvalidInput("--tz", zone, f"UTC or {error.expected}") from None
    _zone = zone


def zone_name() -> str:
    """The zone that times are shown in, for the title of a table or the head of a page."""
    return _zone


def moment(time_ns: int) -> str:
    """An instant to the second with its zone, for a sentence: `2025-06-10 13:30:00 UTC`; a dash for none."""
    return f"{day_and_time(time_ns)} {_zone}" if time_ns > 0 else NONE


def day_and_time(time_ns: int) -> str:
    """An instant to the second, where the zone is said above: `2025-06-10 13:30:00`; a dash for none."""
    return _local(time_ns).strftime("%Y-%m-%d %H:%M:%S") if time_ns > 0 else NONE


def month_and_time(time_ns: int) -> str:
    """As `day_and_time` without the year: `06-10 13:30:00`."""
    return _local(time_ns).strftime("%m-%d %H:%M:%S") if time_ns > 0 else NONE


def day_of(time_ns: int) -> str:
    """As `day_and_time` without the time: `2025-06-10`."""
    return _local(time_ns).strftime("%Y-%m-%d") if time_ns > 0 else NONE


def time_of_day(time_ns: int) -> str:
    """As `day_and_time` without the day: `13:30:00`."""
    return _local(time_ns).strftime("%H:%M:%S") if time_ns > 0 else NONE


def millisecond_of_day(time_ns: int) -> str:
    """As `time_of_day` with the milliseconds: `13:30:00.123`."""
    return _local(time_ns).strftime("%H:%M:%S.%f")[:-3]


def _local(time_ns: int) -> datetime:
    return local_datetime(time_ns, _zone)
