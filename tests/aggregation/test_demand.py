from datetime import date

import pytest

from leadline.aggregation.demand import Series, bar_spec_of, series_of
from leadline.model.durations import parse_bar_spec
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId, RunId
from leadline.model.market.hours import SessionHours, instant_ns
from leadline.model.ticks import TickBatch, TickColumns
from tests.aggregation.builders import RTH

HOURS = {"open": "09:30", "close": "16:00", "zone": "America/New_York"}
ROW = {
    "contract": "MESZ2025",
    "venue": "cme",
    "session": "rth",
    "hours": HOURS,
    "bars": "5m",
    "ticks_per_row": 1,
}


def test_a_row_names_a_series():
    series = series_of(ROW)
    assert series == Series(ContractId("MESZ2025"), "cme", RTH, parse_bar_spec("5m"), 1)
    assert (series.hours.id, series.spec) == ("rth", "5m-r1")


def test_rows_that_name_the_same_bars_are_one_series():
    assert len({series_of(ROW), series_of(dict(ROW)), series_of(ROW | {"ticks_per_row": 4})}) == 2


@pytest.mark.parametrize("text", ["1m", "75m", "60m", "4h", "1d", "ticks:500", "volume:2000"])
def test_the_token_of_a_specification_leads_back_to_it(text):
    assert bar_spec_of(parse_bar_spec(text).token) == parse_bar_spec(text)


@pytest.mark.parametrize(
    "change", [{"bars": "2h"}, {"bars": "ticks"}, {"ticks_per_row": 0}, {"hours": HOURS | {"zone": "Nowhere"}}]
)
def test_a_malformed_row_is_refused(change):
    with pytest.raises(InvalidInput):
        series_of(ROW | change)


def test_a_contract_that_nobody_knows_has_no_builder():
    with pytest.raises(Unknown):
        series_of(ROW | {"contract": "XYZZ2025"}).builder(RunId("run-1"))


def test_bars_of_a_session_over_midnight_are_of_one_trading_day():
    night = SessionHours("18:00", "06:00", "UTC")
    builder = Series(ContractId("BTCUSDT"), "binance", night, parse_bar_spec("1h"), 1).builder(RunId("run-1"))
    opens = instant_ns(date(2025, 6, 10), "18:00", "UTC")
    ticks = TickColumns.of((opens + hour * 3600 * 10**9, 1_000_000, 1, 1) for hour in (0, 5, 6, 11, 12))
    messages = builder.feed(TickBatch(RunId("run-1"), "binance", ContractId("BTCUSDT"), ticks, int(ticks.time_ns[-1])))
    bars = [message.bar for message in messages if message.bar is not None]
    assert [(bar.key.trading_day, bar.key.ordinal) for bar in bars] == [(date(2025, 6, 11), n) for n in (0, 5, 6, 11)]
    assert {bar.session_close_ns - bar.session_open_ns for bar in bars} == {12 * 3600 * 10**9}
