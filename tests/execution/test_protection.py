"""What has to leave the market, as a function of the book: protection that does not fit, what nobody owns, drains."""

from dataclasses import replace

import pytest

from leadline.execution.core.book import Book, Drain, UnitExit
from leadline.execution.core.day import next_timer, roll
from leadline.execution.core.exits import Cancel, Close, at_rest, next_try, settled, wanted
from leadline.execution.core.protection import unprotected
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg, StrategyId, client_order_id
from leadline.model.orders import Order, OrderState, OrderType, Side, Trailing
from tests.execution.harness.books import DECISION, book_of, order_of, position_of
from tests.execution.harness.builders import ES, MES, ROLL_S, account, ns

S = OrderState
LIVE = [state for state in S if not state.terminal]


def leg(name: str, quantity: int = 1, state: OrderState = S.WORKING, **fields: object) -> Order:
    """A leg of a long's bracket."""
    kind = OrderType.STOP if name.startswith("S") else OrderType.LIMIT
    return order_of(state, name, side=Side.SELL, type=kind, quantity=quantity, parent="entry", **fields)


def whys(book: Book) -> list[str]:
    return [found.why for found in unprotected(book)]


def said(book: Book, spent: frozenset[ClientOrderId] = frozenset()) -> list[tuple[str, str, str]]:
    """What is wanted: cancel or close, the leg, and the reason."""
    return [
        ("cancel", action.order.leg, action.reason)
        if isinstance(action, Cancel)
        else ("close", action.order.leg, action.order.reason)
        for action in wanted(book, halted=False, spent=spent)
    ]


@pytest.mark.parametrize("quantity", [1, 2])
def test_a_position_behind_stops_of_its_size_is_protected(quantity: int):
    assert whys(book_of(leg("S1", quantity), leg("T1", quantity), position=quantity)[0]) == []
    assert whys(book_of(leg("S1", 1), leg("T1", 1), leg("S2", 1), leg("T2", 1), position=2)[0]) == []


def test_a_stop_alone_protects_and_a_cancel_that_is_not_proven_leaves_it_in_the_market():
    assert whys(book_of(leg("S1"), position=1)[0]) == []
    assert whys(book_of(leg("S1", state=S.PENDING_CANCEL), position=1)[0]) == []


@pytest.mark.parametrize(
    ("exits", "position", "stops", "targets"),
    [
        ([], 1, 0, 0),
        ([leg("T1")], 1, 0, 1),
        ([leg("S1"), leg("T1")], 2, 1, 1),
        ([leg("S1", 2), leg("T1", 2)], 1, 2, 2),
        ([leg("S1"), leg("T1", 2)], 1, 1, 2),
        ([leg("S1", 2, filled=1), leg("T1")], 2, 1, 1),
        ([leg("S1"), leg("T1")], 0, 0, 0),
        ([leg("S1"), leg("T1")], -1, 0, 0),
        ([leg("S1", state=S.CANCELLED)], 1, 0, 0),
        ([leg("S1", contract="ESM2025")], 1, 0, 0),
    ],
)
def test_a_position_whose_exits_are_not_of_its_size_is_not_protected(
    exits: list[Order], position: int, stops: int, targets: int
):
    book, _ = book_of(*exits, position=position)
    assert f"default/mes holds {position} MESM2025 behind stops for {stops} and targets for {targets}" in whys(book)


def test_an_entry_that_still_fills_is_no_exit():
    entry = order_of(S.PARTIAL, quantity=2, filled=1)
    assert whys(book_of(entry, leg("S1"), leg("T1"), position=1)[0]) == []
    assert whys(book_of(order_of(S.WORKING))[0]) == []


def test_one_exit_that_would_add_to_the_position_is_one_too_many():
    wrong = replace(leg("T2"), side=Side.BUY)
    said_of = "default/mes holds 1 MESM2025 behind stops for 1 and targets for 1"
    assert whys(book_of(leg("S1"), leg("T1"), wrong, position=1)[0]) == [said_of]


@pytest.mark.parametrize("state", LIVE)
@pytest.mark.parametrize("after", [S.FILLED, S.CANCELLED])
def test_a_target_that_may_never_have_come_is_judged_when_its_fate_is_known(state: OrderState, after: OrderState):
    stop = leg("S1", state=after)
    target = replace(leg("T1", state=state), oco=stop.client_id)
    is_open = after is S.FILLED and state in (S.PENDING, S.SENDING, S.UNKNOWN)
    said_of = "default/mes holds 0 MESM2025 behind stops for 0 and targets for 0"
    assert whys(book_of(stop, target)[0]) == ([] if is_open else [said_of])


def test_a_long_and_a_short_in_two_contracts_are_looked_at_each_for_itself():
    short = [replace(leg(name, contract=ES), side=Side.BUY) for name in ("S2", "T2")]
    book, _ = book_of(leg("S1"), leg("T1"), *short, position=1)
    book.positions = {**book.positions, (StrategyId("default/mes"), ES): position_of(-1, contract=ES)}
    assert whys(book) == []


@pytest.mark.parametrize("state", LIVE)
def test_what_is_being_closed_is_not_looked_at(state: OrderState):
    assert whys(book_of(order_of(state, "F1", side=Side.SELL), position=1)[0]) == []
    assert whys(book_of(order_of(S.REJECTED, "F1", side=Side.SELL), position=1)[0]) != []
    assert whys(book_of(position=1, flatten="flat_by")[0]) == []
    book, _ = book_of(position=1)
    book.flatten = "a person"
    assert whys(book) == []


def test_getting_out_cancels_first_and_then_closes_with_one_order():
    book, _ = book_of(leg("S1"), leg("T1"), position=1, flatten="unprotected")
    assert said(book) == [("cancel", "T1", "unprotected")]
    book, _ = book_of(leg("S1"), position=1, flatten="unprotected")
    assert said(book) == [("cancel", "S1", "unprotected")]
    book, _ = book_of(position=1, flatten="unprotected")
    assert said(book) == [("close", "F1", "unprotected")]
    book, _ = book_of(order_of(S.UNKNOWN, "F1", side=Side.SELL), position=1, flatten="unprotected")
    assert said(book) == []


def test_a_closing_order_takes_the_first_id_that_was_never_used():
    spent = frozenset({client_order_id(DECISION, Leg("F2"))})
    book, _ = book_of(order_of(S.REJECTED, "F1"), position=1, flatten="flat_by")
    assert said(book) == [("close", "F2", "flat_by")]
    assert said(book, spent) == [("close", "F3", "flat_by")]


def test_a_closing_order_that_is_refused_again_and_again_is_tried_at_a_bounded_rate():
    refused = [order_of(S.REJECTED, f"F{number}", decided_at_ns=ns(600)) for number in range(1, 5)]
    book, _ = book_of(*refused[:2], position=1, flatten="flat_by")
    assert (said(book), next_try(book)) == ([("close", "F3", "flat_by")], None)
    book, _ = book_of(*refused[:3], position=1, flatten="flat_by")
    assert (said(book), next_try(book)) == ([], ns(601))
    book, _ = book_of(*refused, position=1, flatten="flat_by")
    assert (said(book), next_try(book)) == ([], ns(602))
    book.instant_ns = ns(602)
    assert (said(book), next_try(book)) == ([("close", "F5", "flat_by")], None)
    many = [order_of(S.REJECTED, f"F{number}", decided_at_ns=ns(600)) for number in range(1, 100)]
    assert next_try(book_of(*many, position=1, flatten="flat_by")[0]) == ns(660)
    # One that filled in part did something: the next one follows at once.
    filled = [replace(order, state=S.CANCELLED, filled=1) for order in refused]
    assert next_try(book_of(*filled, position=1, flatten="flat_by")[0]) is None


def test_getting_out_cancels_what_works_once_and_leaves_what_closes_alone():
    book, _ = book_of(leg("S1", state=S.PENDING_CANCEL), leg("T1", state=S.PARTIAL), position=1, flatten="flat_by")
    assert said(book) == [("cancel", "T1", "flat_by")]
    book, _ = book_of(order_of(S.WORKING, "F1", side=Side.SELL), leg("S1"), position=1, flatten="flat_by")
    assert said(book) == [("cancel", "S1", "flat_by")]


@pytest.mark.parametrize("name", ["E", "T1", "S2"])
@pytest.mark.parametrize("state", [state for state in LIVE if state not in {S.WORKING, S.PARTIAL}])
def test_a_position_keeps_its_stop_while_the_close_waits_for_another_order(name: str, state: OrderState):
    waits = order_of(state) if name == "E" else leg(name, state=state)
    stop = leg("S1")
    book, _ = book_of(stop, waits, position=1, flatten="flat_by")
    assert said(book) == []
    book.strategies[StrategyId("default/mes")].flatten, book.flatten = "", "day_loss"
    assert said(book) == []
    # Of another contract nothing waits for it.
    book.positions = {
        **book.positions,
        (StrategyId("default/mes"), ES): position_of(1, contract=ES, decision=DecisionId("other")),
    }
    assert said(book) == [("close", "F1", "day_loss")]
    # Without a position, or on its other side, a stop protects nothing: it goes at once.
    for quantity in (0, -1):
        book, _ = book_of(stop, waits, position=quantity, flatten="flat_by")
        assert said(book) == [("cancel", "S1", "flat_by")]


@pytest.mark.parametrize("state", LIVE)
def test_the_rest_keeps_its_stop_while_a_part_is_being_closed(state: OrderState):
    part = order_of(state, "F1", side=Side.SELL, unit="main")
    # Three are held: one is being closed, and the stop of the other two waits for the end of that.
    book, _ = book_of(part, leg("S1", 2), leg("T1", 2), position=3, flatten="day_loss")
    assert said(book) == [("cancel", "T1", "day_loss")]
    book, _ = book_of(part, leg("S1", 2), position=3, flatten="day_loss")
    assert said(book) == []
    book, _ = book_of(replace(part, state=S.REJECTED), leg("S1", 2), position=3, flatten="day_loss")
    assert said(book) == [("cancel", "S1", "day_loss")]
    # A stop for more than the rest could turn the position round together with the close.
    book, _ = book_of(part, leg("S1", 3), position=3, flatten="day_loss")
    assert said(book) == [("cancel", "S1", "day_loss")]
    # Either side, and all that is held of the contract.
    buys = [replace(part, side=Side.BUY), replace(leg("S1", 2), side=Side.BUY)]
    assert said(book_of(*buys, position=-3, flatten="day_loss")[0]) == []


@pytest.mark.parametrize("state", LIVE)
def test_the_rest_is_closed_beside_a_part_when_it_has_no_stop_any_more(state: OrderState):
    part = order_of(state, "F1", side=Side.SELL, quantity=2, unit="main")
    book, _ = book_of(part, position=3, flatten="unprotected")
    [close] = wanted(book, halted=False)
    assert isinstance(close, Close)
    assert (close.order.leg, close.order.quantity, close.order.reason) == ("F2", 1, "unprotected")
    for held in (1, 2):
        assert said(book_of(part, position=held, flatten="unprotected")[0]) == []


def test_a_part_that_leaves_without_a_stop_is_closed_beside_another():
    going = order_of(OrderState.WORKING, "F1", side=Side.SELL, quantity=1, unit="main")
    for size, closed in ((1, []), (2, [("F2", 1)]), (3, [("F2", 2)])):
        book, _ = book_of(going, position=3, exits=(UnitExit("main", size, "exit"),))
        found = [action.order for action in wanted(book, halted=False) if isinstance(action, Close)]
        assert [(order.leg, order.quantity) for order in found] == closed


def test_a_stop_that_goes_for_its_target_is_cancelled_once_although_its_unit_leaves_too():
    stop = replace(order_of(OrderState.WORKING, "S1", side=Side.SELL, quantity=1, unit="main"), unwanted=True)
    book, _ = book_of(stop, position=1, exits=(UnitExit("main", None, "exit"),))
    assert [(action.order.leg, type(action)) for action in wanted(book, halted=False)] == [("S1", Cancel)]


def test_an_account_that_is_closed_closes_every_strategy_and_a_strategy_s_own_reason_comes_first():
    book, _ = book_of(position=1)
    book.flatten = "a person"
    assert said(book) == [("close", "F1", "a person")]
    book.strategies[StrategyId("default/mes")].flatten = "day_loss"
    assert said(book) == [("close", "F1", "day_loss")]


@pytest.mark.parametrize(("position", "side"), [(1, Side.SELL), (2, Side.SELL), (-1, Side.BUY), (-2, Side.BUY)])
def test_a_closing_order_is_of_the_other_side_and_of_the_whole_size(position: int, side: Side):
    book, _ = book_of(position=position, flatten="flat_by")
    [close] = wanted(book, halted=False)
    assert close == Close(
        order_of(
            S.PENDING, "F1", side=side, quantity=abs(position), reason="flat_by", decided_at_ns=book.instant_ns, unit=""
        )
    )


def test_without_a_reason_nothing_leaves_and_a_halt_and_a_drain_cancel_entries_alone():
    entry, stop = order_of(S.WORKING), leg("S1")
    book, _ = book_of(entry, stop, position=1)
    assert wanted(book, halted=False) == []
    assert wanted(book, halted=True) == [Cancel(entry, "halt")]
    book.strategies[StrategyId("default/mes")].drain = Drain("one", "Keep", "Keep", ns(600))
    assert wanted(book, halted=False) == []
    book.strategies[StrategyId("default/mes")].drain = Drain("one", "Cancel", "Keep", ns(600))
    assert wanted(book, halted=False) == [Cancel(entry, "drain")]
    assert wanted(book, halted=True) == [Cancel(entry, "halt")]


def test_only_refused_closing_orders_of_the_same_decision_make_the_next_one_wait():
    others = [order_of(S.REJECTED, f"S{number}") for number in range(1, 5)]
    others += [order_of(S.REJECTED, f"F{number}", decision="another", client_id=f"o{number}") for number in range(5)]
    assert next_try(book_of(*others, position=1, flatten="flat_by")[0]) is None


def test_a_closing_order_that_works_is_not_refused():
    orders = [order_of(S.REJECTED, f"F{number}", decided_at_ns=ns(600)) for number in (1, 2)]
    working = order_of(S.WORKING, "F3", side=Side.SELL, decided_at_ns=ns(600))
    assert next_try(book_of(*orders, working, position=1, flatten="flat_by")[0]) is None


def test_the_wait_begins_at_the_last_order_that_was_refused():
    refused = [order_of(S.REJECTED, f"F{n}", decided_at_ns=ns(at)) for n, at in ((1, 600), (2, 610), (3, 605))]
    assert next_try(book_of(*refused, position=1, flatten="flat_by")[0]) == ns(611)


def test_the_next_try_is_the_earliest_of_all_positions():
    refused = [order_of(S.REJECTED, f"F{number}", decided_at_ns=ns(600)) for number in range(1, 5)]
    later = [
        replace(order, decision=DecisionId("other"), client_id=ClientOrderId(f"o{order.leg}"), decided_at_ns=ns(605))
        for order in refused
    ]
    book, _ = book_of(*refused, *later, position=1, flatten="flat_by")
    book.positions = {
        **book.positions,
        (StrategyId("default/mes"), ES): position_of(1, contract=ES, decision=DecisionId("other")),
    }
    assert next_try(book) == ns(602)


def test_a_reason_to_leave_ends_when_nothing_is_left():
    book, _ = book_of(position=1, flatten="flat_by")
    owner = book.strategies[StrategyId("default/mes")]
    assert (settled(book), owner.flatten) == (False, "flat_by")
    book.positions = {}
    assert (settled(book), owner.flatten) == (True, "")
    assert not settled(book)


def foreign(state: OrderState = S.WORKING, contract: ContractId = ContractId("MNQM2025")) -> Order:
    """An order that somebody else placed in a contract that nobody here trades."""
    return order_of(
        state, "X", client_id="theirs", decision="theirs", strategy="", contract=contract, tape_contract=contract
    )


def test_what_somebody_else_holds_stays_until_a_person_flattens_the_account():
    book, _ = book_of(foreign())
    book.positions = {
        **book.positions,
        (StrategyId(""), "MNQM2025"): position_of(1, StrategyId(""), ContractId("MNQM2025"), DecisionId("theirs")),
    }
    assert (said(book), whys(book), book.places()) == ([], [], ["", "default/mes"])
    book.flatten = "a person"
    assert said(book) == [("cancel", "X", "a person")]
    assert not settled(book)
    book.orders = {ClientOrderId("theirs"): foreign(S.FILLED)}
    [close] = wanted(book, halted=False)
    assert isinstance(close, Close)
    assert (close.order.leg, close.order.strategy, close.order.contract) == ("F1", "", "MNQM2025")
    book.positions = {}
    assert settled(book)
    assert book.flatten == ""


@pytest.mark.parametrize("reason", ["flat_by", "day_loss", "unprotected", "drain"])
@pytest.mark.parametrize("state", LIVE)
def test_what_somebody_else_placed_in_a_strategy_s_contract_does_not_go_with_the_strategy(
    state: OrderState, reason: str
):
    theirs = replace(foreign(state, MES), strategy=StrategyId("default/mes"))
    book, _ = book_of(theirs, leg("T1"), leg("S1"), position=1, flatten=reason)
    assert said(book) == [("cancel", "T1", reason)]
    book, _ = book_of(theirs, position=1, flatten=reason)
    assert said(book) == [("close", "F1", reason)]  # which waits for no order of somebody else
    assert not settled(book)
    book.positions = {}
    owner = book.strategies[StrategyId("default/mes")]
    assert (said(book), settled(book), owner.flatten) == ([], True, "")
    owner.flatten, book.flatten = reason, "a person"
    assert said(book) == ([("cancel", "X", reason)] if state in {S.WORKING, S.PARTIAL} else [])
    assert not settled(book)


def test_what_is_this_account_s_own_and_no_strategy_looks_after_is_closed():
    book, _ = book_of(leg("S1", strategy=""), foreign())
    book.positions = {**book.positions, (StrategyId(""), MES): position_of(1, StrategyId(""))}
    assert said(book) == [("cancel", "S1", "no strategy")]
    book.orders = {ClientOrderId("theirs"): foreign()}
    assert said(book) == [("close", "F1", "no strategy")]
    book.orders = {ClientOrderId("theirs"): foreign(contract=MES)}
    assert said(book) == [("close", "F1", "no strategy")]
    book, _ = book_of(order_of(S.WORKING, strategy=""))
    assert said(book) == [("cancel", "E", "no strategy")]


@pytest.mark.parametrize("state", LIVE)
def test_a_drain_cancels_what_works_and_is_done_when_no_entry_is_left(state: OrderState):
    drain = Drain("one", "Cancel", "Keep", ns(600))
    book, _ = book_of(order_of(state), leg("S1"), drain=drain)
    assert said(book) == ([("cancel", "E", "drain")] if state in {S.WORKING, S.PARTIAL} else [])
    assert not book.drained(StrategyId("default/mes"))
    book.orders = {order.client_id: order for order in (order_of(S.CANCELLED), leg("S1"))}
    assert book.drained(StrategyId("default/mes"))


TIERS = (
    {"from": "0", "execute": "MES", "maxSize": 3, "dayLoss": "100"},
    {"from": "3000", "execute": "ES", "maxSize": 1, "dayLoss": "300"},
)


@pytest.mark.parametrize(
    ("orders", "position", "tier"), [((), 0, 1), ((order_of(S.WORKING),), 0, 0), ((), 1, 0), ((leg("S1"),), 1, 0)]
)
def test_an_account_that_holds_or_works_anything_keeps_its_tier_at_the_roll(
    orders: tuple[Order, ...], position: int, tier: int
):
    book, _ = book_of(*orders, position=position, manifest=account("2500", TIERS))
    assert book.tier_index == 0
    book.realised, book.instant_ns = book.equity_at_roll, ns(ROLL_S)
    assert next_timer(book) != ns(ROLL_S)
    assert roll(book)
    assert book.tier_index == tier


def test_a_book_is_at_rest_behind_exits_that_are_as_they_are_wanted():
    assert at_rest(book_of()[0])
    assert at_rest(book_of(order_of(S.FILLED), leg("S1"), leg("T1", state=S.PARTIAL), position=1)[0])
    assert at_rest(book_of(order_of(S.EXPIRED_LOCAL), leg("S1", state=S.CANCELLED))[0])


@pytest.mark.parametrize(
    "order",
    [
        *(order_of(state) for state in LIVE),
        *(leg("S1", state=state) for state in LIVE if state not in {S.WORKING, S.PARTIAL}),
        leg("S1", wanted_price=19_990),
        leg("S1", wanted_trail=Trailing(20_010, 4)),
        leg("T1", state=S.DEAD),
        leg("T1", state=S.EXPIRED_LOCAL),
        leg("S1", strategy="default/gone"),
        order_of(S.WORKING, "F1", side=Side.SELL),
    ],
)
def test_a_book_with_an_order_of_which_something_may_be_wanted_is_not_at_rest(order: Order):
    assert not at_rest(book_of(order, position=1)[0])


def test_a_book_of_which_something_is_to_leave_is_not_at_rest():
    assert not at_rest(book_of(leg("S1"), position=1, flatten="person")[0])
    assert not at_rest(book_of(leg("S1"), position=1, exits=(UnitExit("main", 1, "reason"),))[0])
    closing, nobodys = (book_of(leg("S1"), position=1)[0] for _ in range(2))
    closing.flatten = "person"
    nobodys.hold(position_of(1, StrategyId("")))
    assert not at_rest(closing)
    assert not at_rest(nobodys)
