import asyncio

import asyncpg
import pytest

from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId
from leadline.model.subjects import TICKS
from leadline.recorder import rows
from leadline.recorder.store import Store
from leadline.runtime.bus.bus import Received
from leadline.runtime.bus.dead_letters import MOST_PAYLOAD_BYTES, MOST_PER_SUBJECT
from tests.recorder.builders import (
    CONTRACT,
    DAY,
    OPEN_NS,
    TAPE,
    bar_message,
    final_message,
    progress_message,
    signal_message,
    tick_batch,
)

pytestmark = pytest.mark.integration


async def stored_indices(pool, tape=TAPE, contract=CONTRACT):
    query = """
        SELECT generate_series(first_index, b.last_index) AS source_index
        FROM tick_block b JOIN tick_position p USING (source) WHERE tape = $1 AND contract = $2 ORDER BY 1
    """
    rows = await pool.fetch(query, tape, contract)
    return [row["source_index"] for row in rows]


async def position(pool, tape=TAPE, contract=CONTRACT):
    return await pool.fetchval("SELECT last_index FROM tick_position WHERE tape = $1 AND contract = $2", tape, contract)


async def test_prints_are_stored_with_the_position_they_end_at(pool, reader):
    found = await Store(pool).write_ticks([tick_batch(0, 3), tick_batch(4, 6)])
    assert (len(found.parts), found.last_index, await position(pool)) == (2, 6, 6)
    row = await reader.fetchrow("SELECT * FROM tick WHERE source_index = 5")
    assert dict(row) | {"ts": None} == {
        "tape": TAPE,
        "contract": CONTRACT,
        "venue": "cme",
        "source_index": 5,
        "ts_ns": OPEN_NS + 5,
        "ts": None,
        "price": 20_005,
        "size": 3,
        "aggressor": 1,
    }
    assert row["ts"].isoformat() == "2025-11-20T14:30:00+00:00"


async def test_the_view_has_a_row_for_each_print_with_its_own_index(pool, reader, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_PRINTS", 4)
    written = tick_batch(0, 10).ticks
    await Store(pool).write_ticks([tick_batch(0, 6), tick_batch(7, 10)])
    found = await reader.fetch("SELECT source_index, ts_ns, price, size, aggressor FROM tick ORDER BY 1")
    columns = (range(11), written.time_ns, written.price, written.size, written.aggressor)
    assert [tuple(row) for row in found] == list(zip(*(map(int, column) for column in columns), strict=True))
    assert await reader.fetchval("SELECT count(*) FROM tick_block") == 3


@pytest.mark.parametrize(
    "change",
    ["last_index = 5", "price = price[:3]", "aggressor = array_append(aggressor, 0::smallint)", "first_ns = 1"],
)
async def test_columns_of_unequal_length_are_refused(pool, change):
    await Store(pool).write_ticks([tick_batch(0, 6)])
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute(f"UPDATE tick_block SET {change}")


async def test_prints_that_come_again_are_stored_once(pool):
    store = Store(pool)
    await store.write_ticks([tick_batch(0, 5)])
    found = await store.write_ticks([tick_batch(0, 5), tick_batch(4, 8)])
    assert (found.overlapping, await stored_indices(pool)) == (8, list(range(9)))


async def test_what_follows_a_hole_waits(pool):
    store = Store(pool)
    found = await store.write_ticks([tick_batch(0, 2), tick_batch(6, 7)])
    assert (found.taken, found.missing_from, found.missing_to) == (1, 3, 6)
    assert await stored_indices(pool) == [0, 1, 2]


async def test_a_gap_that_is_given_up_is_there_for_all_to_see_and_counted_once(pool):
    store = Store(pool)
    await store.write_ticks([tick_batch(0, 2)])
    await store.skip_ticks(TAPE, CONTRACT, 3, 6)
    await store.skip_ticks(TAPE, CONTRACT, 3, 6)
    await store.write_ticks([tick_batch(6, 7)])
    assert await stored_indices(pool) == [0, 1, 2, 6, 7]
    gaps = await pool.fetch("SELECT first_index, last_index FROM tick_gap")
    assert [tuple(row) for row in gaps] == [(3, 5)]


async def test_tapes_and_contracts_have_their_own_positions(pool):
    store = Store(pool)
    await store.write_ticks([tick_batch(0, 2)])
    await store.write_ticks([tick_batch(0, 1, contract=ContractId("ESZ2025"))])
    await store.write_ticks([tick_batch(0, 0, tape="run-2")])
    assert await stored_indices(pool) == [0, 1, 2]
    assert await stored_indices(pool, contract="ESZ2025") == [0, 1]
    assert await stored_indices(pool, tape="run-2") == [0]


async def test_two_writers_at_once_store_each_print_once(pool):
    store = Store(pool)
    await store.write_ticks([tick_batch(0, 0)])
    batches = [tick_batch(first, first + 9) for first in range(1, 500, 10)]
    await asyncio.gather(*(store.write_ticks(batches) for _ in range(3)))
    assert await stored_indices(pool) == list(range(501))


async def test_a_write_that_fails_leaves_neither_prints_nor_position(pool):
    store = Store(pool)
    await store.write_ticks([tick_batch(0, 2)])
    broken = tick_batch(5, 6)
    broken.ticks.size[1] = 0
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await store.write_ticks([tick_batch(3, 4), broken])
    assert (await stored_indices(pool), await position(pool)) == ([0, 1, 2], 2)


async def test_a_bar_is_a_candle_and_its_footprint_and_volumes_conserve(pool):
    assert await Store(pool).write_bars([bar_message(0), progress_message(), bar_message(3, volume=50)]) == 2
    candle = await pool.fetchrow("SELECT * FROM candle WHERE ordinal = 3")
    assert candle["bar_key"] == f"{CONTRACT}/rth/5m-r1/{DAY}/3"
    assert (candle["volume"], candle["delta"], candle["vwap_price2_volume"]) == (50, 30, 2**70)
    rows = await pool.fetch(
        "SELECT price, bid, ask, unknown, ask_prints FROM footprint WHERE ordinal = 3 ORDER BY price"
    )
    assert [tuple(row) for row in rows] == [(20000, 10, 0, 0, 0), (20001, 0, 40, 0, 1)]
    differing = await pool.fetchval("""
        SELECT count(*) FROM candle c WHERE c.volume <> (
            SELECT sum(bid + ask + unknown) FROM footprint f
            WHERE (f.tape, f.contract, f.session, f.spec, f.trading_day, f.ordinal)
                = (c.tape, c.contract, c.session, c.spec, c.trading_day, c.ordinal))
    """)
    assert differing == 0


async def test_a_bar_that_comes_again_is_stored_once(pool):
    store = Store(pool)
    await store.write_bars([bar_message(0), bar_message(0)])
    assert await store.write_bars([bar_message(0), bar_message(1)]) == 1
    assert await pool.fetchval("SELECT count(*) FROM candle") == 2
    assert await pool.fetchval("SELECT count(*) FROM footprint") == 4


async def test_a_later_revision_replaces_a_bar_and_an_earlier_one_does_not(pool):
    store = Store(pool)
    await store.write_bars([bar_message(0)])
    assert await store.write_bars([bar_message(0, volume=31, revision=1), bar_message(0)]) == 1
    assert await store.write_bars([bar_message(0)]) == 0
    assert await pool.fetchval("SELECT volume FROM candle") == 31
    assert await pool.fetchval("SELECT gap FROM candle") is False
    await store.write_bars([bar_message(0, volume=31, revision=2, gap=True)])
    assert await pool.fetchval("SELECT gap FROM candle") is True
    assert await pool.fetchval("SELECT sum(bid + ask + unknown) FROM footprint") == 31


@pytest.mark.parametrize("bars", [0, 2])
async def test_what_of_a_tape_is_in_no_bar_is_stored_once_with_and_without_bars_beside_it(pool, bars):
    store = Store(pool)
    for _ in range(2):
        await store.write_bars([*(bar_message(ordinal) for ordinal in range(bars)), final_message(37)])
    rows = await pool.fetch("SELECT * FROM unfinished_bar")
    assert [tuple(row) for row in rows] == [(TAPE, CONTRACT, "rth", "5m-r1", DAY, 3, 37)]
    assert await pool.fetchval("SELECT count(*) FROM candle") == bars


async def test_a_signal_message_keeps_every_pattern_with_its_evidence_and_fate(pool):
    store = Store(pool)
    assert await store.write_signals([signal_message(4), signal_message(4)]) == 2
    row = await pool.fetchrow("SELECT * FROM signal")
    assert (row["account"], row["strategy"], row["bar_key"]) == (
        "default/paper",
        "default/mes-orderflow",
        f"{CONTRACT}/rth/5m-r1/{DAY}/4",
    )
    assert (row["regime"], str(row["confidence"]), row["inputs"]) == ("TRENDING_UP", "0.750000", {"adx": "31.5"})
    assert row["signals"] == [
        {
            "pattern": "STACKED_BUY_IMBALANCE",
            "direction": "LONG",
            "price": 20000,
            "strength": "0.900000",
            "approved": True,
            "rejection": "",
            "evidence": {"rows": [20000, 20001, 20002], "ratio": "4.5"},
        },
        {
            "pattern": "UNFINISHED_LOW",
            "direction": "SHORT",
            "price": 19999,
            "strength": "0.200000",
            "approved": False,
            "rejection": "strength",
            "evidence": {},
        },
    ]


async def test_two_analyses_of_one_bar_are_kept_apart(pool):
    await Store(pool).write_signals([signal_message(4), signal_message(4, analysis_hash="hash-2")])
    assert await pool.fetchval("SELECT count(*) FROM signal") == 2


async def test_a_dead_letter_keeps_the_payload_and_the_reason_once(pool):
    store = Store(pool)
    for _ in range(2):
        await store.dead_letter(
            TICKS, Received("ll.run-1.tick.cme.MESZ2025", 7, b"\xff\x00", "id-1"), ValueError("a bad byte\x00")
        )
    row = await pool.fetchrow("SELECT * FROM dead_letter")
    assert (row["subject"], row["message_id"], row["payload"]) == ("ll.run-1.tick.cme.MESZ2025", "id-1", b"\xff\x00")
    assert (row["reader"], row["stream"], row["sequence"], row["bytes"]) == ("recorder", TICKS, 7, 2)
    assert (row["reason"], row["detail"]) == ("unstorable", "a bad byte")


async def test_dead_letters_of_a_subject_are_bounded(pool):
    store, refused = Store(pool), RefusedMessage("unreadable", "no message")
    for number in range(MOST_PER_SUBJECT + 5):
        await store.dead_letter(TICKS, Received("ll.a", number, b"%03d" % number * 30_000, "id"), refused)
    await store.dead_letter(TICKS, Received("ll.b", 1, b"x", "id"), refused)
    rows = await pool.fetch("SELECT subject, count(*), max(length(payload)) FROM dead_letter GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in rows] == [("ll.a", MOST_PER_SUBJECT, MOST_PAYLOAD_BYTES), ("ll.b", 1, 1)]
