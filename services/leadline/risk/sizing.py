"""Position size: tier, modifiers and regime, then the smallest of every bound, with the arithmetic written down."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from leadline.model.signals import BarSignals, Direction, Regime, Signal
from leadline.risk.limits import day_budget, free_margin, free_position, risk_per_contract
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

    f = clamp(floor((1 + modifiers) x regime multiplier), tier minimum, tier maximum), or the fixed size up to the
    tier's maximum; then the smallest of f, the free position, the strategy's maximum, what is left of the day's budget
    divided by the risk of one contract, and what the equity that binds no margin yet can carry. Below one there is no
    trade, for the term that bound it. A regime whose multiplier is 0 does not trade in any mode.
    """
    terms: list[tuple[str, str]] = []
    if bar.regime.multiplier <= 0:
        return Size(0, Reason.REGIME_SIZE, (("regime_multiplier", str(bar.regime.multiplier)), ("size", "0")))
    if strategy.sizing_mode == "Fixed":
        wanted = strategy.fixed_size
        terms.append(("fixed", str(wanted)))
        if account.tier is not None:
            terms.append(("tier_max", str(account.tier.max_size)))
            wanted = min(wanted, account.tier.max_size)
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
    if instrument.margin:
        free = free_margin(account)
        terms += [("margin_per_contract", str(instrument.margin)), ("margin_free", str(free))]
        bounds.append(("margin_size", floor(free / instrument.margin), Reason.MARGIN))
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
