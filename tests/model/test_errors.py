"""What an error says."""

from datetime import date
from decimal import Decimal

import pytest

from leadline.model.errors import LONGEST_SHOWN, LONGEST_WORDS, InvalidInput, LeadlineError, Unknown


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
    ("value", "told"),
    [
        (None, "nothing"),
        ("1", "'1'"),
        (Decimal("1.50"), "1.50"),
        (date(2025, 6, 10), "2025-06-10"),
        (True, "true"),
        ({"name": None, "on": False, "of": ["a", Decimal(1)]}, "{name: null, on: false, of: ['a', 1]}"),
        ((), "[]"),
        ({"b", "a"}, "['a', 'b']"),
    ],
)
def test_a_value_is_shown_as_its_author_would_write_it(value, told):
    assert str(InvalidInput("spec.size", value, "another")) == f"spec.size: got {told}, expected another"


@pytest.mark.parametrize("character", ["\x00", "\n", "\x1b"])
def test_a_refusal_is_one_line_whatever_a_field_is_called(character):
    told = str(InvalidInput(f"spec.{character}x", character, f"another than {character}"))
    assert told.isprintable()
    assert told.startswith("spec.\\")


def test_a_refusal_is_short_whatever_was_found():
    told = str(InvalidInput("spec." + "f" * 100_000, ["v" * 100_000], "e" * 100_000))
    assert len(told) < LONGEST_SHOWN + 2 * LONGEST_WORDS + 50
    assert "got ['vvv" in told
