"""The service on a real bus: what comes out is what the cores say, once, whatever restarts."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog

from leadline.analysis import service
from leadline.analysis.assemble import strategy_fold
from leadline.analysis.hashing import analysis_hash
from leadline.analysis.publication import Publication
from leadline.analysis.v1 import analysis_pb2 as pb
from leadline.analysis.v1 import analysis_pb2_grpc as rpc
from leadline.local.local_nats import LocalNats
from leadline.model.bars import Bar, BarMessage
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.manifest.specs import StrategySpec
from leadline.model.market.instruments import Instrument
from leadline.model.signals import BarSignals, Regime, RegimeReading, SignalMessage
from leadline.model.subjects import BARS, SIGNALS, bar_subject, signal_subject
from leadline.model.wire.bars import bar_key_to_proto, encode_bar
from leadline.model.wire.signals import bar_signals_from_proto, decode_signal
from leadline.runtime.bus.bus import Bus
from leadline.runtime.context import Context, open_context
from leadline.runtime.exit_codes import EXIT_REFUSED
from leadline.runtime.poison import handled_now
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.runs import Run, announce_run
from leadline.runtime.settings import ServiceSettings
from leadline.runtime.version import code_version
from tests.analysis.builders import MINUTE, MONDAY, random_tape
from tests.stack import OlderStore, bus_as

pytestmark = pytest.mark.integration

KEY = "a key that is long enough to sign tokens with"
TRADED = MONDAY + timedelta(days=1)
SPEC = {"instrument": "MES", "history": 1, "strategy": {"name": "OrderFlow"}}
SUBJECT = signal_subject(RunId("run-1"), AccountId("default/paper"), StrategyId("default/mes"))
ONE = """
import sys
from pathlib import Path
from leadline.runtime.main import run_service
sys.exit(run_service("analysis", Path(sys.argv[1])))
"""
BAR_SUBJECT = bar_subject(RunId("run-1"), "cme", ContractId("MESZ2025"), "rth", "5m-r1")


def tape(bars_a_day=40) -> list[BarMessage]:
    """A history session and a traded one, with progress after each bar and the tape's end."""
    messages = []
    for bar in random_tape(seed=9, days=2, bars_a_day=bars_a_day):
        messages.append(
            BarMessage(RunId("run-1"), "cme", ContractId("MESZ2025"), bar.known_at_ns, final=False, bar=bar)
        )
        messages.append(
            BarMessage(RunId("run-1"), "cme", ContractId("MESZ2025"), bar.known_at_ns + MINUTE, final=False, bar=None)
        )
    end_ns = messages[-1].progress_ns + MINUTE
    return [*messages, BarMessage(RunId("run-1"), "cme", ContractId("MESZ2025"), end_ns, final=True, bar=None)]


def expected(messages: Sequence[BarMessage], spec: dict[str, Any] | None = None) -> list[SignalMessage]:
    spec = spec or SPEC
    fold = strategy_fold(StrategySpec.model_validate_json(json.dumps(spec)), TRADED)
    one = Publication(
        RunId("run-1"),
        AccountId("default/paper"),
        StrategyId("default/mes"),
        analysis_hash(code_version(), spec),
        fold,
        None,
    )
    return [answers for message in messages if (answers := one.step(message)) is not None]


async def announce(nats: LocalNats, contract="MESZ2025") -> None:
    run = Run(RunId("run-1"), "sim", {contract: "cme"}, TRADED, 1, (MONDAY, TRADED), (), 0)
    async with bus_as(nats, "ingestion") as bus:
        await announce_run(bus, run)


async def publish(bus: Bus, messages: Sequence[BarMessage], first: int = 0) -> None:
    await bus.publish_many(
        [(BAR_SUBJECT, encode_bar(message), f"{BAR_SUBJECT}/{n}") for n, message in enumerate(messages, start=first)]
    )


async def published(bus: Bus, count: int) -> list[SignalMessage]:
    """The first `count` messages on the strategy's subject; waits for them."""
    found: list[SignalMessage] = []
    async with aclosing(bus.ordered(SIGNALS, SUBJECT)) as messages:
        async for message in messages:
            found.append(decode_signal(message.payload))
            if len(found) == count:
                break
    return found


@asynccontextmanager
async def running(nats: LocalNats, folder: Path, spec: dict[str, Any] | None = None) -> AsyncIterator[Context]:
    """The service on a free port, until the end of the block."""
    context = await open_context(settings_of(nats, folder, spec), structlog.stdlib.get_logger())
    task = asyncio.create_task(service.run(context))
    try:
        yield context
    finally:
        context.stopping.set()
        await task
        await context.close()


def settings_of(nats: LocalNats, folder: Path, spec: dict[str, Any] | None = None) -> ServiceSettings:
    """What the service is told; its files are in a folder."""
    key = folder / "key"
    key.write_text(KEY)
    return ServiceSettings(
        service="analysis",
        workload="analysis-default-mes",
        listen="127.0.0.1:0",
        metrics_listen="127.0.0.1:0",
        nats=nats.settings("analysis"),
        data_dir=folder,
        token_key_file=key,
        params={"account": "default/paper", "strategy": "default/mes", "spec": spec or SPEC},
    )


@asynccontextmanager
async def calls(context: Context) -> "AsyncIterator[rpc.AnalysisServiceAsyncStub]":
    """A viewer's stub, as soon as the service listens."""
    while not context.port:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    channel = open_channel(f"127.0.0.1:{context.port}", token_source(one_key(KEY), "cli-viewer", "ann", "analysis"))
    try:
        await channel.channel_ready()
        yield rpc.AnalysisServiceStub(channel)
    finally:
        await channel.close(None)


async def test_what_is_published_is_what_the_cores_say(nats_server: LocalNats, tmp_path):
    messages = tape()
    await announce(nats_server)
    async with (
        bus_as(nats_server, "aggregation") as bars,
        bus_as(nats_server, "execution") as reader,
        running(nats_server, tmp_path),
    ):
        await publish(bars, messages)
        found = await published(reader, len(messages))
    assert found == expected(messages)
    assert sum(message.bar is not None for message in found) == 40
    assert found[-1].final


async def test_a_restarted_service_publishes_the_rest_and_nothing_twice(nats_server: LocalNats, tmp_path):
    messages = tape()
    await announce(nats_server)
    async with bus_as(nats_server, "aggregation") as bars, bus_as(nats_server, "execution") as reader:
        for end in (30, 97, 98, len(messages)):
            begin = (await bars.state(BARS)).messages
            await publish(bars, messages[begin:end], first=begin)
            async with running(nats_server, tmp_path):
                await published(reader, end)
        found = await published(reader, len(messages))
        assert (await reader.state(SIGNALS)).messages == len(messages)
    assert found == expected(messages)


async def test_what_the_bus_has_lost_is_said_again_by_the_service_that_lives_on(nats_server: LocalNats, tmp_path):
    """A message behind the hole would let the account pass by the bars in it."""
    messages = tape()
    await announce(nats_server)
    async with bus_as(nats_server, "aggregation") as bars, bus_as(nats_server, "execution") as reader:
        await publish(bars, messages[:98])
        async with running(nats_server, tmp_path):
            await published(reader, 98)
            older = OlderStore(nats_server, tmp_path)
            await publish(bars, messages[98:140], first=98)
            await published(reader, 140)
            older.put_back()
            await bars.resume(BARS, BAR_SUBJECT)
            await publish(bars, messages[98:], first=98)
            found = await published(reader, len(messages))
            assert (await reader.state(SIGNALS)).messages == len(messages)
    assert found == expected(messages)


async def test_new_settings_speak_about_every_bar_again(nats_server: LocalNats, tmp_path):
    messages, other = tape(), {**SPEC, "strategy": {"name": "OrderFlow", "router": {"minStrength": "0.1"}}}
    await announce(nats_server)
    async with bus_as(nats_server, "aggregation") as bars, bus_as(nats_server, "execution") as reader:
        await publish(bars, messages)
        async with running(nats_server, tmp_path):
            await published(reader, len(messages))
        async with running(nats_server, tmp_path, other):
            found = await published(reader, 2 * len(messages))
    assert found == expected(messages) + expected(messages, other)


async def test_signals_can_be_followed_and_resumed(nats_server: LocalNats, tmp_path):
    messages = tape()
    answers = [message.bar for message in expected(messages) if message.bar is not None]
    await announce(nats_server)
    async with bus_as(nats_server, "aggregation") as bars, running(nats_server, tmp_path) as context:
        await publish(bars, messages)
        async with calls(context) as stub:
            whole = [answer async for answer in stub.StreamSignals(pb.StreamSignalsRequest())]
            after = bar_key_to_proto(answers[9].bar)
            rest = [answer async for answer in stub.StreamSignals(pb.StreamSignalsRequest(after=after))]
            request = pb.StreamSignalsRequest(only_with_signals=True)
            loud = [answer async for answer in stub.StreamSignals(request)]
    assert opinions_in(whole) == answers
    assert whole[-1].final
    assert opinions_in(rest) == answers[10:]
    assert opinions_in(loud) == [one for one in answers if one.signals]
    assert 0 < len(loud) - 1 < len(answers)


def opinions_in(answers: Sequence[pb.StreamSignalsResponse]) -> list[BarSignals]:
    return [bar_signals_from_proto(answer.bar) for answer in answers if answer.HasField("bar")]


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ({"contract": "ESZ2025", "session": "rth", "spec": "5m-r1", "trading_day": "2025-11-18"}, "after"),
        ({"contract": "MESZ2025", "session": "rth", "spec": "5m-r1", "trading_day": "today"}, "after.trading_day"),
    ],
)
async def test_a_cursor_of_other_bars_is_refused(nats_server: LocalNats, tmp_path, key, field):
    await announce(nats_server)
    async with running(nats_server, tmp_path) as context, calls(context) as stub:
        request = pb.StreamSignalsRequest()
        for name, value in key.items():
            setattr(request.after, name, value)
        with pytest.raises(grpc.aio.AioRpcError, match=field) as refusal:
            await anext(aiter(stub.StreamSignals(request)))
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_detectors_are_listed_with_their_thresholds(nats_server: LocalNats, tmp_path):
    await announce(nats_server)
    async with running(nats_server, tmp_path) as context, calls(context) as stub:
        answer = await stub.ListDetectors(pb.ListDetectorsRequest())
    assert (answer.strategy, answer.analysis_hash) == ("default/mes", analysis_hash(code_version(), SPEC))
    found = {detector.name: detector for detector in answer.detectors}
    assert list(found) == ["imbalance", "stacked", "exhaustion", "absorption", "divergence", "unfinished"]
    assert dict(found["imbalance"].thresholds) == {"ratio": "3", "minVolume": "5", "zero": "AsOne"}
    assert dict(found["exhaustion"].thresholds) == {"levels": "3", "within": "5", "drop": "0.3", "minVolume": "5"}
    assert list(found["stacked"].patterns) == ["STACKED_BUY_IMBALANCE", "STACKED_SELL_IMBALANCE"]
    assert all(detector.enabled for detector in answer.detectors)


async def test_a_feed_without_the_contract_ends_the_process(nats_server: LocalNats, tmp_path):
    await announce(nats_server, contract="NQZ2025")
    async with running(nats_server, tmp_path) as context:
        with pytest.raises(InvalidInput, match=r"MESZ2025.*NQZ2025"):
            await context.crashed


class Deadly:
    """A strategy that has nothing to say, and whose third bar ends its process without a word."""

    def __init__(self, parameters: Mapping[str, object], instrument: Instrument) -> None:
        self._bars = 0

    def warm(self, bar: Bar) -> None:
        """Nothing is kept of earlier days."""

    def on_bar(self, bar: Bar) -> BarSignals:
        self._bars += 1
        if self._bars == 3:
            os._exit(9)
        calm = RegimeReading(Regime.NO_TRADE, Decimal(1), Decimal(0), "quiet")
        return BarSignals(bar.key, bar.known_at_ns, bar.close, bar.session_open_ns, bar.session_close_ns, calm, ())


async def test_a_strategy_that_kills_its_process_three_times_is_given_up_at_that_bar(nats_server: LocalNats, tmp_path):
    await announce(nats_server)
    async with bus_as(nats_server, "aggregation") as bars:
        await publish(bars, tape())
    spec = {**SPEC, "strategy": {"entryPoint": "tests.analysis.test_service:Deadly"}}
    file = tmp_path / "settings.json"
    file.write_text(settings_of(nats_server, tmp_path, spec).model_dump_json())
    codes, answers = [], b""
    for _ in range(4):
        ended = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ONE, str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        answers, _ = await ended.communicate()
        codes.append(ended.returncode)
    assert codes == [9, 9, 9, EXIT_REFUSED]
    assert "3 processes in a row ended while they handled BARS" in answers.decode()
    before = [message for message in expected(tape()) if message.bar is not None][2].progress_ns
    count = sum(message.progress_ns < before for message in expected(tape()))
    async with bus_as(nats_server, "execution") as reader:
        found = await published(reader, count)
        last = await reader.last(SIGNALS, SUBJECT)
    assert sum(message.bar is not None for message in found) == 2
    assert last is not None
    assert decode_signal(last.payload) == found[-1]


class Curious(Deadly):
    """A strategy that reads at its second bar what others read of a process that never returns from there."""

    folder = Path()
    mark: tuple[str, str] | None = None

    def on_bar(self, bar: Bar) -> BarSignals:
        if self._bars == 1:
            Curious.mark = handled_now(self.folder)
        self._bars = min(self._bars, 1)
        return super().on_bar(bar)


async def test_others_can_read_at_which_bar_a_strategy_is(nats_server: LocalNats, tmp_path):
    Curious.folder = tmp_path
    await announce(nats_server)
    async with bus_as(nats_server, "aggregation") as bars:
        await publish(bars, tape())
    spec = {**SPEC, "strategy": {"entryPoint": "tests.analysis.test_service:Curious"}}
    async with running(nats_server, tmp_path, spec), bus_as(nats_server, "execution") as reader:
        await published(reader, len(expected(tape())))
    second = [each.bar for each in tape() if each.bar is not None and each.bar.key.trading_day == TRADED][1]
    begins = datetime.fromtimestamp(second.start_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert Curious.mark is not None
    assert Curious.mark[0].startswith(f"BARS 83 {BAR_SUBJECT}")
    assert Curious.mark[1] == f"the bar of MESZ2025 that begins {begins}"
    assert handled_now(tmp_path) is None
