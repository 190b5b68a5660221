"""Two eventful days with what the recorder and ingestion would have written of them, and a report by hand."""

from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, Leg, RunId, StrategyId
from leadline.model.orders import Order, OrderState, OrderType, Position, Side
from leadline.runtime.database import connect
from leadline.views.database import dsn_of
from leadline.views.halts import ReportedHalt
from leadline.views.report import (
    AccountReport,
    Coverage,
    KeptOut,
    OpenPosition,
    PatternTotal,
    PricePoint,
    UnfinishedBar,
)
from leadline.views.report_store import build_reports
from leadline.views.trades import EquityPoint, Trade
from tests.execution.harness.builders import DAY, MES, bar, ns
from tests.execution.harness.days import eventful
from tests.execution.harness.desk import Books, Desk
from tests.stack import Database

CANDLE: dict[str, Any] = {
    "contract": MES,
    "session": "rth",
    "spec": "5m-r1",
    "trading_day": DAY,
    "venue": "cme",
    "revision": 0,
    "open": 20_000,
    "high": 20_010,
    "low": 19_990,
    "close": 20_004,
    "volume": 7,
    "prints": 3,
    "delta": 1,
    "min_delta": -2,
    "max_delta": 2,
    "cumulative_delta": 1,
    "poc": 20_000,
    "value_area_low": 19_995,
    "value_area_high": 20_005,
    "vwap_volume": 7,
    "vwap_price_volume": Decimal(140000),
    "vwap_price2_volume": Decimal(2800000000),
    "first_index": 0,
    "last_index": 6,
    "session_open_ns": ns(0),
    "session_close_ns": ns(23_400),
    "ticks_per_row": 1,
    "gap": False,
}


async def recorded(desks: Database, books: Books, folder: Path, name: str = "tape", **run: Any) -> Desk:
    """The eventful days, run to their end, with a run, two bars and their signals beside them."""
    desk = eventful(books, folder, name)
    await desk.run()
    await beside(desks, desk, **run)
    return desk


async def beside(desks: Database, desk: Desk, **run: Any) -> None:
    """What the recorder and ingestion would have written beside the book of a desk: a run, two bars, their signals."""
    connection = await connect(desks.admin_settings(), "test")
    details = {
        "contracts": {MES: "cme", "MNQM2025": "cme"},
        "trade_from": "2025-06-10",
        "sessions": ["2025-06-09", "2025-06-10"],
        "missing": [],
        **run,
    }
    await _insert(
        connection,
        "run",
        tape=desk.tape,
        code_version="code",
        content="content",
        launch="",
        feed="simulated",
        details=details,
    )
    await _insert(connection, "tick_position", tape=desk.tape, contract=MES, venue="cme", last_index=41)
    for table in ("candle", "signal", "footprint"):
        await connection.execute("SELECT use_partition($1, $2, $2)", table, CANDLE["trading_day"])
    for second, close in ((600, 20_004), (900, 20_008)):
        said = bar(second)
        key = {"tape": desk.tape, "bar_key": said.bar.text(), "ordinal": said.bar.ordinal, "known_at_ns": ns(second)}
        times = {"start_ns": ns(second - 300), "end_ns": ns(second)}
        await _insert(connection, "candle", **{**CANDLE, **key, **times, "close": close})
        signals = [{"pattern": "BUYING_ABSORPTION", "strength": "0.7"}, {"pattern": "STACKED_BUY_IMBALANCE"}]
        analysis = {"account": "default/paper", "strategy": "default/mes", "analysis_hash": "hash", "signals": signals}
        bar_of = {name: CANDLE[name] for name in ("contract", "session", "spec", "trading_day")}
        session = {name: CANDLE[name] for name in ("session_open_ns", "session_close_ns")}
        said_of = {"regime": "RANGING", "confidence": Decimal("0.8"), "multiplier": Decimal(1), "reason": ""}
        more = {"scores": {}, "inputs": {"atr": "4"}, "close": close}
        wanted = {"proposals": [asdict(each) for each in said.proposals]}
        await _insert(connection, "signal", **key, **analysis, **bar_of, **session, **said_of, **more, **wanted)
    for price in (20_000, 20_001):
        footprint = dict.fromkeys(("bid", "ask", "unknown", "bid_prints", "ask_prints", "unknown_prints"), 1)
        where = {name: CANDLE[name] for name in ("contract", "session", "spec", "trading_day")}
        await _insert(connection, "footprint", tape=desk.tape, ordinal=600, price=price, **where, **footprint)
    await connection.close()


async def change(desks: Database, statement: str, *values: Any) -> None:
    """Change what is recorded."""
    connection = await connect(desks.admin_settings(), "test")
    await connection.execute(statement, *values)
    await connection.close()


async def report_of(desks: Database, desk: Desk, day: date | None = None) -> AccountReport:
    """The report of the desk's one account."""
    found = await build_reports(dsn_of(desks.settings("reader")), RunId(desk.tape), day)
    assert len(found) == 1
    return found[0]


async def _insert(connection: Any, table: str, **values: Any) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", *values.values())


WON = Trade(
    strategy=StrategyId("default/mes"),
    contract=MES,
    pattern="BUYING_ABSORPTION",
    regime="RANGING",
    side=Side.BUY,
    quantity=2,
    entry_ns=ns(601),
    entry_price=Decimal(20001),
    exit_ns=ns(710),
    exit_price=Decimal(20025),
    exit_by="target",
    result_ticks=Decimal(24),
    gross=Decimal("60.00"),
    commission=Decimal("5.00"),
)
LOST = replace(
    WON,
    pattern="SELLING_ABSORPTION",
    side=Side.SELL,
    entry_ns=ns(1201),
    entry_price=Decimal("20010.5"),
    exit_ns=ns(1500),
    exit_price=Decimal(20020),
    exit_by="day_loss",
    result_ticks=Decimal("-9.5"),
    gross=Decimal("-23.75"),
)
LATE = Order(
    ClientOrderId("Lgone"),
    DecisionId("decision"),
    Leg("E"),
    StrategyId("default/mes"),
    MES,
    MES,
    Side.BUY,
    OrderType.MARKET,
    1,
    ns(2000),
)


def report(**changes: Any) -> AccountReport:
    """A report of two trades on one day, of 55.00 and -28.75 after commission."""
    found = AccountReport(
        tape=RunId("run-1"),
        account=AccountId("default/paper"),
        feed="simulated",
        trade_from=date(2025, 6, 10),
        missing_sessions=(),
        finished=True,
        start_equity=Decimal(10_000),
        end_equity=Decimal("10026.25"),
        trades=(WON, LOST),
        open_positions=(),
        curve=(
            EquityPoint(ns(601), Decimal("9997.50")),
            EquityPoint(ns(710), Decimal("10055.00")),
            EquityPoint(ns(1500), Decimal("10026.25")),
        ),
        by_pattern=(PatternTotal("BUYING_ABSORPTION", 1, 1, Decimal("55.00")),),
        decisions=9,
        refused=(("max_open_trades", 5), ("conflict", 2)),
        entered=2,
        in_doubt=(),
        closes={MES: (PricePoint(ns(600), 20_000), PricePoint(ns(900), 20_010))},
        prints=12_345,
        bars=78,
        signals=31,
        digest="d" * 64,
        substitutes=(),
    )
    return replace(found, **changes)


COVERED = (Coverage(MES, "rth", date(2025, 6, 10), 12_345, 78, ns(0), ns(1)),)
_BAD = {"source": "mes.csv", "row": 7, "ts_ns": ns(0), "price": "6000.30", "size": "1", "side": 1}
KEPT_OUT = (
    KeptOut(MES, None, "no_time", 1, ()),
    KeptOut(MES, date(2025, 6, 10), "bad_tick", 2, (_BAD,)),
    KeptOut(MES, date(2025, 6, 10), "outside_session", 70, ()),
)
UNFINISHED = (UnfinishedBar(MES, "rth", "5m-r1", date(2025, 6, 10), 1_037),)
HALTED_NS = 1_764_000_000_000_000_000  # 2025-11-24 16:00:00 UTC
HALTS = (
    ReportedHalt(3, "PERSON", "employment report", "ann", HALTED_NS, "bob", HALTED_NS + 60 * 10**9, "the news is out"),
    ReportedHalt(4, "DIFFERENCE", "the venue holds 2, the book 0", "execution", HALTED_NS + 90 * 10**9),
)
NOT_FILLED = (("its validity has ended", 25), ("halt", 1))
UNEASY: dict[str, Any] = {
    "halts": HALTS,
    "in_doubt": (replace(LATE, state=OrderState.DEAD, reason="absent at the venue"),),
    "open_positions": (
        OpenPosition(
            Position(StrategyId("default/mes"), MES, MES, -2, (), Decimal("1.25"), DecisionId("decision")),
            20_020,
            Decimal("-12.50"),
        ),
        OpenPosition(
            Position(
                StrategyId("default/mes"), ContractId("MNQM2025"), MES, 1, (), Decimal("0.50"), DecisionId("decision")
            ),
            None,
            None,
        ),
    ),
    "substitutes": (("ESM2025", MES),),
    "missing_sessions": ("2025-06-06",),
    "unfinished": UNFINISHED,
    "misdated": (("default/mes", 12),),
    "series": (("default/mes", "trend", "1h-r1"),),
    "taken_out": (("default/mes", "default/mnq", 2), ("default/mnq", "default/mnq", 1)),
    "finished": False,
}
"""What a reader has to be told besides the trades."""
