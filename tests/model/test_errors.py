"""What an error says."""

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
