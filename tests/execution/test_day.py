"""What time does to an account: the day's loss and target, being flat by the close, and the roll of the trading day."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from leadline.execution.core.book import Book, HeldLimits
from leadline.execution.core.day import (
    Flatten,
    apply_limits,
    around_the_roll,
    close_of_session,
    next_timer,
    roll,
    venue_calendar,
    watches,
)
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.limits import risk_limits
from leadline.model.blocks import Block
from leadline.model.ids import ContractId, StrategyId
from leadline.model.market.calendars import calendar, calendar_names
from leadline.model.market.hours import instant_ns
from leadline.model.orders import LastPrint, Order, OrderState, VenueEvent, Watch, WatchedPosition
from leadline.risk.view import AccountLimits, StrategyLimits
from tests.execution.harness.books import book_of, order_of, position_of, reported_of
from tests.execution.harness.builders import DAY, DAY_S, ES, MES, ROLL_S, RTH_S, account, ns, strategy

D = Decimal
NO_REGULAR_HOURS = date(2025, 1, 9)
"""A day of mourning: the market closed before the regular session would have opened."""
FLAT_BY_S = RTH_S - 300
"""Five minutes before the close of the regular session."""
LIMITS = {"dayLoss": "100", "dayTarget": "200"}


def standing_at(ticks: int, quantity: int = 1, **limits: Any) -> Book:
    """An account with a loss of 100 and a target of 200 a day, and a position that stands so many ticks from its entry.

    A tick of it is worth 1.25. `limits` are the strategy's own.
    """
    book, _ = book_of(position=quantity, manifest=account(limits=LIMITS))
    book.strategies[StrategyId("default/mes")].manifest = strategy(risk=limits)
    book.last_prints[MES] = LastPrint(20_000 + ticks, ns(600), 0)
    return book


def state_of(book: Book) -> tuple[str, str]:
    return book.block, book.flatten


@pytest.mark.parametrize(
    ("realised", "ticks", "block", "flatten"),
    [
        ("0", -79, "", ""),
        ("0", -80, "DAY_LOSS", "day_loss"),  # 80 ticks of 1.25
        ("-99.99", 0, "", ""),
        ("-100", 0, "DAY_LOSS", "day_loss"),
        ("-50", -40, "DAY_LOSS", "day_loss"),
        ("50", -80, "", ""),
        ("0", 159, "", ""),
        ("0", 160, "DAY_TARGET", ""),
        ("200", 0, "DAY_TARGET", ""),
        ("199.99", 0, "", ""),
        ("300", -80, "DAY_TARGET", ""),
        ("300", -81, "", ""),
    ],
)
def test_the_day_s_result_blocks_the_account_at_its_loss_and_at_its_target(
    realised: str, ticks: int, block: str, flatten: str
):
    book = standing_at(ticks)
    book.realised = D(realised)
    apply_limits(book)
    assert state_of(book) == (block, flatten)


def test_a_target_that_was_reached_keeps_and_a_loss_after_it_still_closes():
    book = standing_at(0)
    book.block = Block.DAY_TARGET
    apply_limits(book)
    assert state_of(book) == ("DAY_TARGET", "")
    book.realised = D(-100)
    apply_limits(book)
    assert state_of(book) == ("DAY_LOSS", "day_loss")


def test_a_loss_that_was_reached_is_never_a_target_and_is_not_closed_twice():
    book = standing_at(0)
    book.block, book.realised = Block.DAY_LOSS, D(300)
    apply_limits(book)
    assert state_of(book) == ("DAY_LOSS", "")
    book.realised = D(-300)
    apply_limits(book)
    assert state_of(book) == ("DAY_LOSS", "")


@pytest.mark.parametrize(
    ("realised", "ticks", "blocked"), [("-40", 0, True), ("-39.99", 0, False), ("0", -32, True), ("0", -31, False)]
)
def test_a_strategy_s_own_loss_flattens_it_alone(realised: str, ticks: int, blocked: bool):
    book = standing_at(ticks, dayLoss="40")
    owner = book.strategies[StrategyId("default/mes")]
    owner.realised = D(realised)
    apply_limits(book)
    assert (owner.block, owner.flatten) == (("DAY_LOSS", "day_loss") if blocked else ("", ""))
    assert state_of(book) == ("", "")


def test_a_strategy_that_leaves_already_keeps_its_reason_and_one_that_is_blocked_is_left_alone():
    book = standing_at(-40, dayLoss="40")
    owner = book.strategies[StrategyId("default/mes")]
    owner.flatten = "drain"
    apply_limits(book)
    assert (owner.block, owner.flatten) == ("DAY_LOSS", "drain")
    owner.flatten = ""
    apply_limits(book)
    assert owner.flatten == ""


def test_each_strategy_is_held_to_its_own_loss():
    book = standing_at(-40)
    other = replace(
        book.strategies[StrategyId("default/mes")], strategy=StrategyId("default/other"), manifest=strategy("other")
    )
    other.manifest = strategy("other", risk={"dayLoss": "1"})
    other.realised = D(-1)
    book.strategies[StrategyId("default/other")] = other
    apply_limits(book)
    assert [found.block for found in book.strategies.values()] == ["", "DAY_LOSS"]


@pytest.mark.parametrize(("seconds", "due"), [(FLAT_BY_S - 0.000001, False), (FLAT_BY_S, True), (RTH_S + 1, True)])
def test_a_strategy_is_flat_from_five_minutes_before_the_close(seconds: float, due: bool):
    book, _ = book_of(position=1, seconds=seconds)
    assert list(close_of_session(book)) == ([Flatten(StrategyId("default/mes"), ExitReason.FLAT_BY)] if due else [])
    apply_limits(book)
    assert book.strategies[StrategyId("default/mes")].flatten == ("flat_by" if due else "")
    assert state_of(book) == ("", "")


def test_at_the_close_a_reason_that_is_there_stays_and_nothing_is_asked_of_who_is_flat():
    book, _ = book_of(position=1, seconds=RTH_S)
    book.strategies[StrategyId("default/mes")].flatten = "day_loss"
    apply_limits(book)
    assert book.strategies[StrategyId("default/mes")].flatten == "day_loss"
    assert list(close_of_session(book_of(seconds=RTH_S)[0])) == []
    assert len(list(close_of_session(book_of(order_of(OrderState.WORKING), seconds=RTH_S)[0]))) == 1


def test_who_is_flat_does_not_hide_who_is_not():
    book, _ = book_of(position=1, seconds=RTH_S)
    book.strategies[StrategyId("default/a")] = replace(
        book.strategies[StrategyId("default/mes")], strategy=StrategyId("default/a")
    )
    assert list(close_of_session(book)) == [Flatten(StrategyId("default/mes"), ExitReason.FLAT_BY)]


def test_the_next_instant_by_time_alone_is_the_flat_by_or_the_roll():
    flat, _ = book_of()
    assert next_timer(flat) == ns(ROLL_S)
    book, _ = book_of(position=1)
    assert next_timer(book) == ns(FLAT_BY_S)
    book.instant_ns = ns(FLAT_BY_S)
    assert next_timer(book) == ns(ROLL_S) - 1  # what is held over the roll is valued there
    book.instant_ns = ns(ROLL_S) - 1
    assert next_timer(book) == ns(ROLL_S)
    book.instant_ns = ns(FLAT_BY_S) - 1
    assert next_timer(book) == ns(FLAT_BY_S)


def holds(book: Book) -> bool:
    return book.strategies[StrategyId("default/mes")].held is not None


def test_the_open_of_the_session_is_waited_for_only_by_who_holds_limits():
    book, _ = book_of(position=1, seconds=-600)
    assert next_timer(book) == ns(FLAT_BY_S)


def held(limits: StrategyLimits, seconds: float) -> HeldLimits:
    return HeldLimits(ns(seconds), limits)


def test_held_limits_are_dropped_when_the_session_opens_or_the_strategy_is_flat():
    stricter = risk_limits(strategy(risk={"dayLoss": "10"}))
    before_open = -600.0
    book, _ = book_of(position=1, seconds=before_open, held=held(stricter, before_open))
    assert next_timer(book) == ns(0)
    apply_limits(book)
    assert holds(book)
    book.instant_ns = ns(0)
    apply_limits(book)
    assert not holds(book)

    book, _ = book_of(position=1, seconds=700, held=held(stricter, 0))
    apply_limits(book)
    assert holds(book)  # held at the open itself: until the next one
    book.positions = {}
    apply_limits(book)
    assert not holds(book)


def test_held_limits_bind_while_they_are_held():
    stricter = replace(risk_limits(strategy()), day_loss=D(10))
    book, _ = book_of(position=1, held=held(stricter, 500))
    book.last_prints[MES] = LastPrint(20_000 - 8, ns(600), 0)
    apply_limits(book)
    assert book.strategies[StrategyId("default/mes")].block == "DAY_LOSS"


MES_HELD = WatchedPosition(MES, 1, D(25_000), D("1.25"))


def test_the_venue_watches_the_day_s_loss_and_target_and_each_strategy_s_loss():
    book = standing_at(0, dayLoss="40")
    book.realised = book.strategies[StrategyId("default/mes")].realised = D(7)
    assert watches(book) == (
        Watch(D(7), (MES_HELD,), D(-100), D(200)),
        Watch(D(7), (MES_HELD,), D(-40)),
    )


def test_what_is_reached_already_is_watched_no_more():
    book = standing_at(0, dayLoss="40")
    book.block = Block.DAY_TARGET
    assert watches(book) == (Watch(D(0), (MES_HELD,), D(-100), None), Watch(D(0), (MES_HELD,), D(-40)))
    book.block = Block.DAY_LOSS
    assert watches(book) == (Watch(D(0), (MES_HELD,), D(-40)),)
    book.strategies[StrategyId("default/mes")].block = Block.DAY_LOSS
    assert watches(book) == ()


def test_only_what_is_held_and_has_prints_is_watched():
    assert watches(standing_at(0, 0, dayLoss="40")) == ()
    book = standing_at(0)
    book.positions = {
        **book.positions,
        (StrategyId("default/mes"), ES): replace(position_of(2, contract=ES), tape_contract=ES),
    }
    assert watches(book)[0].positions == (MES_HELD,)
    assert watches(standing_at(0)) == (Watch(D(0), (MES_HELD,), D(-100), D(200)),)


def counted() -> Book:
    """A flat account with a day behind it, a nanosecond before the roll."""
    book, _ = book_of()
    book.instant_ns = ns(ROLL_S) - 1
    book.realised, book.trades, book.streak, book.block = D(70), 3, -2, Block.DAY_TARGET
    book.day_limits, book.margin_limits = AccountLimits(day_loss=D(5)), {"MES": D(1)}
    owner = book.strategies[StrategyId("default/mes")]
    owner.realised, owner.trades, owner.block = D(-9), 2, Block.DAY_LOSS
    return book


def test_the_trading_day_rolls_at_six_in_the_evening_and_not_before():
    book = counted()
    assert not roll(book)
    assert (book.realised, book.trades) == (D(70), 3)
    book.instant_ns += 1
    assert roll(book)
    assert book.trading_day == date(2025, 6, 11)
    assert not roll(book)


def test_the_day_s_counters_start_again_and_its_result_is_the_next_one_s_equity():
    book = counted()
    book.instant_ns += 1
    roll(book)
    assert (book.equity_at_roll, book.realised) == (D(10_070), D(0))
    assert (book.trades, book.streak, book.block) == (0, 0, "")
    assert (book.day_limits, book.margin_limits) == (AccountLimits(), {})
    owner = book.strategies[StrategyId("default/mes")]
    assert (owner.realised, owner.trades, owner.block) == (D(0), 0, "")


def test_the_table_of_tiers_waits_for_an_account_that_is_flat():
    manifest = account("2500", ({"from": "0", "execute": "MES", "maxSize": 3, "dayLoss": "100"},))
    for position, tiers in ((1, ()), (0, None)):
        book, _ = book_of(position=position, manifest=manifest)
        book.tiers, book.instant_ns = (), ns(ROLL_S)
        assert roll(book)
        assert book.tiers == tiers


@pytest.mark.parametrize(
    ("orders", "position", "contract"),
    [((), 0, "MESU2025"), ((), 1, MES), ((order_of(OrderState.WORKING),), 0, MES)],
)
def test_a_strategy_on_a_root_goes_on_in_the_day_s_lead_month_when_it_is_flat(
    orders: tuple[Order, ...], position: int, contract: ContractId
):
    book, _ = book_of(*orders, position=position)
    book.feed_contracts = (MES, ContractId("MESU2025"))
    book.instant_ns = ns(3 * DAY_S + ROLL_S)  # Friday evening: September leads from Monday on
    assert roll(book)
    assert book.strategies[StrategyId("default/mes")].contract == contract


def test_a_strategy_keeps_its_contract_where_the_feed_has_no_lead_month():
    book, _ = book_of()
    book.instant_ns = ns(3 * DAY_S + ROLL_S)
    assert roll(book)
    assert book.strategies[StrategyId("default/mes")].contract == MES


def event(number: int, seconds: float) -> VenueEvent:
    return VenueEvent(number, ns(seconds), reported_of(order_of(OrderState.WORKING), OrderState.WORKING), None)


def test_what_the_venue_tells_is_parted_where_the_trading_day_ends():
    book, _ = book_of()
    events = tuple(event(n, at) for n, at in enumerate((ROLL_S - 1, ROLL_S - 0.001, ROLL_S, ROLL_S + 1), start=1))
    assert around_the_roll(book, events) == (events[:2], events[2:])
    assert around_the_roll(book, events[:2]) == (events[:2], ())
    assert around_the_roll(book, events[2:]) == ((), events[2:])
    assert around_the_roll(book, ()) == ((), ())


def test_before_there_is_a_strategy_the_feed_s_market_rolls_the_day():
    book, _ = book_of()
    named = venue_calendar(book).name
    book.strategies.clear()
    assert venue_calendar(book).name == named
    book.calendar = "24x7"
    assert venue_calendar(book).name == "24x7"


def test_the_roll_is_found_over_a_weekend_and_not_past_the_calendar():
    book, _ = book_of(seconds=3 * DAY_S + 600)  # Friday
    assert next_timer(book) == ns(3 * DAY_S + ROLL_S)
    book.instant_ns = ns(3 * DAY_S + ROLL_S)
    roll(book)
    assert next_timer(book) == ns(6 * DAY_S + ROLL_S)  # Monday evening
    through = venue_calendar(book).valid_through
    assert through is not None
    book.trading_day = date.fromordinal(through.toordinal() - 8)
    assert next_timer(book) is not None
    book.trading_day = date.fromordinal(through.toordinal() - 7)
    assert next_timer(book) is None
    book.strategies.clear()
    book.trading_day = None
    assert next_timer(book) is None


@pytest.mark.parametrize("name", [name for name in calendar_names() if calendar(name).knows(DAY)])
def test_every_market_s_day_rolls_at_the_first_instant_of_the_next(name: str):
    book, _ = book_of()
    book.strategies.clear()
    book.calendar = name
    rolls_ns = next_timer(book)
    assert rolls_ns is not None
    assert calendar(name).trading_day(rolls_ns - 1) == DAY < calendar(name).trading_day(rolls_ns)


def test_the_first_strategy_s_market_rolls_the_day_and_before_one_the_first_contract_s():
    book, _ = book_of()
    coin = strategy("coin", instrument="BTCUSDT", strategy={"entryPoint": "acme:Own"})
    owner = book.strategies[StrategyId("default/mes")]
    book.strategies[StrategyId("default/coin")] = replace(
        owner, strategy=StrategyId("default/coin"), manifest=coin, contract=ContractId("BTCUSDT")
    )
    assert venue_calendar(book).name == "24x7"
    book.strategies = {StrategyId("default/a"): owner, **book.strategies}
    assert venue_calendar(book).name != "24x7"
    book.strategies.clear()
    book.feed_contracts = (ContractId("BTCUSDT"), MES)
    assert venue_calendar(book).name == "24x7"


def test_a_day_without_the_strategy_s_session_closes_nothing_and_waits_for_the_roll():
    book, _ = book_of(position=1, held=held(StrategyLimits(day_loss=D(10)), 500))
    book.trading_day = NO_REGULAR_HOURS
    assert list(close_of_session(book)) == []
    apply_limits(book)
    assert holds(book)
    book.instant_ns = instant_ns(NO_REGULAR_HOURS, "10:00", "America/New_York")
    assert next_timer(book) == instant_ns(NO_REGULAR_HOURS, "18:00", "America/New_York") - 1
