"""Trading calendars as data: which day an instant belongs to, and when a session is open.

A calendar knows the days from `valid_from` through `valid_through` and nothing else: any other day is answered by
`Unknown`, never by a guess, so that entries stop when nobody has loaded the next year's holidays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from importlib import resources
from itertools import count
from typing import Any, Final

import yaml

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.market.hours import SessionHours, instant_ns, local_datetime, parse_clock

_JOINT: Final = "@"
"""Between a calendar's name and the open and zone that begin its days in place of its own."""
_SEASONS: Final = (date(2024, 1, 17), date(2024, 7, 17))
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_SESSIONS: Final = 4096
"""Sessions that a calendar keeps: of some hours each, on every day of ten years."""
_DATA: Final = resources.files("leadline.model.market") / "data" / "calendars"


@dataclass(frozen=True, slots=True)
class Session:
    """One session of one trading day: half-open [open_ns, close_ns) in ns UTC, early closes applied."""

    open_ns: int
    close_ns: int
    trading_day: date
    id: str

    def contains(self, ts_ns: int) -> bool:
        """Whether an instant lies inside."""
        return self.open_ns <= ts_ns < self.close_ns


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days and hours of one market.

    `hours` are the market's own; a market that opens in the evening belongs to the next day from that time on.
    `weekdays` are the days of the week that trade, Monday = 0. `closed` has the reason per day; `early_close` the
    clock time. `close_in_winter` replaces the close while `winter_zone` is on standard time (MCX follows New York).
    `former_close` has the closes of earlier years, each with the last day that it held on, in order of the days.
    Without `valid_from` and `valid_through` no day is known.
    """

    name: str
    title: str
    hours: SessionHours
    weekdays: tuple[int, ...]
    valid_from: date | None
    valid_through: date | None
    closed: Mapping[date, str]
    early_close: Mapping[date, str]
    close_in_winter: str = ""
    winter_zone: str = ""
    former_close: tuple[tuple[date, str], ...] = ()
    # Sessions that were asked for before: they follow from the fields above, and each loop asks at each of its steps.
    _sessions: dict[tuple[date, SessionHours, str], Session | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def opens_evening_before(self) -> bool:
        """Whether a trading day begins on the evening of the calendar day before."""
        return self.hours.close < self.hours.open or (self.hours.close == self.hours.open != "00:00")

    @property
    def never_closes(self) -> bool:
        """Whether one trading day goes over into the next, on every day."""
        shorter = self.closed or self.early_close or self.former_close or self.close_in_winter
        return self.hours.open == self.hours.close and len(self.weekdays) == 7 and not shorter

    def of_session(self, hours: SessionHours) -> "Calendar":
        """The calendar in whose trading days sessions of these hours lie whole.

        On a market that never closes nothing but a convention says when a day begins. Where a session goes over that
        time, its own open begins the day: 18:00 to 06:00 UTC makes days from 18:00 to 18:00. Else it is this one.
        """
        if not self.never_closes or all(self._fits_on(day, hours) for day in _SEASONS):
            return self
        return self.begun_at(hours.open, hours.zone)

    def begun_at(self, clock: str, zone: str) -> "Calendar":
        """This market with days that begin at a clock time of a zone. Raises InvalidInput for none."""
        market = SessionHours(clock, clock, zone, id="market")
        return replace(self, name=_JOINT.join((self.name.partition(_JOINT)[0], clock, zone)), hours=market)

    def knows(self, day: date) -> bool:
        """Whether the day is inside the calendar's validity."""
        return (
            self.valid_from is not None
            and self.valid_through is not None
            and (self.valid_from <= day <= self.valid_through)
        )

    def trading_day(self, ts_ns: int) -> date:
        """The trading day that an instant belongs to, open or not.

        From the evening open on it is the next day; a day of the week that never trades counts to the next that
        does. Raises Unknown outside the calendar's validity.
        """
        local = local_datetime(ts_ns, self.hours.zone)
        day = local.date()
        if self.opens_evening_before and local.time() >= parse_clock(self.hours.open):
            day += timedelta(days=1)
        while day.weekday() not in self.weekdays:
            day += timedelta(days=1)
        self._require(day)
        return day

    @property
    def day_roll(self) -> tuple[str, str, tuple[int, ...]]:
        """The rule for the trading day of an instant: clock time and zone of the roll, days of the week.

        Calendars that agree in it have the same trading days; they may differ in holidays and hours.
        """
        return (self.hours.open if self.opens_evening_before else "00:00", self.hours.zone, self.weekdays)

    def market(self, day: date) -> tuple[int, int] | None:
        """When the market itself is open on a trading day, in ns UTC; None when it is closed all day.

        Raises Unknown outside the calendar's validity.
        """
        self._require(day)
        if day.weekday() not in self.weekdays or day in self.closed:
            return None
        opening_day = day - timedelta(days=1) if self.opens_evening_before else day
        opens, closes = self.hours.window_on(opening_day)
        if (close := self._special_close(day)) is not None:
            closes = instant_ns(day, close, self.hours.zone)
        return opens, closes

    def _special_close(self, day: date) -> str | None:
        """The clock time at which a day closes, where it is not that of today's regular hours."""
        if day in self.early_close:
            return self.early_close[day]
        if self.close_in_winter and not _is_summer(day, self.winter_zone):
            return self.close_in_winter
        return next((close for last_day, close in self.former_close if day <= last_day), None)

    def session(self, day: date, hours: SessionHours) -> Session | None:
        """The session of a trading day with these hours, cut to the market's; None when nothing of it is left.

        Hours that open in the evening, such as 18:00 to 17:00, open on the evening before. Hours in another zone move
        against the market with the seasons: what reaches over its open or close is cut off. The market's own hours
        mean all of its day, also in the years in which it closed at another time. Raises Unknown outside the
        calendar's validity.
        """
        key = (day, hours, hours.id)
        if key not in self._sessions:
            if len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.clear()
            self._sessions[key] = self._session(day, hours)
        return self._sessions[key]

    def _session(self, day: date, hours: SessionHours) -> Session | None:
        market = self.market(day)
        if market is None:
            return None
        if hours == self.hours:
            return Session(*market, day, hours.id)
        opens, closes = max((_cut(window, market) for window in _windows_near(day, hours)), key=_length)
        return Session(opens, closes, day, hours.id) if opens < closes else None

    def session_at(self, ts_ns: int, hours: SessionHours) -> Session | None:
        """The session that contains an instant; None between sessions. Raises Unknown like `trading_day`."""
        found = self.session(self.trading_day(ts_ns), hours)
        return found if found is not None and found.contains(ts_ns) else None

    def sessions_between(self, start: date, end: date, hours: SessionHours) -> tuple[Session, ...]:
        """All sessions of the trading days in [start, end), in order. Raises Unknown outside the validity."""
        days = (start + timedelta(days=n) for n in range((end - start).days))
        return tuple(found for day in days if (found := self.session(day, hours)) is not None)

    def previous_sessions(self, day: date, count: int, hours: SessionHours) -> tuple[Session, ...]:
        """The `count` sessions before a trading day, oldest first. Raises Unknown when the calendar begins later."""
        found: list[Session] = []
        while len(found) < count:
            day -= timedelta(days=1)
            session = self.session(day, hours)
            if session is not None:
                found.append(session)
        return tuple(reversed(found))

    def fits(self, hours: SessionHours) -> bool:
        """Whether the hours lie inside the market's regular hours, in January or in July.

        In the other season they may reach over its open or close, where their zone has no summer time, or another one.
        """
        return any(self._fits_on(day, hours) for day in _SEASONS)

    def _fits_on(self, day: date, hours: SessionHours) -> bool:
        latest = replace(self.hours, close=max(self.hours.close, self.close_in_winter))
        market_open, market_close = latest.window_on(day)
        _, closes = _first_window_from(market_open, day, hours)
        return closes <= market_close

    def _require(self, day: date) -> None:
        if not self.knows(day):
            known = () if self.valid_from is None else (f"{self.valid_from} through {self.valid_through}",)
            raise Unknown(f"day of the calendar {self.name}", day.isoformat(), known)


def _windows_near(day: date, hours: SessionHours) -> list[tuple[int, int]]:
    """The daily windows around a day, oldest first, whatever the zone of the hours."""
    return [hours.window_on(day + timedelta(days=n)) for n in range(-2, 3)]


def _cut(window: tuple[int, int], market: tuple[int, int]) -> tuple[int, int]:
    return max(window[0], market[0]), min(window[1], market[1])


def _length(window: tuple[int, int]) -> int:
    return window[1] - window[0]


def _first_window_from(from_ns: int, day: date, hours: SessionHours) -> tuple[int, int]:
    """The first daily window that opens at or after an instant near a day, whatever the zone of the hours."""
    windows = (hours.window_on(day + timedelta(days=n)) for n in count(-2))
    return next(window for window in windows if window[0] >= from_ns)


def _is_summer(day: date, zone: str) -> bool:
    noon = local_datetime(instant_ns(day, "12:00", zone), zone)
    return bool(noon.dst())


own_calendars: dict[str, "Calendar"] = {}
"""Calendars that are not the package's, by name; set at the start of a process by `own_markets.put_in_force` alone."""


def calendar_names() -> tuple[str, ...]:
    """The names of all calendars, sorted."""
    return tuple(sorted({*packaged_names(), *own_calendars}))


@cache
def packaged_names() -> tuple[str, ...]:
    """The names of the package's calendars, sorted."""
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in _DATA.iterdir() if entry.name.endswith(".yaml")))


def calendar(name: str) -> Calendar:
    """The calendar of that name, loaded once, or that of one of its sessions (`of_session`); Unknown for no name."""
    base, _, begins = name.partition(_JOINT)
    own = own_calendars.get(base)
    found = _packaged(base) if own is None else own
    return found.begun_at(*begins.split(_JOINT)) if begins else found


@cache
def _packaged(name: str) -> Calendar:
    if name not in packaged_names():
        raise Unknown("calendar", name, calendar_names())
    return parse_calendar((_DATA / f"{name}.yaml").read_text(encoding="utf-8"))


def parse_calendar(text: str) -> Calendar:
    """A calendar from its YAML text.

    Raises InvalidInput when a day is outside the validity or stands in two lists: a slip of the pen there would
    silently trade on a holiday.
    """
    return calendar_of(yaml.load(text, yaml.CSafeLoader))


def calendar_of(data: dict[str, Any]) -> Calendar:
    """A calendar from the plain values of its file. Raises as `parse_calendar`."""
    closed: dict[date, str] = data.get("closed") or {}
    early_close: dict[date, str] = {}
    for at, days in (data.get("early_close") or {}).items():
        parse_clock(at, "early_close")
        if repeated := early_close.keys() & days.keys():
            raise InvalidInput("early_close", min(repeated).isoformat(), "each day once")
        early_close |= dict.fromkeys(days, at)
    winter = data.get("winter") or {}
    former_close: dict[date, str] = data.get("former_close") or {}
    for last_day, at in former_close.items():
        parse_clock(at, f"former_close.{last_day.isoformat()}")
    found = Calendar(
        name=data["name"],
        title=data["title"],
        hours=SessionHours(data["open"], data["close"], data["zone"], id="market"),
        weekdays=tuple(_WEEKDAYS.index(name) for name in data["weekdays"]),
        valid_from=data.get("valid_from"),
        valid_through=data.get("valid_through"),
        closed=closed,
        early_close=early_close,
        close_in_winter=winter.get("close", ""),
        winter_zone=winter.get("zone", ""),
        former_close=tuple(sorted(former_close.items())),
    )
    if former_close and found.close_in_winter:
        raise InvalidInput("former_close", min(former_close).isoformat(), "no other close in winter beside it")
    for day in (*closed, *early_close):
        if not found.knows(day) or day.weekday() not in found.weekdays:
            raise InvalidInput("day", day.isoformat(), "a trading weekday within the validity")
        if day in closed and day in early_close:
            raise InvalidInput("day", day.isoformat(), "either closed or an early close")
    return found
