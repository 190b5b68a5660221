"""The lines of a chart's grid stand at numbers that a person would write."""

from decimal import Decimal

import pytest

from leadline.report.svg import Series, chart, round_times, round_values

HOUR_NS = 3_600 * 10**9


@pytest.mark.parametrize(
    ("low", "high", "step", "expected"),
    [
        ("2428.25", "2683.75", "0", ["2500", "2600"]),
        ("5979.50", "6024.75", "0.25", ["5980", "5990", "6000", "6010", "6020"]),
        ("-30", "-1", "0", ["-30", "-20", "-10"]),
        ("-7.5", "7.5", "0", ["-5", "0", "5"]),
        ("100.03125", "100.09375", "0.03125", ["100.03125", "100.0625", "100.09375"]),
        ("0.4", "0.4", "0", ["0.4"]),
    ],
)
def test_values_are_round_and_of_the_step(low, high, step, expected):
    found = round_values(Decimal(low), Decimal(high), Decimal(step))
    assert found == [Decimal(each) for each in expected]
    assert all(Decimal(low) <= each <= Decimal(high) for each in found)


@pytest.mark.parametrize("factor", ["0.013", "0.7", "1", "37", "9000"])
def test_there_are_never_more_than_fit(factor):
    found = round_values(Decimal(factor) * 3, Decimal(factor) * 11)
    assert 2 <= len(found) <= 6


@pytest.mark.parametrize(
    ("begin", "end", "expected"), [(0.3, 6.6, [1, 2, 3, 4, 5, 6]), (0.1, 1.9, [0.5, 1, 1.5]), (1, 1, [1])]
)
def test_times_are_whole_hours_or_parts_of_them(begin, end, expected):
    found = round_times(int(begin * HOUR_NS), int(end * HOUR_NS))
    assert [each / HOUR_NS for each in found] == expected


def test_each_name_under_a_line_stands_once():
    drawn = chart(
        Series(((0, Decimal(1)), (50 * HOUR_NS, Decimal(2))), steps=True),
        (),
        str,
        lambda time_ns: f"day {time_ns // 24 // HOUR_NS}",
        "",
    )
    assert len(round_times(0, 50 * HOUR_NS)) > 3
    assert [drawn.count(f">day {number}<") for number in range(3)] == [1, 1, 1]
