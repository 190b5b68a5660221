"""What an error says."""

from datetime import date
from decimal import Decimal

import pytest

from leadline.model.errors import InvalidInput, LeadlineError, Unknown


def test_a_refusal_names_field_value_and_expectation():
    refusal = InvalidInput("price", "5000.10", "a multiple of 0.25")
    assert str(refusal) == "price: got '5000.10', expected a multiple of 0.25"
    assert str(InvalidInput("name", None, "a name")) == "name: got nothing, expected a name"
    assert isinstance(refusal, LeadlineError | ValueError)


@pytest.mark.parametrize(
    ("known", "message"), [((), "unknown venue 'mars'"), (("cme", "nse"), "unknown venue 'mars', known: cme, nse")]
)
def test_something_unknown_says_what_is_known(known, message):
    assert str(Unknown("venue", "mars", known)) == message


@pytest.mark.parametrize(
    ("value", "told"), [(None, "nothing"), ("1", "'1'"), (Decimal("1.50"), "1.50"), (date(2025, 6, 10), "2025-06-10")]
)
def test_a_value_is_shown_as_its_author_would_write_it(value, told):
    assert str(InvalidInput("spec.size", value, "another")) == f"spec.size: got {told}, expected another"
