"""The inputs of a decision: the account, the strategy's settings, the bar and the proposal. Plain values, no behaviour.

Money is `Decimal` in the account's currency; sizes are integer size steps; distances are ticks; times are ns UTC.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from leadline.model.blocks import Block
from leadline.model.frozen import quickly_made
from leadline.model.ids import NO_CONTRACT, AccountId, ContractId, StrategyId
from leadline.model.orders import Bracket, OrderType, Side
from leadline.model.proposals import Proposal
from leadline.model.signals import BarSignals


@dataclass(frozen=True, slots=True)
class Tier:
    """One capital tier: from this equity (inclusive) execute this root within these sizes and this day loss, if any."""

    start: Decimal
    execute: str
    min_size: int
    max_size: int
    day_loss: Decimal | None


def tier_at(tiers: tuple[Tier, ...], index: int) -> Tier | None:
    """The tier of an index, None where there is none: tiers are off, or the equity is below all of them."""
    return tiers[index] if 0 <= index < len(tiers) else None


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Limits of an account; None is not set. `margin_limits` maps a root to the highest margin still traded."""

    day_loss: Decimal | None = None
    day_target: Decimal | None = None
    max_position: int | None = None
    max_open_trades: int | None = None
    max_orders_per_second: int | None = None
    max_entries_per_hour: int | None = None
    margin_limits: dict[str, Decimal] = field(default_factory=dict)
    max_order_value: Decimal | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class AccountView:
    """The account at the instant of a decision.

    `realised` is the day's net result, commission included; `open` the open result at the last prints;
    `worst_case` (>= 0) what open positions and live entries can still lose below `open`, down to their stops.
    `streak` counts trades won (positive) or lost (negative) in a row. `exposure` is what is held or may come to be
    held at the most, and `margin_in_use` what that binds at each contract's own margin; a contract whose margin is not
    known binds nothing. `halt` and `block` are reasons, empty when there is none; `unresolved` says that an order's
    fate is unknown or that book and venue are not reconciled.

    `first_fill_wins`: the entries of its strategies are alternatives to one another. `in_the_market` counts the owners
    of what is more than waiting: of positions, also such as no strategy looks after, and of entries that work at the
    market, are filled in part or were taken out.
    """

    account: AccountId
    trading_day: date
    equity_at_roll: Decimal
    realised: Decimal = Decimal(0)
    open: Decimal = Decimal(0)
    worst_case: Decimal = Decimal(0)
    streak: int = 0
    trades: int = 0
    entries_last_hour: int = 0
    orders_last_second: int = 0
    open_trades: int = 0
    exposure: int = 0
    margin_in_use: Decimal = Decimal(0)
    block: Block = Block.NONE
    halt: str = ""
    unresolved: bool = False
    limits: AccountLimits = AccountLimits()
    tier_index: int = -1
    tiers: tuple[Tier, ...] = ()
    first_fill_wins: bool = False
    in_the_market: int = 0

    @property
    def tier(self) -> Tier | None:
        """The tier in force, or None when tiers are off."""
        return tier_at(self.tiers, self.tier_index)

    @property
    def equity(self) -> Decimal:
        """Equity now, open result included."""
        return self.equity_at_roll + self.realised + self.open


@dataclass(frozen=True, slots=True)
class StrategyLimits:
    """Limits of a strategy, which only tighten the account's; None is not set."""

    max_position: int | None = None
    max_trades_per_day: int | None = None
    day_loss: Decimal | None = None
    max_orders_per_second: int | None = None
    max_entries_per_hour: int | None = None
    max_entries_per_session: int | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class StrategyDay:
    """A strategy's own trading day, as `AccountView` has the account's.

    `position` is signed: what it holds or is entering. `groups` are those of its waiting entries of which none has a
    fill: the name of each, and the sizes that wait to buy and to sell. `block` is DAY_LOSS once its own loss was
    reached, else empty. `in_the_market`: it is one of those that the account counts so. `pending` counts the entries
    that wait and have no fill; where `max_pending` makes them alternatives, they are one group without a name.
    """

    realised: Decimal = Decimal(0)
    open: Decimal = Decimal(0)
    worst_case: Decimal = Decimal(0)
    trades: int = 0
    exposure: int = 0
    orders_last_second: int = 0
    position: int = 0
    block: Block = Block.NONE
    groups: tuple[tuple[str, int, int], ...] = ()
    in_the_market: bool = False
    pending: int = 0
    entries_last_hour: int = 0


@quickly_made
@dataclass(frozen=True, slots=True)
class Quote:
    """A last print: its price in ticks and its time."""

    price: int
    time_ns: int


@quickly_made
@dataclass(frozen=True, slots=True)
class ExecutionInstrument:
    """A contract's costs, its worth and its quote.

    `tick_value` is that of one tick of one size step, of an `inverse` one what a size step is worth at a price of one
    tick (`leadline.model.worth`). `commission` is per side and size step, `fee_rate` a share of the notional of each
    side; they add up. `margin` is of one size step at the quote.
    `quote` is the last print of the contract whose prints fill it, None before there is one; it is a quote for
    `staleness_ns`. An entry is refused further than `collar_ticks` from the price that
    made the decision. `expires` is the first trading day on which nothing is entered any more; None when it never
    expires or nobody knows. A stop may be filled `gap_ticks` beyond its price, where a position is held over a close. A
    position without a stop counts as one whose stop is `no_stop_ticks` away; where that is None there is none. One that
    the account does not allow is `forbidden`. `recent` are the sides and sizes of the account's entries in the contract
    that were decided so shortly before that another one like them is taken for the same. `foreign` says that an order
    of somebody else works in it.
    """

    root: str
    contract: ContractId
    tick_value: Decimal
    commission: Decimal
    margin: Decimal | None
    quote: Quote | None
    staleness_ns: int
    collar_ticks: int
    expires: date | None
    inverse: bool = False
    fee_rate: Decimal = Decimal(0)
    gap_ticks: int = 0
    no_stop_ticks: int | None = None
    forbidden: bool = False
    recent: tuple[tuple[Side, int], ...] = ()
    foreign: bool = False


@quickly_made
@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that is asked for: its side and size, when, and the close (ticks) of the bar that asks for it.

    `price` is that of a limit or a stop, in ticks; None at the market. One that `adds` makes an open trade larger.
    `group` names its alternatives, empty without. `priced_at` is where its risk is counted from, ticks; None: the last
    print.
    """

    side: Side
    quantity: int
    instant_ns: int
    close: int
    price: int | None = None
    adds: bool = False
    group: str = ""
    priced_at: int | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class StrategySettings:
    """A strategy as the decision needs it: its hot settings and the facts of its instruments.

    `before_close_ns` is None where the session has no close. `blocks` are half-open pairs of local `HH:MM` in
    `session_zone`; `news` half-open pairs of ns UTC. An entry of `entry_type` LIMIT or STOP lies `entry_offset` ticks
    from the bar's close and works for `valid_for_ns`, None for as long as entries are allowed. `fixed_size` and
    `risk_percent` are 0 in another `sizing_mode` than their own. At most `max_pending` entries wait at a time, and they
    are alternatives; None: each stands by itself.
    """

    strategy: StrategyId
    state: str
    signal_root: str
    signal_contract: ContractId
    session_zone: str
    after_open_ns: int
    before_close_ns: int | None
    blocks: tuple[tuple[str, str], ...]
    news: tuple[tuple[int, int], ...]
    sizing_mode: str
    fixed_size: int
    max_size: int
    modifiers: tuple[str, ...]
    respect_day_budget: bool
    bracket: Bracket
    limits: StrategyLimits
    day: StrategyDay
    execute: tuple[ExecutionInstrument, ...]
    slippage_ticks: int
    entry_type: OrderType = OrderType.MARKET
    entry_offset: int = 0
    valid_for_ns: int | None = None
    risk_percent: Decimal = Decimal(0)
    max_pending: int | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """All that a decision depends on. Of the bar its time, close and regime count, and not what was seen in it."""

    account: AccountView
    strategy: StrategySettings
    bar: BarSignals
    proposal: Proposal
    instant_ns: int


@quickly_made
@dataclass(frozen=True, slots=True)
class RiskDecision:
    """Risk's word: an order's side, size, price and exits, or the first reason that refused it.

    `price` in ticks of a limit or a stop, which works until `valid_until_ns` (None: until it is cancelled).
    """

    accepted: bool
    reason: str
    side: str = ""
    quantity: int = 0
    contract: ContractId = NO_CONTRACT
    bracket: Bracket | None = None
    patterns: tuple[str, ...] = ()
    arithmetic: tuple[tuple[str, str], ...] = ()
    type: OrderType = OrderType.MARKET
    price: int | None = None
    valid_until_ns: int | None = None
