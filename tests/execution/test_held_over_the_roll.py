"""What is held over the roll of the trading day: each day has its own gain and loss of it."""

from decimal import Decimal

import pytest

from leadline.execution.core.account import account_view
from leadline.execution.core.book import Book
from leadline.execution.core.day import apply_limits, roll, watches
from leadline.model.ids import StrategyId
from leadline.model.orders import LastPrint
from tests.execution.harness.books import book_of
from tests.execution.harness.builders import DAY_S, MES, account, ns, strategy

D = Decimal
LIMITS = {"dayLoss": "100", "dayTarget": "200"}


def held(ticks: int, realised: str = "0", **limits: str) -> Book:
    """A long of one MES from 20000, so many ticks away at the roll into its second day; a tick is worth 1.25."""
    book, _ = book_of(position=1, manifest=account(limits=LIMITS))
    book.strategies[StrategyId("default/mes")].manifest = strategy(risk=limits)
    book.realised = book.strategies[StrategyId("default/mes")].realised = D(realised)
    at(book, ticks, 600)
    book.instant_ns = ns(DAY_S)
    assert roll(book)
    return book


def at(book: Book, ticks: int, seconds: float) -> None:
    book.instant_ns = ns(seconds)
    book.last_prints[MES] = LastPrint(20_000 + ticks, ns(seconds), 0)
    apply_limits(book)


def blocks(book: Book) -> tuple[str, str]:
    """The block of the account and that of its strategy."""
    return book.block, book.strategies[StrategyId("default/mes")].block


@pytest.mark.parametrize("ticks", [-60, 0, 120])
def test_a_day_begins_with_no_result_and_the_account_s_whole_equity(ticks: int):
    book = held(ticks, "-20")
    view = account_view(book, halt="")
    assert view.realised + view.open == 0
    assert view.equity == book.manifest.spec.starting_balance - 20 + ticks * D("1.25")
    assert view.equity == view.equity_at_roll


def test_a_gain_of_the_day_before_does_not_pay_for_the_day_s_loss():
    book = held(120)
    at(book, 41, DAY_S + 60)
    assert (book.block, book.flatten) == ("", "")
    at(book, 40, DAY_S + 61)  # 80 ticks below the roll: a loss of 100, and still 50 above its entry
    assert (book.block, book.flatten) == ("DAY_LOSS", "day_loss")


def test_a_loss_of_the_day_before_is_not_lost_again():
    book = held(-70)
    at(book, -149, DAY_S + 60)
    assert (book.block, book.flatten) == ("", "")
    at(book, -150, DAY_S + 61)
    assert (book.block, book.flatten) == ("DAY_LOSS", "day_loss")


def test_the_target_is_of_the_day_too():
    book = held(120)
    at(book, 279, DAY_S + 60)
    assert blocks(book) == ("", "")
    at(book, 280, DAY_S + 61)
    assert blocks(book) == ("DAY_TARGET", "")


def test_a_strategy_s_own_loss_is_of_the_day_too():
    book = held(120, dayLoss="50")
    at(book, 81, DAY_S + 60)
    assert blocks(book) == ("", "")
    at(book, 80, DAY_S + 61)
    assert blocks(book) == ("", "DAY_LOSS")


def test_the_venue_stops_where_the_day_s_loss_is_reached():
    book = held(120, dayLoss="50")
    of_account, of_strategy = watches(book)
    assert (of_account.base, of_account.at_or_below, of_account.at_or_above) == (D(-150), D(-100), D(200))
    assert (of_strategy.base, of_strategy.at_or_below) == (D(-150), D(-50))
