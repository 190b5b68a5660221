"""Capital tiers through a range: an account from several balances, its equity, and each change of its tier."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from leadline.backtest.results import AccountResult
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.manifest.sweep import changed
from leadline.study.deflated import Deflated, deflated
from leadline.study.engine import Study, run_study
from leadline.study.rows import FilledOn, filled_on_of, returns_of
from leadline.study.stress import Taken, one_account


@dataclass(frozen=True, slots=True)
class Start:
    """The account from one balance on; `halted` says why there is none."""

    balance: Decimal
    account: AccountResult | None
    halted: str


@dataclass(frozen=True, slots=True)
class TiersResult:
    """The account from each balance, in their order. `tiers` is its manifest's, lower bounds with root and sizes."""

    starts: tuple[Start, ...]
    tiers: tuple[tuple[Decimal, str, int, int], ...]
    filled_on: FilledOn = ()

    def deflated(self) -> Deflated:
        """The deflated Sharpe ratio of the balance with the highest net result."""
        accounts = [each.account for each in self.starts if each.account is not None]
        best = max(accounts, key=lambda each: each.figures.net, default=None)
        trials = [*map(returns_of, accounts), *[None] * (len(self.starts) - len(accounts))]
        return deflated(None if best is None else returns_of(best), trials)


def run_tiers(
    accounts: Sequence[TradingAccount],
    strategies: Sequence[TradingStrategy],
    study: Study[Taken],
    balances: Sequence[Decimal],
    told: Callable[[str], None],
) -> TiersResult:
    """Run an account from each balance. Raises InvalidInput for an account without tiers, and as `run_stress`."""
    own = one_account(accounts, strategies)
    (account,) = own
    if not account.spec.tiers:
        raise InvalidInput(f"TradingAccount {account.full_name}: spec.tiers", "none", "one tier or more")
    variants = [
        changed(number, {"account.spec.startingBalance": balance}, own, strategies)
        for number, balance in enumerate(balances, 1)
    ]
    found = {variant.number: result for variant, result in run_study(study, variants, told)}
    tiers = tuple((each.from_, each.execute, each.min_size, each.max_size) for each in account.spec.tiers)
    return TiersResult(
        tuple(
            Start(balance, found[number].account, found[number].halted) for number, balance in enumerate(balances, 1)
        ),
        tiers,
        filled_on_of(each.filled_on for each in found.values()),
    )
