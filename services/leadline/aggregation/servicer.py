"""The calls of the aggregation service: bars as they close, and bars of the past."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

import grpc

from leadline.aggregation.demand import Series
from leadline.aggregation.v1 import aggregation_pb2 as pb
from leadline.aggregation.v1 import aggregation_pb2_grpc as rpc
from leadline.model.bars import BarKey, BarMessage
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId, RunId
from leadline.model.market.contracts import instrument_of
from leadline.model.subjects import BARS, bar_subject
from leadline.model.v1 import model_pb2
from leadline.model.wire.bars import bar_key_from_proto, bar_to_proto, unfinished_to_proto
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import Intake, last_usable, read_bar
from leadline.runtime.runs import Run

DEFAULT_PAGE_BARS: Final = 500
LARGEST_PAGE_BARS: Final = 5000
# A reply must stay under the 4 MiB that a gRPC client accepts.
LARGEST_PAGE_BYTES: Final = 3 * 1024 * 1024

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")

ServicerContext = grpc.aio.ServicerContext[Any, Any]


class AggregationServicer(rpc.AggregationServiceServicer):
    """Answers from the stream of bars.

    run: the tape that an empty tape means. series: what is built at the moment.
    """

    def __init__(self, bus: Bus, run: Run, series: Callable[[], Sequence[Series]]) -> None:
        self._bus = bus
        self._run = run
        self._series = series

    async def StreamBars(
        self, request: pb.StreamBarsRequest, context: ServicerContext
    ) -> AsyncIterator[pb.StreamBarsResponse]:
        subject = await self._subject(request.stream)
        after = _place_after(request)
        async with aclosing(self._messages(subject, after)) as messages:
            async for message in messages:
                if message.bar is not None:
                    yield pb.StreamBarsResponse(bar=bar_to_proto(message.bar, rows=not request.candles_only))
                if message.final:
                    yield pb.StreamBarsResponse(final=True, unfinished=unfinished_to_proto(message.unfinished))
                    return

    async def GetBars(self, request: pb.GetBarsRequest, context: ServicerContext) -> pb.GetBarsResponse:
        _check_range(request)
        subject = await self._subject(request.stream)
        page = _Page(request.limit or DEFAULT_PAGE_BARS)
        last = await self._bus.last(BARS, subject)
        if last is None:
            return page.response
        async with aclosing(self._messages(subject, None, up_to=last.sequence)) as messages:
            async for message in messages:
                bar = message.bar
                if bar is None or bar.known_at_ns < request.from_ns:
                    continue
                if request.to_ns and bar.known_at_ns >= request.to_ns:
                    break
                if not page.add(bar_to_proto(bar, rows=not request.candles_only)):
                    break
        return page.response

    async def ListSeries(self, request: pb.ListSeriesRequest, context: ServicerContext) -> pb.ListSeriesResponse:
        built = sorted(self._series(), key=lambda each: (each.contract, each.hours.id, each.spec))
        return pb.ListSeriesResponse(series=[await self._reached(each) for each in built])

    async def _reached(self, series: Series) -> pb.Series:
        subject = bar_subject(self._run.tape, series.venue, series.contract, series.hours.id, series.spec)
        last = await last_usable(self._bus, BARS, subject, read_bar)
        return pb.Series(
            contract=series.contract,
            session=series.hours.id,
            spec=series.spec,
            progress_ns=0 if last is None else last.progress_ns,
            final=last is not None and last.final,
            unfinished=None if last is None else unfinished_to_proto(last.unfinished),
        )

    async def _messages(
        self, subject: str, after: tuple[int, int] | None, *, up_to: int | None = None
    ) -> AsyncGenerator[BarMessage, None]:
        """Messages of a subject to the one with the sequence `up_to`, each bar after the place `after` once."""
        intake = Intake(BARS)
        async with aclosing(self._bus.ordered(BARS, subject)) as messages:
            async for received in messages:
                message = intake.usable(received, read_bar)
                if message is None:
                    pass
                elif message.bar is None:
                    yield message
                elif after is None or _place(message.bar.key) > after:
                    after = _place(message.bar.key)
                    yield message
                if up_to is not None and received.sequence >= up_to:
                    return

    async def _subject(self, stream: pb.BarStream) -> str:
        """Where the bars are. Raises InvalidInput for a malformed name, and Unknown when there are no such bars."""
        for field in ("tape", "contract", "session", "spec"):
            value = getattr(stream, field)
            if not _TOKEN.fullmatch(value) and (value or field != "tape"):
                raise InvalidInput(f"stream.{field}", value, "letters, digits, - and _")
        tape = RunId(stream.tape) if stream.tape else self._run.tape
        contract = ContractId(stream.contract)
        if tape == self._run.tape:
            if contract not in self._run.contracts:
                raise Unknown("contract", contract, tuple(self._run.contracts))
            venue = self._run.contracts[contract]
        else:
            venue = instrument_of(contract).venue
        subject = bar_subject(tape, venue, contract, stream.session, stream.spec)
        name = f"{stream.contract}/{stream.session}/{stream.spec}"
        built = tuple(f"{series.contract}/{series.hours.id}/{series.spec}" for series in self._series())
        if (tape != self._run.tape or name not in built) and await self._bus.last(BARS, subject) is None:
            raise Unknown("bars", name, built)
        return subject


class _Page:
    """Bars up to a number and a size, never ending inside an instant, so that the next page can begin at one."""

    def __init__(self, most_bars: int) -> None:
        self.response = pb.GetBarsResponse()
        self._most_bars = most_bars
        self._bytes = 0

    def add(self, bar: model_pb2.Bar) -> bool:
        """Take a bar; False when it belongs to the next page."""
        bars = self.response.bars
        full = len(bars) >= self._most_bars or self._bytes + bar.ByteSize() > LARGEST_PAGE_BYTES
        if bars and full and bar.known_at_ns > bars[-1].known_at_ns:
            self.response.next_from_ns = bar.known_at_ns
            return False
        bars.append(bar)
        self._bytes += bar.ByteSize()
        return True


def _check_range(request: pb.GetBarsRequest) -> None:
    if request.from_ns < 0:
        raise InvalidInput("from_ns", request.from_ns, "nanoseconds since 1970, or 0")
    if request.to_ns and request.to_ns <= request.from_ns:
        raise InvalidInput("to_ns", request.to_ns, f"0, or an instant after from_ns {request.from_ns}")
    if not 0 <= request.limit <= LARGEST_PAGE_BARS:
        raise InvalidInput("limit", request.limit, f"1 to {LARGEST_PAGE_BARS}, or 0 for {DEFAULT_PAGE_BARS}")


def _place_after(request: pb.StreamBarsRequest) -> tuple[int, int] | None:
    if not request.HasField("after"):
        return None
    try:
        after = bar_key_from_proto(request.after)
    except ValueError as error:
        raise InvalidInput("after.trading_day", request.after.trading_day, "an ISO 8601 date") from error
    stream = request.stream
    if (after.contract, after.session, after.spec) != (stream.contract, stream.session, stream.spec):
        raise InvalidInput("after", after.text(), f"a bar of {stream.contract}/{stream.session}/{stream.spec}")
    return _place(after)


def _place(key: BarKey) -> tuple[int, int]:
    return key.trading_day.toordinal(), key.ordinal
