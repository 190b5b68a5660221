"""Times for people: one zone in an output, and its name beside them."""

import re
from pathlib import Path

import pytest

import leadline
from leadline.model.errors import InvalidInput
from leadline.report import clock
from leadline.report.html import write_html
from tests.report.builders import report
from tests.report.test_text import shown

NINE_THIRTY_NS = 1_749_562_200_999_999_999  # 2025-06-10 09:30:00.999999999 in New York
SHOWN_TO_PEOPLE = ("cli", "plan", "report", "views")


@pytest.fixture(autouse=True)
def _utc_again():
    yield
    clock.show_times_in(clock.DEFAULT_ZONE)


def test_times_are_utc_unless_somebody_says_otherwise():
    assert clock.zone_name() == "UTC"
    assert clock.moment(NINE_THIRTY_NS) == "2025-06-10 13:30:00 UTC"
    assert clock.day_and_time(NINE_THIRTY_NS) == "2025-06-10 13:30:00"


def test_times_are_shown_in_the_zone_that_was_asked_for():
    clock.show_times_in("America/New_York")
    assert clock.moment(NINE_THIRTY_NS) == "2025-06-10 09:30:00 America/New_York"
    assert clock.month_and_time(NINE_THIRTY_NS) == "06-10 09:30:00"
    assert clock.time_of_day(NINE_THIRTY_NS) == "09:30:00"


def test_no_time_is_a_dash():
    assert {clock.moment(0), clock.day_and_time(0), clock.month_and_time(0), clock.time_of_day(0)} == {"–"}


@pytest.mark.parametrize("zone", ["Mars/Base", "EST5", "", "America", "../etc/passwd"])
def test_a_zone_that_nobody_knows_is_refused_and_changes_nothing(zone):
    with pytest.raises(InvalidInput, match=r"--tz: got .*, expected UTC or a name of the IANA time zone database"):
        clock.show_times_in(zone)
    assert clock.zone_name() == "UTC"


def test_the_report_and_its_page_name_the_zone(tmp_path):
    clock.show_times_in("America/New_York")
    text = shown(report(), width=100)
    assert "Trades, times in America/New_York" in text
    assert "09:40:01" in text
    write_html([report()], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "All times are in America/New_York." in page
    assert "06-10 09:40:01" in page


def test_nobody_else_writes_times_for_people():
    """What is written in one place has one zone."""
    rooms = Path(leadline.__path__[0])
    sources = {path for room in SHOWN_TO_PEOPLE for path in (rooms / room).rglob("*.py")}
    written = re.compile(r"strftime|fromtimestamp|astimezone|local_datetime")
    writers = {path for path in sources if written.search(path.read_text())}
    assert writers == {rooms / "report" / "clock.py"}
