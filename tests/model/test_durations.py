"""Lengths of time and of bars."""

import pytest

from leadline.model.durations import BarSpec, Validity, parse_bar_spec, parse_duration, parse_validity
from leadline.model.errors import InvalidInput
from leadline.model.market.instruments import instrument

MINUTE_NS = 60_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("50ms", 50_000_000), ("2s", 2_000_000_000), ("5m", 5 * MINUTE_NS), ("1h", 60 * MINUTE_NS), ("0ms", 0)],
)
def test_a_duration_is_a_whole_number_with_a_unit(text, nanoseconds):
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1.5s", "5d", "5M", "1000000s", "5m\n", "٥m"])
def test_anything_else_is_refused(text):
    with pytest.raises(InvalidInput, match="latency: got"):
        parse_duration(text, "latency")


@pytest.mark.parametrize(
    ("text", "validity"),
    [
        ("day", Validity("day", 0)),
        ("bars:1", Validity("bars", 1)),
        ("bars:999", Validity("bars", 999)),
        ("15m", Validity("time", 15 * MINUTE_NS)),
    ],
)
def test_an_entry_works_for_the_day_a_length_of_time_or_some_bars(text, validity):
    assert parse_validity(text) == validity


@pytest.mark.parametrize("text", ["", "Day", "bars:", "bars:0", "bars:1000", "bars:٣", "bars:3\n", "3", "bars: 3"])
def test_no_other_words_say_how_long_an_entry_works(text):
    with pytest.raises(InvalidInput, match="validFor: got"):
        parse_validity(text)


@pytest.mark.parametrize(
    ("text", "spec", "token"),
    [
        ("1m", BarSpec("time", MINUTE_NS), "1m"),
        ("5m", BarSpec("time", 5 * MINUTE_NS), "5m"),
        ("15m", BarSpec("time", 15 * MINUTE_NS), "15m"),
        ("30m", BarSpec("time", 30 * MINUTE_NS), "30m"),
        ("1h", BarSpec("time", 60 * MINUTE_NS), "1h"),
        ("4h", BarSpec("time", 240 * MINUTE_NS), "4h"),
        ("1d", BarSpec("time", 1440 * MINUTE_NS), "1d"),
        ("3m", BarSpec("time", 3 * MINUTE_NS), "3m"),
        ("75m", BarSpec("time", 75 * MINUTE_NS), "75m"),
        ("120m", BarSpec("time", 120 * MINUTE_NS), "120m"),
        ("1439m", BarSpec("time", 1439 * MINUTE_NS), "1439m"),
        ("ticks:500", BarSpec("ticks", 500), "ticks500"),
        ("volume:2000", BarSpec("volume", 2000), "volume2000"),
    ],
)
def test_bars_close_by_time_by_prints_or_by_volume(text, spec, token):
    assert parse_bar_spec(text) == spec
    assert (spec.token, str(spec)) == (token, text)


@pytest.mark.parametrize(("minutes", "name"), [("60m", "1h"), ("240m", "4h"), ("1440m", "1d")])
def test_a_length_with_a_name_of_its_own_has_one_spelling(minutes, name):
    assert parse_bar_spec(minutes) == parse_bar_spec(name)
    assert (str(parse_bar_spec(minutes)), parse_bar_spec(minutes).token) == (name, name)


def test_every_number_of_minutes_of_a_day_is_a_length_with_a_token_of_its_own():
    specs = [parse_bar_spec(f"{minutes}m") for minutes in range(1, 1441)]
    assert [spec.length for spec in specs] == [minutes * MINUTE_NS for minutes in range(1, 1441)]
    assert len({spec.token for spec in specs}) == 1440
    assert [parse_bar_spec(str(spec)) for spec in specs] == specs


@pytest.mark.parametrize(
    "text",
    [
        *("", "m", "0m", "05m", "1441m", "1500m", "10000m", "1.5m", "75", "2h", "90s", "5m\n", "٥m"),
        *("ticks:0", "ticks:", "ticks:05", "ticks500", "volume:-1"),
    ],
)
def test_other_bars_are_refused(text):
    with pytest.raises(InvalidInput, match=r"bars: got .* expected minutes from 1m to 1440m"):
        parse_bar_spec(text)


@pytest.mark.parametrize(
    ("text", "rth", "globex"), [("5m", 78, 276), ("75m", 6, 19), ("1h", 7, 23), ("4h", 2, 6), ("1d", 1, 1)]
)
def test_a_session_has_a_number_of_time_bars(text, rth, globex):
    sessions = instrument("ES").sessions
    spec = parse_bar_spec(text)
    assert (spec.bars_in(sessions["rth"].length_ns), spec.bars_in(sessions["globex"].length_ns)) == (rth, globex)


def test_nobody_knows_how_many_tick_bars_a_session_has():
    with pytest.raises(ValueError, match="no fixed number"):
        parse_bar_spec("ticks:500").bars_in(MINUTE_NS)


@pytest.mark.parametrize(
    ("written", "shown"),
    [("60m", "60m (1h)"), ("1h", "60m (1h)"), ("5m", "5m"), ("1d", "1440m (1d)"), ("ticks:500", "ticks:500")],
)
def test_a_length_is_shown_in_minutes_and_by_its_other_name(written: str, shown: str):
    assert parse_bar_spec(written).in_minutes() == shown
