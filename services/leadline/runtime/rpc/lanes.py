"""How many calls of each kind a server answers at a time, so that none of them can take another's place.

Every method has slots of its own. A call beyond them is refused, with `RESOURCE_EXHAUSTED`, before its message is
looked at: a hundred readers are no reason for a halt to wait, nor for a probe to fail. To refuse is work as well. So
there is a pace for it, and a caller who asks again at once waits for the next refusal. What computes an answer for
somebody who only wants to know has a small share of the process besides.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from leadline.model.counted import counted
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.services import READ_SLOTS, methods_of
from leadline.runtime import measurements
from leadline.runtime.rpc.errors import status_of
from leadline.runtime.rpc.pace import Pace, Share

OPEN_REQUEST_SECONDS: Final = 2.0
"""How long a caller without a token has for saying what it asks, while there is room for it."""

MOST_SILENT: Final = 512
"""Calls of one method without a token that may not have said yet what they ask. They wait, and hold no slot."""

_CHECK: Final = "/grpc.health.v1.Health/Check"
_WATCH: Final = "/grpc.health.v1.Health/Watch"
_METHODS: Final = methods_of()

SLOTS: Final[dict[str, int]] = {
    # Probes, and whoever else asks without a token.
    _CHECK: 32,
    _WATCH: 16,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": 4,
    **{path: method.slots for path, method in _METHODS.items()},
}

SHARES: Final[dict[str, float]] = {path: method.share for path, method in _METHODS.items() if method.share is not None}
"""The share of the process that all calls of a method have together, where it computes what it answers."""

PACES: Final[dict[str, float]] = {
    path: method.per_second for path, method in _METHODS.items() if method.per_second is not None
}
"""Calls a second of a method that reads from a process that trades, of all callers together."""

REFUSALS_PER_SECOND: Final = 0.5
"""Calls of each method that are refused while many ask. Each costs a process that trades a millisecond."""

REFUSALS_AT_ONCE: Final = 8
"""Calls of each method that are refused without a wait after a calm."""

MOST_HELD: Final = 256
"""Calls of a method that wait to be refused; others are refused at once."""

if TYPE_CHECKING:  # the stubs are generic, the classes are not
    Handler = grpc.RpcMethodHandler[Any, Any]
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    Handler, _Interceptor = grpc.RpcMethodHandler, grpc.aio.ServerInterceptor


class Busy(LeadlineError):
    """As many calls of a method are being answered as may be."""

    again_after_s: ClassVar[float | None] = 0.5
    grpc_status: ClassVar[str] = "RESOURCE_EXHAUSTED"

    def __init__(self, method: str, slots: int) -> None:
        super().__init__(method, slots)

    def __str__(self) -> str:
        return "{} calls of {} are being answered, which is the most at a time".format(*reversed(self.args))


class Lanes:
    """The slots of one server."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._shares = {method: Share(share) for method, share in SHARES.items()}
        self._paces = {method: Pace(per_second) for method, per_second in PACES.items()}
        self._refusals: dict[str, Pace] = {}
        self._held: dict[str, int] = {}

    def full(self, method: str) -> Busy | None:
        """The refusal of another call of this method; None while there is a slot for it."""
        slots = SLOTS.get(method, READ_SLOTS)
        return Busy(method, slots) if self._taken.get(method, 0) >= slots else None

    @contextmanager
    def slot(self, method: str) -> Iterator[None]:
        """Hold a slot. Raises Busy."""
        busy = self.full(method)
        if busy is not None:
            raise busy
        self._taken[method] = self._taken.get(method, 0) + 1
        measurements.CALLS_OPEN.labels(method).inc()
        try:
            yield
        finally:
            self._taken[method] -= 1
            measurements.CALLS_OPEN.labels(method).dec()

    @asynccontextmanager
    async def turn(self, method: str) -> AsyncIterator[None]:
        """Wait until the pace and the share of a method let its next call be answered."""
        if (pace := self._paces.get(method)) is not None:
            await pace.take(1)
        share = self._shares.get(method)
        if share is None:
            yield
            return
        async with share.turn():
            yield

    async def refuse(self, context: Any, method: str, error: Exception) -> None:
        """End a call with the status of an error, when it is its turn. `method` is one of the server's."""
        held = self._held.get(method, 0)
        if held < MOST_HELD:
            self._held[method] = held + 1
            measurements.CALLS_HELD.labels(method).inc()
            try:
                await self._refusals.setdefault(method, Pace(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE)).take(1)
            finally:
                self._held[method] -= 1
                measurements.CALLS_HELD.labels(method).dec()
        await refuse(context, method, error)


class Listening:
    """Calls of one method that have not said yet what they ask: so many as may be silent, and the newest of them.

    A probe says what it asks in the packet in which it comes. One that finds all places taken ends the call that has
    been silent for the longest time; so those who say nothing keep nobody out, however many they are.
    """

    def __init__(self, method: str) -> None:
        self._method = method
        self._silent: dict[asyncio.Timeout, None] = {}

    async def read_request(self, requests: Any) -> bytes:
        """The request of a call, as it was sent. Raises TimeoutError for one that sends nothing in its time."""
        if len(self._silent) >= MOST_SILENT:
            longest = next(iter(self._silent))
            del self._silent[longest]
            if not longest.expired():
                longest.reschedule(asyncio.get_running_loop().time())
        async with asyncio.timeout(OPEN_REQUEST_SECONDS) as limit:
            self._silent[limit] = None
            measurements.CALLS_OPEN.labels(self._method).inc()
            try:
                return await anext(aiter(requests), b"")
            finally:
                measurements.CALLS_OPEN.labels(self._method).dec()
                self._silent.pop(limit, None)


class OpenCalls(_Interceptor):
    """Lets the health protocol in without a token, a few calls at a time and none that does not say what it asks."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._listening = {method: Listening(method) for method in (_CHECK, _WATCH)}

    async def intercept_service(  # noqa: D102 - grpc's
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        method = handler_call_details.method
        handler = await continuation(handler_call_details)
        if method not in {_CHECK, _WATCH} or handler is None:
            return handler
        answer: Any = handler.unary_unary or handler.unary_stream

        async def health(requests: Any, context: Any) -> None:
            try:
                raw = await self._listening[method].read_request(requests)
                request = parsed(health_pb2.HealthCheckRequest.FromString, raw)
                with self._lanes.slot(method):
                    response = await answer(request, context)
                    if response is not None:
                        await context.write(response)
            except (Busy, InvalidInput, TimeoutError) as error:
                await self._lanes.refuse(context, method, error)

        return grpc.stream_stream_rpc_method_handler(health, response_serializer=handler.response_serializer)


def parsed(parse: Callable[[bytes], Any] | None, raw: bytes) -> Any:
    """The message of a call. Raises InvalidInput for bytes that are none."""
    if parse is None:
        return raw
    try:
        return parse(raw)
    except DecodeError:
        raise InvalidInput("request", counted(len(raw), "byte"), "a message of this method") from None


async def refuse(context: Any, method: str, error: Exception) -> None:
    """End a call with the status of an error."""
    code, message, metadata = status_of(error)
    measurements.CALLS.labels(method, code.name).inc()
    await context.abort(code, message, metadata)
