"""Sides of prints by the quotes before them."""

from collections.abc import Sequence

import numpy as np
import pytest

from leadline.ingestion.quotes import QuotedSides
from leadline.model.errors import InvalidInput
from leadline.model.ticks import TickColumns

BID, ASK = 100, 104
BUY, SELL, UNKNOWN = 1, -1, 0


def sides(
    prices: Sequence[int], quotes: tuple[int, int] = (BID, ASK), said: int = 0, rule: QuotedSides | None = None
) -> list[int]:
    ticks = TickColumns.of((at, price, 1, said) for at, price in enumerate(prices))
    bid, ask = (np.full(len(prices), quote, dtype=np.int64) for quote in quotes)
    found: list[int] = (rule or QuotedSides()).of(ticks, bid, ask).tolist()
    return found


def test_the_ask_is_bought_and_the_bid_sold_and_so_is_what_lies_beyond() -> None:
    assert sides([104, 105, 100, 99]) == [BUY, BUY, SELL, SELL]


def test_between_them_the_nearer_one_counts() -> None:
    assert sides([103, 101]) == [BUY, SELL]


def test_in_the_middle_the_tick_rule_does() -> None:
    assert sides([102]) == [UNKNOWN]
    assert sides([101, 102, 102, 103, 102, 102]) == [SELL, BUY, BUY, BUY, SELL, SELL]


def test_the_tick_rule_of_the_textbook() -> None:
    middle = [(price, price) for price in (400, 401, 401, 400, 400)]
    rule = QuotedSides()
    assert [
        sides([price], quote, rule=rule)[0] for price, quote in zip((400, 401, 401, 400, 400), middle, strict=True)
    ] == [
        UNKNOWN,
        BUY,
        BUY,
        SELL,
        SELL,
    ]


def test_how_prints_are_cut_changes_nothing() -> None:
    prices = [101, 102, 102, 103, 102, 102, 104, 102]
    rule = QuotedSides()
    assert [
        side for start in (0, 3, 4) for side in sides(prices[start : {0: 3, 3: 4, 4: 8}[start]], rule=rule)
    ] == sides(prices)


def test_what_the_venue_has_said_stays() -> None:
    assert sides([104, 100], said=SELL) == [SELL, SELL]


def test_without_a_quote_a_side_stays_unknown() -> None:
    assert sides([104, 100], quotes=(1, 0)) == [UNKNOWN, UNKNOWN]


def test_prices_below_zero_have_sides_too() -> None:
    assert sides([-3, -7], quotes=(-7, -3)) == [BUY, SELL]


def test_columns_of_another_length_are_refused() -> None:
    ticks = TickColumns.of([(0, 100, 1, 0), (1, 100, 1, 0)])
    one, two = np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.int64)
    with pytest.raises(InvalidInput, match="ask"):
        QuotedSides().of(ticks, two, one)
