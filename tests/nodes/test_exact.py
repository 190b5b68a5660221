"""Numbers that print the same everywhere."""

from decimal import Decimal, getcontext, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.nodes.exact import at_least, capped_quotient, float_text, quotient, slope


def test_a_quotient_has_six_places() -> None:
    assert str(quotient(45, 8)) == "5.625000"
    assert str(quotient(2, 3)) == "0.666667"
    assert str(quotient(0, 7)) == "0.000000"


def test_a_tie_goes_to_the_even_neighbour() -> None:
    assert str(quotient(1, 2_000_000)) == "0.000000"
    assert str(quotient(3, 2_000_000)) == "0.000002"
    assert str(quotient(5, 2_000_000)) == "0.000002"
    assert str(quotient(7, 2_000_000)) == "0.000004"


@given(st.integers(0, 10**30), st.integers(1, 10**30))
def test_a_quotient_is_the_exact_value_rounded_once(numerator, denominator) -> None:
    error = abs(Fraction(quotient(numerator, denominator)) - Fraction(numerator, denominator))
    assert error <= Fraction(1, 2_000_000)


def test_the_decimal_context_does_not_show() -> None:
    with localcontext() as context:
        context.prec = 2
        assert getcontext().prec == 2
        assert quotient(123_456_789, 1000) == Decimal("123456.789000")


def test_a_capped_quotient_stops_at_one() -> None:
    assert capped_quotient(15, 10) == 1
    assert str(capped_quotient(5, 10)) == "0.500000"


def test_a_threshold_is_met_exactly_on_the_line() -> None:
    assert at_least(90, 30, Fraction("3.0"))
    assert not at_least(89, 30, Fraction("3.0"))
    # in floats 0.1 + 0.1 + 0.1 is not 0.3
    assert at_least(3, 10, Fraction("0.3"))


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.500000"), (-1e-9, "0.000000"), (-2.5, "-2.500000")])
def test_a_float_is_written_without_a_negative_zero(value, text) -> None:
    assert float_text(value) == text


def test_slope_of_the_worked_example() -> None:
    assert slope((10, 20, 15, 40)) == 8.5


def test_slope_of_a_line_is_its_rise() -> None:
    assert slope([3.0, 5.0, 7.0]) == 2.0
    assert slope([4, 4, 4, 4, 4]) == 0
