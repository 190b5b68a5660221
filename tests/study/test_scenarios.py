"""Scenarios change what they name and nothing else; those that follow from the baseline's days are told by hand."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from leadline.backtest.results import DayLine
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, session_of
from leadline.report.parts import Section
from leadline.report.scenarios import scenarios_page
from leadline.study.run_scenarios import ScenariosResult, run_scenarios
from leadline.study.scenarios import baseline, early_losses, mondays, scenarios, worst_drawdown_begins
from leadline.views.trades import EquityPoint
from tests.backtest.builders import account_result
from tests.study.builders import manifests, simulated

D = Decimal
BASE = baseline(*manifests())


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every field of a document by its path."""
    if isinstance(value, dict) and value:
        return {name: each for key, inner in value.items() for name, each in flat(inner, f"{path}.{key}").items()}
    return {path.removeprefix("."): value}


def fields(variant: Any) -> dict[str, Any]:
    (account,), (strategy,) = variant.accounts, variant.strategies
    return {**flat(account.to_manifest(), "account"), **flat(strategy.to_manifest(), "strategy")}


def test_the_baseline_is_as_it_is_described() -> None:
    (account,), (strategy,) = BASE.accounts, BASE.strategies
    assert (account.spec.starting_balance, account.spec.tiers) == (D(10000), ())
    assert (account.spec.limits.day_loss, account.spec.limits.day_target) == (D(400), D(500))
    assert (strategy.spec.sizing.mode, strategy.spec.sizing.size, strategy.spec.bracket) == ("Fixed", 1, None)
    assert strategy.spec.entries == manifests()[1][0].spec.entries


@pytest.mark.parametrize("scenario", scenarios(BASE), ids=lambda each: each.number)
def test_a_scenario_changes_what_it_names_alone(scenario: Any) -> None:
    assert scenario.refused == ""
    named = tuple(name for name, _ in scenario.variant.values)
    before, after = fields(BASE), fields(scenario.variant)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert all(any(name == each or name.startswith(f"{each}.") for each in named) for name in changed)
    assert changed or scenario.number in {"3b", "8c"}


def test_every_number_is_there() -> None:
    numbers = {each.number.rstrip("abc") for each in scenarios(BASE)}
    assert numbers == {str(number) for number in range(1, 23)} - {"7", "14", "16", "19"}


def test_what_an_instrument_has_not_is_said() -> None:
    accounts, (strategy,) = manifests()
    gold = TradingStrategy.from_manifest(
        {**strategy.to_manifest(), "spec": {**strategy.to_manifest()["spec"], "instrument": "GCZ2013"}}
    )
    reasons = {each.number: each.refused for each in scenarios(baseline(accounts, [gold])) if each.refused}
    assert set(reasons) == {"15", "20", "21", "22"} | ({"18"} & reasons.keys())
    assert reasons["15"] == "GCZ2013 is no root whose roll follows from the trading day"
    assert reasons["20"] == "the capital tiers execute ES and MES"


def test_several_strategies_are_refused() -> None:
    accounts, (strategy,) = manifests()
    with pytest.raises(InvalidInput, match="one TradingStrategy: scenarios vary one"):
        baseline(accounts, [strategy, strategy])


def line(day: date, net: str, equity: str) -> DayLine:
    return DayLine(day, 1, D(net), D(equity))


DAYS = (
    line(date(2025, 6, 6), "1000", "11000"),
    line(date(2025, 6, 9), "-50", "10950"),
    line(date(2025, 6, 10), "100", "11050"),
    line(date(2025, 6, 12), "-200", "10850"),
    line(date(2025, 6, 13), "-300", "10550"),
    line(date(2025, 6, 16), "20", "10570"),
)


def test_mondays_follow_the_friday_three_days_before() -> None:
    assert [each.day.day for each in mondays(DAYS, lambda net: net >= 1000)] == [9]
    assert [each.day.day for each in mondays(DAYS, lambda net: net <= -300)] == [16]
    assert mondays(DAYS[:1], lambda net: net >= 1000) == []


def test_the_worst_drawdown_begins_the_day_after_its_peak() -> None:
    assert worst_drawdown_begins(D(10000), DAYS) == date(2025, 6, 12)
    assert worst_drawdown_begins(D(10000), DAYS[:1]) is None


def test_a_day_stops_at_the_first_loss_of_its_first_hour() -> None:
    (strategy,) = manifests()[1]
    session = calendar_of_spec(strategy.spec).session(date(2025, 6, 10), session_of(strategy.spec)[1])
    assert session is not None
    minute = 60 * 10**9

    def at(minutes: int, equity: str) -> EquityPoint:
        return EquityPoint(session.open_ns + minutes * minute, D(equity))

    days = (line(date(2025, 6, 9), "500", "10500"), line(date(2025, 6, 10), "-250", "10250"))
    early = account_result(start_equity=D(10000), days=days, equity=(at(5, "10301"), at(59, "10300"), at(70, "10200")))
    assert early_losses(strategy, early) == [((session.open_ns + 59 * minute) // 10**9, session.close_ns // 10**9)]
    late = account_result(start_equity=D(10000), days=days, equity=(at(5, "10301"), at(60, "10300")))
    assert early_losses(strategy, late) == []


@pytest.fixture(scope="module")
def result() -> ScenariosResult:
    return run_scenarios(*manifests(), simulated(), None, None, 1, lambda _: None)


def test_all_of_them_have_a_result(result: ScenariosResult) -> None:
    numbers = [each.number.rstrip("abc") for each in result.scenarios]
    assert numbers == sorted(numbers, key=int)
    assert set(numbers) == {str(number) for number in range(1, 23)} - {"14"}
    by_number = {each.number: each for each in result.scenarios}
    assert {number for number, each in by_number.items() if each.account is None} <= {"19"}
    assert by_number["3b"].digest == result.baseline.digest
    unchanged = [each for each in result.scenarios if result.unchanged(each)]
    assert {"3a", "3b", "17a"} <= {each.number for each in unchanged}
    assert by_number["8a"] not in unchanged
    ran = [each for each in result.scenarios if each.account is not None]
    assert result.deflated().trials == result.tried == 1 + len(ran) - len(unchanged)
    (table, *_) = scenarios_page(result).parts
    assert isinstance(table, Section)
    assert {row[0] for row in table.rows if row[-1] == "changed nothing"} == {each.number for each in unchanged}
    assert by_number["8a"].account is not None
    assert by_number["8a"].account.figures.trade_count == 5


def test_adding_to_a_winner_holds_more_than_the_baseline_and_no_more_than_four(result: ScenariosResult) -> None:
    (added,) = (each.account for each in result.scenarios if each.number == "16")
    assert added is not None
    assert {trade.quantity for trade in result.baseline_account.trades} == {1}
    assert 1 < max(trade.quantity for trade in added.trades) <= 4
