"""The limits in force: what manifests say, tightened by what was set or held within the trading day."""

from decimal import Decimal
from typing import Final, TypeVar

from leadline.execution.core.book import Book, StrategyBook
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.remembered import once_for_each
from leadline.risk.view import AccountLimits, StrategyLimits

_NO_LIMITS: Final = AccountLimits()
_Limit = TypeVar("_Limit", int, Decimal)


def own_limits(strategy: StrategyBook) -> StrategyLimits:
    """The limits of its own that a strategy has now: its settings', and what it still holds of stricter ones."""
    limits = risk_limits(strategy.manifest)
    return limits if strategy.held is None else stricter_limits(limits, strategy.held.limits)


@once_for_each
def risk_limits(manifest: TradingStrategy) -> StrategyLimits:
    """The limits of a strategy's manifest."""
    risk = manifest.spec.risk
    return StrategyLimits(
        max_position=risk.max_position,
        max_trades_per_day=risk.max_trades_per_day,
        day_loss=risk.day_loss,
        max_orders_per_second=risk.max_orders_per_second,
        max_entries_per_hour=risk.max_entries_per_hour,
        max_entries_per_session=risk.max_entries_per_session,
    )


def stricter_limits(one: StrategyLimits, other: StrategyLimits) -> StrategyLimits:
    """The stricter of each limit."""
    return StrategyLimits(
        max_position=stricter(one.max_position, other.max_position),
        max_trades_per_day=stricter(one.max_trades_per_day, other.max_trades_per_day),
        day_loss=stricter(one.day_loss, other.day_loss),
        max_orders_per_second=stricter(one.max_orders_per_second, other.max_orders_per_second),
        max_entries_per_hour=stricter(one.max_entries_per_hour, other.max_entries_per_hour),
        max_entries_per_session=stricter(one.max_entries_per_session, other.max_entries_per_session),
    )


def limits_in_force(book: Book) -> AccountLimits:
    """The account's limits as the manifest has them, tightened by what was set or held within the trading day."""
    manifest = manifest_limits(book.manifest)
    day = book.day_limits
    if day == _NO_LIMITS and not book.margin_limits:
        return manifest
    return AccountLimits(
        day_loss=stricter(manifest.day_loss, day.day_loss),
        day_target=stricter(manifest.day_target, day.day_target),
        max_position=stricter(manifest.max_position, day.max_position),
        max_open_trades=stricter(manifest.max_open_trades, day.max_open_trades),
        max_orders_per_second=stricter(manifest.max_orders_per_second, day.max_orders_per_second),
        max_entries_per_hour=stricter(manifest.max_entries_per_hour, day.max_entries_per_hour),
        margin_limits=stricter_margins(manifest.margin_limits, book.margin_limits),
        max_order_value=stricter(manifest.max_order_value, day.max_order_value),
    )


@once_for_each
def manifest_limits(manifest: TradingAccount) -> AccountLimits:
    """The limits of an account's manifest."""
    limits = manifest.spec.limits
    return AccountLimits(
        limits.day_loss,
        limits.day_target,
        limits.max_position,
        limits.max_open_trades,
        limits.max_orders_per_second,
        limits.max_entries_per_hour,
        dict(sorted(manifest.spec.margin_limits.items())),
        limits.max_order_value,
    )


def stricter_margins(one: dict[str, Decimal], other: dict[str, Decimal]) -> dict[str, Decimal]:
    """The lower limit of each root that either has one for."""
    return {root: min(found[root] for found in (one, other) if root in found) for root in sorted({*one, *other})}


def stricter(one: _Limit | None, other: _Limit | None) -> _Limit | None:
    """The lower of two limits; one that is not set is none."""
    return other if one is None else one if other is None else min(one, other)
