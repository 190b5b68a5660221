"""A way to the real paper venue that misbehaves on demand: it loses calls or answers, fails, waits, and says otherwise.

It listens on a port of its own and hands on what it is sent, so that a venue of the product needs no word for faults.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from leadline.venue.v1 import venue_pb2 as pb

_SERVICE = pb.DESCRIPTOR.services_by_name["PaperVenueService"]

if TYPE_CHECKING:  # the stubs are generic, the class is not
    _Handler = grpc.GenericRpcHandler[Any, Any]
else:
    _Handler = grpc.GenericRpcHandler


class Gate:
    """Where a call waits: `reached` is set when it is there, and it goes on once `opened` is."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call.

    `request` and `answer` change the message on its way; `code` is what the caller gets in place of the answer;
    `reaches` says whether the venue gets the call; it waits at `gate` before.
    """

    code: grpc.StatusCode | None = None
    reaches: bool = True
    request: Callable[[Any], None] | None = None
    answer: Callable[[Any], None] | None = None
    gate: Gate | None = None


LOST_CALL = Fault(grpc.StatusCode.UNAVAILABLE, reaches=False)
LOST_ANSWER = Fault(grpc.StatusCode.UNAVAILABLE)
FAILS_BEFORE = Fault(grpc.StatusCode.INTERNAL, reaches=False)
FAILS_AFTER = Fault(grpc.StatusCode.INTERNAL)
_WORDS = {
    grpc.StatusCode.UNAVAILABLE: "the connection was lost",
    grpc.StatusCode.INTERNAL: "an error by request of a test",
}


def rejected() -> Fault:
    """The venue refuses the order, and remembers that."""

    def on_no_tape(request: pb.SubmitOrderRequest) -> None:
        request.order.tape_contract = "NONE"

    return Fault(request=on_no_tape)


def repeated(events: int = 5) -> Fault:
    """The venue tells so many events again that the caller has booked."""

    def from_before(request: pb.AdvanceToRequest) -> None:
        request.after_event = max(0, request.after_event - events)

    return Fault(request=from_before)


def answered(change: Callable[[Any], None]) -> Fault:
    """The venue says otherwise."""
    return Fault(answer=change)


class MisbehavingVenue(_Handler):
    """Hands calls on to the venue at `address`; those that a fault waits for, by method, go wrong in its way."""

    def __init__(self, address: str) -> None:
        self.port = 0
        self._channel = grpc.aio.insecure_channel(address)
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}

    def next(self, method: str, *faults: Fault) -> None:
        """What happens to the next calls of a method, one for each."""
        assert method in _SERVICE.methods_by_name
        self._faults[method].extend(faults)

    def always(self, method: str, fault: Fault) -> None:
        """What happens to every call of a method to which nothing else does."""
        assert method in _SERVICE.methods_by_name
        self._always[method] = fault

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        path = handler_call_details.method
        method = path.rpartition("/")[2]

        async def hand_on(raw: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
            fault = self._faults[method].popleft() if self._faults[method] else self._always.get(method, Fault())
            if fault.gate is not None:
                fault.gate.reached.set()
                await fault.gate.opened.wait()
            answer = b""
            if fault.reaches:
                answer = await self._ask(path, _changed(method, "input_type", raw, fault.request), context)
            if fault.code is not None:
                await context.abort(fault.code, _WORDS[fault.code])
            return _changed(method, "output_type", answer, fault.answer)

        return grpc.unary_unary_rpc_method_handler(hand_on)

    async def _ask(self, path: str, raw: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
        call: Any = self._channel.unary_unary(path, None, None)
        kept = [pair for pair in context.invocation_metadata() or () if pair[0] in {"authorization", "traceparent"}]
        try:
            answer: bytes = await call(raw, metadata=kept, timeout=context.time_remaining())
        except grpc.aio.AioRpcError as error:
            trailing: Any = tuple(error.trailing_metadata() or ())
            context.set_trailing_metadata(trailing)
            await context.abort(error.code(), error.details() or "")
        return answer

    async def close(self) -> None:
        """Let go of the venue."""
        await self._channel.close(None)


def _changed(method: str, side: str, raw: bytes, change: Callable[[Any], None] | None) -> bytes:
    if change is None:
        return raw
    message = GetMessageClass(getattr(_SERVICE.methods_by_name[method], side)).FromString(raw)
    change(message)
    return message.SerializeToString()


@asynccontextmanager
async def misbehaving(address: str) -> AsyncIterator[MisbehavingVenue]:
    """A way to the venue at `address`, on a free port of this machine."""
    venue = MisbehavingVenue(address)
    server = grpc.aio.server(handlers=[venue])
    venue.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield venue
    finally:
        await server.stop(None)
        await venue.close()
