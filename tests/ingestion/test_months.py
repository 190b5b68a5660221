"""A feed carries the lead month of every traded day of a root, from that month's own history on."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.months import market_of
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.simulator import simulate_day
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of


def june(*days: int) -> tuple[date, ...]:
    return tuple(date(2025, 6, day) for day in days)


def feed(instruments: tuple[str, ...] = ("MES",), trade_from: int | None = 12, history: int = 2, **of: Any) -> Feed:
    told = {
        "feed": of or {"kind": "sim", "sessions": 4},
        "instruments": instruments,
        "trade_from": None if trade_from is None else date(2025, 6, trade_from),
        "history": history,
    }
    return open_feed(IngestionParams.model_validate(told))


def test_a_month_that_leads_later_is_known_with_the_day_from_which_on_it_does() -> None:
    assert feed(kind="push").later == {"MESU2025": date(2025, 6, 16)}
    assert feed(("MESM2025", "MESU2025"), kind="push").later == {}  # named itself, it is traded from the first day on
    assert feed().later == {"MESU2025": date(2025, 6, 16)}
    assert feed(trade_from=16, kind="push").later == {"MESZ2025": date(2025, 9, 15)}


def files(tmp_path: Path, **days: tuple[date, ...]) -> dict[str, Any]:
    """A file of two prints a day for each contract or root, at the open of the regular session and an hour later."""
    found = []
    for symbol, wanted in days.items():
        rows = []
        for day in wanted:
            opens = int(simulate_day(ContractId("MESM2025"), day, 1).time_ns[0])
            rows += [f"{opens + hour * 3_600_000_000_000},6000.00,1,1" for hour in (1, 2)]
        path = tmp_path / f"{symbol}.csv"
        path.write_text("ts_ns,price,size,side\n" + "\n".join(rows) + "\n")
        found.append({"path": str(path), "contract": symbol})
    return {"kind": "file", "files": found}


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"instruments": (), "kind": "sim"}, "instruments"),
        ({"instruments": (), "kind": "push"}, "instruments"),
        ({"trade_from": None, "kind": "push"}, "trade_from"),
    ],
)
def test_a_feed_that_cannot_be_read_ahead_is_told_what_it_carries(told: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        feed(**told)
    assert refused.value.field == field


# --- simulated ---


def test_a_simulated_feed_has_each_lead_month_from_its_own_history_on():
    found = feed()
    assert found.plan.sessions == {
        "MESM2025": june(10, 11, 12, 13, 16, 17),
        "MESU2025": june(12, 13, 16, 17),
    }
    assert found.plan.days == june(10, 11, 12, 13, 16, 17)


def test_the_month_before_goes_on_up_to_the_eve_of_its_expiry():
    found = feed(kind="sim", sessions=9)
    assert found.plan.sessions[ContractId("MESM2025")][-1] == date(2025, 6, 19)
    assert found.plan.sessions[ContractId("MESU2025")][-1] == date(2025, 6, 24)


def test_a_run_within_one_month_has_one_contract_with_the_days_it_always_had():
    found = feed(trade_from=10, history=5, kind="sim", sessions=1)
    assert found.plan.sessions == {"MESM2025": june(3, 4, 5, 6, 9, 10)}


def test_a_dated_contract_beside_the_root_has_its_history_before_the_first_traded_day():
    found = feed(("MES", "MESU2025"))
    assert found.plan.sessions[ContractId("MESU2025")] == june(10, 11, 12, 13, 16, 17)


def test_a_dated_contract_that_expires_within_the_run_is_refused():
    with pytest.raises(InvalidInput, match="prints of MESM2025: got '2025-06-23', expected days up to 2025-06-20"):
        feed(("MESM2025",), kind="sim", sessions=8)


# --- pushed ---


def test_a_pushed_feed_has_the_month_that_leads_next_as_well():
    found = feed(kind="push")
    assert list(found.contracts) == ["MESM2025", "MESU2025"]
    opens = market_of(ContractId("MESU2025")).market(date(2025, 6, 12))
    assert opens is not None
    assert found.begins_ns[ContractId("MESU2025")] == opens[0]  # two sessions before the Monday of the roll


# --- files ---


def test_each_file_is_used_on_the_days_on_which_its_contract_leads(tmp_path: Path):
    of = files(tmp_path, MESM2025=june(10, 11, 12, 13, 16), MESU2025=june(11, 12, 13, 16, 17))
    found = feed(**of)
    assert found.plan.sessions == {"MESM2025": june(10, 11, 12, 13, 16), "MESU2025": june(12, 13, 16, 17)}
    assert found.plan.missing == ()


def test_without_a_day_the_first_is_traded_whose_lead_month_has_its_history(tmp_path: Path):
    of = files(tmp_path, MESM2025=june(9, 10, 11, 12, 13), MESU2025=june(4, 5, 6, 9, 16, 17))
    assert feed(trade_from=None, **of).plan.trade_from == date(2025, 6, 11)


def test_a_file_of_a_root_is_of_its_days_lead_month(tmp_path: Path):
    assert list(feed(**files(tmp_path, MES=june(10, 11, 12, 13))).contracts) == ["MESM2025"]


def test_a_file_of_a_root_through_its_roll_is_refused_with_the_way_to_name_the_contracts(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"MES\.csv: got 'prints of MES from 2025-06-12 to 2025-06-16'") as refused:
        feed(**files(tmp_path, MES=june(12, 13, 16)))
    assert refused.value.expected == (
        "prints of one contract: MES is MESM2025 before 2025-06-16 and MESU2025 from then on, and the file does not "
        "say which print is of which; give each contract a file of its own: --feed MESM2025=FILE --feed MESU2025=FILE"
    )


def test_a_file_of_a_root_that_does_not_roll_by_rule_is_of_one_contract(tmp_path: Path):
    of = files(tmp_path, SPY=june(12, 13, 16))
    assert list(feed(("SPY",), **of).contracts) == ["SPY"]


def test_a_traded_day_without_its_lead_month_is_named(tmp_path: Path):
    with pytest.raises(InvalidInput, match="the feed's prints of MES on 2025-06-16: got 'MESM2025'") as refused:
        feed(**files(tmp_path, MESM2025=june(10, 11, 12, 13, 16)))
    assert refused.value.expected == (
        "prints of MESU2025 on that day, which leads from 2025-06-16 on: --feed MESU2025=FILE"
    )


def test_a_lead_month_whose_file_begins_too_late_is_named(tmp_path: Path):
    of = files(tmp_path, MESM2025=june(10, 11, 12, 13, 16), MESU2025=june(17, 18))
    with pytest.raises(InvalidInput, match="the feed's prints of MES on 2025-06-16"):
        feed(**of)


def test_history_that_the_next_month_lacks_is_listed_as_missing(tmp_path: Path):
    of = files(tmp_path, MESM2025=june(10, 11, 12, 13), MESU2025=june(13, 16))
    assert feed(**of).plan.missing == june(12)


def test_a_strategy_on_the_dated_contract_may_read_its_file_beyond_the_roll(tmp_path: Path):
    found = feed(("MESM2025",), **files(tmp_path, MESM2025=june(10, 11, 12, 13, 16, 17)))
    assert found.plan.sessions[ContractId("MESM2025")] == june(10, 11, 12, 13, 16, 17)


@pytest.mark.parametrize(("contract", "day"), [("MESM2025", date(2025, 6, 23)), ("GCJ2025", date(2025, 6, 23))])
def test_prints_after_the_last_day_of_a_contract_are_refused(tmp_path: Path, contract: ContractId, day: date):
    with pytest.raises(InvalidInput, match=f"prints of {contract}: got '2025-06-23', expected days up to"):
        feed((contract,), trade_from=None, history=0, **files(tmp_path, **{contract: (day,)}))


def test_the_markets_of_two_months_are_two_markets():
    one, other = (
        simulate_day(contract, date(2025, 6, 13), 1) for contract in map(ContractId, ("MESM2025", "MESU2025"))
    )
    assert one.time_ns[:50].tolist() != other.time_ns[:50].tolist()
    assert abs(int(one.price[0]) - int(other.price[0])) < 100
    assert instrument_of("MESU2025").tick == Decimal("0.25")
