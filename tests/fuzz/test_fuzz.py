"""What comes from outside may be anything: every target, for a moment. `make fuzz` does the same for longer."""

import pytest

from tests.fuzz.runs import Tally, try_cases
from tests.fuzz.targets import TARGETS

CASES = 25


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_taken_or_refused_in_words(name: str):
    tally = Tally()
    try_cases(TARGETS[name], 2025, CASES, tally)
    assert not tally.findings, "\n".join(tally.findings.values())
    assert tally.tried >= CASES


def test_a_target_that_breaks_is_a_finding():
    def breaks(_: object) -> bool:
        raise ZeroDivisionError

    def takes_long(_: object) -> bool:
        return True

    tally = Tally()
    try_cases(breaks, 1, 5, tally)
    try_cases(takes_long, 1, 5, tally, bound_s=0.0)
    assert [place.partition(" at ")[0] for place in tally.findings] == ["ZeroDivisionError", "AssertionError"]
