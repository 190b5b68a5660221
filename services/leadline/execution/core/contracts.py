"""Which contract a strategy signals on, which may fill it, and on whose prints."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from leadline.model.checks.signals import SignalSource
from leadline.model.durations import spec_token
from leadline.model.ids import ContractId, RunId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.market.contracts import FrontMonth, instrument_of, months_from
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
    sheet = signal_instrument(strategy)
    _, hours = resolve_session(sheet, spec.session.value())
    return SignalSource(
        tape=tape,
        account=strategy.account_name,
        strategy=strategy.full_name,
        months=months,
        hours=hours,
        spec=spec.bar_spec,
        spec_token=spec_token(spec.bar_spec.token, spec.ticks_per_row),
        calendar=calendar_of(sheet, hours).name,
    )


def signal_instrument(strategy: TradingStrategy) -> Instrument:
    """The instrument sheet's row of what a strategy trades; Unknown when there is none."""
    symbol = strategy.spec.instrument
    return next((found for found in instruments() if found.root == symbol), None) or instrument_of(symbol)


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
    own = instrument_of(signal).root
    return tuple(dict.fromkeys(root for table in tables for root in ([tier.execute for tier in table] or [own])))


def tape_contract(execution: ContractId, signal: ContractId, feed_contracts: tuple[ContractId, ...]) -> ContractId:
    """The contract whose prints fill an execution contract: itself where the feed has it, else the signal's."""
    return execution if execution in feed_contracts else signal
