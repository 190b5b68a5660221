"""The exits of an entry: distances from its fill or prices, with or without a stop, and back from what JSON keeps."""

import json
from dataclasses import asdict

import pytest

from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg, StrategyId
from leadline.model.orders import Bracket, Order, OrderType, Side, Trail, bracket_of


@pytest.mark.parametrize(
    ("bracket", "side", "stop", "target"),
    [
        (Bracket(16, 24), Side.BUY, 84, 124),
        (Bracket(16, 24), Side.SELL, 116, 76),
        (Bracket(stop_price=90, target_price=110), Side.BUY, 90, 110),
        (Bracket(stop_price=110, target_price=90), Side.SELL, 110, 90),
        (Bracket(16, target_price=110), Side.BUY, 84, 110),
        (Bracket(), Side.BUY, None, None),
    ],
)
def test_exits_lie_at_their_distance_from_the_fill_or_at_their_price(
    bracket: Bracket, side: Side, stop: int | None, target: int | None
):
    """The entry has filled at 100."""
    assert (bracket.stop_at(100, side), bracket.target_at(100, side)) == (stop, target)
    assert bracket.has_stop is (stop is not None)


@pytest.mark.parametrize("bracket", [Bracket(), Bracket(16, 24), Bracket(16, target_price=110, trail=Trail(0, 4))])
def test_a_bracket_comes_back_from_json_as_it_was(bracket: Bracket):
    assert bracket_of(json.loads(json.dumps(asdict(bracket)))) == bracket


@pytest.mark.parametrize(
    ("limit", "stop", "price"), [(None, None, None), (101, None, 101), (None, 99, 99), (101, 99, 101)]
)
def test_an_order_waits_at_its_limit_else_at_its_stop(limit: int | None, stop: int | None, price: int | None):
    order = Order(
        ClientOrderId("id"),
        DecisionId("d"),
        Leg("E"),
        StrategyId("s"),
        ContractId("C"),
        ContractId("C"),
        Side.BUY,
        OrderType.LIMIT,
        1,
        0,
        limit_price=limit,
        stop_price=stop,
    )
    assert order.price == price
