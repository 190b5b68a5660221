"""What takes an entry that waits out of the market, reason by reason."""

from dataclasses import replace
from typing import Any

import pytest

from leadline.execution.core.book import Book, Drain, Fence
from leadline.execution.core.waiting import gate_closes, standing_reason, taken_out, waiting_entries
from leadline.model.ids import StrategyId
from leadline.model.orders import Bracket, Order, OrderState, OrderType
from tests.execution.harness.books import book_of, order_of
from tests.execution.harness.builders import ES, RTH_S, account, ns, strategy

S = OrderState
NAME = StrategyId("default/mes")
ROOMY = {"limits": {"maxPosition": 10, "maxOpenTrades": 5}}


def limit(leg: str = "E", **fields: Any) -> Order:
    return order_of(
        S.WORKING, leg, **{"type": OrderType.LIMIT, "limit_price": 19_996, "bracket": Bracket(16), **fields}
    )


def book(
    *orders: Order | None, spec: dict[str, Any] | None = None, of: dict[str, Any] | None = None, **at: Any
) -> Book:
    """A book with these orders; `spec` of the strategy's manifest, `of` the account's."""
    found, _ = book_of(*orders, manifest=account(**(ROOMY if of is None else of)), **at)
    found.strategies[NAME].manifest = strategy(**({} if spec is None else spec))
    return found


def out(found: Book) -> list[str]:
    return list(taken_out(found, found.strategies[NAME]).values())


def test_entries_that_wait_are_limits_and_stops_and_no_exits():
    stop = order_of(S.WORKING, "E", type=OrderType.STOP, stop_price=20_004, client_id="second")
    others = (order_of(S.WORKING, client_id="third"), limit("S1"), replace(limit(client_id="fourth"), state=S.FILLED))
    found = book(limit(), stop, *others)
    assert {order.client_id for order in waiting_entries(found, NAME)} == {limit().client_id, "second"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"drain": "Cancel"}, "drain"),
        ({"drain": "Keep"}, None),
        ({"fence": True}, "fence"),
        ({"drain": "Keep", "fence": True}, "fence"),
        ({"account": "DAY_TARGET"}, "day_target"),
        ({"own": "DAY_LOSS"}, "day_loss"),
        ({"account": "DAY_TARGET", "own": "DAY_LOSS"}, "day_target"),
        ({"drain": "Keep", "own": "DAY_LOSS"}, "day_loss"),
        ({"state": "ReduceOnly"}, "ReduceOnly"),
        ({"state": "ReduceOnly", "drain": "Keep"}, None),
        ({"state": "Suspended"}, "Suspended"),
        ({"state": "Suspended", "drain": "Keep"}, None),
        ({"state": "Suspended", "policy": "Keep"}, None),
    ],
)
def test_what_stands_against_every_entry(change: dict[str, Any], reason: str | None):
    policy = {"suspendPolicy": {"workingOrders": change.get("policy", "Cancel")}}
    found = book(limit(), spec={"state": change.get("state", "Running"), **policy})
    owner = found.strategies[NAME]
    if kept := change.get("drain"):
        owner.drain = Drain("one", kept, "Keep", ns(600))
    if "fence" in change:
        owner.fence = Fence("malformed", "words", ns(600), 0)
    found.block, owner.block = change.get("account", ""), change.get("own", "")
    assert standing_reason(found, owner) == reason


def test_a_strategy_of_a_namespace_that_is_not_allowed_enters_nothing():
    found = book(limit())
    owner = found.strategies[NAME]
    metadata = owner.manifest.metadata.model_copy(update={"namespace": "desk"})
    owner.manifest = owner.manifest.model_copy(update={"metadata": metadata})
    assert standing_reason(found, owner) == "namespace"


def test_nothing_is_taken_out_where_nothing_waits():
    for order in (None, order_of(S.WORKING), limit("S1")):
        assert out(book(order, of={"limits": {"maxPosition": 1}}, position=5)) == []


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (299, ["after_open"]),
        (300, []),
        (RTH_S - 901, []),
        (RTH_S - 900, ["before_close"]),
        (RTH_S, ["outside_session"]),
    ],
)
def test_the_hours_in_which_it_may_wait(seconds: float, reason: list[str]):
    assert out(book(limit(), seconds=seconds)) == reason


@pytest.mark.parametrize(
    ("most", "position", "reason"), [(3, 0, []), (2, 0, ["max_position"]), (3, 1, ["max_position"]), (4, 1, [])]
)
def test_more_in_the_market_than_the_position_s_limit(most: int, position: int, reason: list[str]):
    of = {"limits": {"maxPosition": most, "maxOpenTrades": 5}}
    found = book(limit(quantity=3), of=of, position=position)
    found.strategies[NAME].manifest = strategy(size=3)
    assert out(found) == reason


def test_more_open_trades_than_allowed_unless_it_adds_to_one():
    second = limit(client_id="second", contract=ES, tape_contract=ES)
    of = {"limits": {"maxPosition": 10, "maxOpenTrades": 1}}
    assert out(book(limit(), of=of)) == []
    assert out(book(limit(), second, of=of)) == ["max_open_trades", "max_open_trades"]
    assert out(book(limit(), second, of=of, position=1)) == []


@pytest.mark.parametrize(("trades", "reason"), [(2, []), (3, ["max_trades_per_day"])])
def test_more_trades_of_the_day_than_allowed(trades: int, reason: list[str]):
    found = book(limit(), spec={"risk": {"maxTradesPerDay": 2}})
    found.strategies[NAME].trades = trades
    assert out(found) == reason


def test_an_entry_larger_than_any_may_be():
    assert out(book(limit(quantity=2), limit(client_id="second", quantity=3))) == ["max_size"]


@pytest.mark.parametrize(("pause", "reason"), [("39", ["margin_above_limit"]), ("40", []), (None, [])])
def test_a_margin_above_the_account_s_pause(pause: str | None, reason: list[str]):
    of = ROOMY if pause is None else {**ROOMY, "marginLimits": {"MES": pause}}
    assert out(book(limit(), of=of)) == reason


def test_a_contract_that_nobody_knows_has_no_margin():
    assert out(book(limit(contract="ZZZM2025"), of={**ROOMY, "marginLimits": {"MES": "1"}})) == []


def test_the_gate_closes_with_the_hours_a_block_or_news_and_only_for_what_waits():
    spec = {"entries": {"blocks": [{"from": "12:00", "to": "13:00"}]}}
    for orders, expected in (((limit(),), ns(9_000)), ((order_of(S.WORKING),), None), ((), None)):
        found = book(*orders, spec=spec)
        assert gate_closes(found, found.strategies[NAME]) == expected
    found = book(limit())
    assert gate_closes(found, found.strategies[NAME]) == ns(RTH_S - 900)


def test_an_entry_without_a_stop_whose_risk_the_account_does_not_declare_any_more():
    bare = limit(bracket=Bracket(target_ticks=24))
    assert out(book(bare)) == ["no_stop"]
    assert out(book(bare, of={**ROOMY, "noStopRiskTicks": {"ES": 400}})) == ["no_stop"]
    assert out(book(bare, of={**ROOMY, "noStopRiskTicks": {"MES": 400}})) == []
    assert out(book(limit(bracket=Bracket(stop_price=19_980)))) == []
