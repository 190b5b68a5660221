"""State without snapshots: a day's opinions follow from its bars and those of the history, wherever computed."""

from collections import deque
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.analysis.fold import StrategyFold, withdrawn
from leadline.analysis.strategies import StrategyFailed, propose
from leadline.model.proposals import Action, Proposal, Withdrawal
from tests.analysis.builders import MONDAY, order_flow, random_tape, reading_of

HISTORY = 2


def fold(trade_from: date, history: int = HISTORY) -> StrategyFold:
    """A fold over calendar days without holidays."""
    return StrategyFold(order_flow, lambda day: day - timedelta(days=history), trade_from)


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)


def said_about(bars, trade_from, history=HISTORY):
    one = fold(trade_from, history)
    return [answers for bar in bars if (answers := one.step(bar)) is not None]


def test_history_sessions_are_taken_in_silence() -> None:
    bars = random_tape(seed=1, days=3, bars_a_day=20)
    answers = said_about(bars, day(2))
    assert [one.bar for one in answers] == [bar.key for bar in bars[40:]]
    assert reading_of(answers[0]).reason != "warm_up"


def test_without_history_the_session_warms_up_by_itself() -> None:
    answers = said_about(random_tape(seed=1, days=1, bars_a_day=40), day(0))
    assert [reading_of(one).reason for one in answers].count("warm_up") == 31


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_a_long_run_and_one_that_begins_with_the_history_agree(seed) -> None:
    bars = random_tape(seed, days=6, bars_a_day=18)
    whole = said_about(bars, day(HISTORY))
    for number in range(HISTORY, 6):
        part = [bar for bar in bars if day(number - HISTORY) <= bar.key.trading_day <= day(number)]
        alone = said_about(part, day(number))
        assert alone == [one for one in whole if one.trading_day == day(number)]


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(0, 70), st.integers(0, 70))
def test_repeated_messages_change_nothing(seed, end, start) -> None:
    bars = random_tape(seed, days=4, bars_a_day=18)
    start, end = min(start, end), max(start, end)
    again = fold(day(HISTORY))
    answers = [one for bar in [*bars[:end], *bars[start:]] if (one := again.step(bar)) is not None]
    assert answers == said_about(bars, day(HISTORY))


def test_history_is_exactly_as_long_as_asked() -> None:
    bars = random_tape(seed=5, days=4, bars_a_day=18)
    last_day = [one for one in said_about(bars, day(3)) if one.trading_day == day(3)]
    other_beginning = random_tape(seed=6, days=1, bars_a_day=18) + bars[18:]
    assert said_about(other_beginning, day(3)) == last_day
    assert said_about(other_beginning, day(3), history=3) != last_day


def test_a_revision_never_makes_or_changes_a_signal() -> None:
    bars = random_tape(seed=2, days=3, bars_a_day=20)
    revised = [one for bar in bars for one in (bar, replace(bar, revision=1, close=bar.low, delta=-999))]
    assert said_about(revised, day(2)) == said_about(bars, day(2))


def test_a_revision_that_comes_alone_is_not_taken_for_the_bar() -> None:
    one = fold(day(0))
    first, *_ = random_tape(seed=2, days=1, bars_a_day=2)
    assert one.step(replace(first, revision=1)) is None
    assert one.bars_held == 0
    assert one.step(first) is not None


def test_bars_of_another_contract_s_days_are_neither_spoken_of_nor_kept() -> None:
    one = StrategyFold(order_flow, lambda today: today - timedelta(days=HISTORY), day(0), until=day(2))
    bars = random_tape(seed=4, days=4, bars_a_day=3)
    answers = [found for bar in bars if (found := one.step(bar)) is not None]
    assert [found.bar for found in answers] == [bar.key for bar in bars[:6]]
    assert one.bars_held == 6


class Panic(BaseException):
    """As an extension in another language raises one."""


@pytest.mark.parametrize("end", [SystemExit(2), KeyboardInterrupt(2), Panic(2)])
def test_a_strategy_that_ends_the_process_has_failed(end: BaseException) -> None:
    def leave() -> None:
        raise end

    one = StrategyFold(leave, lambda today: today, day(0))  # type: ignore[arg-type]
    with pytest.raises(StrategyFailed, match=f"when it was made for 2025-11-17: {type(end).__name__}: 2"):
        one.step(random_tape(seed=1, days=1, bars_a_day=1)[0])


def test_only_the_bars_that_a_later_session_may_need_are_kept() -> None:
    one = fold(day(0))
    for bar in random_tape(seed=4, days=10, bars_a_day=18):
        one.step(bar)
        assert one.bars_held <= (HISTORY + 1) * 18


def test_what_is_older_than_the_history_of_the_first_traded_day_is_not_kept() -> None:
    one = fold(trade_from=day(8))
    for bar in random_tape(seed=4, days=8, bars_a_day=18):
        assert one.step(bar) is None
        assert one.bars_held <= HISTORY * 18


def test_the_calendar_is_asked_for_nothing_before_the_history_of_the_first_traded_day() -> None:
    asked = []

    def history_start(today: date) -> date:
        asked.append(today)
        return today - timedelta(days=HISTORY)

    one = StrategyFold(order_flow, history_start, day(2))
    for bar in random_tape(seed=4, days=4, bars_a_day=3):
        one.step(bar)
    assert asked == [day(2), day(2), day(2), day(3)]


def test_a_session_that_is_not_at_hand_is_not_replaced_by_an_older_one() -> None:
    bars = random_tape(seed=5, days=4, bars_a_day=18)
    gap = [bar for bar in bars if bar.key.trading_day != day(2)]
    assert said_about(gap, day(3)) == said_about(gap[18:], day(3))


def test_a_strategy_must_speak_about_the_bar_that_it_was_given() -> None:
    first, second = random_tape(seed=1, days=1, bars_a_day=2)

    class Stuck:
        def warm(self, bar):
            raise AssertionError("there is no history to be warmed by")

        def on_bar(self, bar):
            return order_flow().on_bar(first)

    one = StrategyFold(Stuck, lambda today: today, MONDAY)
    assert one.step(first) is not None
    with pytest.raises(StrategyFailed, match="rth/5m-r1/2025-11-17/1"):
        one.step(second)


class Broken:
    """Fails where it is told to."""

    def __init__(self, where: str) -> None:
        self.fail("make", where)
        self.where = where

    def warm(self, bar):
        self.fail("warm", self.where)

    def on_bar(self, bar):
        self.fail("on_bar", self.where)

    @staticmethod
    def fail(here: str, where: str) -> None:
        if here == where:
            raise ZeroDivisionError("no volume")


@pytest.mark.parametrize(
    ("where", "doing"),
    [
        ("make", "when it was made for 2025-11-18"),
        ("warm", "while warmed by bar MESZ2025/rth/5m-r1/2025-11-17/0"),
        ("on_bar", "at bar MESZ2025/rth/5m-r1/2025-11-18/0"),
    ],
)
def test_a_strategy_that_raises_is_told_with_the_bar_and_the_line(where, doing) -> None:
    one = StrategyFold(lambda: Broken(where), lambda _: MONDAY, day(1))
    with pytest.raises(StrategyFailed) as failed:
        deque(map(one.step, random_tape(seed=1, days=2, bars_a_day=2)), maxlen=0)
    assert str(failed.value).startswith(f"the strategy failed {doing}: ZeroDivisionError: no volume ({__file__}, line ")
    assert str(failed.value).endswith(", in fail)")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda answers: "buy", "what on_bar returned: got 'buy', expected BarSignals"),
        (lambda answers: None, "what on_bar returned: got None, expected BarSignals"),
        (lambda answers: replace(answers, bar="MES"), "bar: got 'MES', expected BarKey"),
        (lambda answers: replace(answers, close=1.5), "close: got 1.5, expected int"),
        (lambda answers: replace(answers, regime="RANGING"), "regime: got 'RANGING', expected RegimeReading"),
        (lambda answers: replace(answers, signals="buy"), "signals: got 'buy', expected tuple"),
        (lambda answers: replace(answers, signals=[7]), "a signal: got 7, expected Signal"),
    ],
)
def test_what_is_no_answer_is_told_with_the_bar_what_was_returned_and_what_was_expected(change, words) -> None:
    (bar,) = random_tape(seed=1, days=1, bars_a_day=1)

    class Odd:
        def warm(self, bar):
            raise AssertionError("there is no history to be warmed by")

        def on_bar(self, bar):
            return change(order_flow().on_bar(bar))

    with pytest.raises(StrategyFailed) as failed:
        StrategyFold(Odd, lambda today: today, MONDAY).step(bar)
    assert str(failed.value).startswith(f"the strategy failed at bar {bar.key.text()}: {words}")


def test_no_entry_comes_of_a_bar_with_a_gap_and_it_is_history_like_another() -> None:
    bars = random_tape(seed=2, days=3, bars_a_day=20)
    spoke = next(one for one in said_about(bars, day(2)) if one.signals)
    with_gap = [replace(bar, gap=bar.key == spoke.bar) for bar in bars]
    assert [one for one in said_about(with_gap, day(2)) if one.bar != spoke.bar] == [
        one for one in said_about(bars, day(2)) if one.bar != spoke.bar
    ]
    (answer,) = (one for one in said_about(with_gap, day(2)) if one.bar == spoke.bar)
    assert [each.pattern for each in answer.signals] == [each.pattern for each in spoke.signals]
    assert {(each.approved, each.rejection) for each in answer.signals} == {(False, "gap")}
    assert [each.withdrawn for each in answer.proposals] == [Withdrawal.GAP]


def test_of_a_bar_with_a_gap_exits_and_protection_stand() -> None:
    bar = random_tape(seed=2, days=1, bars_a_day=1)[0]
    leave = Proposal(Action.EXIT)
    assert withdrawn(propose(bar, leave)) == propose(bar, leave)
