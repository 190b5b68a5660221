"""Which contract a strategy signals on, which may fill it, and on whose prints."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from leadline.model.checks.signals import SignalSource
from leadline.model.durations import spec_token
from leadline.model.ids import ContractId, RunId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.market.calendars import Calendar
from leadline.model.market.contracts import FrontMonth, instrument_of, months_from
from leadline.model.market.hours import SessionHours
from leadline.model.market.instruments import Instrument, instruments
from leadline.model.market.sessions import calendar_of, resolve_session
from leadline.model.remembered import once_for_each
from leadline.risk.view import Tier


def signal_months(strategy: TradingStrategy, feed: tuple[ContractId, ...], trade_from: date) -> tuple[FrontMonth, ...]:
    """The contracts that a strategy decides on, one after the other, of those that the feed has by now."""
    return _months(strategy.spec.instrument, feed, trade_from)


@lru_cache(maxsize=256)
def _months(symbol: str, feed: tuple[ContractId, ...], trade_from: date) -> tuple[FrontMonth, ...]:
    return months_from(symbol, feed, trade_from)


def signal_source(
    strategy: TradingStrategy, tape: RunId, feed: tuple[ContractId, ...], trade_from: date
) -> SignalSource:
    """The source of signals that a strategy may have on a tape."""
    months, spec = signal_months(strategy, feed, trade_from), strategy.spec
    days, hours = session_of(strategy)
    return SignalSource(
        tape=tape,
        account=strategy.account_name,
        strategy=strategy.full_name,
        months=months,
        hours=hours,
        spec=spec.bar_spec,
        spec_token=spec_token(spec.bar_spec.token, spec.ticks_per_row),
        calendar=days.name,
    )


@once_for_each
def session_of(strategy: TradingStrategy) -> tuple[Calendar, SessionHours]:
    """The calendar of a strategy's trading days, and the hours of its session on them."""
    sheet = signal_instrument(strategy)
    _, hours = resolve_session(sheet, strategy.spec.session.value())
    return calendar_of(sheet, hours), hours


def signal_instrument(strategy: TradingStrategy) -> Instrument:
    """The instrument sheet's row of what a strategy trades; Unknown when there is none."""
    symbol = strategy.spec.instrument
    return next((found for found in instruments() if found.root == symbol), None) or instrument_of(symbol)


def execution_symbols(strategy: TradingStrategy, account: TradingAccount) -> tuple[str, ...]:
    """The instruments beside its own that may fill a strategy's orders, named as that is: roots for a root."""
    own = signal_instrument(strategy).root
    month = strategy.spec.instrument.removeprefix(own)
    return tuple(f"{root}{month}" for root in execution_roots(account, own) if root != own)


@lru_cache(maxsize=1024)
def execution_contract(signal: ContractId, root: str) -> ContractId:
    """The contract of `root` that expires with the signal contract: ESM2025 for MESM2025 and ES."""
    return ContractId(root + signal.removeprefix(instrument_of(signal).root))


@once_for_each
def tiers_of(account: TradingAccount) -> tuple[Tier, ...]:
    """The tiers of an account's manifest, lowest first; empty when they are off."""
    return tuple(
        Tier(tier.from_, tier.execute, tier.min_size, tier.max_size, tier.day_loss) for tier in account.spec.tiers
    )


def execution_roots(account: TradingAccount, signal: str) -> tuple[str, ...]:
    """The roots that may fill: those of the account's tiers, or the signal's own when tiers are off."""
    return roots_of([tiers_of(account)], signal)


def roots_of(tables: Sequence[tuple[Tier, ...]], signal: str) -> tuple[str, ...]:
    """The roots that may fill by any of these tables of tiers; an empty one means the signal's own."""
    return _roots(tuple(map(_executes, tables)), instrument_of(signal).root)


@lru_cache(maxsize=256)
def _roots(tables: tuple[tuple[str, ...], ...], own: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(root for table in tables for root in table or (own,)))


@once_for_each
def _executes(table: tuple[Tier, ...]) -> tuple[str, ...]:
    return tuple(tier.execute for tier in table)


@lru_cache(maxsize=1024)
def tapes_of(
    symbol: str, signal: ContractId, roots: tuple[str, ...], feed: tuple[ContractId, ...], trade_from: date
) -> tuple[ContractId, ...]:
    """The feed's contracts whose prints can fill a strategy on an instrument that signals on a contract.

    Those of its contract, and of the one to come: that carries the time on where the present one's prints have ended.
    """
    months = [month.contract for month in _months(symbol, feed, trade_from)]
    # The feed of a tape without an end may have lost the present one by now.
    later = months[months.index(signal) + 1 :] if signal in months else months
    found = []
    for each in (signal, *later[:1]):
        found += [each, *(tape_contract(execution_contract(each, root), each, feed) for root in roots)]
    return tuple(dict.fromkeys(found))


def tape_contract(execution: ContractId, signal: ContractId, feed_contracts: tuple[ContractId, ...]) -> ContractId:
    """The contract whose prints fill an execution contract: itself where the feed has it, else the signal's."""
    return execution if execution in feed_contracts else signal
