"""An order after a report of the venue: where it is wanted still, and in which version it stands."""

from typing import Any

import pytest

from leadline.execution.core.order_reports import apply_report, is_where_wanted
from leadline.model.orders import Order, OrderState, OrderType, Side, Trailing
from tests.execution.harness.books import order_of, reported_of

S = OrderState
BEHIND, CLOSER = Trailing(20_010, 30), Trailing(20_010, 12)


def stop_of(**fields: Any) -> Order:
    """The stop of a long position, at 19980, in its third version."""
    terms: dict[str, Any] = {"type": OrderType.STOP, "side": Side.SELL, "stop_price": 19_980, "version": 3}
    return order_of(S.WORKING, "S1", **{**terms, **fields})


def after(order: Order, **reported: Any) -> Order:
    """The order after a report that nobody is surprised at."""
    found, surprises = apply_report(order, reported_of(order, S.WORKING, **{"trail": order.trail, **reported}))
    assert surprises == []
    return found


def test_an_order_that_has_come_to_where_it_is_wanted_is_wanted_nowhere_else():
    there = after(stop_of(wanted_price=19_990), stop_price=19_990)
    assert (there.stop_price, there.wanted_price, there.version) == (19_990, None, 5)
    stays = after(stop_of(wanted_price=19_990))
    assert (stays.stop_price, stays.wanted_price, stays.version) == (19_980, 19_990, 3)
    was_there = after(stop_of(wanted_price=19_980))
    assert (was_there.wanted_price, was_there.version) == (None, 4)


def test_a_stop_that_trails_has_gone_beyond_where_it_is_wanted_once_it_has_moved():
    """One that lies beyond already and has not moved may be of a report from before."""
    order = stop_of(trail=BEHIND, wanted_price=19_970)
    assert (after(order).wanted_price, after(order).version) == (19_970, 3)
    moved = after(order, stop_price=19_985)
    assert (moved.stop_price, moved.wanted_price, moved.version) == (19_985, None, 5)


def test_a_stop_trails_otherwise_once_the_venue_says_so():
    order = stop_of(trail=BEHIND, wanted_trail=CLOSER)
    trails = after(order, trail=CLOSER)
    assert (trails.trail, trails.wanted_trail, trails.version) == (CLOSER, None, 4)
    assert after(order) == order


@pytest.mark.parametrize(
    ("fields", "there"),
    [
        ({"wanted_price": None}, False),
        ({"stop_price": None, "wanted_price": 19_980}, False),
        ({"wanted_price": 19_980}, True),
        ({"wanted_price": 19_970}, False),
        ({"wanted_price": 19_970, "trail": BEHIND}, True),
        ({"wanted_price": 19_990, "trail": BEHIND}, False),
        ({"wanted_price": 19_990, "trail": BEHIND, "side": Side.BUY}, True),
        ({"wanted_price": 19_970, "trail": BEHIND, "side": Side.BUY}, False),
    ],
)
def test_only_a_stop_that_trails_may_be_beyond_where_it_is_wanted(fields: dict[str, Any], there: bool):
    assert is_where_wanted(stop_of(**fields)) is there
