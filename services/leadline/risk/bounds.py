"""Bounds of a request. Within them every decision is cheap, and every number of it is finite.

A decimal's cost is its exponent's: the integer part of 1E+999999 has a million digits. So a question is looked through
before anything is computed, whoever asks it.
"""

import re
from collections.abc import Callable, Sequence, Sized
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Final, Generic, TypeVar

from leadline.model.blocks import Block
from leadline.model.checks.proposals import check_proposal
from leadline.model.durations import NS_PER_DAY, NS_PER_HOUR
from leadline.model.errors import InvalidInput
from leadline.model.market.hours import CLOCK_PATTERN, zone_of
from leadline.model.orders import Bracket, OrderType
from leadline.model.remembered import Looked, once_for_each
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

BLOCKS: Final = tuple(Block)
STATES: Final = ("Running", "ReduceOnly", "Suspended")
SIZING_MODES: Final = ("Tiered", "Fixed", "RiskPercent")
MODIFIERS: Final = ("Stacked", "Trending", "WinStreak", "LossStreak")
ENTRY_TYPES: Final = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)
LONGEST_SESSION_NS: Final = 8 * NS_PER_DAY
LONGEST_VALIDITY_NS: Final = 1_000_000 * NS_PER_HOUR
"""As long as the longest length of time that a manifest can say."""

_Number = TypeVar("_Number", int, Decimal)


class _Bounds(Generic[_Number]):
    """Fields of a value, and the lowest and the highest number that each may have, unless it is not set."""

    def __init__(self, **bounds: tuple[_Number, _Number]) -> None:
        self.each: list[tuple[str, _Number, _Number]] = [(name, low, high) for name, (low, high) in bounds.items()]
        self.of: Callable[[object], tuple[_Number | None, ...]] = attrgetter(*bounds)


_COUNT: Final = (0, MOST_COUNT)
_SIGNED_COUNT: Final = (-MOST_COUNT, MOST_COUNT)
_TICKS: Final = (0, MOST_TICKS)
_TIME: Final = (0, MOST_NS)
_SESSION: Final = (0, LONGEST_SESSION_NS)
_MONEY: Final = (Decimal(0), MOST_MONEY)
_RATE: Final = (Decimal(0), Decimal(1))
_RESULT: Final = (-MOST_MONEY, MOST_MONEY)

_OF_AN_ACCOUNT: Final = _Bounds(
    streak=_SIGNED_COUNT,
    trades=_COUNT,
    entries_last_hour=_COUNT,
    orders_last_second=_COUNT,
    open_trades=_COUNT,
    exposure=_COUNT,
    in_the_market=_COUNT,
)
_OF_LIMITS: Final = _Bounds(
    max_position=_COUNT, max_open_trades=_COUNT, max_orders_per_second=_COUNT, max_entries_per_hour=_COUNT
)
_OF_OWN_LIMITS: Final = _Bounds(
    max_position=_COUNT,
    max_trades_per_day=_COUNT,
    max_orders_per_second=_COUNT,
    max_entries_per_hour=_COUNT,
    max_entries_per_session=_COUNT,
)
_OF_A_DAY: Final = _Bounds(
    trades=_COUNT,
    exposure=_COUNT,
    orders_last_second=_COUNT,
    pending=_COUNT,
    position=_SIGNED_COUNT,
    entries_last_hour=_COUNT,
)
_OF_A_STRATEGY: Final = _Bounds(
    after_open_ns=_SESSION,
    before_close_ns=_SESSION,
    fixed_size=_COUNT,
    max_size=_COUNT,
    slippage_ticks=_TICKS,
    entry_offset=_TICKS,
    valid_for_ns=(1, LONGEST_VALIDITY_NS),
    max_pending=(1, MOST_COUNT),
)
_OF_A_QUOTE: Final = _Bounds(price=(-MOST_NS, MOST_NS), time_ns=_TIME)
_OF_AN_INSTRUMENT: Final = _Bounds(
    staleness_ns=_TIME, collar_ticks=_TICKS, gap_ticks=_TICKS, no_stop_ticks=(1, MOST_TICKS)
)
_OF_A_BAR: Final = _Bounds(known_at_ns=_TIME, session_open_ns=_TIME)
_MONEY_OF_AN_ACCOUNT: Final = _Bounds(
    equity_at_roll=_RESULT, realised=_RESULT, open=_RESULT, worst_case=_MONEY, margin_in_use=_MONEY
)
_MONEY_OF_A_DAY: Final = _Bounds(realised=_RESULT, open=_RESULT, worst_case=_MONEY)
_MONEY_OF_AN_INSTRUMENT: Final = _Bounds(tick_value=_MONEY, commission=_MONEY, fee_rate=_RATE, margin=_MONEY)
_MONEY_OF_AN_INVERSE: Final = _Bounds(
    tick_value=(Decimal(0), MOST_INVERSE_VALUE), commission=_MONEY, fee_rate=_RATE, margin=_MONEY
)


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
    if not _is_cheap(value) or not low <= value <= high:
        places = f"of at most {DECIMAL_DIGITS} digits, {DECIMAL_PLACES} of them places"
        raise InvalidInput(name, _cut(value), f"a decimal from {low} to {high} {places}")


def _is_cheap(value: Decimal) -> bool:
    """Whether a decimal is finite, with digits and places within bounds."""
    if not value.is_finite():
        return False
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
    _money_within("account.", account, _MONEY_OF_AN_ACCOUNT)
    _within("account.", account, _OF_AN_ACCOUNT)
    _one_of("account.block", account.block, BLOCKS)
    _text("account.halt", account.halt, LONGEST_TEXT)
    _check_limits(account.limits)
    _check_tiers(account.tiers)
    _whole("account.tier_index", account.tier_index, -1, len(account.tiers) - 1)


@once_for_each
def _check_limits(limits: AccountLimits) -> None:
    for name in ("day_loss", "day_target", "max_order_value"):
        money = getattr(limits, name)
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


_SETTINGS: Final = attrgetter(*(each.name for each in fields(StrategySettings) if each.name not in {"day", "execute"}))
_CONTRACT: Final = attrgetter(*(each.name for each in fields(ExecutionInstrument) if each.name != "quote"))
_looked: Final = Looked()


def _check_strategy(strategy: StrategySettings) -> None:
    settings = _SETTINGS(strategy)
    if not _looked.has(settings):
        _check_settings(strategy)
        _looked.add(settings)
    _check_day(strategy)
    few("strategy.execute", strategy.execute, MOST_ROOTS)
    for number, instrument in enumerate(strategy.execute):
        contract = _CONTRACT(instrument)
        if not _looked.has(contract):
            _check_contract(f"strategy.execute[{number}]", instrument)
            _looked.add(contract)
        if instrument.quote is not None:
            _within(f"strategy.execute[{number}].quote.", instrument.quote, _OF_A_QUOTE)


def _check_settings(strategy: StrategySettings) -> None:
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
    _check_own_limits(strategy.limits)
    _check_bracket(strategy.bracket)
    _one_of("strategy.entry_type", strategy.entry_type, ENTRY_TYPES)


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
    _money_within("strategy.day.", day, _MONEY_OF_A_DAY)
    _within("strategy.day.", day, _OF_A_DAY)
    _one_of("strategy.day.block", day.block, BLOCKS)
    few("strategy.day.groups", day.groups, MOST_SIGNALS)
    for number, (name, buys, sells) in enumerate(day.groups):
        _text(f"strategy.day.groups[{number}].name", name)
        _whole(f"strategy.day.groups[{number}].buys", buys, 0, MOST_COUNT)
        _whole(f"strategy.day.groups[{number}].sells", sells, 0, MOST_COUNT)


def _check_own_limits(limits: StrategyLimits) -> None:
    if limits.day_loss is not None:
        check_decimal("strategy.limits.day_loss", limits.day_loss, 0, MOST_MONEY)
    _within("strategy.limits.", limits, _OF_OWN_LIMITS)


def _check_blocks(blocks: tuple[tuple[str, str], ...]) -> None:
    few("strategy.blocks", blocks, MOST_BLOCKS)
    for number, (start, end) in enumerate(blocks):
        _check_block(f"strategy.blocks[{number}]", start, end)


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


def _check_contract(name: str, instrument: ExecutionInstrument) -> None:
    _text(f"{name}.root", instrument.root)
    _text(f"{name}.contract", instrument.contract)
    _money_within(f"{name}.", instrument, _MONEY_OF_AN_INVERSE if instrument.inverse else _MONEY_OF_AN_INSTRUMENT)
    if not instrument.tick_value:
        raise InvalidInput(f"{name}.tick_value", _cut(instrument.tick_value), "more than 0")
    _within(f"{name}.", instrument, _OF_AN_INSTRUMENT)
    few(f"{name}.recent", instrument.recent, MOST_SIGNALS)
    for number, (_, quantity) in enumerate(instrument.recent):
        _whole(f"{name}.recent[{number}].quantity", quantity, 0, MOST_COUNT)


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


def _within(prefix: str, value: object, bounds: _Bounds[int]) -> None:
    """Raises InvalidInput for the first of these fields of a value that is out of its bounds."""
    for (name, low, high), number in zip(bounds.each, bounds.of(value), strict=True):
        if number is not None and not low <= number <= high:
            raise InvalidInput(prefix + name, number, f"a whole number from {low} to {high}")


def _money_within(prefix: str, value: object, bounds: _Bounds[Decimal]) -> None:
    """As `_within`, and each with digits and places within bounds."""
    for (name, low, high), number in zip(bounds.each, bounds.of(value), strict=True):
        if number is not None and not (_is_cheap(number) and low <= number <= high):
            check_decimal(prefix + name, number, low, high)


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
