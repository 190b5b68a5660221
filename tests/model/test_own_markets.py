"""Instruments and calendars of one's own: what a file may say, and that it changes nothing of the package's."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from leadline.model.errors import Unknown
from leadline.model.manifest.manifests import MOST_PROBLEMS, InvalidManifest
from leadline.model.manifest.own_markets import OwnMarkets, in_force, own_files, put_in_force, read_own
from leadline.model.manifest.strategy_spec import StrategySpec
from leadline.model.market.calendars import calendar, calendar_names
from leadline.model.market.contracts import (
    front_months,
    instrument_of,
    last_trading_day,
    no_entry_from,
    parse_contract,
    resolve_contract,
)
from leadline.model.market.instruments import instrument, instruments
from leadline.model.market.sessions import around_the_clock, resolve_session
from tests.own_markets import BITCOIN, ETHER, EVENINGS, file_of


@pytest.fixture(autouse=True)
def _only_the_package() -> Iterator[None]:
    yield
    put_in_force(OwnMarkets())


def refusal(*files: Path) -> str:
    with pytest.raises(InvalidManifest) as refused:
        read_own(files)
    return str(refused.value)


def test_a_row_of_a_file_is_an_instrument(tmp_path: Path) -> None:
    put_in_force(read_own([file_of(tmp_path, {"ETHUSDT": ETHER})]))
    ether = instrument("ETHUSDT")
    assert (ether.tick, ether.size_step, ether.tick_value) == (Decimal("0.01"), Decimal("0.001"), Decimal("0.00001"))
    assert (ether.currency, ether.underlying, ether.staleness_ns) == ("USDT", "ETHUSDT", 60_000_000_000)
    assert ether.pnl(entry=250_000, leave=250_100, size=2000) == Decimal(2)  # two ethers, a dollar up
    assert instruments()[-1] == ether
    assert instrument_of(resolve_contract("ETHUSDT", date(2025, 6, 10))) == ether
    assert around_the_clock(ether, ether.sessions["rth"])


def test_a_tick_value_may_stand_in_place_of_the_multiplier(tmp_path: Path) -> None:
    row = {name: value for name, value in ETHER.items() if name != "multiplier"} | {"tick_value": "0.5"}
    put_in_force(read_own([file_of(tmp_path, {"ETHUSDT": row})]))
    assert instrument("ETHUSDT").tick_value == Decimal("0.5")


def test_a_calendar_of_ones_own_may_begin_its_day_in_the_evening(tmp_path: Path) -> None:
    row = ETHER | {"calendar": "evenings"}
    row["sessions"] = {"rth": {"open": "18:00", "close": "06:00", "zone": "UTC"}}
    put_in_force(read_own([file_of(tmp_path, {"ETHUSDT": row}, {"evenings": EVENINGS})]))
    ether = instrument("ETHUSDT")
    days = calendar("evenings")
    evening = days.session(days.trading_day(1_749_492_000 * 10**9), ether.sessions["rth"])  # 2025-06-09 18:00 UTC
    assert evening is not None
    assert (evening.open_ns, evening.close_ns) == (1_749_492_000 * 10**9, (1_749_492_000 + 12 * 3600) * 10**9)
    for ts_ns in (evening.open_ns, evening.close_ns - 1):
        assert days.session_at(ts_ns, ether.sessions["rth"]) == evening
    assert days.session_at(evening.close_ns, ether.sessions["rth"]) is None
    spec = StrategySpec(instrument="ETHUSDT").session.value()
    assert resolve_session(ether, spec)[0] == "rth"
    assert not around_the_clock(ether, ether.sessions["rth"])


def test_an_inverse_contract_is_worth_its_multiplier_in_coins_and_pays_a_rate_of_it(tmp_path: Path) -> None:
    put_in_force(read_own([file_of(tmp_path, {"BTCUSD": BITCOIN})]))
    coin = instrument("BTCUSD")
    # BitMEX, Inverse Perpetual Contracts Guide: contracts x multiplier x (1/entry - 1/exit), here 100 USD a contract.
    assert coin.pnl(coin.price_to_ticks("50000"), coin.price_to_ticks("62500"), 250) == Decimal("0.1")
    assert coin.pnl(coin.price_to_ticks("50000"), coin.price_to_ticks("62500"), -250) == Decimal("-0.1")
    assert coin.pnl(1, 3, 1) == Decimal("133.3333333333333333")  # 200 - 200/3, to 16 places
    assert coin.fee(coin.price_to_ticks("50000"), 250) == Decimal("0.00025")  # 0.0005 of half a coin
    assert coin.fee(coin.price_to_ticks("60000"), 1) == Decimal("0.00000083")  # 0.000000833.., half to even at 8 places
    assert coin.margin_at(coin.price_to_ticks("60000")) == Decimal("0.00001667")  # 0.0000166.., upwards


def test_a_rate_and_a_commission_add_up(tmp_path: Path) -> None:
    put_in_force(read_own([file_of(tmp_path, {"ETHUSDT": ETHER | {"fee_rate": "0.0005"}})]))
    ether = instrument("ETHUSDT")
    assert ether.fee(250_000, 2000) == 2000 * Decimal("0.0015") + Decimal("0.0005") * 2 * 2500
    assert ether.fee(250_000, 2000, Decimal("0.01")) == 20  # the account's own, in place of both


FUTURE: dict[str, Any] = {**ETHER, "kind": "future", "roll": "venue", "last_days": {"M2025": "2025-06-27"}}


def test_the_last_day_of_ones_own_future_is_what_its_row_says_and_else_the_end_of_its_month(tmp_path: Path) -> None:
    put_in_force(read_own([file_of(tmp_path, {"ETHF": FUTURE})]))
    assert (last_trading_day("ETHFM2025"), no_entry_from("ETHFM2025")) == (date(2025, 6, 27), date(2025, 6, 28))
    assert (last_trading_day("ETHFN2025"), no_entry_from("ETHFN2025")) == (date(2025, 7, 31), date(2025, 8, 1))
    put_in_force(read_own([file_of(tmp_path, {"ETHF": FUTURE | {"last_days": {"M2025": "2025-05-30"}}})]))
    assert last_trading_day("ETHFM2025") == date(2025, 5, 30)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (FUTURE | {"last_days": {"M2025": "2025-07-01"}}, "ETHF.last_days.M2025: got '2025-07-01', expected a day in"),
        (FUTURE | {"last_days": {"A2025": "2025-07-01"}}, "expected a month's letter and a year, such as M2025"),
        (ETHER | {"last_days": {"M2025": "2025-06-27"}}, "ETHF.last_days.M2025: got '2025-06-27', expected no day of"),
    ],
)
def test_a_last_day_that_cannot_be_is_refused(tmp_path: Path, row: dict[str, Any], problem: str) -> None:
    assert problem in refusal(file_of(tmp_path, {"ETHF": row}))


def test_a_row_without_a_fee_of_either_kind_is_refused(tmp_path: Path) -> None:
    row = {name: value for name, value in ETHER.items() if name != "commission"}
    assert "ETHUSDT.commission: got nothing, expected commission (per side and size step), fee_rate" in refusal(
        file_of(tmp_path, {"ETHUSDT": row})
    )


def test_what_is_put_in_force_takes_the_place_of_what_was(tmp_path: Path) -> None:
    own = read_own([file_of(tmp_path, {"ETHUSDT": ETHER}, {"evenings": EVENINGS})])
    put_in_force(own)
    assert in_force() == own
    assert "evenings" in calendar_names()
    put_in_force(OwnMarkets())
    for call in (lambda: instrument("ETHUSDT"), lambda: calendar("evenings")):
        with pytest.raises(Unknown):
            call()


def test_the_document_reads_back_as_the_same_rows(tmp_path: Path) -> None:
    own = read_own([file_of(tmp_path, {"ETHUSDT": ETHER}, {"evenings": EVENINGS})])
    again = tmp_path / "again.json"
    again.write_text(own.document())
    assert read_own([again]) == own
    assert read_own([again]).digest() == own.digest() != ""
    other = read_own([file_of(tmp_path, {"ETHUSDT": ETHER | {"multiplier": "2"}}, {"evenings": EVENINGS})])
    assert other.digest() != own.digest()
    assert OwnMarkets().digest() == ""


def test_files_of_a_folder_come_by_name_and_before_those_that_are_named(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.txt"):
        (tmp_path / name).write_text("{}")
    assert own_files(tmp_path, [Path("x.yaml")]) == (tmp_path / "a.yml", tmp_path / "b.yaml", Path("x.yaml"))
    assert own_files(tmp_path / "absent", ()) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tick": 0.01}, 'instruments.ETHUSDT.tick: got 0.01, expected the number in quotes, "0.01"'),
        ({"tick": "0"}, "instruments.ETHUSDT.tick: got '0', expected more than 0"),
        ({"size_step": "0"}, "instruments.ETHUSDT.size_step: got '0', expected more than 0"),
        ({"multiplier": "0"}, "instruments.ETHUSDT.multiplier: got '0', expected more than 0"),
        ({"tick_value": "1"}, "instruments.ETHUSDT.tick_value: got '1', expected either tick_value or multiplier"),
        ({"fee_rate": "0"}, "instruments.ETHUSDT.fee_rate: got '0', expected a share more than 0 and at most 1"),
        ({"margin_rate": "2"}, "instruments.ETHUSDT.margin_rate: got '2', expected a share more than 0 and at most 1"),
        (
            {"margin": "5", "margin_rate": "0.1"},
            "instruments.ETHUSDT.margin_rate: got '0.1', expected either margin or margin_rate",
        ),
        (
            {"inverse": True, "below_zero": True},
            "instruments.ETHUSDT.below_zero: got true, expected false: an inverse contract has no worth at",
        ),
        (
            {"inverse": True, "multiplier": None, "tick_value": "1"},
            "instruments.ETHUSDT.tick_value: got '1', expected the multiplier: a tick of an inverse contract",
        ),
        (
            {"inverse": True, "tick": "0.3"},
            "instruments.ETHUSDT.multiplier: got '1', expected multiplier x size_step / tick exact",
        ),
        (
            {"inverse": True, "tick": "0.0001", "multiplier": "900000000000"},
            "instruments.ETHUSDT.multiplier: got '900000000000', expected multiplier x size_step / tick exact",
        ),
        ({"calendar": "moon"}, "instruments.ETHUSDT.calendar: got 'moon', expected a calendar: 24x7, cme"),
        ({"staleness": "0s"}, "instruments.ETHUSDT.staleness: got '0s', expected more than 0"),
        ({"staleness": "soon"}, "instruments.ETHUSDT.staleness: got 'soon', expected a whole number with a unit"),
        ({"venue": "a.b"}, "instruments.ETHUSDT.venue: got 'a.b', expected lower-case letters"),
        ({"currency": "usdt"}, "instruments.ETHUSDT.currency: got 'usdt', expected a currency"),
        ({"kind": "option"}, "instruments.ETHUSDT.kind: got 'option'"),
        ({"roll": "venue"}, "instruments.ETHUSDT.roll: got 'venue', expected venue for a future, none"),
        ({"colour": "blue"}, "instruments.ETHUSDT.colour: got 'blue'"),
        ({"collar": 0}, "instruments.ETHUSDT.collar: got 0, expected 1 or more"),
        ({"name": ""}, "instruments.ETHUSDT.name: got '', expected a text of 1 or more characters"),
        ({"sessions": {}}, "instruments.ETHUSDT.sessions: got {}, expected 1 or more of them"),
        ({"sessions": {"day": {"open": "08:00", "close": "16:00", "zone": "UTC"}}}, "sessions: got ['day'], expected"),
        (
            {"calendar": "cme", "sessions": {"rth": {"open": "16:00", "close": "19:00", "zone": "America/New_York"}}},
            "hours inside 18:00-17:00",
        ),
        ({"sessions": {"rth": {"open": "08:00", "close": "16:00", "zone": "Moon"}}}, "sessions.rth.zone: got 'Moon'"),
    ],
)
def test_a_row_that_is_wrong_is_refused_by_field_and_value(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    assert problem in refusal(file_of(tmp_path, {"ETHUSDT": ETHER | changes}))


@pytest.mark.parametrize("field", ["tick", "currency", "sessions", "staleness"])
def test_a_field_that_is_needed_is_named(tmp_path: Path, field: str) -> None:
    row = {name: value for name, value in ETHER.items() if name != field}
    assert f"instruments.ETHUSDT.{field}: got nothing, expected" in refusal(file_of(tmp_path, {"ETHUSDT": row}))


def test_a_symbol_that_is_known_is_never_changed(tmp_path: Path) -> None:
    first = file_of(tmp_path, {"ETHUSDT": ETHER})
    second = file_of(tmp_path, {"ETHUSDT": ETHER | {"tick": "0.05"}}, name="second.yaml")
    assert f"{second}:3: instruments.ETHUSDT: got 'ETHUSDT', expected a symbol that is not" in refusal(first, second)
    assert "instruments.ES: got 'ES', expected a symbol that is not known already" in (
        refusal(file_of(tmp_path, {"ES": ETHER}))
    )
    assert "calendars.cme: got 'cme', expected a name that no calendar has" in (
        refusal(file_of(tmp_path, {}, {"cme": EVENINGS}))
    )


@pytest.mark.parametrize("symbol", ["ETHZ2025", "eth", "ETH-USD", ""])
def test_a_symbol_is_a_root(tmp_path: Path, symbol: str) -> None:
    assert f"instruments.{symbol}" in refusal(file_of(tmp_path, {symbol: ETHER}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"closed": {"2035-01-01": "New Year"}},
            "calendars.evenings.day: got '2035-01-01', expected a trading weekday",
        ),
        ({"valid_through": "2019-01-01"}, "calendars.evenings.valid_through: got '2019-01-01', expected a day from"),
        ({"open": "25:00"}, "calendars.evenings.open: got '25:00', expected a time HH:MM"),
        ({"zone": "Moon/Base"}, "calendars.evenings.zone: got 'Moon/Base', expected a name of the IANA"),
        ({"weekdays": []}, "calendars.evenings.weekdays: got []"),
    ],
)
def test_a_calendar_that_is_wrong_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    assert problem in refusal(file_of(tmp_path, {}, {"evenings": EVENINGS | changes}))


def test_who_needs_a_calendar_that_is_refused_is_not_told_that_there_is_none(tmp_path: Path) -> None:
    row = ETHER | {"calendar": "evenings", "sessions": {"rth": {"open": "18:00", "close": "06:00", "zone": "UTC"}}}
    wrong = EVENINGS | {"closed": {"2035-01-01": "New Year"}}
    assert len(refusal(file_of(tmp_path, {"ETHUSDT": row}, {"evenings": wrong})).splitlines()) == 1
    for folder, calendars in (("a", {"evenings": wrong}), ("b", {"evenings": EVENINGS | {"open": "25:00"}})):
        (tmp_path / folder).mkdir()
        files = file_of(tmp_path / folder, {}, calendars), file_of(tmp_path, {"ETHUSDT": row})
        assert len(refusal(*files).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    ["", "- 1", "a: 1\n---\nb: 2", "instruments: {A: {}, A: {}}", "instruments: &x {}\ncalendars: *x"],
)
def test_a_text_that_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    assert refusal(file)


def test_a_future_of_ones_own_has_dated_contracts(tmp_path: Path) -> None:
    row = ETHER | {"kind": "future", "roll": "venue"}
    put_in_force(read_own([file_of(tmp_path, {"ETHFUT": row})]))
    assert instrument_of("ETHFUTZ2025").root == "ETHFUT"
    months = front_months("ETHFUTZ2025", ["ETHFUTZ2025"], date(2025, 6, 10))
    assert [found.contract for found in months] == ["ETHFUTZ2025"]


def test_a_spelling_means_the_longest_root_that_it_can(tmp_path: Path) -> None:
    # GOLD June 2005 with a name behind it, or GOLDM of a day in January.
    put_in_force(read_own([file_of(tmp_path, {"GOLD": FUTURE})]))
    assert str(parse_contract("GOLDM05JAN26FUT", date(2025, 11, 20))) == "GOLDMF2026"
    assert str(parse_contract("GOLDM6", date(2025, 11, 20))) == "GOLDM2026"


def test_the_shape_of_a_file_is_that_of_the_page(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "instruments.md").read_text(encoding="utf-8")
    text = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    file = tmp_path / "own.yaml"
    file.write_text(text)
    own = read_own([file])
    assert set(own.instruments) == {"ETHUSDT"}
    assert set(own.calendars) == set(yaml.safe_load(text).get("calendars", {}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("instruments: {X: !!binary aGk=}", "instruments.X: got b'hi', expected text, a number"),
        ("instruments: {X: {tick: .nan}}", "instruments.X.tick: got nan, expected a finite number"),
        ("instruments: {1: {}}", "instruments: got 1, expected field names that are text"),
        ("instruments: {X: [" + "[" * 100 + "]" * 100 + "]}", "more than 50 levels"),
    ],
)
def test_values_that_no_row_can_have_are_refused_by_field_and_value(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    assert problem in refusal(file)


def test_of_many_problems_of_a_file_the_first_are_told(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("instruments:\n" + "".join(f"  K{number}: 1\n" for number in range(3 * MOST_PROBLEMS)))
    told = refusal(file).splitlines()
    assert len(told) == MOST_PROBLEMS + 1
    assert f"more than {MOST_PROBLEMS} problems" in told[-1]
