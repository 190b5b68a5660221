"""The account's book: what it counts, what it forgets, what it tells of itself, and what a venue's word makes of it."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from leadline.execution.core.book import (
    Book,
    Changes,
    Drain,
    Fence,
    RefusedSignal,
    StrategyBook,
    commission_of,
    count_entry,
    fence_off,
    forget,
    new_order,
    note,
    put_order,
    unfence,
)
from leadline.execution.core.booking import (
    Stored,
    asked_of_rows,
    book_venue_events,
    is_foreign,
    not_booked,
    other_positions,
)
from leadline.model.errors import RefusedMessage
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg, RunId, StrategyId, client_order_id
from leadline.model.orders import Bracket, Fill, Order, OrderState, OrderType, Side, VenueEvent
from leadline.model.proposals import Action, Decision, Direction, Proposal
from tests.execution.harness.books import DECISION, book_of, fill_of, order_of, position_of, reported_of
from tests.execution.harness.builders import DAY, ES, MES, account, ns, strategy

D = Decimal
S = OrderState
HOUR_NS = 3_600_000_000_000
NAME = StrategyId("default/mes")


def stop(**fields: object) -> Order:
    return order_of(S.WORKING, "S1", side=Side.SELL, type=OrderType.STOP, stop_price=19_984, parent="entry", **fields)


def booked(book: Book, changes: Changes, *told: tuple[Order, OrderState, Fill | None]) -> list[str]:
    """Book the venue's word on orders: the state of each, and a fill where there was one."""
    events = [
        VenueEvent(
            book.venue_event + number,
            ns(601),
            reported_of(order, state, filled=order.filled + (0 if fill is None else fill.quantity)),
            fill,
        )
        for number, (order, state, fill) in enumerate(told, start=1)
    ]
    return book_venue_events(book, changes, events, Stored())


def test_an_hour_after_its_decision_an_ended_order_and_an_entry_are_forgotten():
    book, _ = book_of()
    since = book.instant_ns - HOUR_NS
    young = order_of(S.FILLED, client_id="young", decision="d1", decided_at_ns=since)
    old = order_of(S.FILLED, client_id="old", decision="d2", decided_at_ns=since - 1)
    working = order_of(S.WORKING, client_id="working", decision="d3", decided_at_ns=since - 1)
    held = order_of(S.FILLED, client_id="held", decision="d4", decided_at_ns=since - 1)
    added = order_of(S.FILLED, client_id="added", decision="d5", decided_at_ns=since - 1)
    book.orders = {order.client_id: order for order in (young, old, working, held, added)}
    book.entry_instants = [since - 1, since, since + 1]
    position = position_of(1, decision=DecisionId("d4"))
    lots = (replace(position.lots[0], client_id=added.client_id),)
    book.positions = {**book.positions, (NAME, MES): replace(position, lots=lots)}
    forget(book)
    assert sorted(book.orders) == ["added", "held", "working", "young"]
    assert book.entry_instants == [since, since + 1]


def test_a_book_begins_with_nothing_counted():
    manifest = account()
    book = Book(RunId("tape"), manifest.full_name, manifest, (MES,), DAY, 0, D(1))
    assert (book.realised, book.trades, book.streak, book.tier_index) == (0, 0, 0, -1)
    assert (book.venue_event, book.last_event, book.finished) == (0, 0, False)
    owner = StrategyBook(NAME, strategy(), "settings", "hash", 0, MES)
    assert (owner.realised, owner.trades, owner.cleared_ns) == (0, 0, -1)


def test_an_entry_counts_for_the_account_for_its_strategy_and_for_the_hour():
    book, _ = book_of()
    owner = book.strategies[NAME]
    count_entry(book, owner)
    count_entry(book, owner)
    assert (book.trades, owner.trades, book.entry_instants) == (2, 2, [book.instant_ns] * 2)


@pytest.mark.parametrize(
    ("working", "positions", "orders", "position", "done"),
    [
        ("Cancel", "Keep", (order_of(S.WORKING),), 0, False),
        ("Cancel", "Keep", (stop(),), 1, True),
        ("Cancel", "Keep", (order_of(S.WORKING), stop()), 1, False),
        ("Keep", "Keep", (order_of(S.WORKING),), 0, True),
        ("Keep", "Flatten", (), 1, False),
        ("Keep", "Flatten", (), 0, True),
        ("Keep", "Refuse", (stop(),), 0, False),
        ("Keep", "Refuse", (), 0, True),
    ],
)
def test_a_drain_is_done_when_what_it_asks_for_is_gone(
    working: str, positions: str, orders: tuple[Order, ...], position: int, done: bool
):
    book, _ = book_of(*orders, position=position, drain=Drain("one", working, positions, ns(600)))
    assert book.drained(NAME) is done
    exposed = bool(orders or position)
    assert book.forgotten(NAME) is not exposed
    assert [name for name, _ in book.present()] == ([NAME] if exposed else [])


def test_without_a_drain_nothing_is_drained_and_nobody_forgotten():
    book, _ = book_of()
    assert (book.drained(NAME), book.forgotten(NAME)) == (False, False)
    assert [name for name, _ in book.present()] == [NAME]


@pytest.mark.parametrize(("state", "waited"), [("Running", True), ("ReduceOnly", True), ("Suspended", False)])
def test_the_loop_waits_for_who_runs_and_is_neither_drained_nor_fenced(state: str, waited: bool):
    book, _ = book_of()
    owner = replace(book.strategies[NAME], manifest=strategy(state=state))
    assert owner.waited_for is waited
    assert not replace(owner, drain=Drain("one", "Keep", "Keep", 0)).waited_for
    assert not replace(owner, fence=Fence("reason", "detail", 0, 0)).waited_for


def test_orders_and_positions_are_found_by_owner_in_the_order_of_their_names():
    book, _ = book_of(order_of(S.WORKING), position=1)
    other = order_of(S.WORKING, client_id="A", strategy="default/a")
    ended = order_of(S.FILLED, client_id="B", strategy="default/b")
    book.orders = {**book.orders, ClientOrderId("A"): other, ClientOrderId("B"): ended}
    book.positions = {**book.positions, (StrategyId("default/c"), ES): position_of(1, StrategyId("default/c"), ES)}
    book.positions = {**book.positions, (StrategyId("default/d"), ES): position_of(0, StrategyId("default/d"), ES)}
    assert book.live_orders(StrategyId("default/a")) == [other]
    assert book.live_orders(StrategyId("default/b")) == []
    assert len(book.live_orders()) == 2
    assert [found.strategy for found in book.open_positions()] == ["default/c", NAME]
    assert [found.strategy for found in book.open_positions(StrategyId("default/c"))] == ["default/c"]
    assert book.places() == ["default/a", "default/c", NAME]
    assert [book.exposed(StrategyId(name)) for name in ("default/a", "default/b", "default/c", "default/d", NAME)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_the_audit_is_numbered_and_says_when():
    book, changes = book_of()
    note(book, changes, "kind", "key", 3, {"a": 1})
    note(book, changes, "kind", "other", 1, {})
    assert [(each.event, each.kind, each.key, each.version, each.instant_ns, each.body) for each in changes.events] == [
        (1, "kind", "key", 3, ns(600), {"a": 1}),
        (2, "kind", "other", 1, ns(600), {}),
    ]


def test_an_order_is_told_whole_and_once():
    book, changes = book_of()
    order = stop(quantity=2, filled=1, reason="why", version=5)
    put_order(book, changes, order)
    put_order(book, changes, order)
    assert (book.orders, changes.orders) == ({order.client_id: order}, {order.client_id: order})
    [event] = changes.events
    assert (event.kind, event.key, event.version) == ("order", order.client_id, 5)
    assert event.body == {
        "client_id": order.client_id,
        "decision": DECISION,
        "leg": "S1",
        "unit": "main",
        "strategy": NAME,
        "contract": MES,
        "tape_contract": MES,
        "side": "SELL",
        "type": "STOP",
        "quantity": 2,
        "filled": 1,
        "limit_price": None,
        "stop_price": 19_984,
        "wanted_price": None,
        "state": "WORKING",
        "reason": "why",
        "taken_out_by": "",
    }


def test_a_fill_is_told_whole_and_moves_money_and_position():
    book, changes = book_of(order_of(S.WORKING, quantity=2), manifest=account(commission={"MES": "0.50"}))
    [order] = book.orders.values()
    assert booked(book, changes, (order, S.PARTIAL, fill_of(order))) == []
    position = book.positions[NAME, MES]
    assert (position.quantity, position.tick_value, position.commission) == (1, D("1.25"), D("0.50"))
    assert changes.positions == {(NAME, MES): position}
    assert (position.decision, position.tape_contract, position.inverse) == (DECISION, MES, False)
    assert (book.realised, book.strategies[NAME].realised) == (D("-0.50"), D("-0.50"))
    [(fill, owner, event)] = changes.fills
    assert (fill.commission, owner, event) == (D("0.50"), NAME, 1)
    bodies = [(each.kind, each.key, each.version, each.body) for each in changes.events[:2]]
    assert bodies == [
        (
            "fill",
            "fill",
            1,
            {
                "fill_id": "fill",
                "client_id": order.client_id,
                "strategy": NAME,
                "unit": "main",
                "contract": MES,
                "side": "BUY",
                "quantity": 1,
                "price": 20_000,
                "time_ns": ns(601),
                "commission": "0.50",
            },
        ),
        ("position", f"{NAME}/{MES}/fill", 1, {"strategy": NAME, "contract": MES, "quantity": 1}),
    ]
    assert book.orders[order.client_id] == replace(order, state=S.PARTIAL, filled=1, version=3, first_fill_ns=ns(601))


def closed_at(price: int, streak: int) -> Book:
    """A long of one, entered at 20000 for nothing, closed at a price after so many won or lost in a row."""
    book, changes = book_of(stop(), position=1, manifest=account(commission={"MES": "0"}))
    book.streak = streak
    [order] = book.orders.values()
    assert booked(book, changes, (order, S.FILLED, fill_of(order, price=price))) == []
    return book


@pytest.mark.parametrize(
    ("price", "before", "after"),
    [
        (20_001, 0, 1),
        (20_001, 2, 3),
        (20_001, -2, 1),
        (19_999, 0, -1),
        (19_999, -2, -3),
        (19_999, 2, -1),
        (20_000, 2, 2),
        (20_000, -2, -2),
    ],
)
def test_a_trade_that_ends_lengthens_or_turns_the_streak(price: int, before: int, after: int):
    book = closed_at(price, before)
    assert book.streak == after
    assert book.realised == (price - 20_000) * D("1.25")
    assert book.positions[NAME, MES].quantity == 0


def test_a_trade_counts_with_its_commissions_and_only_when_it_is_flat():
    book, changes = book_of(stop(quantity=2), position=2, manifest=account(commission={"MES": "1"}))
    [order] = book.orders.values()
    booked(book, changes, (order, S.PARTIAL, fill_of(order, price=20_001)))
    assert book.streak == 0
    second = fill_of(book.orders[order.client_id], fill_id="second", price=20_000)
    booked(book, changes, (book.orders[order.client_id], S.FILLED, second))
    assert book.realised == D("-0.75")  # one tick won, two commissions paid
    assert book.streak == -1


def test_a_position_that_was_flat_belongs_to_the_decision_that_opens_it_again():
    book, changes = book_of(order_of(S.WORKING, decision="next"))
    book.positions = {
        **book.positions,
        (NAME, MES): replace(position_of(0, decision=DecisionId("before")), lots=(), realised=D(9), commission=D(3)),
    }
    [order] = book.orders.values()
    booked(book, changes, (order, S.FILLED, fill_of(order)))
    position = book.positions[NAME, MES]
    assert (position.decision, position.quantity, position.realised) == ("next", 1, D(0))


def test_a_fill_in_a_contract_that_no_row_knows_is_held_and_worth_nothing_known():
    book, changes = book_of(order_of(S.WORKING, contract="ZZZM2025"))
    [order] = book.orders.values()
    booked(book, changes, (order, S.FILLED, fill_of(order)))
    position = book.positions[NAME, "ZZZM2025"]
    assert (position.quantity, position.tick_value, book.realised) == (1, D(0), D(0))


def test_what_a_fill_says_of_another_order_is_told():
    book, changes = book_of(order_of(S.WORKING))
    [order] = book.orders.values()
    surprises = booked(book, changes, (order, S.FILLED, fill_of(order, client_id="another")))
    assert surprises == [f"fill fill of order {order.client_id} names order another"]
    assert changes.fills[0][0].client_id == order.client_id


def test_a_fill_that_is_told_again_is_booked_once_and_nothing_is_said():
    book, changes = book_of(order_of(S.FILLED, filled=1))
    [order] = book.orders.values()
    fill = fill_of(order)
    event = VenueEvent(1, ns(601), reported_of(order, S.FILLED), fill)
    known = Stored(fills={fill.fill_id: replace(fill, commission=D("0.50"))})
    assert book_venue_events(book, changes, [event], known) == []
    assert (changes.fills, book.positions, book.realised) == ([], {}, 0)
    assert changes.orders == {}


def test_a_fill_of_no_size_is_told_and_books_nothing():
    book, changes = book_of(order_of(S.WORKING))
    [order] = book.orders.values()
    surprises = booked(book, changes, (order, S.FILLED, fill_of(order, quantity=0)))
    words = "says what cannot be, fill quantity 0 where 1 can fill, which is not booked"
    assert surprises == [f"event 1 of the venue, on order '{order.client_id}', {words}"]
    assert (book.venue_event, changes.fills) == (1, [])
    [kept] = changes.refused
    assert (kept.stream, kept.subject, kept.sequence, kept.why.reason) == (
        "VENUE",
        "venue.default/paper",
        1,
        "venue_word",
    )
    assert b"quantity=0" in kept.payload


def test_events_that_are_booked_change_nothing_and_those_to_come_are_heard():
    book, _ = book_of(order_of(S.WORKING))
    [order] = book.orders.values()
    events = [VenueEvent(number, ns(601), reported_of(order, S.WORKING)) for number in (3, 4, 5)]
    book.venue_event = 4
    assert not_booked(book, events) == events[2:]


def test_the_rows_are_asked_for_what_the_book_does_not_have():
    book, _ = book_of(order_of(S.WORKING))
    [order] = book.orders.values()
    leg = reported_of(stop(), S.WORKING, client_id="Z-leg", parent="A-entry")
    events = [
        VenueEvent(1, ns(601), reported_of(order, S.WORKING), fill_of(order, fill_id="f2")),
        VenueEvent(2, ns(601), leg, fill_of(order, fill_id="f1")),
    ]
    assert asked_of_rows(book, events) == (["A-entry", "Z-leg"], ["f1", "f2"])


def test_a_leg_that_the_venue_makes_belongs_to_its_entry():
    book, changes = book_of(order_of(S.FILLED, filled=1))
    [entry] = book.orders.values()
    leg = replace(stop(), client_id=ClientOrderId("leg"), parent=entry.client_id)
    event = VenueEvent(1, ns(601), reported_of(leg, S.WORKING, parent=entry.client_id, oco="target"))
    assert book_venue_events(book, changes, [event], Stored()) == []
    found = book.orders[ClientOrderId("leg")]
    assert (found.decision, found.strategy, found.parent, found.version) == (DECISION, NAME, entry.client_id, 1)
    assert not is_foreign(found)


def test_what_somebody_else_placed_is_adopted_and_told():
    book, changes = book_of()
    theirs = order_of(S.WORKING, client_id="theirs", decision="theirs", contract="ZZZM2025")
    surprises = booked(book, changes, (theirs, S.WORKING, None))
    assert surprises == ["the venue reports order theirs, which this book never intended"]
    assert (is_foreign(book.orders[ClientOrderId("theirs")]), book.orders[ClientOrderId("theirs")].strategy) == (
        True,
        "",
    )

    lost = order_of(S.WORKING)
    assert lost.client_id == client_order_id(DECISION, Leg("E"))
    surprises = booked(book, changes, (lost, S.WORKING, None))
    assert surprises == [f"the venue reports order {lost.client_id}, whose row is lost: it is adopted"]
    assert (book.orders[lost.client_id].strategy, book.orders[lost.client_id].decision) == (NAME, DECISION)


def test_book_and_venue_hold_the_same_when_their_sums_by_contract_agree():
    book, _ = book_of(position=2)
    book.positions = {
        **book.positions,
        (StrategyId("default/other"), MES): position_of(-1, StrategyId("default/other")),
    }
    assert other_positions(book, {MES: 1}) == ""
    assert other_positions(book, {MES: 2}) == f"book [('{MES}', 1)] and venue [('{MES}', 2)] hold different positions"
    book.positions = {
        **book.positions,
        (StrategyId("default/other"), MES): position_of(-2, StrategyId("default/other")),
    }
    assert other_positions(book, {}) == ""
    assert other_positions(book, {ES: 1}) != ""


def test_a_commission_is_the_account_s_by_root_or_the_sheet_s_or_nothing():
    manifest = account(commission={"MES": "0.50"})
    assert commission_of(manifest, MES, 3, 20_000) == D("1.50")
    assert commission_of(manifest, ES, 1, 20_000) == commission_of(account(), ES, 1, 20_000) > 0
    assert commission_of(manifest, ContractId("ZZZM2025"), 3, 20_000) == 0


def test_a_strategy_that_is_fenced_off_is_told_with_the_message_that_was_refused():
    book, changes = book_of()
    owner = book.strategies[NAME]
    refused = RefusedSignal("subject", 7, "id", b"payload", RefusedMessage("no_session", "no session there"))
    fence_off(book, changes, owner, refused, ns(599))
    assert owner.fence == Fence("no_session", "no session there", ns(600), ns(599))
    assert changes.refused == [refused]
    [event] = changes.events
    assert (event.kind, event.key, event.version) == ("fence", "fence-1", 1)
    assert event.body == {
        "strategy": NAME,
        "fenced": True,
        "reason": "no_session",
        "detail": "no session there",
        "subject": "subject",
        "sequence": 7,
    }


def test_an_accepted_decision_becomes_a_market_entry_with_its_bracket():
    decision = Decision(
        DecisionId("d"),
        NAME,
        "bar#2",
        "bar",
        Proposal(Action.ENTER, Direction.SHORT),
        ns(600),
        DAY,
        True,
        "",
        Side.SELL,
        2,
        MES,
        Bracket(16, 24),
        ("SellingAbsorption",),
        "Ranging",
        (),
    )
    order = new_order(decision, ClientOrderId("id"), ns(600), ES)
    assert order == Order(
        ClientOrderId("id"),
        DecisionId("d"),
        Leg("E"),
        NAME,
        MES,
        ES,
        Side.SELL,
        OrderType.MARKET,
        2,
        ns(600),
        bracket=Bracket(16, 24),
    )
    with pytest.raises(AssertionError):
        new_order(replace(decision, side=None), ClientOrderId("id"), ns(600), ES)


def test_the_front_contract_is_that_of_the_day_and_before_the_run_that_of_its_first_day():
    book, _ = book_of()
    root = strategy(instrument="MES")
    book.feed_contracts = (MES, ContractId("MESU2025"))
    assert book.front(root) == MES
    book.trading_day = date(2025, 6, 16)
    assert book.front(root) == "MESU2025"
    book.trading_day = date(2025, 6, 2)
    assert book.front(root) == MES
    book.trading_day = None
    assert book.front(root) == MES
    assert book.contracts(root) == (MES, "MESU2025")
    assert book.tapes(book.strategies[NAME]) == (MES, "MESU2025")
    book.strategies[NAME].contract = ContractId("MESU2025")
    assert book.tapes(book.strategies[NAME]) == ("MESU2025",)


def test_the_prints_of_a_strategy_are_those_of_its_month_and_of_the_next():
    book, _ = book_of()
    book.feed_contracts = (MES, ContractId("MESU2025"), ContractId("MESZ2025"))
    assert book.tapes(book.strategies[NAME]) == (MES, "MESU2025")


def test_tiers_that_the_day_began_with_hold_and_those_of_the_manifest_are_to_come():
    written = {"from": "0", "execute": "ES", "minSize": 1, "maxSize": 2}
    book, _ = book_of(manifest=account(tiers=[written]))
    [tier] = book.tiers_in_force
    assert tier.execute == "ES"
    book.tiers = (replace(tier, execute="NQ"),)
    assert book.tiers_in_force == book.tiers
    assert book.roots(MES) == ("NQ", "ES")
    book.tiers = ()
    assert book.roots(MES) == ("MES", "ES")


def test_places_are_the_strategies_and_whoever_owns_what_is_live():
    ended = order_of(S.FILLED, client_id="ended", strategy="default/ended")
    book, _ = book_of(order_of(S.WORKING, client_id="working", strategy=""), ended)
    assert book.places() == ["", NAME]
    book.orders = {}
    book.positions = {
        **book.positions,
        (StrategyId("default/gone"), MES): position_of(-1, strategy=StrategyId("default/gone")),
    }
    book.positions = {
        **book.positions,
        (StrategyId("default/flat"), MES): position_of(0, strategy=StrategyId("default/flat")),
    }
    assert book.places() == ["default/gone", NAME]


def test_one_order_whose_fate_is_open_leaves_the_account_unresolved():
    open_fate, filled = order_of(S.UNKNOWN, client_id="a"), order_of(S.FILLED, client_id="b")
    assert book_of(open_fate, filled)[0].unresolved
    assert not book_of(filled)[0].unresolved
    assert not book_of()[0].unresolved


def test_the_end_of_a_fence_is_told_and_forgives_what_was_said_up_to_its_message():
    book, changes = book_of()
    owner = book.strategies[NAME]
    with pytest.raises(AssertionError, match="is not fenced off"):
        unfence(book, changes, owner, "kim", "mended")
    for progress, joined in ((book.instant_ns + 5, book.instant_ns + 5), (book.instant_ns - 5, book.instant_ns)):
        owner.fence = Fence("bad_message", "a bar of tomorrow", book.instant_ns, progress)
        unfence(book, changes, owner, "kim", "mended")
        assert (owner.fence, owner.cleared_ns, owner.joined_ns) == (None, progress, joined)
    line = changes.events[-1]
    assert (line.kind, line.key, line.version) == ("fence", f"fence-{book.last_event}", 1)
    assert line.body == {"strategy": NAME, "fenced": False, "cleared_by": "kim", "clear_reason": "mended"}
