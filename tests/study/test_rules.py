"""The rules of scenarios on what a strategy says, and the bars at which it adds to a winner."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from leadline.model.market.instruments import instrument
from leadline.model.proposals import Action, Direction, Proposal, Withdrawal
from leadline.model.signals import BarSignals, Pattern, Regime, RegimeReading, Signal
from leadline.study.rules import Reversal, adding, is_calm, is_roll_week, sized
from tests.execution.harness.builders import bar


def seen(pattern: Pattern, direction: Direction) -> Signal:
    return Signal(pattern, direction, 20_000, Decimal("0.8"), approved=True)


def said(*signals: Signal, why: tuple[str, ...] = (), direction: Direction | None = Direction.LONG) -> BarSignals:
    return replace(bar(600), signals=signals, proposals=(Proposal(Action.ENTER, direction, why=why),))


def quantities(answer: BarSignals) -> list[int | None]:
    return [each.quantity for each in answer.proposals]


def test_a_rule_makes_some_entries_large_and_leaves_the_others_at_one() -> None:
    both = replace(said(), proposals=(Proposal(Action.ENTER, Direction.LONG), Proposal(Action.ENTER, Direction.SHORT)))
    assert quantities(sized(both, lambda each: each.direction is Direction.SHORT)) == [1, 2]


def test_an_exhaustion_is_large_for_three_bars_after_an_absorption_of_its_direction() -> None:
    absorbed = said(seen(Pattern.BUYING_ABSORPTION, Direction.LONG))
    exhausted = said(why=(Pattern.SELLING_EXHAUSTION.value,))
    other_way = said(why=(Pattern.BUYING_EXHAUSTION.value,), direction=Direction.SHORT)
    rule = Reversal()
    found = [quantities(rule(each))[0] for each in (absorbed, exhausted, other_way, exhausted, exhausted)]
    assert found == [1, 2, 1, 2, 1]


def test_the_absorption_of_the_same_bar_does_not_come_before_it() -> None:
    both = said(seen(Pattern.BUYING_ABSORPTION, Direction.LONG), why=(Pattern.SELLING_EXHAUSTION.value,))
    assert quantities(Reversal()(both)) == [1]


def test_entries_become_additions_and_refusals_stay() -> None:
    withdrawn = Proposal(Action.ENTER, withdrawn=Withdrawal.CONFLICT)
    answer = adding(replace(said(), proposals=(Proposal(Action.ENTER, Direction.LONG), withdrawn)))
    assert [each.action for each in answer.proposals] == [Action.ADD, Action.ENTER]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2025, 6, 13), False),
        (date(2025, 6, 16), True),  # MESU2025 leads from this Monday on
        (date(2025, 6, 20), True),
        (date(2025, 6, 23), False),
    ],
)
def test_a_roll_week_is_the_one_in_which_the_front_month_changes(day: date, expected: bool) -> None:
    assert is_roll_week("MES", day) is expected


def test_a_dated_contract_has_no_roll_week() -> None:
    assert not is_roll_week("GCZ2013", date(2013, 10, 8))


def test_the_rangeis_calm_below_three_points() -> None:
    def reading(ticks: str) -> BarSignals:
        regime = RegimeReading(Regime.RANGING, Decimal(1), Decimal(1), inputs={"atr": ticks})
        return replace(said(), regime=regime)

    assert is_calm(reading("11.99"), instrument("MES"))
    assert not is_calm(reading("12"), instrument("MES"))
    assert not is_calm(replace(said(), regime=None), instrument("MES"))
