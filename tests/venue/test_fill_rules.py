"""At which print an order fills, and at what price."""

from decimal import Decimal
from typing import Any

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.ids import ClientOrderId
from leadline.model.orders import LastPrint, Replacement, Side, Watch, WatchedPosition
from leadline.model.ticks import TickColumns
from leadline.venue.fill_rules import FillRule, FillRules, Mark, mark_after, parse_fill_rule, within_reach
from tests.venue.builders import BUY, MES, SELL, UNKNOWN, fills, market, ns, order, run, tape

BOTH = pytest.mark.parametrize("side", [Side.BUY, Side.SELL])


def mirrored(prints: TickColumns, side: Side) -> TickColumns:
    """The tape as a seller meets it: prices mirrored at 20000, aggressors exchanged."""
    if side is Side.BUY:
        return prints
    return TickColumns(prints.time_ns, 40000 - prints.price, prints.size, -prints.aggressor, prints.first_index)


def mirror(price: int, side: Side) -> int:
    return price if side is Side.BUY else 40000 - price


@BOTH
def test_a_market_order_pays_the_last_print_of_its_own_aggressor_when_that_is_worse_plus_slippage(side: Side):
    paper = market()
    paper.submit(order(side=side, at=1))
    prints = mirrored(tape([(0.5, 20003, 1, BUY), (1.5, 20001, 1, SELL), (2, 20009, 1, BUY)]), side)

    (fill,) = fills(run(paper, prints, 3))

    assert (fill.price, fill.time_ns, fill.source_index, fill.quantity) == (mirror(20003 + 1, side), ns(1.5), 1, 1)


@BOTH
def test_an_aggressors_print_older_than_a_second_does_not_count(side: Side):
    for age, expected in ((1.0, 20003 + 1), (1.000000001, 20001 + 1)):
        paper = market()
        paper.submit(order(side=side, at=5))
        prints = mirrored(tape([(6 - age, 20003, 1, BUY), (6, 20001, 1, SELL)]), side)
        assert [fill.price for fill in fills(run(paper, prints, 7))] == [mirror(expected, side)]


@BOTH
def test_a_better_aggressors_print_does_not_help(side: Side):
    paper = market()
    paper.submit(order(side=side, at=1))
    prints = mirrored(tape([(0.9, 19990, 1, BUY), (1.5, 20001, 1, SELL)]), side)
    assert [fill.price for fill in fills(run(paper, prints, 3))] == [mirror(20002, side)]


def test_the_aggressors_print_is_remembered_over_stops():
    prints = tape([(0.5, 20003, 1, BUY), (1.5, 20001, 1, SELL)])
    paper = market()
    run(paper, prints, 1)
    paper.submit(order(at=1))
    assert [fill.price for fill in fills(run(paper, prints, 2))] == [20004]


@BOTH
def test_a_stop_fills_at_the_worse_of_stop_and_print_plus_slippage(side: Side):
    for printed, expected in ((20010, 20011), (20014, 20015)):
        paper = market()
        paper.submit(order(side=side, stop=mirror(20010, side)))
        prints = mirrored(tape([(1, 20009), (2, printed), (3, 20030)]), side)
        (fill,) = fills(run(paper, prints, 4))
        assert (fill.price, fill.time_ns) == (mirror(expected, side), ns(2))


def test_a_stop_fills_below_zero_where_the_market_trades_there():
    paper = market()
    paper.submit(order(side=Side.SELL, at=0, stop=31))
    prints = tape([(1, 50), (2, 45), (3, 32), (4, -140), (5, -900)])
    assert [(fill.price, fill.time_ns) for fill in fills(run(paper, prints, 6))] == [(-141, ns(4))]


@BOTH
def test_a_limit_touched_does_not_fill_until_more_than_twice_its_size_has_printed_there(side: Side):
    paper = market()
    paper.submit(order(side=side, quantity=2, limit=mirror(20000, side)))
    prints = mirrored(tape([(1, 20000, 3, SELL), (2, 20001, 9, BUY), (3, 20000, 1, SELL), (4, 20000, 1, SELL)]), side)

    events = run(paper, prints, 5)

    # 3 + 1 = 4 is not more than 2 x 2; the fifth contract is, and it is the only one there is to have
    assert [(fill.time_ns, fill.price, fill.quantity) for fill in fills(events)] == [(ns(4), mirror(20000, side), 1)]
    assert paper.order(ClientOrderId("E1")).remaining == 1


def test_prints_before_the_limit_rested_are_not_ahead_of_it():
    paper = market(latency_ns=ns(0.05))
    paper.submit(order(quantity=1, limit=20000, at=1))
    prints = tape([(1.05, 20000, 9, SELL), (2, 20000, 2, SELL), (3, 20000, 1, SELL)])
    assert [fill.time_ns for fill in fills(run(paper, prints, 4))] == [ns(3)]


@BOTH
def test_a_print_through_the_limit_fills_it_at_its_price_and_never_more_than_was_printed(side: Side):
    paper = market()
    paper.submit(order(side=side, quantity=5, limit=mirror(20000, side)))
    prints = mirrored(tape([(1, 19999, 2, SELL), (2, 19990, 2, SELL), (3, 19999, 9, SELL)]), side)

    got = fills(run(paper, prints, 4))

    assert [(fill.quantity, fill.price, fill.k) for fill in got] == [
        (2, mirror(20000, side), 1),
        (2, mirror(20000, side), 2),
        (1, mirror(20000, side), 3),
    ]


@BOTH
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(2, 20000, 3, SELL)], [(20001, 2)]),  # a market order would pay 20000 and a tick
        ([(0.9, 20004, 1, BUY), (1.5, 20000, 3, SELL)], [(20005, 2)]),  # or the buyers' print of 0.6 s ago
        ([(2, 20009, 3, SELL)], [(20010, 2)]),  # and never more than its limit
        ([(2, 20000, 1, SELL), (3, 20004, 1, SELL)], [(20001, 1), (20005, 1)]),  # what is left takes the next print
        ([(2, 20000, 1, SELL), (3, 20010, 1, SELL), (4, 20000, 1, SELL)], [(20001, 1), (20010, 1)]),  # or has rested
        ([(2, 20012, 3, SELL), (3, 20000, 3, SELL)], [(20010, 2)]),  # the market has left before it came
    ],
)
def test_a_limit_that_comes_into_a_market_beyond_it_takes_what_is_there(
    side: Side, rows: list[Any], expected: list[tuple[int, int]]
):
    before = [(0.5, 20000, 1, SELL)]
    paper = market()
    run(paper, mirrored(tape(before), side), 1)
    paper.submit(order(side=side, quantity=2, limit=mirror(20010, side), at=1))
    got = fills(run(paper, mirrored(tape(sorted(before + rows)), side), 5))
    assert [(mirror(fill.price, side), fill.quantity) for fill in got] == expected


def test_a_limit_that_has_rested_fills_at_its_price_however_far_a_print_is_through_it():
    for first in ([], [(0.5, 20011)], [(0.5, 20010)]):
        paper = market()
        run(paper, tape(first), 1)
        paper.submit(order(limit=20010, at=1))
        got = fills(run(paper, tape([*first, (2, 19990)]), 5))
        assert [fill.price for fill in got] == [20010]


def test_a_limit_that_is_moved_beyond_the_market_takes_too_and_without_slippage_pays_the_print():
    for rule, expected in ((FillRule.PESSIMISTIC, 20001), (FillRule.NEXT_PRINT, 20001), (FillRule.OPTIMISTIC, 20000)):
        paper = market(rule)
        rows: list[tuple[float, int]] = [(1, 20000), (2, 20001)]
        paper.submit(order(limit=19990))
        run(paper, tape(rows), 2)
        paper.replace(Replacement(ClientOrderId("E1"), limit_price=20010))
        assert [fill.price for fill in fills(run(paper, tape([*rows, (3, 20000)]), 5))] == [expected]


def test_a_target_rests_from_its_fill_on_and_gains_nothing_of_a_gap():
    paper = market()
    paper.submit(order(bracket=(8, 8)))
    got = fills(run(paper, tape([(1, 20000), (2, 20030)]), 5))
    assert [fill.price for fill in got] == [20001, 20009]


def test_one_print_is_handed_out_once_to_the_limits_that_it_reaches_in_the_order_of_their_arrival():
    paper = market()
    paper.submit(order(ClientOrderId("first"), quantity=2, limit=20000))
    paper.submit(order(ClientOrderId("second"), quantity=2, limit=20005))
    got = fills(run(paper, tape([(1, 19999, 3, SELL)]), 2))
    assert [(fill.client_id, fill.quantity) for fill in got] == [("first", 2), ("second", 1)]


def test_market_and_stop_orders_fill_whole_whatever_the_print():
    paper = market()
    paper.submit(order(ClientOrderId("M"), quantity=7))
    paper.submit(order(ClientOrderId("S"), quantity=9, stop=20005))
    got = fills(run(paper, tape([(1, 20000, 1, UNKNOWN), (2, 20005, 1, UNKNOWN)]), 3))
    assert [(fill.client_id, fill.quantity) for fill in got] == [("M", 7), ("S", 9)]


def test_optimistic_fills_when_touched_and_without_slippage():
    paper = market(FillRule.OPTIMISTIC)
    paper.submit(order(ClientOrderId("M")))
    paper.submit(order(ClientOrderId("L"), quantity=3, limit=19990))
    paper.submit(order(ClientOrderId("S"), stop=20010))
    prints = tape(
        [(0.5, 20003, 1, BUY), (1, 20001, 1, SELL), (2, 19990, 2, SELL), (3, 19990, 1, SELL), (4, 20012, 1, BUY)]
    )
    got = [(fill.client_id, fill.price, fill.quantity) for fill in fills(run(paper, prints, 5))]
    assert got == [("M", 20003, 1), ("L", 19990, 2), ("L", 19990, 1), ("S", 20012, 1)]


def test_next_print_looks_at_no_other_print():
    paper = market(FillRule.NEXT_PRINT)
    paper.submit(order(ClientOrderId("M"), at=1))
    paper.submit(order(ClientOrderId("L"), limit=19990, at=1))
    prints = tape([(0.9, 20003, 1, BUY), (2, 20001, 1, SELL), (3, 19990, 90, SELL), (4, 19989, 1, SELL)])
    got = [(fill.client_id, fill.price, fill.time_ns) for fill in fills(run(paper, prints, 5))]
    assert got == [("M", 20002, ns(2)), ("L", 19990, ns(4))]


def test_prints_of_an_instant_at_which_another_order_fills_stand_in_the_queue_once():
    paper = market()
    paper.submit(order(ClientOrderId("M")))
    paper.submit(order(ClientOrderId("L"), limit=19_990))
    prints = tape([(1, 19_990, 2, SELL), (2, 19_990, 1, SELL)])
    assert [(fill.client_id, fill.time_ns) for fill in fills(run(paper, prints, 3))] == [("M", ns(1)), ("L", ns(2))]


def test_prints_of_the_nanosecond_before_a_fill_stand_in_the_queue():
    paper = market()
    paper.submit(order(ClientOrderId("M"), at=1))
    paper.submit(order(ClientOrderId("L"), limit=19_990))
    prints = tape([(1, 19_990, 2, SELL), (1.000000001, 19_990, 1, SELL)])
    assert [fill.client_id for fill in fills(run(paper, prints, 3))] == ["M", "L"]


def test_an_instant_at_which_only_a_watch_stops_the_tape_fills_nothing():
    paper = market()
    paper.submit(order(ClientOrderId("L"), limit=19_990))
    price = WatchedPosition(MES, 1, Decimal(0), Decimal(1))
    stopped = paper.advance(
        {MES: tape([(1, 19_990, 2, SELL)])}, ns(3), [Watch(Decimal(0), (price,), at_or_below=Decimal(19_990))]
    )
    assert (stopped.instant_ns, stopped.stopped, stopped.events) == (ns(1), True, ())


def test_prints_up_to_the_present_instant_of_a_contract_that_joins_late_are_quotes_and_fill_nothing():
    paper = market(instant=5)
    paper.submit(order())
    prints = tape([(5, 20_010, 1, BUY), (5.5, 20_001, 1, SELL)])
    assert [(fill.source_index, fill.price) for fill in fills(run(paper, prints, 6))] == [(1, 20_011)]


def test_optimistic_fills_a_selling_limit_when_it_is_touched_from_below():
    paper = market(FillRule.OPTIMISTIC)
    paper.submit(order(ClientOrderId("L"), Side.SELL, limit=20_010))
    prints = tape([(1, 20_009), (2, 20_010)])
    assert [(fill.price, fill.time_ns) for fill in fills(run(paper, prints, 3))] == [(20_010, ns(2))]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (FillRule.PESSIMISTIC, 20_004),
        (FillRule.NEXT_PRINT, 20_002),
        (FillRule.OPTIMISTIC, 20_001),
        (FillRule.NAUTILUS_1_231, 20_003),
    ],
)
def test_only_the_pessimistic_rule_looks_at_a_fresh_aggressors_print(rule: FillRule, expected: int):
    paper = market(rule)
    paper.submit(order(at=1.5))
    prints = tape([(1.5, 20_003, 1, BUY), (2, 20_001, 1, SELL)])
    assert [fill.price for fill in fills(run(paper, prints, 3))] == [expected]


def test_a_print_at_the_instant_from_which_a_limit_rests_is_not_in_its_queue():
    paper = market()
    paper.submit(order(ClientOrderId("L"), limit=19_990, at=1))
    prints = tape([(1, 19_990, 5, SELL), (2, 19_990, 2, SELL), (3, 19_990, 1, SELL)])
    run(paper, prints, 1)
    run(paper, prints, 1.5)
    got = fills(run(paper, prints, 4))
    assert [(fill.client_id, fill.time_ns) for fill in got] == [("L", ns(3))]


def test_prints_that_are_handed_in_again_count_once_and_none_may_be_left_out():
    paper = market()
    paper.submit(order(ClientOrderId("L"), limit=19_990))
    prints = tape([(1, 19_990, 1, SELL), (2, 19_990, 1, SELL), (3, 19_990, 1, SELL)])
    run(paper, prints, 1.5)
    assert fills(run(paper, prints, 2.5)) == []  # two of the more than two that have to print
    with pytest.raises(InvalidInput, match=r"first_index: got 3, expected at most 2"):
        paper.advance({MES: tape([(3, 19_990)], first_index=3)}, ns(4))
    assert [fill.time_ns for fill in fills(run(paper, prints, 4))] == [ns(3)]


@BOTH
def test_a_stop_pays_its_own_print_and_not_the_last_one_of_its_aggressor(side: Side):
    paper = market()
    paper.submit(order(side=side, stop=mirror(20_010, side), at=1.5))
    prints = mirrored(tape([(1.5, 20_015, 1, BUY), (2, 20_011, 1, SELL)]), side)
    assert [fill.price for fill in fills(run(paper, prints, 3))] == [mirror(20_012, side)]


def test_a_mark_is_the_last_print_and_the_last_of_each_aggressor():
    first = mark_after(None, tape([(1, 10, 1, BUY), (2, 20, 1, SELL), (3, 30, 1, UNKNOWN)], first_index=7))
    assert first == Mark(LastPrint(30, ns(3), 9), LastPrint(10, ns(1), 7), LastPrint(20, ns(2), 8))
    assert mark_after(first, tape([])) is first
    assert mark_after(None, tape([])) is None
    second = mark_after(first, tape([(4, 40, 1, BUY), (5, 50, 1, BUY)], first_index=10))
    assert second == Mark(LastPrint(50, ns(5), 11), LastPrint(50, ns(5), 11), LastPrint(20, ns(2), 8))


@pytest.mark.parametrize(
    ("kind", "low", "high", "reached"),
    [
        ({"limit": 100}, 101, 105, False),
        ({"limit": 100}, 100, 105, True),
        ({"stop": 100}, 90, 99, False),
        ({"stop": 100}, 90, 100, True),
        ({}, 90, 90, True),
    ],
)
@BOTH
def test_prices_that_an_order_waits_for_are_within_its_reach(
    side: Side, kind: dict[str, int], low: int, high: int, reached: bool
):
    of: dict[str, Any] = {name: mirror(price, side) for name, price in kind.items()}
    bounds = sorted((mirror(low, side), mirror(high, side)))
    assert within_reach(order(side=side, **of), bounds[0], bounds[1]) is reached


@BOTH
def test_nautilus_fills_a_market_order_at_the_last_print_before_it_came_whoever_was_its_aggressor(side: Side):
    paper = market(FillRule.NAUTILUS_1_231)
    paper.submit(order(side=side, at=2, bracket=(4, 4)))
    prints = mirrored(
        tape([(1, 20_000, 1, BUY), (2, 19_998, 1, SELL), (2.5, 20_001, 1, BUY), (3, 20_002, 1, BUY)]), side
    )
    events = run(paper, prints, 4)
    got = [(fill.client_id, fill.price, fill.time_ns) for fill in fills(events)]
    assert got[0] == ("E1", mirror(19_998, side), ns(2.5))
    assert [(client[0], price, time) for client, price, time in got[1:]] == [("L", mirror(20_002, side), ns(3))]


@BOTH
def test_nautilus_has_nothing_but_the_first_print_for_an_order_that_was_there_before_it(side: Side):
    paper = market(FillRule.NAUTILUS_1_231)
    paper.submit(order(side=side))
    assert [fill.price for fill in fills(run(paper, tape([(1, 20_000)]), 2))] == [20_000]


@BOTH
@pytest.mark.parametrize(
    ("kind", "rows", "expected"),
    [
        ({"stop": 20_004}, [(1, 20_005, 1, SELL), (2, 20_006, 1, BUY)], (20_006, 2)),
        ({"stop": 20_004}, [(1, 20_004, 1, UNKNOWN)], (20_004, 1)),
        ({"limit": 19_996}, [(1, 19_995, 1, BUY), (2, 19_996, 1, SELL)], (19_996, 2)),
        ({"limit": 19_996}, [(1, 19_990, 1, UNKNOWN)], (19_996, 1)),
    ],
)
def test_nautilus_answers_above_the_market_to_no_seller_and_below_it_to_no_buyer(
    side: Side, kind: dict[str, int], rows: list[tuple[float, int, int, int]], expected: tuple[int, int]
):
    paper = market(FillRule.NAUTILUS_1_231)
    of: dict[str, Any] = {name: mirror(price, side) for name, price in kind.items()}
    paper.submit(order(side=side, **of))
    got = [(fill.price, fill.time_ns) for fill in fills(run(paper, mirrored(tape([(0.5, 20_000), *rows]), side), 3))]
    assert got == [(mirror(expected[0], side), ns(expected[1]))]


def test_a_paper_account_is_pessimistic_with_a_tick_of_slippage_and_fifty_milliseconds():
    assert FillRules() == FillRules(FillRule.PESSIMISTIC, 1, 50_000_000)


def test_slippage_is_declared():
    paper = market(slippage=3)
    paper.submit(order(side=Side.SELL))
    assert [fill.price for fill in fills(run(paper, tape([(1, 20000)]), 2))] == [19997]


def test_an_unknown_rule_is_refused_by_name():
    assert parse_fill_rule("NextPrint") is FillRule.NEXT_PRINT
    with pytest.raises(InvalidInput, match=r"paper\.fillRule: got 'Hopeful', expected one of Pessimistic, Optimistic"):
        parse_fill_rule("Hopeful", "paper.fillRule")


@pytest.mark.parametrize(("slippage", "latency"), [(-1, 0), (0, -1)])
def test_slippage_and_latency_are_not_negative(slippage: int, latency: int):
    with pytest.raises(InvalidInput):
        FillRules(FillRule.PESSIMISTIC, slippage, latency)
