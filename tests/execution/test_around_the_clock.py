"""A market that never closes: nothing is flattened at midnight, and entries are not kept away from it."""

from datetime import date
from decimal import Decimal

import pytest

from leadline.execution.core.account import settings
from leadline.execution.core.book import Book, StrategyBook
from leadline.execution.core.day import close_of_session, next_timer, roll
from leadline.model.ids import ContractId, DecisionId, FillId, RunId, StrategyId
from leadline.model.manifest.specs import (
    TradingAccount,
    TradingStrategy,
    calendar_of_spec,
    day_problem,
    default_account,
    parse_manifest,
)
from leadline.model.market.hours import instant_ns
from leadline.model.orders import Lot, Position
from leadline.model.ticks import NS_PER_MINUTE

BITCOIN = ContractId("BTCUSDT")
MIDNIGHT = instant_ns(date(2025, 6, 11), "00:00", "UTC")


def account() -> TradingAccount:
    manifest = default_account("default").to_manifest()
    manifest["spec"] |= {"currency": "USDT", "tiers": []}
    found = parse_manifest(manifest)
    assert isinstance(found, TradingAccount)
    return found


def strategy(**changes: object) -> TradingStrategy:
    spec = {
        "instrument": BITCOIN,
        "strategy": {"entryPoint": "acme:Own"},
        "bracket": {"stopTicks": 500, "targetTicks": 750},
        "sizing": {"mode": "Fixed", "size": 1},
    }
    head = {"apiVersion": "leadline.dev/v1alpha1", "kind": "TradingStrategy"}
    found = parse_manifest({**head, "metadata": {"name": "coin", "namespace": "default"}, "spec": spec | changes})
    assert isinstance(found, TradingStrategy)
    return found


def book_at(instant_ns: int, manifest: TradingStrategy) -> Book:
    own = account()
    book = Book(RunId("tape"), own.full_name, own, (BITCOIN,), date(2025, 6, 10), instant_ns, own.spec.starting_balance)
    held = StrategyBook(StrategyId("default/coin"), manifest, "settings", "hash", instant_ns, BITCOIN)
    book.strategies[held.strategy] = held
    roll(book)
    lots = (Lot(1_000_000, 1, FillId("fill")),)
    book.positions = {
        **book.positions,
        (held.strategy, BITCOIN): Position(
            held.strategy, BITCOIN, BITCOIN, 1, lots, Decimal("0.0001"), DecisionId("decision")
        ),
    }
    return book


@pytest.mark.parametrize("before_ns", [NS_PER_MINUTE, 1])
def test_a_position_is_held_over_midnight(before_ns: int) -> None:
    book = book_at(MIDNIGHT - before_ns, strategy())
    assert list(close_of_session(book)) == []
    # The trading day rolls, and nothing else is due; just before, what is held is valued.
    assert next_timer(book) == (MIDNIGHT if before_ns == 1 else MIDNIGHT - 1)
    book.instant_ns = MIDNIGHT
    assert roll(book)
    assert list(close_of_session(book)) == []


def test_entries_are_not_kept_away_from_midnight() -> None:
    book = book_at(MIDNIGHT - NS_PER_MINUTE, strategy())
    found = settings(book, book.strategies[StrategyId("default/coin")])
    assert (found.after_open_ns, found.before_close_ns) == (0, None)


NIGHT = {"open": "18:00", "close": "06:00", "zone": "UTC"}


def test_a_session_over_midnight_is_one_trading_day_and_flat_by_its_close() -> None:
    minutes = NS_PER_MINUTE
    opens, closes = MIDNIGHT - 360 * minutes, MIDNIGHT + 360 * minutes
    book = book_at(MIDNIGHT - minutes, strategy(session=NIGHT))
    assert book.trading_day == date(2025, 6, 11)
    assert next_timer(book) == closes - 5 * minutes
    book.instant_ns = MIDNIGHT
    assert not roll(book)
    book.instant_ns = closes - 5 * minutes
    assert [flatten.reason for flatten in close_of_session(book)] == ["flat_by"]
    book.instant_ns = opens + 1440 * minutes
    assert roll(book)
    assert book.trading_day == date(2025, 6, 12)


def test_a_strategy_whose_day_begins_elsewhere_needs_an_account_of_its_own() -> None:
    problem = day_problem(strategy(session=NIGHT), calendar_of_spec(strategy().spec), "default/coin")
    assert problem is not None
    assert "trading day begins at 00:00 UTC on every day of the week, as that of default/coin does" in problem.expected
    assert "and not at 18:00 UTC on every day of the week" in problem.expected


def test_a_session_with_a_close_is_flat_by_it() -> None:
    hours = {"open": "08:00", "close": "23:55", "zone": "UTC"}
    book = book_at(MIDNIGHT - 11 * NS_PER_MINUTE, strategy(session=hours))
    assert next_timer(book) == MIDNIGHT - 10 * NS_PER_MINUTE
    book.instant_ns = MIDNIGHT - 10 * NS_PER_MINUTE
    assert [flatten.reason for flatten in close_of_session(book)] == ["flat_by"]
    found = settings(book, book.strategies[StrategyId("default/coin")])
    assert (found.after_open_ns, found.before_close_ns) == (5 * NS_PER_MINUTE, 15 * NS_PER_MINUTE)
