"""Which sessions a tape has, and what its run is called."""

from datetime import date

import pytest

from leadline.ingestion.runs import DEFAULT_TRADE_FROM, ContractDays, plan_tape, previous_days, run_id
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar

CME = calendar("cme")


def june(*days: int) -> tuple[date, ...]:
    return tuple(date(2025, 6, day) for day in days)


def simulated(contract: ContractId = ContractId("MESM2025")) -> ContractDays:
    return ContractDays(contract, CME, None)


def recorded(*days: int, contract: ContractId = ContractId("MESM2025")) -> ContractDays:
    return ContractDays(contract, CME, june(*days))


def test_a_simulated_tape_begins_the_history_before_the_traded_day() -> None:
    plan = plan_tape([simulated()], None, history=5, sessions=1)
    assert plan.trade_from == DEFAULT_TRADE_FROM == date(2025, 6, 10)
    assert plan.days == june(3, 4, 5, 6, 9, 10)
    assert plan.missing == ()


def test_a_simulated_tape_can_trade_several_sessions_over_a_weekend_and_a_holiday() -> None:
    plan = plan_tape([simulated()], date(2025, 4, 16), history=1, sessions=3)
    assert plan.days == (date(2025, 4, 15), date(2025, 4, 16), date(2025, 4, 17), date(2025, 4, 21))


def test_recorded_days_are_traded_from_the_first_that_has_its_history() -> None:
    plan = plan_tape([recorded(2, 4, 5, 6, 9, 10)], None, history=3, sessions=1)
    assert plan.trade_from == date(2025, 6, 9)  # 4, 5 and 6 are before it; 6 lacks the 3rd
    assert plan.days == june(4, 5, 6, 9, 10)
    assert plan.missing == ()


def test_without_enough_history_the_first_recorded_day_is_traded_and_what_is_missing_is_listed() -> None:
    plan = plan_tape([recorded(9, 10)], None, history=2, sessions=1)
    assert plan.trade_from == date(2025, 6, 9)
    assert plan.days == june(9, 10)
    assert plan.missing == june(5, 6)


def test_a_named_day_is_traded_with_the_history_that_is_at_hand() -> None:
    plan = plan_tape([recorded(4, 6, 9, 10)], date(2025, 6, 10), history=3, sessions=1)
    assert plan.days == june(6, 9, 10)
    assert plan.missing == june(5)


def test_days_that_a_file_leaves_out_in_between_are_missing_and_closed_ones_are_not() -> None:
    plan = plan_tape([recorded(2, 3, 5, 6, 11)], date(2025, 6, 3), history=1, sessions=1)
    assert plan.days == june(2, 3, 5, 6, 11)
    assert plan.missing == june(4, 9, 10)


def test_without_history_the_tape_begins_with_the_traded_day() -> None:
    assert plan_tape([recorded(9, 10)], date(2025, 6, 10), history=0, sessions=1).days == june(10)


def test_contracts_of_one_feed_keep_their_own_days() -> None:
    plan = plan_tape(
        [recorded(9, 10), recorded(10, contract=ContractId("ESM2025"))], date(2025, 6, 10), history=1, sessions=1
    )
    assert plan.sessions == {"MESM2025": june(9, 10), "ESM2025": june(10)}
    assert plan.missing == june(9)


@pytest.mark.parametrize("feed", [simulated(), recorded(9, 10)])
def test_a_day_that_the_feed_does_not_have_is_refused(feed: ContractDays) -> None:
    with pytest.raises(InvalidInput, match="trade_from: got '2025-06-07'"):
        plan_tape([feed], date(2025, 6, 7), history=1, sessions=1)


def test_history_before_the_calendar_begins_is_unknown() -> None:
    with pytest.raises(Unknown, match="day of the calendar cme '2012-12-31'"):
        previous_days(CME, date(2013, 1, 3), 5)


def test_a_run_is_named_by_what_makes_its_results_and_a_number() -> None:
    name = run_id("1.0", "content", 7)
    assert name == run_id("1.0", "content", 7)
    assert name.endswith("-7")
    assert len({name, run_id("1.1", "content", 7), run_id("1.0", "other", 7), run_id("1.0", "content", 8)}) == 4
    assert name.replace("-", "").isalnum()
    assert name.islower()


def test_a_day_on_which_another_month_leads_is_refused_with_the_days_of_the_one_that_is_there() -> None:
    leads = (date(2025, 6, 16), date(2025, 9, 15))
    feed = ContractDays(ContractId("MESU2025"), CME, june(9, 10), leads)
    leading = "MESU2025 has prints on it, and leads from 2025-06-16 to before 2025-09-15"
    with pytest.raises(InvalidInput, match=f"a day whose lead month is in the feed: {leading}"):
        plan_tape([feed], date(2025, 6, 10), history=0, sessions=1)
