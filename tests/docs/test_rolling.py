"""The table of ten sessions through a roll says what the feed's plan and the report say, simulated and by files."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.model.durations import parse_bar_spec
from leadline.model.manifest.specs import calendar_of_spec, session_of
from leadline.views.days import TradedDay, spans, traded_days_of
from tests.docs.pages import DOCS, section
from tests.execution.harness.builders import strategy

MES = strategy(history=1)
TRADE_FROM = date(2025, 6, 10)
FIVE_MINUTES_NS = parse_bar_spec("5m").length


def opened(feed: dict[str, Any]) -> Feed:
    params = IngestionParams(
        feed=FeedParams.model_validate(feed), instruments=("MES",), trade_from=TRADE_FROM, history=MES.spec.history
    )
    return open_feed(params)


def days_of(feed: Feed) -> tuple[TradedDay, ...]:
    """As the report of a run on that feed shows them."""
    return traded_days_of([MES], feed.plan.days, feed.contracts, feed.plan.trade_from, {}, ())


def bars_of(day: date) -> int:
    """Five-minute bars of a regular session in which each of them has a print."""
    _, hours = session_of(MES.spec)
    session = calendar_of_spec(MES.spec).session(day, hours)
    assert session is not None
    return (session.close_ns - session.open_ns) // FIVE_MINUTES_NS


@pytest.fixture
def simulated() -> Feed:
    return opened({"kind": "sim", "seed": 1, "sessions": 10})


@pytest.fixture
def by_files(tmp_path: Path, simulated: Feed) -> Feed:
    """A file a contract, with a print at each hour of each of the days that the simulated tape has of it."""
    market = calendar_of_spec(MES.spec)
    files = []
    for contract, days in simulated.plan.sessions.items():
        lines = ["ts_ns,price,size,side"]
        for day in days:
            hours = market.market(day)
            assert hours is not None
            lines += [f"{time_ns},6000.25,1,1" for time_ns in range(*hours, 3600 * 10**9)]
        path = tmp_path / f"{contract}.csv"
        path.write_text("\n".join(lines) + "\n")
        files.append({"path": str(path), "contract": contract})
    return opened({"kind": "file", "files": files})


def test_the_table_of_ten_sessions_has_the_contract_of_each_day_simulated_and_by_files(simulated: Feed, by_files: Feed):
    text = section(DOCS / "explanation" / "time-and-determinism.md", "A contract that rolls")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:4] == "| 20"]
    assert len(rows) == 10
    for column, feed in ((1, simulated), (2, by_files)):
        told = [(row[0], row[column]) for row in rows]
        assert told == [(each.day.isoformat(), each.contract) for each in days_of(feed)]
    assert [int(row[3]) for row in rows] == [bars_of(date.fromisoformat(row[0])) for row in rows]


def test_each_month_has_its_history_and_the_next_one_follows_on_the_day_of_the_roll(simulated: Feed, by_files: Feed):
    assert simulated.plan.sessions == by_files.plan.sessions
    assert {name: (days[0], days[-1]) for name, days in simulated.plan.sessions.items()} == {
        "MESM2025": (date(2025, 6, 9), date(2025, 6, 19)),
        "MESU2025": (date(2025, 6, 13), date(2025, 6, 23)),
    }
    assert [(each.contract, each.first, each.last) for each in spans(days_of(by_files))] == [
        ("MESM2025", date(2025, 6, 10), date(2025, 6, 13)),
        ("MESU2025", date(2025, 6, 16), date(2025, 6, 23)),
    ]
