"""What a service does in a cluster and not on one machine: probes on a port of their own, keys per peer, TLS, runs."""

import asyncio
import contextlib
import hashlib
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from leadline.aggregation.v1 import aggregation_pb2, aggregation_pb2_grpc
from leadline.local.local_nats import LocalNats
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, RunId
from leadline.model.subjects import RUNS, TICKS
from leadline.runtime import main
from leadline.runtime.context import Context, open_context
from leadline.runtime.rpc import certificates
from leadline.runtime.rpc.auth import PLATFORM_NAMESPACE, derive_key, mint_token
from leadline.runtime.rpc.health import LIVENESS, STARTUP, Health
from leadline.runtime.runs import Run, announce_run
from leadline.runtime.settings import NatsSettings, ServiceSettings, TlsSettings, load_settings
from leadline.schema.permissions import MIGRATE_USER
from tests.kube.cluster.certificates import Authority
from tests.runtime.builders import KEY, service_settings
from tests.stack import bus_as, make_streams

SERVICE = aggregation_pb2.DESCRIPTOR.services_by_name["AggregationService"].full_name
LOG: structlog.stdlib.BoundLogger = structlog.get_logger("test")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Bars(aggregation_pb2_grpc.AggregationServiceServicer):
    async def GetBars(self, request, context):  # noqa: N802 - the contract's name
        return aggregation_pb2.GetBarsResponse(next_from_ns=42)

    async def ListSeries(self, request, context):  # noqa: N802 - as above
        return aggregation_pb2.ListSeriesResponse()

    async def StreamBars(self, request, context):  # noqa: N802 - as above
        yield aggregation_pb2.StreamBarsResponse()


@contextlib.asynccontextmanager
async def context_of(settings: ServiceSettings, health: Health | None = None) -> AsyncIterator[Context]:
    context = await open_context(settings, LOG, health)
    try:
        yield context
    finally:
        await context.close()


@contextlib.asynccontextmanager
async def bars_service(settings: ServiceSettings) -> AsyncIterator[Context]:
    async with context_of(settings) as context:
        context.add_service(aggregation_pb2_grpc.add_AggregationServiceServicer_to_server, Bars(), SERVICE)
        await context.serve()
        yield context


async def get_bars(channel: grpc.aio.Channel) -> int:
    request = aggregation_pb2.GetBarsRequest()
    return (await aggregation_pb2_grpc.AggregationServiceStub(channel).GetBars(request, timeout=5)).next_from_ns


async def probe(port: int, service: str) -> int | None:
    """What a probe of this service is told; None when the name is not known."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=5
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise
        return int(answer.status)


# --- probes ----------------------------------------------------------------------------------------------------------


async def test_probes_tell_apart_that_a_process_runs_and_that_it_does_its_work(tmp_path: Path):
    health = Health()
    await health.listen("127.0.0.1:0")
    async with context_of(service_settings(tmp_path), health) as context:
        assert [await probe(health.port, name) for name in (STARTUP, LIVENESS, "", SERVICE)] == [
            SERVING,
            SERVING,
            NOT_SERVING,
            None,
        ]
        context.add_service(aggregation_pb2_grpc.add_AggregationServiceServicer_to_server, Bars(), SERVICE)
        await context.serve()
        assert await probe(health.port, SERVICE) == NOT_SERVING
        context.set_ready(True)
        assert [await probe(health.port, name) for name in ("", SERVICE)] == [SERVING, SERVING]
        assert await probe(context.port, SERVICE) == SERVING
        context.set_ready(False)
        assert [await probe(health.port, name) for name in ("", SERVICE, LIVENESS)] == [
            NOT_SERVING,
            NOT_SERVING,
            SERVING,
        ]
    await health.close()


async def test_a_service_that_stops_is_not_ready_but_alive_until_it_has_ended(tmp_path: Path):
    health = Health()
    await health.listen("127.0.0.1:0")
    async with bars_service(service_settings(tmp_path)):
        pass
    context = await open_context(service_settings(tmp_path), LOG, health)
    context.set_ready(True)
    await context.close()
    assert [await probe(health.port, name) for name in ("", LIVENESS)] == [NOT_SERVING, SERVING]
    await health.close()


async def test_a_port_for_probes_that_is_taken_ends_the_process(tmp_path: Path):
    other = Health()
    await other.listen("127.0.0.1:0")
    settings = service_settings(tmp_path, health_listen=f"127.0.0.1:{other.port}")

    async def run(context: Context) -> None:
        raise AssertionError

    assert await main._live(settings, run, LOG) == 1
    await other.close()


@pytest.mark.parametrize("server", ["nats://127.0.0.1:1", "nats://leadline-nats.nowhere.invalid:4222"])
async def test_a_service_without_its_bus_waits_alive_and_not_ready_until_it_is_told_to_stop(
    tmp_path: Path, monkeypatch, server: str
):
    monkeypatch.setattr("leadline.runtime.bus.bus.TIMEOUT_SECONDS", 0.2)
    (tmp_path / "password").write_text("x")
    nats = NatsSettings(servers=(server,), user="venue-default", password_file=tmp_path / "password")
    health = Health()
    await health.listen("127.0.0.1:0")
    port = health.port
    await health.close()
    settings = service_settings(tmp_path, "venue", nats=nats, health_listen=f"127.0.0.1:{port}")

    async def run(context: Context) -> None:
        raise AssertionError

    life = asyncio.create_task(main._live(settings, run, LOG))
    await until_alive(port)
    done, _ = await asyncio.wait({life}, timeout=1)
    assert not done
    assert await probe(port, "") == NOT_SERVING
    signal.raise_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await life == 0


async def until_alive(port: int) -> None:
    async with asyncio.timeout(10), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service=LIVENESS)
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, wait_for_ready=True)
        assert answer.status == SERVING


# --- keys ------------------------------------------------------------------------------------------------------------


def test_a_derived_key_is_what_a_template_computes_too():
    expected = hashlib.sha256(b"master-of-thirty-two-bytes-or-so/team-a/execution").hexdigest()
    assert derive_key("master-of-thirty-two-bytes-or-so", "team-a", "execution") == expected
    assert derive_key("m", PLATFORM_NAMESPACE, "risk") != derive_key("m", "team-a", "risk")


async def test_each_peer_is_called_with_its_own_key_and_another_ones_is_refused(tmp_path: Path):
    own, other = derive_key(KEY, "a", "aggregation"), derive_key(KEY, "b", "aggregation")
    for name, key in (("own", own), ("other", other)):
        (tmp_path / name).write_text(key + "\n")
    server = service_settings(tmp_path, "aggregation", token_key_file=tmp_path / "own")
    async with bars_service(server) as service:
        # Execution may not read bars, and is told so: its token was believed.
        believed, refused = "execution has the role execution", "not signed with this platform's key"
        for key, told in (("own", believed), ("other", refused), ("", refused)):
            client = service_settings(
                tmp_path,
                "execution",
                peers={"aggregation": f"127.0.0.1:{service.port}"},
                peer_key_files={} if not key else {"aggregation": tmp_path / key},
            )
            async with context_of(client) as caller:
                with pytest.raises(grpc.aio.AioRpcError, match=told):
                    await get_bars(caller.channel("aggregation"))


def test_a_key_for_a_peer_that_is_not_called_is_a_mistake(tmp_path: Path):
    text = service_settings(tmp_path, peers={"venue": "venue:1"}).model_dump_json()
    path = tmp_path / "settings.json"
    path.write_text(text.replace('"peer_key_files":{}', '"peer_key_files":{"risk":"/key"}'))
    with pytest.raises(InvalidInput, match="peer_key_files names what peers does not: risk"):
        load_settings(path)


async def test_the_code_of_a_strategy_that_is_not_this_packages_has_the_name_that_the_settings_give(tmp_path: Path):
    async with context_of(service_settings(tmp_path, code_version="registry/mine@sha256:1")) as context:
        assert context.code_version == "registry/mine@sha256:1"


# --- connections -----------------------------------------------------------------------------------------------------


def token_of(role: str = "cli-viewer") -> str:
    return mint_token(KEY, role, "ada", "aggregation")


def certificate(authority: Authority, name: str, *hosts: str) -> TlsSettings:
    """A server's certificate for its hosts, or a client's."""
    shown, key = authority.issue(name, hosts=hosts)
    return TlsSettings(certificate_file=shown, key_file=key, ca_file=authority.certificate)


async def test_with_tls_both_ends_show_a_certificate_of_the_same_authority(tmp_path: Path):
    authority, stranger = Authority(tmp_path / "ca"), Authority(tmp_path / "stranger")
    settings = service_settings(tmp_path, "aggregation", tls=certificate(authority, "aggregation", "localhost"))
    async with bars_service(settings) as service:
        believed = await call_with_tls(service.port, certificate(authority, "execution"))
        assert believed is grpc.StatusCode.PERMISSION_DENIED
        unknown = certificate(stranger, "execution")
        assert await call_with_tls(service.port, unknown) is grpc.StatusCode.UNAVAILABLE
        forged = unknown.model_copy(update={"ca_file": authority.certificate})
        assert await call_with_tls(service.port, forged) is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError) as plain:
            async with grpc.aio.insecure_channel(f"localhost:{service.port}") as channel:
                await get_bars(channel)
        assert plain.value.code() is grpc.StatusCode.UNAVAILABLE


def copied(tls: TlsSettings, folder: Path) -> TlsSettings:
    """The same certificate where a volume shows it, replacing what is there all at once, as a kubelet does."""
    folder.mkdir(exist_ok=True)
    version = Path(tempfile.mkdtemp(dir=folder))
    for name in TlsSettings.model_fields:
        shutil.copy(getattr(tls, name), version / name)
    (folder / "next").symlink_to(version)
    (folder / "next").rename(folder / "data")
    return TlsSettings(**{name: folder / "data" / name for name in TlsSettings.model_fields})


async def test_a_renewed_certificate_counts_for_the_next_connection_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.0)
    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    server_files, client_files = tmp_path / "server", tmp_path / "client"
    served = copied(certificate(first, "aggregation", "localhost"), server_files)
    shown = copied(certificate(first, "execution"), client_files)
    async with bars_service(service_settings(tmp_path, "aggregation", tls=served)) as service:
        settings = service_settings(
            tmp_path, "execution", peers={"aggregation": f"localhost:{service.port}"}, tls=shown
        )
        async with context_of(settings) as context:
            channel = context.channel("aggregation")
            stub = aggregation_pb2_grpc.AggregationServiceStub(channel)

            async def status() -> grpc.StatusCode:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await stub.GetBars(aggregation_pb2.GetBarsRequest(), timeout=5)
                return refused.value.code()

            assert await status() is grpc.StatusCode.PERMISSION_DENIED
            copied(certificate(second, "aggregation", "localhost"), server_files)
            # The connection that was made before goes on; a new one finds another authority than it believes in.
            assert await status() is grpc.StatusCode.PERMISSION_DENIED
            assert await call_with_tls(service.port, certificate(first, "stale")) is grpc.StatusCode.UNAVAILABLE
            copied(certificate(second, "execution"), client_files)
            assert await status() is grpc.StatusCode.PERMISSION_DENIED
            assert await call_with_tls(service.port, certificate(second, "new")) is grpc.StatusCode.PERMISSION_DENIED


def test_certificates_that_do_not_belong_together_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.0)
    authority = Authority(tmp_path)
    mine, other = certificate(authority, "mine"), certificate(authority, "other")
    seen = certificates.Certificates(mine)
    first = seen.current()
    shutil.copy(other.certificate_file, mine.certificate_file)
    assert seen.current() is first
    mine.key_file.unlink()
    assert seen.current() is first
    shutil.copy(other.key_file, mine.key_file)
    assert seen.current().key == other.key_file.read_bytes()
    assert seen.current() is seen.current()
    with pytest.raises(OSError, match="absent"):
        certificates.Certificates(mine.model_copy(update={"key_file": tmp_path / "absent"}))


async def call_with_tls(port: int, tls: TlsSettings) -> grpc.StatusCode:
    """The status of a call as execution; the directory of its certificate holds its key too."""
    settings = service_settings(tls.key_file.parent, "execution", peers={"aggregation": f"localhost:{port}"}, tls=tls)
    async with context_of(settings) as context:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await get_bars(context.channel("aggregation"))
    return refused.value.code()


async def test_an_old_connection_is_given_up_and_the_next_call_finds_another(tmp_path: Path):
    settings = service_settings(
        tmp_path, "aggregation", connection_age={"seconds": 1, "grace_seconds": 1}, params={"account": "default/paper"}
    )
    async with (
        bars_service(settings) as service,
        grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=[("grpc.enable_retries", 0)]) as channel,
    ):
        metadata = (("authorization", f"Bearer {token_of()}"),)
        stub = aggregation_pb2_grpc.AggregationServiceStub(channel)
        states: set[grpc.ChannelConnectivity] = set()
        lost: list[grpc.StatusCode] = []
        ends = asyncio.get_running_loop().time() + 2.5
        while asyncio.get_running_loop().time() < ends:
            try:
                await stub.GetBars(aggregation_pb2.GetBarsRequest(), metadata=metadata, timeout=5)
            except grpc.aio.AioRpcError as error:
                lost.append(error.code())
            await asyncio.sleep(0.002)
            states.add(channel.get_state())
        await stub.GetBars(aggregation_pb2.GetBarsRequest(), metadata=metadata, timeout=5)
    # A call that crosses the server's farewell may be lost, one for each connection, and is told so.
    assert lost in ([], [grpc.StatusCode.UNAVAILABLE], [grpc.StatusCode.UNAVAILABLE] * 2)
    assert grpc.ChannelConnectivity.IDLE in states or grpc.ChannelConnectivity.CONNECTING in states


# --- runs ------------------------------------------------------------------------------------------------------------


def a_run(tape: str, *, finished: bool = False, instruments: str = "") -> Run:
    day = date(2026, 3, 2)
    return Run(RunId(tape), "sim", {ContractId("MESH6"): "sim"}, day, 0, (day,), (), 1, finished, instruments)


@pytest.mark.integration
async def test_a_service_waits_for_the_streams_of_the_bus_and_then_for_a_run(nats_server: LocalNats, tmp_path: Path):
    settings = service_settings(tmp_path, "venue", nats=nats_server.settings("venue"))
    async with bus_as(nats_server, MIGRATE_USER) as admin, asyncio.timeout(20):
        for stream in (TICKS, RUNS):
            await admin.api(f"STREAM.DELETE.{stream}")
        opening = asyncio.create_task(open_context(settings, LOG))
        assert not (await asyncio.wait({opening}, timeout=0.3))[0]
        await make_streams(admin)
        context = await opening
        assert (await context.bus.state(TICKS)).messages == 0
        waiting = asyncio.create_task(context.current_run())
        assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
        async with bus_as(nats_server, "ingestion") as ingestion:
            await announce_run(ingestion, a_run("r1"))
        assert await waiting == a_run("r1")
        await context.close()


@pytest.mark.integration
async def test_a_service_takes_no_run_of_other_instruments_than_its_own(nats_server: LocalNats, tmp_path: Path):
    settings = service_settings(tmp_path, "venue", nats=nats_server.settings("venue"))
    async with bus_as(nats_server, "ingestion") as ingestion, asyncio.timeout(20):
        await announce_run(ingestion, a_run("of-others", instruments="another digest"))
        context = await open_context(settings, LOG)
        waiting = asyncio.create_task(context.current_run())
        await announce_run(ingestion, a_run("of-others", instruments="another digest", finished=True))
        await announce_run(ingestion, a_run("of-ours"))
        assert await waiting == a_run("of-ours")
        await context.close()


@pytest.mark.integration
async def test_a_service_ends_well_when_another_run_is_opened_and_stays_for_its_own(
    nats_server: LocalNats, tmp_path: Path
):
    started = asyncio.Event()

    async def run(context: Context) -> None:
        await context.current_run()
        started.set()
        await context.stopping.wait()

    settings = service_settings(tmp_path, "venue", nats=nats_server.settings("venue"))
    async with bus_as(nats_server, "ingestion") as ingestion, asyncio.timeout(20):
        await announce_run(ingestion, a_run("r1"))
        life = asyncio.create_task(main._live(settings, run, LOG))
        await started.wait()
        await announce_run(ingestion, a_run("r1", finished=True))
        done, _ = await asyncio.wait({life}, timeout=0.3)
        assert not done
        await announce_run(ingestion, a_run("r2"))
        assert await life == 0
