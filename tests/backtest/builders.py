"""The results of a backtest by hand: two session days, a trade that won and one that lost."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from leadline.backtest.causes import cause_of, entry_of
from leadline.backtest.coverage import KeptOut, ShortDay, UnfinishedLine
from leadline.backtest.identity import Code, Data, DataDay, Identity, manifests_document
from leadline.backtest.results import (
    AccountResult,
    BacktestResult,
    DayLine,
    Figures,
    Group,
    TierChange,
)
from leadline.model.bars import Bar, FootprintRows
from leadline.model.ids import AccountId, ContractId, DecisionId
from leadline.model.manifest.own_markets import OwnMarkets
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.model.orders import Side
from leadline.model.proposals import Action, Decision, Direction, Proposal
from leadline.model.signals import Pattern, Signal
from leadline.views.trades import EquityPoint
from tests.execution.harness.builders import bar, ns
from tests.report.builders import LOST, WON

D = Decimal
MONDAY, TUESDAY = date(2025, 6, 9), date(2025, 6, 10)
ABSORBED = Signal(
    Pattern.BUYING_ABSORPTION,
    Direction.LONG,
    20_000,
    D("0.75"),
    evidence={"price": 20_000, "ratio": "2.5", "rows": [20_000, 20_001]},
    approved=True,
)
SAID = bar(600, ABSORBED)
CLOSED = Bar(
    key=SAID.bar,
    start_ns=ns(300),
    end_ns=ns(600),
    known_at_ns=ns(600),
    open=20_001,
    high=20_002,
    low=20_000,
    close=20_002,
    volume=31,
    prints=9,
    delta=5,
    min_delta=-4,
    max_delta=6,
    cumulative_delta=11,
    poc=20_000,
    value_area_low=20_000,
    value_area_high=20_001,
    vwap_volume=31,
    vwap_price_volume=620_020,
    vwap_price2_volume=12_400_800_000,
    first_index=0,
    last_index=8,
    session_open_ns=ns(0),
    session_close_ns=ns(23_400),
    ticks_per_row=1,
    rows=FootprintRows(*(np.array(values) for values in (
        [20_000, 20_001, 20_002], [12, 1, 0], [3, 8, 7], [0, 0, 0], [3, 1, 0], [1, 2, 2], [0, 0, 0],
    ))),
)  # fmt: skip
DECIDED = Decision(
    decision_id=DecisionId("d1"),
    strategy=WON.strategy,
    source=SAID.bar.text(),
    bar_key=SAID.bar.text(),
    proposal=Proposal(Action.ENTER, Direction.LONG),
    instant_ns=ns(600),
    trading_day=TUESDAY,
    accepted=True,
    reason="",
    side=Side.BUY,
    quantity=2,
    contract=ContractId(WON.contract),
    bracket=None,
    patterns=("BUYING_ABSORPTION",),
    regime="RANGING",
    arithmetic=(("size", "2"),),
)
_MANIFESTS = load_manifests(Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml")
IDENTITY = Identity(
    Code("0.1.0", "s" * 32),
    manifests_document(
        [each for each in _MANIFESTS if isinstance(each, TradingAccount)],
        [each for each in _MANIFESTS if isinstance(each, TradingStrategy)],
        MONDAY,
        TUESDAY,
        OwnMarkets(),
    ),
    Data(
        "sim",
        {"seed": 1},
        (DataDay("MESM2025", MONDAY, 6_000, "a" * 64), DataDay("MESM2025", TUESDAY, 6_345, "b" * 64)),
        {"MESM2025": ns(23_400)},
    ),
)
FIGURES = Figures(
    session_days=2,
    win_days=1,
    trade_count=2,
    wins=1,
    losses=1,
    win_rate=D("0.5"),
    net=D("26.25"),
    open_result=D(0),
    net_a_day=D("13.125"),
    commission=D("10.00"),
    average_win=D("55.00"),
    average_loss=D("-28.75"),
    profit_factor=D("1.9130"),
    max_drawdown=D("28.75"),
    sharpe=D("11.2250"),
    sortino=None,
    exposure=D("0.0087"),
)


def account_result(**changes: Any) -> AccountResult:
    """An account that traded on the second of two days, with 55.00 and -28.75 after commission."""
    won, lost = (Group(each.pattern, 1, int(each.net > 0), each.net, None) for each in (WON, LOST))
    found = AccountResult(
        account=AccountId("default/paper"),
        currency="USD",
        start_equity=D("10000.00"),
        end_equity=D("10026.25"),
        figures=FIGURES,
        days=(DayLine(MONDAY, 0, D(0), D("10000.00")), DayLine(TUESDAY, 2, D("26.25"), D("10026.25"))),
        trades=(replace(WON, decision_id=DecisionId("d1")), LOST),
        causes=(cause_of(DECIDED, entry_of(CLOSED, SAID)), cause_of(None, None)),
        by_pattern=(won, lost),
        by_regime=(Group("RANGING", 2, 1, D("26.25"), D("1.9130")),),
        by_hour=(Group("09:00", 2, 1, D("26.25"), D("1.9130")),),
        by_weekday=(Group("Tuesday", 2, 1, D("26.25"), D("1.9130")),),
        zones=("America/New_York",),
        tier_changes=(TierChange(TUESDAY, 1, 2, D("10000.00"), "MES", 1, 3),),
        decisions=9,
        refused=(("max_open_trades", 5), ("conflict", 2)),
        equity=(
            EquityPoint(ns(601), D("9997.50")),
            EquityPoint(ns(710), D("10055.00")),
            EquityPoint(ns(1500), D("10026.25")),
        ),
    )
    return replace(found, **changes)


def backtest_result(*accounts: AccountResult) -> BacktestResult:
    """A backtest of these accounts, or of one."""
    found = accounts or (account_result(),)
    return BacktestResult(
        MONDAY,
        TUESDAY,
        2,
        12_345,
        "d" * 64,
        found,
        short_days=(ShortDay(ContractId("MESM2025"), TUESDAY, "rth", ns(0), ns(7_200), D("0.3077"), traded=True),),
        kept_out=(KeptOut(ContractId("MESM2025"), "off_grid", 52),),
        unfinished=(UnfinishedLine("MESM2025/rth/5m-r1/2025-06-10/24", 187),),
        identity=IDENTITY,
    )
