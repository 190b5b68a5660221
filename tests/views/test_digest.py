"""One number for a run: what it is made of, and what it is not made of."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from leadline.model.errors import Unknown
from leadline.model.ids import RunId
from leadline.views.database import dsn_of
from leadline.views.digest import FIELDS, KINDS, digest_lines
from leadline.views.digest_store import digest, lines_of_day
from tests.execution.harness.builders import DAY, ROLL_S, ns
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.stores import PostgresBooks
from tests.report.builders import change, recorded
from tests.stack import Database

NAMES = {"tape", "account", "strategy", "client_id", "decision_id", "fill_id", "epoch", "recorded_at", "analysis_hash"}


async def number(desks: Database, desk: Desk) -> str:
    return await digest(dsn_of(desks.settings("reader")), RunId(desk.tape))


@pytest.mark.integration
async def test_the_same_days_give_the_same_number_whatever_they_are_called(desks: Database, books: Books, folder: Path):
    one, other = await recorded(desks, books, folder, "one"), await recorded(desks, books, folder, "other")
    first = await number(desks, one)
    assert first == await number(desks, other)
    assert len(first) == 64
    await change(desks, "UPDATE intent SET epoch = epoch + 1 WHERE tape = $1", one.tape)
    assert await number(desks, one) == first


@pytest.mark.integration
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fill SET price = price + 1 WHERE tape = $1 AND k = 2",
        "UPDATE fill SET commission = commission + 0.01 WHERE tape = $1",
        "UPDATE candle SET close = close + 1 WHERE tape = $1",
        "UPDATE candle SET gap = true WHERE tape = $1",
        "UPDATE footprint SET bid = bid + 1 WHERE tape = $1 AND price = 20001",
        "UPDATE signal SET confidence = 0.81 WHERE tape = $1",
        "UPDATE signal SET signals = '[]' WHERE tape = $1",
        "UPDATE decision SET reason = 'late' WHERE tape = $1 AND NOT accepted",
        "UPDATE decision SET arithmetic = '[]' WHERE tape = $1 AND accepted",
        "UPDATE intent SET state = 'EXPIRED' WHERE tape = $1 AND state = 'CANCELLED'",
    ],
)
async def test_another_result_is_another_number(desks: Database, books: Books, folder: Path, statement: str):
    desk = await recorded(desks, books, folder)
    before = await number(desks, desk)
    await change(desks, statement, desk.tape)
    assert await number(desks, desk) != before


@pytest.mark.integration
@pytest.mark.parametrize("idle", [{"account": "default/a-idle"}, {"strategy": "default/a-idle"}])
async def test_who_is_idle_changes_nothing_wherever_its_name_sorts(
    desks: Database, books: PostgresBooks, folder: Path, idle: dict[str, str]
):
    desk = await recorded(desks, books, folder)
    before = await number(desks, desk)
    copied = """
        INSERT INTO strategy_state
        SELECT (jsonb_populate_record(known, $2)).* FROM strategy_state known WHERE tape = $1
        ON CONFLICT DO NOTHING"""
    await change(desks, copied, desk.tape, idle)
    async with books.reader.acquire() as connection:
        known = await connection.fetch("SELECT account, strategy FROM strategy_state WHERE tape = $1", desk.tape)
    assert any("a-idle" in f"{row['account']} {row['strategy']}" for row in known)
    assert await number(desks, desk) == before


@pytest.mark.integration
async def test_only_the_analysis_that_counted_is_in_it(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    before = await number(desks, desk)
    columns = "tape, account, strategy, contract, session, spec, trading_day, ordinal, bar_key, known_at_ns, close"
    columns += ", session_open_ns, session_close_ns, regime, confidence, multiplier, reason, scores, inputs, signals"
    columns += ", proposals"
    await change(
        desks,
        f"INSERT INTO signal (analysis_hash, {columns}) SELECT 'older', {columns} FROM signal WHERE tape = $1",
        desk.tape,
    )
    assert await number(desks, desk) == before


@pytest.mark.integration
async def test_a_decimal_counts_by_its_value(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    before = await number(desks, desk)
    await change(desks, "UPDATE fill SET commission = commission::numeric(20, 6) WHERE tape = $1", desk.tape)
    assert await number(desks, desk) == before


@pytest.mark.integration
async def test_a_trading_day_has_a_number_of_its_own_and_begins_with_its_roll(
    desks: Database, books: PostgresBooks, folder: Path
):
    desk, days = await recorded(desks, books, folder), [DAY + timedelta(n) for n in range(-2, 4)]
    dsn, last_ns = dsn_of(desks.settings("reader")), ns(ROLL_S) - 1
    async with books.reader.acquire() as connection:
        parts = [await lines_of_day(connection, desk.tape, day) for day in days]
    assert sum(map(len, parts)) == len(await desk.lines())
    assert len([part for part in parts if part]) > 1
    with pytest.raises(Unknown, match="unknown trading day of the tape '2025-06-03'"):
        await digest(dsn, desk.tape, DAY - timedelta(7))

    async def moved(ts_ns: int) -> list[str]:
        statement = f"UPDATE fill SET ts_ns = {ts_ns} WHERE tape = $1 AND ts_ns BETWEEN {ns(0)} AND {ns(ROLL_S)}"
        await change(desks, statement, desk.tape)
        return [await digest(dsn, desk.tape, day) for day in (DAY, DAY + timedelta(1))]

    before, after = await moved(last_ns), await moved(last_ns + 1)
    assert (before[0] != after[0], before[1] != after[1]) == (True, True)


@pytest.mark.integration
async def test_lines_come_in_the_order_of_what_happened(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    lines = await desk.lines()
    times = {"fill": "ts_ns", "bar": "known_at_ns", "signal": "known_at_ns", "decision": "instant_ns"}
    places = [(line[times.get(line["kind"], "decided_at_ns")], KINDS.index(line["kind"])) for line in lines]
    assert places == sorted(places)
    assert {line["kind"] for line in lines} == set(KINDS)


@pytest.mark.integration
async def test_a_line_has_the_fields_that_are_told_and_no_name(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    for line in await desk.lines():
        assert set(line) == {*FIELDS[line["kind"]], "kind", "account", "strategy"} - {"proposal", "gap"}
        assert isinstance(line["account"], int)
        assert isinstance(line["strategy"], int)


def test_no_field_is_an_id_or_a_name():
    assert not {name for fields in FIELDS.values() for name in fields} & NAMES


def test_the_number_is_that_of_the_lines():
    assert digest_lines([b"a", b"b"]) == hashlib.sha256(b"a\nb\n").hexdigest()
    assert digest_lines([]) == hashlib.sha256(b"").hexdigest()
