"""Unfinished auctions: listed until price comes back."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from leadline.model.signals import Direction, Pattern
from leadline.nodes.base import Inputs
from leadline.nodes.detectors.unfinished import Unfinished
from tests.analysis.builders import CONTEXT, MONDAY, UNFINISHED, changed, example_bar, footprint_bar, ticks


class Listed(Unfinished):
    """The detector, asked bar by bar."""

    def __init__(self, params=UNFINISHED) -> None:
        super().__init__(params, CONTEXT)

    def taken(self, bar):
        return self.update(Inputs(bar)).signals


def names(signals):
    return [(signal.pattern, signal.price) for signal in signals]


def test_example_bar_is_finished_on_both_ends() -> None:
    # only buyers at the high, only sellers at the low
    assert Listed().taken(example_bar()) == []


def test_both_sides_at_the_high_leave_it_unfinished() -> None:
    bar = footprint_bar([(ticks("5001.00"), 2, 45), (ticks("5001.25"), 4, 6), (ticks("5000.75"), 9, 0)])
    auctions = Listed()
    (signal,) = auctions.taken(bar)
    assert (signal.pattern, signal.direction) == (Pattern.UNFINISHED_HIGH, Direction.LONG)
    assert (signal.price, signal.strength) == (ticks("5001.25"), Decimal("0.2"))
    assert signal.evidence == {"bid": 4, "ask": 6}
    assert [auction.price for auction in auctions.open] == [ticks("5001.25")]


def test_both_sides_at_the_low_leave_it_unfinished() -> None:
    (signal,) = Listed().taken(footprint_bar([(100, 70, 30), (101, 0, 5)]))
    assert (signal.pattern, signal.direction, signal.price) == (Pattern.UNFINISHED_LOW, Direction.SHORT, 100)
    assert signal.strength == 1


def test_one_contract_of_either_side_leaves_an_extreme_unfinished() -> None:
    bar = footprint_bar([(100, 1, 1), (105, 9, 9), (110, 1, 1)])
    assert names(Listed().taken(bar)) == [(Pattern.UNFINISHED_HIGH, 110), (Pattern.UNFINISHED_LOW, 100)]


def test_a_later_bar_at_the_price_revisits_it_once() -> None:
    auctions = Listed()
    auctions.taken(footprint_bar([(100, 1, 0), (110, 4, 6)], ordinal=3))
    assert auctions.taken(footprint_bar([(101, 1, 0), (109, 0, 6)], ordinal=4)) == []
    (signal,) = auctions.taken(footprint_bar([(101, 1, 0), (110, 0, 6)], ordinal=5))
    assert (signal.pattern, signal.direction) == (Pattern.UNFINISHED_REVISITED, Direction.LONG)
    assert (signal.price, signal.strength) == (110, Decimal("0.2"))
    assert signal.evidence == {"extreme": "high", "trading_day": "2025-11-17", "ordinal": 3, "bid": 4, "ask": 6}
    assert auctions.taken(footprint_bar([(101, 1, 0), (111, 0, 6)], ordinal=6)) == []


def test_a_bar_that_jumps_over_the_price_revisits_it() -> None:
    auctions = Listed()
    auctions.taken(footprint_bar([(100, 2, 2), (101, 0, 3)]))
    (signal,) = auctions.taken(footprint_bar([(90, 5, 0), (95, 0, 5)], day=MONDAY + timedelta(days=1)))
    assert (signal.pattern, signal.direction, signal.price) == (Pattern.UNFINISHED_REVISITED, Direction.SHORT, 100)
    assert signal.evidence["extreme"] == "low"


def test_a_bar_never_revisits_itself_but_may_leave_the_same_price_unfinished_again() -> None:
    auctions = Listed()
    assert names(auctions.taken(footprint_bar([(100, 1, 0), (110, 4, 6)]))) == [(Pattern.UNFINISHED_HIGH, 110)]
    assert names(auctions.taken(footprint_bar([(100, 1, 0), (110, 4, 6)], ordinal=1))) == [
        (Pattern.UNFINISHED_HIGH, 110),
        (Pattern.UNFINISHED_REVISITED, 110),
    ]
    assert [auction.bar.ordinal for auction in auctions.open] == [1]


def test_only_the_newest_stay_listed() -> None:
    auctions = Listed(changed(UNFINISHED, keep=3))
    for n in range(5):
        auctions.taken(footprint_bar([(90 - n, 1, 0), (200 - n, 4, 6)], ordinal=n))
    assert [auction.price for auction in auctions.open] == [198, 197, 196]


def test_rows_of_several_ticks_are_judged_as_rows_and_priced_at_the_extreme() -> None:
    bar = footprint_bar([(100, 5, 0), (104, 3, 3)], ticks_per_row=4, high=106)
    (signal,) = Listed().taken(bar)
    assert signal.price == 106


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6), st.booleans(), st.booleans()), max_size=40),
    st.integers(1, 6),
)
def test_the_list_is_that_of_looking_at_each_auction_at_each_bar(shapes, keep) -> None:
    auctions = Listed(changed(UNFINISHED, keep=keep))
    listed: list[tuple[Direction, int]] = []
    for low, height, open_low, open_high in shapes:
        high = low + height
        ends = {low: (1, int(open_low)), high: (int(open_high), 1)} if height else {low: (1, int(open_low))}
        found = auctions.taken(footprint_bar([(price, *volumes) for price, volumes in ends.items()]))
        revisited = [each for each in listed if (each[1] <= high if each[0] is Direction.LONG else each[1] >= low)]
        fresh = [(Direction.LONG, high)] if (open_high if height else open_low) else []
        fresh += [(Direction.SHORT, low)] if open_low else []
        listed = [*(each for each in listed if each not in revisited), *fresh][-keep:]

        assert [(signal.direction, signal.price) for signal in found] == fresh + revisited
        assert [(auction.direction, auction.price) for auction in auctions.open] == listed
