"""Questions to risk, with numbers that can be checked by hand: an account, a strategy on MES or ES, and a bar."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from leadline.analysis.strategies import one_entry
from leadline.model.bars import BarKey
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.orders import Bracket, Side
from leadline.model.proposals import Action, Proposal
from leadline.model.signals import BarSignals, Direction, Pattern, Regime, RegimeReading, Signal
from leadline.risk.decide import decide
from leadline.risk.tiers import tier_index
from leadline.risk.view import (
    AccountView,
    DecisionInputs,
    Entry,
    ExecutionInstrument,
    Quote,
    StrategyDay,
    StrategyLimits,
    StrategySettings,
    Tier,
)

D = Decimal
MINUTE = 60_000_000_000
OPEN = 1_749_562_200_000_000_000  # 2025-06-10 09:30 in New York
CLOSE = OPEN + 390 * MINUTE
DAY = date(2025, 6, 10)
TIERS = (
    Tier(D(0), "MES", 1, 3, D(100)),
    Tier(D(3500), "ES", 1, 1, D(400)),
    Tier(D(5000), "ES", 1, 2, D(400)),
    Tier(D(7500), "ES", 1, 3, D(500)),
    Tier(D(10000), "ES", 1, 3, D(500)),
)
NOW = OPEN + 65 * MINUTE
CLOSED_AT = 20010
"""The close of the bar, in ticks, and where the last print stands."""
SECOND = 1_000_000_000
EXPIRES = date(2025, 6, 20)
MES = ExecutionInstrument(
    "MES", ContractId("MESM2025"), D("1.25"), D("1.25"), D(40), Quote(CLOSED_AT, NOW), 2 * SECOND, 20, EXPIRES
)
ES = ExecutionInstrument(
    "ES", ContractId("ESM2025"), D("12.5"), D("4.5"), D(300), Quote(CLOSED_AT, NOW), 2 * SECOND, 20, EXPIRES
)


def account(equity: str = "2500", **changes: object) -> AccountView:
    money = D(equity)
    view = AccountView(AccountId("default/paper"), DAY, money, tiers=TIERS, tier_index=tier_index(TIERS, money))
    return replace(view, **changes)  # type: ignore[arg-type]


def strategy(**changes: object) -> StrategySettings:
    settings = StrategySettings(
        strategy=StrategyId("default/mes"),
        state="Running",
        signal_root="MES",
        signal_contract=ContractId("MESM2025"),
        session_zone="America/New_York",
        after_open_ns=5 * MINUTE,
        before_close_ns=15 * MINUTE,
        blocks=(),
        news=(),
        sizing_mode="Tiered",
        fixed_size=0,
        max_size=2,
        modifiers=("Stacked", "Trending", "WinStreak", "LossStreak"),
        respect_day_budget=True,
        bracket=Bracket(16, 24),
        limits=StrategyLimits(),
        day=StrategyDay(),
        execute=(MES, ES),
        slippage_ticks=1,
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


def signal(pattern: Pattern, strength: str = "0.7", *, approved: bool = True) -> Signal:
    short = pattern in {Pattern.SELLING_ABSORPTION, Pattern.BUYING_EXHAUSTION, Pattern.BEARISH_DELTA_DIVERGENCE}
    return Signal(pattern, Direction.SHORT if short else Direction.LONG, 20000, D(strength), approved=approved)


TWO_LONGS = (signal(Pattern.BUYING_ABSORPTION), signal(Pattern.SELLING_EXHAUSTION, "0.8"))


def bar(
    signals: tuple[Signal, ...] = TWO_LONGS, regime: Regime = Regime.TRENDING_UP, multiplier: str = "1.0"
) -> BarSignals:
    key = BarKey(ContractId("MESM2025"), "rth", "5m-r1", DAY, 12)
    reading = RegimeReading(regime, D("0.8"), D(multiplier))
    return BarSignals(key, NOW, CLOSED_AT, OPEN, CLOSE, reading, signals, one_entry(signals))


LONG = Proposal(Action.ENTER, Direction.LONG)


def ask(
    view: AccountView,
    settings: StrategySettings,
    what: BarSignals | None = None,
    instant: int | None = NOW,
    proposal: Proposal | None = None,
) -> DecisionInputs:
    """The question at an instant at which every contract has just printed; None: now, with the prints as they are.

    Without a proposal it is the bar's, else a long entry.
    """
    about = what or bar()
    asked = proposal or next(iter(about.proposals), LONG)
    return DecisionInputs(
        view, settings if instant is None else printed(settings, instant), about, asked, instant or NOW
    )


def printed(settings: StrategySettings, instant: int, price: int = CLOSED_AT) -> StrategySettings:
    """The settings with every contract's last print at this instant and price."""
    return replace(settings, execute=tuple(replace(item, quote=Quote(price, instant)) for item in settings.execute))


def entry(quantity: int = 1, side: Side = Side.BUY, instant: int = NOW, close: int = CLOSED_AT) -> Entry:
    return Entry(side, quantity, instant, close)


def terms(inputs: DecisionInputs) -> dict[str, str]:
    return dict(decide(inputs).arithmetic)
