"""Times at which nothing is entered, at their very first and last instants."""

import pytest

from leadline.risk.gates import time_refusal
from leadline.risk.reasons import Reason
from tests.risk.builders import CLOSE, MINUTE, OPEN, SECOND, bar, strategy

HALF_PAST_NINE = OPEN
"""09:30 in New York."""


def at(clock: str) -> int:
    """An instant of the day, by New York's clock."""
    hours, minutes, seconds = (int(part) for part in f"{clock}:00".split(":")[:3])
    return HALF_PAST_NINE + ((hours - 9) * 60 + minutes - 30) * MINUTE + seconds * SECOND


def refusal(instant: int, **settings: object) -> Reason | None:
    """The gate's word with a session around the clock, so that only the blocks and news speak."""
    around = {"after_open_ns": 0, "before_close_ns": 0, **settings}
    said = bar()
    wide = type(said)(
        said.bar, said.known_at_ns, said.close, OPEN - 24 * 60 * MINUTE, OPEN + 24 * 60 * MINUTE, said.regime, ()
    )
    return time_refusal(strategy(**around), wide, instant)


@pytest.mark.parametrize(
    ("instant", "reason"),
    [
        (OPEN - 1, Reason.OUTSIDE_SESSION),
        (OPEN, None),
        (CLOSE - 1, None),
        (CLOSE, Reason.OUTSIDE_SESSION),
    ],
)
def test_a_session_is_half_open(instant: int, reason: Reason | None):
    assert time_refusal(strategy(after_open_ns=0, before_close_ns=0), bar(), instant) is reason


@pytest.mark.parametrize(("instant", "reason"), [(OPEN - 1, Reason.OUTSIDE_SESSION), (OPEN, None), (CLOSE, None)])
def test_a_session_without_a_close_takes_the_decision_of_its_day_s_last_bar(instant: int, reason: Reason | None):
    assert time_refusal(strategy(after_open_ns=0, before_close_ns=None), bar(), instant) is reason


@pytest.mark.parametrize(
    ("instant", "reason"),
    [
        (OPEN, Reason.AFTER_OPEN),
        (OPEN + 5 * MINUTE - 1, Reason.AFTER_OPEN),
        (OPEN + 5 * MINUTE, None),
        (CLOSE - 15 * MINUTE - 1, None),
        (CLOSE - 15 * MINUTE, Reason.BEFORE_CLOSE),
        (CLOSE - 1, Reason.BEFORE_CLOSE),
    ],
)
def test_nothing_is_entered_near_the_open_and_the_close(instant: int, reason: Reason | None):
    assert time_refusal(strategy(), bar(), instant) is reason


BLOCKED = Reason.BLOCKED_WINDOW


@pytest.mark.parametrize(
    ("blocks", "clock", "reason"),
    [
        ((("12:00", "13:00"),), "11:59:59", None),
        ((("12:00", "13:00"),), "12:00", BLOCKED),
        ((("12:00", "13:00"),), "12:59:59", BLOCKED),
        ((("12:00", "13:00"),), "13:00", None),
        ((("10:00", "10:30"), ("12:00", "13:00")), "10:15", BLOCKED),
        ((("10:00", "10:30"), ("12:00", "13:00")), "11:00", None),
        ((("10:00", "10:30"), ("12:00", "13:00")), "12:30", BLOCKED),
        ((("22:00", "02:00"),), "21:59:59", None),
        ((("22:00", "02:00"),), "22:00", BLOCKED),
        ((("22:00", "02:00"),), "23:59:59", BLOCKED),
        ((("22:00", "02:00"),), "00:00", BLOCKED),
        ((("22:00", "02:00"),), "01:59:59", BLOCKED),
        ((("22:00", "02:00"),), "02:00", None),
        ((("22:00", "02:00"),), "12:00", None),
        ((("00:00", "09:00"),), "00:00", BLOCKED),
        ((("00:00", "09:00"),), "09:00", None),
        ((("00:00", "09:00"),), "23:00", None),
        ((("22:00", "00:00"),), "23:59:59", BLOCKED),
        ((("22:00", "00:00"),), "00:00", None),
    ],
)
def test_a_block_is_half_open_and_may_go_past_midnight(
    blocks: tuple[tuple[str, str], ...], clock: str, reason: Reason | None
):
    assert refusal(at(clock), blocks=blocks) is reason


def test_a_block_s_last_nanosecond_is_in_it():
    assert refusal(at("13:00") - 1, blocks=(("12:00", "13:00"),)) is BLOCKED
    assert refusal(at("12:00") - 1, blocks=(("12:00", "13:00"),)) is None


def test_a_block_is_on_the_session_s_clock():
    assert refusal(at("12:30"), blocks=(("12:00", "13:00"),), session_zone="UTC") is None
    assert refusal(at("12:30"), blocks=(("16:00", "17:00"),), session_zone="UTC") is BLOCKED


def test_news_is_half_open_and_each_of_several_counts():
    first, second = (OPEN + 10, OPEN + 20), (OPEN + 40, OPEN + 50)
    expected = {9: None, 10: "news", 19: "news", 20: None, 30: None, 39: None, 40: "news", 49: "news", 50: None}
    assert {after: refusal(OPEN + after, news=(first, second)) for after in expected} == expected
