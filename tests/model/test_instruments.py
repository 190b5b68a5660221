"""The instrument sheet: grids, values and what the sheet refuses to guess."""

import csv
import gzip
import pickle
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.market.calendars import calendar
from leadline.model.market.instruments import Profile, instrument, instruments, sheet_roots

# root: tick, tick value, value of a point
SHEET = {
    "ES": (".25", "12.50", "50"),
    "MES": (".25", "1.25", "5"),
    "NQ": (".25", "5", "20"),
    "MNQ": (".25", ".50", "2"),
    "RTY": (".10", "5", "50"),
    "M2K": (".10", ".50", "5"),
    "YM": ("1", "5", "5"),
    "MYM": ("1", ".50", ".50"),
    "CL": (".01", "10", "1000"),
    "GC": (".10", "10", "100"),
    "SI": (".005", "25", "5000"),
    "SPY": (".01", ".01", "1"),
    "QQQ": (".01", ".01", "1"),
    "BTCUSDT": (".10", ".0001", ".001"),
    "BANKNIFTY": (".20", "6", "30"),
    "GOLDM": ("1", "10", "10"),
}

PROFILES = {
    "ES": (20, 150, 5000, 16, 24),
    "MES": (5, 30, 500, 16, 24),
    "NQ": (15, 100, 3000, 20, 32),
    "MNQ": (5, 25, 300, 20, 32),
    "CL": (30, 200, 8000, 20, 30),
    "GC": (15, 100, 2000, 20, 30),
    "SPY": (1000, 5000, 100000, 50, 100),
    "QQQ": (500, 3000, 50000, 50, 100),
}

ROOTS = st.sampled_from([found.root for found in instruments()])


def test_the_sheet_has_every_supported_market_and_no_other():
    assert [found.root for found in instruments()] == list(SHEET)


@pytest.mark.parametrize(("root", "values"), SHEET.items())
def test_tick_tick_value_and_point_value(root, values):
    found = instrument(root)
    assert (found.tick, found.tick_value, found.point_value) == tuple(map(Decimal, values))


@pytest.mark.parametrize("root", SHEET)
def test_only_measured_roots_have_a_profile(root):
    expected = PROFILES.get(root)
    assert instrument(root).profile == (Profile(*expected) if expected else None)


@pytest.mark.parametrize("found", instruments(), ids=lambda found: found.root)
def test_every_instrument_has_a_known_calendar_and_sessions_that_fit_it(found):
    market = calendar(found.calendar)
    assert "rth" in found.sessions
    assert all(market.fits(hours) and hours.id == name for name, hours in found.sessions.items())
    assert found.venue == found.venue.lower()
    assert found.underlying in SHEET


def test_micros_share_the_underlying_of_their_large_contract():
    assert [(r, instrument(r).underlying) for r in ("MES", "MNQ", "M2K", "MYM")] == [
        ("MES", "ES"),
        ("MNQ", "NQ"),
        ("M2K", "RTY"),
        ("MYM", "YM"),
    ]


def test_commissions_staleness_and_paper_margins():
    assert {instrument(root).commission for root in ("ES", "NQ", "RTY", "YM", "CL", "GC", "SI")} == {Decimal("4.50")}
    assert {instrument(root).commission for root in ("MES", "MNQ", "M2K", "MYM")} == {Decimal("1.25")}
    assert (instrument("ES").staleness_ns, instrument("GC").staleness_ns) == (2_000_000_000, 30_000_000_000)
    assert (instrument("MES").margin, instrument("ES").margin, instrument("GC").margin) == (40, 300, None)


def test_the_price_collar_is_twenty_ticks_where_the_sheet_does_not_say():
    assert [instrument(root).collar_ticks for root in ("ES", "MES", "GC", "NQ", "SPY", "BTCUSDT")] == [
        20,
        20,
        20,
        40,
        50,
        500,
    ]


def test_an_unknown_root_is_an_error_that_lists_the_known_ones():
    with pytest.raises(Unknown, match="unknown instrument 'ESX', known: ES, MES"):
        instrument("ESX")


def test_long_two_mes_from_5000_to_5006_is_60_dollars():
    mes = instrument("MES")
    entry, leave = mes.price_to_ticks("5000.00"), mes.price_to_ticks("5006.00")
    assert leave - entry == 24
    assert mes.pnl(entry, leave, 2) == Decimal("60.00")


def test_an_es_stop_of_16_ticks_costs_200_dollars():
    assert instrument("ES").pnl(20_016, 20_000, 1) == Decimal("-200.00")


def test_one_step_and_tick_of_bitcoin_is_a_hundredth_of_a_cent():
    btc = instrument("BTCUSDT")
    assert btc.price_to_ticks("61800.30") == 618003
    assert btc.size_to_steps("0.199") == 199
    assert btc.pnl(618_003, 618_004, 1) == Decimal("0.0001")


@pytest.mark.parametrize(
    ("price", "beside"),
    [("5000.10", "5000.00 or 5000.25"), ("-0.10", "-0.25 or 0.00"), (Decimal("5000.3"), "5000.25 or 5000.50")],
)
def test_a_price_off_the_grid_is_told_with_those_beside_it(price, beside):
    with pytest.raises(InvalidInput) as refused:
        instrument("ES").price_to_ticks(price)
    told = f"{price!r}" if isinstance(price, str) else price
    assert str(refused.value) == f"price: got {told}, expected a multiple of the tick 0.25 of ES, such as {beside}"


@pytest.mark.parametrize("price", ["5000.10", "5000.", "", "1e3", " 5000", "5_000", "NaN", "Infinity", "9" * 20])
def test_a_price_off_the_grid_or_not_a_number_is_refused(price):
    with pytest.raises(InvalidInput, match=r"price: got .* expected .*a multiple of the tick 0\.25 of ES"):
        instrument("ES").price_to_ticks(price)


@pytest.mark.parametrize("price", [Decimal("NaN"), Decimal("Infinity"), Decimal("1e30"), Decimal(2**63)])
def test_a_decimal_that_is_no_price_is_refused(price):
    with pytest.raises(InvalidInput):
        instrument("ES").price_to_ticks(price)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_price_is_of_as_many_ticks_as_64_bits_hold(sign):
    es, most = instrument("ES"), 2**63 - 1
    assert es.price_to_ticks(es.ticks_to_price(sign * most)) == sign * most
    with pytest.raises(InvalidInput):
        es.price_to_ticks(es.ticks_to_price(sign * (most + 1)))


def test_a_fee_is_the_commission_of_each_size_step_and_the_rate_of_the_notional():
    es = instrument("ES")
    assert es.fee(20_000, 2) == 9
    assert es.fee(20_000, 2, Decimal("0.35")) == Decimal("0.70")
    rated = replace(es, fee_rate=Decimal("0.0001"))
    assert rated.fee(20_000, 2) == 9 + Decimal("0.0001") * 2 * 20_000 * Decimal("12.50")
    assert rated.fee(20_000, 2, Decimal("0.35")) == Decimal("0.70")


def test_a_margin_is_a_sum_or_a_share_of_the_notional_or_not_known():
    assert [instrument(root).margin_at(20_000) for root in ("ES", "GC")] == [300, None]
    assert replace(instrument("ES"), margin_rate=Decimal("0.01")).margin_at(20_000) == 2500


def test_only_a_row_that_says_so_has_prices_below_zero():
    assert [instrument(root).below_zero for root in ("CL", "ES", "BTCUSDT")] == [True, False, False]
    assert not any(found.inverse or found.fee_rate or found.margin_rate for found in instruments())


def test_the_roots_of_the_sheet_are_those_of_the_package():
    assert sheet_roots() == tuple(SHEET)


def test_an_instrument_is_a_key():
    assert {instrument("ES"): 1}[instrument("ES")] == 1


def test_a_size_off_the_step_is_refused():
    with pytest.raises(InvalidInput, match=r"size: got '0\.0005', expected a multiple of the size step 0\.001"):
        instrument("BTCUSDT").size_to_steps("0.0005")


def test_prices_may_be_negative_as_oil_was_in_april_2020():
    assert instrument("CL").price_to_ticks("-37.63") == -3763


@given(ROOTS, st.integers(-(2**53), 2**53))
def test_ticks_to_price_and_back_is_the_same_number(root, ticks):
    found = instrument(root)
    assert found.price_to_ticks(found.ticks_to_price(ticks)) == ticks
    assert found.price_to_ticks(f"{found.ticks_to_price(ticks):f}") == ticks


@given(ROOTS, st.integers(0, 2**53))
def test_steps_to_size_and_back_is_the_same_number(root, steps):
    found = instrument(root)
    assert found.size_to_steps(found.steps_to_size(steps)) == steps


@given(ROOTS, st.decimals(-100_000, 100_000, places=4))
def test_snapping_gives_the_nearest_price_on_the_grid(root, price):
    found = instrument(root)
    snapped = found.snap(price)
    assert found.ticks_to_price(found.price_to_ticks(snapped)) == snapped
    assert abs(snapped - price) <= found.tick / 2


def test_half_a_tick_snaps_away_from_zero():
    assert instrument("ES").snap(Decimal("5000.125")) == Decimal("5000.25")
    assert instrument("ES").snap(Decimal("-0.125")) == Decimal("-0.25")


def test_an_instrument_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(instrument("ES"))) == instrument("ES")


@pytest.mark.parametrize(
    ("file", "root"),
    [
        ("es_20190829_esu9_mdp3", "ES"),
        ("es_20231225_esh4_glbx", "ES"),
        ("gc_20131008_tickrule", "GC"),
        ("binance_usdm_btcusdt_20240808", "BTCUSDT"),
    ],
)
def test_recorded_prints_lie_on_the_grid(shared_data: Path, file, root):
    found = instrument(root)
    with gzip.open(shared_data / "ticks" / f"{file}.csv.gz", "rt") as rows:
        for row in csv.DictReader(rows):
            assert found.price_to_ticks(row["price"]) > 0
            assert found.size_to_steps(row["size"]) > 0
