"""What a running stack says, gathered over gRPC into one picture that a view can draw at any moment."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, Final

import grpc
import orjson

from leadline.aggregation.v1 import aggregation_pb2
from leadline.analysis.v1 import analysis_pb2
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local.calls import CALL_SECONDS, Services
from leadline.model.signals import Direction
from leadline.model.v1 import model_pb2
from leadline.views.convert import bar_key_text, signal_view
from leadline.views.signals import DecisionView, PatternLine, by_pattern, decision_view
from leadline.views.stack import Stack, StrategyAddress, StrategyMonth

LOOK_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 0.5
KEPT_BARS: Final = 8
# The market side runs ahead of the accounts by far when a tape is replayed at full speed.
KEPT_SIGNALS: Final = 2000
# Fates outlive the signals that are shown by far: a decision may come before or after its signal.
KEPT_FATES: Final = 2000


@dataclass(slots=True)
class Rate:
    """Prints of a contract per second of wall time, between the last two looks that differ."""

    ticks: int = 0
    at: float = 0.0
    per_second: float = 0.0

    def look(self, ticks: int, now: float) -> None:
        """Note how many there are by now."""
        if self.at and now > self.at:
            self.per_second = max(0, ticks - self.ticks) / (now - self.at)
        self.ticks, self.at = ticks, now


@dataclass(frozen=True, slots=True)
class SaidBar:
    """What a strategy said at one bar, as lines; `long` holds the patterns that speak for a rise."""

    strategy: str
    bar: str
    known_at_ns: int
    lines: tuple[PatternLine, ...]
    long: frozenset[str]


@dataclass(slots=True)
class Scene:
    """The picture. Bars and regimes by strategy, states and positions by account, fates by strategy and bar key.

    `unfinished` is by contract, session and specification: what of a tape that has ended is in no bar of that series.
    """

    feed: ingestion_pb2.GetFeedStatusResponse | None = None
    rates: dict[str, Rate] = field(default_factory=dict)
    bars: dict[str, deque[model_pb2.Bar]] = field(default_factory=dict)
    bar_count: int = 0
    unfinished: dict[tuple[str, str, str], model_pb2.UnfinishedBar] = field(default_factory=dict)
    regimes: dict[str, model_pb2.RegimeReading] = field(default_factory=dict)
    said: deque[SaidBar] = field(default_factory=lambda: deque(maxlen=KEPT_SIGNALS))
    signal_count: int = 0
    fates: dict[tuple[str, str], DecisionView] = field(default_factory=dict)
    fills: int = 0
    states: dict[str, execution_pb2.GetStateResponse] = field(default_factory=dict)
    positions: dict[str, list[execution_pb2.Position]] = field(default_factory=dict)

    def end(self, bar: model_pb2.UnfinishedBar) -> None:
        """Note what of a series is in no bar, each series once however many strategies read it."""
        self.unfinished[bar.bar.contract, bar.bar.session, bar.bar.spec] = bar

    def decide(self, body: dict[str, Any]) -> None:
        """Note a decision; the oldest go when there are too many."""
        self.fates[body["strategy"], body["bar_key"]] = decision_view(body)
        if len(self.fates) > KEPT_FATES:
            del self.fates[next(iter(self.fates))]


async def follow(stack: Stack, services: Services, scene: Scene) -> None:
    """Keep the scene up to date until cancelled. A service that is away leaves its part of the picture as it was."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_insist(lambda: _feed(stack, services, scene)))
        for account in stack.accounts:
            group.create_task(_insist(partial(_account, stack, services, scene, account)))
            group.create_task(_insist(_Events(stack, services, scene, account).read))
        for strategy in stack.strategies:
            scene.bars[strategy.name] = deque(maxlen=KEPT_BARS)
            for month in strategy.months:
                group.create_task(_insist(_Bars(stack, services, scene, strategy, month).read))
            group.create_task(_insist(_Signals(stack, services, scene, strategy).read))


async def _insist(read: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await read()
        except grpc.aio.AioRpcError:
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            return


async def _feed(stack: Stack, services: Services, scene: Scene) -> None:
    stub = services.ingestion(stack.addresses["ingestion"])
    while True:
        scene.feed = await stub.GetFeedStatus(ingestion_pb2.GetFeedStatusRequest(), timeout=CALL_SECONDS)
        for item in scene.feed.contracts:
            scene.rates.setdefault(item.contract, Rate()).look(item.ticks, time.monotonic())
        await asyncio.sleep(LOOK_SECONDS)


async def _account(stack: Stack, services: Services, scene: Scene, account: str) -> None:
    stub = services.execution(stack.execution_of(account), account)
    while True:
        scene.states[account] = await stub.GetState(execution_pb2.GetStateRequest(), timeout=CALL_SECONDS)
        held = await stub.GetPositions(execution_pb2.GetPositionsRequest(), timeout=CALL_SECONDS)
        scene.positions[account] = list(held.positions)
        await asyncio.sleep(LOOK_SECONDS)


@dataclass(slots=True)
class _Events:
    stack: Stack
    services: Services
    scene: Scene
    account: str
    after: int = 0

    async def read(self) -> None:
        stub = self.services.execution(self.stack.execution_of(self.account), self.account)
        async for event in stub.StreamOrderEvents(execution_pb2.StreamOrderEventsRequest(after=self.after)):
            self.after = event.event
            if event.kind == "decision":
                self.scene.decide(orjson.loads(event.body_json))
            elif event.kind == "fill":
                self.scene.fills += 1


@dataclass(slots=True)
class _Bars:
    stack: Stack
    services: Services
    scene: Scene
    strategy: StrategyAddress
    month: StrategyMonth
    after: model_pb2.BarKey | None = None

    async def read(self) -> None:
        stub = self.services.aggregation(self.stack.addresses["aggregation"])
        stream = aggregation_pb2.BarStream(
            tape=self.stack.tape,
            contract=self.month.contract,
            session=self.strategy.session,
            spec=self.strategy.spec,
        )
        request = aggregation_pb2.StreamBarsRequest(stream=stream, after=self.after, candles_only=True)
        async for message in stub.StreamBars(request):
            if message.final:
                if message.HasField("unfinished"):
                    self.scene.end(message.unfinished)
                return
            self.after = message.bar.key
            if self.month.covers(date.fromisoformat(message.bar.key.trading_day)):
                self.scene.bars[self.strategy.name].append(message.bar)
            self.scene.bar_count += 1


@dataclass(slots=True)
class _Signals:
    stack: Stack
    services: Services
    scene: Scene
    strategy: StrategyAddress
    after: model_pb2.BarKey | None = None

    async def read(self) -> None:
        stub = self.services.analysis(self.stack.analysis_of(self.strategy.name))
        async for message in stub.StreamSignals(analysis_pb2.StreamSignalsRequest(after=self.after)):
            if message.final:
                return
            self.after = message.bar.bar
            self.scene.regimes[self.strategy.name] = message.bar.regime
            self.scene.signal_count += len(message.bar.signals)
            if message.bar.signals:
                self.scene.said.append(said_bar(self.strategy.name, message.bar))


def said_bar(strategy: str, bar: model_pb2.BarSignals) -> SaidBar:
    """A bar's signals, as they are shown."""
    signals = [signal_view(signal) for signal in bar.signals]
    rising = frozenset(item.pattern for item in signals if item.direction == Direction.LONG)
    return SaidBar(strategy, bar_key_text(bar.bar), bar.known_at_ns, tuple(by_pattern(signals)), rising)
