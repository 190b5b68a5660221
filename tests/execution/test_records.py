"""What the transactions of an account have written: what is read of it, and what its keys and bounds refuse."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from leadline.execution.core.account_settings import set_account
from leadline.execution.core.book import KEPT_NS, Book, BookEvent
from leadline.execution.core.booking import Stored
from leadline.execution.core.records import EVENT_KINDS, AccountRecords, BookedFill, WrittenOrder
from leadline.model.errors import Refused
from leadline.model.ids import ClientOrderId, DecisionId, FillId, Leg, StrategyId
from leadline.model.orders import Bracket, LastPrint, Order, OrderState, OrderType, Side
from leadline.model.proposals import Action, Decision, Direction, Proposal
from tests.execution.harness.books import book_of, fill_of, order_of, position_of
from tests.execution.harness.builders import DAY, ES, MES, account, ns

S = OrderState
NOW = ns(10_000)
SINCE = NOW - KEPT_NS
"""From here on everything is kept in a book, whatever became of it."""


def decision_of(number: int, **fields: Any) -> Decision:
    decision = Decision(
        decision_id=DecisionId(f"decision-{number}"),
        strategy=StrategyId("default/mes"),
        source=f"bar-{number}",
        bar_key=f"bar-{number}",
        proposal=Proposal(Action.ENTER, Direction.LONG),
        instant_ns=NOW,
        trading_day=DAY,
        accepted=True,
        reason="",
        side=Side.BUY,
        quantity=1,
        contract=MES,
        bracket=Bracket(16, 24),
        patterns=(),
        regime="RANGING",
        arithmetic=(),
    )
    return replace(decision, **fields)


def entry_of(number: int, state: OrderState = S.FILLED, **fields: Any) -> Order:
    """The entry of a decision of its own."""
    name = f"decision-{number}"
    return order_of(state, **{"client_id": f"L{number}", "decision": name, "decided_at_ns": NOW, **fields})


def event_of(number: int, key: str = "some", **fields: Any) -> BookEvent:
    return replace(BookEvent(number, "position", key, 1, NOW, {"a": 1}), **fields)


def write(records: AccountRecords, *items: Any, epoch: int = 1, **fields: Any) -> Book:
    """Write a book with these decisions, orders, fills, positions and events in one transaction."""
    book, changes = book_of()
    book.instant_ns = NOW
    for name, value in fields.items():
        setattr(book, name, value)
    for item in items:
        match item:
            case Decision():
                changes.decisions.append(item)
            case Order():
                changes.orders[item.client_id] = item
            case BookEvent():
                changes.events.append(item)
            case tuple():
                changes.fills.append(item)
            case _:
                changes.positions[item.strategy, item.contract] = item
    records.write(book, changes, epoch)
    return book


def loaded(records: AccountRecords) -> Book:
    book = records.load(account(), (MES,), DAY)
    assert book is not None
    return book


def test_before_the_first_transaction_there_is_no_book():
    assert AccountRecords().load(account(), (MES,), DAY) is None


def test_a_book_is_what_was_written_and_what_the_process_says():
    records = AccountRecords()
    prints = {"NQM2025": LastPrint(1, NOW, 1), MES: LastPrint(2, NOW, 2), ES: LastPrint(3, NOW, 3)}
    write(records, last_prints=dict(prints), margin_limits={"NQ": Decimal(5), "ES": Decimal(1)}, realised=Decimal(7))
    write(records, position_of(1), last_prints=dict(prints), margin_limits={"NQ": Decimal(5), "ES": Decimal(1)})
    manifest = account(limits={"dayLoss": "77"})
    book = records.load(manifest, (ES, MES), DAY + timedelta(days=1))
    assert book is not None
    assert (book.manifest, book.feed_contracts, book.trade_from) == (manifest, (ES, MES), DAY + timedelta(days=1))
    assert list(book.last_prints) == [ES, MES, "NQM2025"]
    assert list(book.margin_limits) == ["ES", "NQ"]
    assert book.positions == {("default/mes", MES): position_of(1)}
    assert book.instant_ns == NOW


def test_hot_fields_that_were_set_since_are_those_of_the_book_and_the_others_those_of_the_process():
    records = AccountRecords()
    book, changes = book_of()
    set_account(book, account(limits={"dayLoss": "77"}))
    records.write(book, changes, 1)
    found = records.load(account(limits={"dayLoss": "99"}), (MES,), DAY)
    assert found is not None
    assert found.manifest == account(limits={"dayLoss": "77"})
    assert found.settings == book.settings


def test_a_book_has_the_strategies_by_name_and_keeps_those_that_are_written_no_more():
    records = AccountRecords()
    book, changes = book_of()
    owner = book.strategies[StrategyId("default/mes")]
    book.strategies = {name: replace(owner, strategy=name) for name in (StrategyId("default/nq"), owner.strategy)}
    records.write(book, changes, 1)
    del book.strategies[StrategyId("default/nq")]
    records.write(book, changes, 1)
    assert list(loaded(records).strategies) == ["default/mes", "default/nq"]


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        (entry_of(1, decided_at_ns=SINCE), True),
        (entry_of(1, decided_at_ns=SINCE - 1), False),
        (entry_of(1, S.WORKING, decided_at_ns=SINCE - 1), True),
        (entry_of(1, S.UNKNOWN, decided_at_ns=SINCE - 1), True),
        (entry_of(1, S.CANCELLED, decided_at_ns=NOW), True),
    ],
)
def test_a_book_has_the_orders_of_the_last_hour_and_those_that_live(order: Order, kept: bool):
    records = AccountRecords()
    write(records, order)
    assert loaded(records).orders == ({"L1": order} if kept else {})


@pytest.mark.parametrize("quantity", [-1, 0, 1])
def test_a_book_has_the_old_orders_of_what_is_held(quantity: int):
    records = AccountRecords()
    old = entry_of(1, decided_at_ns=SINCE - 1)
    write(records, old, position_of(quantity, decision=DecisionId("decision-1")), position_of(0, contract=ES))
    assert loaded(records).orders == ({"L1": old} if quantity else {})


@pytest.mark.parametrize("quantity", [-1, 0, 1])
def test_a_book_has_the_old_entries_from_which_what_is_held_has_come(quantity: int):
    records = AccountRecords()
    old = entry_of(1, decided_at_ns=SINCE - 1)
    position = position_of(quantity, decision=DecisionId("decision-2"))
    lots = tuple(replace(lot, client_id=name) for lot in position.lots for name in (old.client_id, ClientOrderId("L0")))
    write(records, old, replace(position, lots=lots))
    assert loaded(records).orders == ({"L1": old} if quantity else {})


def test_an_order_that_ends_is_forgotten_with_the_hour_and_one_that_comes_to_life_again_is_not():
    records = AccountRecords()
    order = entry_of(1, S.WORKING, decided_at_ns=SINCE - 1)
    write(records, order)
    write(records, replace(order, state=S.DEAD))
    assert loaded(records).orders == {}
    write(records, replace(order, state=S.UNKNOWN))
    assert list(loaded(records).orders) == ["L1"]


def test_an_order_belongs_to_the_decision_and_the_time_that_were_written_last():
    records = AccountRecords()
    order = entry_of(1, decided_at_ns=NOW)
    write(records, order, position_of(1, decision=DecisionId("decision-2")))
    write(records, replace(order, decided_at_ns=SINCE - 1))
    assert loaded(records).orders == {}
    write(records, replace(order, decided_at_ns=SINCE - 1, decision=DecisionId("decision-2")))
    assert list(loaded(records).orders) == ["L1"]
    write(records, position_of(1, decision=DecisionId("decision-1")))
    assert loaded(records).orders == {}  # it is that decision's no more
    assert records.sent(9) == {"L1"}


def test_a_book_counts_the_entries_of_the_last_hour_and_knows_what_is_decided_at_its_instant():
    records = AccountRecords()
    told = [(1, NOW, True), (2, NOW, False), (3, SINCE, True), (4, SINCE - 1, True), (5, SINCE + 5, False)]
    decisions = [decision_of(n, instant_ns=at, accepted=accepted) for n, at, accepted in told]
    write(records, *decisions)
    book = loaded(records)
    assert book.entry_instants == [SINCE, NOW]
    assert book.decided == {"decision-1": NOW, "decision-2": NOW}


def test_what_is_recalled_is_what_was_ever_written_of_these_ids():
    records = AccountRecords()
    order = entry_of(1, decided_at_ns=SINCE - 1)
    fill = fill_of(order)
    write(records, order, (fill, "default/mes", 4), epoch=3)
    write(records, entry_of(2), (replace(fill, fill_id=FillId("other")), "", 5))
    assert records.recall([ClientOrderId("L1"), ClientOrderId("L9")], [FillId("fill"), FillId("none")]) == Stored(
        {ClientOrderId("L1"): order}, {FillId("fill"): fill}
    )
    assert records.recall([], []) == Stored()
    assert records.orders[ClientOrderId("L1")] == WrittenOrder(order, 3)
    assert records.fills[FillId("fill")] == BookedFill(fill, StrategyId("default/mes"), 4)


@pytest.mark.parametrize("state", list(S))
def test_an_order_was_sent_where_somebody_can_say_that_the_venue_has_had_it(state: OrderState):
    records = AccountRecords()
    write(records, entry_of(1, state))
    never_proven = state in {S.PENDING, S.SENDING, S.UNKNOWN, S.DEAD, S.EXPIRED_LOCAL}
    assert records.sent(9) == (frozenset() if never_proven else {"L1"})


def test_what_the_venue_made_and_what_somebody_else_placed_was_not_sent_from_here():
    records = AccountRecords()
    leg = order_of(S.FILLED, "S1", client_id="L1S1", decision="decision-1", parent="L1", type=OrderType.STOP)
    write(records, entry_of(1), leg, entry_of(2, client_id="theirs", decision="theirs", leg=Leg("X")))
    assert records.sent(9) == {"L1"}
    assert records.sent(1) == {"L1"}  # they do not count as the newest either
    assert records.sent(0) == frozenset()


def test_the_newest_are_those_that_were_decided_last():
    records = AccountRecords()
    write(records, *(entry_of(number, decided_at_ns=NOW + number % 5) for number in (3, 1, 4, 2, 5)))
    assert records.sent(2) == {"L4", "L3"}


# --- what is refused ---

DECISION, FILL, EVENT = decision_of(1), (fill_of(entry_of(1)), "default/mes", 1), event_of(1)
WRITTEN = (DECISION, entry_of(1, S.WORKING), FILL, EVENT)
ZERO = "a text has a zero character in it"


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([replace(DECISION, source="other")], "decision decision-1 of default/mes on other is there"),
        ([decision_of(2, source="bar-1")], "decision decision-2 of default/mes on bar-1 is there"),
        ([decision_of(2), decision_of(2, source="other")], "decision decision-2 of default/mes on other is there"),
        ([decision_of(2), decision_of(3, source="bar-2")], "decision decision-3 of default/mes on bar-2 is there"),
        ([entry_of(2, quantity=0)], "order L2 has 0 of 0 filled"),
        ([entry_of(2, filled=-1)], "order L2 has -1 of 1 filled"),
        ([entry_of(2, decision="decision-1")], "the leg E of decision decision-1 is there"),
        ([entry_of(2), entry_of(3, decision="decision-2")], "the leg E of decision decision-2 is there"),
        ([entry_of(2, S.PENDING), entry_of(3, S.UNKNOWN)], f"an entry in {MES} whose fate is open is there"),
        ([FILL], "fill fill of 1 is there, or has no size"),
        ([(replace(FILL[0], fill_id=FillId("other"), quantity=0), "", 2)], "fill other of 0 is there, or has no size"),
        ([(replace(FILL[0], fill_id=FillId("other")), "", 2)] * 2, "fill other of 1 is there, or has no size"),
        ([event_of(1, "other")], "event 1, position other version 1, is there"),
        ([event_of(2)], "event 2, position some version 1, is there"),
        ([event_of(2, "other"), event_of(2, "third")], "event 2, position third version 1, is there"),
        ([event_of(2, "other"), event_of(3, "other")], "event 3, position other version 1, is there"),
        ([event_of(2, "other", kind="weather")], "'weather' is no kind of event"),
        ([event_of(2, "other", body={"a": ["\x00"]})], ZERO),
    ],
)
def test_a_transaction_that_breaks_a_key_or_a_bound_is_refused_and_nothing_of_it_is_kept(items: list[Any], why: str):
    records = AccountRecords()
    write(records, *WRITTEN)
    before, events = loaded(records), dict(records.events)
    new = [decision_of(8), entry_of(8), (replace(FILL[0], fill_id=FillId("eighth")), "", 8), event_of(8, "eighth")]
    with pytest.raises(Refused) as refused:
        write(records, *new, position_of(3), *items, realised=Decimal(9))
    assert str(refused.value) == f"the store does not take what the book says: {why}"
    assert refused.value.part == "database"
    assert (loaded(records), records.events) == (before, events)
    assert records.recall([ClientOrderId("L8")], [FillId("eighth")]) == Stored()
    write(records, *new, position_of(3))  # what was refused holds no place
    assert records.recall([ClientOrderId("L8")], []).orders


@pytest.mark.parametrize("where", ["account", "strategy", "settings"])
def test_a_zero_character_is_refused_wherever_a_text_of_the_book_stands(where: str):
    records = AccountRecords()
    book, changes = book_of()
    if where == "account":
        book.flatten = "\x00"
    elif where == "strategy":
        book.strategies[StrategyId("default/mes")].flatten = "\x00"
    else:
        book.settings = {"limits": "\x00"}
    with pytest.raises(Refused, match=ZERO):
        records.write(book, changes, 1)
    assert records.account is None


def test_the_letters_of_an_escape_are_no_zero_character():
    records = AccountRecords()
    body = {"a": "\\u0000", "b": "\\\\u0000"}
    write(records, event_of(1, body=body))
    assert records.events[1].body == body


def test_what_is_no_other_row_is_taken():
    records = AccountRecords()
    write(records, *WRITTEN)
    write(
        records,
        decision_of(2, source="bar-1", strategy="default/nq"),  # another strategy's
        entry_of(1, S.FILLED, filled=1),  # the same order again
        order_of(S.WORKING, "S1", client_id="L1S1", decision="decision-1"),
        entry_of(2, S.PENDING),
        entry_of(3, S.PENDING, contract=ES),  # an open entry in another contract
        order_of(S.PENDING, "F1", client_id="L4F1", decision="decision-4"),  # no entry
        (replace(FILL[0], fill_id=FillId("other")), "", 2),
        event_of(2, version=2),
        event_of(3, kind="halt"),
    )
    assert set(records.orders) == {"L1", "L1S1", "L2", "L3", "L4F1"}
    write(records, entry_of(2, S.WORKING))
    write(records, entry_of(5, S.SENDING))  # the one before is open no more
    with pytest.raises(Refused, match=f"an entry in {MES} whose fate is open is there"):
        write(records, entry_of(6, S.SENDING))
    write(records, entry_of(5, S.UNKNOWN))  # the same one may stay open


def test_an_order_whose_fate_is_known_frees_no_place_of_another_one():
    records = AccountRecords()
    write(records, *WRITTEN)
    write(records, entry_of(2, S.PENDING))
    with pytest.raises(Refused, match=f"an entry in {MES} whose fate is open is there"):
        write(records, entry_of(1, S.FILLED), entry_of(3, S.PENDING))


def test_an_order_of_another_decision_leaves_its_leg_to_the_next():
    records = AccountRecords()
    write(records, *WRITTEN)
    write(records, entry_of(1, decision="decision-7"))
    write(records, entry_of(2, decision="decision-1"))
    with pytest.raises(Refused, match="the leg E of decision decision-7 is there"):
        write(records, entry_of(3, decision="decision-7"))


def test_every_kind_of_line_in_the_audit_is_taken():
    assert sorted(EVENT_KINDS) == ["decision", "fence", "fill", "halt", "order", "position"]
    records = AccountRecords()
    write(records, *(event_of(number, kind=kind) for number, kind in enumerate(sorted(EVENT_KINDS), 1)))
    assert [event.kind for _, event in sorted(records.events.items())] == sorted(EVENT_KINDS)
