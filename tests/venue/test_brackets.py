"""Native brackets: an entry's fills make their own stop and target, and one leg answers for the other."""

from dataclasses import replace

from leadline.model.ids import client_order_id
from leadline.model.orders import OrderState, OrderType, Side, VenueEvent
from leadline.venue.matching import Step
from leadline.venue.rules import Rest
from tests.venue.builders import SELL, fills, market, ns, order, run, tape, told


def test_a_long_of_5000_stopped_by_a_gap_to_4995_loses_21_ticks_not_16():
    paper = market()
    paper.submit(order(bracket=(16, 24)))
    prints = tape([(1, 19999), (2, 20003), (3, 19980), (4, 20030)])

    entry, out = fills(run(paper, prints, 5))

    assert entry.price == 20000  # 5000.00
    assert out.price == 19979  # 4994.75
    assert out.price - entry.price == -21
    assert paper.positions() == {}


def test_the_mirrored_short_loses_21_ticks_too():
    paper = market()
    paper.submit(order(side=Side.SELL, bracket=(16, 24)))
    entry, out = fills(run(paper, tape([(1, 20001), (2, 20020)]), 3))
    assert (entry.price, out.price) == (20000, 20021)


def test_a_target_traded_through_gives_its_distance_exactly():
    paper = market()
    paper.submit(order(bracket=(16, 24)))
    events = run(paper, tape([(1, 19999), (2, 20024), (3, 20025), (4, 19000)]), 5)
    entry, out = fills(events)
    assert out.price - entry.price == 24
    assert told(events)[-2:] == [("T1", "FILLED", 1, 1), ("S1", "CANCELLED", 1, 0)]


def test_the_legs_are_made_with_the_fill_from_the_decisions_ids():
    paper = market()
    paper.submit(order("E1", quantity=2, bracket=(16, 24)))

    entry, stop, target = run(paper, tape([(1, 19999)]), 1)

    assert (entry.order.state, entry.fill is not None) == (OrderState.FILLED, True)
    assert (stop.order.client_id, stop.order.leg) == (client_order_id("decision of E1", "S1"), "S1")
    assert (target.order.client_id, target.order.leg) == (client_order_id("decision of E1", "T1"), "T1")
    assert (stop.order.type, stop.order.stop_price, stop.order.side) == (OrderType.STOP, 19984, Side.SELL)
    assert (target.order.type, target.order.limit_price, target.order.side) == (OrderType.LIMIT, 20024, Side.SELL)
    assert {stop.order.quantity, target.order.quantity} == {2}
    assert {stop.order.parent, target.order.parent} == {"E1"}
    assert (stop.order.oco, target.order.oco) == (target.order.client_id, stop.order.client_id)
    assert stop.order.decided_at_ns == target.order.decided_at_ns == ns(1)
    assert (stop.order.limit_price, target.order.stop_price) == (None, None)  # a leg has one price
    assert {leg.order.decision for leg in (stop, target)} == {"decision of E1"}
    assert {leg.order.state for leg in (stop, target)} == {OrderState.WORKING}


def test_each_entry_fill_has_its_own_pair_of_its_own_size():
    paper = market()
    paper.submit(order(quantity=3, limit=20000, bracket=(16, 24)))
    events = run(paper, tape([(1, 19999, 1, SELL), (2, 19998, 2, SELL)]), 3)
    assert told(events) == [
        ("E", "PARTIAL", 3, 1),
        ("S1", "WORKING", 1, 0),
        ("T1", "WORKING", 1, 0),
        ("E", "FILLED", 3, 3),
        ("S2", "WORKING", 2, 0),
        ("T2", "WORKING", 2, 0),
    ]


def test_a_leg_first_matches_a_print_strictly_later_than_its_entry_fill_without_latency():
    paper = market(latency_ns=ns(0.05))
    paper.submit(order(bracket=(16, 24), at=0.9))
    prints = tape([(1, 19999), (1, 19900), (1.000000001, 19983)])
    entry, out = fills(run(paper, prints, 2))
    assert (entry.time_ns, entry.source_index) == (ns(1), 0)
    assert (out.time_ns, out.source_index) == (ns(1) + 1, 2)


def test_a_target_filled_in_part_shrinks_the_stop_by_as_much():
    paper = market()
    paper.submit(order(quantity=3, bracket=(16, 24)))
    prints = tape([(1, 19999), (2, 20025, 1, SELL), (3, 19984)])

    events = run(paper, prints, 4)

    assert told(events)[3:] == [
        ("T1", "PARTIAL", 3, 1),
        ("S1", "WORKING", 2, 0),
        ("S1", "FILLED", 2, 2),
        ("T1", "CANCELLED", 3, 1),
    ]
    assert paper.positions() == {}


def test_when_one_print_reaches_a_stop_and_a_limit_the_stop_goes_first():
    paper = market()
    paper.submit(order("in"))
    run(paper, tape([(1, 19999)]), 1)
    paper.submit(order("limit", Side.SELL, limit=19990, at=1, reduce_only=True))
    paper.submit(order("stop", Side.SELL, stop=19995, at=1, reduce_only=True))

    events = run(paper, tape([(1, 19999), (2, 19995, 5, SELL)]), 3)

    assert [(fill.client_id, fill.price) for fill in fills(events)] == [("stop", 19994)]
    assert paper.order("limit").state is OrderState.CANCELLED
    assert paper.positions() == {}


def test_when_one_print_reaches_both_legs_of_a_pair_the_stop_fills_and_the_target_is_gone():
    # Legs of one fill never overlap by themselves, so the pair is put there by hand.
    stop = replace(order("S", Side.SELL, stop=19995), oco="T", parent="E")
    target = replace(order("T", Side.SELL, limit=19990), oco="S", parent="E")
    for first, second in ((stop, target), (target, stop)):
        paper = market()
        events = (VenueEvent(1, 0, first), VenueEvent(2, 0, second))
        paper.restore(Step(0, events, {}, {"S": Rest(0), "T": Rest(0)}, 0))
        assert told(run(paper, tape([(1, 19994, 9, SELL)]), 2)) == [("E", "FILLED", 1, 1), ("E", "CANCELLED", 1, 0)]
        assert [paper.order(name).state for name in "ST"] == [OrderState.FILLED, OrderState.CANCELLED]


def test_cancelling_an_entry_filled_in_part_leaves_its_legs():
    paper = market()
    paper.submit(order(quantity=3, limit=20000, bracket=(16, 24)))
    run(paper, tape([(1, 19999, 1, SELL)]), 2)

    assert paper.cancel("E1", "too slow").state is OrderState.CANCELLED

    assert [(live.leg, live.quantity) for live in paper.live_orders()] == [("S1", 1), ("T1", 1)]


def test_cancelling_one_leg_leaves_the_other():
    paper = market()
    paper.submit(order(bracket=(16, 24)))
    run(paper, tape([(1, 19999)]), 1)
    stop, target = paper.live_orders()

    paper.cancel(target.client_id, "trailing")

    assert paper.live_orders() == (stop,)
    assert [fill.price for fill in fills(run(paper, tape([(1, 19999), (2, 19984)]), 2))] == [19983]
