"""Trading days, sessions, holidays and early closes, and the days that nobody knows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.market import calendars
from leadline.model.market.calendars import Calendar, calendar, calendar_names, parse_calendar
from leadline.model.market.hours import SessionHours
from leadline.model.market.instruments import instrument

RTH = instrument("ES").sessions["rth"]
GLOBEX = instrument("ES").sessions["globex"]
CME = calendar("cme")


def ns(text: str) -> int:
    """Nanoseconds of an RFC 3339 time in UTC."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def utc(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns / 1e9, UTC).strftime("%m-%d %H:%M")


def hours_of(market: Calendar, day: str, hours: SessionHours) -> str | None:
    found = market.session(date.fromisoformat(day), hours)
    return None if found is None else f"{utc(found.open_ns)} {utc(found.close_ns)}"


def loaded(name: str) -> Calendar:
    """A calendar of which no year is loaded, as if somebody had loaded 2025 without a holiday."""
    folder = Path(calendars.__file__).parent / "data" / "calendars"
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_calendar(f"{text}\nvalid_from: 2025-01-01\nvalid_through: 2025-12-31\n")


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2025-11-20T22:59:59Z", "2025-11-20"),
        ("2025-11-20T23:00:00Z", "2025-11-21"),
        ("2025-11-23T23:00:00Z", "2025-11-24"),  # Sunday evening
        ("2025-07-10T22:00:00Z", "2025-07-11"),  # an hour earlier in summer
        ("2025-11-21T23:00:00Z", "2025-11-24"),  # Friday evening
        ("2025-11-22T12:00:00Z", "2025-11-24"),  # Saturday
        ("2025-11-23T12:00:00Z", "2025-11-24"),  # Sunday, before the open
        ("2023-12-25T23:00:00Z", "2023-12-26"),  # trade goes on in the evening of Christmas
    ],
)
def test_the_globex_day_begins_at_18_00_in_new_york(instant, day):
    assert CME.trading_day(ns(instant)) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("market", "day", "session"),
    [
        ("cme", "2013-10-08", "10-07 22:00 10-08 21:15"),
        ("comex", "2013-10-08", "10-07 22:00 10-08 21:15"),
        ("comex", "2013-01-10", "01-09 23:00 01-10 22:15"),
        ("cme", "2015-09-18", "09-17 22:00 09-18 21:15"),  # the last day on which Globex closed at 17:15
        ("comex", "2015-09-18", "09-17 22:00 09-18 21:15"),
        ("cme", "2015-09-21", "09-20 22:00 09-21 21:00"),
        ("comex", "2015-09-21", "09-20 22:00 09-21 21:00"),
        ("comex", "2013-11-29", "11-28 23:00 11-29 18:45"),  # an early close stays one
    ],
)
def test_the_electronic_session_closed_at_17_15_until_september_2015(market, day, session):
    assert hours_of(calendar(market), day, GLOBEX) == session


def test_hours_that_close_before_the_market_keep_their_close_in_every_year():
    morning = SessionHours("18:00", "12:00", "America/New_York")
    assert hours_of(CME, "2013-10-08", morning) == "10-07 22:00 10-08 16:00"
    assert hours_of(CME, "2025-10-08", morning) == "10-07 22:00 10-08 16:00"


def test_a_former_close_is_a_clock_time():
    text = (Path(calendars.__file__).parent / "data" / "calendars" / "cme.yaml").read_text(encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"former_close.2015-09-18.*25:15"):
        parse_calendar(text.replace('2015-09-18: "17:15"', '2015-09-18: "25:15"'))


LISTED = """
name: own
title: A market of one's own
zone: America/New_York
open: "18:00"
close: "17:00"
weekdays: [mon, tue, wed, thu, fri]
valid_from: 2025-01-01
valid_through: 2025-12-31
"""


@pytest.mark.parametrize(
    ("days", "field"),
    [
        ('closed: {2026-01-02: "out of the years"}', "day"),
        ('closed: {2024-12-31: "out of the years"}', "day"),
        ('closed: {2025-01-04: "a Saturday"}', "day"),
        ('early_close: {"13:00": {2026-01-02: "out of the years"}}', "day"),
        ('early_close: {"13:00": {2025-01-04: "a Saturday"}}', "day"),
        ('closed: {2025-01-02: "a"}\nearly_close: {"13:00": {2025-01-02: "b"}}', "day"),
        ('early_close: {"13:00": {2025-01-02: "a"}, "12:00": {2025-01-02: "b"}}', "early_close"),
        ('early_close: {"25:00": {2025-01-02: "a"}}', "early_close"),
    ],
)
def test_a_day_that_is_listed_is_a_trading_day_of_the_loaded_years_and_stands_once(days: str, field: str):
    with pytest.raises(InvalidInput) as raised:
        parse_calendar(f"{LISTED}{days}\n")
    assert raised.value.field == field


def test_the_first_and_the_last_day_of_the_loaded_years_are_known():
    own = parse_calendar(f'{LISTED}closed: {{2025-01-01: "a"}}\nearly_close: {{"13:00": {{2025-12-31: "b"}}}}\n')
    days = [date(2024, 12, 31), date(2025, 1, 1), date(2025, 12, 31), date(2026, 1, 1)]
    assert [own.knows(day) for day in days] == [False, True, True, False]
    assert own.market(date(2025, 1, 1)) is None
    assert hours_of(own, "2025-12-31", GLOBEX) == "12-30 23:00 12-31 18:00"


def test_hours_of_a_zone_far_to_the_east_are_a_session_of_the_market_too():
    auckland = SessionHours("11:00", "15:00", "Pacific/Auckland")
    assert CME.fits(auckland)
    assert hours_of(CME, "2025-06-11", auckland) == "06-10 23:00 06-11 03:00"
    # In January 11:00 is an hour before the market opens: that hour is cut off.
    assert hours_of(CME, "2025-01-15", auckland) == "01-14 23:00 01-15 02:00"


def test_a_market_has_former_closes_or_another_close_in_winter_and_not_both():
    text = (Path(calendars.__file__).parent / "data" / "calendars" / "mcx.yaml").read_text(encoding="utf-8")
    with pytest.raises(InvalidInput, match="former_close"):
        parse_calendar(f'{text}\nformer_close: {{2015-09-18: "23:00"}}\n')


def test_the_last_nanosecond_before_the_roll_belongs_to_the_old_day():
    roll = ns("2025-11-20T23:00:00Z")
    assert CME.trading_day(roll - 1) == date(2025, 11, 20)
    assert CME.trading_day(roll) == date(2025, 11, 21)


@pytest.mark.parametrize(
    ("day", "session"),
    [
        ("2025-03-07", "03-07 14:30 03-07 21:00"),  # the last Friday of winter
        ("2025-03-10", "03-10 13:30 03-10 20:00"),  # the first Monday of summer
        ("2019-08-29", "08-29 13:30 08-29 20:00"),
        ("2013-10-08", "10-08 13:30 10-08 20:00"),
    ],
)
def test_regular_hours_follow_new_yorks_clock(day, session):
    assert hours_of(CME, day, RTH) == session


@pytest.mark.parametrize(
    ("day", "session"),
    [
        ("2023-12-26", "12-25 23:00 12-26 22:00"),  # opens on the evening of the holiday before
        ("2024-07-02", "07-01 22:00 07-02 21:00"),
        ("2025-03-10", "03-09 22:00 03-10 21:00"),  # the Sunday of the clock change: 23 hours all the same
        ("2025-11-03", "11-02 23:00 11-03 22:00"),
    ],
)
def test_the_electronic_session_opens_the_evening_before(day, session):
    assert hours_of(CME, day, GLOBEX) == session


def test_a_night_that_contains_the_clock_change_is_an_hour_longer_or_shorter():
    around = calendar("24x7")
    night = SessionHours("00:00", "06:00", "America/New_York")
    lengths = [around.session(day, night) for day in (date(2025, 3, 9), date(2025, 11, 2), date(2025, 7, 1))]
    assert [(found.close_ns - found.open_ns) / 3.6e12 for found in lengths if found] == [5, 7, 6]


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2023-11-22", "22:00"),  # the day before Thanksgiving is a full one
        ("2023-11-23", "18:00"),  # Thanksgiving: 13:00
        ("2023-11-24", "18:15"),  # the day after: 13:15
        ("2026-11-26", "18:00"),
        ("2026-11-27", "18:15"),
        ("2024-12-24", "18:15"),  # Christmas Eve
        ("2024-12-31", "22:00"),  # New Year's Eve is a full day
        ("2024-07-03", "17:15"),
        ("2024-07-04", "17:00"),
        ("2026-07-02", "21:00"),  # the holiday is observed on Friday the 3rd: no early close before it
        ("2026-07-03", "17:00"),
        ("2021-07-05", "17:00"),  # observed on Monday
        ("2025-01-20", "18:00"),  # Martin Luther King Jr. Day
        ("2025-02-17", "18:00"),
        ("2025-05-26", "17:00"),
        ("2025-06-19", "17:00"),
        ("2021-06-18", "21:00"),  # the exchange did not keep Juneteenth yet
        ("2022-06-20", "17:00"),
        ("2025-09-01", "17:00"),
        ("2013-07-03", "17:15"),
        ("2013-07-04", "15:30"),  # until early 2014 holidays ended at 11:30
        ("2014-01-20", "16:30"),
        ("2014-05-26", "17:00"),
        ("2015-04-03", "13:15"),  # Good Friday with an employment report: 09:15
        ("2021-04-02", "13:15"),
        ("2023-04-07", "13:15"),
        ("2026-04-03", "13:15"),
        ("2018-12-05", "14:30"),  # days of mourning
        ("2025-01-09", "14:30"),
        ("2021-12-31", "22:00"),  # a New Year's Day on a Saturday is not made up for
    ],
)
def test_equity_index_futures_close_as_published(day, close):
    found = hours_of(CME, day, GLOBEX)
    assert found is not None
    assert found.endswith(close)


@pytest.mark.parametrize(
    "day",
    [
        "2013-03-29",
        "2022-04-15",
        "2024-03-29",
        "2025-04-18",
        "2027-03-26",
        "2023-12-25",
        "2021-12-24",
        "2022-12-26",
        "2024-01-01",
        "2017-01-02",
        "2023-01-02",
        "2025-11-22",
        "2025-11-23",
    ],
)
def test_equity_index_futures_are_closed_all_day(day):
    assert hours_of(CME, day, GLOBEX) is None
    assert hours_of(CME, day, RTH) is None


def test_regular_hours_end_with_an_early_close():
    assert hours_of(CME, "2024-11-29", RTH) == "11-29 14:30 11-29 18:15"
    assert hours_of(CME, "2024-01-15", RTH) == "01-15 14:30 01-15 18:00"


@pytest.mark.parametrize("day", ["2018-12-05", "2025-01-09", "2023-04-07"])
def test_a_day_that_ends_before_regular_hours_has_none(day):
    assert hours_of(CME, day, RTH) is None
    assert hours_of(CME, day, GLOBEX) is not None


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2013-07-03", "21:15"),  # a full day, unlike the indices
        ("2013-07-04", "17:15"),
        ("2013-12-24", "18:45"),
        ("2014-01-20", "18:15"),
        ("2016-11-25", "18:45"),
        ("2017-07-04", "17:00"),
        ("2019-01-21", "18:00"),
        ("2023-02-20", "19:30"),
        ("2024-07-04", "18:30"),
        ("2018-12-05", "22:00"),
        ("2025-01-09", "22:00"),
    ],
)
def test_metals_and_energy_close_as_published(day, close):
    found = hours_of(calendar("comex"), day, GLOBEX)
    assert found is not None
    assert found.endswith(close)


@pytest.mark.parametrize("day", ["2015-04-03", "2023-04-07", "2025-04-18", "2013-12-25", "2023-01-02"])
def test_metals_and_energy_are_closed_on_every_good_friday(day):
    assert hours_of(calendar("comex"), day, GLOBEX) is None


def easter_sunday(year: int) -> date:
    """Anonymous Gregorian computus."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    rest = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * rest) // 451
    return date(year, (h + rest - 7 * m + 114) // 31, (h + rest - 7 * m + 114) % 31 + 1)


@pytest.mark.parametrize("year", range(2013, 2028))
def test_no_year_forgets_a_holiday(year):
    def nth(month: int, weekday: int, count: int) -> date:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))

    def observed(day: date) -> date:
        return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))

    memorial = nth(5, 0, 5) if nth(5, 0, 5).month == 5 else nth(5, 0, 4)
    holidays = {nth(1, 0, 3), nth(2, 0, 3), memorial, nth(9, 0, 1), nth(11, 3, 4), observed(date(year, 7, 4))}
    holidays |= {observed(date(year, 12, 25)), easter_sunday(year) - timedelta(days=2)}
    holidays |= {observed(date(year, 6, 19))} if year >= 2022 else set()
    holidays |= {observed(date(year, 1, 1))} if date(year, 1, 1).weekday() != 5 else set()
    nyse = calendar("nyse")
    mourning = {day for day, reason in nyse.closed.items() if "mourning" in reason}
    assert {day for day in nyse.closed if day.year == year} - mourning == holidays
    for market in (CME, calendar("comex")):
        special = {day for day in (*market.closed, *market.early_close) if day.year == year}
        assert holidays <= special
        assert {day for day in market.closed if day.year == year} <= holidays


def test_stocks_close_early_on_half_days():
    stock = instrument("SPY").sessions["rth"]
    assert hours_of(calendar("nyse"), "2024-07-03", stock) == "07-03 13:30 07-03 17:00"
    assert hours_of(calendar("nyse"), "2025-01-09", stock) is None


@pytest.mark.parametrize("instant", ["2012-12-31T12:00:00Z", "2028-01-03T12:00:00Z", "2027-12-31T23:00:00Z"])
def test_past_its_validity_the_calendar_says_unknown(instant):
    with pytest.raises(Unknown, match=r"unknown day of the calendar cme .* known: 2013-01-01 through 2027-12-31"):
        CME.trading_day(ns(instant))


def test_sessions_past_the_validity_are_unknown_too():
    with pytest.raises(Unknown):
        CME.session(date(2028, 1, 3), RTH)
    with pytest.raises(Unknown):
        CME.sessions_between(date(2027, 12, 30), date(2028, 1, 2), RTH)
    with pytest.raises(Unknown):
        CME.previous_sessions(date(2013, 1, 4), 5, RTH)


@pytest.mark.parametrize("name", ["nse", "mcx"])
def test_a_calendar_without_loaded_years_knows_no_day(name):
    with pytest.raises(Unknown, match=f"^unknown day of the calendar {name} '2025-03-07'$"):
        calendar(name).trading_day(ns("2025-03-07T06:00:00Z"))
    with pytest.raises(Unknown):
        calendar(name).session(date(2025, 3, 7), RTH)


def test_a_calendar_with_one_end_of_its_years_knows_no_day():
    for market in (replace(CME, valid_from=None), replace(CME, valid_through=None)):
        assert not market.knows(date(2025, 6, 10))


def test_an_unknown_calendar_is_an_error():
    assert calendar_names() == ("24x7", "cme", "comex", "mcx", "nse", "nyse")
    with pytest.raises(Unknown, match="unknown calendar 'eurex'"):
        calendar("eurex")


def test_mcx_closes_at_23_30_while_new_york_is_on_summer_time():
    mcx, hours = loaded("mcx"), instrument("GOLDM").sessions["rth"]
    assert hours_of(mcx, "2025-03-07", hours) == "03-07 03:30 03-07 18:25"  # 23:55 India time
    assert hours_of(mcx, "2025-03-10", hours) == "03-10 03:30 03-10 18:00"  # 23:30


def test_nse_trades_from_09_15_to_15_30_india_time_all_year():
    nse, hours = loaded("nse"), instrument("BANKNIFTY").sessions["rth"]
    assert hours_of(nse, "2025-03-07", hours) == "03-07 03:45 03-07 10:00"
    assert hours_of(nse, "2025-07-07", hours) == "07-07 03:45 07-07 10:00"


def test_around_the_clock_every_utc_day_is_a_session():
    found = calendar("24x7").session(date(2024, 8, 10), instrument("BTCUSDT").sessions["rth"])  # a Saturday
    assert found is not None
    assert (utc(found.open_ns), utc(found.close_ns)) == ("08-10 00:00", "08-11 00:00")
    assert calendar("24x7").trading_day(ns("2024-08-08T23:59:59Z")) == date(2024, 8, 8)


NIGHT = SessionHours("18:00", "06:00", "UTC")


@pytest.mark.parametrize(
    "shorter",
    [
        {"closed": {date(2025, 1, 1): "New Year"}},
        {"early_close": {date(2025, 1, 1): "13:00"}},
        {"former_close": ((date(2015, 9, 18), "17:15"),)},
        {"close_in_winter": "17:00"},
        {"weekdays": (0, 1, 2, 3, 4, 5)},
        {"hours": SessionHours("00:00", "23:00", "UTC")},
    ],
)
def test_a_market_that_closes_on_some_day_is_not_one_that_never_closes(shorter):
    around = calendar("24x7")
    assert around.never_closes
    assert not replace(around, **shorter).never_closes


@pytest.mark.parametrize(
    ("opens", "closes", "fits"),
    [
        ("23:00", "22:00", True),  # the CME's day in January
        ("22:00", "21:00", True),  # and in July
        ("22:00", "22:00", False),
        ("21:30", "20:30", False),
    ],
)
def test_hours_fit_a_market_that_holds_them_in_one_of_the_seasons(opens, closes, fits):
    assert CME.fits(SessionHours(opens, closes, "UTC")) == fits


def in_zone(zone: str) -> Calendar:
    """A market that never closes, with the days of a zone."""
    return calendar("24x7").begun_at("00:00", zone)


@pytest.mark.parametrize(
    ("market", "hours", "session"),
    [
        # The day of Kiritimati is 10:00 to 10:00 UTC, and ends before that of the date line's other side has begun.
        ("Pacific/Kiritimati", SessionHours("22:00", "23:00", "Etc/GMT+12"), "06-09 10:00 06-09 11:00"),
        ("Pacific/Kiritimati", SessionHours("21:00", "22:00", "Etc/GMT+12"), "06-10 09:00 06-10 10:00"),
        ("Etc/GMT+12", SessionHours("02:00", "03:00", "Pacific/Kiritimati"), "06-10 12:00 06-10 13:00"),
        ("Etc/GMT+12", SessionHours("01:00", "02:00", "Pacific/Kiritimati"), "06-11 11:00 06-11 12:00"),
    ],
)
def test_hours_on_the_other_side_of_the_date_line_have_a_session_on_every_day(market, hours, session):
    assert hours_of(in_zone(market), "2025-06-10", hours) == session
    assert in_zone(market).fits(hours)
    assert not in_zone(market).fits(SessionHours("00:00", "00:00", hours.zone))


def test_hours_that_go_over_midnight_are_two_parts_of_a_day_and_the_earlier_one_is_the_session():
    night = SessionHours("18:00", "06:00", "UTC")
    assert hours_of(calendar("24x7"), "2025-06-10", night) == "06-10 00:00 06-10 06:00"


def test_a_day_rolls_with_the_evening_open_and_else_at_midnight():
    assert CME.day_roll == ("18:00", "America/New_York", (0, 1, 2, 3, 4))
    assert calendar("nse").day_roll == ("00:00", "Asia/Kolkata", (0, 1, 2, 3, 4))


def test_on_a_closed_day_no_session_contains_an_instant():
    assert CME.session_at(ns("2025-12-25T15:00:00Z"), RTH) is None


def test_a_session_may_last_until_the_close_that_winter_has():
    mcx = calendar("mcx")
    for closes, fits in (("23:55", True), ("23:56", False)):
        assert mcx.fits(SessionHours("09:00", closes, "Asia/Kolkata")) == fits
    assert not mcx.fits(SessionHours("08:59", "23:55", "Asia/Kolkata"))


def test_a_session_over_midnight_begins_the_day_where_the_market_never_closes():
    days = calendar("24x7").of_session(NIGHT)
    assert days == calendar(days.name)
    assert days.day_roll == ("18:00", "UTC", (0, 1, 2, 3, 4, 5, 6))
    night = days.session_at(ns("2024-08-10T00:00:00Z"), NIGHT)
    assert night is not None
    assert (utc(night.open_ns), utc(night.close_ns), night.trading_day) == (
        "08-09 18:00",
        "08-10 06:00",
        date(2024, 8, 10),
    )
    assert days.session_at(night.close_ns, NIGHT) is None
    assert days.trading_day(night.close_ns) == night.trading_day
    assert days.trading_day(ns("2024-08-10T18:00:00Z")) == date(2024, 8, 11)


def test_a_session_in_another_zone_is_whole_in_both_seasons():
    evening = SessionHours("19:00", "21:00", "America/New_York")  # 23:00 UTC in summer and midnight in winter
    days = calendar("24x7").of_session(evening)
    assert days.day_roll[:2] == ("19:00", "America/New_York")
    for day in (date(2024, 1, 17), date(2024, 7, 17)):
        found = days.session(day, evening)
        assert found is not None
        assert found.close_ns - found.open_ns == evening.length_ns


@pytest.mark.parametrize("hours", [SessionHours("00:00", "00:00", "UTC"), SessionHours("08:00", "23:55", "UTC")])
def test_a_session_inside_the_day_keeps_it_and_so_does_a_market_that_closes(hours):
    assert calendar("24x7").of_session(hours) is calendar("24x7")
    assert CME.of_session(hours) is CME


def test_sessions_are_half_open():
    found = CME.session(date(2025, 11, 20), RTH)
    assert found is not None
    assert CME.session_at(found.open_ns, RTH) == found
    assert CME.session_at(found.close_ns - 1, RTH) == found
    assert CME.session_at(found.open_ns - 1, RTH) is None
    assert CME.session_at(found.close_ns, RTH) is None


def test_the_sessions_between_two_days_skip_the_closed_ones():
    days = [found.trading_day for found in CME.sessions_between(date(2025, 12, 24), date(2025, 12, 30), RTH)]
    assert days == [date(2025, 12, 24), date(2025, 12, 26), date(2025, 12, 29)]


def test_the_previous_sessions_are_those_that_had_the_hours():
    days = [found.trading_day for found in CME.previous_sessions(date(2025, 1, 10), 3, RTH)]
    assert days == [date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)]  # not the day of mourning


def test_hours_of_another_zone_belong_to_the_trading_day_in_which_they_open():
    tokyo = SessionHours("09:00", "11:00", "Asia/Tokyo")  # 19:00 to 21:00 in New York, in winter
    assert hours_of(CME, "2025-11-21", tokyo) == "11-21 00:00 11-21 02:00"
    assert hours_of(CME, "2025-11-24", tokyo) == "11-24 00:00 11-24 02:00"


@given(st.integers(ns("2013-01-02T00:00:00Z"), ns("2027-12-31T00:00:00Z")))
def test_every_instant_inside_a_session_has_its_trading_day(instant):
    for hours in (RTH, GLOBEX):
        found = CME.session_at(instant, hours)
        assert found is None or (found.contains(instant) and found.trading_day == CME.trading_day(instant))


@given(st.dates(date(2013, 1, 2), date(2027, 12, 30)))
def test_electronic_sessions_never_overlap(day):
    sessions = CME.sessions_between(max(day - timedelta(days=5), date(2013, 1, 1)), day, GLOBEX)
    for before, after in pairwise(sessions):
        assert before.close_ns < after.open_ns


@pytest.mark.parametrize(
    ("slip", "problem"),
    [
        ("closed: {2026-01-02: x}\nearly_close: {}", "within the validity"),
        ("closed: {2025-01-04: x}\nearly_close: {}", "a trading weekday"),
        ('closed: {2025-01-02: x}\nearly_close: {"13:00": {2025-01-02: y}}', "either closed or an early close"),
        ('early_close: {"13:00": {2025-01-02: y}, "14:00": {2025-01-02: y}}', "each day once"),
        ('early_close: {"25:00": {2025-01-02: y}}', "a time HH:MM"),
    ],
)
def test_a_slip_of_the_pen_in_a_calendar_is_refused(slip, problem):
    head = 'name: x\ntitle: x\nzone: UTC\nopen: "09:00"\nclose: "17:00"\nweekdays: [mon, tue, wed, thu, fri]\n'
    with pytest.raises(InvalidInput, match=problem):
        parse_calendar(f"{head}valid_from: 2025-01-01\nvalid_through: 2025-12-31\n{slip}\n")


TOKYO = SessionHours("07:00", "15:00", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("day", "session"),
    [
        ("2025-07-16", "07-15 22:00 07-16 06:00"),  # Tokyo's morning is New York's 18:00, when the market opens
        ("2025-01-15", "01-14 23:00 01-15 06:00"),  # an hour later on New York's clock: the first hour is cut off
        ("2025-03-10", "03-09 22:00 03-10 06:00"),  # the day after New York's clock change
    ],
)
def test_hours_of_another_zone_are_cut_to_the_market_in_the_other_season(day, session):
    assert hours_of(CME, day, TOKYO) == session


def test_hours_of_another_zone_have_a_session_on_every_day_of_the_market():
    year = [date(2025, 1, 2) + timedelta(days=n) for n in range(360)]
    open_days = [day for day in year if CME.market(day) is not None]
    assert len(open_days) > 250
    assert [day for day in open_days if CME.session(day, TOKYO) is None] == []


@pytest.mark.parametrize("hours", [RTH, GLOBEX, SessionHours("03:00", "11:30", "Europe/London")])
def test_a_session_is_the_part_of_its_hours_that_lies_within_the_market(hours):
    for n in range(360):
        day = date(2025, 1, 2) + timedelta(days=n)
        market, session = CME.market(day), CME.session(day, hours)
        if market is not None and session is not None:
            assert market[0] <= session.open_ns < session.close_ns <= market[1]
