"""A position that is held past its contract's last day is settled in cash, and its strategy goes on."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import Stored, book_venue_events
from leadline.execution.core.day import next_timer
from leadline.execution.core.settlements import settle_opposites
from leadline.model.ids import (
    SETTLEMENT,
    UNASSIGNED,
    ContractId,
    DecisionId,
    FillId,
    LegKind,
    StrategyId,
    client_order_id,
)
from leadline.model.market.settlement import settlement_id, settles_at_ns
from leadline.model.orders import LastPrint, Lot, OrderState, Side, VenueEvent
from leadline.venue.settlements import settlement
from tests.execution.harness.books import book_of, position_of
from tests.execution.harness.builders import BUY, DAY_S, MES, RTH_S, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk

NEXT = ContractId("MESU2025")
FRIDAY, MONDAY = 3 * DAY_S, 6 * DAY_S
EXPIRY, AFTER = 10 * DAY_S, 13 * DAY_S
"""2025-06-20 at 09:30, when June settles, and the Monday after it: in seconds after 2025-06-10 at 09:30."""
SETTLES_NS = settles_at_ns(MES) or 0


async def test_a_position_that_no_print_closes_is_settled_and_its_strategy_goes_on_in_the_next_month(
    books: Books, folder: Path
):
    june = tape((FRIDAY + 1799, 20_000), (FRIDAY + 1801, 20_000, 5, BUY), (FRIDAY + 3000, 20_050))
    days = (FRIDAY, *(MONDAY + n * DAY_S for n in range(5)), AFTER, AFTER + DAY_S)
    september = tape(*((day + n * 300 - 1, 20_004, 5, BUY) for day in days for n in range(1, 70)))
    said = [bar(FRIDAY + 1800), bar(EXPIRY + 1800, contract=NEXT), bar(AFTER + 1800, contract=NEXT)]
    end = AFTER + DAY_S + RTH_S
    desk = Desk(
        books,
        folder,
        {MES: june, NEXT: september},
        {"default/mes": says(said, end)},
        [strategy(bracket=(400, 400), budget=False)],
        begins=FRIDAY,
        ends=end,
        trade_from=date(2025, 6, 13),
    )
    session = await desk.run()
    fills = await desk.rows("fill", "contract, side, price, ts_ns, commission", "venue_event")
    assert fills[1] == (MES, "SELL", 20_050, SETTLES_NS, Decimal("1.25"))
    legs = await desk.rows("intent", "leg, state, reason", "decided_at_ns, leg")
    settled = "its contract has settled"
    assert ("C", "FILLED", settled) in legs
    # Friday's flat-by has cancelled the bracket, and its closing order has met no print.
    assert ("F1", "EXPIRED", settled) in legs
    assert [(accepted, reason) for _, _, accepted, reason in await desk.decisions()] == [
        (True, ""),
        (False, "contract_rolling"),  # settled at the opening, and no roll since
        (True, ""),
    ]
    assert session.book.strategies[StrategyId("default/mes")].contract == NEXT
    assert not session.book.open_positions()
    assert not session.book.live_orders()


# --- as the book takes it ---


def held(*positions: tuple[str, int]) -> Book:
    """An account whose contract has settled just now, with a position (signed) in each place; bought at 20000."""
    book, _ = book_of(position=1)
    (like,) = book.open_positions()
    book.positions = {}
    for number, (place, quantity) in enumerate(positions):
        lots = (Lot(20_000, abs(quantity), FillId(f"f{number}")),)
        one = replace(
            like,
            strategy=StrategyId(place),
            quantity=quantity,
            lots=lots,
            decision=DecisionId(f"d{number}"),
        )
        book.positions = {**book.positions, (StrategyId(place), MES): one}
    book.instant_ns = SETTLES_NS
    book.last_prints[MES] = LastPrint(20_010, SETTLES_NS - 1, 7)
    return book


def told(book: Book, quantity: int) -> VenueEvent:
    """The venue's word that a net position is settled at 20010."""
    return VenueEvent(1, SETTLES_NS, *settlement(MES, MES, quantity, LastPrint(20_010, SETTLES_NS - 1, 7), SETTLES_NS))


def after(book: Book) -> list[tuple[str, int, Decimal]]:
    return [(one.strategy, one.quantity, one.realised) for _, one in sorted(book.positions.items())]


def test_each_holder_gets_its_part_under_an_order_of_its_own_decision() -> None:
    book, changes = held((UNASSIGNED, 2), ("default/mes", 1)), Changes()
    assert book_venue_events(book, changes, [told(book, 3)], Stored()) == []
    assert after(book) == [(UNASSIGNED, 0, Decimal("25.00")), ("default/mes", 0, Decimal("12.50"))]
    assert [(order.decision, order.leg, order.quantity, order.state) for order in changes.orders.values()] == [
        ("d0", "C", 2, OrderState.FILLED),
        ("d1", "C", 1, OrderState.FILLED),
    ]
    assert all(order.parent == settlement_id(MES) for order in changes.orders.values())  # it never left here
    assert [(fill.quantity, fill.price, fill.commission) for fill, _, _ in changes.fills] == [
        (2, 20_010, Decimal("2.50")),
        (1, 20_010, Decimal("1.25")),
    ]
    assert book.streak == 2


def test_a_settlement_that_is_told_again_changes_nothing() -> None:
    book = held(("default/mes", 1))
    event = told(book, 1)
    book_venue_events(book, Changes(), [event], Stored())
    changes = Changes()
    assert book_venue_events(book, changes, [event], Stored()) == []
    assert (changes.fills, changes.orders) == ([], {})


def test_more_than_the_book_holds_is_a_difference() -> None:
    book = held(("default/mes", 1))
    (surprise,) = book_venue_events(book, Changes(), [told(book, 3)], Stored())
    assert surprise == f"the venue settles 3 {MES}, 2 more than the book holds"
    assert not book.open_positions()


def test_a_settlement_before_its_time_is_an_order_that_nobody_intended() -> None:
    book = held(("default/mes", 1))
    book.instant_ns = SETTLES_NS - 1
    early = replace(told(book, 1), instant_ns=SETTLES_NS - 1)
    surprises = book_venue_events(book, Changes(), [early], Stored())
    assert any("which this book never intended" in surprise for surprise in surprises)


def test_positions_that_are_each_others_other_side_end_though_the_venue_holds_nothing() -> None:
    book, changes = held(("default/a", 2), ("default/b", -2)), Changes()
    book.instant_ns -= 1
    settle_opposites(book, changes)
    assert len(book.open_positions()) == 2
    assert next_timer(book) == SETTLES_NS
    book.instant_ns += 1
    settle_opposites(book, changes)
    assert after(book) == [("default/a", 0, Decimal("25.00")), ("default/b", 0, Decimal("-25.00"))]
    assert [(fill.side, fill.time_ns, fill.source_index, fill.k) for fill, _, _ in changes.fills] == [
        (Side.SELL, SETTLES_NS, 7, 1),
        (Side.BUY, SETTLES_NS, 7, 1),
    ]
    # The venue's part of a position would have the order of the first part.
    second = {client_order_id(DecisionId(decision), SETTLEMENT, 2) for decision in ("d0", "d1")}
    assert set(changes.orders) == second


def test_opposites_that_no_print_has_priced_stay() -> None:
    book, changes = held(("default/a", 2), ("default/b", -2)), Changes()
    book.last_prints.clear()
    settle_opposites(book, changes)
    assert (len(book.open_positions()), changes.fills) == (2, [])


def test_opposites_in_a_contract_that_never_settles_stay() -> None:
    book, changes = held(), Changes()
    for place, quantity in (("default/a", 1), ("default/b", -1)):
        key = StrategyId(place), ContractId("BTCUSDT")
        book.positions = {**book.positions, key: position_of(quantity, *key)}
    book.last_prints[ContractId("BTCUSDT")] = LastPrint(20_010, SETTLES_NS - 1, 7)
    settle_opposites(book, changes)
    assert (len(book.open_positions()), changes.fills) == (2, [])


def test_opposites_that_come_to_something_are_the_venues_to_settle() -> None:
    book, changes = held(("default/a", 2), ("default/b", -1)), Changes()
    settle_opposites(book, changes)
    assert len(book.open_positions()) == 2
    assert book_venue_events(book, changes, [told(book, 1)], Stored()) == []
    settle_opposites(book, changes)
    assert [quantity for _, quantity, _ in after(book)] == [0, 0]
    # The venue's part of the first one, and what is left of it beside the second one: no row has the id of another.
    assert [fill.quantity for fill, _, _ in changes.fills] == [1, 1, 1]
    assert len({fill.fill_id for fill, _, _ in changes.fills}) == 3
    assert sorted(order.filled for order in book.orders.values() if order.leg.kind is LegKind.SETTLEMENT) == [1, 1, 1]
