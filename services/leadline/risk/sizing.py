"""Position size: what a sizer wants, then the smallest of every bound, with the arithmetic written down."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Final, Protocol

from leadline.model.frozen import quickly_made
from leadline.model.proposals import Direction, Proposal
from leadline.model.signals import BarSignals, Pattern, Regime
from leadline.risk.limits import day_budget, free_margin, free_position, risk_budget, risk_per_contract
from leadline.risk.reasons import Reason
from leadline.risk.view import AccountView, ExecutionInstrument, StrategySettings, Tier

WIN_STREAK: Final = 3
LOSS_STREAK: Final = 2
_PATTERNS: Final = frozenset(pattern.value for pattern in Pattern)
_TRENDING: Final = {Direction.LONG: Regime.TRENDING_UP, Direction.SHORT: Regime.TRENDING_DOWN}

Terms = tuple[tuple[str, str], ...]
"""Arithmetic in the order in which it was done: the name of each term and its value."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Size:
    """A size in size steps with the terms that made it, and the reason when it is below one."""

    quantity: int
    reason: Reason | None
    arithmetic: Terms


@quickly_made
@dataclass(frozen=True, slots=True)
class Basis:
    """A sizer's inputs: the account's money, the risk of one contract, and the evidence for the entry.

    `equity` and `margin_in_use` as in `AccountView`, in the account's currency, and so is `risk_per_contract`, that of
    the limits (`leadline.risk.limits`). `stop_ticks` is the stop's distance, None without a stop. `patterns` is the
    number of different ones, `with_trend` says that the regime goes the entry's way, `multiplier` is the regime's.
    """

    equity: Decimal
    margin_in_use: Decimal
    stop_ticks: int | None
    risk_per_contract: Decimal
    tier: Tier | None
    max_size: int
    streak: int
    patterns: int
    with_trend: bool
    multiplier: Decimal


@quickly_made
@dataclass(frozen=True, slots=True)
class Wanted:
    """The size that a sizer asks for, before the bounds of all modes; `reason` refuses one below one contract."""

    quantity: int
    terms: Terms
    reason: Reason = Reason.MAX_SIZE


class Sizer(Protocol):
    """A mode of sizing."""

    def wanted(self, basis: Basis) -> Wanted:
        """How many size steps an entry on this basis should have. Pure: the same basis, the same answer."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """So many contracts, up to the tier's maximum."""

    size: int

    def wanted(self, basis: Basis) -> Wanted:
        """The size itself."""
        return _up_to_tier(self.size, (("fixed", str(self.size)),), basis.tier)


@dataclass(frozen=True, slots=True)
class Tiered:
    """clamp(floor((1 + modifiers) x regime multiplier), tier minimum, tier maximum)."""

    modifiers: tuple[str, ...]

    def wanted(self, basis: Basis) -> Wanted:
        """One contract, changed by the modifiers and the regime, within the tier."""
        values = {
            "Stacked": int(basis.patterns >= 2),
            "Trending": int(basis.with_trend),
            "WinStreak": int(basis.streak >= WIN_STREAK),
            "LossStreak": -int(basis.streak <= -LOSS_STREAK),
        }
        counted = {name: value for name, value in values.items() if name in self.modifiers}
        scaled = floor((1 + sum(counted.values())) * basis.multiplier)
        tier = basis.tier
        low, high = (1, basis.max_size) if tier is None else (tier.min_size, tier.max_size)
        terms = (
            ("base", "1"),
            *((name, str(value)) for name, value in counted.items()),
            ("regime_multiplier", str(basis.multiplier)),
            ("scaled", str(scaled)),
            ("tier_min", str(low)),
            ("tier_max", str(high)),
        )
        return Wanted(min(max(scaled, low), high), terms)


@dataclass(frozen=True, slots=True)
class RiskPercent:
    """floor(equity x percent / 100 / risk of one contract), up to the tier's maximum.

    Never more than the risk that was asked for: where it does not pay for one contract there is no trade, whatever the
    tier's minimum says. The known method of fixed fractional sizing (R. Vince, Portfolio Management Formulas, 1990).
    """

    percent: Decimal

    def wanted(self, basis: Basis) -> Wanted:
        """As many contracts as the part of the equity pays for when all of them are stopped out."""
        budget = risk_budget(basis.equity, self.percent)
        size = floor(budget / basis.risk_per_contract)
        terms = (
            ("equity", str(basis.equity)),
            ("risk_percent", str(self.percent)),
            ("risk_budget", str(budget)),
            ("risk_size", str(size)),
        )
        return _up_to_tier(size, terms, basis.tier, Reason.RISK_BUDGET)


def sizer_of(strategy: StrategySettings) -> Sizer:
    """The sizer that a strategy's settings name."""
    if strategy.sizing_mode == "Fixed":
        return Fixed(strategy.fixed_size)
    if strategy.sizing_mode == "RiskPercent":
        return RiskPercent(strategy.risk_percent)
    return Tiered(strategy.modifiers)


def floor(value: Decimal) -> int:
    """The largest integer not above `value`."""
    return int(value.to_integral_value(ROUND_FLOOR))


def size(
    account: AccountView,
    strategy: StrategySettings,
    instrument: ExecutionInstrument,
    bar: BarSignals,
    proposal: Proposal,
    price: int | None = None,
) -> Size:
    """The size of a proposed entry, whose risk is counted from `price` on (ticks; None: the last print).

    The smallest of what the strategy's sizer wants, the free position, the strategy's maximum, what is left of the
    day's budget divided by the risk of one contract, and what the equity that binds no margin yet can carry. Below one
    there is no trade, for the term that bound it. A regime whose multiplier is 0 does not trade in any mode; a bar
    without a regime has the multiplier 1.
    """
    multiplier = Decimal(1) if bar.regime is None else bar.regime.multiplier
    if multiplier <= 0:
        return Size(0, Reason.REGIME_SIZE, (("regime_multiplier", str(multiplier)), ("size", "0")))
    unit = risk_per_contract(strategy, instrument, price)
    wanted = sizer_of(strategy).wanted(_basis(account, strategy, unit, bar, proposal))
    terms = list(wanted.terms)
    bounds: list[tuple[str, int, Reason]] = [
        ("free_position", free_position(account, strategy), Reason.MAX_POSITION),
        ("max_size", strategy.max_size, Reason.MAX_SIZE),
    ]
    if strategy.respect_day_budget:
        budget = day_budget(account, strategy)
        terms.append(("day_budget", str(budget)))
        bounds.append(("budget_size", floor(budget / unit), Reason.DAY_BUDGET))
    if strategy.respect_day_budget or strategy.sizing_mode == "RiskPercent":
        terms.append(("risk_per_contract", str(unit)))
    if instrument.margin:
        free = free_margin(account)
        terms += [("margin_per_contract", str(instrument.margin)), ("margin_free", str(free))]
        bounds.append(("margin_size", floor(free / instrument.margin), Reason.MARGIN))
    quantity, bound_by = wanted.quantity, wanted.reason
    for name, bound, reason in bounds:
        terms.append((name, str(bound)))
        if bound < quantity:
            quantity, bound_by = bound, reason
    quantity = max(quantity, 0)
    terms.append(("size", str(quantity)))
    return Size(quantity, None if quantity >= 1 else bound_by, tuple(terms))


def _basis(
    account: AccountView, strategy: StrategySettings, unit: Decimal, bar: BarSignals, proposal: Proposal
) -> Basis:
    """A sizer's inputs for one proposal at one bar; `unit` is the risk of one contract."""
    trend = None if proposal.direction is None else _TRENDING[proposal.direction]
    return Basis(
        equity=account.equity,
        margin_in_use=account.margin_in_use,
        stop_ticks=strategy.bracket.stop_ticks,
        risk_per_contract=unit,
        tier=account.tier,
        max_size=strategy.max_size,
        streak=account.streak,
        patterns=len(_PATTERNS.intersection(proposal.why)),
        with_trend=bar.regime is not None and bar.regime.regime is trend,
        multiplier=Decimal(1) if bar.regime is None else bar.regime.multiplier,
    )


def _up_to_tier(size: int, terms: Terms, tier: Tier | None, reason: Reason = Reason.MAX_SIZE) -> Wanted:
    """A size that the tier may cut, but never raises to its minimum."""
    if tier is None:
        return Wanted(size, terms, reason)
    return Wanted(min(size, tier.max_size), (*terms, ("tier_max", str(tier.max_size))), reason)
