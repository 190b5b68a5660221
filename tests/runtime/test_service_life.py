import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.aggregation.v1 import aggregation_pb2, aggregation_pb2_grpc
from leadline.local.local_nats import LocalNats
from leadline.local.ports import Ports
from leadline.model.errors import Unknown
from leadline.runtime import main
from leadline.runtime.context import Context, open_context
from leadline.runtime.database import DATABASE_LOST, SchemaTooOld, connect, open_pool
from leadline.runtime.main import run_service
from leadline.runtime.rpc.auth import caller
from leadline.runtime.settings import ServiceSettings
from leadline.runtime.version import code_version, files_digest
from tests.measured import scraped
from tests.runtime.builders import service_settings
from tests.stack import Database, pool_as

SERVICE = aggregation_pb2.DESCRIPTOR.services_by_name["AggregationService"].full_name
LOG: structlog.stdlib.BoundLogger = structlog.get_logger("test")


async def live(settings: ServiceSettings, run: main.Run) -> int:
    return await main._live(settings, run, LOG)


async def test_a_service_that_returns_has_ended_well(tmp_path: Path):
    async def run(context: Context) -> None:
        await context.serve()

    assert await live(service_settings(tmp_path), run) == 0


async def test_a_service_that_is_told_to_stop_may_finish_what_it_does(tmp_path: Path):
    finished = []

    async def run(context: Context) -> None:
        await context.serve()
        os.kill(os.getpid(), signal.SIGTERM)
        await context.stopping.wait()
        finished.append(True)

    assert await live(service_settings(tmp_path), run) == 0
    assert finished == [True]


async def test_a_service_that_does_not_stop_is_stopped(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(main, "STOP_SECONDS", 0.05)

    async def run(context: Context) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    assert await live(service_settings(tmp_path), run) == 0


async def test_an_error_of_the_service_ends_the_process_with_an_error(tmp_path: Path):
    async def run(context: Context) -> None:
        raise RuntimeError("broken")

    assert await live(service_settings(tmp_path), run) == 1


async def test_a_task_that_overhears_that_it_is_stopped_does_not_hold_the_process_up(tmp_path: Path):
    overheard = []

    async def overhear() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            overheard.append(True)
        await asyncio.sleep(3600)

    async def run(context: Context) -> None:
        context.spawn(overhear(), "overhear")
        await asyncio.sleep(0)

    async with asyncio.timeout(10):
        assert await live(service_settings(tmp_path), run) == 0
    assert overheard == [True]


async def test_a_failed_task_ends_the_process_though_run_would_go_on(tmp_path: Path):
    cleaned_up = []

    async def fail() -> None:
        raise RuntimeError("broken")

    async def run(context: Context) -> None:
        context.spawn(fail(), "failing")
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(True)

    assert await live(service_settings(tmp_path), run) == 1
    assert cleaned_up == [True]


async def test_tasks_are_cancelled_when_the_service_has_ended(tmp_path: Path):
    cancelled = []

    async def endless() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        cancelled.append(True)

    async def run(context: Context) -> None:
        context.spawn(endless(), "endless")
        await asyncio.sleep(0)

    assert await live(service_settings(tmp_path), run) == 0
    assert cancelled == [True]


@pytest.mark.integration
async def test_a_bus_that_is_lost_for_good_ends_the_process(nats_server: LocalNats, tmp_path: Path):
    async def run(context: Context) -> None:
        await context.bus.close()
        await asyncio.Event().wait()

    settings = service_settings(tmp_path, "aggregation", nats=nats_server.settings("aggregation"))
    assert await live(settings, run) == 1


@pytest.mark.integration
async def test_a_bus_that_refuses_the_password_is_reported_and_not_waited_for(nats_server: LocalNats, tmp_path: Path):
    (tmp_path / "wrong").write_text("wrong")
    nats = nats_server.settings("aggregation").model_copy(update={"password_file": tmp_path / "wrong"})

    async def run(context: Context) -> None:
        raise AssertionError

    assert await live(service_settings(tmp_path, "aggregation", nats=nats), run) == 1


class WhoAmI(aggregation_pb2_grpc.AggregationServiceServicer):
    async def GetBars(self, request, context):  # noqa: N802 - the contract's name
        return aggregation_pb2.GetBarsResponse(next_from_ns=len(caller().subject))

    async def ListSeries(self, request, context):  # noqa: N802 - as above
        return aggregation_pb2.ListSeriesResponse()

    async def StreamBars(self, request, context):  # noqa: N802 - as above
        yield aggregation_pb2.StreamBarsResponse()


@contextlib.asynccontextmanager
async def context_of(settings: ServiceSettings):
    context = await open_context(settings, LOG)
    try:
        yield context
    finally:
        await context.close()


async def test_one_service_calls_another_as_itself_and_only_what_it_may(tmp_path: Path):
    async with context_of(service_settings(tmp_path, "aggregation")) as server:
        server.add_service(aggregation_pb2_grpc.add_AggregationServiceServicer_to_server, WhoAmI(), SERVICE)
        await server.serve()
        peers = {"aggregation": f"127.0.0.1:{server.port}"}
        async with context_of(service_settings(tmp_path, "execution", peers=peers)) as client:
            stub = aggregation_pb2_grpc.AggregationServiceStub(client.channel("aggregation"))
            with pytest.raises(grpc.aio.AioRpcError, match="execution has the role execution"):
                await stub.GetBars(aggregation_pb2.GetBarsRequest())


async def test_a_peer_that_the_settings_do_not_name_is_unknown(tmp_path: Path):
    async with context_of(service_settings(tmp_path, peers={"risk": "127.0.0.1:1"})) as context:
        with pytest.raises(Unknown, match=r"venue.*risk"):
            context.channel("venue")


async def test_a_service_without_a_bus_or_database_says_so_when_it_reaches_for_one(tmp_path: Path):
    async with context_of(service_settings(tmp_path)) as context:
        with pytest.raises(RuntimeError, match="no bus"):
            _ = context.bus
        with pytest.raises(RuntimeError, match="no database"):
            _ = context.pool


@pytest.mark.integration
async def test_a_service_waits_until_the_schema_is_new_enough(database: Database):
    settings = database.settings("aggregation")
    opening = asyncio.create_task(open_pool(settings, "test", minimum_schema=10_000))
    done, _ = await asyncio.wait({opening}, timeout=0.5)
    assert not done
    admin = await connect(database.admin_settings(), "test")
    await admin.execute("INSERT INTO schema_version (version, name, checksum) VALUES (10001, 'later', '')")
    await admin.close()
    async with asyncio.timeout(5):
        pool = await opening
    await pool.close()
    assert str(SchemaTooOld(3, 9)) == "the database has schema 3 and this service needs 9: run `leadline db migrate`"


@pytest.mark.integration
async def test_the_database_gives_json_and_decimals_as_themselves(database: Database):
    async with pool_as(database, "execution") as pool:
        row = await pool.fetchrow("SELECT $1::jsonb AS body, 0.1::numeric AS money", {"a": [1, "0.5"], "b": None})
        assert row is not None
        assert row["body"] == {"a": [1, "0.5"], "b": None}
        assert str(row["money"]) == "0.1"


@pytest.mark.integration
async def test_a_pool_works_again_after_the_server_was_killed(database: Database):
    async with pool_as(database, "reader") as pool:
        assert await pool.fetchval("SELECT 1") == 1
        database.server.kill()
        with pytest.raises(DATABASE_LOST):
            await pool.fetchval("SELECT 1")
        database.server.start()
        for _ in range(10):
            with contextlib.suppress(*DATABASE_LOST):
                assert await pool.fetchval("SELECT 1") == 1
                return
    raise AssertionError


# --- whole processes -------------------------------------------------------------------------------------------------


def settings_file(directory: Path, **changes: object) -> Path:
    path = directory / "settings.json"
    path.write_text(service_settings(directory, **changes).model_dump_json())  # type: ignore[arg-type]
    return path


def test_wrong_settings_are_refused_with_the_field_and_a_code_of_their_own(tmp_path: Path, capsys):
    assert run_service("execution", settings_file(tmp_path)) == 2
    assert re.search(r"settings\.json: service: got 'risk', expected execution", capsys.readouterr().err)
    assert run_service("risk", tmp_path / "absent.json") == 2


@pytest.mark.integration
@pytest.mark.moves("leadline_heartbeat_timestamp_seconds")
def test_a_service_process_answers_probes_and_scrapes_and_ends_on_sigterm(tmp_path: Path, ports: Ports):
    grpc_port, metrics_port = ports.take(), ports.take()
    path = settings_file(tmp_path, listen=f"127.0.0.1:{grpc_port}", metrics_listen=f"127.0.0.1:{metrics_port}")
    command = (
        "from pathlib import Path; from leadline.runtime.main import run_service;"
        f"raise SystemExit(run_service('risk', Path({str(path)!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        asyncio.run(wait_until_serving(grpc_port, process))
        metrics = scrape(metrics_port)
        while heartbeat_of(later := scrape(metrics_port)) <= heartbeat_of(metrics):
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        log = process.stderr.read()
        process.stderr.close()
    assert process.wait(10) == 0
    assert 0 < time.time() - heartbeat_of(later) < 60, "leadline_heartbeat_timestamp_seconds is the wall's time"
    assert 'leadline_ready{service="risk"} 1.0' in metrics
    assert code_version() in metrics
    assert '"event":"service.stopped"' in log


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        text = str(page.read().decode())
    scraped("service", text)
    return text


def heartbeat_of(metrics: str) -> float:
    found = re.search(r'^leadline_heartbeat_timestamp_seconds\{service="risk"\} (\S+)$', metrics, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def wait_until_serving(port: int, process: subprocess.Popen[str]) -> None:
    async with asyncio.timeout(20), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while process.poll() is None:
            with contextlib.suppress(grpc.aio.AioRpcError):
                answer = await stub.Check(health_pb2.HealthCheckRequest())
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            await asyncio.sleep(0.02)
    raise AssertionError(f"the process ended with {process.returncode}")


def test_the_same_files_are_the_same_code_wherever_they_lie(tmp_path: Path):
    for copy in ("here", "there"):
        shutil.copytree(Path(main.__file__).parent, tmp_path / copy, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "there" / "left.pyc").touch()
    # What Python writes while it compiles has such a name for a moment.
    (tmp_path / "there" / "__pycache__").mkdir()
    (tmp_path / "there" / "__pycache__" / "exits.cpython-311.pyc.140234904552768").touch()
    assert files_digest(tmp_path / "here") == files_digest(tmp_path / "there")


@pytest.mark.parametrize("change", ["content", "name", "new file"])
def test_any_change_of_a_file_is_other_code(tmp_path: Path, change: str):
    (tmp_path / "a.py").write_text("A = 1")
    before = files_digest(tmp_path)
    if change == "content":
        (tmp_path / "a.py").write_text("A = 2")
    elif change == "name":
        (tmp_path / "a.py").rename(tmp_path / "b.py")
    else:
        (tmp_path / "data.json").write_text("")
    assert files_digest(tmp_path) != before


def test_the_code_version_is_an_id_like_all_others():
    assert re.fullmatch("[a-z2-7]{32}", code_version())
