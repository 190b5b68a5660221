"""All that the database of a run knows of an id, told from the rows that the real loop has written."""

from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from leadline.execution.v1.execution_pb2 import GetStateResponse, StrategyState, StreamOrderEventsResponse
from leadline.model.errors import Unknown
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.views.convert import account_view, audit_event
from leadline.views.database import dsn_of
from leadline.views.explained import ExplainedDecision, Explanation
from leadline.views.explained_audit import NOT_HERE, Told, explain_told
from leadline.views.explained_store import explain
from leadline.views.explaining import UnknownId, asked_of
from leadline.views.store import StoppedRun
from leadline.views.values import OrdersWanted
from tests.execution.harness.builders import account, bar, ns
from tests.execution.harness.desk import Books, Desk
from tests.report.builders import change, recorded
from tests.stack import Database
from tests.views.test_store import PAPER, SIGNAL

pytestmark = pytest.mark.integration


@pytest.fixture
async def desk(desks: Database, books: Books, folder: Path) -> Desk:
    """The eventful days, with the signals of one bar as a detector writes them."""
    desk = await recorded(desks, books, folder)
    signals = orjson.dumps(
        [SIGNAL, {**SIGNAL, "pattern": "SELL_IMBALANCE", "approved": False, "rejection": "strength"}]
    )
    await change(desks, "UPDATE signal SET signals = $1::text::jsonb WHERE tape = $2", signals.decode(), desk.tape)
    return desk


@asynccontextmanager
async def reader(desks: Database) -> Any:
    connection = await asyncpg.connect(dsn_of(desks.settings("reader")))
    try:
        yield connection
    finally:
        await connection.close()


async def told(desks: Database, name: str, tape: str | None = None) -> Explanation:
    async with reader(desks) as connection:
        return await explain(connection, asked_of(name, "UTC"), tape)


async def ids(desks: Database, query: str, *values: Any) -> list[str]:
    async with reader(desks) as connection:
        return [row[0] for row in await connection.fetch(query, *values)]


def only(found: Explanation) -> ExplainedDecision:
    [each] = found.bars
    [decision] = each.decisions
    return decision


async def test_an_order_is_told_with_its_bar_evidence_size_orders_and_trade(desks: Database, desk: Desk):
    key = bar(600).bar.text()
    [entry] = await ids(
        desks,
        "SELECT client_id FROM intent JOIN decision d USING (tape, decision_id) "
        "WHERE bar_key = $1 AND leg = 'E' AND tape = $2",
        key,
        desk.tape,
    )
    found = await told(desks, entry, desk.tape)
    [at] = found.bars
    decision = only(found)
    assert (found.kind, found.tape, found.missing) == ("ORDER", desk.tape, ())
    assert (at.account, at.strategy, at.bar) == ("default/paper", "default/mes", key)
    assert at.footprint is not None
    assert (at.footprint.close, at.footprint.delta, at.footprint.end_ns) == ("5001.00", 1, ns(600))
    assert [(row.price, row.bid, row.ask) for row in at.footprint.rows] == [("5000.25", 1, 1), ("5000.00", 1, 1)]
    assert at.regime is not None
    assert [(each.pattern, each.approved) for each in at.signals] == [
        ("BUYING_ABSORPTION", True),
        ("SELL_IMBALANCE", False),
    ]
    assert decision.summary.startswith("Accepted: buy 2 MESM2025 at the market; filled at 5000.25; closed by target")
    assert decision.arithmetic["size"] == "2"
    assert sum(each.binds for each in decision.bounds) == 1
    assert [order.leg for order in decision.orders] == ["E", "S1", "T1"]
    assert decision.result is not None
    assert decision.result.net == "55.00"
    assert at.router is not None
    assert (at.router.min_strength, at.router.min_confidence, at.router.side) == ("0.5", "0.6", "BOTH")
    assert "BUYING_ABSORPTION" in at.router.patterns
    kinds = [step.kind for step in decision.steps]
    assert kinds[:4] == ["BAR_ENDED", "BAR_KNOWN", "DECISION", "ORDER"]
    assert kinds.count("FILL") == 3
    assert [step.at_ns for step in decision.steps] == sorted(step.at_ns for step in decision.steps)


async def test_a_fill_a_decision_and_a_bar_lead_to_the_same(desks: Database, desk: Desk):
    key = bar(600).bar.text()
    [decided] = await ids(desks, "SELECT decision_id FROM decision WHERE bar_key = $1 AND tape = $2", key, desk.tape)
    [fill, *_] = await ids(
        desks,
        "SELECT fill_id FROM fill JOIN intent USING (tape, account, client_id) WHERE decision_id = $1 AND tape = $2",
        decided,
        desk.tape,
    )
    names = {"FILL": fill, "DECISION": decided, "BAR": key}
    for kind, name in names.items():
        found = await told(desks, name, desk.tape)
        assert found.kind == kind
        assert only(found).summary == only(await told(desks, decided, desk.tape)).summary
    timed = await told(desks, "mes@2025-06-10 13:40:00", desk.tape)
    assert timed.bars == (await told(desks, key, desk.tape)).bars


async def test_a_refusal_is_told_where_neither_bar_nor_signals_are_stored(desks: Database, desk: Desk):
    [refused] = await ids(
        desks, "SELECT decision_id FROM decision WHERE reason = 'max_open_trades' AND tape = $1", desk.tape
    )
    found = await told(desks, refused, desk.tape)
    assert only(found).summary == "Refused: as many trades are open as the account allows."
    assert only(found).orders == ()
    assert [step.kind for step in only(found).steps] == ["DECISION"]
    assert found.missing == ("the bar is not stored, so its footprint is not shown",)


async def test_the_limits_of_a_refusal_are_those_of_account_and_strategy_with_their_use(desks: Database, desk: Desk):
    query = "SELECT decision_id FROM decision WHERE reason = $1 AND tape = $2"
    [busy] = await ids(desks, query, "max_open_trades", desk.tape)
    [lost] = await ids(desks, query, "day_loss", desk.tape)
    accounts = {PAPER: account()}
    async with reader(desks) as connection:
        at_first, at_last = [
            only(await explain(connection, asked_of(name, "UTC"), None, accounts)) for name in (busy, lost)
        ]
    trades, *_ = at_first.limits
    assert (trades.name, trades.used, trades.limit, trades.refused) == ("max_open_trades", "1", "1", True)
    [loss, *_] = [each for each in at_last.limits if each.refused]
    assert (loss.name, loss.of, loss.used) == ("day_loss", "account", "42.50")
    alone = only(await told(desks, busy, desk.tape)).limits
    assert [each for each in alone if each.of == "account"] == []


async def test_services_tell_the_same_as_the_database_but_for_the_footprint(desks: Database, desk: Desk):
    key = bar(600).bar.text()
    query = "SELECT decision_id FROM decision WHERE bar_key = $1 AND tape = $2"
    [decided] = await ids(desks, query, key, desk.tape)
    accounts = {PAPER: account()}
    async with reader(desks) as connection:
        stored = await explain(connection, asked_of(decided, "UTC"), desk.tape, accounts)
        told = await told_by_services(connection, desk, accounts)
    for name, kind in ((decided, "DECISION"), (key, "BAR"), ("mes@2025-06-10 13:40:00", "BAR")):
        found = explain_told(asked_of(name, "UTC"), told, ["without desk/b: it is asleep"])
        assert (found.kind, found.tape) == (kind, desk.tape)
        assert found.missing == (NOT_HERE, "without desk/b: it is asleep")
        [bar_stored], [bar_told] = stored.bars, found.bars
        assert replace(bar_told, footprint=bar_stored.footprint, decisions=()) == replace(bar_stored, decisions=())
        first, *rest = only(stored).steps
        assert first.kind == "BAR_ENDED"  # which is in the bar itself
        known, *more = only(found).steps
        assert [*rest][1:] == more
        assert replace(only(found), steps=()) == replace(only(stored), steps=())
        assert known.kind == "BAR_KNOWN"
    with pytest.raises(UnknownId, match=r"ID: got 'Lnone'"):
        explain_told(asked_of("Lnone", "UTC"), told)


async def told_by_services(connection: Any, desk: Desk, accounts: dict[AccountId, TradingAccount]) -> Told:
    """The answers that execution and analysis would give of this run, from the rows that they are made of."""
    run = StoppedRun(RunId(desk.tape), connection)
    rows = await connection.fetch("SELECT * FROM order_event WHERE tape = $1 ORDER BY event", desk.tape)
    events = [
        audit_event(
            StreamOrderEventsResponse(
                event=row["event"], kind=row["kind"], instant_ns=row["instant_ns"], body_json=row["body"]
            )
        )
        for row in rows
    ]
    manifests = [
        TradingStrategy.from_manifest(orjson.loads(row[0]))
        for row in await connection.fetch("SELECT manifest FROM strategy_state WHERE tape = $1", desk.tape)
    ]
    names = [StrategyState(strategy=each.full_name) for each in manifests]
    state = await connection.fetchrow("SELECT block, tier_index FROM account_state WHERE tape = $1", desk.tape)
    answer = GetStateResponse(account=PAPER, tape=desk.tape, block=state[0], tier=state[1] + 1, strategies=names)
    return Told(
        audits={PAPER: events},
        orders={PAPER: (await run.orders(None, OrdersWanted(500))).found[PAPER]},
        states={PAPER: account_view(answer)},
        bars={StrategyId(name): bars for name, bars in (await run.signals(None, 500)).found.items()},
        accounts=accounts,
        strategies={each.full_name: each for each in manifests},
    )


async def test_of_a_bar_with_two_analyses_the_one_that_counts_is_told(desks: Database, desk: Desk):
    key = bar(600).bar.text()
    for other in ("aaaa", "zzzz"):
        columns = await ids(
            desks,
            "SELECT column_name::text FROM information_schema.columns "
            "WHERE table_name = 'signal' AND is_generated = 'NEVER'",
        )
        values = {"analysis_hash": f"'{other}'", "signals": "'[]'"}
        names = ", ".join(columns)
        copied = ", ".join(values.get(name, name) for name in columns)
        copy = f"INSERT INTO signal ({names}) SELECT {copied} FROM signal WHERE tape = $1 AND analysis_hash = 'hash'"
        await change(desks, copy, desk.tape)
    [at] = (await told(desks, key, desk.tape)).bars
    assert [each.pattern for each in at.signals] == ["BUYING_ABSORPTION", "SELL_IMBALANCE"]


async def test_a_bar_that_no_strategy_reads_is_told_alone(desks: Database, desk: Desk):
    await change(
        desks,
        "UPDATE candle SET bar_key = 'MESM2025/rth/1m-r1/2025-06-10/7', spec = '1m-r1' "
        "WHERE ordinal = $1 AND tape = $2",
        bar(900).bar.ordinal,
        desk.tape,
    )
    [alone] = (await told(desks, "MESM2025/rth/1m-r1/2025-06-10/7", desk.tape)).bars
    assert (alone.strategy, alone.decisions) == ("", ())
    assert alone.footprint is not None


async def test_a_gap_in_the_prints_of_a_bar_is_told(desks: Database, desk: Desk):
    await change(
        desks,
        "INSERT INTO tick_gap (tape, contract, first_index, last_index) VALUES ($1, 'MESM2025', 5, 20)",
        desk.tape,
    )
    [at] = (await told(desks, bar(600).bar.text(), desk.tape)).bars
    assert at.footprint is not None
    assert at.footprint.incomplete == 2


async def test_an_id_that_nobody_knows_says_which_there_are(desks: Database, desk: Desk):
    for name in ("Lnone", "MESM2025/rth/5m-r1/2025-06-10/77", "mes@2025-06-10 13:41:00"):
        with pytest.raises(
            UnknownId, match=r"ID: got .*expected one that is known: the id of an order, as `leadline orders`"
        ):
            await told(desks, name)
    with pytest.raises(Unknown, match=f"unknown tape 'none', known: {desk.tape}"):
        await told(desks, "Lnone", "none")
