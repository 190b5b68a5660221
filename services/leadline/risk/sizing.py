"""Position size: tier, modifiers and regime, then the smallest of every bound, with the arithmetic written down."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from leadline.model.signals import BarSignals, Direction, Regime, Signal
from leadline.risk.limits import day_budget, free_position, risk_per_contract
from leadline.risk.reasons import Reason
from leadline.risk.view import AccountView, ExecutionInstrument, StrategySettings

WIN_STREAK: Final = 3
LOSS_STREAK: Final = 2
_TRENDING: Final = {Direction.LONG: Regime.TRENDING_UP, Direction.SHORT: Regime.TRENDING_DOWN}


@dataclass(frozen=True, slots=True)
class Size:
    """A size in size steps with the terms that made it, and the reason when it is below one."""

    quantity: int
    reason: Reason | None
    arithmetic: tuple[tuple[str, str], ...]


def floor(value: Decimal) -> int:
    """The largest integer not above `value`."""
    return int(value.to_integral_value(ROUND_FLOOR))


def size(
    account: AccountView,
    strategy: StrategySettings,
    instrument: ExecutionInstrument,
    bar: BarSignals,
    approved: tuple[Signal, ...],
) -> Size:
    """The size of an entry on `approved` signals, all of one direction.

    f = clamp(floor((1 + modifiers) x regime multiplier), tier minimum, tier maximum), or the fixed size; then the
    smallest of f, the free position, the strategy's maximum, what is left of the day's budget divided by the risk of
    one contract, and what the equity can carry in margin. Below one there is no trade, for the term that bound it.
    """
    terms: list[tuple[str, str]] = []
    if strategy.sizing_mode == "Fixed":
        wanted = strategy.fixed_size
        terms.append(("fixed", str(wanted)))
    else:
        wanted = _tiered(account, strategy, bar, approved, terms)
    bounds: list[tuple[str, int, Reason]] = [
        ("free_position", free_position(account, strategy), Reason.MAX_POSITION),
        ("max_size", strategy.max_size, Reason.MAX_SIZE),
    ]
    if strategy.respect_day_budget:
        budget = day_budget(account, strategy)
        unit = risk_per_contract(strategy, instrument)
        terms += [("day_budget", str(budget)), ("risk_per_contract", str(unit))]
        bounds.append(("budget_size", floor(budget / unit), Reason.DAY_BUDGET))
    if instrument.margin is not None and instrument.margin > 0:
        terms.append(("margin_per_contract", str(instrument.margin)))
        bounds.append(("margin_size", floor(account.equity / instrument.margin), Reason.MARGIN))
    quantity, bound_by = wanted, Reason.MAX_SIZE
    for name, bound, reason in bounds:
        terms.append((name, str(bound)))
        if bound < quantity:
            quantity, bound_by = bound, reason
    quantity = max(quantity, 0)
    terms.append(("size", str(quantity)))
    return Size(quantity, None if quantity >= 1 else bound_by, tuple(terms))


def _tiered(
    account: AccountView,
    strategy: StrategySettings,
    bar: BarSignals,
    approved: tuple[Signal, ...],
    terms: list[tuple[str, str]],
) -> int:
    direction = approved[0].direction
    patterns = len({signal.pattern for signal in approved})
    values = {
        "Stacked": int(patterns >= 2),
        "Trending": int(bar.regime.regime is _TRENDING[direction]),
        "WinStreak": int(account.streak >= WIN_STREAK),
        "LossStreak": -int(account.streak <= -LOSS_STREAK),
    }
    total = 1
    terms.append(("base", "1"))
    for name, value in values.items():
        if name in strategy.modifiers:
            total += value
            terms.append((name, str(value)))
    scaled = floor(total * bar.regime.multiplier)
    terms += [("regime_multiplier", str(bar.regime.multiplier)), ("scaled", str(scaled))]
    tier = account.tier
    low, high = (tier.min_size, tier.max_size) if tier is not None else (1, strategy.max_size)
    terms += [("tier_min", str(low)), ("tier_max", str(high))]
    return min(max(scaled, low), high)
