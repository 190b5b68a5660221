"""Bounds of a request. Within them every decision is cheap, and every number of it is finite.

A decimal's cost is its exponent's: the integer part of 1E+999999 has a million digits. So a question is looked through
before anything is computed, whoever asks it.
"""

import re
from collections.abc import Sequence, Sized
from decimal import Decimal
from typing import Final

from leadline.model.blocks import Block
from leadline.model.checks.proposals import check_proposal
from leadline.model.durations import NS_PER_DAY, NS_PER_HOUR
from leadline.model.errors import InvalidInput
from leadline.model.market.hours import CLOCK_PATTERN, zone_of
from leadline.model.orders import Bracket, OrderType
from leadline.model.remembered import once_for_each
from leadline.model.signals import BarSignals, Direction, Regime
from leadline.model.worth import MOST_INVERSE_VALUE
from leadline.risk.view import (
    AccountLimits,
    AccountView,
    DecisionInputs,
    ExecutionInstrument,
    StrategyLimits,
    StrategySettings,
    Tier,
)

LONGEST_NAME: Final = 300
LONGEST_TEXT: Final = 2_000
# As many as a manifest may have.
MOST_TIERS: Final = 16
MOST_ROOTS: Final = 64
MOST_BLOCKS: Final = 32
MOST_NEWS: Final = 256
# Those that the router approved; a wide bar may have one in each of its rows.
MOST_SIGNALS: Final = 256
MOST_COUNT: Final = 10**9
MOST_TICKS: Final = 10**6
MOST_NS: Final = 2**63 - 1
MOST_MONEY: Final = Decimal(10) ** 15
MOST_MULTIPLIER: Final = Decimal(1_000)
DECIMAL_DIGITS: Final = 34
DECIMAL_PLACES: Final = 18

_MOST_LOST: Final = -MOST_MONEY

BLOCKS: Final = tuple(Block)
STATES: Final = ("Running", "ReduceOnly", "Suspended")
SIZING_MODES: Final = ("Tiered", "Fixed", "RiskPercent")
MODIFIERS: Final = ("Stacked", "Trending", "WinStreak", "LossStreak")
ENTRY_TYPES: Final = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)
LONGEST_SESSION_NS: Final = 8 * NS_PER_DAY
LONGEST_VALIDITY_NS: Final = 1_000_000 * NS_PER_HOUR
"""As long as the longest length of time that a manifest can say."""

Bounds = tuple[tuple[str, int, int], ...]
"""Fields with whole numbers, each with the lowest and the highest that it may have."""


def _counts(*names: str) -> Bounds:
    return tuple((name, 0, MOST_COUNT) for name in names)


_OF_AN_ACCOUNT: Final = (
    ("streak", -MOST_COUNT, MOST_COUNT),
    *_counts("trades", "entries_last_hour", "orders_last_second", "open_trades", "exposure", "in_the_market"),
)
_OF_LIMITS: Final = _counts("max_position", "max_open_trades", "max_orders_per_second", "max_entries_per_hour")
_OF_OWN_LIMITS: Final = _counts("max_position", "max_trades_per_day", "max_orders_per_second")
_OF_A_DAY: Final = (
    *_counts("trades", "exposure", "orders_last_second", "pending"),
    ("position", -MOST_COUNT, MOST_COUNT),
)
_OF_A_STRATEGY: Final = (
    ("after_open_ns", 0, LONGEST_SESSION_NS),
    ("before_close_ns", 0, LONGEST_SESSION_NS),
    *_counts("fixed_size", "max_size"),
    ("slippage_ticks", 0, MOST_TICKS),
    ("entry_offset", 0, MOST_TICKS),
    ("valid_for_ns", 1, LONGEST_VALIDITY_NS),
    ("max_pending", 1, MOST_COUNT),
)
_OF_A_QUOTE: Final = (("price", -MOST_NS, MOST_NS), ("time_ns", 0, MOST_NS))
_OF_AN_INSTRUMENT: Final = (
    ("staleness_ns", 0, MOST_NS),
    ("collar_ticks", 0, MOST_TICKS),
    ("gap_ticks", 0, MOST_TICKS),
    ("no_stop_ticks", 1, MOST_TICKS),
)
_OF_A_BAR: Final = (("known_at_ns", 0, MOST_NS), ("session_open_ns", 0, MOST_NS))


def check_inputs(inputs: DecisionInputs) -> None:
    """Raises InvalidInput that names the first field of a question that is out of bounds."""
    _whole("instant_ns", inputs.instant_ns, 0, MOST_NS)
    _check_account(inputs.account)
    _check_strategy(inputs.strategy)
    _check_bar(inputs.bar)
    check_proposal("proposal", inputs.proposal, inputs.bar.bar.contract)
    if not inputs.proposal.action.enters:
        expected = "ENTER or ADD: the account alone knows what it holds"
        raise InvalidInput("proposal.action", inputs.proposal.action, expected)


def check_decimal(name: str, value: Decimal, low: Decimal | int, high: Decimal | int) -> None:
    """Raises InvalidInput unless the decimal is a number from `low` to `high` with digits and places within bounds."""
    if not (value.is_finite() and low <= value <= high) or not _is_cheap(value):
        places = f"of at most {DECIMAL_DIGITS} digits, {DECIMAL_PLACES} of them places"
        raise InvalidInput(name, _cut(value), f"a decimal from {low} to {high} {places}")


def _is_cheap(value: Decimal) -> bool:
    text = str(value)
    if len(text) <= DECIMAL_PLACES and "E" not in text:  # so nearly all are, and it is soon asked
        return True
    _, digits, exponent = value.as_tuple()
    return len(digits) <= DECIMAL_DIGITS and -DECIMAL_PLACES <= int(exponent) <= DECIMAL_DIGITS


def few(name: str, items: Sized, most: int) -> None:
    """Raises InvalidInput when there are more items than a question may have of their kind."""
    if len(items) > most:
        raise InvalidInput(name, f"{len(items)} items", f"at most {most}")


def _check_account(account: AccountView) -> None:
    _text("account.account", account.account)
    for name in ("equity_at_roll", "realised", "open"):
        check_decimal(f"account.{name}", getattr(account, name), _MOST_LOST, MOST_MONEY)
    for name in ("worst_case", "margin_in_use"):
        check_decimal(f"account.{name}", getattr(account, name), 0, MOST_MONEY)
    _within("account.", account, _OF_AN_ACCOUNT)
    _one_of("account.block", account.block, BLOCKS)
    _text("account.halt", account.halt, LONGEST_TEXT)
    _check_limits(account.limits)
    _check_tiers(account.tiers)
    _whole("account.tier_index", account.tier_index, -1, len(account.tiers) - 1)


@once_for_each
def _check_limits(limits: AccountLimits) -> None:
    for name, money in (("day_loss", limits.day_loss), ("day_target", limits.day_target)):
        if money is not None:
            check_decimal(f"account.limits.{name}", money, 0, MOST_MONEY)
    _within("account.limits.", limits, _OF_LIMITS)
    few("account.limits.margin_limits", limits.margin_limits, MOST_ROOTS)
    for root, margin in limits.margin_limits.items():
        _text("account.limits.margin_limits", root)
        check_decimal(f"account.limits.margin_limits.{root}", margin, 0, MOST_MONEY)


@once_for_each
def _check_tiers(tiers: tuple[Tier, ...]) -> None:
    few("account.tiers", tiers, MOST_TIERS)
    for number, tier in enumerate(tiers):
        _check_tier(f"account.tiers[{number}]", tier)


def _check_tier(name: str, tier: Tier) -> None:
    check_decimal(f"{name}.from", tier.start, 0, MOST_MONEY)
    _text(f"{name}.execute", tier.execute)
    _whole(f"{name}.min_size", tier.min_size, 0, MOST_COUNT)
    _whole(f"{name}.max_size", tier.max_size, tier.min_size, MOST_COUNT)
    if tier.day_loss is not None:
        check_decimal(f"{name}.day_loss", tier.day_loss, 0, MOST_MONEY)


def _check_strategy(strategy: StrategySettings) -> None:
    _text("strategy.strategy", strategy.strategy)
    _text("strategy.signal_root", strategy.signal_root)
    _text("strategy.signal_contract", strategy.signal_contract)
    _one_of("strategy.state", strategy.state, STATES)
    _zone("strategy.session_zone", strategy.session_zone)
    _within("strategy.", strategy, _OF_A_STRATEGY)
    _check_blocks(strategy.blocks)
    _check_news(strategy.news)
    _one_of("strategy.sizing_mode", strategy.sizing_mode, SIZING_MODES)
    check_decimal("strategy.risk_percent", strategy.risk_percent, 0, 100)
    few("strategy.modifiers", strategy.modifiers, len(MODIFIERS))
    for modifier in strategy.modifiers:
        _one_of("strategy.modifiers", modifier, MODIFIERS)
    _check_terms(strategy)
    _check_day(strategy)
    few("strategy.execute", strategy.execute, MOST_ROOTS)
    for number, instrument in enumerate(strategy.execute):
        _check_instrument(f"strategy.execute[{number}]", instrument)


def _check_terms(strategy: StrategySettings) -> None:
    _check_bracket(strategy.bracket)
    _one_of("strategy.entry_type", strategy.entry_type, ENTRY_TYPES)


@once_for_each
def _check_bracket(bracket: Bracket) -> None:
    if bracket.stop_ticks is not None:
        _whole("strategy.bracket.stop_ticks", bracket.stop_ticks, 1, MOST_TICKS)
    if bracket.target_ticks is not None:
        _whole("strategy.bracket.target_ticks", bracket.target_ticks, 1, MOST_TICKS)
    for name in ("stop_price", "target_price"):
        if (price := getattr(bracket, name)) is not None:
            raise InvalidInput(f"strategy.bracket.{name}", price, "no price: sizes follow from distances")
    if bracket.trail is not None:
        _whole("strategy.bracket.trail.trigger_ticks", bracket.trail.trigger_ticks, 0, MOST_TICKS)
        _whole("strategy.bracket.trail.offset_ticks", bracket.trail.offset_ticks, 1, MOST_TICKS)


def _check_day(strategy: StrategySettings) -> None:
    day = strategy.day
    _check_own_limits(strategy.limits)
    check_decimal("strategy.day.realised", day.realised, _MOST_LOST, MOST_MONEY)
    check_decimal("strategy.day.open", day.open, _MOST_LOST, MOST_MONEY)
    check_decimal("strategy.day.worst_case", day.worst_case, 0, MOST_MONEY)
    _within("strategy.day.", day, _OF_A_DAY)
    _one_of("strategy.day.block", day.block, BLOCKS)
    few("strategy.day.groups", day.groups, MOST_SIGNALS)
    for number, (name, buys, sells) in enumerate(day.groups):
        _text(f"strategy.day.groups[{number}].name", name)
        _whole(f"strategy.day.groups[{number}].buys", buys, 0, MOST_COUNT)
        _whole(f"strategy.day.groups[{number}].sells", sells, 0, MOST_COUNT)


@once_for_each
def _check_own_limits(limits: StrategyLimits) -> None:
    if limits.day_loss is not None:
        check_decimal("strategy.limits.day_loss", limits.day_loss, 0, MOST_MONEY)
    _within("strategy.limits.", limits, _OF_OWN_LIMITS)


@once_for_each
def _check_blocks(blocks: tuple[tuple[str, str], ...]) -> None:
    few("strategy.blocks", blocks, MOST_BLOCKS)
    for number, (start, end) in enumerate(blocks):
        _check_block(f"strategy.blocks[{number}]", start, end)


@once_for_each
def _check_news(news: tuple[tuple[int, int], ...]) -> None:
    few("strategy.news", news, MOST_NEWS)
    for number, (begins, ends) in enumerate(news):
        _whole(f"strategy.news[{number}].from_ns", begins, 0, MOST_NS)
        _whole(f"strategy.news[{number}].to_ns", ends, begins, MOST_NS)


def _check_block(name: str, start: str, end: str) -> None:
    for part, clock in (("from", start), ("to", end)):
        if not re.fullmatch(CLOCK_PATTERN, clock):
            raise InvalidInput(f"{name}.{part}", _cut(clock), "a time HH:MM from 00:00 to 23:59")
    if start == end:
        raise InvalidInput(f"{name}.to", end, "another time than its from")


def _check_instrument(name: str, instrument: ExecutionInstrument) -> None:
    _text(f"{name}.root", instrument.root)
    _text(f"{name}.contract", instrument.contract)
    most = MOST_INVERSE_VALUE if instrument.inverse else MOST_MONEY
    check_decimal(f"{name}.tick_value", instrument.tick_value, 0, most)
    if not instrument.tick_value:
        raise InvalidInput(f"{name}.tick_value", _cut(instrument.tick_value), "more than 0")
    check_decimal(f"{name}.commission", instrument.commission, 0, MOST_MONEY)
    check_decimal(f"{name}.fee_rate", instrument.fee_rate, 0, 1)
    if instrument.margin is not None:
        check_decimal(f"{name}.margin", instrument.margin, 0, MOST_MONEY)
    if instrument.quote is not None:
        _within(f"{name}.quote.", instrument.quote, _OF_A_QUOTE)
    _within(f"{name}.", instrument, _OF_AN_INSTRUMENT)


def _check_bar(bar: BarSignals) -> None:
    key = bar.bar
    for name in ("contract", "session", "spec"):
        _text(f"bar.bar.{name}", getattr(key, name))
    _whole("bar.bar.ordinal", key.ordinal, 0, MOST_NS)
    _within("bar.", bar, _OF_A_BAR)
    last = min(MOST_NS, bar.session_open_ns + LONGEST_SESSION_NS)
    _whole("bar.session_close_ns", bar.session_close_ns, bar.session_open_ns, last)
    if (reading := bar.regime) is not None:
        if not isinstance(reading.regime, Regime):
            raise InvalidInput("bar.regime.regime", _cut(reading.regime), ", ".join(Regime))
        check_decimal("bar.regime.confidence", reading.confidence, 0, 1)
        check_decimal("bar.regime.multiplier", reading.multiplier, 0, MOST_MULTIPLIER)
    few("bar.signals", bar.signals, MOST_SIGNALS)
    for number, signal in enumerate(bar.signals):
        if not isinstance(signal.direction, Direction):
            raise InvalidInput(f"bar.signals[{number}].direction", _cut(signal.direction), ", ".join(Direction))
        check_decimal(f"bar.signals[{number}].strength", signal.strength, 0, 1)


def _within(prefix: str, value: object, bounds: Bounds) -> None:
    """Raises InvalidInput for the first of these fields of a value that is out of its bounds; one may be not set."""
    for name, low, high in bounds:
        number = getattr(value, name)
        if number is not None and not low <= number <= high:
            raise InvalidInput(prefix + name, number, f"a whole number from {low} to {high}")


def _whole(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidInput(name, value, f"a whole number from {low} to {high}")


def _text(name: str, value: str, longest: int = LONGEST_NAME) -> None:
    if len(value) > longest:
        raise InvalidInput(name, _cut(value), f"at most {longest} characters")


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidInput(name, _cut(value), "one of " + ", ".join(item or "nothing" for item in known))


def _zone(name: str, zone: str) -> None:
    try:
        zone_of(zone)
    except InvalidInput as error:
        raise InvalidInput(name, _cut(zone), error.expected) from None


def _cut(value: object) -> str:
    """The value as an error shows it. A decimal's text is as long as its digits, never as long as its size."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
