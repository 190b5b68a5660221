"""A way to the real paper venue that misbehaves, for one call, for an order, or by chance from a seed.

It loses calls or answers, drops the connection, waits, refuses, tells again, late, stale or otherwise, and does on its
own what nobody asked for. It listens on a port of its own and hands on what it is sent, so that a venue of the product
needs no word for faults.
"""

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
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
    `reaches` says whether the venue gets the call; it waits at `gate` before, and for `delay_s`. A `stale` one is
    answered as the call of its method before it, in place of being handed on. `only` says of which requests it is.
    """

    code: grpc.StatusCode | None = None
    reaches: bool = True
    request: Callable[[Any], None] | None = None
    answer: Callable[[Any], None] | None = None
    gate: Gate | None = None
    delay_s: float = 0.0
    stale: bool = False
    only: Callable[[Any], bool] | None = None


LOST_CALL = Fault(grpc.StatusCode.UNAVAILABLE, reaches=False)
LOST_ANSWER = Fault(grpc.StatusCode.UNAVAILABLE)
FAILS_BEFORE = Fault(grpc.StatusCode.INTERNAL, reaches=False)
FAILS_AFTER = Fault(grpc.StatusCode.INTERNAL)
STALE = Fault(stale=True)
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


def slow(seconds: float) -> Fault:
    """The venue takes its time."""
    return Fault(delay_s=seconds)


def of_leg(leg: str, fault: Fault) -> Fault:
    """A fault of the orders of one leg alone: of the calls that hand them in."""
    return replace(fault, only=lambda request: request.order.leg == leg)


def told_twice() -> Fault:
    """Each event with a fill is told twice in one answer, with one number."""

    def twice(answer: Any) -> None:
        events = [event for each in answer.events for event in ([each, each] if each.HasField("fill") else [each])]
        told = [type(event).FromString(event.SerializeToString()) for event in events]
        del answer.events[:]
        answer.events.extend(told)

    return Fault(answer=twice)


def forgets(leg: str) -> Fault:
    """The venue does not list the orders of a leg any more."""

    def without(answer: pb.ListOrdersResponse) -> None:
        kept = [order for order in answer.orders if order.leg != leg]
        del answer.orders[:]
        answer.orders.extend(kept)

    return Fault(answer=without)


class Chances:
    """Faults by chance: of each call of a method those that are listed come with their odds, the same for a seed."""

    def __init__(self, seed: int, odds: Mapping[str, Sequence[tuple[float, Fault]]]) -> None:
        assert all(method in _SERVICE.methods_by_name for method in odds)
        self._chance = random.Random(seed)
        self._odds = odds
        self.came = 0

    def of(self, method: str) -> Fault | None:
        """What goes wrong with a call, if anything does."""
        drawn = self._chance.random()
        for probability, fault in self._odds.get(method, ()):
            if drawn < probability:
                self.came += 1
                return fault
            drawn -= probability
        return None


class MisbehavingVenue(_Handler):
    """Hands calls on to the venue at `address`; those that a fault waits for, by method, go wrong in its way."""

    def __init__(self, address: str) -> None:
        self.port = 0
        self._channel = grpc.aio.insecure_channel(address)
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._chances: Chances | None = None
        self._last: dict[str, bytes] = {}
        self._metadata: list[Any] = []
        self.cut = False

    def next(self, method: str, *faults: Fault) -> None:
        """What happens to the next calls of a method, one for each."""
        assert method in _SERVICE.methods_by_name
        self._faults[method].extend(faults)

    def always(self, method: str, fault: Fault) -> None:
        """What happens to every call of a method to which nothing else does."""
        assert method in _SERVICE.methods_by_name
        self._always[method] = fault

    def by_chance(self, chances: Chances | None) -> None:
        """What happens to calls to which nothing else does, by chance."""
        self._chances = chances

    async def act(self, method: str, request: Any) -> Any:
        """Do something at the venue that nobody has asked for, with the rights of the last caller."""
        path = f"/{_SERVICE.full_name}/{method}"
        call: Any = self._channel.unary_unary(path, None, None)
        raw = await call(request.SerializeToString(), metadata=self._metadata, timeout=5)
        return GetMessageClass(_SERVICE.methods_by_name[method].output_type).FromString(raw)

    async def close_order(self, leg: str) -> None:
        """The venue takes the working orders of a leg out of the market by itself."""
        found = await self.act("ListOrders", pb.ListOrdersRequest(working=True))
        for order in found.orders:
            if order.leg == leg:
                await self.act(
                    "CancelOrder", pb.CancelOrderRequest(client_id=order.client_id, reason="the venue's own")
                )

    async def change_position(self, order: pb.VenueOrder) -> None:
        """Somebody else trades on the account, by an order of theirs."""
        await self.act("SubmitOrder", pb.SubmitOrderRequest(order=order))

    def _fault(self, method: str, raw: bytes) -> Fault:
        """What happens to a call: the next of its method, else by chance, else always; of such requests alone."""
        queued = self._faults[method]
        found = queued[0] if queued else None
        if found is not None and _is_of(method, raw, found):
            return queued.popleft()
        by_chance = None if self._chances is None else self._chances.of(method)
        found = by_chance or self._always.get(method)
        return found if found is not None and _is_of(method, raw, found) else Fault()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        path = handler_call_details.method
        method = path.rpartition("/")[2]

        async def hand_on(raw: bytes, context: "grpc.aio.ServicerContext[Any, Any]") -> bytes:
            kept = [pair for pair in context.invocation_metadata() or () if pair[0] == "authorization"]
            self._metadata = kept or self._metadata
            if self.cut:
                await context.abort(grpc.StatusCode.UNAVAILABLE, _WORDS[grpc.StatusCode.UNAVAILABLE])
            fault = self._fault(method, raw)
            if fault.stale and method in self._last:
                return self._last[method]
            if fault.delay_s:
                await asyncio.sleep(fault.delay_s)
            if fault.gate is not None:
                fault.gate.reached.set()
                await fault.gate.opened.wait()
            answer = b""
            if fault.reaches:
                answer = await self._ask(path, _changed(method, "input_type", raw, fault.request), context)
            if fault.code is not None:
                await context.abort(fault.code, _WORDS[fault.code])
            self._last[method] = _changed(method, "output_type", answer, fault.answer)
            return self._last[method]

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


def _is_of(method: str, raw: bytes, fault: Fault) -> bool:
    if fault.only is None:
        return True
    return fault.only(GetMessageClass(_SERVICE.methods_by_name[method].input_type).FromString(raw))


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
