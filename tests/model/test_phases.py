"""Whether a market is open, and until when."""

from datetime import UTC, datetime

from leadline.model.market.calendars import calendar
from leadline.model.market.phases import MarketPhase, market_phase, open_between

CME = calendar("cme")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_a_market_that_is_open_says_when_it_closes() -> None:
    assert market_phase(CME, at("2026-11-24T15:00")) == MarketPhase(is_open=True, until_ns=at("2026-11-24T22:00"))


def test_the_daily_break_ends_in_the_evening() -> None:
    assert market_phase(CME, at("2026-11-24T22:30")) == MarketPhase(is_open=False, until_ns=at("2026-11-24T23:00"))


def test_a_weekend_ends_on_sunday_evening() -> None:
    assert market_phase(CME, at("2026-11-28T12:00")) == MarketPhase(is_open=False, until_ns=at("2026-11-29T23:00"))


def test_a_holiday_is_named() -> None:
    assert market_phase(CME, at("2026-12-25T12:00")) == MarketPhase(
        is_open=False, until_ns=at("2026-12-27T23:00"), holiday="Christmas"
    )


def test_an_early_close_is_the_close() -> None:
    assert market_phase(CME, at("2026-11-27T17:00")).until_ns == at("2026-11-27T18:15")


def test_only_open_hours_between_two_times_count() -> None:
    minute = 60_000_000_000
    assert open_between(CME, at("2026-11-24T21:50"), at("2026-11-24T23:05")) == 15 * minute
    assert open_between(CME, at("2026-11-27T18:15"), at("2026-11-29T23:00")) == 0
    assert open_between(CME, at("2026-11-24T15:00"), at("2026-11-24T15:00")) == 0
