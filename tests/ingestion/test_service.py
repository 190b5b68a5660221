"""Ingestion on a real bus and a real database: the tape comes out whole and once, whatever happens in between."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from leadline.ingestion.client import SPACE_POLL_SECONDS
from leadline.ingestion.service import PushedPrintsLost, StreamTooSmall
from leadline.ingestion.simulator import simulate
from leadline.ingestion.tally import TooManyKeptOut
from leadline.ingestion.v1 import ingestion_pb2 as pb
from leadline.ingestion.v1 import ingestion_pb2_grpc as rpc
from leadline.local.local_nats import LocalNats
from leadline.model.bars import BarMessage
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import RUN_SUBJECT, RUNS, TICKS, bar_subject, tick_subject
from leadline.model.ticks import NS_PER_SECOND, TickBatch, TickColumns, concat
from leadline.model.v1 import model_pb2
from leadline.model.wire.bars import encode_bar
from leadline.model.wire.ticks import decode_tick_batch, tick_batch_to_proto
from leadline.runtime.bus.bus import Bus, TailLost
from leadline.runtime.context import Context
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.runs import Run, announced_runs, run_from_proto
from leadline.schema.permissions import MIGRATE_USER
from tests.ingestion.builders import rows_of
from tests.ingestion.running import ACCOUNT, KEY, STRATEGY, Place, client, until
from tests.measured import value
from tests.stack import Database, OlderStore, bus_as, pool_as, run_sql

pytestmark = pytest.mark.integration

MES, ES = ContractId("MESM2025"), ContractId("ESM2025")
AS_A_PROCESS = """
import sys
from pathlib import Path
from leadline.runtime import context
from leadline.runtime.main import run_service
context.code_version = lambda: "as it was"  # sources may be saved while the test runs: that would be another run
sys.exit(run_service("ingestion", Path(sys.argv[1])))
"""
HEADER = "ts_ns,price,size,side\n"
# Two sessions: the traded one and one of history.
TRADED = date(2025, 6, 10)
DAYS = (date(2025, 6, 9), TRADED)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def simulated(**more: Any) -> dict[str, Any]:
    feed = {"kind": "sim", "seed": 1}
    return {"feed": feed, "instruments": ["MES"], "trade_from": TRADED.isoformat(), "history": 1, **more}


def recorded(folder: Path, *offsets_s: float, **more: Any) -> dict[str, Any]:
    """A feed of a file with a print at each time after Tuesday 14:00."""
    begin = at("2025-06-10 14:00:00")
    lines = [f"{begin + int(offset * NS_PER_SECOND)},6000.25,1,1\n" for offset in offsets_s]
    path = folder / "mes.csv"
    path.write_text(HEADER + "".join(lines))
    return {"feed": {"kind": "file", "files": [{"path": str(path), "contract": "MES"}]}, "history": 0, **more}


@pytest.fixture
def place(nats_server: LocalNats, database: Database, tmp_path: Path) -> Place:
    return Place(nats_server, database, tmp_path)


async def the_run(place: Place) -> Run:
    async with bus_as(place.nats, "supervisor") as bus:
        return await asyncio.wait_for(anext(announced_runs(bus)), 10)


async def the_finished_run(place: Place) -> Run:
    async with (
        asyncio.timeout(60),
        bus_as(place.nats, "supervisor") as bus,
        aclosing(bus.ordered(RUNS, RUN_SUBJECT, start="last")) as messages,
    ):
        async for message in messages:
            if (found := run_from_proto(model_pb2.Run.FromString(message.payload))).finished:
                return found
    raise AssertionError("the stream ended")


async def whole_tape(place: Place, tape: str, contract: ContractId = MES) -> list[TickBatch]:
    """Every message of a contract up to the end of its tape, repetitions dropped."""
    batches: list[TickBatch] = []
    next_index = 0
    async with (
        asyncio.timeout(60),
        bus_as(place.nats, "aggregation") as bus,
        aclosing(bus.ordered(TICKS, tick_subject(RunId(tape), "cme", contract))) as messages,
    ):
        async for message in messages:
            batch = decode_tick_batch(message.payload)
            assert batch.ticks.first_index <= next_index, "prints are missing"
            fresh = batch.ticks.slice(next_index - batch.ticks.first_index, len(batch.ticks))
            next_index += len(fresh)
            batches.append(TickBatch(RunId(tape), "cme", contract, fresh, batch.watermark_ns, batch.final))
            if batch.final:
                return batches
    raise AssertionError("the stream ended")


def assert_sound(batches: Sequence[TickBatch]) -> None:
    """Watermarks rise and hold."""
    watermark = batches[0].watermark_ns
    for batch in batches:
        assert not len(batch.ticks) or batch.ticks.time_ns[0] >= watermark
        assert batch.watermark_ns >= watermark
        watermark = batch.watermark_ns


def prints_of(batches: Sequence[TickBatch]) -> TickColumns:
    return concat(batch.ticks for batch in batches)


async def status_until(context: Context, state: str) -> pb.GetFeedStatusResponse:
    async with client(context, "cli-viewer") as stub, asyncio.timeout(30):
        while True:
            status = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
            if status.state == state:
                return status
            await asyncio.sleep(0.02)


async def test_a_simulated_tape_is_published_whole_when_it_is_wanted(place: Place) -> None:
    async with place.ingestion(simulated()) as context:
        run_ = await the_run(place)
        assert run_.sessions == DAYS
        assert run_.contracts == {MES: "cme"}
        assert not run_.finished
        await status_until(context, "waiting_for_demand")
        async with bus_as(place.nats, "aggregation") as bus:
            assert (await bus.state(TICKS)).messages == 0
        await place.want(MES)
        batches = await whole_tape(place, run_.tape)
        status = await status_until(context, "finished")
    made = concat(simulate(MES, DAYS, seed=1))
    assert rows_of(prints_of(batches)) == rows_of(made)
    assert_sound(batches)
    assert batches[0].watermark_ns == run_.begins_ns == at("2025-06-08 22:00:00")
    assert batches[-1].watermark_ns == at("2025-06-10 21:00:02")
    assert status.progress == 1
    assert status.contracts[0].ticks == len(made)
    assert status.contracts[0].last_price == made.price[-1]
    assert (await the_run(place)).finished


async def test_what_nobody_wants_yet_is_published_too_and_is_there_for_who_comes_later(place: Place) -> None:
    await place.want(ES)
    async with place.ingestion(simulated(instruments=["MES", "ES"])) as context:
        run_ = await the_run(place)
        assert set(run_.contracts) == {MES, ES}
        await status_until(context, "finished")
        for contract in (MES, ES):
            tape = await whole_tape(place, run_.tape, contract)
            assert tape[0].ticks.first_index == 0
            assert tape[-1].final


@pytest.mark.moves("leadline_ticks_quarantined_total")
async def test_what_does_not_reach_a_bar_is_counted_by_day_and_reason_and_stored(place: Place, tmp_path: Path) -> None:
    before = value("leadline_ticks_quarantined_total", instrument=MES, reason="off_grid")
    night = at("2025-06-10 06:00:00") - at("2025-06-10 14:00:00")
    params = recorded(tmp_path, night / NS_PER_SECOND, *range(200))
    with (tmp_path / "mes.csv").open("a") as file:
        file.write(f"{at('2025-06-10 14:05:00')},6000.30,1,1\n")
    await place.want(MES)
    async with place.ingestion(params) as context:
        status = await status_until(context, "finished")
    (contract,) = status.contracts
    assert contract.ticks == 201
    assert dict(contract.quarantined) == {"off_grid": 1}
    assert value("leadline_ticks_quarantined_total", instrument=MES, reason="off_grid") == before + 1
    kept_out = [(item.trading_day, item.reason, item.prints) for item in contract.kept_out]
    assert kept_out == [("2025-06-10", "off_grid", 1), ("2025-06-10", "outside_session", 1)]
    (sample,) = contract.samples
    assert (sample.reason, sample.source, sample.row, sample.price) == ("off_grid", "mes.csv", 203, "6000.3")
    assert status.progress == 1
    assert status.failure == ""
    async with pool_as(place.database, "reader") as pool:
        rows = await pool.fetch("SELECT contract, trading_day, reason, prints, samples FROM kept_out ORDER BY reason")
    written = {"source": "mes.csv", "row": 203, "ts_ns": at("2025-06-10 14:05:00"), "price": "6000.3"}
    assert [tuple(row) for row in rows] == [
        (MES, TRADED, "off_grid", 1, [{**written, "size": "1", "side": 1}]),
        (MES, TRADED, "outside_session", 1, []),
    ]


async def test_files_of_which_too_much_is_faulty_are_refused_before_a_run_is_opened(
    place: Place, tmp_path: Path
) -> None:
    params = recorded(tmp_path, *range(98), wait_for=0)
    with (tmp_path / "mes.csv").open("a") as file:
        file.write(f"{at('2025-06-10 14:05:00')},6000.30,1,1\n{at('2025-06-10 14:05:00')},6000.25,-1,1\n")
    with pytest.raises(TooManyKeptOut) as refused:
        async with place.ingestion(params):
            pass
    assert str(refused.value) == (
        "2 of 100 prints of MESM2025 were kept out, more than 1 %: negative_size 1, off_grid 1 (the first: "
        f"mes.csv line 101, negative_size: time {at('2025-06-10 14:05:00')}, price 6000.25, size -1, side 1; "
        f"mes.csv line 100, off_grid: time {at('2025-06-10 14:05:00')}, price 6000.3 "
        "(the tick is 0.25, beside it are 6000.25 and 6000.50), size 1, side 1)"
    )
    params["feed"]["max_kept_out_percent"] = "2"
    async with place.ingestion(params) as context:
        await status_until(context, "finished")


async def test_a_tape_of_which_no_print_lies_in_a_traded_session_fails(place: Place, tmp_path: Path) -> None:
    await place.want(MES)
    params = recorded(tmp_path, 7 * 3600, 7 * 3600 + 1)
    async with place.ingestion(params) as context:
        status = await status_until(context, "failed")
        run_ = await the_run(place)
    assert status.failure == "of 2 prints of MESM2025 none lies in a session that is traded (rth)"
    assert run_.finished
    async with pool_as(place.database, "reader") as pool:
        assert await pool.fetchval("SELECT failure FROM run") == status.failure


async def test_a_run_that_is_not_finished_is_resumed_and_a_finished_one_is_not(place: Place, tmp_path: Path) -> None:
    params = recorded(tmp_path, 0, 1)
    async with place.ingestion(params):
        opened = await the_run(place)
    await place.want(MES)
    async with place.ingestion(params) as context:
        assert (await the_run(place)).tape == opened.tape
        await status_until(context, "finished")
    async with place.ingestion(params) as context:
        again = await the_run(place)
        await status_until(context, "finished")
    assert again.tape != opened.tape
    first, second = [prints_of(await whole_tape(place, tape)) for tape in (opened.tape, again.tape)]
    assert rows_of(first) == rows_of(second)


async def test_a_run_goes_on_until_its_accounts_have_come_to_its_end(place: Place, tmp_path: Path) -> None:
    params = recorded(tmp_path, 0, 1, wait_for=0)
    async with place.ingestion({**params, "launch": "monday"}) as context:
        first = await status_until(context, "finished")
        opened = await the_run(place)
    await account_on(place, opened.tape, finished=False)
    async with place.ingestion({**params, "launch": "tuesday"}) as context:
        assert (await the_run(place)).tape == opened.tape
        again = await status_until(context, "finished")
    assert (again.progress, [each.ticks for each in again.contracts]) == (1, [each.ticks for each in first.contracts])
    async with place.ingestion({**params, "launch": "wednesday", "new_run": True}) as context:
        another = await the_run(place)
        assert another.tape != opened.tape
        await status_until(context, "finished")
    async with place.ingestion({**params, "launch": "wednesday", "new_run": True}):
        assert (await the_run(place)).tape == another.tape
    await account_on(place, another.tape, finished=True)
    async with place.ingestion({**params, "launch": "thursday"}):
        assert (await the_run(place)).tape not in {opened.tape, another.tape}


async def test_a_launch_waits_for_no_account_that_never_trades(place: Place, tmp_path: Path) -> None:
    params = recorded(tmp_path, 0, 1, wait_for=0, adopt_unfinished=False)
    async with place.ingestion({**params, "launch": "monday"}) as context:
        await status_until(context, "finished")
        opened = await the_run(place)
    await account_on(place, opened.tape, finished=False, idle=True)
    async with place.ingestion({**params, "launch": "tuesday"}):
        assert (await the_run(place)).tape != opened.tape


async def test_a_run_that_failed_is_not_gone_on_with(place: Place, tmp_path: Path) -> None:
    await place.want(MES)
    params = recorded(tmp_path, 7 * 3600, 7 * 3600 + 1)
    async with place.ingestion(params) as context:
        await status_until(context, "failed")
        opened = await the_run(place)
    await account_on(place, opened.tape, finished=False)
    async with place.ingestion(params):
        assert (await the_run(place)).tape != opened.tape


async def test_a_restart_within_a_launch_does_not_play_a_finished_run_again(place: Place, tmp_path: Path) -> None:
    params = recorded(tmp_path, 0, 1, wait_for=0, launch="monday")
    async with place.ingestion(params) as context:
        await status_until(context, "finished")
        opened = await the_run(place)
    async with place.ingestion(params) as context:
        await status_until(context, "finished")
        assert (await the_run(place)).tape == opened.tape
    async with place.ingestion({**params, "launch": "tuesday"}):
        assert (await the_run(place)).tape != opened.tape


async def test_a_launch_that_comes_during_a_run_is_played_after_its_end(place: Place, tmp_path: Path) -> None:
    params = recorded(tmp_path, 0, 1, wait_for=1, launch="monday", adopt_unfinished=False)
    async with place.ingestion(params):
        opened = await the_run(place)
    params["launch"] = "tuesday"
    async with place.ingestion(params) as context, asyncio.timeout(30):
        assert (await the_run(place)).tape == opened.tape
        await place.want(MES)
        # It ends by itself when the run has come to its end, and is started again by its keeper.
        await context.stopping.wait()
    async with place.ingestion(params):
        assert (await the_run(place)).tape != opened.tape


async def test_another_content_is_another_run(place: Place, tmp_path: Path) -> None:
    async with place.ingestion(recorded(tmp_path, 0, 1)):
        first = await the_run(place)
    async with place.ingestion(recorded(tmp_path, 0, 2)):
        assert (await the_run(place)).tape.split("-")[0] != first.tape.split("-")[0]


async def test_killed_anywhere_it_goes_on_where_the_stream_ends(place: Place) -> None:
    settings = place.folder / "settings.json"
    settings.write_text(place.settings(simulated(batch_ticks=16)).model_dump_json())
    await place.want(MES)
    made = concat(simulate(MES, DAYS, seed=1))
    for fifths in (1, 2, 3):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", AS_A_PROCESS, str(settings))
        try:
            async with bus_as(place.nats, "aggregation") as bus, asyncio.timeout(60):
                await published(bus, fifths * len(made) // 5)
        finally:
            process.kill()
            await process.wait()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", AS_A_PROCESS, str(settings))
    try:
        run_ = await the_finished_run(place)
    finally:
        process.kill()
        await process.wait()
    batches = await whole_tape(place, run_.tape)
    assert rows_of(prints_of(batches)) == rows_of(made)
    assert_sound(batches)
    assert run_.tape.endswith("-1")


async def published(bus: Bus, prints: int) -> None:
    """Wait until the tape has so many prints."""
    async with aclosing(bus.ordered(TICKS, "ll.*.tick.>")) as messages:
        async for message in messages:
            if decode_tick_batch(message.payload).ticks.last_index + 1 >= prints:
                return


async def test_a_set_speed_is_kept(place: Place, tmp_path: Path) -> None:
    begun = asyncio.get_running_loop().time()
    async with place.ingestion(recorded(tmp_path, 0, 1, 2, wait_for=0, speed=4)) as context:
        status = await status_until(context, "finished")
    assert status.contracts[0].ticks == 3
    assert 0.5 <= asyncio.get_running_loop().time() - begun < 20


async def limit_ticks(place: Place, max_bytes: int) -> None:
    async with bus_as(place.nats, MIGRATE_USER) as bus:
        config = (await bus.api(f"STREAM.INFO.{TICKS}"))["config"]
        await bus.api(f"STREAM.UPDATE.{TICKS}", {**config, "max_bytes": max_bytes})


async def test_a_stream_that_cannot_hold_a_session_is_refused_with_the_size_needed(place: Place) -> None:
    await limit_ticks(place, 1_000_000)
    with pytest.raises(StreamTooSmall, match=r"TICKS holds at most 1000000 bytes; .* need [0-9]{7}$"):
        async with place.ingestion(simulated()):
            pass
    async with pool_as(place.database, "ingestion") as pool:
        assert await pool.fetchval("SELECT count(*) FROM run") == 0


async def looked_for_room() -> None:
    """Wait until ingestion has looked for room once more, from the beginning to the end: it counts its pauses."""
    full_s = value("leadline_feed_full_seconds_total")
    async with asyncio.timeout(30):
        while value("leadline_feed_full_seconds_total") < full_s + 2 * SPACE_POLL_SECONDS:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.02)


@pytest.mark.moves("leadline_feed_full_seconds_total")
async def test_a_full_stream_waits_until_everybody_has_passed_a_session(place: Place) -> None:
    await limit_ticks(place, 3_000_000)  # two sessions of 25 bytes a print are 2.6 MB and their overhead
    days = (date(2025, 6, 6), *DAYS)
    await place.want(MES)
    async with place.ingestion(simulated(history=2)) as context:
        tape = (await the_run(place)).tape
        await status_until(context, "waiting_for_space")
        close = at("2025-06-06 21:00:00")
        first_session = len(next(iter(simulate(MES, days, seed=1))))
        full_s = value("leadline_feed_full_seconds_total")
        async with bus_as(place.nats, "recorder") as bus:
            full = await bus.state(TICKS)
            await reach(place, tape, bars_ns=close, stored=first_session, instant_ns=close + NS_PER_SECOND)
            await looked_for_room()
            assert (await bus.state(TICKS)).first_sequence == full.first_sequence  # the bars are not past the close
            await reach(place, tape, bars_ns=close + 1, stored=100, instant_ns=close + NS_PER_SECOND)
            await looked_for_room()
            removed = await bus.state(TICKS)
            assert removed.first_sequence <= full.first_sequence + 2  # nor are the prints stored
            assert value("leadline_feed_full_seconds_total") > full_s
            await reach(
                place, tape, bars_ns=at("2025-06-12 00:00:00"), stored=10**9, instant_ns=at("2025-06-12 00:00:00")
            )
        status = await status_until(context, "finished")
    assert status.contracts[0].ticks == sum(map(len, simulate(MES, days, seed=1)))
    async with (
        asyncio.timeout(20),
        bus_as(place.nats, "aggregation") as bus,
        aclosing(bus.ordered(TICKS, tick_subject(tape, "cme", MES))) as messages,
    ):
        first = decode_tick_batch((await anext(messages)).payload)
    assert first.ticks.first_index >= first_session - 3000  # what is left begins about the second session
    assert first.watermark_ns > close


async def account_on(place: Place, tape: str, *, finished: bool, idle: bool = False) -> None:
    """Say of an account whether it has come to the end of a tape. idle: it has no strategy."""
    strategy = (
        "INSERT INTO strategy_state (tape, account, strategy, manifest, settings_hash, analysis_hash, joined_ns, "
        "contract, realised, trades, flatten, block) VALUES "
        f"('{tape}', '{ACCOUNT}', '{STRATEGY}', '{{}}', '', '', 0, '{MES}', 0, 0, '', '')"
    )
    await run_sql(
        place.database.admin_settings(),
        "INSERT INTO account_state VALUES "
        f"('{tape}', '{ACCOUNT}', 0, NULL, 0, 0, 0, 0, 0, '', '', '{{}}', '{{}}', 0, 0, {finished})",
        *([] if idle else [strategy]),
    )


async def reach(place: Place, tape: str, *, bars_ns: int, stored: int, instant_ns: int) -> None:
    """Say how far the builder, the recorder and the account are."""
    subject = bar_subject(RunId(tape), "cme", MES, "rth", "5m-r1")
    await run_sql(
        place.database.admin_settings(),
        f"INSERT INTO tick_position (tape, contract, venue, last_index) VALUES ('{tape}', '{MES}', 'cme', {stored})"
        " ON CONFLICT (tape, contract) DO UPDATE SET last_index = EXCLUDED.last_index",
        "INSERT INTO account_state VALUES "
        f"('{tape}', '{ACCOUNT}', {instant_ns}, NULL, 0, 0, 0, 0, 0, '', '', '{{}}', '{{}}', 0, 0, false)"
        " ON CONFLICT (tape, account) DO UPDATE SET instant_ns = EXCLUDED.instant_ns",
    )
    # At last, for ingestion looks all the time: the bars alone never go back.
    async with bus_as(place.nats, "aggregation") as bus:
        await bus.publish(
            subject, encode_bar(BarMessage(RunId(tape), "cme", MES, bars_ns, False, None)), f"{subject}/{bars_ns}"
        )


@pytest.mark.moves("leadline_feed_purged_total")
async def test_a_later_run_makes_room_by_removing_an_ended_tape(place: Place) -> None:
    before = value("leadline_feed_purged_total")
    await limit_ticks(place, 3_000_000)
    async with place.ingestion(simulated(wait_for=0)) as context:
        await status_until(context, "finished")
        first = (await the_run(place)).tape
    async with place.ingestion(simulated(wait_for=0)) as context:
        await status_until(context, "waiting_for_space")
        async with bus_as(place.nats, "recorder") as bus:
            durable = await bus.durable(TICKS, "recorder")
            stored = 0
            while stored < (await bus.state(TICKS)).last_sequence:
                for delivery in await durable.fetch(256, 1):
                    stored = delivery.sequence
                    await delivery.ack()
            await durable.close()
        await status_until(context, "finished")
        async with bus_as(place.nats, "aggregation") as bus:
            assert await bus.last(TICKS, tick_subject(first, "cme", MES)) is None
    assert value("leadline_feed_purged_total") > before


PUSH: dict[str, Any] = {
    "feed": {"kind": "push", "max_kept_out_percent": "50"},
    "instruments": [MES, ES],
    "trade_from": TRADED.isoformat(),
    "history": 0,
    "wait_for": 0,
}
OPEN = at("2025-06-10 13:30:00")


def pushed(
    *rows: tuple[int, int, int, int], index: int, watermark_ns: int = 0, contract: ContractId = MES, end: bool = False
) -> pb.PublishTicksRequest:
    batch = TickBatch(RunId(""), "cme", contract, TickColumns.of(rows), watermark_ns)
    return pb.PublishTicksRequest(batch=tick_batch_to_proto(batch), first_index=index, end=end)


async def stream(
    *requests: pb.PublishTicksRequest, then: asyncio.Event | None = None
) -> AsyncIterator[pb.PublishTicksRequest]:
    for request in requests:
        yield request
    if then is not None:
        await then.wait()


@pytest.fixture
def socket_folder() -> Iterator[Path]:
    """A folder with a name that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="ll-") as folder:
        yield Path(folder)


async def places(stub: "rpc.IngestionServiceAsyncStub") -> dict[str, tuple[int, bool]]:
    """Per contract the index to go on from, and whether it has ended."""
    status = await stub.GetFeedStatus(pb.GetFeedStatusRequest())
    return {each.contract: (each.next_index, each.ended) for each in status.pushed}


async def test_a_contract_that_is_wanted_and_ends_without_a_print_fails_no_run(place: Place) -> None:
    await place.want(MES, ES)
    async with place.ingestion(PUSH) as context, client(context) as stub:
        await status_until(context, "waiting_for_feed")
        ends = [pushed(contract=ES, index=0, end=True), pushed((OPEN, 24000, 2, 1), index=0, end=True)]
        await stub.PublishTicks(stream(*ends))
        status = await status_until(context, "finished")
    assert status.failure == ""


async def test_pushed_prints_are_published_and_the_end_of_every_contract_ends_the_tape(place: Place) -> None:
    async with place.ingestion(PUSH) as context, client(context) as stub:
        await status_until(context, "waiting_for_feed")
        assert await places(stub) == {MES: (0, False), ES: (0, False)}
        answer = await stub.PublishTicks(
            stream(
                pushed((OPEN, 24000, 2, 1), (OPEN + 5, 24001, 1, -1), watermark_ns=OPEN + 5, index=0),
                pushed((OPEN + 9, 24000, 1, 0), (OPEN + 9, 0, 1, 0), watermark_ns=OPEN + 10, index=2),
                pushed((OPEN + 1, 24000, 3, 1), contract=ES, index=0, watermark_ns=OPEN + 1),
            )
        )
        assert answer.accepted == 4
        assert dict(answer.quarantined) == {"zero_price": 1}
        # The stream is closed, and nothing has ended.
        await status_until(context, "waiting_for_feed")
        assert await places(stub) == {MES: (4, False), ES: (1, False)}
        ends = [pushed(contract=MES, index=4, end=True), pushed(contract=ES, index=1, end=True)]
        # The end may be said again, as by a sender who has not heard the answer.
        again = pushed((OPEN + 1, 24000, 3, 1), contract=ES, index=0, end=True)
        answer = await stub.PublishTicks(stream(*ends, again))
        assert (answer.accepted, answer.overlapping) == (0, 1)
        await status_until(context, "finished")
        assert await places(stub) == {MES: (4, True), ES: (1, True)}
        run_ = await the_run(place)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.PublishTicks(stream(pushed((OPEN, 24000, 1, 1), index=4)))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert run_.finished
    assert run_.sessions == ()
    micro, mini = await whole_tape(place, run_.tape), await whole_tape(place, run_.tape, ES)
    assert rows_of(prints_of(micro)) == [(OPEN, 24000, 2, 1), (OPEN + 5, 24001, 1, -1), (OPEN + 9, 24000, 1, 0)]
    assert rows_of(prints_of(mini)) == [(OPEN + 1, 24000, 3, 1)]
    assert micro[0].watermark_ns == at("2025-06-09 22:00:00")
    assert micro[-1].watermark_ns == OPEN + 10


async def test_the_first_prints_that_were_kept_out_stay_the_samples_over_a_restart(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that comes after has not seen them: it counts on, and its own first ones are not the first."""
    monkeypatch.setattr("leadline.ingestion.client.COUNTS_SECONDS", 0.0)
    bad = [(OPEN + number, 0, number + 1, 1) for number in range(4)]
    good = (OPEN + 9, 24000, 1, 1)
    params = {**PUSH, "instruments": [MES], "feed": {"kind": "push", "max_kept_out_percent": "90"}}
    async with place.ingestion(params) as context, client(context) as stub:
        await stub.PublishTicks(stream(pushed(*bad[:3], good, watermark_ns=OPEN + 9, index=0)))
        await stub.PublishTicks(stream(pushed((OPEN + 12, 24000, 1, 1), index=4, watermark_ns=OPEN + 12)))
        while not (before := await samples_of(place)):  # noqa: ASYNC110 - the table has no event to wait for
            await asyncio.sleep(0.01)
    async with place.ingestion(params) as context, client(context) as stub:
        later = [(OPEN + 20, 0, 9, 1), (OPEN + 21, 24000, 1, 1)]
        await stub.PublishTicks(stream(pushed(*later, index=5, watermark_ns=OPEN + 21, end=True)))
        await status_until(context, "finished")
    after = await samples_of(place)
    assert [row["size"] for row in before] == ["1", "2", "3"]
    assert after[:3] == before


async def samples_of(place: Place) -> list[dict[str, Any]]:
    """The samples of the one reason for which something was kept out, as they are stored."""
    async with pool_as(place.database, "reader") as pool:
        found = await pool.fetchval("SELECT samples FROM kept_out WHERE reason = 'zero_price'")
    return found or []


async def test_a_stream_that_breaks_does_not_end_the_tape_and_the_next_one_goes_on_by_index(place: Place) -> None:
    """The first stream is cut inside equal timestamps: by time nobody could go on exactly."""
    rows = [(OPEN, 24000, 1, 1), (OPEN + 5, 24000, 2, 1), (OPEN + 5, 24000, 2, 1), (OPEN + 5, 24000, 2, 1)]
    async with place.ingestion(PUSH) as context, client(context) as stub:
        call = stub.PublishTicks(stream(pushed(*rows[:2], watermark_ns=OPEN + 5, index=0), then=asyncio.Event()))
        async with bus_as(place.nats, "aggregation") as bus, asyncio.timeout(20):
            await published(bus, 2)
        with pytest.raises(grpc.aio.AioRpcError) as busy:
            await stub.PublishTicks(stream(pushed(*rows[2:], index=2)))
        assert "another client" in (busy.value.details() or "")
        call.cancel()
        await status_until(context, "waiting_for_feed")
        assert (await places(stub))[MES] == (2, False)
        with pytest.raises(grpc.aio.AioRpcError) as gap:
            await stub.PublishTicks(stream(pushed(*rows[3:], index=3)))
        assert gap.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "first_index of MESM2025: got 3, expected 2" in (gap.value.details() or "")
        ends = [pushed(index=4, end=True), pushed(contract=ES, index=0, end=True)]
        answer = await stub.PublishTicks(stream(pushed(*rows[1:], index=1), *ends))
        assert (answer.accepted, answer.overlapping) == (2, 1)
        await status_until(context, "finished")
        tape = (await the_run(place)).tape
    assert rows_of(prints_of(await whole_tape(place, tape))) == rows


async def test_killed_in_a_push_it_asks_for_what_is_not_on_the_stream_and_takes_the_rest_once(
    place: Place, socket_folder: Path
) -> None:
    """One print in ten has no price, times come in threes, and a second of prints is held when the process dies.

    Until it dies it is given a third of the prints and then two thirds, so that it cannot have taken all of them.
    """
    settings = place.folder / "settings.json"
    rows = [(OPEN + number // 3 * 10**7, number % 10 and 24_000, number + 1, 1) for number in range(3000)]
    token = token_source(one_key(KEY), "feed", "test", "ingestion")
    never = asyncio.Event()
    asked: list[int] = []
    for given, kill_at in ((1000, 500), (2000, 1200), (3000, None)):
        listen = f"unix:{socket_folder / str(len(asked))}"
        params = {**PUSH, "instruments": [MES], "batch_ticks": 16}
        settings.write_text(place.settings(params).model_copy(update={"listen": listen}).model_dump_json())
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", AS_A_PROCESS, str(settings))
        try:
            async with asyncio.timeout(60), open_channel(listen, token) as channel:
                stub = rpc.IngestionServiceStub(channel)
                await channel.channel_ready()
                ((index, ended),) = (await places(stub)).values()
                asked.append(index)
                assert not ended
                steps = range(index, given, 70)
                batches = [pushed(*rows[begin : min(begin + 70, given)], index=begin) for begin in steps]
                if kill_at is None:
                    answer = await stub.PublishTicks(stream(*batches, pushed(index=len(rows), end=True)))
                    assert answer.accepted + sum(answer.quarantined.values()) + answer.overlapping == 3000 - index
                    await the_finished_run(place)
                else:
                    call = stub.PublishTicks(stream(*batches, then=never))
                    async with bus_as(place.nats, "aggregation") as bus:
                        await published(bus, kill_at)
                    process.kill()
                    with pytest.raises(grpc.aio.AioRpcError):
                        await call
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    assert asked[0] == 0 < asked[1] < 1000 < asked[2] < 2000
    batches_out = await whole_tape(place, (await the_run(place)).tape)
    assert rows_of(prints_of(batches_out)) == [row for row in rows if row[1]]
    assert_sound(batches_out)
    async with pool_as(place.database, "reader") as pool:
        counted = await pool.fetch("SELECT reason, prints, samples FROM kept_out")
    ((reason, prints, samples),) = counted
    assert (reason, prints) == ("zero_price", 300)
    assert [rows[sample["row"]][1] for sample in samples] == [0, 0, 0]


@pytest.mark.moves("leadline_ticks_overlapping_total")
async def test_a_push_that_cannot_be_used_is_refused_and_nothing_before_it_is_lost(place: Place) -> None:
    before = value("leadline_ticks_overlapping_total", instrument=MES)
    async with place.ingestion(PUSH) as context, client(context) as stub:
        good = pushed((OPEN, 24000, 2, 1), watermark_ns=OPEN + 1, index=0)
        columns = model_pb2.TickBatch(contract=MES, time_ns=[OPEN + 2], price=[24_000], size=[1], aggressor=[1])
        with_end = model_pb2.TickBatch(contract=MES, final=True)
        for bad, code, said in (
            (pushed((OPEN, 1, 1, 1), contract=ContractId("NQM2025"), index=0), grpc.StatusCode.NOT_FOUND, "NQM2025"),
            (
                pb.PublishTicksRequest(batch=model_pb2.TickBatch(contract=MES, time_ns=[1]), first_index=1),
                grpc.StatusCode.INVALID_ARGUMENT,
                "differ in length",
            ),
            (pb.PublishTicksRequest(batch=columns), grpc.StatusCode.INVALID_ARGUMENT, "first_index of MESM2025"),
            (
                pb.PublishTicksRequest(batch=with_end, first_index=1),
                grpc.StatusCode.INVALID_ARGUMENT,
                "batch.final",
            ),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.PublishTicks(stream(good, bad))
            assert refused.value.code() is code
            assert said in (refused.value.details() or "")
        async with bus_as(place.nats, "aggregation") as bus, asyncio.timeout(20):
            await published(bus, 1)
        assert (await places(stub))[MES] == (1, False)
        await status_until(context, "waiting_for_feed")
    async with place.ingestion(simulated(wait_for=1)) as context, client(context) as stub:
        with pytest.raises(grpc.aio.AioRpcError, match="takes no prints"):
            await stub.PublishTicks(stream(good))
    # The good one came each time, and was taken once.
    assert value("leadline_ticks_overlapping_total", instrument=MES) == before + 3


async def test_settings_that_cannot_be_used_are_refused_by_field(place: Place, tmp_path: Path) -> None:
    for params, field in (
        ({**simulated(), "speed": 0}, "speed"),
        ({**PUSH, "trade_from": None}, "trade_from"),
        ({"feed": {"kind": "file"}}, "feed"),
        (recorded(tmp_path, 0, trade_from="2025-06-11"), "trade_from"),
    ):
        with pytest.raises(InvalidInput, match=field):
            async with place.ingestion(params):
                pass


async def test_prints_that_the_bus_has_lost_are_published_again_after_the_end(place: Place, tmp_path: Path) -> None:
    """Nobody publishes any more then, and readers are still at work. The end of the run is said again too."""
    async with place.ingestion(simulated()) as context:
        run_ = await the_run(place)
        older = OlderStore(place.nats, tmp_path / "kept")
        await place.want(MES)
        await whole_tape(place, run_.tape)
        await status_until(context, "finished")
        older.put_back()
        batches = await whole_tape(place, run_.tape)
        assert (await the_finished_run(place)).tape == run_.tape
    assert rows_of(prints_of(batches)) == rows_of(concat(simulate(MES, DAYS, seed=1)))
    assert_sound(batches)


async def test_a_finished_run_that_goes_on_says_again_what_the_bus_has_lost(place: Place, tmp_path: Path) -> None:
    params = simulated()
    async with place.ingestion(params):
        run_ = await the_run(place)
    older = OlderStore(place.nats, tmp_path / "kept")
    await place.want(MES)
    async with place.ingestion(params) as context:
        await whole_tape(place, run_.tape)
        first = await status_until(context, "finished")
    await account_on(place, run_.tape, finished=False)
    older.put_back()
    async with place.ingestion(params) as context:
        batches = await whole_tape(place, run_.tape)
        again = await status_until(context, "finished")
        assert (await the_finished_run(place)).tape == run_.tape
    assert rows_of(prints_of(batches)) == rows_of(concat(simulate(MES, DAYS, seed=1)))
    assert_sound(batches)
    assert (again.progress, [each.kept_out for each in again.contracts]) == (
        1,
        [each.kept_out for each in first.contracts],
    )
    async with place.ingestion(params) as context:  # the stream has it whole now: nothing is said
        shown = await status_until(context, "finished")
    assert [each.kept_out for each in shown.contracts] == [each.kept_out for each in first.contracts]


async def test_a_finished_run_that_goes_on_is_refused_where_the_bus_has_lost_what_was_pushed(
    place: Place, tmp_path: Path
) -> None:
    params = {**PUSH, "instruments": [MES]}
    older = OlderStore(place.nats, tmp_path / "kept")
    async with place.ingestion(params) as context, client(context) as stub:
        await stub.PublishTicks(stream(pushed((OPEN, 24_000, 1, 1), watermark_ns=OPEN + 1, index=0, end=True)))
        await status_until(context, "finished")
        tape = (await the_run(place)).tape
    await account_on(place, tape, finished=False)
    older.put_back()
    lost = f"lost pushed prints of the run {tape}, {ACCOUNT} has not come to its end, .* another run .`--new-run`"
    with pytest.raises(PushedPrintsLost, match=lost):
        async with place.ingestion(params):
            pass
    async with place.ingestion({**params, "new_run": True}):
        assert (await the_run(place)).tape != tape


async def test_a_sender_of_prints_that_the_bus_has_lost_is_asked_for_them_again(place: Place, tmp_path: Path) -> None:
    """Ingestion cannot say them again: it ends at the first print that does not follow, and begins where the bus is."""
    rows = [(OPEN + 5 * number, 24_000, number + 1, 1) for number in range(6)]
    params = {**PUSH, "instruments": [MES]}

    async def until_the_bus_loses_some() -> None:
        async with place.ingestion(params) as context, client(context) as stub:
            await stub.PublishTicks(stream(pushed(*rows[:2], watermark_ns=OPEN + 6, index=0)))
            older = OlderStore(place.nats, tmp_path / "kept")
            await stub.PublishTicks(stream(pushed(*rows[2:4], watermark_ns=OPEN + 16, index=2)))
            async with bus_as(place.nats, "aggregation") as bus, asyncio.timeout(20):
                await published(bus, 4)
            older.put_back()
            # The call has no answer: the process that it was made to is about to end.
            call = stub.PublishTicks(stream(pushed(*rows[4:5], watermark_ns=OPEN + 21, index=4)))
            await until(context.crashed.done)
            call.cancel()

    with pytest.raises(TailLost):
        await until_the_bus_loses_some()
    async with place.ingestion(params) as context, client(context) as stub:
        assert await places(stub) == {MES: (2, False)}
        await stub.PublishTicks(stream(pushed(*rows[2:], index=2, end=True)))
        await status_until(context, "finished")
        tape = (await the_run(place)).tape
    batches = await whole_tape(place, tape)
    assert rows_of(prints_of(batches)) == rows
    assert_sound(batches)
