"""One decision as it is told, by hand: a long in MES that its target has closed, and a halt that was in force."""

from dataclasses import replace

from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, Leg, RunId, StrategyId
from leadline.views.explained import ExplainedBar, Explanation, FootprintView, LimitUse, PointsView, RouterView, RowView
from leadline.views.explaining import AuditEvent, DecisionFacts, explained_decision
from leadline.views.halts import ReportedHalt
from leadline.views.signals import DecisionView, ProposalView, RegimeView, SignalView
from leadline.views.values import OrderView
from tests.execution.harness.builders import MES, ns
from tests.report.builders import WON

TAKEN = DecisionView(DecisionId("d1"), "bar", "ENTER", accepted=True, reason="", side="BUY", quantity=2, type="MARKET")
REFUSED = replace(TAKEN, accepted=False, reason="max_open_trades", type=None)
PROPOSAL = ProposalView("bar", "ENTER", "LONG", None, None, None, ("BUYING_ABSORPTION",), "", "", "", TAKEN)
ENTRY = OrderView(
    client_id=ClientOrderId("L1"),
    decision_id=DecisionId("d1"),
    leg=Leg("E"),
    strategy=StrategyId("default/mes"),
    contract=MES,
    side="BUY",
    type="MARKET",
    quantity=2,
    filled=2,
    state="FILLED",
    price="",
    decided_at_ns=ns(600),
    reason="",
    version=5,
    average_price="5000.25",
    taken_out_by=ClientOrderId(""),
    unit="main",
)
SENT = {
    "client_id": "L1",
    "leg": "E",
    "side": "BUY",
    "quantity": 2,
    "filled": 0,
    "type": "MARKET",
    "contract": MES,
    "limit_price": None,
    "stop_price": None,
    "state": "SENDING",
    "reason": "",
}
FILLED = {
    "client_id": "L1",
    "side": "BUY",
    "quantity": 2,
    "price": 20_001,
    "time_ns": ns(601),
    "contract": MES,
    "commission": "2.50",
}
FACTS = DecisionFacts(PROPOSAL, ns(600), ContractId(MES), {"size": "2"}, ns(599), ns(600), (ENTRY,))

KEY = f"{MES}/rth/5m-r1/2025-06-10/1"
FOOTPRINT = FootprintView(
    bar=KEY,
    contract=MES,
    start_ns=ns(300),
    end_ns=ns(599),
    known_at_ns=ns(600),
    open="5000.00",
    high="5000.50",
    low="5000.00",
    close="5000.25",
    volume=1_234,
    prints=321,
    delta=-1_000,
    min_delta=-1_000,
    max_delta=4,
    cumulative_delta=-900,
    poc="5000.25",
    poc_ticks=20_001,
    value_area_low_ticks=20_001,
    value_area_high_ticks=20_002,
    incomplete=0,
    rows=(
        RowView("5000.50", 20_002, 0, 10, 0),
        RowView("5000.25", 20_001, 1_100, 104, 0),
        RowView("5000.00", 20_000, 9, 8, 3),
    ),
)
SEEN = SignalView(
    pattern="BUYING_ABSORPTION",
    direction="LONG",
    price="5000.25",
    price_ticks=20_001,
    strength="0.700000",
    evidence={"rows": [20_000, 20_001], "share": "0.910000"},
    approved=True,
    rejection="",
)
REGIME = RegimeView(
    "RANGING", "0.800000", "0.75", "", {"RANGING": "5.5", "VOLATILE": "3.0"}, {"adx": "18.2", "atr": "4"}
)
EVENTS = (
    AuditEvent(7, "decision", "d1", ns(600), {"accepted": True, "reason": ""}),
    AuditEvent(8, "order", "L1", ns(600), SENT),
    AuditEvent(9, "fill", "f1", ns(602), FILLED),
)

LIMITS = (
    LimitUse("max_open_trades", "account", "1", "2", refused=False),
    LimitUse("day_loss", "strategy", "40.00", "40", refused=True),
)
POINTS = (
    PointsView("RANGING", "ADX below 20 / 25", "18.2", "2.0", "2.0"),
    PointsView("RANGING", "ATR percentile below 50", "60", "0.0", "1.0"),
    PointsView("VOLATILE", "volume above twice the mean of 20 bars", "0.9", "0.0", "1.0"),
)


def explanation() -> Explanation:
    """The explanation of one bar, in which every field has something."""
    arithmetic = {"base": "1", "Stacked": "1", "scaled": "2", "tier_max": "3", "max_size": "2", "size": "2"}
    halt = ReportedHalt(3, "PERSON", "news", "ann", ns(590))
    facts = replace(FACTS, arithmetic=arithmetic, events=EVENTS, trade=WON, halts=(halt,), limits=LIMITS)
    bar = ExplainedBar(
        account=AccountId("default/paper"),
        strategy=StrategyId("default/mes"),
        bar=KEY,
        footprint=FOOTPRINT,
        regime=REGIME,
        signals=(SEEN, replace(SEEN, pattern="SELL_IMBALANCE", approved=False, rejection="strength")),
        decisions=(explained_decision(facts),),
        block="DAY_TARGET",
        fence="price: bar.close",
        regime_points=POINTS,
        router=RouterView("0.5", "0.6", ("BUYING_ABSORPTION",), "LONG"),
    )
    return Explanation("L1", "ORDER", RunId("tape"), (bar,))
