"""Checks of a strategy against its account, both of which are right by themselves."""

from collections.abc import Iterator, Sequence
from typing import Final

from leadline.model.durations import DAY, NEVER, parse_duration
from leadline.model.errors import InvalidInput
from leadline.model.manifest.account_spec import TradingAccount
from leadline.model.manifest.spec_checks import able_at, bracket_of, signal_instrument, valid_for_ns
from leadline.model.manifest.strategy_spec import StrategySpec, TradingStrategy
from leadline.model.manifest.venues import MEANINGS, Capability, venue_named
from leadline.model.market.instruments import instrument

_OF_PROPOSALS: Final = (
    Capability.LIMIT,
    Capability.STOP,
    Capability.OCO,
    Capability.REPLACE,
    Capability.SHRINK,
    Capability.VALIDITY,
)
"""Capabilities that a strategy of one's own may ask for at any bar: at the bar it would be too late to refuse."""

_MOVES_STOPS: Final = frozenset({Capability.TRAILING, Capability.REPLACE})
"""With either of them a stop trails: the venue moves it, or the account's loop has it moved."""


def pair_problems(strategy: TradingStrategy, account: TradingAccount) -> Iterator[InvalidInput]:
    """Everything that keeps a strategy off an account, both being right by themselves."""
    spec, own = account.spec, signal_instrument(strategy.spec)
    namespace = strategy.metadata.namespace
    if strategy.account_name != account.full_name:
        yield InvalidInput("spec.account", strategy.account_name, f"the account {account.full_name}")
    if namespace not in (account.metadata.namespace, *spec.allowed_namespaces):
        expected = f"a namespace that the account {account.full_name} allows"
        yield InvalidInput("metadata.namespace", namespace, expected)
    if strategy.spec.mode != spec.environment:
        expected = f"{spec.environment}, the environment of the account {account.full_name}"
        yield InvalidInput("spec.mode", strategy.spec.mode, expected)
    yield from _beyond_the_venue(strategy, account)
    yield from _too_short_to_fill(strategy, account)
    yield from root_problems(strategy.spec, account, [tier.execute for tier in spec.tiers] or [own.root])
    if own.currency != spec.currency:
        expected = (
            f"an instrument in {spec.currency}, the currency of the account {account.full_name}: "
            f"it is settled in {own.currency}, and sums are not converted"
        )
        yield InvalidInput("spec.instrument", strategy.spec.instrument, expected)
    elif own.inverse:
        yield from _sums_in_coins(strategy, account)
    for tier in spec.tiers:
        if instrument(tier.execute).underlying != own.underlying:
            expected = (
                f"an instrument of the underlying of {tier.execute}, which the tier from {tier.from_} of the account "
                f"{account.full_name} executes; or an account with tiers of its own, or with none"
            )
            yield InvalidInput("spec.instrument", strategy.spec.instrument, expected)
            return
    if not spec.tiers and strategy.spec.sizing.mode == "Tiered":
        expected = f"Fixed or RiskPercent, because the account {account.full_name} has no tiers"
        yield InvalidInput("spec.sizing.mode", "Tiered", expected)


def root_problems(spec: StrategySpec, account: TradingAccount, roots: Sequence[str]) -> Iterator[InvalidInput]:
    """Problems with roots that may fill a strategy and may not be held over a close, or without a stop."""
    gaps, risks = account.spec.overnight_gap_ticks, account.spec.no_stop_risk_ticks
    asked = dict.fromkeys(roots)
    if spec.holds_overnight and (missing := ", ".join(root for root in asked if root not in gaps)):
        expected = (
            f"a length of time such as 5m: spec.overnightGapTicks of the account {account.full_name} has no gap for "
            f"{missing}, and without one nothing is held over a close"
        )
        yield InvalidInput("spec.flattenBeforeClose", NEVER, expected)
    if bracket_of(spec).stop_ticks is None and (missing := ", ".join(root for root in asked if root not in risks)):
        expected = (
            f"a distance: spec.noStopRiskTicks of the account {account.full_name} has no risk for {missing}, and "
            "without one nothing is held without a stop"
        )
        yield InvalidInput("spec.bracket.stopTicks", None, expected)


def _beyond_the_venue(strategy: TradingStrategy, account: TradingAccount) -> Iterator[InvalidInput]:
    """Problems with orders that a strategy, or a class of its own, may ask of a venue that cannot do them."""
    spec, venue, able = strategy.spec, venue_named(account.spec.venue), able_at(account)
    asked: list[tuple[Capability, str, str, str]] = []
    if (own := spec.strategy.entry_point) is not None:
        asked += [(one, "spec.strategy.entryPoint", own, "the strategy OrderFlow") for one in _OF_PROPOSALS]
    if spec.entries.type != "Market":
        kind = Capability.LIMIT if spec.entries.type == "Limit" else Capability.STOP
        asked.append((kind, "spec.entries.type", spec.entries.type, "Market"))
        if spec.entries.valid_for != DAY:
            asked.append((Capability.VALIDITY, "spec.entries.validFor", spec.entries.valid_for, DAY))
    if spec.bracket is not None and spec.bracket.trail is not None:
        trail = f"{spec.bracket.trail.trigger_ticks} and {spec.bracket.trail.offset_ticks} ticks"
        if not _MOVES_STOPS & able:
            either = " or ".join(MEANINGS[one] for one in Capability if one in _MOVES_STOPS)
            expected = f"none, or an account at a venue that {either}: {venue.name} does neither"
            yield InvalidInput("spec.bracket.trail", trail, expected)
    for capability, where, value, instead in asked:
        if capability not in able:
            expected = f"{instead}, or an account at a venue that {MEANINGS[capability]}: {venue.name} does not"
            yield InvalidInput(where, value, expected)


def _too_short_to_fill(strategy: TradingStrategy, account: TradingAccount) -> Iterator[InvalidInput]:
    """A validity that is over when the venue first matches the entry: such a strategy would never trade."""
    venue = venue_named(account.spec.venue)
    valid, latency = valid_for_ns(strategy.spec), venue.latency(venue.section_of(account.spec))
    if latency is None or valid is None:
        return
    field, length = latency
    if valid <= parse_duration(length, field):
        expected = (
            f"more than {length}, the spec.{venue.name}.{field} of the account {account.full_name}: "
            "an entry fills after that, and none would"
        )
        yield InvalidInput("spec.entries.validFor", strategy.spec.entries.valid_for, expected)


def _sums_in_coins(strategy: TradingStrategy, account: TradingAccount) -> Iterator[InvalidInput]:
    """The sums that hold where an account says nothing are dollars; an account whose money is a coin writes its own."""
    limits, tiers, currency = account.spec.limits, account.spec.tiers, account.spec.currency
    losses = [limits.day_loss] if limits.day_loss is not None or not tiers else [tier.day_loss for tier in tiers]
    for name, values, default in (("dayLoss", losses, 300), ("dayTarget", [limits.day_target], 500)):
        if None in values:
            expected = (
                f"spec.limits.{name} in the account {account.full_name}, in {currency}: the {default} that holds where "
                f"nothing is written is not meant in the coin that {strategy.spec.instrument} is settled in"
            )
            yield InvalidInput("spec.instrument", strategy.spec.instrument, expected)
