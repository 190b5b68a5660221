"""The order state machine: the table is pinned, word for word, and the venue is followed from wherever an order is."""

import itertools
from dataclasses import replace

import pytest

from leadline.execution.core.booking import Stored, book_venue_events
from leadline.execution.core.exits import wanted
from leadline.execution.core.order_reports import apply_report
from leadline.execution.core.orders import TRANSITIONS, IllegalTransition, add_fill, follow, foreseen, move
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg
from leadline.model.orders import Order, OrderState, OrderType, Side, Trailing, VenueEvent, VenueOrder
from tests.execution.harness.books import book_of, fill_of, order_of, reported_of
from tests.execution.harness.builders import MES, ns

S = OrderState
WAYS = {
    S.PENDING: {S.SENDING, S.EXPIRED_LOCAL},
    S.SENDING: {S.WORKING, S.PARTIAL, S.REJECTED, S.FILLED, S.CANCELLED, S.EXPIRED, S.UNKNOWN, S.EXPIRED_LOCAL},
    S.UNKNOWN: {S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.DEAD},
    S.WORKING: {S.PARTIAL, S.FILLED, S.CANCELLED, S.EXPIRED, S.PENDING_CANCEL},
    S.PARTIAL: {S.FILLED, S.CANCELLED, S.EXPIRED, S.PENDING_CANCEL},
    S.PENDING_CANCEL: {S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.EXPIRED},
    S.FILLED: set(),
    S.CANCELLED: set(),
    S.REJECTED: set(),
    S.EXPIRED: set(),
    S.DEAD: {S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED},
    S.EXPIRED_LOCAL: set(),
}
AT_VENUE = (S.WORKING, S.PARTIAL, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.UNKNOWN)
"""What a venue may say of an order; UNKNOWN is a state that this release has no word for."""

PAIRS = list(itertools.product(OrderState, OrderState))


def test_every_state_has_its_ways():
    assert set(WAYS) == set(TRANSITIONS) == set(OrderState)


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda state: state.value)
def test_this_account_moves_an_order_along_the_table_alone(before: OrderState, after: OrderState):
    order = order_of(before, version=7)
    if after is before:
        assert move(order, after, reason="again") is order
    elif after in WAYS[before]:
        assert move(order, after) == order_of(after, version=8)
    else:
        with pytest.raises(IllegalTransition, match=f"cannot move from {before} to {after}") as raised:
            move(order, after)
        assert (raised.value.order, raised.value.state) == (order, after)
    assert foreseen(before, after) == (after is before or after in WAYS[before])


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.product(OrderState, AT_VENUE)), ids=lambda state: state.value
)
def test_the_venue_is_followed_from_any_state_and_what_the_table_does_not_foresee_is_told(
    before: OrderState, after: OrderState
):
    order = order_of(before, version=7)
    found, surprises = apply_report(order, reported_of(order, after))
    assert found.state is after
    assert found.version == order.version + (after is not before) + bool(surprises)
    if before is S.DEAD:
        assert surprises == [f"order {order.client_id}, given up as absent, has come up at the venue"]
    elif after is S.UNKNOWN:
        assert surprises == [f"order {order.client_id} is in a state at the venue that this release does not know"]
    elif after is before or after in WAYS[before]:
        assert surprises == []
    else:
        assert surprises == [f"order {order.client_id} is {after} at the venue, which does not follow {before}"]


@pytest.mark.parametrize("state", OrderState)
def test_only_the_fate_of_what_is_on_its_way_or_unknown_is_open(state: OrderState):
    assert book_of(order_of(state))[0].unresolved == (state in {S.PENDING, S.SENDING, S.UNKNOWN})


@pytest.mark.parametrize("state", OrderState)
def test_only_what_works_can_be_cancelled(state: OrderState):
    book, _ = book_of(order_of(state))
    cancelled = [action.order.state for action in wanted(book, halted=True)]
    assert cancelled == ([state] if state in {S.WORKING, S.PARTIAL} else [])


def test_a_change_keeps_the_reason_that_it_does_not_replace():
    order = move(order_of(S.WORKING), S.PENDING_CANCEL, reason="flat_by")
    assert follow(order, S.CANCELLED).reason == "flat_by"
    assert follow(order, S.CANCELLED, reason="nothing to reduce").reason == "nothing to reduce"


def test_what_the_venue_holds_under_an_id_is_named_and_taken():
    order = order_of(S.WORKING, type=OrderType.LIMIT, limit_price=20_000)
    other = reported_of(order, S.WORKING, limit_price=20_001, tape_contract="ESM2025")
    after, surprises = apply_report(order, other)
    assert surprises == [f"order {order.client_id} has the limit price 20001 at the venue, not 20000"]
    assert (after.limit_price, after.tape_contract, after.version) == (20_001, "ESM2025", order.version + 1)


def test_an_order_that_the_venue_gives_up_too_is_no_surprise():
    given_up = order_of(S.DEAD)
    assert apply_report(given_up, reported_of(given_up, S.DEAD)) == (given_up, [])


def test_what_is_left_of_an_order_is_what_has_not_filled():
    order = order_of(S.WORKING, quantity=3, filled=1)
    assert order.remaining == reported_of(order, S.WORKING).remaining == 2


def test_each_side_has_the_other_as_its_opposite():
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)


def test_a_leg_that_shrinks_is_a_new_version():
    order = order_of(S.WORKING, quantity=2)
    assert follow(order, S.WORKING, quantity=1) == order_of(S.WORKING, quantity=1, version=2)


def test_a_fill_is_a_new_version_and_says_nothing_of_the_state():
    order = add_fill(order_of(S.WORKING, quantity=3), 2)
    assert (order.filled, order.remaining, order.version, order.state) == (2, 1, 2, S.WORKING)


@pytest.mark.parametrize(
    ("name", "value"),
    [("contract", "ESM2025"), ("side", Side.SELL), ("type", OrderType.STOP), ("stop_price", 9), ("quantity", 5)],
)
def test_an_id_that_stands_for_another_order_at_the_venue_is_told_and_the_venue_is_right(name: str, value: object):
    order = order_of(S.WORKING)
    found, surprises = apply_report(order, reported_of(order, S.WORKING, **{name: value}))
    assert getattr(found, name) == value
    assert len(surprises) == 1
    assert f"has the {name.replace('_', ' ')} {value} at the venue, not {getattr(order, name)}" in surprises[0]


def test_the_size_of_a_bracket_leg_is_the_venue_s_to_say():
    leg = order_of(S.WORKING, quantity=2, parent="entry")
    assert apply_report(leg, reported_of(leg, S.WORKING, quantity=1)) == (follow(leg, S.WORKING, quantity=1), [])


def speak(order: Order | None, *events: VenueEvent, stored: Stored | None = None) -> tuple[list[str], Order]:
    """Book the events; what was told, and the order that they are about."""
    book, changes = book_of(order)
    surprises = book_venue_events(book, changes, events, stored or Stored())
    assert book.venue_event == events[-1].event
    return surprises, book.orders[events[-1].order.client_id]


def test_a_fill_of_an_order_that_has_ended_is_booked_and_revives_nothing():
    order = order_of(S.CANCELLED)
    reported = reported_of(order, S.CANCELLED, filled=1)
    surprises, found = speak(order, VenueEvent(1, ns(601), reported, fill_of(order)))
    assert (surprises, found.filled, found.state) == ([], 1, S.CANCELLED)


def test_more_filled_than_its_fills_come_to_is_told():
    order = order_of(S.WORKING, quantity=2)
    surprises, found = speak(order, VenueEvent(1, ns(601), reported_of(order, S.PARTIAL, filled=2), fill_of(order)))
    assert surprises == [f"order {order.client_id} has 2 filled at the venue, its fills come to 1"]
    assert (found.filled, found.version) == (2, 4)  # the fill, the state, and the size that is corrected


def test_a_fill_that_is_told_again_with_another_content_is_not_booked_twice():
    order = order_of(S.FILLED, filled=1)
    fill = fill_of(order)
    known = Stored(fills={fill.fill_id: fill_of(order, price=19_000)})
    surprises, found = speak(order, VenueEvent(1, ns(601), reported_of(order, S.FILLED, filled=1), fill), stored=known)
    assert surprises == [f"the venue tells fill {fill.fill_id} again with another content"]
    assert found.filled == 1


def test_events_that_are_missing_or_without_a_size_are_told_and_do_not_stop_the_rest():
    order = order_of(S.WORKING)
    surprises, found = speak(
        order,
        VenueEvent(3, ns(601), reported_of(order, S.WORKING, quantity=0)),
        VenueEvent(4, ns(602), reported_of(order, S.CANCELLED)),
    )
    assert surprises == [
        "the venue tells of event 3 after 0: what was between is lost",
        f"event 3 of the venue, on order '{order.client_id}', says what cannot be, quantity 0",
    ]
    assert found.state is S.CANCELLED


def test_a_forgotten_order_goes_on_from_its_row_and_not_from_nothing():
    order = order_of(S.DEAD, version=4)
    surprises, found = speak(
        None, VenueEvent(1, ns(601), reported_of(order, S.WORKING)), stored=Stored({order.client_id: order})
    )
    assert surprises == [f"order {order.client_id}, given up as absent, has come up at the venue"]
    assert (found.state, found.version, found.decision) == (S.WORKING, 6, order.decision)


@pytest.mark.parametrize("contract", [MES, "MNQM2025", "ZZZ"])
def test_an_order_of_somebody_else_is_adopted_in_any_contract(contract: ContractId):
    foreign = VenueOrder(
        ClientOrderId("theirs"),
        DecisionId(""),
        Leg("E"),
        contract,
        contract,
        Side.BUY,
        OrderType.MARKET,
        1,
        ns(600),
        filled=1,
    )
    fill = fill_of(order_of(S.WORKING), client_id="theirs", contract=contract)
    surprises, found = speak(None, VenueEvent(1, ns(601), foreign, fill))
    assert surprises == ["the venue reports order theirs, which this book never intended"]
    assert (found.leg, found.decision, found.strategy) == ("X", "theirs", "default/mes" if contract == MES else "")


def test_a_stop_that_trails_is_followed_where_less_is_lost_and_told_of_where_more_is():
    stop = order_of(S.WORKING, "S1", side=Side.SELL, type=OrderType.STOP, stop_price=19_984, trail=Trailing(20_000, 4))
    better, surprises = apply_report(stop, replace(reported_of(stop, S.WORKING), stop_price=19_990))
    assert (better.stop_price, better.version, surprises) == (19_990, stop.version + 1, [])
    worse, surprises = apply_report(better, replace(reported_of(stop, S.WORKING), stop_price=19_980))
    assert worse.stop_price == 19_980
    assert surprises == [f"order {stop.client_id} has the stop price 19980 at the venue, not 19990"]
    still = replace(stop, trail=None)
    _, surprises = apply_report(still, replace(reported_of(still, S.WORKING), stop_price=19_990))
    assert surprises == [f"order {stop.client_id} has the stop price 19990 at the venue, not 19984"]
