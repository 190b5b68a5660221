"""Strategies whose entries are alternatives on their account: the first fill takes out what the others have waiting."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import account_view, settings
from leadline.execution.core.book import StrategyBook
from leadline.execution.core.booking import Stored, book_venue_events
from leadline.execution.core.exits import Cancel, wanted
from leadline.execution.core.protection import unprotected
from leadline.model.ids import ClientOrderId, ContractId, Leg, StrategyId
from leadline.model.orders import Bracket, Order, OrderState, OrderType, Side, VenueEvent
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from leadline.model.ticks import NS_PER_SECOND
from tests.execution.harness.books import book_of, fill_of, order_of, position_of, reported_of
from tests.execution.harness.builders import MES, MNQ, account, bar, ns, says, strategy, tape
from tests.execution.harness.days import rivals
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.stores import IN_BOTH

ROOM: dict[str, Any] = {"limits": {"maxPosition": 4, "dayLoss": "2000", "dayTarget": "5000"}}
ALTERNATIVES: dict[str, Any] = {**ROOM, "pendingEntries": "FirstFillWins"}
EXITS = Bracket(16, 24)
ABOVE = Proposal(Action.ENTER, Direction.LONG, EntryTerms(OrderType.STOP, 20_008), EXITS)
BELOW = Proposal(Action.ENTER, Direction.SHORT, EntryTerms(OrderType.STOP, 19_992), EXITS)
NOW = Proposal(Action.ENTER, Direction.LONG)


def saying(seconds: float, *proposals: Proposal, contract: ContractId = MES, close: int = 20_000) -> BarSignals:
    return replace(bar(seconds, close=close, contract=contract), regime=None, signals=(), proposals=proposals)


def desk_of(
    books: Books,
    folder: Path,
    mes: list[BarSignals],
    mnq: list[BarSignals],
    *,
    mes_prints: Sequence[tuple[float, ...]] = (),
    mnq_prints: Sequence[tuple[float, ...]] = (),
    **spec: Any,
) -> Desk:
    """Two strategies of one account, each with a contract of its own: it has a print just before and after each bar."""
    around = [
        ((each.known_at_ns - ns(0)) / NS_PER_SECOND + away, each.close) for each in (*mes, *mnq) for away in (-0.5, 0.5)
    ]
    prints = {
        contract: tape(*sorted([*rows, *around, (1_990, 20_000)], key=lambda row: row[0]))
        for contract, rows in ((MES, mes_prints), (MNQ, mnq_prints))
    }
    speech = {
        "default/mes": says(mes, end=2_000),
        "default/mnq": says(mnq, end=2_000, strategy=StrategyId("default/mnq")),
    }
    both = [strategy(), strategy("mnq", "MNQ")]
    return Desk(books, folder, prints, speech, both, account(**(spec or ALTERNATIVES)), ends=2_000)


def short_of_mnq(seconds: float) -> BarSignals:
    return saying(seconds, BELOW, contract=MNQ)


async def entries(desk: Desk) -> list[tuple[Any, ...]]:
    """The entries as (contract, state, reason, contract of the entry that took it out)."""
    found = await desk.rows(
        "intent", "client_id, leg, contract, state, reason, taken_out_by", "decided_at_ns, contract"
    )
    whose = {client_id: contract for client_id, _, contract, *_ in found}
    return [(*rest, whose.get(by, "")) for _, leg, *rest, by in found if leg == "E"]


def held(session: Session) -> dict[str, int]:
    return {position.strategy: position.quantity for position in session.book.open_positions()}


@IN_BOTH
async def test_both_wait_on_either_side_and_the_first_fill_takes_the_other_strategy_s_out(books: Books, folder: Path):
    desk = desk_of(books, folder, [saying(600, ABOVE)], [short_of_mnq(600)], mes_prints=[(700, 20_009)])
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [reason for *_, reason in await desk.decisions()] == ["", ""]
    assert await entries(desk) == [(MES, "FILLED", "", ""), (MNQ, "CANCELLED", "first_fill", MES)]
    assert held(session) == {"default/mes": 1}


async def test_where_entries_are_independent_the_second_strategy_s_is_another_trade(books: Books, folder: Path):
    desk = desk_of(books, folder, [saying(600, ABOVE)], [short_of_mnq(600)], **ROOM)
    await desk.run()
    assert [reason for *_, reason in await desk.decisions()] == ["", "max_open_trades"]


async def test_nothing_new_is_entered_until_the_account_is_flat(books: Books, folder: Path):
    mnq = [short_of_mnq(at) for at in (600, 800, 1_000)]
    prints = [(700, 20_009), (900, 20_035)]  # filled, and out at its target
    desk = desk_of(books, folder, [saying(600, ABOVE), saying(800, ABOVE)], mnq, mes_prints=prints)
    await desk.run(read_back=True)
    assert await desk.decisions() == [
        ("default/mes", 600, True, ""),
        ("default/mnq", 600, True, ""),
        ("default/mes", 800, False, "not_flat"),
        ("default/mnq", 800, False, "not_flat"),
        ("default/mnq", 1_000, True, ""),
    ]


async def test_an_entry_at_the_market_is_as_good_as_filled(books: Books, folder: Path):
    """Two of them would both fill: the second would have to be closed again."""
    desk = desk_of(books, folder, [saying(600, NOW)], [saying(600, NOW, contract=MNQ)])
    await desk.run()
    assert [reason for *_, reason in await desk.decisions()] == ["", "not_flat"]


async def test_two_fills_of_one_moment_leave_the_first_and_close_the_second(books: Books, folder: Path):
    mes, mnq = [(700, 20_009)], [(700, 19_990), (701, 19_995)]
    desk = desk_of(books, folder, [saying(600, ABOVE)], [short_of_mnq(600)], mes_prints=mes, mnq_prints=mnq)
    session = await desk.run(read_back=True)
    assert not session.halted
    assert [entry[1] for entry in await entries(desk)] == ["FILLED", "FILLED"]
    assert held(session) == {"default/mes": 1}
    orders = await desk.rows("intent", "strategy, leg, reason", "leg")
    assert [row for row in orders if row[1].startswith("F")] == [("default/mnq", "F1", "first_fill")]


async def test_what_waits_goes_when_the_entries_become_alternatives_while_another_holds(books: Books, folder: Path):
    several: dict[str, Any] = {"limits": {**ROOM["limits"], "maxOpenTrades": 2}}
    desk = desk_of(books, folder, [saying(600, NOW)], [short_of_mnq(700)], **several)
    session = desk.open(read_back=True)
    await session.until(800)
    assert held(session) == {"default/mes": 1}
    await session.set_account(account(**ALTERNATIVES))
    await session.run()
    session.close()
    assert await entries(desk) == [(MES, "FILLED", "", ""), (MNQ, "CANCELLED", "not_flat", "")]


async def test_the_one_that_holds_may_add_and_the_other_may_not(books: Books, folder: Path):
    more = replace(NOW, action=Action.ADD)
    desk = desk_of(books, folder, [saying(600, NOW), saying(800, more)], [saying(800, NOW, contract=MNQ)])
    session = await desk.run(read_back=True)
    assert [reason for *_, reason in await desk.decisions()] == ["", "", "not_flat"]
    assert held(session) == {"default/mes": 2}


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_prices_and_kills_one_strategy_alone_is_left_in_the_market(
    seed: int, books: Books, folder: Path
):
    """Prices of both that jump within one instant, and a process that is replaced at random times."""
    chance = random.Random(seed)
    jumps = [-30, -12, -9, -2, 0, 2, 9, 12, 30]
    prints: list[list[tuple[float, ...]]] = [
        [
            (second, 20_000 + chance.choice(jumps), chance.randint(1, 3))
            for second in range(601, 1_900, 9)
            for _ in range(chance.choice([1, 1, 2]))
        ]
        for _ in range(2)
    ]
    said: list[list[BarSignals]] = [[], []]
    for at in range(600, 1_800, 100):
        for each, contract, rows in zip(said, (MES, MNQ), prints, strict=True):
            if abs((close := int(next((row[1] for row in reversed(rows) if row[0] < at), 20_000))) - 20_000) < 8:
                each.append(saying(at, chance.choice([ABOVE, BELOW]), contract=contract, close=close))
    desk = desk_of(books, folder, *said, mes_prints=prints[0], mnq_prints=prints[1])
    session = desk.open(read_back=True)
    for second in sorted(chance.sample(range(650, 1_900), 6)):
        await session.until(second)
        assert len(held(session)) <= 1
        assert list(unprotected(session.book)) == []
        session.close()
        session = desk.open(read_back=True)
    await session.run()
    assert not session.halted
    session.close()
    found = await entries(desk)
    assert "FILLED" in {state for _, state, *_ in found}
    assert all(by for _, state, reason, by in found if reason == "first_fill")


def waiting(owner: str, client_id: str, **fields: Any) -> Order:
    """A stop entry of one of the two strategies."""
    contract = MES if owner == "default/mes" else MNQ
    fields = {"type": OrderType.STOP, "stop_price": 20_008, "bracket": EXITS, "quantity": 2, **fields}
    fields = {"strategy": owner, "contract": contract, "tape_contract": contract, **fields}
    return order_of(fields.pop("state", OrderState.WORKING), client_id=client_id, **fields)


def two(*orders: Order, **spec: Any) -> Any:
    book, changes = book_of(*orders, manifest=account(**(spec or ALTERNATIVES)))
    book.feed_contracts = (MES, MNQ)
    manifest = strategy("mnq", "MNQ")
    book.strategies[StrategyId("default/mnq")] = StrategyBook(
        StrategyId("default/mnq"), manifest, "settings", "hash", ns(0), MNQ
    )
    return book, changes


def test_a_part_of_a_fill_is_the_first_fill_too_and_the_rest_of_it_goes_on():
    one, other = waiting("default/mes", "one"), waiting("default/mnq", "other")
    book, changes = two(one, other)
    partial = reported_of(one, OrderState.PARTIAL, filled=1, bracket=EXITS)
    book_venue_events(book, changes, [VenueEvent(1, ns(600), partial, fill_of(one, time_ns=ns(600)))], Stored())
    [action] = [each for each in wanted(book, halted=False) if isinstance(each, Cancel)]
    assert (action.order.client_id, action.reason) == ("other", "first_fill")
    assert (changes.orders["other"].taken_out_by, changes.orders["one"].taken_out_by) == ("one", "")


def test_an_exit_within_the_moment_of_the_fill_does_not_let_the_other_wait_on():
    one, other = waiting("default/mes", "one", quantity=1), waiting("default/mnq", "other")
    book, changes = two(one, other)
    filled = reported_of(one, OrderState.FILLED, filled=1, bracket=EXITS)
    exit_order = replace(
        one,
        client_id=ClientOrderId("exit"),
        leg=Leg("S1"),
        side=Side.SELL,
        stop_price=19_992,
        parent=ClientOrderId("one"),
        bracket=None,
    )
    stopped = reported_of(exit_order, OrderState.FILLED, filled=1)
    events = [
        VenueEvent(1, ns(600), filled, fill_of(one, time_ns=ns(600))),
        VenueEvent(2, ns(600), stopped, fill_of(exit_order, fill_id="out", price=19_991, time_ns=ns(600))),
    ]
    assert book_venue_events(book, changes, events, Stored()) == []
    assert not book.open_positions()
    [action] = [each for each in wanted(book, halted=False) if isinstance(each, Cancel)]
    assert (action.order.client_id, action.reason) == ("other", "first_fill")
    assert account_view(book, halt="").in_the_market == 1  # it may fill until its cancel is known


@pytest.mark.parametrize("given_up", [False, True])
def test_a_fill_that_comes_after_the_first_is_closed_in_its_own_transaction(given_up: bool):
    """Also of one that was given up as absent before, and comes up."""
    one = waiting("default/mes", "one")
    other = waiting("default/mnq", "other", state=OrderState.DEAD if given_up else OrderState.PENDING_CANCEL)
    book, changes = two(one, other)
    filled = reported_of(one, OrderState.FILLED, filled=2, bracket=EXITS)
    book_venue_events(book, changes, [VenueEvent(1, ns(600), filled, fill_of(one, quantity=2))], Stored())
    assert book.orders["other"].taken_out_by == "one"
    late = reported_of(other, OrderState.FILLED, filled=1, bracket=EXITS)
    late_fill = fill_of(other, fill_id="late", contract=MNQ)
    book_venue_events(book, changes, [VenueEvent(2, ns(601), late, late_fill)], Stored())
    assert (book.strategies["default/mnq"].flatten, book.strategies["default/mes"].flatten) == ("first_fill", "")
    assert book.orders["one"].taken_out_by == ""


def test_a_fill_of_one_that_no_fill_has_taken_out_is_closed_while_another_strategy_holds():
    """The entries became alternatives meanwhile, and this one was on its way."""
    other = waiting("default/mnq", "other", quantity=1)
    book, changes = two(other)
    book.hold(position_of(1))
    late = reported_of(other, OrderState.FILLED, filled=1, bracket=EXITS)
    book_venue_events(book, changes, [VenueEvent(1, ns(600), late, fill_of(other, contract=MNQ))], Stored())
    assert book.strategies["default/mnq"].flatten == "first_fill"


def test_what_has_ended_or_was_taken_out_before_is_left_as_it_is():
    one = waiting("default/mes", "one")
    ended = waiting("default/mnq", "ended", state=OrderState.CANCELLED)
    before = waiting("default/mnq", "before", taken_out_by="another")
    book, changes = two(one, ended, before)
    partial = reported_of(one, OrderState.PARTIAL, filled=1, bracket=EXITS)
    book_venue_events(book, changes, [VenueEvent(1, ns(600), partial, fill_of(one, time_ns=ns(600)))], Stored())
    assert sorted(changes.orders) == ["one"]


def test_where_entries_are_independent_a_fill_takes_nothing_out_and_closes_nothing():
    one, other = waiting("default/mes", "one"), waiting("default/mnq", "other", quantity=1)
    book, changes = two(one, other, **ROOM)
    book.hold(position_of(1))
    filled = reported_of(other, OrderState.FILLED, filled=1, bracket=EXITS)
    fill = fill_of(other, contract=MNQ, time_ns=ns(600))
    book_venue_events(book, changes, [VenueEvent(1, ns(600), filled, fill)], Stored())
    assert sorted(changes.orders) == ["other"]
    assert book.strategies["default/mnq"].flatten == ""


def test_limits_count_all_that_may_fill_and_one_trade():
    one, other = waiting("default/mes", "one"), waiting("default/mnq", "other", side=Side.SELL, stop_price=19_992)
    book, _ = two(one, other)
    view = account_view(book, halt="")
    assert (view.exposure, view.in_the_market, view.first_fill_wins) == (4, 0, True)
    for changed in (
        replace(one, filled=1),
        replace(one, type=OrderType.MARKET),
        replace(one, taken_out_by=ClientOrderId("x")),
    ):
        book.orders = {**book.orders, "one": changed}
        assert account_view(book, halt="").in_the_market == 1
        days = [settings(book, owner).day.in_the_market for _, owner in sorted(book.strategies.items())]
        assert days == [True, False]


async def test_a_day_of_both_is_told_entry_by_entry(books: Books, folder: Path):
    """The day that `test_recovery` kills at every call."""
    desk = rivals(books, folder)
    assert not (await desk.run(read_back=True)).halted
    assert await entries(desk) == [
        (MES, "FILLED", "", ""),
        (MNQ, "CANCELLED", "first_fill", MES),
        (MES, "FILLED", "", ""),
        (MNQ, "FILLED", "", MES),
    ]
    assert [fill[:2] for fill in await desk.fills()] == [
        ("E", 700),
        ("T1", 800),
        ("E", 1100),
        ("E", 1100),
        ("F1", 1101),
    ]
