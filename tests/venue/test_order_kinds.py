"""What an order can be besides one price: a stop with a limit, one that trails, one that ends, one that changes."""

from typing import Any

import pytest

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ClientOrderId
from leadline.model.orders import Bracket, OrderState, OrderType, Replacement, Side, Trail, Trailing, VenueOrder
from leadline.venue.convert import replacement_from_proto, replacement_to_proto
from leadline.venue.fill_rules import FillRule
from leadline.venue.matching import PaperMarket
from tests.venue.builders import SELL, fills, market, ns, order, run, tape, told


def filled(paper: PaperMarket, rows: list[Any], to: float = 100) -> list[tuple[str, int, int]]:
    """Fills as (leg, quantity, price)."""
    return [(paper.order(fill.client_id).leg, fill.quantity, fill.price) for fill in fills(run(paper, tape(rows), to))]


# --- a stop with a limit ---


def test_a_stop_limit_within_its_limit_fills_like_a_stop():
    paper = market()
    paper.submit(order(stop=20010, limit=20012))
    assert filled(paper, [(1, 20009), (2, 20010), (3, 20030)]) == [("E", 1, 20011)]


def test_a_gap_through_the_limit_leaves_it_resting_at_its_limit_until_the_price_is_back():
    paper = market()
    paper.submit(order(stop=20010, limit=20012))
    rows = [(1, 20009), (2, 20040), (3, 20012, 2), (4, 20013, 9), (5, 20011)]
    assert filled(paper, rows) == [("E", 1, 20012)]
    assert [event.order.triggered for event in paper.events_after(0)] == [False, True, True]
    assert paper.order(ClientOrderId("E1")).filled == 1


def test_slippage_counts_against_the_limit_and_without_slippage_does_not():
    for rule, expected in ((FillRule.PESSIMISTIC, []), (FillRule.OPTIMISTIC, [("E", 1, 20012)])):
        paper = market(rule)
        paper.submit(order(stop=20010, limit=20012))
        assert filled(paper, [(2, 20012)], 2) == expected


def test_a_sellers_stop_limit_is_the_mirror():
    paper = market()
    paper.submit(order(side=Side.SELL, stop=19990, limit=19988))
    assert filled(paper, [(2, 19960), (3, 19989, 1), (4, 19990)]) == [("E", 1, 19988)]


# --- a stop that trails ---


def trailing(*rows: tuple[float, int]) -> list[int | None]:
    """Where the stop of a long at 21000 stands after each print: 30 ticks away, trailing by 6 from 22 on."""
    paper = market(slippage=0)
    paper.submit(order(bracket=Bracket(stop_ticks=30, trail=Trail(22, 6))))
    run(paper, tape([(1, 21000)]), 1)
    (stop,) = paper.live_orders()
    found = []
    for number, _ in enumerate(rows):
        run(paper, tape([(1, 21000), *rows[: number + 1]]), rows[number][0])
        found.append(paper.order(stop.client_id).stop_price)
    return found


def test_a_trail_waits_for_its_trigger_then_stays_behind_the_best_print_and_never_goes_back():
    rows = ((2, 21021), (3, 21022), (4, 21030), (5, 21025))
    assert trailing(*rows) == [20970, 21016, 21024, 21024]


def test_a_stop_that_is_better_already_is_not_moved_by_the_trigger():
    paper = market(slippage=0)
    paper.submit(order(bracket=Bracket(stop_ticks=2, trail=Trail(3, 10))))
    run(paper, tape([(1, 21000), (2, 21005)]), 2)
    assert [live.stop_price for live in paper.live_orders()] == [20998]


def test_the_print_after_the_one_that_moved_it_meets_the_stop_where_it_is():
    paper = market()
    paper.submit(order(bracket=Bracket(stop_ticks=30, trail=Trail(0, 6))))
    assert filled(paper, [(1, 20999), (2, 21030), (2, 21024), (3, 21000)]) == [("E", 1, 21000), ("S1", 1, 21023)]


def test_the_print_of_the_fill_itself_moves_nothing():
    paper = market(slippage=0)
    paper.submit(order(bracket=Bracket(stop_ticks=30, trail=Trail(0, 1))))
    run(paper, tape([(1, 21000), (1, 21050)]), 1)
    assert [live.stop_price for live in paper.live_orders()] == [20970]


def test_a_shorts_trail_is_the_mirror():
    paper = market(slippage=0)
    paper.submit(order(side=Side.SELL, bracket=Bracket(stop_ticks=30, trail=Trail(22, 6))))
    rows = [(1, 21000), (2, 20979), (3, 20978), (4, 20970), (5, 20975)]
    run(paper, tape(rows), 5)
    assert [live.stop_price for live in paper.live_orders()] == [20976]


def test_a_stop_order_of_its_own_trails_too():
    paper = market(slippage=0)
    paper.submit(order(side=Side.SELL, stop=20990, trail=Trailing(21000, 5)))
    assert filled(paper, [(1, 20999), (2, 21003), (3, 20998)]) == [("E", 1, 20998)]


def test_another_trail_holds_from_the_next_print_on_and_keeps_what_the_old_one_has_won():
    paper = market(slippage=0)
    paper.submit(order(bracket=Bracket(stop_ticks=30, trail=Trail(22, 6))))
    rows: list[Any] = [(1, 21000), (2, 21022)]
    run(paper, tape(rows), 2)
    (stop,) = paper.live_orders()
    found = []
    for trail, price in ((Trailing(21000, 10), 21024), (Trailing(21000, 3), 21024), (Trailing(21040, 1), 21039)):
        paper.replace(Replacement(stop.client_id, trail=trail))
        rows.append((rows[-1][0] + 1, price))
        run(paper, tape(rows), rows[-1][0])
        found.append(paper.order(stop.client_id).stop_price)
    assert found == [21016, 21021, 21021]


# --- exits ---


def test_a_bracket_may_have_only_a_stop_or_only_a_target():
    for bracket, leg in ((Bracket(stop_ticks=8), "S1"), (Bracket(target_ticks=8), "T1")):
        paper = market()
        paper.submit(order(bracket=bracket))
        run(paper, tape([(1, 20000)]), 1)
        assert [(live.leg, live.oco) for live in paper.live_orders()] == [(leg, "")]


def test_exits_at_prices_stay_there_whatever_the_entry_paid():
    paper = market()
    paper.submit(order(bracket=Bracket(stop_price=19990, target_price=20050)))
    run(paper, tape([(1, 20017)]), 1)
    assert [(live.stop_price, live.limit_price) for live in paper.live_orders()] == [(19990, None), (None, 20050)]


@pytest.mark.parametrize(
    ("bracket", "leg", "reason"),
    [
        (Bracket(stop_price=20018, target_price=20050), "S1", "beyond_stop"),
        (Bracket(stop_price=19990, target_price=20018), "T1", "beyond_target"),
    ],
)
def test_an_exit_that_the_fill_has_passed_goes_out_at_the_market(bracket: Bracket, leg: str, reason: str):
    paper = market()
    paper.submit(order(bracket=bracket))
    assert filled(paper, [(1, 20017), (2, 20020), (3, 20021)]) == [("E", 1, 20018), (leg, 1, 20019)]
    gone = next(known for known in paper.orders() if known.leg == leg)
    assert (gone.type, gone.reason, gone.stop_price, gone.limit_price) == (OrderType.MARKET, reason, None, None)
    assert paper.live_orders() == ()


# --- validity ---


def test_an_order_expires_at_its_time_and_no_print_of_that_time_fills_it():
    paper = market()
    paper.submit(order(limit=20000, until=5))
    assert filled(paper, [(4.9, 20001), (5, 19990), (6, 19990)]) == []
    (_, end) = paper.events_after(0)
    assert (end.order.state, end.instant_ns, end.order.reason) == (OrderState.EXPIRED, ns(5), "its validity has ended")


def test_it_expires_where_nothing_prints():
    paper = market()
    paper.submit(order(limit=20000, until=5))
    run(paper, tape([(1, 20001)]), 4.999999)
    assert paper.order(ClientOrderId("E1")).state is OrderState.WORKING
    run(paper, tape([(1, 20001)]), 9)
    assert [(event.order.state, event.instant_ns) for event in paper.events_after(1)] == [(OrderState.EXPIRED, ns(5))]


def test_what_has_filled_of_an_order_that_expires_keeps_its_exits():
    paper = market()
    paper.submit(order(quantity=3, limit=20000, bracket=(16, 24), until=5))
    events = run(paper, tape([(1, 19999, 1, SELL), (6, 19990, 9, SELL)]), 7)
    assert told(events)[-1] == ("E", "EXPIRED", 3, 1)
    assert [(live.leg, live.quantity) for live in paper.live_orders()] == [("S1", 1), ("T1", 1)]


# --- other terms ---


def working(**terms: Any) -> tuple[PaperMarket, VenueOrder]:
    paper = market(latency_ns=ns(1))
    taken, _ = paper.submit(order(**{"quantity": 3, "limit": 20000, **terms}))
    return paper, taken


def test_a_new_price_takes_effect_after_the_latency_and_loses_the_place_in_the_queue():
    paper, _ = working()
    run(paper, tape([(2, 20000, 6), (3, 20001, 1)]), 3)
    moved = paper.replace(Replacement(ClientOrderId("E1"), limit_price=20001))
    assert (moved.limit_price, moved.state) == (20001, OrderState.WORKING)
    rows = [(2, 20000, 6), (3, 20001, 1), (3.9, 20000, 9), (5, 20001, 6), (6, 20001, 1)]
    assert filled(paper, rows) == [("E", 1, 20001)]


def test_a_stop_with_a_limit_that_was_reached_stays_so_unless_its_stop_moves():
    for wanted, still in (
        (Replacement(ClientOrderId("E1"), limit_price=20013), True),
        (Replacement(ClientOrderId("E1"), stop_price=20011), False),
        (Replacement(ClientOrderId("E1"), quantity=2), True),
    ):
        paper = market()
        paper.submit(order(stop=20010, limit=20012))
        run(paper, tape([(1, 20009), (2, 20040)]), 3)
        assert paper.order(ClientOrderId("E1")).triggered
        assert paper.replace(wanted).triggered is still
    paper = market()
    paper.submit(order(stop=20010, limit=20012))
    assert not paper.replace(Replacement(ClientOrderId("E1"), limit_price=20013)).triggered


def test_an_exit_that_is_moved_meets_the_first_print_after_now_and_an_entry_the_first_after_the_latency():
    for reduce_only, second in ((True, 3), (False, 4)):
        paper = market(latency_ns=ns(1.5))
        paper.submit(order(ClientOrderId("held")))
        run(paper, tape([(2, 20000)]), 2)
        paper.submit(order(ClientOrderId("moved"), Side.SELL, limit=20030, reduce_only=reduce_only))
        paper.replace(Replacement(ClientOrderId("moved"), limit_price=20004))
        found = fills(run(paper, tape([(2, 20000), (3, 20005), (4, 20005)]), 9))
        assert [fill.time_ns for fill in found] == [ns(second)]


def test_the_same_terms_again_change_nothing_and_a_smaller_size_keeps_the_place():
    paper, taken = working()
    run(paper, tape([(2, 20000, 6)]), 2)
    assert paper.replace(Replacement(ClientOrderId("E1"), limit_price=20000, quantity=3)) == taken
    assert paper.last_event == 1
    paper.replace(Replacement(ClientOrderId("E1"), quantity=2))
    assert filled(paper, [(2, 20000, 6), (3, 20000, 1)]) == [("E", 1, 20000)]


def test_another_validity_keeps_the_place_in_the_queue():
    paper, _ = working()
    run(paper, tape([(2, 20000, 6)]), 2)
    paper.replace(Replacement(ClientOrderId("E1"), valid_until_ns=ns(90)))
    assert filled(paper, [(2, 20000, 6), (3, 20000, 1)]) == [("E", 1, 20000)]


def test_a_replacement_during_a_fill_counts_what_has_filled():
    for quantity, expected in (
        (5, (OrderState.PARTIAL, 4)),
        (2, (OrderState.PARTIAL, 1)),
        (1, (OrderState.CANCELLED, 2)),
    ):
        paper, _ = working()
        run(paper, tape([(2, 19999, 1, SELL)]), 2)
        after = paper.replace(Replacement(ClientOrderId("E1"), quantity=quantity))
        assert (after.state, after.remaining) == expected


def test_an_order_that_has_ended_stays_as_it_ended():
    paper, _ = working(quantity=1)
    run(paper, tape([(2, 19999)]), 2)
    before = paper.last_event
    assert paper.replace(Replacement(ClientOrderId("E1"), limit_price=5)).state is OrderState.FILLED
    assert paper.last_event == before


def test_a_protective_stop_is_moved_at_once():
    paper, _ = working(quantity=1, bracket=(16, 24))
    run(paper, tape([(2, 19999)]), 2)
    stop = next(live for live in paper.live_orders() if live.leg == "S1")
    paper.replace(Replacement(stop.client_id, stop_price=19995))
    assert filled(paper, [(2, 19999), (2.5, 19995)]) == [("S1", 1, 19994)]


def protected(**terms: Any) -> tuple[PaperMarket, VenueOrder, VenueOrder]:
    """A long of 3 at 20000, with its stop at 19984 and its target at 20024."""
    paper, _ = working(bracket=(16, 24), **terms)
    run(paper, tape([(2, 19999, 3, SELL)]), 2)
    stop, target = paper.live_orders()
    return paper, stop, target


def test_an_exit_is_made_smaller_its_twin_keeps_its_size_and_a_close_takes_the_rest():
    paper, stop, target = protected()
    assert paper.replace(Replacement(target.client_id, quantity=2)).quantity == 2
    assert [(live.leg, live.quantity) for live in paper.live_orders()] == [("S1", 3), ("T1", 2)]
    paper.replace(Replacement(stop.client_id, quantity=2))
    paper.submit(order(ClientOrderId("close"), Side.SELL, at=2, reduce_only=True))
    rows = [(2, 19999, 3, SELL), (3.5, 20010), (4, 19990), (5, 19980)]
    assert filled(paper, rows) == [("E", 1, 20009), ("S1", 2, 19979)]
    assert (paper.positions(), paper.live_orders()) == ({}, ())


def test_an_exit_never_grows_and_the_same_size_again_changes_nothing():
    paper, stop, _ = protected()
    paper.replace(Replacement(stop.client_id, quantity=1))
    before = paper.last_event
    for quantity in (1, 2, 3, 10**9):
        assert paper.replace(Replacement(stop.client_id, quantity=quantity)).quantity == 1
    assert paper.last_event == before


def test_an_exit_that_is_made_smaller_keeps_its_place_in_the_queue():
    paper, _, target = protected()
    run(paper, tape([(2, 19999, 3, SELL), (3, 20024, 2)]), 3)
    paper.replace(Replacement(target.client_id, quantity=1))
    assert filled(paper, [(2, 19999, 3, SELL), (3, 20024, 2), (4, 20024, 1)]) == [("T1", 1, 20024)]
    assert [(live.leg, live.quantity) for live in paper.live_orders()] == [("S1", 2)]


def test_a_target_that_fills_while_it_shrinks_leaves_its_stop_what_it_does_not_close():
    for quantity, targets in ((3, [("T1", 3)]), (2, [("T1", 2)]), (1, [])):  # its fill of 1 counts
        paper, stop, target = protected()
        rows: list[Any] = [(2, 19999, 3, SELL), (3, 20025, 1)]
        run(paper, tape(rows), 3)
        paper.replace(Replacement(target.client_id, quantity=quantity))
        assert [(live.leg, live.quantity) for live in paper.live_orders()] == [("S1", 2), *targets]
        paper.replace(Replacement(stop.client_id, quantity=1))
        across_the_gap = ("S1", 1, 19899)
        left = [("T1", 1, 20024)] if quantity == 3 else []  # a target that did not shrink has as much left as is held
        assert filled(paper, [*rows, (4, 19900), (5, 20030, 9)]) == [across_the_gap, *left]
        assert paper.live_orders() == ()


def test_of_a_pair_of_two_sizes_a_fill_ends_a_twin_that_is_not_larger():
    paper, stop, target = protected()
    paper.replace(Replacement(target.client_id, quantity=1))
    assert filled(paper, [(2, 19999, 3, SELL), (3, 19980), (4, 20030, 9)]) == [("S1", 3, 19979)]
    assert paper.order(target.client_id).state is OrderState.CANCELLED
    paper, stop, target = protected()
    paper.replace(Replacement(stop.client_id, quantity=1))
    assert filled(paper, [(2, 19999, 3, SELL), (3, 20030, 2), (4, 20030, 1)]) == [("T1", 2, 20024), ("T1", 1, 20024)]
    assert paper.order(stop.client_id).state is OrderState.CANCELLED


def test_the_exits_of_an_entry_can_change_until_it_fills():
    paper, _ = working(bracket=(16, 24))
    paper.replace(Replacement(ClientOrderId("E1"), bracket=Bracket(stop_price=19980, target_ticks=8)))
    run(paper, tape([(2, 19999, 1, SELL)]), 2)
    assert [(live.stop_price, live.limit_price) for live in paper.live_orders()[1:]] == [(19980, None), (None, 20008)]
    with pytest.raises(InvalidInput, match="waits for a first fill"):
        paper.replace(Replacement(ClientOrderId("E1"), bracket=Bracket(16, 24)))


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Replacement(ClientOrderId("E1"), stop_price=5), "replacement.stop_price"),
        (Replacement(ClientOrderId("E1"), quantity=0), "replacement.quantity"),
        (Replacement(ClientOrderId("E1"), quantity=10**9 + 1), "order.quantity"),
        (Replacement(ClientOrderId("E1"), limit_price=2**53), "order.limit_price"),
        (Replacement(ClientOrderId("E1"), valid_until_ns=0), "order.valid_until_ns"),
        (Replacement(ClientOrderId("E1"), bracket=Bracket(1, 1)), "replacement.bracket"),
        (Replacement(ClientOrderId("E1"), trail=Trailing(20010, 4)), "replacement.trail"),
    ],
)
def test_terms_that_it_cannot_have_are_refused_and_change_nothing(wanted: Replacement, field: str):
    paper, taken = working()
    with pytest.raises(InvalidInput) as refused:
        paper.replace(wanted)
    assert refused.value.field == field
    assert (paper.order(ClientOrderId("E1")), paper.last_event) == (taken, 1)


def test_other_terms_come_through_the_contract_as_they_are():
    every = Replacement(
        ClientOrderId("E1"), 3, 20000, -5, Bracket(stop_price=19990, trail=Trail(0, 4)), ns(9), Trailing(-7, 4)
    )
    for wanted in (every, Replacement(ClientOrderId("E1"))):
        assert replacement_from_proto(replacement_to_proto(wanted)) == wanted


def test_an_order_that_never_was_has_no_terms():
    with pytest.raises(Unknown, match="order 'nobody'"):
        market().replace(Replacement(ClientOrderId("nobody"), quantity=1))
