"""What the paper venue takes for an order, and for new terms of one, to the last value of each bound."""

import dataclasses
from typing import Any, Final

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.ids import ClientOrderId
from leadline.model.orders import Bracket, OrderType, Replacement, Side, Trail, Trailing, VenueOrder
from leadline.venue.checks import check_order, check_replacement, check_same
from tests.venue.builders import ns, order

NAME: Final = "n" * 300
MOST_NS: Final = 2**62
MOST_PRICE: Final = 2**52
MOST_TICKS: Final = 1_000_000


def replace(order: VenueOrder, **terms: Any) -> VenueOrder:
    return dataclasses.replace(order, **terms)


def bracketed(**terms: Any) -> VenueOrder:
    return order(bracket=Bracket(**terms))


MARKET: Final = order()
LIMIT: Final = order(limit=20_000)
STOP: Final = order(stop=20_000)
STOP_LIMIT: Final = order(limit=20_000, stop=20_000)
LEG: Final = replace(STOP, parent="E1")


@pytest.mark.parametrize(
    "taken",
    [
        *(replace(MARKET, **{name: NAME}) for name in ("client_id", "contract", "tape_contract", "leg")),
        replace(MARKET, quantity=1_000_000_000),
        replace(MARKET, decided_at_ns=0),
        replace(MARKET, decided_at_ns=MOST_NS),
        replace(LIMIT, limit_price=MOST_PRICE),
        replace(LIMIT, limit_price=-MOST_PRICE),
        replace(LIMIT, limit_price=0),
        STOP_LIMIT,
        replace(LIMIT, decided_at_ns=7, valid_until_ns=8),
        replace(LIMIT, valid_until_ns=MOST_NS),
        order(stop=20_000, trail=Trailing(from_price=-MOST_PRICE, offset_ticks=1)),
        order(stop=20_000, trail=Trailing(from_price=20_010, offset_ticks=MOST_TICKS)),
        bracketed(stop_ticks=1, target_ticks=1),
        bracketed(stop_ticks=MOST_TICKS, target_ticks=MOST_TICKS),
        bracketed(stop_price=MOST_PRICE, target_price=-MOST_PRICE),
        bracketed(stop_ticks=8, trail=Trail(trigger_ticks=0, offset_ticks=1)),
        bracketed(stop_price=19_000, trail=Trail(trigger_ticks=MOST_TICKS, offset_ticks=MOST_TICKS)),
        bracketed(target_ticks=8),
    ],
    ids=str,
)
def test_an_order_at_its_bounds_is_taken(taken: VenueOrder):
    check_order(taken)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        *(
            (replace(MARKET, **{name: text}), f"order.{name}: got '{text[:3]}.*, expected a name of at most 300 char")
            for name in ("client_id", "contract", "tape_contract", "leg")
            for text in ("", NAME + "n")
        ),
        (replace(MARKET, quantity=0), "order.quantity: got 0, expected 1 to 1000000000 size steps"),
        (replace(MARKET, quantity=1_000_000_001), "order.quantity"),
        (replace(MARKET, decided_at_ns=-1), "order.decided_at_ns: got -1, expected nanoseconds since 1970"),
        (replace(MARKET, decided_at_ns=MOST_NS + 1), "order.decided_at_ns"),
        (
            replace(MARKET, limit_price=20_000),
            "order.limit_price: got 20000, expected a price on LIMIT and ",
        ),
        (
            replace(MARKET, stop_price=20_000),
            "order.stop_price: got 20000, expected a price on STOP and ",
        ),
        (replace(LIMIT, limit_price=None), "order.limit_price: got nothing"),
        (replace(STOP_LIMIT, stop_price=None), "order.stop_price: got nothing"),
        (replace(LIMIT, limit_price=MOST_PRICE + 1), f"order.limit_price: .* expected a price within {MOST_PRICE} tic"),
        (replace(STOP, stop_price=-MOST_PRICE - 1), "order.stop_price"),
        (replace(LIMIT, decided_at_ns=7, valid_until_ns=7), "order.valid_until_ns: got 7, expected later than 7"),
        (replace(LIMIT, valid_until_ns=MOST_NS + 1), "order.valid_until_ns"),
        (
            replace(LIMIT, trail=Trailing(from_price=1, offset_ticks=1)),
            "order.trail: .*, expected a trail on STOP",
        ),
        (order(stop=1, trail=Trailing(from_price=MOST_PRICE + 1, offset_ticks=1)), "order.trail.from_price"),
        (
            order(stop=1, trail=Trailing(from_price=1, offset_ticks=0)),
            "order.trail.offset_ticks: got 0",
        ),
        (order(stop=1, trail=Trailing(from_price=1, offset_ticks=MOST_TICKS + 1)), "order.trail.offset_ticks"),
        (bracketed(stop_ticks=8, stop_price=19_000), "order.bracket.stop_price: got 19000, expected no price beside a"),
        (bracketed(target_ticks=8, target_price=21_000), "order.bracket.target_price"),
        (bracketed(stop_ticks=0), "order.bracket.stop_ticks: got 0, expected 1 to 1000000 ticks"),
        (bracketed(target_ticks=MOST_TICKS + 1), "order.bracket.target_ticks"),
        (bracketed(stop_price=MOST_PRICE + 1), "order.bracket.stop_price"),
        (
            bracketed(target_ticks=8, trail=Trail(trigger_ticks=4, offset_ticks=4)),
            "order.bracket.trail: .* a stop",
        ),
        (
            bracketed(stop_ticks=8, trail=Trail(trigger_ticks=-1, offset_ticks=4)),
            "trail.trigger_ticks: got -1",
        ),
        (bracketed(stop_ticks=8, trail=Trail(trigger_ticks=MOST_TICKS + 1, offset_ticks=4)), "trail.trigger_ticks"),
        (
            bracketed(stop_ticks=8, trail=Trail(trigger_ticks=4, offset_ticks=0)),
            "trail.offset_ticks: got 0",
        ),
        (bracketed(stop_ticks=8, trail=Trail(trigger_ticks=4, offset_ticks=MOST_TICKS + 1)), "trail.offset_ticks"),
        (replace(bracketed(stop_ticks=8), decision=""), "order.decision: got '', expected the decision that a native"),
        (
            replace(bracketed(stop_ticks=8), reduce_only=True),
            "order.reduce_only: got true, expected no native ",
        ),
    ],
)
def test_an_order_beyond_them_is_refused_by_field(refused: VenueOrder, words: str):
    with pytest.raises(InvalidInput, match=words):
        check_order(refused)


OTHER: Final[dict[str, Any]] = {
    "decision": "another",
    "leg": "S1",
    "contract": "ESZ2025",
    "tape_contract": "ESZ2025",
    "side": Side.SELL,
    "type": OrderType.STOP_LIMIT,
    "decided_at_ns": ns(9),
    "limit_price": 20_001,
    "stop_price": 20_001,
    "bracket": Bracket(stop_ticks=9),
    "trail": Trailing(from_price=20_000, offset_ticks=3),
    "valid_until_ns": ns(10),
    "reduce_only": True,
    "quantity": 2,
}


@pytest.mark.parametrize("name", OTHER)
def test_an_id_with_another_value_of_any_field_is_refused_by_that_field(name: str):
    check_same(STOP, replace(STOP, filled=1))
    with pytest.raises(InvalidInput, match=f"^order.{name}: got .*: the id E1 is taken$"):
        check_same(STOP, replace(STOP, **{name: OTHER[name]}))


def test_the_leg_of_a_bracket_may_have_shrunk_since():
    check_same(LEG, replace(LEG, quantity=2))


@pytest.mark.parametrize(
    ("working", "wanted"),
    [
        (LIMIT, Replacement(ClientOrderId("E1"), limit_price=0)),
        (STOP, Replacement(ClientOrderId("E1"), stop_price=0)),
        (STOP_LIMIT, Replacement(ClientOrderId("E1"), limit_price=1, stop_price=1)),
        (LIMIT, Replacement(ClientOrderId("E1"), quantity=1)),
        (LEG, Replacement(ClientOrderId("E1"), stop_price=1)),
        (bracketed(stop_ticks=8), Replacement(ClientOrderId("E1"), bracket=Bracket(stop_ticks=9))),
        (replace(MARKET, filled=1), Replacement(ClientOrderId("E1"), quantity=2)),
    ],
)
def test_terms_that_an_order_can_have_are_taken(working: VenueOrder, wanted: Replacement):
    check_replacement(working, wanted)


@pytest.mark.parametrize(
    ("working", "wanted", "words"),
    [
        (
            STOP,
            Replacement(ClientOrderId("E1"), limit_price=0),
            "replacement.limit_price: got 0, expected nothing for a STOP order",
        ),
        (
            LIMIT,
            Replacement(ClientOrderId("E1"), stop_price=0),
            "replacement.stop_price: got 0, expected nothing for a LIMIT order",
        ),
        (
            LIMIT,
            Replacement(ClientOrderId("E1"), quantity=0),
            "replacement.quantity: got 0, expected 1 to 1000000000 size steps",
        ),
        (
            LEG,
            Replacement(ClientOrderId("E1"), quantity=0),
            "replacement.quantity: got 0, expected 1 to 1000000000 size steps",
        ),
        (
            LIMIT,
            Replacement(ClientOrderId("E1"), bracket=Bracket(stop_ticks=9)),
            "replacement.bracket: .* where no bracket waits",
        ),
        (
            replace(bracketed(stop_ticks=8), filled=1),
            Replacement(ClientOrderId("E1"), bracket=Bracket(stop_ticks=9)),
            "replacement.bracket: .* where no bracket waits",
        ),
    ],
)
def test_terms_that_it_cannot_have_are_refused_by_field(working: VenueOrder, wanted: Replacement, words: str):
    with pytest.raises(InvalidInput, match=words):
        check_replacement(working, wanted)
