"""The same tape gives the same book, and what the file says is what the tables say."""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from leadline.local.local_postgres import LocalPostgres
from leadline.runtime.database import connect
from tests.dashboards.queries import moved, queries, rules
from tests.system.conftest import Seen
from tests.system.stack_run import ROOT, Ended, run_stack

GOLD = ROOT / "examples" / "gc-2013-10-08.yaml"

pytestmark = pytest.mark.timeout(300)


def test_a_simulated_session_is_traded(undisturbed: Ended):
    report = undisturbed.report
    assert report["finished"]
    assert len(report["trades"]) >= 10
    assert report["bars"] == 7 * 78  # seven sessions of five-minute bars
    assert Decimal(report["end_equity"]) - Decimal(report["start_equity"]) == sum(
        Decimal(trade["gross"]) - Decimal(trade["commission"]) for trade in report["trades"]
    )


# Panels in which a run without a fault has nothing to show, and why.
NOTHING_TO_SHOW = {
    "pipeline: Sources of the live tape": "a replay has none",
    "pipeline: Disorder of the live tape": "a replay has none",
    "pipeline: Prints kept out": "a simulated feed has no faulty prints",
    "pipeline: Tried again": "every part answers at its first trial",
    "pipeline: Readers": "no reader had to begin anew, and nothing was lost or refused",
}


def test_every_query_and_every_alert_is_answered_by_a_prometheus_that_watches_a_replay(seen: Seen):
    failed = {query.where: seen.answers[query.promql].error for query in queries()}
    assert {where: error for where, error in failed.items() if error} == {}
    assert {name: error for name, error in seen.alerts.items() if error} == {}
    assert set(seen.alerts) == {rule["alert"] for rule in rules()}


def test_every_panel_that_a_replay_concerns_shows_it(seen: Seen):
    alerts = {rule["alert"] for rule in rules()}
    filled = {query.where for query in queries() if seen.answers[query.promql].series}
    empty = {query.where for query in queries()} - filled - alerts
    assert empty == set(NOTHING_TO_SHOW)


def test_every_metric_of_a_panel_moves_in_a_replay_or_in_a_test_that_says_so(seen: Seen):
    """Declared is not enough: a panel on a series that nothing sets is always calm."""
    alerts = {rule["alert"] for rule in rules()}
    shown = {name for query in queries() if query.where not in alerts for name in query.metrics}
    still = {name for name in shown if not any(seen.values[name.removesuffix("_bucket")])}
    assert still - set(moved()) == set()


@pytest.fixture(scope="module")
def gold_files(shared_data: Path) -> list[Path]:
    return [shared_data / "ticks" / f"gc_2013100{day}_tickrule.csv.gz" for day in (7, 8)]


async def test_a_real_day_of_gold_twice_into_one_database(gold_files: list[Path], tmp_path: Path):
    feed = [argument for path in gold_files for argument in ("--feed", str(path))]
    first = await run_stack(GOLD, tmp_path, *feed, "--trade-from", "2013-10-08")
    second = await run_stack(GOLD, tmp_path, *feed, "--trade-from", "2013-10-08")
    assert len(first.report["trades"]) >= 3
    assert second.report["tape"] != first.report["tape"]
    assert second.digest == first.digest

    prints = [row for path in gold_files for row in rows_of(path)]
    postgres = LocalPostgres(tmp_path / "postgres")
    postgres.start()
    try:
        connection = await connect(postgres.settings("reader"), "test")
        for report in (first.report, second.report):
            await check_conservation(connection, report["tape"], prints)
        await connection.close()
    finally:
        postgres.stop()


def rows_of(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.reader(file))[1:]


async def check_conservation(connection, tape: str, prints: list[list[str]]):
    """File to table: every print. Table to bars: every print of a bar's range. Bars to footprint: every size."""
    stored = await connection.fetchrow("SELECT count(*) AS n, sum(size) AS size FROM tick WHERE tape = $1", tape)
    assert (stored["n"], stored["size"]) == (len(prints), sum(int(row[2]) for row in prints))
    for side, column in (("1", "ask"), ("-1", "bid"), ("0", "unknown")):
        rows = await connection.fetchval(f"SELECT sum({column}) FROM footprint WHERE tape = $1", tape)
        ticks = await connection.fetchval(
            """
            SELECT sum(t.size) FROM tick t JOIN candle c ON c.tape = t.tape AND c.contract = t.contract
              AND t.source_index BETWEEN c.first_index AND c.last_index
            WHERE t.tape = $1 AND t.aggressor = $2 AND t.ts_ns >= c.session_open_ns AND t.ts_ns < c.session_close_ns
            """,
            tape,
            int(side),
        )
        assert rows == ticks
    assert await connection.fetchval(
        """
        SELECT bool_and(c.volume = f.volume AND c.prints = f.prints AND c.delta = f.delta) FROM candle c JOIN (
            SELECT contract, session, spec, trading_day, ordinal, sum(bid + ask + unknown) AS volume,
                sum(bid_prints + ask_prints + unknown_prints) AS prints, sum(ask - bid) AS delta
            FROM footprint WHERE tape = $1 GROUP BY 1, 2, 3, 4, 5) f
        USING (contract, session, spec, trading_day, ordinal)
        WHERE c.tape = $1
        """,
        tape,
    )
