"""Simulated days and the example's manifests, for studies."""

from functools import cache
from pathlib import Path
from typing import Any

from leadline.backtest.feeds import prints_of
from leadline.backtest.prints import PrintsInMemory
from leadline.ingestion.feed import open_feed
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.model.manifest.sweep import Variant, variants_of
from leadline.model.manifest.sweep_spec import Sweep

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mes-orderflow.yaml"
STRENGTH = "strategy.spec.strategy.router.minStrength"
SLIPPAGE = "account.spec.paper.slippageTicks"


@cache
def simulated(sessions: int = 1, instruments: tuple[str, ...] = ("MES",)) -> PrintsInMemory:
    """So many sessions of the simulated market, with five of history."""
    params = IngestionParams(feed=FeedParams(kind="sim", sessions=sessions), instruments=instruments, history=5)
    return prints_of(open_feed(params), params)


def manifests() -> tuple[tuple[TradingAccount, ...], tuple[TradingStrategy, ...]]:
    """The account and the strategy of the example."""
    found = load_manifests(EXAMPLE)
    accounts = tuple(each for each in found if isinstance(each, TradingAccount))
    return accounts, tuple(each for each in found if isinstance(each, TradingStrategy))


def variants(**fields: list[Any]) -> tuple[Variant, ...]:
    """All combinations; a field is named with two underscores for each dot."""
    swept = [{"field": name.replace("__", "."), "values": values} for name, values in fields.items()]
    return variants_of(Sweep.from_manifest({"fields": swept}), *manifests())
