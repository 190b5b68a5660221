"""Where exactly a file begins to say its prints twice: the numbers themselves, and prints that differ in time alone."""

from collections.abc import Sequence
from itertools import count, islice

import pytest

from leadline.ingestion import repeats
from leadline.model.errors import InvalidInput
from tests.ingestion.test_repeats import look_at

SECOND_NS = 1_000_000_000


def lines(times: Sequence[int], *, price: int = 6000) -> list[str]:
    """A print at each of these seconds: all that differs is the time."""
    return [f"{time * SECOND_NS},{price},1,1" for time in times]


def refused(said: Sequence[str], cut: int = 1000) -> bool:
    try:
        look_at(said, cut)
    except InvalidInput:
        return True
    return False


@pytest.mark.parametrize(("groups", "expected"), [(19, False), (20, True)])
def test_twenty_different_lines_that_are_all_doubled_are_a_doubled_file(groups: int, expected: bool) -> None:
    assert refused([line for line in lines(range(groups)) for _ in range(2)]) is expected


@pytest.mark.parametrize(("lone", "expected"), [(100, True), (101, False)])
def test_less_than_a_quarter_of_lone_lines_is_too_few(lone: int, expected: bool) -> None:
    said = lines(range(404))
    assert refused([line for n, line in enumerate(said) for _ in range(1 if n < lone else 2)]) is expected


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_the_first_and_the_last_line_are_lone_ones_like_any_other(cut: int) -> None:
    said = lines(range(100))
    lone = {0, 99, *range(30, 53)}  # a quarter
    assert not refused([line for n, line in enumerate(said) for _ in range(1 if n in lone else 2)], cut)
    assert refused([line for n, line in enumerate(said) for _ in range(1 if n in lone - {99} else 2)], cut)
    assert refused([line for n, line in enumerate(said) for _ in range(1 if n in lone - {0} else 2)], cut)


@pytest.mark.parametrize("cut", [1, 4, 1000])
@pytest.mark.parametrize(("overlap", "expected"), [(9, False), (10, True)])
def test_ten_lines_that_are_said_again_are_a_stretch(overlap: int, expected: bool, cut: int) -> None:
    day = lines(range(100))
    assert refused(day[:50] + day[50 - overlap : 50] + lines(range(200, 300)), cut) is expected


@pytest.mark.parametrize(("different", "expected"), [(4, False), (5, True)])
def test_a_stretch_has_five_different_lines(different: int, expected: bool) -> None:
    stretch = lines([100 + n % different for n in range(10)])
    assert refused([*lines(range(50)), *stretch, *lines([200, 201]), *stretch, *lines(range(300, 350))]) is expected


def test_prints_of_one_instant_that_come_again_in_their_order_are_no_jump_back() -> None:
    instant = [f"{100 * SECOND_NS},{price},1,1" for price in range(6000, 6010)]
    late = lines([99])
    assert not refused([*lines(range(50)), *instant, *instant, *lines([200]), *late, *lines(range(300, 340))])


@pytest.mark.parametrize(
    ("back", "cut", "expected"),
    # What is fed at once is looked at as a whole.
    [(40, 1, True), (40, 6, True), (40, 1000, True), (400, 1, False), (400, 6, False), (400, 1000, True)],
)
def test_a_stretch_is_looked_for_as_far_back_as_is_remembered(
    back: int, cut: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MEMORY_LINES", 50)
    day = lines(list(islice(count(), 500)))
    said = [*day, *day[500 - back : 500 - back + 10], *lines(range(600, 700))]
    assert refused(said, cut) is expected
