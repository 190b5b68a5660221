"""Names of contracts at the venues, the front month and the expiry of equity index futures."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.contracts import (
    Contract,
    FrontMonth,
    dated,
    expiry,
    front,
    front_months,
    instrument_of,
    last_trading_day,
    lead_begins,
    no_entry_from,
    parse_contract,
    resolve_contract,
    roll_date,
    sheet_of,
    third_friday,
)

NOVEMBER = date(2025, 11, 20)
QUARTERLY = st.builds(
    Contract,
    st.sampled_from(["ES", "MES", "NQ", "MNQ", "RTY", "M2K", "YM", "MYM"]),
    st.integers(2013, 2035),
    st.sampled_from([3, 6, 9, 12]),
)


@pytest.mark.parametrize(
    ("symbol", "as_of", "contract"),
    [
        ("MNQZ5", NOVEMBER, "MNQZ2025"),
        ("NQZ5", date(2026, 1, 5), "NQZ2025"),  # the nearest year that ends in 5
        ("ESH6", date(2026, 1, 5), "ESH2026"),
        ("ESH0", date(2026, 1, 5), "ESH2030"),
        ("ESZ9", date(2020, 1, 6), "ESZ2019"),
        ("ESH0", date(2025, 11, 20), "ESH2030"),  # 52 months ahead, 68 ago
        ("ESZ0", date(2025, 3, 3), "ESZ2020"),  # 51 months ago, 69 ahead
        ("GCF1", date(2025, 12, 5), "GCF2021"),  # 59 months ago, 61 ahead
        ("M2KZ5", NOVEMBER, "M2KZ2025"),  # the longest root, not M
        ("ESZ25", NOVEMBER, "ESZ2025"),
        ("ESZ2025", date(2013, 1, 1), "ESZ2025"),
        ("ES 12-25", NOVEMBER, "ESZ2025"),
        ("CME_MINI:NQZ2025", NOVEMBER, "NQZ2025"),
        ("NQ1!", date(2025, 12, 12), "NQZ2025"),
        ("CME_MINI:NQ1!", date(2025, 12, 15), "NQH2026"),
        ("NQ2!", date(2025, 12, 12), "NQH2026"),
        ("ES.c.0", NOVEMBER, "ESZ2025"),
        ("ES.c.1", NOVEMBER, "ESH2026"),
        ("GCZ3", date(2013, 10, 8), "GCZ2013"),
        ("GCG4", date(2013, 10, 8), "GCG2014"),
        ("BANKNIFTY30DEC25FUT", NOVEMBER, "BANKNIFTYZ2025"),
        ("GOLDM05JAN26FUT", NOVEMBER, "GOLDMF2026"),
    ],
)
def test_every_venues_spelling_means_one_contract(symbol, as_of, contract):
    assert str(parse_contract(symbol, as_of)) == contract
    assert resolve_contract(symbol, as_of) == contract


@pytest.mark.parametrize("symbol", ["XYZ5", "SPYZ5", "BTCUSDTZ5", "", "ZZZZ2025", "ESTX50Z5", "CLEANZ5"])
def test_an_unknown_root_is_an_error(symbol):
    with pytest.raises(Unknown, match="unknown contract root"):
        parse_contract(symbol, NOVEMBER)


@pytest.mark.parametrize(
    "symbol", ["ES", "ES.FUT", "ESF6", "ESZ123", "BANKNIFTY30DEC2552000CE", "ES 13-25", "GC1!", "GC.c.0", "ESZ9999"]
)
def test_what_names_no_single_contract_is_refused(symbol):
    with pytest.raises(InvalidInput, match="contract: got"):
        parse_contract(symbol, NOVEMBER)


@given(QUARTERLY)
def test_a_venues_name_read_near_its_year_is_the_same_contract(contract):
    as_of = date(contract.year, contract.month, 1)
    assert parse_contract(f"{contract.root}{contract.month_code}{contract.year % 10}", as_of) == contract
    assert parse_contract(f"{contract.root} {contract.month:02d}-{contract.year % 100:02d}", as_of) == contract
    assert parse_contract(str(contract), as_of) == contract
    assert instrument_of(str(contract)).root == contract.root


@pytest.mark.parametrize(
    ("month", "friday"),
    [(3, date(2025, 3, 21)), (6, date(2025, 6, 20)), (9, date(2025, 9, 19)), (12, date(2025, 12, 19))],
)
def test_third_fridays_of_2025(month, friday):
    assert third_friday(2025, month) == friday
    assert expiry(Contract("ES", 2025, month)) == friday


def test_the_third_friday_of_a_month_that_begins_with_one_is_the_fifteenth():
    assert third_friday(2024, 3) == date(2024, 3, 15)


@pytest.mark.parametrize(
    ("day", "contract"),
    [
        ("2025-12-12", "ESZ2025"),  # the Friday before the roll on Monday the 15th
        ("2025-12-15", "ESH2026"),
        ("2025-12-31", "ESH2026"),
        ("2026-01-02", "ESH2026"),
        ("2023-12-26", "ESH2024"),
        ("2024-07-01", "ESU2024"),
        ("2019-08-29", "ESU2019"),
        ("2014-12-10", "ESZ2014"),
        ("2014-12-11", "ESH2015"),  # until June 2022 the roll was the Thursday eight days before expiry
        ("2022-03-10", "ESM2022"),
        ("2022-06-10", "ESM2022"),
        ("2022-06-13", "ESU2022"),  # the first roll on a Monday
    ],
)
def test_the_front_month_of_a_day(day, contract):
    assert str(front("ES", date.fromisoformat(day))) == contract
    assert resolve_contract("ES", date.fromisoformat(day)) == contract


def test_an_expiry_on_a_stock_holiday_moves_to_the_day_before():
    assert third_friday(2026, 6) == date(2026, 6, 19)  # Juneteenth
    assert expiry(Contract("ES", 2026, 6)) == date(2026, 6, 18)
    assert roll_date(Contract("ES", 2026, 6)) == date(2026, 6, 15)


@pytest.mark.parametrize(
    ("contract", "day"),
    [
        ("ESM2025", date(2025, 6, 20)),
        ("MESM2026", date(2026, 6, 18)),  # Juneteenth is the third Friday
        ("ESH2040", date(2040, 3, 16)),  # past the stock calendar: the third Friday itself
        ("GCZ2013", date(2014, 1, 1)),  # no contract outlives its month, whatever the venue's rule
        ("CLK2020", date(2020, 6, 1)),
        ("CLX2025", date(2025, 12, 1)),
        ("GOLDMF2026", date(2026, 2, 1)),
        ("SPY", None),
        ("BTCUSDT", None),
    ],
)
def test_nothing_is_entered_from_a_contract_s_last_trading_day_on(contract, day):
    assert no_entry_from(contract) == day


@pytest.mark.parametrize(
    ("symbol", "known"), [("MESH1970", True), ("MESZ2200", True), ("MESH2201", False), ("MESZ1969", False)]
)
def test_a_contract_is_of_a_year_from_1970_to_2200(symbol, known):
    if known:
        assert str(parse_contract(symbol, NOVEMBER).year) == symbol[-4:]
        return
    with pytest.raises(InvalidInput, match="a year from 1970 to 2200"):
        parse_contract(symbol, NOVEMBER)


def test_past_the_stock_calendar_an_expiry_is_unknown():
    with pytest.raises(Unknown):
        expiry(Contract("ES", 2028, 3))


@pytest.mark.parametrize("root", ["GC", "CL", "SI", "BANKNIFTY", "GOLDM"])
def test_a_root_that_rolls_on_the_venues_data_needs_a_dated_contract(root):
    with pytest.raises(InvalidInput, match="a dated contract"):
        resolve_contract(root, NOVEMBER)
    with pytest.raises(InvalidInput):
        expiry(Contract(root, 2025, 12))


def test_the_row_behind_a_contract_is_none_where_only_a_venue_knows_it():
    assert sheet_of("MESM2025") == instrument_of("MESM2025")
    assert sheet_of("SPY") == instrument_of("SPY")
    assert sheet_of("XYZM2025") is None
    with pytest.raises(Unknown):
        instrument_of("XYZM2025")


def test_what_never_expires_is_its_own_contract():
    assert resolve_contract("BTCUSDT", NOVEMBER) == "BTCUSDT"
    assert resolve_contract("SPY", NOVEMBER) == "SPY"
    assert instrument_of("BTCUSDT").root == "BTCUSDT"


@given(QUARTERLY)
def test_a_contract_is_in_front_until_the_day_before_its_roll(contract):
    roll = roll_date(contract)
    assert front(contract.root, roll - timedelta(days=1)) == contract
    assert front(contract.root, roll) == front(contract.root, roll - timedelta(days=1), rank=1)


JUNE_2025 = ("MESM2025", "MESU2025", "MESZ2025", "ESM2025", "GCZ2025", "SPY")


def test_a_root_means_one_lead_month_of_the_feed_after_the_other():
    assert front_months("MES", JUNE_2025, date(2025, 6, 10)) == (
        FrontMonth(ContractId("MESM2025"), date(2025, 6, 10), date(2025, 6, 16)),
        FrontMonth(ContractId("MESU2025"), date(2025, 6, 16), date(2025, 9, 15)),
        FrontMonth(ContractId("MESZ2025"), date(2025, 9, 15), date(2025, 12, 15)),
    )
    assert front_months("MES", JUNE_2025, date(2025, 6, 16))[0] == FrontMonth(
        ContractId("MESU2025"), date(2025, 6, 16), date(2025, 9, 15)
    )


@pytest.mark.parametrize("symbol", ["MESM2025", "GCZ2025", "SPY"])
def test_what_does_not_roll_by_rule_is_one_contract_for_ever(symbol):
    first = date(2025, 6, 10)
    [month] = front_months(symbol, JUNE_2025, first)
    assert month == FrontMonth(symbol, first, None)
    assert [month.covers(day) for day in (first - timedelta(days=1), first, date.max)] == [False, True, True]


def test_a_month_that_the_feed_lacks_leaves_its_days_to_nobody():
    months = front_months("MES", ["MESM2025", "MESZ2025"], date(2025, 6, 10))
    assert [month.contract for month in months if month.covers(date(2025, 7, 1))] == []
    assert [month.contract for month in months if month.covers(date(2025, 9, 15))] == ["MESZ2025"]


def test_a_feed_without_the_first_lead_month_is_refused():
    with pytest.raises(Unknown, match="contract of the feed 'MESM2025'"):
        front_months("MES", ["MESU2025"], date(2025, 6, 10))


@given(QUARTERLY, st.integers(0, 400))
def test_the_months_of_a_root_follow_the_front_month_day_by_day(contract, days):
    feed = [str(front(contract.root, roll_date(contract), rank)) for rank in range(6)]
    day = roll_date(contract) + timedelta(days=days)
    months = front_months(contract.root, feed, roll_date(contract))
    assert [month.contract for month in months if month.covers(day)] == [str(front(contract.root, day))]


@given(QUARTERLY)
def test_a_month_leads_from_the_roll_of_the_one_before(contract):
    assert front(contract.root, lead_begins(contract)) == contract
    assert front(contract.root, lead_begins(contract) - timedelta(days=1)) != contract
    assert dated(str(contract)) == contract


@pytest.mark.parametrize(
    ("contract", "day"),
    [
        ("MESM2025", date(2025, 6, 20)),
        ("ESH2008", date(2008, 3, 21)),  # before the stock calendar: the third Friday
        ("GCZ2013", date(2013, 12, 31)),  # only the venue knows the day; not after its month
        ("CLF2026", date(2026, 1, 31)),
        ("BTCUSDT", None),
        ("SPY", None),
    ],
)
def test_a_contract_has_a_last_day(contract, day):
    assert last_trading_day(contract) == day


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("gcz2013", "GCZ2013"), ("Es", "ES"), ("esh5", "ESH5"), ("XYZZ2025", ""), ("es2024", ""), ("esperanto", "")],
)
def test_a_contract_in_small_letters_is_answered_with_what_is_meant(asked: str, meant: str):
    with pytest.raises(Unknown) as refused:
        parse_contract(asked, date(2025, 1, 13))
    assert refused.value.hint == (f"; did you mean {meant}?" if meant else "")
