"""Follows a running stack over gRPC, and keeps a scene of it up to date."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final

import grpc
import orjson

from leadline.aggregation.v1 import aggregation_pb2
from leadline.analysis.v1 import analysis_pb2
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local.calls import CALL_SECONDS, Services
from leadline.model.ids import AccountId
from leadline.model.v1 import model_pb2
from leadline.runtime.retry import until_done
from leadline.views.convert import (
    account_view,
    bar_view,
    feed_view,
    position_view,
    regime_view,
    signalled_bar,
    unfinished_view,
)
from leadline.views.scene import KEPT_BARS, Rate, Scene
from leadline.views.stack import Stack, StrategyAddress, StrategyMonth

LOOK_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 0.5


async def follow(stack: Stack, services: Services, scene: Scene) -> None:
    """Keep the scene up to date until cancelled. A service that is away leaves its part of the picture as it was."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep_reading(lambda: _feed(stack, services, scene)))
        for account in stack.accounts:
            group.create_task(_keep_reading(partial(_account, stack, services, scene, account)))
            group.create_task(_keep_reading(_Events(stack, services, scene, account).read))
        for strategy in stack.strategies:
            scene.bars[strategy.name] = deque(maxlen=KEPT_BARS)
            for month in strategy.months:
                group.create_task(_keep_reading(_Bars(stack, services, scene, strategy, month).read))
            group.create_task(_keep_reading(_Signals(stack, services, scene, strategy).read))


async def _keep_reading(read: Callable[[], Awaitable[None]]) -> None:
    """Read to the end, from where it was whenever the service was away."""
    await until_done(read, "stack", (grpc.aio.AioRpcError,), most_s=AGAIN_SECONDS, quiet=True)


async def _feed(stack: Stack, services: Services, scene: Scene) -> None:
    stub = services.ingestion(stack.addresses["ingestion"])
    while True:
        scene.feed = feed_view(await stub.GetFeedStatus(ingestion_pb2.GetFeedStatusRequest(), timeout=CALL_SECONDS))
        for item in scene.feed.contracts:
            scene.rates.setdefault(item.contract, Rate()).look(item.prints, time.monotonic())
        await asyncio.sleep(LOOK_SECONDS)


async def _account(stack: Stack, services: Services, scene: Scene, account: AccountId) -> None:
    stub = services.execution(stack.execution_of(account), account)
    while True:
        scene.states[account] = account_view(await stub.GetState(execution_pb2.GetStateRequest(), timeout=CALL_SECONDS))
        held = await stub.GetPositions(execution_pb2.GetPositionsRequest(), timeout=CALL_SECONDS)
        scene.positions[account] = list(map(position_view, held.positions))
        await asyncio.sleep(LOOK_SECONDS)


@dataclass(slots=True)
class _Events:
    stack: Stack
    services: Services
    scene: Scene
    account: AccountId
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
                    self.scene.end(unfinished_view(message.unfinished))
                return
            self.after = message.bar.key
            if self.month.covers(date.fromisoformat(message.bar.key.trading_day)):
                self.scene.bars[self.strategy.name].append(bar_view(message.bar))
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
            bar = message.bar
            if bar.HasField("regime"):
                self.scene.regimes[self.strategy.name] = regime_view(bar.regime)
            self.scene.signal_count += len(bar.signals)
            if bar.signals or bar.proposals:
                self.scene.signalled.append(signalled_bar(self.strategy.name, bar))
