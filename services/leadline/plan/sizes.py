"""How large an entry can become, before anything runs: what a strategy asks for, and the limit that cuts it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from leadline.model.specs import TradingAccount, TradingStrategy, signal_instrument
from leadline.risk.limits import DEFAULT_MAX_POSITION


@dataclass(frozen=True, slots=True)
class EntrySize:
    """The largest entry of a strategy from an equity on, in contracts or size steps of `executes`.

    `start` is None without tiers. `asked` is what the strategy's sizing asks for at the most, `most` what the limits
    leave of it, and `cut_by` the field that leaves so little, `whose` being the account's or the strategy's; both empty
    where nothing is cut. The day's budget and the margin, which change with every trade, may cut further.
    """

    strategy: str
    account: str
    start: Decimal | None
    executes: str
    asked: int
    most: int
    cut_by: str
    whose: str


def entry_sizes(accounts: Sequence[TradingAccount], strategies: Sequence[TradingStrategy]) -> tuple[EntrySize, ...]:
    """Of each strategy one size per tier of its account, in the order of strategies and equity."""
    named = {account.full_name: account for account in accounts}
    return tuple(size for strategy in strategies for size in _sizes_of(strategy, named[strategy.account_name]))


def cut_sizes(accounts: Sequence[TradingAccount], strategies: Sequence[TradingStrategy]) -> tuple[str, ...]:
    """A sentence for each fixed size that is never traded as it is written, whatever the equity."""
    found = []
    for strategy in strategies:
        largest = max(entry_sizes(accounts, [strategy]), key=lambda size: size.most)
        if strategy.spec.sizing.mode == "Fixed" and largest.most < largest.asked:
            found.append(
                f"{strategy.full_name}: an entry has at most {largest.most} of the {largest.asked} contracts of "
                f"spec.sizing.size, by {largest.cut_by} of {largest.whose}"
            )
    return tuple(found)


def _sizes_of(strategy: TradingStrategy, account: TradingAccount) -> Iterator[EntrySize]:
    sizing, root = strategy.spec.sizing, signal_instrument(strategy.spec).root
    asked = sizing.max_size if sizing.size is None else sizing.size
    limit, own = account.spec.limits.max_position, strategy.spec.risk.max_position
    position = DEFAULT_MAX_POSITION if limit is None else limit
    default = f" (default {DEFAULT_MAX_POSITION})" if limit is None else ""
    bounds = [(position, f"limits.maxPosition{default}", account.full_name)]
    if own is not None:
        bounds.append((own, "risk.maxPosition", strategy.full_name))
    for tier in account.spec.tiers or (None,):
        if tier is None:
            yield _cut(strategy, None, root, asked, bounds)
        else:
            name = f"maxSize of the tier from {tier.from_}"
            yield _cut(strategy, tier.from_, tier.execute, asked, [(tier.max_size, name, account.full_name), *bounds])


def _cut(
    strategy: TradingStrategy, start: Decimal | None, root: str, asked: int, bounds: list[tuple[int, str, str]]
) -> EntrySize:
    most, name, whose = min(bounds, key=lambda bound: bound[0])
    names = (strategy.full_name, strategy.account_name)
    if most >= asked:
        return EntrySize(*names, start, root, asked, asked, "", "")
    return EntrySize(*names, start, root, asked, most, name, whose)
