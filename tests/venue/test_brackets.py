"""Native brackets: an entry's fills make their own stop and target, and one leg answers for the other."""

from dataclasses import replace
from typing import Any

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.ids import NO_ORDER, ClientOrderId, DecisionId, Leg, client_order_id
from leadline.model.orders import Bracket, OrderState, OrderType, Side, VenueEvent, VenueOrder
from leadline.venue.fill_rules import Rest
from leadline.venue.history import Step
from leadline.venue.matching import PaperMarket
from tests.venue.builders import ES, SELL, fills, market, ns, order, run, tape, told


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
    paper.submit(order(ClientOrderId("E1"), quantity=2, bracket=(16, 24)))

    entry, stop, target = run(paper, tape([(1, 19999)]), 1)

    assert (entry.order.state, entry.fill is not None) == (OrderState.FILLED, True)
    decision = DecisionId("decision of E1")
    assert (stop.order.client_id, stop.order.leg) == (client_order_id(decision, Leg("S1")), "S1")
    assert (target.order.client_id, target.order.leg) == (
        client_order_id(decision, Leg("T1")),
        "T1",
    )
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
    paper.submit(order(ClientOrderId("in")))
    run(paper, tape([(1, 19999)]), 1)
    paper.submit(order(ClientOrderId("limit"), Side.SELL, limit=19990, at=1, reduce_only=True))
    paper.submit(order(ClientOrderId("stop"), Side.SELL, stop=19995, at=1, reduce_only=True))

    events = run(paper, tape([(1, 19999), (2, 19995, 5, SELL)]), 3)

    assert [(fill.client_id, fill.price) for fill in fills(events)] == [("stop", 19994)]
    assert paper.order(ClientOrderId("limit")).state is OrderState.CANCELLED
    assert paper.positions() == {}


def test_when_one_print_reaches_both_legs_of_a_pair_the_stop_fills_and_the_target_is_gone():
    # Legs of one fill never overlap by themselves, so the pair is put there by hand.
    stop = replace(order(ClientOrderId("S"), Side.SELL, stop=19995), oco=ClientOrderId("T"), parent=ClientOrderId("E"))
    target = replace(
        order(ClientOrderId("T"), Side.SELL, limit=19990), oco=ClientOrderId("S"), parent=ClientOrderId("E")
    )
    for first, second in ((stop, target), (target, stop)):
        paper = market()
        events = (VenueEvent(1, 0, first), VenueEvent(2, 0, second))
        paper.restore(Step(0, events, {}, {ClientOrderId("S"): Rest(0), ClientOrderId("T"): Rest(0)}, 0))
        assert told(run(paper, tape([(1, 19994, 9, SELL)]), 2)) == [("E", "FILLED", 1, 1), ("E", "CANCELLED", 1, 0)]
        assert [paper.order(ClientOrderId(name)).state for name in "ST"] == [OrderState.FILLED, OrderState.CANCELLED]


def held(bracket: Bracket, quantity: int = 1) -> PaperMarket:
    """A long at 20001 of so many, behind what its bracket has."""
    paper = market()
    paper.submit(order(quantity=quantity, bracket=bracket))
    run(paper, tape([(1, 20000)]), 1)
    return paper


def exit_of(paper: PaperMarket, leg: str, *, pair: bool = True, **terms: Any) -> VenueOrder:
    """A stop at 19990 or a target at 20010 for it, a pair with the exit that works."""
    prices = {"stop": 19990} if leg.startswith("S") else {"limit": 20010}
    made = order(ClientOrderId(f"new {leg}"), Side.SELL, at=2, **{**prices, **terms})
    oco = paper.live_orders()[0].client_id if pair else NO_ORDER
    return replace(made, leg=Leg(leg), parent=ClientOrderId("E1"), oco=oco)


@pytest.mark.parametrize(("bracket", "leg"), [(Bracket(target_price=20010), "S1"), (Bracket(stop_price=19990), "T1")])
@pytest.mark.parametrize(("price", "filled"), [(19989, "S"), (20011, "T")])
def test_an_exit_that_comes_later_is_a_pair_with_the_other(bracket: Bracket, leg: str, price: int, filled: str):
    paper = held(bracket)
    taken, _ = paper.submit(exit_of(paper, leg))
    pair = paper.order(taken.oco)
    assert (taken.state, taken.parent, pair.oco) == (OrderState.WORKING, "E1", taken.client_id)
    run(paper, tape([(1, 20000), (3, price)]), 3)
    ends = {live.leg.kind: live.state for live in (paper.order(taken.client_id), paper.order(pair.client_id))}
    assert ends == {filled: OrderState.FILLED, "ST".replace(filled, ""): OrderState.CANCELLED}
    assert paper.positions() == {}


def test_two_that_come_one_after_the_other_are_a_pair_whichever_comes_first():
    for first, second in (("S1", "T1"), ("T1", "S1")):
        paper = held(Bracket())
        both = {leg: exit_of(paper, leg, pair=False) for leg in (first, second)}
        paper.submit(replace(both[first], oco=both[second].client_id))
        paper.submit(both[second])  # which does not say so
        run(paper, tape([(1, 20000), (3, 20011)]), 3)
        assert [live.state for live in paper.orders() if live.leg.is_exit].count(OrderState.CANCELLED) == 1
        assert paper.positions() == {}


def test_an_exit_is_no_larger_than_its_pair_and_not_taken_once_that_has_ended():
    paper = held(Bracket(target_price=20010), quantity=3)
    run(paper, tape([(1, 20000), (2, 20011, 2)]), 2)
    assert paper.submit(exit_of(paper, "S1", quantity=3))[0].quantity == 1
    paper = held(Bracket(target_price=20010))
    late = exit_of(paper, "S1")
    run(paper, tape([(1, 20000), (2, 20011)]), 2)
    refused, _ = paper.submit(late)
    assert (refused.state, refused.reason) == (OrderState.REJECTED, "its pair has ended")
    assert paper.live_orders() == ()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"leg": Leg("T1")}, "order.type"),
        ({"parent": "nobody"}, "order.parent"),
        ({"side": Side.BUY}, "order.parent"),
        ({"contract": ES}, "order.parent"),
        ({"bracket": Bracket(1, 1)}, "order.bracket"),
        ({"oco": "E1"}, "order.oco"),
    ],
)
def test_an_exit_that_is_none_of_what_the_entry_holds_is_refused(changed: dict[str, Any], field: str):
    paper = held(Bracket(target_price=20010))
    with pytest.raises(InvalidInput) as refused:
        paper.submit(replace(exit_of(paper, "S1"), **changed))
    assert refused.value.field == field
    unfilled = market()
    unfilled.submit(order(limit=19000))
    with pytest.raises(InvalidInput, match=r"^order\.parent"):
        unfilled.submit(exit_of(unfilled, "S1", pair=False))


def test_an_exit_that_has_a_pair_gets_no_other():
    paper = held(Bracket(stop_price=19990, target_price=20010))
    stop, target = paper.live_orders()
    for taken in (stop, target):
        leg = "T2" if taken is stop else "S2"
        with pytest.raises(InvalidInput, match=r"^order\.oco"):
            paper.submit(replace(exit_of(paper, leg), oco=taken.client_id))


def test_cancelling_an_entry_filled_in_part_leaves_its_legs():
    paper = market()
    paper.submit(order(quantity=3, limit=20000, bracket=(16, 24)))
    run(paper, tape([(1, 19999, 1, SELL)]), 2)

    assert paper.cancel(ClientOrderId("E1"), "too slow").state is OrderState.CANCELLED

    assert [(live.leg, live.quantity) for live in paper.live_orders()] == [("S1", 1), ("T1", 1)]


def test_cancelling_one_leg_leaves_the_other():
    paper = market()
    paper.submit(order(bracket=(16, 24)))
    run(paper, tape([(1, 19999)]), 1)
    stop, target = paper.live_orders()

    paper.cancel(target.client_id, "trailing")

    assert paper.live_orders() == (stop,)
    assert [fill.price for fill in fills(run(paper, tape([(1, 19999), (2, 19984)]), 2))] == [19983]
