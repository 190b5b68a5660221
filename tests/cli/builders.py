"""Scenes of a running stack, without the stack."""

from collections import deque
from typing import Any

from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local.supervisor import PartStatus
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.v1 import model_pb2
from leadline.views.convert import (
    account_view,
    bar_view,
    feed_view,
    regime_view,
    signalled_bar,
    unfinished_view,
)
from leadline.views.market import BarView, UnfinishedBarView
from leadline.views.scene import Rate, Scene
from leadline.views.stack import Stack, StrategyAddress, StrategyMonth
from leadline.views.values import AccountView

FLOW = StrategyId("default/flow")
PAPER = AccountId("default/paper")
NINE_THIRTY_NS = 1_749_562_200_000_000_000  # 2025-06-10 09:30 in New York
MINUTE_NS = 60_000_000_000


def stack() -> Stack:
    months = (StrategyMonth(contract="MESM2025"),)
    strategy = StrategyAddress(
        name=FLOW, account=PAPER, contract="MESM2025", session="rth", spec="5m-r1", months=months
    )
    return Stack(
        tape=RunId("abc-1"),
        feed="sim",
        trade_from="2025-06-10",
        contracts={ContractId("MESM2025"): "cme"},
        addresses={
            "ingestion": "127.0.0.1:20001",
            "execution-default-paper": "127.0.0.1:20002",
            "analysis-default-flow": "127.0.0.1:20003",
        },
        accounts=(PAPER,),
        strategies=(strategy,),
    )


def bar(ordinal: int, *, delta: int = 0, close: int = 24_000) -> BarView:
    message = model_pb2.Bar(
        key=key(ordinal),
        start_ns=NINE_THIRTY_NS + ordinal * 5 * MINUTE_NS,
        open=24_000,
        high=24_010,
        low=23_990,
        close=close,
        volume=1_234,
        delta=delta,
        poc=24_001,
    )
    return bar_view(message)


def key(ordinal: int) -> model_pb2.BarKey:
    return model_pb2.BarKey(contract="MESM2025", session="rth", spec="5m-r1", trading_day="2025-06-10", ordinal=ordinal)


def unfinished(prints: int) -> UnfinishedBarView:
    return unfinished_view(model_pb2.UnfinishedBar(bar=key(77), prints=prints))


def signal(pattern: str, strength: str = "0.700000", rejection: str = "") -> model_pb2.Signal:
    return model_pb2.Signal(
        pattern=pattern,
        direction=model_pb2.DIRECTION_LONG,
        strength=strength,
        evidence_json="{}",
        approved=not rejection,
        rejection=rejection,
    )


def proposal(action: str = "ENTER", **fields: Any) -> model_pb2.Proposal:
    return model_pb2.Proposal(action=action, **fields)


ENTERS = proposal(direction=model_pb2.DIRECTION_LONG)


def bar_signals(
    ordinal: int, *signals: model_pb2.Signal, proposals: tuple[model_pb2.Proposal, ...] = (ENTERS,)
) -> model_pb2.BarSignals:
    known_at = NINE_THIRTY_NS + (ordinal + 1) * 5 * MINUTE_NS
    regime = model_pb2.RegimeReading(regime="TRENDING_UP", confidence="0.8", multiplier="1")
    return model_pb2.BarSignals(
        bar=key(ordinal), known_at_ns=known_at, close=24_000, regime=regime, signals=signals, proposals=proposals
    )


def state(instant_ns: int, **fields: Any) -> AccountView:
    money = {"equity": "2530.00", "realised": "30.00", "open": "-12.50"}
    message = execution_pb2.GetStateResponse(
        **{"account": PAPER, "phase": "running", "instant_ns": instant_ns, "currency": "USD", **money, **fields}
    )
    return account_view(message)


def scene(said: tuple[model_pb2.BarSignals, ...] = (), **account: Any) -> Scene:
    """One contract, three bars, the given signals, and an account that has reached 12:00."""
    found = Scene()
    contract = ingestion_pb2.ContractStatus(
        contract="MESM2025",
        ticks=322_393,
        last_time_ns=NINE_THIRTY_NS,
        last_price=24_003,
        quarantined={"off_grid": 2},
        kept_out=[
            ingestion_pb2.KeptOut(trading_day="2025-06-10", reason="off_grid", prints=2),
            ingestion_pb2.KeptOut(trading_day="2025-06-09", reason="outside_session", prints=70_111),
        ],
    )
    feed = ingestion_pb2.GetFeedStatusResponse(contracts=[contract], progress=0.63, state="publishing")
    found.feed = feed_view(feed)
    found.rates["MESM2025"] = Rate(per_second=51_234.4)
    found.bars[FLOW] = deque([bar(0, delta=-40), bar(1, delta=125), bar(2)])
    found.bar_count = 3
    for item in said:
        found.signalled.append(signalled_bar(FLOW, item))
        found.regimes[FLOW] = regime_view(item.regime)
        found.signal_count += len(item.signals)
    found.states[PAPER] = state(NINE_THIRTY_NS + 150 * MINUTE_NS, **account)
    return found


PARTS = [
    PartStatus("nats", "serving", 0, 100),
    PartStatus("postgres", "serving", 0, 101),
    PartStatus("aggregation", "restarting", 3, None),
]
