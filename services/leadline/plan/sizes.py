"""How large an entry can become, before anything runs: what a strategy asks for, and the limit that cuts it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from leadline.model.ids import NO_CONTRACT, AccountId, OwnerId, StrategyId
from leadline.model.manifest.specs import (
    TradingAccount,
    TradingStrategy,
    bracket_of,
    market_slippage,
    signal_instrument,
)
from leadline.model.market.instruments import instrument
from leadline.risk.limits import DEFAULT_MAX_POSITION, risk_budget, risk_of_contract, stricter_day_loss
from leadline.risk.sizing import floor
from leadline.risk.view import ExecutionInstrument, Tier

Bound = tuple[int, str, OwnerId]
"""The most that a limit leaves, the field that it stands in, and whose field that is."""


@dataclass(frozen=True, slots=True)
class EntrySize:
    """The largest entry of a strategy from an equity on, in contracts or size steps of `executes`.

    `start` is None without tiers. `asked` is what the strategy's sizing asks for at the most, `most` what the limits
    leave of it, and `cut_by` the field that leaves so little, `whose` being the account's or the strategy's; both empty
    where nothing is cut. The day's budget and the margin, which change with every trade, may cut further.

    A size by percent of the equity is that at `equity`: the starting balance in the tier in which it lies, else where
    the tier begins. There `risk` is what one contract can lose, and the day's budget and the margin are those of a day
    on which nothing is traded yet. Both are None in the other modes, and where the risk depends on a price, or nobody
    knows the equity: then `asked` is the strategy's maximum.

    `waiting` is how many entries of that size wait at a time at the most, where the strategy says how many may: each
    of them counts for the position. None where it does not say. `adds` is how many more entries of that size the
    position takes beside the first; None for the built-in strategy, which never adds.
    """

    strategy: StrategyId
    account: AccountId
    start: Decimal | None
    executes: str
    asked: int
    most: int
    cut_by: str
    whose: str
    equity: Decimal | None = None
    risk: Decimal | None = None
    waiting: int | None = None
    adds: int | None = None


def entry_sizes(accounts: Sequence[TradingAccount], strategies: Sequence[TradingStrategy]) -> tuple[EntrySize, ...]:
    """Of each strategy one size per tier of its account, in the order of strategies and equity."""
    named = {account.full_name: account for account in accounts}
    return tuple(size for strategy in strategies for size in _sizes_of(strategy, named[strategy.account_name]))


def cut_sizes(accounts: Sequence[TradingAccount], strategies: Sequence[TradingStrategy]) -> tuple[str, ...]:
    """A sentence for each size that is never traded as it is written.

    A fixed one at any equity, and a percentage of the starting balance that pays for no contract.
    """
    found = []
    for strategy in strategies:
        sizes = entry_sizes(accounts, [strategy])
        largest = max(sizes, key=lambda size: size.most)
        if strategy.spec.sizing.mode == "Fixed" and largest.most < largest.asked:
            found.append(
                f"{strategy.full_name}: an entry has at most {largest.most} of the {largest.asked} contracts of "
                f"spec.sizing.size, by {largest.cut_by} of {largest.whose}"
            )
        waiting, wanted = max(size.waiting or 0 for size in sizes), strategy.spec.entries.max_pending
        if strategy.spec.sizing.mode == "Fixed" and wanted is not None and waiting < wanted:
            found.append(
                f"{strategy.full_name}: at most {waiting} of the {wanted} entries of spec.entries.maxPending wait at a "
                "time, for each counts for the maxPosition of account and strategy as if it were to fill"
            )
        balances = {
            account.spec.starting_balance
            for account in accounts
            if account.full_name == largest.account and account.spec.environment == "Paper"
        }
        found += [
            f"{strategy.full_name}: nothing is entered with the starting balance of {size.equity}: the "
            f"{strategy.spec.sizing.percent} percent of spec.sizing.percent are less than the {size.risk} that one "
            f"{size.executes} can lose"
            for size in sizes
            if size.equity in balances and not size.asked
        ]
    return tuple(found)


def _sizes_of(strategy: TradingStrategy, account: TradingAccount) -> Iterator[EntrySize]:
    sizing = strategy.spec.sizing
    asked = sizing.max_size if sizing.size is None else sizing.size
    limit, own = account.spec.limits.max_position, strategy.spec.risk.max_position
    position = DEFAULT_MAX_POSITION if limit is None else limit
    default = f" (default {DEFAULT_MAX_POSITION})" if limit is None else ""
    bounds: list[Bound] = [(position, f"limits.maxPosition{default}", account.full_name)]
    if own is not None:
        bounds.append((own, "risk.maxPosition", strategy.full_name))
    tiers = account.spec.tiers
    for tier, later in zip(tiers or (None,), (*tiers[1:], None), strict=True):
        start, root, of_tier = None, signal_instrument(strategy.spec).root, list(bounds)
        if tier is not None:
            start, root = tier.from_, tier.execute
            of_tier.insert(0, (tier.max_size, f"maxSize of the tier from {tier.from_}", account.full_name))
        equity = _equity(account, start, None if later is None else later.from_)
        risk = _risk(strategy, account, root)
        names = (strategy.full_name, strategy.account_name)
        if sizing.percent is None or equity is None or risk is None:
            most, field, whose = _cut(asked, of_tier)
            waiting, adds = _waiting(strategy, bounds, most), _adds(strategy, bounds, most)
            yield EntrySize(*names, start, root, asked, most, field, whose, waiting=waiting, adds=adds)
            continue
        wanted = floor(risk_budget(equity, sizing.percent) / risk)
        limit_of_day = stricter_day_loss(
            None if tier is None else Tier(tier.from_, root, tier.min_size, tier.max_size, tier.day_loss),
            account.spec.limits.day_loss,
        )
        of_tier.append((sizing.max_size, "sizing.maxSize", strategy.full_name))
        if sizing.respect_day_budget:
            of_tier.append((floor(limit_of_day / risk), f"the day's loss limit of {limit_of_day}", account.full_name))
        if margin := instrument(root).margin:
            of_tier.append((floor(equity / margin), f"the margin of {margin}", account.full_name))
        most, field, whose = _cut(wanted, of_tier)
        waiting, adds = _waiting(strategy, bounds, most), _adds(strategy, bounds, most)
        yield EntrySize(*names, start, root, wanted, most, field, whose, equity, risk, waiting, adds)


def _waiting(strategy: TradingStrategy, positions: list[Bound], size: int) -> int | None:
    """The entries of a size that may wait at a time; `positions` are the bounds of all that is held or may be."""
    wanted = strategy.spec.entries.max_pending
    if wanted is None:
        return None
    return min(wanted, _fit(positions, size))


def _adds(strategy: TradingStrategy, positions: list[Bound], size: int) -> int | None:
    """The entries of a size that fit beside the first of them; only a class of one's own adds."""
    return None if strategy.spec.strategy.entry_point is None else max(0, _fit(positions, size) - 1)


def _fit(positions: list[Bound], size: int) -> int:
    """The entries of a size that the position takes together."""
    return min(most for most, _, _ in positions) // size if size else 0


def _equity(account: TradingAccount, start: Decimal | None, end: Decimal | None) -> Decimal | None:
    """The equity at which a tier's size is shown; None where nobody knows one."""
    balance = account.spec.starting_balance if account.spec.environment == "Paper" else None
    if start is None:
        return balance
    return balance if balance is not None and start <= balance and (end is None or balance < end) else start


def _risk(strategy: TradingStrategy, account: TradingAccount, root: str) -> Decimal | None:
    """The loss of one contract of an entry, as the limits count it; None where it depends on the price."""
    sheet, own = instrument(root), account.spec.commission.get(root)
    if sheet.inverse or (sheet.fee_rate and own is None):
        return None
    gap = account.spec.overnight_gap_ticks.get(root, 0) if strategy.spec.holds_overnight else 0
    seen = ExecutionInstrument(
        root=root,
        contract=NO_CONTRACT,
        tick_value=sheet.tick_value,
        commission=sheet.commission if own is None else own,
        margin=None,
        quote=None,
        staleness_ns=0,
        collar_ticks=0,
        expires=None,
        gap_ticks=gap,
        no_stop_ticks=account.spec.no_stop_risk_ticks.get(root),
    )
    return risk_of_contract(bracket_of(strategy.spec).stop_ticks, market_slippage(account), seen)


def _cut(asked: int, bounds: list[Bound]) -> tuple[int, str, str]:
    """The size that the smallest bound leaves, the field of that bound and its owner."""
    most, name, whose = min(bounds, key=lambda bound: bound[0])
    return (asked, "", "") if most >= asked else (most, name, whose)
