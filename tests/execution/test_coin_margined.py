"""Contracts that are settled in the coin: results, fees and margin in it, against arithmetic done another way."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.execution.adapters.order_rows import position_of, position_row
from leadline.execution.core.account import account_view, settings
from leadline.execution.core.book import Book, Changes, StrategyBook
from leadline.execution.core.booking import Stored, book_venue_events
from leadline.execution.core.day import roll, watches
from leadline.execution.core.positions import apply_fill, flat, open_result
from leadline.model.ids import UNASSIGNED, ClientOrderId, ContractId, DecisionId, FillId, RunId, StrategyId
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.model.manifest.specs import (
    InvalidManifest,
    TradingAccount,
    TradingStrategy,
    check_strategy_on_account,
    load_manifests,
)
from leadline.model.market.instruments import instrument
from leadline.model.orders import Fill, LastPrint, Lot, Position, Side
from leadline.model.worth import QUANTUM
from leadline.views.trades import equity_curve, trades_of
from tests.own_markets import BITCOIN, file_of
from tests.venue.builders import fills, market, order, run, tape

COIN = ContractId("BTCUSD")
FACE = Fraction(100 * 2)  # 100 USD a contract on a grid of 0.5: what one contract is worth at a price of one tick
START = "1.5"
MANIFESTS = """
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: coins}
spec: {currency: BTC, tiers: [], startingBalance: "1.5", limits: {dayLoss: "0.05", dayTarget: "1", maxPosition: 500}}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: coin}
spec:
  instrument: BTCUSD
  account: {name: coins}
  bars: 1m
  bracket: {stopTicks: 100, targetTicks: 150}
  sizing: {mode: Fixed, size: 10, maxSize: 10}
  strategy: {entryPoint: "acme:Own"}
"""


@pytest.fixture(autouse=True)
def _the_coin_s_contract(tmp_path: Path) -> Iterator[None]:
    put_in_force(read_own([file_of(tmp_path, {COIN: BITCOIN})]))
    yield
    put_in_force(OwnMarkets())


def book_of(text: str = MANIFESTS) -> Book:
    manifests: Any = load_manifests(text)
    account = next(each for each in manifests if isinstance(each, TradingAccount))
    strategy = next(each for each in manifests if isinstance(each, TradingStrategy))
    now = 1_749_556_800 * 10**9
    book = Book(
        RunId("tape"), account.full_name, account, (COIN,), date(2025, 6, 10), now, account.spec.starting_balance
    )
    book.strategies[strategy.full_name] = StrategyBook(strategy.full_name, strategy, "settings", "hash", now, COIN)
    roll(book)
    return book


def coins(price: int, contracts: int) -> Fraction:
    """What contracts are worth at a price in ticks, exactly."""
    return FACE * contracts / price


def near(found: Decimal, exact: Fraction, roundings: int) -> bool:
    """Whether a booked sum is the exact one, rounded so many times."""
    return abs(Fraction(found) - exact) <= roundings * Fraction(QUANTUM) * Fraction(51, 100)


def test_a_day_of_a_coin_margined_perpetual_is_booked_in_the_coin() -> None:
    book, changes = book_of(), Changes()
    paper = market(slippage=0)
    paper.submit(order(ClientOrderId("E1"), quantity=10, bracket=(100, 150), contract=COIN))
    prints = {COIN: tape([(1, 200_000, 50, -1), (2, 200_140, 50, 1), (3, 200_151, 50, 1), (4, 200_000, 50, 1)])}
    events = run(paper, prints, 5)
    entry, leave = fills(events)
    assert (entry.price, leave.price, leave.quantity) == (200_000, 200_150, 10)
    book_venue_events(book, changes, events, Stored())

    gross = coins(200_000, 10) - coins(200_150, 10)
    fees = [Fraction(5, 10_000) * coins(price, 10) for price in (200_000, 200_150)]
    (_, in_), (_, out) = [(fill.fill_id, fill.commission) for fill, _, _ in changes.fills]
    assert (in_, out) == (Decimal("0.00000500"), Decimal("0.00000500"))
    assert near(in_, fees[0], 1)
    assert near(out, fees[1], 1)
    assert near(book.realised, gross - sum(fees), 3)
    assert book.realised == Decimal("0.00000749") - Decimal("0.00001000")
    said = [(UNASSIGNED, fill) for fill, _, _ in changes.fills]
    ((trade,), _) = trades_of(said, book.orders, {})
    assert (trade.gross, trade.commission) == (Decimal("0.00000749"), Decimal("0.00001000"))
    assert equity_curve(Decimal(START), said, book.orders)[-1].equity == Decimal(START) + book.realised


def held(quantity: int, price: int) -> Position:
    sheet = instrument(COIN)
    lots = (Lot(price, abs(quantity), FillId("f")),)
    return Position(
        StrategyId("default/coin"), COIN, COIN, quantity, lots, sheet.tick_value, DecisionId("d"), inverse=True
    )


def test_a_position_binds_margin_and_can_lose_in_the_coin_at_its_last_print() -> None:
    book = book_of()
    book.last_prints[COIN] = LastPrint(160_000, book.instant_ns, 7)
    book.positions = {**book.positions, (StrategyId("default/coin"), COIN): held(-10, 200_000)}
    view = account_view(book, halt="")
    assert near(view.open, coins(160_000, 10) - coins(200_000, 10), 1)  # a short wins where a coin buys less
    assert Fraction(view.margin_in_use) == coins(160_000, 10) / 100
    # Nothing works for it: one tick of slippage and the fee of the way out, at the dearer price.
    exact = coins(160_000, 10) - coins(160_001, 10)
    assert near(view.worst_case, exact + Fraction(5, 10_000) * coins(160_001, 10), 2)


def test_risk_sees_the_contract_with_its_rate_and_the_margin_of_its_quote() -> None:
    book = book_of()
    book.last_prints[COIN] = LastPrint(200_000, book.instant_ns, 7)
    (execute,) = settings(book, book.strategies[StrategyId("default/coin")]).execute
    assert (execute.inverse, execute.fee_rate, execute.commission) == (True, Decimal("0.0005"), 0)
    assert (execute.tick_value, execute.margin) == (200, Decimal("0.00001000"))
    own = book_of(MANIFESTS.replace("tiers: []", 'tiers: [], commission: {BTCUSD: "0.0001"}'))
    own.last_prints[COIN] = book.last_prints[COIN]
    (execute,) = settings(own, own.strategies[StrategyId("default/coin")]).execute
    assert (execute.fee_rate, execute.commission) == (0, Decimal("0.0001"))


def test_the_day_loss_is_watched_in_the_coin_where_the_book_reaches_it() -> None:
    book = book_of()
    book.positions = {**book.positions, (StrategyId("default/coin"), COIN): held(500, 200_000)}
    (watch,) = watches(book)
    # 500 contracts bought at 200,000 lose 0.05 coins where 500 x 200 / p = 0.5 + 0.05.
    reached = next(price for price in range(200_000, 0, -1) if coins(price, 500) >= Fraction(55, 100))
    prints = tape([(1, reached + 1), (2, reached), (3, reached - 1)])
    assert market().advance({COIN: prints}, 9 * 10**9, [watch]).instant_ns == 2 * 10**9
    position = book.positions[StrategyId("default/coin"), COIN]
    assert open_result(position, reached) <= Decimal("-0.05") < open_result(position, reached + 1)


def test_a_position_is_read_back_from_its_row_as_it_was() -> None:
    book = book_of()
    position = held(-10, 200_000)
    names = ("tape", "account", "strategy", "contract", "tape_contract", "quantity", "lots", "tick_value", "realised")
    columns = (*names, "commission", "decision_id", "inverse", "without_stop")
    row = dict(zip(columns, position_row(book, position), strict=True))
    assert position_of(row) == position


PRICES = st.integers(1, 10**7)
PARTS = st.lists(st.integers(1, 10**5), min_size=1, max_size=6)


def traded(side: Side, entry: int, leave: int, sizes: list[int]) -> Decimal:
    """Result of a position that is opened at once and closed in parts of these sizes."""
    position = flat(StrategyId("s"), COIN, COIN, Decimal(200), DecisionId("d"), inverse=True)
    steps = [(side, sum(sizes), entry), *((side.opposite, size, leave) for size in sizes)]
    for number, (way, size, price) in enumerate(steps):
        position = apply_fill(position, Fill(FillId(f"f{number}"), ClientOrderId("L"), COIN, way, size, price, 1, 1, 1))
    assert not position.quantity
    return position.realised


@given(PRICES, PRICES, PARTS)
def test_what_is_closed_in_parts_makes_what_is_closed_whole_within_a_rounding_each(
    entry: int, leave: int, sizes: list[int]
) -> None:
    whole = traded(Side.BUY, entry, leave, [sum(sizes)])
    assert abs(traded(Side.BUY, entry, leave, sizes) - whole) <= QUANTUM * (len(sizes) + 1) / 2
    assert near(whole, coins(entry, sum(sizes)) - coins(leave, sum(sizes)), 1)


@given(PRICES, PRICES, PARTS)
def test_a_long_makes_what_a_short_of_the_same_prices_loses(entry: int, leave: int, sizes: list[int]) -> None:
    long, short = traded(Side.BUY, entry, leave, sizes), traded(Side.SELL, entry, leave, sizes)
    assert long == -short
    assert (long > 0) <= (leave > entry)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            ("currency: BTC", "currency: USD"),
            "got 'BTCUSD', expected an instrument in USD, the currency of the account",
        ),
        (('dayLoss: "0.05", ', ""), "expected spec.limits.dayLoss in the account default/coins, in BTC: the 300"),
        (('dayTarget: "1", ', ""), "expected spec.limits.dayTarget in the account default/coins, in BTC: the 500"),
    ],
)
def test_an_account_whose_sums_are_not_meant_in_the_coin_is_refused(changes: tuple[str, str], problem: str) -> None:
    account, strategy = load_manifests(MANIFESTS.replace(*changes))
    assert isinstance(account, TradingAccount)
    assert isinstance(strategy, TradingStrategy)
    with pytest.raises(InvalidManifest) as refused:
        check_strategy_on_account(strategy, account)
    assert problem in str(refused.value)
