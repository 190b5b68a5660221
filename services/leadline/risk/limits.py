"""The one limit function. A decision is checked by it, and checked again in the transaction that writes the order."""

from decimal import Decimal
from typing import Final

from leadline.model.blocks import Block
from leadline.model.orders import Side
from leadline.model.worth import loss, notional
from leadline.risk.reasons import Reason
from leadline.risk.view import (
    AccountLimits,
    AccountView,
    Entry,
    ExecutionInstrument,
    StrategyLimits,
    StrategySettings,
    Tier,
)

DEFAULT_DAY_LOSS: Final = Decimal(300)
DEFAULT_DAY_TARGET: Final = Decimal(500)
DEFAULT_MAX_POSITION: Final = 2
DEFAULT_MAX_OPEN_TRADES: Final = 1
DEFAULT_MAX_ORDERS_PER_SECOND: Final = 5


def day_loss_limit(account: AccountView) -> Decimal:
    """Loss of the trading day that blocks the account, > 0."""
    return stricter_day_loss(account.tier, account.limits.day_loss)


def stricter_day_loss(tier: Tier | None, limit: Decimal | None) -> Decimal:
    """The stricter of a tier's day loss and the account's own limit.

    The default holds where neither says anything; it never tightens what is written.
    """
    of_tier = None if tier is None else tier.day_loss
    if of_tier is None:
        return DEFAULT_DAY_LOSS if limit is None else limit
    return of_tier if limit is None else min(of_tier, limit)


def day_target(account: AccountView) -> Decimal:
    """Profit of the trading day after which nothing new is entered, > 0."""
    return target_of(account.limits)


def target_of(limits: AccountLimits) -> Decimal:
    """Profit of the trading day at which these limits end entries, > 0."""
    return DEFAULT_DAY_TARGET if limits.day_target is None else limits.day_target


def day_budget(account: AccountView, strategy: StrategySettings) -> Decimal:
    """The loss that is still allowed today: the stricter of account and strategy, every live order at its worst."""
    budget = day_loss_limit(account) + account.realised + account.open - account.worst_case
    if strategy.limits.day_loss is None:
        return budget
    day = strategy.day
    return min(budget, strategy.limits.day_loss + day.realised + day.open - day.worst_case)


def risk_per_contract(strategy: StrategySettings, instrument: ExecutionInstrument, price: int | None = None) -> Decimal:
    """Money that one size step of a strategy's next entry can lose, at its stop; see `risk_of_contract`."""
    return risk_of_contract(strategy.bracket.stop_ticks, strategy.slippage_ticks, instrument, price)


def risk_of_contract(
    stop_ticks: int | None, slippage_ticks: int, instrument: ExecutionInstrument, price: int | None = None
) -> Decimal:
    """Money that one size step can lose: stop, gap over a close, the fees of both sides, and slippage on both sides.

    From `price` on (ticks; None: the last print), on the side that loses more: an inverse contract's long does, since a
    coin buys fewer contracts at the stop. The way out pays its rate where the notional is the larger one. Asked for
    contracts that have a quote; the price of a linear contract without a rate does not matter.
    """
    stop = instrument.no_stop_ticks if stop_ticks is None else stop_ticks
    distance = (stop or 0) + instrument.gap_ticks + 2 * slippage_ticks
    if price is None:
        price = 0 if instrument.quote is None else instrument.quote.price
    value, inverse = instrument.tick_value, instrument.inverse
    money = loss(price, distance, 1, value, inverse=inverse) + 2 * instrument.commission
    if instrument.fee_rate:
        ways_out = (notional(price + away, value, inverse=inverse) for away in (-distance, distance))
        money += instrument.fee_rate * (notional(price, value, inverse=inverse) + max(ways_out))
    return money


def stop_refusal(strategy: StrategySettings, instrument: ExecutionInstrument) -> Reason | None:
    """Refuses an entry without a stop where the account has not declared its risk, or its size goes by the stop."""
    if strategy.bracket.stop_ticks is not None:
        return None
    allowed = instrument.no_stop_ticks is not None and strategy.sizing_mode != "RiskPercent"
    return None if allowed else Reason.NO_STOP


def free_position(account: AccountView, strategy: StrategySettings) -> int:
    """Size steps that account and strategy may still add."""
    limit = account.limits.max_position
    free = (DEFAULT_MAX_POSITION if limit is None else limit) - account.exposure
    if strategy.limits.max_position is None:
        return free
    return min(free, strategy.limits.max_position - strategy.day.exposure)


def free_margin(account: AccountView) -> Decimal:
    """Equity that no position and no live entry binds as margin; below 0 when they bind more than there is."""
    return account.equity - account.margin_in_use


def largest_size(account: AccountView, strategy: StrategySettings) -> int:
    """The most size steps of one entry in any mode of sizing: the strategy's maximum, and the tier's where it is on."""
    return strategy.max_size if account.tier is None else min(strategy.max_size, account.tier.max_size)


def risk_budget(equity: Decimal, percent: Decimal) -> Decimal:
    """The loss that an entry may have that risks a percentage of the equity."""
    return equity * percent / 100


def _own_group(strategy: StrategySettings, group: str) -> str:
    """The name of an entry's alternatives among the groups that wait: all of a strategy's are one, where it says so."""
    return group if strategy.max_pending is None else ""


def _alternatives_wait(strategy: StrategySettings, group: str) -> bool:
    """Whether alternatives of an entry wait of which none has a fill."""
    return any(name == _own_group(strategy, group) for name, _, _ in strategy.day.groups)


def _goes_against(strategy: StrategySettings, entry: Entry) -> bool:
    """Whether an entry goes against what the strategy holds or is entering, its own alternatives left out."""
    groups = strategy.day.groups
    held = strategy.day.position - sum(buys - sells for _, buys, sells in groups)
    own = _own_group(strategy, entry.group)
    others = [(buys, sells) for name, buys, sells in groups if name != own]
    return held * entry.side.sign < 0 or any(sells if entry.side is Side.BUY else buys for buys, sells in others)


def alternatives_refusal(account: AccountView, strategy: StrategySettings, *, adds: bool = False) -> Reason | None:
    """Refuses an entry while the first of its alternatives has filled, or is about to, and is not closed yet.

    Alternatives of the account's strategies, or of its own strategy, which may add to its own trade. As many of the
    latter wait as the strategy says.
    """
    own, most = strategy.day.in_the_market and not adds, strategy.max_pending
    others = account.in_the_market - int(strategy.day.in_the_market)
    if (account.first_fill_wins and (others > 0 or own)) or (most is not None and own):
        return Reason.NOT_FLAT
    return Reason.MAX_PENDING if most is not None and strategy.day.pending >= most else None


def _open_trades(account: AccountView, strategy: StrategySettings) -> int:
    """Open trades that count for a strategy's entry: those of others are its alternatives where the first fill wins."""
    return min(strategy.day.exposure, 1) if account.first_fill_wins else account.open_trades


def trades_refusal(
    account: AccountView, strategy: StrategySettings, *, more: int = 1, adds: bool = False, group: str = ""
) -> Reason | None:
    """Whether there would be more open trades, or entries of the day, than allowed with so many `more`.

    One that `adds` to an open trade opens none, nor does one whose alternatives of a `group` wait.
    """
    most, own = account.limits.max_open_trades, strategy.limits.max_trades_per_day
    opened = 0 if adds or _alternatives_wait(strategy, group) else more
    if _open_trades(account, strategy) + opened > (DEFAULT_MAX_OPEN_TRADES if most is None else most):
        return Reason.MAX_OPEN_TRADES
    if own is not None and strategy.day.trades + more > own:
        return Reason.MAX_TRADES_PER_DAY
    return None


def standing_refusal(
    account: AccountView, strategy: StrategySettings, *, adds: bool = False, group: str = ""
) -> Reason | None:
    """The first limit that forbids any entry now, whatever its size; None when there is none.

    `adds`: the entry is to add to what the strategy holds or is entering. `group` as in `Entry`.
    """
    limits, own, day = account.limits, strategy.limits, strategy.day
    if strategy.state != "Running":
        return Reason.STRATEGY_NOT_RUNNING
    if account.halt:
        return Reason.HALTED
    if account.unresolved:
        return Reason.UNRESOLVED
    result = account.realised + account.open
    if account.block == Block.DAY_LOSS or result <= -day_loss_limit(account):
        return Reason.DAY_LOSS
    if account.block == Block.DAY_TARGET or result >= day_target(account):
        return Reason.DAY_TARGET
    if day.block == Block.DAY_LOSS or (own.day_loss is not None and day.realised + day.open <= -own.day_loss):
        return Reason.DAY_LOSS
    if adds and not day.position:
        return Reason.NOTHING_HELD
    refusal = alternatives_refusal(account, strategy, adds=adds)
    refusal = refusal or trades_refusal(account, strategy, adds=adds, group=group)
    refusal = refusal or repetition_refusal(account, strategy)
    if refusal is not None:
        return refusal
    if account.orders_last_second >= _rate(limits) or day.orders_last_second >= _rate(own):
        return Reason.MAX_ORDERS_PER_SECOND
    return Reason.MAX_POSITION if free_position(account, strategy) < 1 else None


def repetition_refusal(account: AccountView, strategy: StrategySettings) -> Reason | None:
    """The limit of repeated entries that another one would break; it halts the account until a person resumes."""
    own, day, most = strategy.limits, strategy.day, account.limits.max_entries_per_hour
    if most is not None and account.entries_last_hour >= most:
        return Reason.MAX_ENTRIES_PER_HOUR
    if own.max_entries_per_hour is not None and day.entries_last_hour >= own.max_entries_per_hour:
        return Reason.STRATEGY_ENTRIES_PER_HOUR
    if own.max_entries_per_session is not None and day.trades >= own.max_entries_per_session:
        return Reason.STRATEGY_ENTRIES_PER_SESSION
    return None


def _rate(limits: AccountLimits | StrategyLimits) -> int:
    """Orders a second that limits allow."""
    most = limits.max_orders_per_second
    return DEFAULT_MAX_ORDERS_PER_SECOND if most is None else most


def contract_refusal(
    account: AccountView, instrument: ExecutionInstrument, instant_ns: int, close: int
) -> Reason | None:
    """The first reason not to enter this contract now, whatever the size; None when there is none.

    One that the account does not allow, one in which somebody else's order works, the venue's margin above the
    account's pause, an expired contract, a price that is no quote any more, or one further from `close` (ticks), by
    which the decision was made, than the collar.
    """
    if instrument.forbidden:
        return Reason.CONTRACT_NOT_ALLOWED
    if instrument.foreign:
        return Reason.FOREIGN_ORDER
    pause = account.limits.margin_limits.get(instrument.root)
    if pause is not None:
        if instrument.margin is None:
            return Reason.MARGIN_UNKNOWN
        if instrument.margin > pause:
            return Reason.MARGIN_ABOVE_LIMIT
    if instrument.expires is not None and account.trading_day >= instrument.expires:
        return Reason.CONTRACT_EXPIRED
    if instrument.quote is None or instant_ns - instrument.quote.time_ns > instrument.staleness_ns:
        return Reason.STALE
    if abs(instrument.quote.price - close) > instrument.collar_ticks:
        return Reason.PRICE_COLLAR
    return None


def loosening_refusal(account: AccountView, strategy: StrategySettings, more: Decimal) -> Reason | None:
    """The first limit that forbids a stop to go to where what is held can lose so much `more` (money, > 0).

    To tighten is always allowed; what loosens is asked what an entry would be asked that risked as much. Where the size
    goes by a percentage of the equity, all that the strategy holds and has working may lose no more than that.
    """
    own, result = strategy.limits, account.realised + account.open
    strategy_result = strategy.day.realised + strategy.day.open
    checks = (
        (strategy.state != "Running", Reason.STRATEGY_NOT_RUNNING),
        (bool(account.halt), Reason.HALTED),
        (account.unresolved, Reason.UNRESOLVED),
        (bool(account.block) or result <= -day_loss_limit(account), Reason.DAY_LOSS),
        (bool(strategy.day.block), Reason.DAY_LOSS),
        (own.day_loss is not None and strategy_result <= -own.day_loss, Reason.DAY_LOSS),
        (
            strategy.sizing_mode == "RiskPercent"
            and strategy.day.worst_case + more > risk_budget(account.equity, strategy.risk_percent),
            Reason.RISK_BUDGET,
        ),
        (strategy.respect_day_budget and more > day_budget(account, strategy), Reason.DAY_BUDGET),
    )
    return next((reason for refused, reason in checks if refused), None)


def order_value(instrument: ExecutionInstrument, entry: Entry) -> Decimal:
    """The money that an entry is worth: its size at its price, at the last print where it has none."""
    quote = 0 if instrument.quote is None else instrument.quote.price
    price = entry.priced_at if entry.priced_at is not None else quote if entry.price is None else entry.price
    return entry.quantity * abs(notional(price, instrument.tick_value, inverse=instrument.inverse))


def order_refusal(
    account: AccountView, strategy: StrategySettings, instrument: ExecutionInstrument, entry: Entry
) -> Reason | None:
    """The first limit that an entry would break; None when it breaks none.

    An entry against what the strategy holds would leave two brackets around what is left of the position: exits that
    could turn it round. Alternatives of one group may wait on both sides, and each counts as if it were to fill.
    """
    refusal = standing_refusal(account, strategy, adds=entry.adds, group=entry.group) or contract_refusal(
        account, instrument, entry.instant_ns, entry.close
    )
    refusal = refusal or stop_refusal(strategy, instrument)
    if refusal is None and entry.price is not None:  # an entry that waits lies as near to the market as the bar
        refusal = contract_refusal(account, instrument, entry.instant_ns, entry.price)
    if refusal is not None:
        return refusal
    if _goes_against(strategy, entry):
        return Reason.OPPOSITE_POSITION
    if entry.quantity > free_position(account, strategy):
        return Reason.MAX_POSITION
    if entry.quantity > largest_size(account, strategy):
        return Reason.MAX_SIZE
    most = account.limits.max_order_value
    if most is not None and order_value(instrument, entry) > most:
        return Reason.MAX_ORDER_VALUE
    if (entry.side, entry.quantity) in instrument.recent:
        return Reason.DUPLICATE_ENTRY
    worst = entry.quantity * risk_per_contract(strategy, instrument, entry.priced_at)
    if strategy.sizing_mode == "RiskPercent" and worst > risk_budget(account.equity, strategy.risk_percent):
        return Reason.RISK_BUDGET
    if strategy.respect_day_budget and worst > day_budget(account, strategy):
        return Reason.DAY_BUDGET
    if instrument.margin and entry.quantity * instrument.margin > free_margin(account):
        return Reason.MARGIN
    return None
