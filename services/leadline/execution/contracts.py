"""Which contract a strategy signals on, which may fill it, and on whose prints."""

from datetime import date
from functools import lru_cache

from leadline.model.contracts import instrument_of, resolve_contract
from leadline.model.instruments import Instrument, instruments
from leadline.model.specs import TradingAccount, TradingStrategy


def signal_contract(strategy: TradingStrategy, as_of: date) -> str:
    """The dated contract of the strategy's instrument on a trading day. Raises as `resolve_contract` does."""
    return _resolved(strategy.spec.instrument, as_of)


@lru_cache(maxsize=256)
def _resolved(symbol: str, as_of: date) -> str:
    return resolve_contract(symbol, as_of)


def signal_instrument(strategy: TradingStrategy) -> Instrument:
    """The instrument sheet's row of what a strategy trades; Unknown when there is none."""
    symbol = strategy.spec.instrument
    return next((found for found in instruments() if found.root == symbol), None) or instrument_of(symbol)


def execution_contract(signal: str, root: str) -> str:
    """The contract of `root` that expires with the signal contract: ESM2025 for MESM2025 and ES."""
    return root + signal.removeprefix(instrument_of(signal).root)


def execution_roots(account: TradingAccount, signal: str) -> tuple[str, ...]:
    """The roots that may fill: those of the account's tiers, or the signal's own when tiers are off."""
    tiers = account.spec.tiers
    return tuple(dict.fromkeys(tier.execute for tier in tiers)) if tiers else (instrument_of(signal).root,)


def execution_contracts(account: TradingAccount, strategy: TradingStrategy, as_of: date) -> tuple[str, ...]:
    """Every contract that a strategy may come to trade on an account, as its tiers change."""
    signal = signal_contract(strategy, as_of)
    return tuple(execution_contract(signal, root) for root in execution_roots(account, signal))


def tape_contract(execution: str, signal: str, feed_contracts: tuple[str, ...]) -> str:
    """Whose prints fill an execution contract: its own where the feed has them, else the signal's (same tick grid)."""
    return execution if execution in feed_contracts else signal
