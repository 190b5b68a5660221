"""Taking, refusing and cancelling orders; latency; closing never more than there is."""

import dataclasses
from typing import Any

import pytest

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ClientOrderId, Leg, client_order_id, fill_id
from leadline.model.orders import Bracket, OrderState, OrderType, Side, Trail, Trailing, VenueOrder
from tests.venue.builders import BUY, ES, MES, fills, market, ns, order, run, tape, told


def test_an_order_decided_at_an_instant_matches_the_first_print_strictly_after_instant_plus_latency():
    paper = market(latency_ns=50_000_000)
    paper.submit(order(at=1))
    prints = tape([(1, 20000), (1.05, 20001), (1.05, 20002), (1.050000001, 20003)])
    (fill,) = fills(run(paper, prints, 2))
    assert (fill.source_index, fill.price) == (3, 20004)


def test_without_latency_the_print_of_the_decisions_own_instant_is_too_early():
    paper = market()
    prints = tape([(1, 20000), (2, 20005)])
    run(paper, prints, 1)
    paper.submit(order(at=1))
    assert [fill.source_index for fill in fills(run(paper, prints, 3))] == [1]


def test_an_order_that_makes_no_sense_is_neither_taken_nor_remembered_as_refused():
    paper = market()
    for call in (paper.submit, lambda nonsense: paper.reject(nonsense, "no")):
        with pytest.raises(InvalidInput, match="quantity"):
            call(order(quantity=0))
    assert (paper.orders(), paper.last_event) == ((), 0)


def test_a_step_has_every_event_since_the_one_before():
    paper = market()
    for client_id in ("a", "b"):
        paper.submit(order(ClientOrderId(client_id)))
    assert [event.event for event in paper.take_step().events] == [1, 2]
    paper.submit(order(ClientOrderId("c")))
    assert [event.event for event in paper.take_step().events] == [3]
    assert paper.take_step().events == ()


def test_a_repeated_id_is_answered_with_the_order_as_it_stands_and_changes_nothing():
    paper = market()
    taken, duplicate = paper.submit(order())
    assert (taken.state, duplicate) == (OrderState.WORKING, False)
    run(paper, tape([(1, 20000)]), 1)
    before = paper.last_event

    again, duplicate = paper.submit(order())

    assert duplicate
    assert (again.state, again.quantity, again.filled) == (OrderState.FILLED, 1, 1)
    assert paper.last_event == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"quantity": 5}, "order.quantity: got 5, expected 1: the id E1 is taken"),
        ({"side": Side.SELL}, "order.side: got .*, expected BUY"),
        ({"bracket": (8, 8)}, "order.bracket: got Bracket.*, expected None"),
        ({"contract": ES}, "order.contract: got 'ESZ2025', expected MESZ2025"),
    ],
)
def test_an_id_that_comes_again_with_another_content_is_refused(change: dict[str, Any], expected: str):
    paper = market()
    paper.submit(order())
    for call in (paper.submit, lambda again: paper.reject(again, "no")):
        with pytest.raises(InvalidInput, match=expected):
            call(order(**change))
    assert paper.orders() == (order(),)
    assert paper.last_event == 1


def test_the_legs_of_a_bracket_never_replace_an_order_that_has_their_id():
    paper = market()
    entry = order(bracket=(4, 4))
    paper.submit(entry)
    taken = client_order_id(entry.decision, Leg("S1"))
    paper.submit(order(taken, limit=10_000))
    run(paper, tape([(1, 20000)]), 1)
    stop, target = (client_order_id(entry.decision, Leg(leg), 2) for leg in ("S1", "T1"))
    assert [live.client_id for live in paper.live_orders()] == [taken, stop, target]
    assert (paper.order(stop).oco, paper.order(target).oco) == (target, stop)


def test_a_cancelled_or_refused_id_stays_taken():
    paper = market()
    paper.reject(order(ClientOrderId("a")), "no such contract")
    paper.submit(order(ClientOrderId("b")))
    paper.cancel(ClientOrderId("b"), "changed my mind")
    assert [paper.submit(order(ClientOrderId(name)))[0].state for name in ("a", "b")] == [
        OrderState.REJECTED,
        OrderState.CANCELLED,
    ]
    assert paper.live_orders() == ()


def test_a_refused_order_is_remembered_with_its_reason_and_answered_again():
    paper = market()
    refused, known = paper.reject(order(ClientOrderId("a")), "no such contract")
    assert (refused.state, refused.reason, known) == (OrderState.REJECTED, "no such contract", False)
    assert paper.reject(order(ClientOrderId("a")), "another reason") == (refused, True)
    assert paper.submit(order(ClientOrderId("b"))) == (order(ClientOrderId("b")), False)
    assert [found.client_id for found in paper.orders()] == ["a", "b"]
    assert paper.order(ClientOrderId("a")) == refused
    assert (paper.last_event, paper.matched_event) == (2, 0)


def test_net_positions_are_told_by_contract_and_flat_ones_left_out():
    paper = market()
    for name, side, contract in (("a", Side.SELL, MES), ("b", Side.BUY, ES), ("c", Side.SELL, ES)):
        paper.submit(order(ClientOrderId(name), side, quantity=2, contract=contract))
    run(paper, {MES: tape([(1, 20_000)]), ES: tape([(1, 20_000)])}, 2)
    assert paper.positions() == {MES: -2}


def test_what_a_sender_claims_in_the_venues_own_fields_is_not_believed():
    claim = dataclasses.replace(
        order(), filled=1, state=OrderState.FILLED, parent=ClientOrderId("x"), oco=ClientOrderId("y"), reason="z"
    )
    taken, _ = market().submit(claim)
    assert taken == order()


def test_a_cancel_is_immediate_and_idempotent():
    paper = market()
    paper.submit(order(limit=19000))
    cancelled = paper.cancel(ClientOrderId("E1"), "flat by the close")
    assert (cancelled.state, cancelled.reason) == (OrderState.CANCELLED, "flat by the close")
    assert paper.cancel(ClientOrderId("E1"), "again") == cancelled
    assert paper.last_event == 2
    assert fills(run(paper, tape([(1, 18000)]), 2)) == []


def test_cancelling_an_order_that_never_was_is_an_error():
    with pytest.raises(Unknown, match="order 'nobody'"):
        market().cancel(ClientOrderId("nobody"), "")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"client_id": ""}, "client_id"),
        ({"contract": ""}, "contract"),
        ({"tape_contract": ""}, "tape_contract"),
        ({"leg": ""}, "leg"),
        ({"quantity": 0}, "quantity"),
        ({"limit_price": 5}, "limit_price"),
        ({"stop_price": 5}, "stop_price"),
        ({"type": OrderType.LIMIT}, "limit_price"),
        ({"type": OrderType.STOP}, "stop_price"),
        ({"type": OrderType.STOP_LIMIT, "limit_price": 5}, "stop_price"),
        ({"type": OrderType.STOP_LIMIT, "stop_price": 5}, "limit_price"),
        ({"type": OrderType.LIMIT, "limit_price": 2**53}, "limit_price"),
        ({"valid_until_ns": 0}, "valid_until_ns"),
        ({"valid_until_ns": 2**62 + 1}, "valid_until_ns"),
        ({"trail": Trailing(5, 1)}, "trail"),
        ({"type": OrderType.STOP, "stop_price": 5, "trail": Trailing(5, 0)}, "trail.offset_ticks"),
        ({"type": OrderType.STOP, "stop_price": 5, "trail": Trailing(2**53, 1)}, "trail.from_price"),
        ({"bracket": Bracket(0, 24)}, "bracket.stop_ticks"),
        ({"bracket": Bracket(16, 10**6 + 1)}, "bracket.target_ticks"),
        ({"bracket": Bracket(stop_price=2**53)}, "bracket.stop_price"),
        ({"bracket": Bracket(stop_ticks=16, stop_price=5)}, "bracket.stop_price"),
        ({"bracket": Bracket(target_ticks=16, target_price=5)}, "bracket.target_price"),
        ({"bracket": Bracket(target_ticks=16, trail=Trail(1, 1))}, "bracket.trail"),
        ({"bracket": Bracket(16, trail=Trail(-1, 1))}, "bracket.trail.trigger_ticks"),
        ({"bracket": Bracket(16, trail=Trail(0, 0))}, "bracket.trail.offset_ticks"),
        ({"bracket": Bracket(16, 24), "decision": ""}, "decision"),
        ({"bracket": Bracket(16, 24), "reduce_only": True}, "reduce_only"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_by_field_and_leaves_no_trace(change: dict[str, object], field: str):
    paper = market()
    nonsense: VenueOrder = dataclasses.replace(order(), **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as refused:
        paper.submit(nonsense)
    assert refused.value.field == f"order.{field}"
    assert paper.orders() == ()


def test_closing_takes_no_more_than_the_position():
    paper = market()
    paper.submit(order(ClientOrderId("in"), quantity=2))
    paper.submit(order(ClientOrderId("out"), Side.SELL, quantity=5, at=1, reduce_only=True))

    events = run(paper, tape([(1, 20000), (2, 20000)]), 3)

    assert [(fill.client_id, fill.quantity) for fill in fills(events)] == [("in", 2), ("out", 2)]
    assert paper.order(ClientOrderId("out")).state is OrderState.CANCELLED
    assert paper.positions() == {}


@pytest.mark.parametrize("held", [0, -1])
def test_closing_a_position_that_is_not_there_does_nothing(held: int):
    paper = market()
    if held:
        paper.submit(order(ClientOrderId("in"), Side.SELL))
    paper.submit(order(ClientOrderId("out"), Side.SELL, at=1, reduce_only=True))
    events = run(paper, tape([(1, 20000), (2, 20000)]), 3)
    assert [fill.client_id for fill in fills(events)] == ["in"] * -held
    assert paper.order(ClientOrderId("out")).reason == "nothing to reduce"


def test_a_stop_and_a_flatten_on_one_print_do_not_reverse_the_position():
    paper = market()
    paper.submit(order(ClientOrderId("in"), bracket=(16, 24)))
    run(paper, tape([(1, 19999)]), 1)
    paper.submit(order(ClientOrderId("flatten"), Side.SELL, at=1, reduce_only=True))

    events = run(paper, tape([(1, 19999), (2, 19984)]), 3)

    assert [event.order.leg for event in events if event.fill] == ["S1"]
    assert paper.positions() == {}


@pytest.mark.parametrize(("one", "other"), [("stop", "flatten"), ("flatten", "target"), ("stop", "target")])
@pytest.mark.parametrize("in_turn", [True, False])
def test_one_print_meets_a_stop_before_a_flatten_and_a_flatten_before_a_target(one: str, other: str, in_turn: bool):
    exits = {
        "stop": order(ClientOrderId("stop"), Side.SELL, at=1, stop=20000, reduce_only=True),
        "flatten": order(ClientOrderId("flatten"), Side.SELL, at=1, reduce_only=True),
        "target": order(ClientOrderId("target"), Side.SELL, at=1, limit=19990, reduce_only=True),
    }
    paper = market()
    paper.submit(order(ClientOrderId("in")))
    run(paper, tape([(1, 20000)]), 1)
    for name in (one, other) if in_turn else (other, one):
        paper.submit(exits[name])
    run(paper, tape([(1, 20000), (2, 19995)]), 3)
    assert (paper.order(ClientOrderId(one)).state, paper.order(ClientOrderId(other)).state) == (
        OrderState.FILLED,
        OrderState.CANCELLED,
    )


def test_a_print_fills_no_more_than_its_size_and_who_gets_nothing_of_it_is_told_nothing():
    paper = market()
    for name in ("first", "second"):
        paper.submit(order(ClientOrderId(name), limit=20000))
    events = run(paper, tape([(1, 19999, 1)]), 2)
    assert [(event.order.client_id, event.order.filled) for event in events] == [("first", 1)]
    assert paper.order(ClientOrderId("second")).state is OrderState.WORKING


def test_one_contract_fills_on_the_tape_of_another():
    paper = market()
    paper.submit(order(contract=ES, tape_contract=MES, quantity=2, bracket=(4, 8)))
    events = run(paper, {MES: tape([(1, 20000, 1, BUY)])}, 2)
    assert [fill.contract for fill in fills(events)] == [ES]
    assert paper.positions() == {ES: 2}
    assert {live.tape_contract for live in paper.live_orders()} == {MES}


def test_a_fills_id_is_the_order_and_the_print():
    paper = market()
    paper.submit(order(quantity=2, limit=20000))
    got = fills(run(paper, tape([(1, 19999), (2, 19999)], first_index=40), 3))
    assert [fill.fill_id for fill in got] == [fill_id(ClientOrderId("E1"), 40), fill_id(ClientOrderId("E1"), 41)]


def test_events_are_numbered_from_one_without_gaps_and_can_be_asked_for_again():
    paper = market()
    paper.submit(order(bracket=(16, 24)))
    run(paper, tape([(1, 19999), (2, 19984)]), 3)

    events = paper.events_after(0)

    assert [event.event for event in events] == [1, 2, 3, 4, 5, 6]
    assert [(state, event.instant_ns) for event in events for _, state, _, _ in told([event])] == [
        ("WORKING", 0),
        ("FILLED", ns(1)),
        ("WORKING", ns(1)),
        ("WORKING", ns(1)),
        ("FILLED", ns(2)),
        ("CANCELLED", ns(2)),
    ]
    assert paper.events_after(4) == events[4:]
    assert paper.events_after(6) == ()
    assert (paper.last_event, paper.matched_event) == (6, 6)
    assert [event.fill.k for event in events if event.fill is not None] == [1, 1]
    for number in (-1, 7):
        with pytest.raises(InvalidInput, match="after_event"):
            paper.events_after(number)


def test_orders_are_found_by_their_ids_and_the_newest_without():
    paper = market()
    for name in "abcd":
        paper.submit(order(ClientOrderId(name)))
    assert [
        found.client_id
        for found in paper.known([ClientOrderId("c"), ClientOrderId("nobody"), ClientOrderId("a"), ClientOrderId("c")])
    ] == ["c", "a"]
    assert [found.client_id for found in paper.newest(2)] == ["c", "d"]
    assert paper.newest(10) == paper.orders()
