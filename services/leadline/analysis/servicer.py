"""The calls of the analysis service: what one strategy says, and what it looks for."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import grpc

from leadline.analysis.convert import detectors_to_proto
from leadline.analysis.v1 import analysis_pb2 as pb
from leadline.analysis.v1 import analysis_pb2_grpc as rpc
from leadline.model.bars import BarKey
from leadline.model.errors import InvalidInput
from leadline.model.ids import StrategyId
from leadline.model.subjects import SIGNALS
from leadline.model.wire.bars import bar_key_from_proto
from leadline.model.wire.signals import bar_signals_to_proto
from leadline.nodes.base import Detector
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import Intake, read_signal

ServicerContext = grpc.aio.ServicerContext[Any, Any]


class AnalysisServicer(rpc.AnalysisServiceServicer):
    """Answers for one strategy from its own subject of the signal stream.

    series: contract, session and bar specification of the bars that the strategy reads, one for each contract by now.
    detectors: those of the strategy, none where it is not made of them.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        subject: str,
        strategy: StrategyId,
        analysis_hash: str,
        series: Callable[[], frozenset[tuple[str, str, str]]],
        detectors: Sequence[Detector[Any, Any]],
    ) -> None:
        self._bus = bus
        self._subject = subject
        self._strategy = strategy
        self._hash = analysis_hash
        self._series = series
        self._detectors = detectors

    async def ListDetectors(
        self, request: pb.ListDetectorsRequest, context: ServicerContext
    ) -> pb.ListDetectorsResponse:
        detectors = detectors_to_proto(self._detectors)
        return pb.ListDetectorsResponse(strategy=self._strategy, analysis_hash=self._hash, detectors=detectors)

    async def StreamSignals(
        self, request: pb.StreamSignalsRequest, context: ServicerContext
    ) -> AsyncIterator[pb.StreamSignalsResponse]:
        after = self._place_after(request)
        intake = Intake(SIGNALS)
        async with aclosing(self._bus.ordered(SIGNALS, self._subject)) as messages:
            async for received in messages:
                message = intake.usable(received, read_signal)
                if message is None or message.analysis_hash != self._hash:
                    continue
                if message.bar is not None and (after is None or _place(message.bar.bar) > after):
                    after = _place(message.bar.bar)
                    if message.bar.signals or message.bar.proposals or not request.only_with_signals:
                        yield pb.StreamSignalsResponse(bar=bar_signals_to_proto(message.bar))
                if message.final:
                    yield pb.StreamSignalsResponse(final=True)
                    return

    def _place_after(self, request: pb.StreamSignalsRequest) -> tuple[int, int] | None:
        if not request.HasField("after"):
            return None
        try:
            after = bar_key_from_proto(request.after)
        except ValueError as error:
            raise InvalidInput("after.trading_day", request.after.trading_day, "an ISO 8601 date") from error
        known = self._series()
        if (after.contract, after.session, after.spec) not in known:
            expected = " or ".join("/".join(series) for series in sorted(known))
            raise InvalidInput("after", after.text(), f"a bar of {expected}")
        return _place(after)


def _place(bar: BarKey) -> tuple[int, int]:
    return bar.trading_day.toordinal(), bar.ordinal
