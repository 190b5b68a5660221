"""What a venue's word makes of the book: whose order it is, on whose prints, what differs, and what is wanted of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored, asked_of_rows, book_venue_events, book_working_order, owner_of
from leadline.execution.core.bracket_legs import protected, trailing
from leadline.execution.core.order_reports import apply_report, is_where_wanted, was_faster
from leadline.execution.core.positions import with_stopless
from leadline.model.ids import UNASSIGNED, ClientOrderId, ContractId, Leg, StrategyId, client_order_id
from leadline.model.orders import Bracket, Fill, Order, OrderState, OrderType, Side, Trail, Trailing, VenueEvent
from tests.execution.harness.books import DECISION, book_of, fill_of, order_of, position_of, reported_of
from tests.execution.harness.builders import ES, MES, account, ns

S = OrderState
NAME = StrategyId("default/mes")
BROKEN = "x\x00"
"""An id that no table can hold."""


def stop(**fields: Any) -> Order:
    """A stop of one, at 19984, that protects a long."""
    terms: dict[str, Any] = {"side": Side.SELL, "type": OrderType.STOP, "stop_price": 19_984, "parent": "entry"}
    return order_of(S.WORKING, "S1", **{**terms, **fields})


def target(**fields: Any) -> Order:
    """The target of the same long, at 20024."""
    terms: dict[str, Any] = {"side": Side.SELL, "type": OrderType.LIMIT, "limit_price": 20_024, "parent": "entry"}
    return order_of(S.WORKING, "T1", **{**terms, **fields})


def hear(
    book: Book, changes: Changes, order: Order, state: OrderState = S.WORKING, fill: Fill | None = None, **said: Any
) -> list[str]:
    """Book the next event of the venue, about an order."""
    event = VenueEvent(book.venue_event + 1, ns(601), reported_of(order, state, **said), fill)
    return book_venue_events(book, changes, [event], Stored())


def told_of(order: Order, event: int, words: str) -> str:
    return f"event {event} of the venue, on order '{order.client_id}', {words}"


# --- which events, and what is asked of the rows ---


def test_only_ids_that_a_table_can_hold_are_asked_of_the_rows():
    book, _ = book_of()
    order = order_of(S.WORKING, client_id=BROKEN)
    event = VenueEvent(1, ns(601), reported_of(order, S.WORKING, parent="x\n"), fill_of(order, fill_id=BROKEN))
    assert asked_of_rows(book, [event]) == ([], [])


def test_an_event_that_does_not_follow_the_last_one_is_told_and_one_that_does_is_not():
    entry = order_of(S.WORKING)
    book, changes = book_of(entry)
    events = [VenueEvent(number, ns(601), reported_of(entry, S.WORKING)) for number in (1, 2, 5)]
    surprises = book_venue_events(book, changes, events, Stored())
    assert surprises == ["the venue tells of event 5 after 2: what was between is lost"]
    assert book.venue_event == 5


@pytest.mark.parametrize(("side", "place"), [(Side.SELL, UNASSIGNED), (Side.BUY, NAME)])
def test_a_fill_that_closes_what_nobody_looked_after_is_not_of_a_strategy_that_has_come_since(
    side: Side, place: StrategyId
):
    close = order_of(S.WORKING, "F1", side=side, quantity=1, strategy=UNASSIGNED, unit="")
    book, changes = book_of(close)
    book.positions = {(UNASSIGNED, MES): position_of(1, UNASSIGNED)}
    assert owner_of(book, MES) == NAME
    assert hear(book, changes, close, S.FILLED, fill_of(close, quantity=1), filled=1) == []
    held = {key[0]: position.quantity for key, position in book.positions.items() if position.quantity}
    assert held == ({} if place == UNASSIGNED else {UNASSIGNED: 1, NAME: 1})


class Poisoned:
    """Marks that pass over one name, and remember what was handled."""

    def __init__(self, name: str) -> None:
        self.name, self.handled = name, list[str]()

    def poison(self, name: str) -> str:
        return "two processes ended at it" if name == self.name else ""

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        self.handled.append(name)
        yield

    @contextmanager
    def waiting(self) -> Iterator[None]:
        yield


@pytest.mark.parametrize(
    ("name", "handled", "passed_over"),
    [("event 1 of the venue", ["event 2 of the venue"], [1]), ("both", [], [1, 2]), ("nothing", ["event 1", ""], [])],
)
def test_what_ended_processes_is_passed_over_by_itself_or_with_its_batch_and_kept(
    name: str, handled: list[str], passed_over: list[int]
):
    entry = order_of(S.WORKING)
    book, changes = book_of(entry)
    events = [VenueEvent(number, ns(601), reported_of(entry, S.CANCELLED)) for number in (1, 2)]
    marks = Poisoned(name)
    surprises = book_venue_events(book, changes, events, Stored(), marks, "both")
    assert len(marks.handled) == len(handled)
    assert surprises == [told_of(entry, number, "is passed over: two processes ended at it") for number in passed_over]
    assert [refused.sequence for refused in changes.refused] == passed_over
    assert book.venue_event == 2
    assert book.orders[entry.client_id].state is (S.WORKING if len(passed_over) == 2 else S.CANCELLED)


def test_an_order_that_works_without_an_event_is_taken_over_at_the_event_that_is_known():
    book, changes = book_of()
    book.venue_event = 7
    entry = order_of(S.WORKING)
    assert book_working_order(book, changes, reported_of(entry, S.WORKING), Stored()) == [
        f"the venue reports order {entry.client_id}, whose row is lost: it is adopted"
    ]
    assert (book.venue_event, book.orders[entry.client_id].state) == (7, S.WORKING)


# --- an order under an id that cannot be ---


def test_a_decision_and_a_leg_say_which_order_it_is_whose_id_cannot_be():
    entry = order_of(S.WORKING)
    book, changes = book_of(entry)
    surprises = hear(book, changes, entry, S.CANCELLED, client_id=BROKEN)
    assert surprises == ["event 1 of the venue, on order 'x\\x00', says what cannot be, client_id 'x\\x00'"]
    assert book.orders[entry.client_id].state is S.CANCELLED
    assert list(book.orders) == [entry.client_id]


def test_a_leg_whose_id_cannot_be_is_that_of_its_entry_also_where_the_book_does_not_have_it_yet():
    entry = order_of(S.FILLED, filled=1)
    book, changes = book_of(entry)
    leg = stop(decision="another", parent=entry.client_id, client_id=BROKEN)
    [surprise] = hear(book, changes, leg)
    assert surprise.endswith("says what cannot be, client_id 'x\\x00'")
    found = book.orders[client_order_id(DECISION, Leg("S1"))]
    assert (found.leg, found.decision, found.strategy) == ("S1", DECISION, NAME)


@pytest.mark.parametrize(
    "said",
    [
        {"decision": "another"},  # a stranger's
        {"leg": "E\n"},
        {"decision": BROKEN},
        {"parent": BROKEN, "decision": "another"},
        {"parent": "nobody", "decision": "another"},
    ],
)
def test_an_order_that_nothing_says_which_it_is_is_passed_over(said: dict[str, Any]):
    entry = order_of(S.WORKING)
    book, changes = book_of(entry)
    [surprise] = hear(book, changes, entry, S.CANCELLED, client_id=BROKEN, **said)
    assert surprise.startswith("event 1 of the venue, on order 'x\\x00', says what cannot be, client_id 'x\\x00'")
    assert surprise.endswith(": it is passed over")
    assert book.orders == {entry.client_id: entry}
    assert [refused.sequence for refused in changes.refused] == [1]


# --- whose prints price it ---


def test_whose_prints_price_a_known_order_is_not_the_venue_s_to_say():
    entry = order_of(S.WORKING)
    book, changes = book_of(entry)
    [surprise] = hear(book, changes, entry, tape_contract=ES)
    assert surprise == told_of(entry, 1, f"says what cannot be, tape_contract '{ES}'")
    assert book.orders[entry.client_id].tape_contract == MES
    surprises = hear(book, changes, entry, tape_contract=ES, side=Side.SELL)  # nor where it differs in more than that
    assert len(surprises) == 2
    assert (book.orders[entry.client_id].side, book.orders[entry.client_id].tape_contract) == (Side.SELL, MES)
    # An order of a month that the feed has no more is priced as it was, and that is nothing to look at.
    old = order_of(S.WORKING, tape_contract=ES)
    book, changes = book_of(old)
    assert hear(book, changes, old) == []


@pytest.mark.parametrize(
    ("contract", "tape", "parent", "expected"),
    [
        (MES, MES, "", MES),
        (MES, ES, "", MES),  # the feed has no other prints for its strategy's contract
        (MES, ES, "entry", MES),
        ("ZZZM2025", ES, "", ES),  # nobody trades it, so nobody here knows better
    ],
)
def test_a_new_order_is_priced_by_a_contract_of_the_feed_where_anybody_knows_one(
    contract: ContractId, tape: str, parent: str, expected: str
):
    entry = order_of(S.FILLED, client_id="entry", filled=1)
    book, changes = book_of(entry)
    new = order_of(S.WORKING, "T9", client_id="new", contract=contract, tape_contract=tape, parent=parent)
    hear(book, changes, new)
    assert book.orders[ClientOrderId("new")].tape_contract == expected


def test_a_leg_is_priced_as_its_entry_is_unless_the_venue_names_prints_of_the_feed():
    entry = order_of(S.FILLED, client_id="entry", filled=1, tape_contract=ES)
    for tape, expected in ((MES, MES), ("NQM2025", ES)):
        book, changes = book_of(entry)
        hear(book, changes, stop(client_id="leg", tape_contract=tape))
        assert book.orders[ClientOrderId("leg")].tape_contract == expected


def test_a_leg_may_be_told_of_only_when_it_has_ended():
    entry = order_of(S.FILLED, client_id="entry", filled=1)
    book, changes = book_of(entry)
    assert hear(book, changes, stop(client_id="leg"), S.REJECTED) == []
    assert book.orders[ClientOrderId("leg")].state is S.REJECTED


def test_what_the_venue_made_is_taken_over_with_all_its_terms():
    entry = order_of(S.FILLED, filled=1)
    book, changes = book_of(entry)
    leg = stop(client_id="leg", parent=entry.client_id, trail=Trailing(20_000, 4), valid_until_ns=ns(900), oco="other")
    bracket = Bracket(5, 6, trail=Trail(1, 2))
    assert hear(book, changes, leg, bracket=bracket, trail=leg.trail, valid_until_ns=ns(900), oco="other") == []
    assert book.orders[ClientOrderId("leg")] == replace(leg, bracket=bracket, version=1)


def test_a_contract_belongs_to_the_strategy_that_trades_it():
    book, _ = book_of()
    assert (owner_of(book, MES), owner_of(book, ES), owner_of(book, ContractId("ZZZM2025"))) == (NAME, "", "")


# --- what differs, and what has moved ---


def test_a_price_that_was_asked_for_is_no_difference_and_is_where_it_is_wanted():
    asked = stop(wanted_price=19_990)
    there, surprises = apply_report(asked, reported_of(asked, S.WORKING, stop_price=19_990))
    assert (surprises, there.stop_price, there.wanted_price) == ([], 19_990, None)
    assert there.version == asked.version + 2  # it has moved, and nothing is wanted of it any more
    elsewhere, surprises = apply_report(asked, reported_of(asked, S.WORKING, stop_price=19_988))
    assert surprises == [f"order {asked.client_id} has the stop price 19988 at the venue, not 19984"]
    assert (elsewhere.stop_price, elsewhere.wanted_price) == (19_988, 19_990)
    still, surprises = apply_report(asked, reported_of(asked, S.WORKING))
    assert (still, surprises) == (asked, [])
    moved = target(wanted_price=20_010)
    there, surprises = apply_report(moved, reported_of(moved, S.WORKING, limit_price=20_010))
    assert (surprises, there.limit_price, there.wanted_price) == ([], 20_010, None)


def test_a_price_that_is_gone_is_a_difference_whatever_is_wanted():
    for order in (stop(), stop(wanted_price=19_990)):
        _, surprises = apply_report(order, reported_of(order, S.WORKING, stop_price=None))
        assert surprises == [f"order {order.client_id} has the stop price None at the venue, not 19984"]


def test_a_stop_that_trails_is_followed_tick_by_tick_and_missed_where_it_is_gone():
    trailing = stop(trail=Trailing(20_000, 4))
    assert apply_report(trailing, reported_of(trailing, S.WORKING, stop_price=19_985))[1] == []
    for ours, theirs in ((19_984, None), (None, 19_984)):
        order = replace(trailing, stop_price=ours)
        _, surprises = apply_report(order, reported_of(order, S.WORKING, stop_price=theirs))
        assert surprises == [f"order {order.client_id} has the stop price {theirs} at the venue, not {ours}"]


@pytest.mark.parametrize(
    ("state", "filled", "faster"),
    [
        (S.WORKING, 1, False),
        (S.PARTIAL, 2, True),
        (S.PARTIAL, 0, False),
        (S.CANCELLED, 1, True),
        (S.FILLED, 3, True),
        (S.PARTIAL, 9, False),  # what cannot be is not believed
    ],
)
def test_a_venue_is_faster_than_its_events_where_an_order_has_ended_or_filled_further(
    state: OrderState, filled: int, faster: bool
):
    known = order_of(S.PARTIAL, quantity=3, filled=1)
    assert was_faster(known, reported_of(known, state, filled=filled)) is faster


@pytest.mark.parametrize(
    ("known", "quantity", "faster"),
    [
        (stop(quantity=2), 1, True),
        (stop(quantity=2), 2, False),
        (stop(quantity=1), 2, False),
        (order_of(S.WORKING, quantity=2), 1, False),
    ],
)
def test_a_venue_is_faster_than_its_events_where_a_leg_has_become_smaller(known: Order, quantity: int, faster: bool):
    """Of an entry nobody but this account says how large it is: a smaller one is a difference."""
    assert was_faster(known, reported_of(known, S.WORKING, quantity=quantity)) is faster


def test_each_difference_is_told_and_the_venue_is_followed_in_all_of_them():
    entry = order_of(S.WORKING, type=OrderType.STOP, stop_price=20_010)
    other = reported_of(
        entry, S.WORKING, contract=ES, side=Side.SELL, type=OrderType.LIMIT, limit_price=5, stop_price=None, quantity=3
    )
    found, surprises = apply_report(entry, other)
    assert [surprise.split(" the ")[1].removesuffix(" at") for surprise in surprises] == [
        f"contract {ES}",
        "side SELL",
        "type LIMIT",
        "limit price 5",
        "quantity 3",
        "stop price None",
    ]
    assert (found.contract, found.side, found.type, found.limit_price, found.stop_price, found.quantity) == (
        ES,
        Side.SELL,
        OrderType.LIMIT,
        5,
        None,
        3,
    )


@pytest.mark.parametrize(
    ("side", "wanted", "there", "trails", "is_there"),
    [
        (Side.SELL, 19_990, 19_990, False, True),
        (Side.SELL, 19_990, 19_992, False, False),
        (Side.SELL, 19_990, 19_991, True, True),  # a stop that trails has gone further up by itself
        (Side.SELL, 19_990, 19_988, True, False),
        (Side.BUY, 20_010, 20_008, True, True),
        (Side.BUY, 20_010, 20_012, True, False),
        (Side.BUY, 20_010, 20_008, False, False),
        (Side.SELL, None, 19_990, True, False),
    ],
)
def test_a_stop_is_where_it_is_wanted_or_trails_beyond(
    side: Side, wanted: int | None, there: int, trails: bool, is_there: bool
):
    order = stop(side=side, stop_price=there, wanted_price=wanted, trail=Trailing(20_000, 4) if trails else None)
    assert is_where_wanted(order) is is_there


def test_an_order_at_the_market_is_at_no_price_that_is_wanted():
    assert not is_where_wanted(order_of(S.WORKING, wanted_price=20_000))


def test_an_order_of_which_nothing_is_left_is_filled_in_whatever_word():
    for filled, state in ((2, S.FILLED), (1, S.UNKNOWN)):
        order = order_of(S.WORKING, quantity=2, filled=filled)
        found, surprises = apply_report(order, reported_of(order, S.UNKNOWN))
        assert found.state is state
        assert surprises == [f"order {order.client_id} is in a state at the venue that this release does not know"]


def test_an_order_that_was_just_taken_over_is_in_any_state():
    new = order_of(S.WORKING, version=0)
    found, surprises = apply_report(new, reported_of(new, S.REJECTED))
    assert (found.state, found.version, surprises) == (S.REJECTED, 2, [])
    assert apply_report(new, reported_of(new, S.WORKING))[0].version == 1


# --- what an entry asks of its exits, and its strategy since ---


def test_a_stop_trails_from_the_fill_that_it_closes():
    for side, level in ((Side.SELL, 20_008), (Side.BUY, 19_992)):
        assert trailing(stop(side=side, entry_price=20_000), Trail(8, 4)) == Trailing(level, 4)
    assert trailing(stop(), Trail(8, 4)) is None


def test_a_stop_and_a_target_each_take_their_part_of_a_protection():
    wanted = Bracket(stop_price=19_990, target_price=20_010)
    assert protected(stop(), wanted) == stop(wanted_price=19_990)
    assert protected(target(), wanted) == target(wanted_price=20_010)
    assert protected(stop(), Bracket(target_price=20_010)) == stop()
    assert protected(target(), Bracket(stop_price=19_990)) == target()
    assert protected(stop(), Bracket(stop_price=19_984)) == stop()  # it is there
    out = stop(type=OrderType.MARKET, stop_price=None)
    assert protected(out, replace(wanted, trail=Trail(8, 4))) == out


def test_a_stop_that_trails_as_it_is_wanted_to_is_asked_nothing():
    wanted, filled = Bracket(trail=Trail(8, 4)), stop(entry_price=20_000)
    assert protected(filled, wanted) == replace(filled, wanted_trail=Trailing(20_008, 4))
    there = replace(filled, trail=Trailing(20_008, 4))
    assert protected(there, wanted) == there
    assert protected(target(entry_price=20_000), wanted) == target(entry_price=20_000)


@pytest.mark.parametrize(
    ("bracket", "told", "held", "expected"),
    [
        (Bracket(16), 20_005, False, 20_005),  # the fill that the venue told together with it
        (Bracket(16), None, False, 20_000),  # a stop at 19984 with a distance of 16
        (Bracket(stop_price=19_984), None, False, None),
        (Bracket(stop_price=19_984), None, True, 20_000),  # the newest price that is held
        (None, None, False, None),
    ],
)
def test_a_leg_knows_the_price_of_the_fill_that_it_closes(
    bracket: Bracket | None, told: int | None, held: bool, expected: int | None
):
    entry = order_of(S.WORKING, quantity=2, bracket=bracket)
    book, changes = book_of(entry, position=1 if held else 0)
    if told is not None:
        hear(book, changes, entry, S.PARTIAL, fill_of(entry, price=told), filled=1)
    hear(book, changes, stop(client_id="leg", parent=entry.client_id))
    assert book.orders[ClientOrderId("leg")].entry_price == expected


def test_a_leg_of_a_later_fill_has_what_its_strategy_has_said_since_and_the_trail_of_its_entry():
    said = Bracket(stop_price=19_990, target_price=20_010)
    entry = order_of(S.WORKING, bracket=Bracket(16, 24, trail=Trail(8, 4)), protection=said)
    book, changes = book_of(entry)
    hear(book, changes, stop(client_id="stop", parent=entry.client_id))
    hear(book, changes, target(client_id="target", parent=entry.client_id))
    leg, other = book.orders[ClientOrderId("stop")], book.orders[ClientOrderId("target")]
    assert (leg.wanted_price, leg.trail) == (19_990, Trailing(20_008, 4))
    assert (other.wanted_price, other.trail) == (20_010, None)


# --- fills ---


def test_a_size_that_fills_do_not_come_to_is_told_unless_it_cannot_be_itself():
    entry = order_of(S.WORKING, quantity=2)
    book, changes = book_of(entry)
    assert hear(book, changes, entry, filled=1) == [
        f"order {entry.client_id} has 1 filled at the venue, its fills come to 0"
    ]
    [surprise] = hear(book, changes, entry, filled=-1)
    assert surprise == told_of(entry, 2, "says what cannot be, filled -1 of 2")
    assert book.orders[entry.client_id].filled == 1
    [surprise] = hear(book, changes, entry, S.FILLED, fill_of(entry), filled=-1)
    assert surprise == told_of(entry, 3, "says what cannot be, filled -1 of 2")
    assert book.orders[entry.client_id].filled == 2


def test_the_first_fill_of_an_entry_is_its_first_and_no_exit_has_one():
    entry = order_of(S.WORKING, quantity=2)
    book, changes = book_of(entry)
    hear(book, changes, entry, S.PARTIAL, fill_of(entry), filled=1)
    hear(book, changes, entry, S.FILLED, fill_of(entry, fill_id="second", time_ns=ns(600.5)), filled=2)
    assert book.orders[entry.client_id].first_fill_ns == ns(601)
    leg = stop()
    book, changes = book_of(leg, position=1)
    hear(book, changes, leg, S.FILLED, fill_of(leg), filled=1)
    assert book.orders[leg.client_id].first_fill_ns is None


def test_what_of_a_fill_cannot_be_is_told_and_whether_it_is_booked():
    entry = order_of(S.WORKING)
    book, changes = book_of(entry)
    [surprise] = hear(book, changes, entry, S.FILLED, fill_of(entry, k=-1), filled=1)
    assert surprise == told_of(entry, 1, "says what cannot be, fill k -1")
    assert [fill.k for fill, *_ in changes.fills] == [0]


def test_a_fill_that_is_known_is_not_looked_at_again():
    entry = order_of(S.FILLED, filled=1)
    book, changes = book_of(entry)
    fill = fill_of(entry)  # no more of the order can fill, which would be told of a new one
    event = VenueEvent(1, ns(601), reported_of(entry, S.FILLED), fill)
    assert book_venue_events(book, changes, [event], Stored(fills={fill.fill_id: fill})) == []


def test_the_fill_of_an_order_of_nobody_is_of_whoever_trades_the_contract_that_filled():
    order = order_of(S.WORKING, "X", decision="theirs", client_id="theirs", strategy="", contract="ZZZM2025")
    book, changes = book_of(order)
    hear(book, changes, order, S.FILLED, fill_of(order, contract=MES), filled=1)
    assert [(key, position.quantity) for key, position in book.positions.items()] == [((NAME, MES), 1)]


def test_what_nobody_trades_is_held_by_nobody_and_counts_for_the_account_alone():
    order = order_of(S.WORKING, "X", decision="theirs", client_id="theirs", strategy="", contract=ES, tape_contract=ES)
    book, changes = book_of(order, manifest=account(commission={"ES": "2"}))
    hear(book, changes, order, S.FILLED, fill_of(order), filled=1)
    assert book.positions[StrategyId(""), ES].quantity == 1
    assert (book.realised, book.strategies[NAME].realised) == (-2, 0)


# --- how much of a position has no stop on purpose ---


def without_stop(order: Order, held: int, free: int, size: int, *, declared: bool = True) -> int:
    """What has no stop on purpose after a fill of this size, of a position of which so much had none."""
    declares: dict[str, Any] = {"noStopRiskTicks": {"MES": 100}} if declared else {}
    book, changes = book_of(order, position=held, manifest=account(**declares))
    if held:
        book.positions = {**book.positions, (NAME, MES): with_stopless(position_of(held), "main", free)}
    hear(book, changes, order, S.FILLED, fill_of(order, quantity=size), filled=order.filled + size)
    return book.positions[NAME, MES].without_stop


def test_what_an_entry_without_a_stop_adds_has_none_and_what_one_with_a_stop_adds_has_one():
    bare, stopped = Bracket(target_ticks=8), Bracket(16, 8)
    more = order_of(S.WORKING, quantity=2, bracket=bare)
    assert without_stop(more, held=1, free=0, size=2) == 2
    assert without_stop(more, held=1, free=1, size=2) == 3
    assert without_stop(replace(more, bracket=stopped), held=1, free=1, size=2) == 1
    assert without_stop(more, held=1, free=1, size=2, declared=False) == 1
    assert without_stop(more, held=-3, free=3, size=2) == 1  # it closes two, and opens nothing
    assert without_stop(more, held=-1, free=1, size=2) == 1  # it closes one, and opens one


def test_a_target_that_no_stop_goes_with_closes_a_part_that_has_none():
    alone = target(quantity=1)
    assert without_stop(alone, held=3, free=2, size=1) == 1
    assert without_stop(alone, held=3, free=0, size=1) == 0
    assert without_stop(replace(alone, oco=ClientOrderId("stop")), held=3, free=2, size=1) == 2
    assert without_stop(stop(), held=3, free=2, size=1) == 2
    assert (
        without_stop(replace(alone, oco=ClientOrderId("stop")), held=2, free=2, size=1) == 1
    )  # there is no more than that
