"""Names of sessions, hours on a clock, and hours that fit no market."""

from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.market.hours import instant_ns, zone_of
from leadline.model.market.instruments import instrument
from leadline.model.market.sessions import SessionHours, around_the_clock, local_time_in, resolve_session, session_id

ES = instrument("ES")
HOUR_NS = 3_600_000_000_000


def test_hours_written_out_have_the_name_of_the_session_that_they_equal():
    assert resolve_session(ES, SessionHours("09:30", "16:00", "America/New_York")) == ("rth", ES.sessions["rth"])
    assert session_id(ES, SessionHours("18:00", "17:00", "America/New_York")) == "globex"


def test_the_same_hours_are_rth_for_one_instrument_and_not_for_another():
    hours = SessionHours("09:30", "16:00", "America/New_York")
    assert session_id(instrument("GC"), hours) == "0930-1600-America-New_York"


def test_other_hours_have_an_id_that_is_one_token_of_a_subject():
    name, hours = resolve_session(ES, SessionHours("10:00", "12:00", "Europe/London"))
    assert name == hours.id == "1000-1200-Europe-London"


def test_a_name_that_the_instrument_does_not_have_is_unknown():
    with pytest.raises(Unknown, match="unknown session of BTCUSDT 'globex', known: rth"):
        resolve_session(instrument("BTCUSDT"), "globex")


@pytest.mark.parametrize(
    "hours",
    [
        SessionHours("17:15", "17:45", "America/New_York"),  # inside the daily break
        SessionHours("09:30", "18:30", "America/New_York"),  # across the roll of the trading day
        SessionHours("09:30", "09:30", "America/New_York"),
    ],
)
def test_hours_outside_the_market_are_refused(hours):
    with pytest.raises(InvalidInput, match="expected hours inside 18:00-17:00 America/New_York"):
        resolve_session(ES, hours)


@pytest.mark.parametrize(
    ("root", "hours", "around"),
    [
        ("BTCUSDT", SessionHours("00:00", "00:00", "UTC"), True),
        ("BTCUSDT", SessionHours("18:00", "18:00", "UTC"), True),  # its own open begins the day
        ("BTCUSDT", SessionHours("00:00", "23:59", "UTC"), False),
        ("ES", SessionHours("18:00", "17:00", "America/New_York"), False),  # all of a market that closes
    ],
)
def test_a_session_is_around_the_clock_where_it_is_all_of_a_day_that_never_ends(root, hours, around):
    assert around_the_clock(instrument(root), hours) is around


def test_a_night_session_belongs_to_one_trading_day():
    assert resolve_session(ES, SessionHours("20:00", "02:00", "America/New_York"))[0] == "2000-0200-America-New_York"


@pytest.mark.parametrize(
    ("hours", "problem"),
    [
        (("9:30", "16:00", "UTC"), "open: got '9:30'"),
        (("09:30", "24:00", "UTC"), "close: got '24:00'"),
        (("09:30", "16:00", "EDT"), "zone: got 'EDT'"),
        (("09:30", "16:00", "America"), "zone: got 'America'"),
        (("09:30", "16:00", "leapseconds"), "zone: got 'leapseconds'"),  # a file of the database, and no zone
        (("09:30", "16:00", "../UTC"), r"zone: got '\.\./UTC'"),
    ],
)
def test_malformed_hours_are_refused(hours, problem):
    with pytest.raises(InvalidInput, match=problem):
        SessionHours(*hours)


@pytest.mark.parametrize(
    ("opens", "closes", "hours"),
    [("09:30", "16:00", 6.5), ("18:00", "17:00", 23), ("00:00", "00:00", 24), ("09:30", "16:15", 6.75)],
)
def test_the_length_of_a_session_goes_over_midnight(opens, closes, hours):
    assert SessionHours(opens, closes, "UTC").length_ns == hours * HOUR_NS


def test_hours_have_the_id_that_they_were_given_or_one_of_their_own():
    assert SessionHours("09:30", "16:00", "America/New_York", "rth").id == "rth"
    assert SessionHours("09:30", "16:00", "America/New_York").id == "0930-1600-America-New_York"


def test_the_local_time_follows_the_zone_and_not_an_offset():
    assert local_time_in(instant_ns(date(2025, 3, 7), "14:30", "UTC"), "America/New_York") == time(9, 30)
    assert local_time_in(instant_ns(date(2025, 3, 10), "13:30", "UTC"), "America/New_York") == time(9, 30)


@given(st.dates(date(1971, 1, 1), date(2100, 1, 1)), st.times(), st.sampled_from(["UTC", "Asia/Kolkata"]))
def test_local_times_of_zones_without_clock_changes_come_back(day, moment, zone):
    clock = moment.strftime("%H:%M")
    assert local_time_in(instant_ns(day, clock, zone), zone).strftime("%H:%M") == clock


def test_an_instant_outside_the_years_is_refused():
    with pytest.raises(InvalidInput):
        local_time_in(2**80, "UTC")


def test_an_unknown_zone_is_refused():
    with pytest.raises(InvalidInput, match="IANA"):
        zone_of("Mars/Olympus")
