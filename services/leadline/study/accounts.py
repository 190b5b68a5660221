"""The accounts of variants: several side by side through the days of their wave, whose prints are read once for all."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from leadline.backtest.account import Halted
from leadline.backtest.engine import Accounts, go_on, opened
from leadline.backtest.gathered import Gathered
from leadline.backtest.market import ticks_of
from leadline.backtest.prints import Prints
from leadline.backtest.results import BacktestResult, result_of
from leadline.backtest.run import DigestOfDays, Outcome
from leadline.model.manifest.sweep import Variant
from leadline.study.market import KeptMarket, Speakers


@dataclass(frozen=True, slots=True)
class VariantResult:
    """A variant with what `leadline backtest` of its manifests comes to, without the bars that made its trades.

    Where an account was halted there is no result, and `halted` says why. `accounts` are as they were at the end, and
    `gathered` is what was seen on the way: both stay in the process that has them.
    """

    variant: Variant
    result: BacktestResult | None
    halted: str
    accounts: Accounts
    gathered: Gathered


def run_variants(variants: Sequence[Variant], market: KeptMarket, prints: Prints) -> list[VariantResult]:
    """Take the accounts of variants of one wave through its days, each day's prints being read once.

    Raises InvalidInput, Unknown and RefusedMessage as `run_backtest`, and OSError.
    """
    with TemporaryDirectory(dir=market.folder) as folder:
        return asyncio.run(_run(variants, market, prints, Path(folder)))


@dataclass(slots=True)
class _Running:
    """A variant on its way."""

    variant: Variant
    speakers: Speakers
    accounts: Accounts
    gathered: Gathered
    digest: DigestOfDays
    halted: str = ""

    def finished(self, market: KeptMarket) -> VariantResult:
        """Its result, after the last day."""
        if self.halted:
            return VariantResult(self.variant, None, self.halted, self.accounts, self.gathered)
        outcome = Outcome(market.days, self.accounts, self.digest.finish(self.accounts))
        found = result_of(outcome, self.gathered)
        accounts = tuple(replace(each, causes=()) for each in found.accounts)
        return VariantResult(self.variant, replace(found, accounts=accounts), "", self.accounts, self.gathered)


async def _run(variants: Sequence[Variant], market: KeptMarket, prints: Prints, folder: Path) -> list[VariantResult]:
    days = market.days
    running = [
        _Running(
            variant,
            Speakers.of(variant, days),
            await opened(variant.accounts, variant.strategies, days, folder / str(variant.number)),
            Gathered(variant.strategies),
            DigestOfDays(variant.strategies),
        )
        for variant in variants
    ]
    for place, day in enumerate(days.days):
        kept = market.day(place)
        traded = day.day >= days.plan.trade_from
        ticks = {part.contract: ticks_of(prints, part) for part in day.tapes} if traded else {}
        for each in running:
            if each.halted:
                continue
            result = each.speakers.result(day, kept, ticks)
            try:
                if traded:
                    await go_on(each.accounts, result)
            except Halted as halted:
                each.halted = str(halted)
                continue
            each.digest.seen(result, each.accounts)
            each.gathered.seen(result, each.accounts)
    return [each.finished(market) for each in running]
