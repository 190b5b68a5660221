"""The simulated market: made of its seed alone, and shaped like a day of trading."""

import hashlib
from datetime import date
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.aggregation.kernel import fold
from leadline.ingestion.simulator import simulate, simulate_day
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.hours import instant_ns
from leadline.model.market.instruments import instruments
from leadline.model.ticks import NS_PER_MINUTE, TickColumns, concat
from tests.ingestion.builders import rows_of

MES = ContractId("MESM2025")
TUESDAY = date(2025, 6, 10)
# What the seed 1 has to give on that day, on every machine and with every version of the libraries.
GOLDEN = "bf77c3c4fcdad45fca6a5e88855fcd15a4d921c53ef634a78d41e135e30ea619"


def digest(ticks: TickColumns) -> str:
    columns = (ticks.time_ns, ticks.price, ticks.size, ticks.aggressor.astype(np.int64))
    return hashlib.sha256(b"".join(column.astype("<i8").tobytes() for column in columns)).hexdigest()


def regular_hours(ticks: TickColumns, contract: str = MES, day: date = TUESDAY) -> TickColumns:
    instrument = instrument_of(contract)
    session = calendar(instrument.calendar).session(day, instrument.sessions["rth"])
    assert session is not None
    start, stop = np.searchsorted(ticks.time_ns, [session.open_ns, session.close_ns])
    return ticks.slice(int(start), int(stop))


def five_minute_bars(ticks: TickColumns) -> list[TickColumns]:
    bucket = ticks.time_ns // (5 * NS_PER_MINUTE)
    edges = [0, *(np.flatnonzero(np.diff(bucket)) + 1).tolist(), len(ticks)]
    return [ticks.slice(start, stop) for start, stop in pairwise(edges)]


@pytest.fixture(scope="module")
def tuesday() -> TickColumns:
    return simulate_day(MES, TUESDAY, seed=1)


def test_the_same_seed_gives_the_same_prints_on_every_machine(tuesday: TickColumns) -> None:
    assert digest(tuesday) == GOLDEN


def test_another_seed_or_another_day_is_another_market(tuesday: TickColumns) -> None:
    others = [simulate_day(MES, TUESDAY, seed=2), simulate_day(MES, date(2025, 6, 11), seed=1)]
    assert len({digest(ticks) for ticks in (tuesday, *others)}) == 3


def test_a_day_does_not_depend_on_the_days_made_before_it(tuesday: TickColumns) -> None:
    days = (date(2025, 6, 6), date(2025, 6, 9), TUESDAY)
    made = list(simulate(MES, days, seed=1))
    assert rows_of(made[2]) == rows_of(tuesday)
    assert len(concat(made)) == sum(map(len, made))  # source indices follow one another across the days


def test_a_day_goes_on_near_where_the_day_before_ended() -> None:
    days = [
        day.trading_day
        for day in calendar("cme").sessions_between(
            date(2025, 6, 1), date(2025, 7, 1), instrument_of(MES).sessions["globex"]
        )
    ]
    made = list(simulate(MES, days, seed=1))
    gaps = [abs(int(after.price[0] - before.price[-1])) for before, after in pairwise(made)]
    assert sorted(gaps)[len(gaps) // 2] <= 30
    assert max(gaps) <= 300


def test_prints_are_what_the_platform_accepts(tuesday: TickColumns) -> None:
    opens, closes = calendar("cme").market(TUESDAY) or (0, 0)
    assert (np.diff(tuesday.time_ns) >= 0).all()
    assert tuesday.time_ns[0] >= opens
    assert tuesday.time_ns[-1] < closes
    assert tuesday.price.min() > 0
    assert tuesday.size.min() >= 1
    assert set(tuesday.aggressor.tolist()) == {-1, 0, 1}
    assert tuesday.aggressor.tolist().count(0) == 1  # the opening auction


def test_a_day_is_busy_at_its_edges_quiet_at_midday_and_mostly_in_regular_hours(tuesday: TickColumns) -> None:
    assert 30_000 <= len(tuesday) <= 60_000
    regular = regular_hours(tuesday)
    assert len(regular) > len(tuesday) * 2 // 3
    minute = (regular.time_ns - regular.time_ns[0]) // NS_PER_MINUTE
    per_hour = np.bincount(minute // 65, weights=regular.size, minlength=6)
    assert min(per_hour[0], per_hour[5]) > 1.5 * max(per_hour[2], per_hour[3])


def test_sizes_have_a_heavy_tail_and_like_round_numbers(tuesday: TickColumns) -> None:
    counts = np.bincount(tuesday.size, minlength=60)
    assert np.median(tuesday.size) == 1
    assert tuesday.size.max() >= 100
    assert counts[5] > counts[4]
    assert counts[10] > counts[9]


def test_prices_bounce_between_bid_and_ask_one_tick_at_a_time(tuesday: TickColumns) -> None:
    steps = np.abs(np.diff(regular_hours(tuesday).price))
    assert np.quantile(steps, 0.99) <= 2
    assert (steps > 0).mean() > 0.3


def test_sweeps_share_a_timestamp(tuesday: TickColumns) -> None:
    assert 0.2 < (np.diff(tuesday.time_ns) == 0).mean() < 0.35


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_minute_bars_of_the_micro_have_the_volume_and_rows_that_its_profile_expects(seed: int) -> None:
    bars = [fold(bar, [len(bar)], 1)[0] for bar in five_minute_bars(regular_hours(simulate_day(MES, TUESDAY, seed)))]
    assert np.quantile([bar.volume for bar in bars], 0.1) >= 500
    assert np.quantile([bar.volume for bar in bars], 0.9) <= 2600
    assert np.quantile([len(bar.rows) for bar in bars], 0.1) >= 10
    assert np.quantile([len(bar.rows) for bar in bars], 0.9) <= 40


def test_a_day_has_one_sided_rows_and_turning_points_that_hold() -> None:
    stacked = absorbed = exhausted = 0
    for seed in range(1, 6):
        for bar in five_minute_bars(regular_hours(simulate_day(MES, TUESDAY, seed))):
            rows = fold(bar, [len(bar)], 1)[0].rows
            imbalanced = (rows.ask[1:] >= 5) & (rows.ask[1:] >= 3 * np.maximum(rows.bid[:-1], 1))
            stacked += int((imbalanced[:-2] & imbalanced[1:-1] & imbalanced[2:]).any())
            absorbed += int(rows.bid[:3].sum() >= 90 and rows.bid[:3].sum() > 2 * rows.ask[:3].sum())
            exhausted += int(rows.bid[0] < rows.bid[1] < rows.bid[2] and rows.bid[2] >= 5)
    assert min(stacked, absorbed, exhausted) >= 10


def test_a_day_has_trends_and_ranges() -> None:
    efficiencies = []
    for seed in range(1, 9):
        bars = five_minute_bars(regular_hours(simulate_day(MES, TUESDAY, seed)))
        closes = np.array([int(bar.price[-1]) for bar in bars])
        for start in range(0, len(closes) - 12, 12):
            hour = closes[start : start + 13]
            efficiencies.append(abs(int(hour[-1] - hour[0])) / max(np.abs(np.diff(hour)).sum(), 1))
    assert sum(value > 0.5 for value in efficiencies) >= 8  # trending hours
    assert sum(value < 0.2 for value in efficiencies) >= 8  # hours that went nowhere


def test_the_mini_and_the_micro_share_one_market() -> None:
    micro, mini = (simulate_day(contract, TUESDAY, seed=1) for contract in (MES, ContractId("ESM2025")))
    assert micro.time_ns.tolist() == mini.time_ns.tolist()
    assert np.abs(micro.price - mini.price).max() == 1
    assert mini.size.sum() > 5 * micro.size.sum()


@pytest.mark.parametrize("root", [found.root for found in instruments() if found.calendar not in {"nse", "mcx"}])
def test_every_instrument_whose_calendar_is_loaded_can_be_simulated(root: str) -> None:
    contract = ContractId(root if instrument_of(root).kind != "future" else f"{root}Z2025")
    ticks = simulate_day(contract, TUESDAY, seed=1)
    assert len(ticks) > 20_000
    assert ticks.price.min() > 0


def test_a_session_of_2013_goes_on_until_its_close_of_that_year() -> None:
    last = int(simulate_day(ContractId("GCZ2013"), date(2013, 10, 8), seed=1).time_ns[-1])
    five_past, closes = (instant_ns(date(2013, 10, 8), clock, "America/New_York") for clock in ("17:05", "17:15"))
    assert five_past < last < closes


def test_a_shortened_session_ends_early_with_fewer_prints() -> None:
    day_after_thanksgiving = date(2025, 11, 28)
    _, closes = calendar("cme").market(day_after_thanksgiving) or (0, 0)
    ticks = simulate_day(ContractId("MESZ2025"), day_after_thanksgiving, seed=1)
    assert ticks.time_ns[-1] < closes
    assert len(ticks) < len(simulate_day(ContractId("MESZ2025"), TUESDAY, seed=1))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63), st.dates(date(2024, 1, 1), date(2026, 12, 31)))
def test_any_seed_makes_a_sound_day(seed: int, day: date) -> None:
    market = calendar("24x7").market(day)
    assert market is not None
    ticks = simulate_day(ContractId("BTCUSDT"), day, seed)
    assert (np.diff(ticks.time_ns) >= 0).all()
    assert market[0] <= ticks.time_ns[0] <= ticks.time_ns[-1] < market[1]
    assert ticks.price.min() > 0
    assert ticks.size.min() >= 1


def test_the_level_of_prices_can_be_chosen() -> None:
    ticks = simulate_day(MES, TUESDAY, seed=1, price=Decimal("4000.00"))
    assert abs(int(np.median(ticks.price)) - 16_000) < 600


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(Unknown, match="CME is closed"):
        simulate_day(MES, date(2025, 6, 7), seed=1)
    with pytest.raises(Unknown, match="day of the calendar cme"):
        simulate_day(MES, date(2035, 6, 12), seed=1)
    with pytest.raises(InvalidInput, match=r"price: got .*4000\.1.*, expected a multiple of the tick"):
        simulate_day(MES, TUESDAY, seed=1, price=Decimal("4000.1"))
    with pytest.raises(InvalidInput, match="price: got '10', expected at least 760 ticks"):
        simulate_day(MES, TUESDAY, seed=1, price=Decimal(10))
