"""The tape `live` in words."""

from dataclasses import replace

import pytest

from leadline.cli.live_feed import age_text, feed_line, phase_text, print_live
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.market.phases import MarketPhase
from leadline.model.ticks import NS_PER_SECOND
from leadline.views.convert import feed_view
from leadline.views.market import FeedView

# 2026-11-24 15:00:00 UTC, a Tuesday, and noon of the Saturday after Thanksgiving.
TUESDAY_NS = 1_795_532_400 * NS_PER_SECOND
HOUR_NS = 3600 * NS_PER_SECOND
SATURDAY_NS = 1_795_867_200 * NS_PER_SECOND


def feed(now_ns: int = TUESDAY_NS, age_s: float = 0.4, **source: str) -> FeedView:
    contract = ingestion_pb2.ContractStatus(
        contract="MESZ2026",
        ticks=240_671,
        last_time_ns=now_ns - round(age_s * NS_PER_SECOND),
        watermark_ns=now_ns,
        last_price=24_003,
        late=3,
        gaps=2,
    )
    status = ingestion_pb2.SourceStatus(
        name="sim", state=source.get("state", "connected"), reason=source.get("reason", ""), contracts=["MESZ2026"]
    )
    return feed_view(ingestion_pb2.GetFeedStatusResponse(contracts=[contract], sources=[status], now_ns=now_ns))


def test_the_line_says_source_market_and_age() -> None:
    assert feed_line(feed()) == (
        "source sim connected, MESZ2026 open until 22:00:00, last print of MESZ2026 0.4 s ago, 2 gaps"
    )


def test_a_tape_that_is_behind_the_clock_says_how_far_it_is() -> None:
    found = feed()
    behind = replace(found.contracts[0], watermark_ns=TUESDAY_NS - 24 * HOUR_NS)
    assert "MESZ2026 catches up, and has come to 2026-11-23 15:00:00 UTC" in feed_line(
        replace(found, contracts=(behind,))
    )


def test_a_closed_market_says_until_when() -> None:
    assert "MESZ2026 closed until 2026-11-29 23:00:00" in feed_line(feed(SATURDAY_NS))


def test_a_source_that_is_away_says_why() -> None:
    assert feed_line(feed(state="gap", reason="nobody pushes prints")).startswith(
        "source sim gap (nobody pushes prints), "
    )


def test_a_holiday_is_named() -> None:
    assert phase_text(MarketPhase(is_open=False, until_ns=SATURDAY_NS, holiday="Christmas")) == (
        "closed until 2026-11-28 12:00:00 (Christmas)"
    )


def test_a_day_beyond_the_calendar_is_no_guess() -> None:
    assert phase_text(None) == "unknown: its calendar does not have this day"


@pytest.mark.parametrize(("age_s", "told"), [(0.44, "0.4 s"), (75, "75 s"), (300, "5 min"), (90_000, "25 h")])
def test_an_age_is_told_as_people_say_it(age_s: float, told: str) -> None:
    found = feed(age_s=age_s)
    assert age_text(found.contracts[0], found.now_ns) == told


def test_the_tables_name_contracts_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    print_live(feed(), "The tape live")
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert [row for row in rows if row[:5] == ["MESZ2026", "open", "until", "22:00:00", "240,671"]]
    assert [row for row in rows if row[:2] == ["sim", "connected"]]
