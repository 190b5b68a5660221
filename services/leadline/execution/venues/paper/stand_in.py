"""A stand-in of the paper venue for the conformance suite: its market and ledger behind its own calls, on a socket.

Only the tape is another: the trades that an exercise asks for, in the place of those of the bus.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

import grpc

from leadline.execution.loop.ports import Orders, Unavailable
from leadline.execution.venues.conformance.stand_in import Call
from leadline.execution.venues.connect import Reach
from leadline.execution.venues.paper.client import connect
from leadline.execution.venues.paper.direct import fill_rules_of
from leadline.execution.venues.paper.venue import VENUE_SERVICE, PaperSection
from leadline.model.ids import AccountId, ClientOrderId, ContractId, RunId
from leadline.model.orders import Advanced, OrderEvents, Replacement, VenueOrder, Watch
from leadline.model.ticks import NS_PER_SECOND, TickColumns
from leadline.runtime.retry import until_done
from leadline.runtime.rpc.auth import Keys, audience, one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.rpc.grpc_server import GrpcServer
from leadline.venue.ledger import Ledger
from leadline.venue.matching import PaperMarket
from leadline.venue.servicer import PaperVenueServicer
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1 import venue_pb2_grpc as rpc

ACCOUNT: Final = AccountId("default/paper")
CONTRACT: Final = ContractId("MESZ2025")
PRICE: Final = 20_000
BEGINS_NS: Final = 1_750_000_000 * NS_PER_SECOND
_TAPE: Final = RunId("exercise")
_SERVICE: Final = pb.DESCRIPTOR.services_by_name["PaperVenueService"].full_name
_AWAY_SECONDS: Final = 5.0

Reply = TypeVar("Reply")
_Context = grpc.aio.ServicerContext[Any, Any]


@asynccontextmanager
async def open_stand_in(section: PaperSection) -> AsyncIterator["PaperStandIn"]:
    """A paper venue that is set as the section says, with a ledger of its own, and an adapter that is connected."""
    with TemporaryDirectory(prefix="leadline-stand-in-") as folder:
        stand_in = PaperStandIn(section, Path(folder))
        await stand_in.serve()
        await stand_in.restart()
        try:
            yield stand_in
        finally:
            await stand_in.close()


class PaperStandIn:
    """See `leadline.execution.venues.conformance.stand_in.StandIn`."""

    contract = CONTRACT
    price = PRICE

    def __init__(self, section: PaperSection, folder: Path) -> None:
        self._section = section
        self._step_ns = section.latency_ns + NS_PER_SECOND
        self._venue = _Exchange(section, folder)
        self._losses: dict[Call, bool] = {}
        self._keys: Keys = one_key(secrets.token_hex())
        self._server: GrpcServer | None = None
        self._channel: grpc.aio.Channel | None = None
        self._port = 0
        self._orders: Orders | None = None

    @property
    def orders(self) -> Orders:
        """The adapter of the account."""
        assert self._orders is not None
        return self._orders

    @property
    def now_ns(self) -> int:
        """The instant up to which the market has matched, ns UTC."""
        return self._venue.market.instant_ns

    async def trade(self, price: int, size: int) -> None:
        """One print, a second and the venue's latency after the one before."""
        self._venue.trade(self.now_ns + self._step_ns, price, size)

    def lose(self, call: Call, *, reaches: bool) -> None:
        """Have the next call of that kind end as a call whose connection is lost."""
        self._losses[call] = reaches

    async def serve(self) -> None:
        """Listen, at the port of the time before where there was one."""
        to = audience(VENUE_SERVICE, ACCOUNT)
        self._server = GrpcServer(f"127.0.0.1:{self._port}", self._keys, to=to, account=ACCOUNT)
        servicer = _Servicer(self._venue, self._losses)
        self._server.add_service(rpc.add_PaperVenueServiceServicer_to_server, servicer, _SERVICE)
        self._port = await self._server.start()
        self._server.set_ready(True)

    async def cut(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def mend(self) -> None:
        """Listen again, and wait for the adapter to find the way."""
        await self.serve()
        await until_done(
            self.orders.positions, "venue", (Unavailable,), timeout_s=_AWAY_SECONDS, most_s=0.1, quiet=True
        )

    async def restart(self) -> None:
        """A new connection, of an adapter that knows nothing."""
        if self._channel is not None:
            await self._channel.close(None)
        token = token_source(self._keys, "execution", "exercise", audience(VENUE_SERVICE, ACCOUNT), ACCOUNT)
        self._channel = channel = open_channel(f"127.0.0.1:{self._port}", token)
        self._orders = connect(Reach(ACCOUNT, self._section, (CONTRACT,), lambda _: channel)).orders

    async def place(self, order: VenueOrder) -> None:
        """An order of somebody else comes to the market."""
        self._venue.submit(order)

    async def close(self) -> None:
        """Let go of everything."""
        if self._channel is not None:
            await self._channel.close(None)
        await self.cut()
        self._venue.close()


class _Exchange:
    """The paper venue without a bus: what its servicer speaks for. Each change is in the ledger before it is told."""

    def __init__(self, section: PaperSection, folder: Path) -> None:
        self.market = PaperMarket(fill_rules_of(section), BEGINS_NS)
        self._ledger = Ledger.open(folder, _TAPE)
        self._prints = 0

    @property
    def last_event(self) -> int:
        return self.market.last_event

    def submit(self, order: VenueOrder) -> tuple[VenueOrder, bool]:
        known = order.tape_contract == CONTRACT
        found = self.market.submit(order) if known else self.market.reject(order, f"no tape of {order.tape_contract}")
        self._write()
        return found

    def cancel(self, client_id: ClientOrderId, reason: str) -> VenueOrder:
        order = self.market.cancel(client_id, reason)
        self._write()
        return order

    def replace(self, wanted: Replacement) -> VenueOrder:
        order = self.market.replace(wanted)
        self._write()
        return order

    async def advance(
        self,
        to_ns: int,  # noqa: ARG002 - time moves by trades alone
        after_event: int,
        contracts: Sequence[ContractId],
        watches: Sequence[Watch],  # noqa: ARG002
        from_ns: int | None,  # noqa: ARG002
        may_move: Callable[[], bool],  # noqa: ARG002
    ) -> Advanced:
        market = self.market
        last = {name: market.marks[name].last for name in contracts if name in market.marks}
        return Advanced(market.instant_ns, market.events_after(after_event), last, False, market.positions())

    async def events(
        self,
        after_event: int,
        wait_s: float,  # noqa: ARG002 - events come by trades and calls alone
        contracts: Sequence[ContractId],  # noqa: ARG002
    ) -> OrderEvents:
        return OrderEvents(self.market.events_after(after_event), self.market.positions())

    def trade(self, time_ns: int, price: int, size: int) -> None:
        prints = {CONTRACT: TickColumns.of([(time_ns, price, size, 0)], self._prints)}
        self._prints += 1
        while self.market.instant_ns < time_ns:
            self.market.advance(prints, time_ns)
        self._write()

    def close(self) -> None:
        self._ledger.close()

    def _write(self) -> None:
        self._ledger.append(self.market.take_step())


class _Servicer(PaperVenueServicer):
    """The paper venue's calls, of which the next of a kind is lost where `losses` says so, with or without effect."""

    def __init__(self, venue: _Exchange, losses: dict[Call, bool]) -> None:
        super().__init__(venue)
        self._losses = losses

    async def SubmitOrder(self, request: pb.SubmitOrderRequest, context: _Context) -> pb.SubmitOrderResponse:  # noqa: N802
        return await self._maybe_lost(Call.SUBMIT, super().SubmitOrder(request, context))

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: _Context) -> pb.CancelOrderResponse:  # noqa: N802
        return await self._maybe_lost(Call.CANCEL, super().CancelOrder(request, context))

    async def ReplaceOrder(self, request: pb.ReplaceOrderRequest, context: _Context) -> pb.ReplaceOrderResponse:  # noqa: N802
        return await self._maybe_lost(Call.REPLACE, super().ReplaceOrder(request, context))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: _Context) -> pb.ListOrdersResponse:  # noqa: N802
        answer = super().ListOrders(request, context)
        return await (self._maybe_lost(Call.FIND, answer) if request.client_ids else answer)

    async def _maybe_lost(self, call: Call, answer: Awaitable[Reply]) -> Reply:
        reaches = self._losses.pop(call, None)
        if reaches is None:
            return await answer
        if reaches:
            await answer
        elif (close := getattr(answer, "close", None)) is not None:
            close()
        raise Unavailable("the connection was lost, by request of an exercise", "venue")
