"""What a strategy may want of what it has, by hand: what is refused and why, what leaves, and where its exits go."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from leadline.execution.core.adjustments import Adjustment, adjustment, more_at_risk, unit_refusal
from leadline.execution.core.book import Book, UnitExit
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.positions import with_stopless
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId, StrategyId
from leadline.model.orders import Bracket, LastPrint, Lot, Order, OrderState, OrderType, Position, Side, Trail, Trailing
from leadline.model.proposals import Action, Proposal
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import ES, MES, account, ns

S = OrderState
NAME = StrategyId("default/mes")
AGAIN = DecisionId("again")
TICK = Decimal("1.25")
ENTRY = order_of(S.WORKING, type=OrderType.LIMIT, limit_price=19_990, quantity=3, filled=1)
RUNNER = replace(ENTRY, client_id=ClientOrderId("runner"), unit="runner")
OTHERS = replace(ENTRY, client_id=ClientOrderId("others"), strategy=StrategyId("default/other"))
WHY = ("enough",)


def leg(name: str, quantity: int = 1, **fields: Any) -> Order:
    """An exit of a long position: a stop at 19980 or a target at 20040, of a fill at 20000."""
    kind: dict[str, dict[str, Any]] = {
        "S": {"type": OrderType.STOP, "stop_price": 19_980},
        "T": {"type": OrderType.LIMIT, "limit_price": 20_040},
    }
    own = {"client_id": ClientOrderId(name), "parent": ClientOrderId("entry"), "entry_price": 20_000}
    return order_of(S.WORKING, name, **{**kind[name[0]], **own, "side": Side.SELL, "quantity": quantity, **fields})


def held(*lots: tuple[int, str], sign: int = 1) -> Position:
    own = tuple(Lot(20_000, size, FillId(f"f{number}"), unit) for number, (size, unit) in enumerate(lots))
    return replace(position_of(1), quantity=sign * sum(size for size, _ in lots), lots=own)


def desk(*orders: Order, position: Position | None = None, price: int | None = 20_000, **fields: Any) -> Book:
    book, _ = book_of(*orders, **fields)
    if position is not None:
        book.positions = {**book.positions, (NAME, MES): position}
    if price is not None:
        book.last_prints[MES] = LastPrint(price, ns(599), 1)
    return book


def asked(book: Book, proposal: Proposal, *, seen: str = MES, halt: str = "", attaches: bool = True) -> Adjustment:
    owner = book.strategies[NAME]
    proposal = replace(proposal, why=WHY)
    found = adjustment(book, owner, proposal, AGAIN, seen=seen, halt=halt, attaches=attaches)
    assert found.answer.patterns == WHY
    assert found.answer.accepted or (found.orders, found.closes, found.exits) == ((), None, ())
    return found


def refusal(book: Book, proposal: Proposal, **fields: Any) -> str:
    found = asked(book, proposal, **fields).answer
    assert not found.accepted
    return found.reason


def protect(stop: int | None = None, target: int | None = None, trail: Trail | None = None, unit: str = "") -> Proposal:
    return Proposal(Action.PROTECT, bracket=Bracket(stop_price=stop, target_price=target, trail=trail), unit=unit)


EXIT, CANCEL = Proposal(Action.EXIT), Proposal(Action.CANCEL)

# --- to leave and to take back ---


def test_entries_are_taken_back_once_and_exits_stay():
    found = asked(desk(ENTRY, RUNNER, OTHERS, leg("S1")), CANCEL)
    assert (found.answer.accepted, found.answer.contract, found.answer.quantity) == (True, MES, 4)
    assert [(order.client_id, order.unwanted, order.version) for order in found.orders] == [
        (ENTRY.client_id, True, 2),
        ("runner", True, 2),
    ]
    again = asked(desk(replace(ENTRY, unwanted=True)), CANCEL)
    assert [order.version for order in again.orders] == [1]
    of_unit = asked(desk(ENTRY, RUNNER), replace(CANCEL, unit="runner"))
    assert [order.client_id for order in of_unit.orders] == ["runner"]
    assert refusal(desk(leg("S1"), OTHERS), CANCEL) == "nothing_working"
    assert refusal(desk(ENTRY), replace(CANCEL, unit="runner")) == "nothing_working"


def test_all_of_it_leaves_or_a_unit_with_its_entries():
    position = held((2, "main"), (3, "runner"))
    found = asked(desk(ENTRY, RUNNER, position=position), EXIT)
    assert (found.answer.quantity, found.answer.contract) == (5, MES)
    assert (found.closes, found.orders, found.exits) == (ExitReason.EXIT, (), ())
    found = asked(desk(ENTRY, RUNNER, position=position), replace(EXIT, unit="runner"))
    assert found.answer.quantity == 3
    assert (found.closes, found.exits) == (None, (UnitExit("runner", None, ExitReason.EXIT),))
    assert [(order.client_id, order.unwanted) for order in found.orders] == [("runner", True)]
    waits = asked(desk(ENTRY), EXIT)
    assert (waits.answer.quantity, waits.answer.contract, waits.closes) == (0, MES, ExitReason.EXIT)


@pytest.mark.parametrize("contract", [MES, ES])
def test_of_entries_in_two_contracts_the_answer_names_that_of_the_first(contract: ContractId):
    one, other = (replace(ENTRY, client_id=ClientOrderId(name)) for name in ("a", "b"))
    book = desk(replace(one, contract=contract), replace(other, contract=ES if contract == MES else MES))
    assert [asked(book, proposal).answer.contract for proposal in (EXIT, CANCEL)] == [contract, contract]


def test_what_is_not_held_cannot_leave_nor_be_protected():
    for proposal in (EXIT, protect(19_990)):
        assert refusal(desk(leg("S1")), proposal) == "nothing_held"
        assert refusal(desk(position=held((2, "main"))), replace(proposal, unit="runner")) == "unit_not_held"
    assert refusal(desk(ENTRY), protect(19_990)) == "nothing_held"
    assert refusal(desk(ENTRY), replace(EXIT, quantity=1)) == "nothing_held"


def test_a_part_leaves_of_the_oldest_and_no_more_than_is_held():
    position, part = held((2, "main"), (3, "runner")), replace(EXIT, quantity=4)
    found = asked(desk(ENTRY, position=position), part)
    assert (found.answer.accepted, found.answer.quantity, found.answer.contract) == (True, 4, MES)
    assert found.exits == (UnitExit("main", 2, ExitReason.EXIT), UnitExit("runner", 2, ExitReason.EXIT))
    assert (found.orders, found.closes) == ((), None)
    of_unit = asked(desk(position=position), replace(part, quantity=3, unit="runner"))
    assert of_unit.exits == (UnitExit("runner", 3, ExitReason.EXIT),)

    def too_much(book: Book, quantity: int) -> tuple[tuple[str, str], ...]:
        found = asked(book, replace(part, quantity=quantity)).answer
        assert found.reason == "more_than_held"
        return found.arithmetic

    assert too_much(desk(position=position), 6) == (("held", "5"),)
    going: dict[str, Any] = {"exits": (UnitExit("main", 1, "exit"),)}
    assert too_much(desk(position=position, **going), 5) == (("held", "4"),)
    assert too_much(desk(position=position, flatten="a person"), 1) == (("held", "0"),)
    book = desk(position=position)
    book.flatten = "day_loss"
    assert too_much(book, 1) == (("held", "0"),)


def test_nothing_enters_a_unit_of_which_all_leaves():
    owner = desk(exits=(UnitExit("main", None, "exit"), UnitExit("runner", 1, "exit"))).strategies[NAME]
    enter = Proposal(Action.ENTER, why=WHY)
    for unit in ("", "main"):
        said = unit_refusal(owner, replace(enter, unit=unit))
        assert said is not None
        assert (said.accepted, said.reason, said.patterns) == (False, "unit_leaving", WHY)
    assert unit_refusal(owner, replace(enter, unit="runner")) is None


# --- to move exits ---


def test_prices_of_another_contract_mean_nothing_though_leaving_does():
    book = desk(leg("S1"), position=held((1, "main")))
    assert refusal(book, protect(19_990), seen=ES) == "contract_rolling"
    assert asked(book, EXIT, seen=ES).closes == ExitReason.EXIT


def wants(*orders: Order, **fields: Any) -> list[tuple[str, int | None, Trailing | None, int]]:
    return [(order.client_id, order.wanted_price, order.wanted_trail, order.version) for order in orders]


def test_the_exits_that_are_there_go_to_where_they_are_wanted():
    exits = leg("S1"), leg("S2", stop_price=19_985), leg("T1"), leg("T2")
    book = desk(*exits, leg("S3", unit="runner"), position=held((2, "main"), (1, "runner")))
    found = asked(book, protect(19_985, 20_050, unit="main"))
    assert found.answer.quantity == 2
    assert wants(*found.orders) == [
        ("S1", 19_985, None, 2),
        ("S2", None, None, 1),
        ("T1", 20_050, None, 2),
        ("T2", 20_050, None, 2),
    ]
    assert {one[0] for one in wants(*asked(book, protect(19_990)).orders)} == {"S1", "S2", "S3"}
    assert wants(*asked(book, protect(target=20_030)).orders)[0][:2] == ("T1", 20_030)


def test_an_exit_that_has_filled_in_part_is_moved_and_is_no_entry_that_fills_on():
    book = desk(leg("S1", 3, filled=1), position=held((2, "main")))
    [moved] = asked(book, protect(19_990)).orders
    assert (moved.wanted_price, moved.protection) == (19_990, None)


def test_stops_trail_where_that_is_wanted_with_a_price_or_without():
    book = desk(leg("S1"), leg("T1"), position=held((1, "main")))
    trail = Trail(20, 6)
    assert wants(*asked(book, protect(trail=trail)).orders) == [("S1", None, Trailing(20_020, 6), 2)]
    assert wants(*asked(book, protect(19_990, trail=trail)).orders) == [("S1", 19_990, Trailing(20_020, 6), 2)]


def test_an_exit_that_is_not_there_is_made_where_the_venue_takes_one():
    book = desk(leg("S1"), position=held((1, "main")))
    assert refusal(book, protect(target=20_050), attaches=False) == "no_such_exit"
    assert refusal(book, protect(19_990, 20_050), attaches=False) == "no_such_exit"
    moved, made = asked(book, protect(19_990, 20_050)).orders
    assert (moved.client_id, moved.wanted_price) == ("S1", 19_990)
    assert (made.leg, made.limit_price, made.oco) == ("T1", 20_050, "S1")
    assert refusal(desk(leg("T1"), position=held((1, "main"))), protect(trail=Trail(20, 6))) == "no_such_exit"


def test_protection_that_does_not_reach_all_that_it_names_is_refused():
    """One of two units has come from no entry of the account: no venue takes an exit of it."""
    position = with_stopless(held((1, "main"), (1, "taken")), "taken", 1)
    book = desk(leg("S1"), position=position)
    assert refusal(book, protect(19_990)) == "no_such_exit"
    assert refusal(book, protect(19_990), attaches=False) == "no_such_exit"
    assert asked(book, replace(protect(19_990), unit="main")).answer.accepted
    assert asked(book, protect(20_000)).closes == "beyond_stop"  # where all leaves, nothing stays behind


def test_an_entry_that_fills_on_keeps_the_last_word_for_each_of_its_exits():
    entry = replace(ENTRY, protection=Bracket(stop_price=19_985, trail=Trail(1, 2)))
    book = desk(entry, leg("S1"), leg("T1"), position=held((1, "main")))
    [_, later] = asked(book, protect(target=20_050)).orders
    assert later.protection == Bracket(stop_price=19_985, target_price=20_050, trail=Trail(1, 2))
    [_, later] = asked(book, protect(19_990, trail=Trail(3, 4))).orders
    assert (later.protection, later.version) == (Bracket(stop_price=19_990, trail=Trail(3, 4)), 2)
    waits = replace(entry, filled=0)
    assert [
        order.client_id for order in asked(desk(waits, leg("S1"), position=held((1, "main"))), protect(19_990)).orders
    ] == ["S1"]


def test_a_stop_that_trails_goes_no_way_back_whatever_the_other_exits_do():
    trails = leg("S1", trail=Trailing(20_010, 6))
    book = desk(trails, leg("T1"), position=held((1, "main")))
    assert refusal(book, protect(19_979, 20_050)) == "stop_trails"
    assert wants(*asked(book, protect(19_981)).orders) == [("S1", 19_981, None, 2)]


@pytest.mark.parametrize(
    ("stop", "target", "reason"),
    [(20_000, None, ExitReason.BEYOND_STOP), (None, 20_000, ExitReason.BEYOND_TARGET)],
)
def test_where_the_market_has_passed_it_what_is_meant_leaves(stop: int | None, target: int | None, reason: str):
    orders = ENTRY, RUNNER, leg("S1"), leg("T1")
    book = desk(*orders, position=held((1, "main"), (1, "runner")))
    found = asked(book, protect(stop, target))
    assert (found.answer.accepted, found.closes, found.orders, found.exits) == (True, reason, (), ())
    found = asked(book, protect(stop, target, unit="main"))
    assert (found.closes, found.exits) == (None, (UnitExit("main", None, reason),))
    assert [(order.client_id, order.unwanted) for order in found.orders] == [(ENTRY.client_id, True)]


# --- what more can be lost ---


def more(book: Book, proposal: Proposal, **fields: Any) -> Decimal:
    """The money by which a proposal was refused that loosens."""
    found = asked(book, proposal, halt="a person", **fields).answer
    assert found.reason in ("", "halted")
    return Decimal(dict(found.arithmetic).get("more_at_risk", "0"))


def test_what_all_stops_lose_more_is_asked_of_the_limits_and_targets_and_closer_stops_are_not():
    book = desk(leg("S1", 2), leg("S2", 1, stop_price=19_990), leg("T1"), position=held((3, "main")))
    assert more(book, protect(19_970)) == (2 * 10 + 20) * TICK
    assert more(book, protect(19_985)) == 5 * TICK
    assert more(book, protect(19_990)) == 0
    assert more(book, protect(target=20_900)) == 0
    assert asked(book, protect(19_970)).answer.accepted  # nothing is halted, and it fits


def test_what_an_entry_may_still_fill_counts_from_where_its_stop_was_to_be():
    entry = replace(ENTRY, bracket=Bracket(16), quantity=5)  # in at 19990, its stop at 19974
    book = desk(entry, leg("S1", stop_price=19_974), position=held((1, "main")))
    assert more(book, protect(19_970)) == (4 * 4 + 4) * TICK
    assert more(book, protect(19_975)) == 0
    short = replace(entry, side=Side.SELL, limit_price=20_010)  # its stop at 20026
    exits = leg("S1", side=Side.BUY, stop_price=20_026)
    assert more(desk(short, exits, position=held((1, "main"), sign=-1)), protect(20_030)) == (4 * 4 + 4) * TICK


@pytest.mark.parametrize(("stop", "ticks"), [(19_950, 10), (19_959, 1), (19_960, 0), (19_970, 0)])
def test_a_new_stop_counts_beyond_the_declared_risk(stop: int, ticks: int):
    position = with_stopless(held((2, "main")), "main", 2)
    entry = order_of(S.FILLED, quantity=2, filled=2)
    book = desk(entry, position=position, manifest=account(noStopRiskTicks={"MES": 40}))
    assert more(book, protect(stop)) == 2 * ticks * TICK
    book = desk(replace(entry, side=Side.SELL), position=replace(position, quantity=-2), manifest=book.manifest)
    assert more(book, protect(40_000 - stop)) == 2 * ticks * TICK


def test_of_a_fill_that_nobody_knows_a_new_stop_counts_no_more():
    target = leg("T1", entry_price=None)
    book = desk(target, position=held((1, "main")), manifest=account(noStopRiskTicks={"MES": 40}))
    assert more(book, protect(19_000)) == 0


@pytest.mark.parametrize(
    ("fields", "money"),
    [
        ({"wanted_price": 19_970}, 2 * 10 * TICK),
        ({"wanted_price": 19_970, "quantity": 3, "filled": 1}, 2 * 10 * TICK),
        ({"wanted_price": 19_979}, 2 * TICK),
        ({"wanted_price": 19_980}, 0),
        ({"wanted_price": 19_990}, 0),
        ({"wanted_price": 19_990, "side": Side.BUY}, 2 * 10 * TICK),
        ({}, 0),
        ({"wanted_price": 19_970, "contract": "ZZZZ"}, 0),
    ],
)
def test_a_stop_loses_more_for_each_tick_that_it_goes_back(fields: dict[str, Any], money: Decimal):
    assert more_at_risk(leg("S1", **{"quantity": 2, **fields})) == money
