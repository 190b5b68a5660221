"""The venue of a schedule: the paper market, which outlives every process, and misbehaves where a plan says so."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from leadline.execution.venues.paper.direct import DirectVenue
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg
from leadline.model.orders import Advanced, OrderEvents, OrderType, Replacement, Side, VenueOrder, Watch
from leadline.model.ticks import TickColumns
from leadline.venue.fill_rules import FillRules
from leadline.venue.matching import PaperMarket
from tests.simulation.faults import Fault, Tamper
from tests.simulation.store import now
from tests.simulation.wire import Caller, Wire

Result = TypeVar("Result")

State = tuple[float, dict[ClientOrderId, VenueOrder], dict[ContractId, int]]
"""When the market stood so, seconds; its orders; its positions."""


class Venue:
    """The venue's own side: market, history, and what it does on its own."""

    def __init__(
        self,
        wire: Wire,
        rules: FillRules,
        tapes: Mapping[ContractId, TickColumns],
        begins_ns: int,
        ends_ns: int,
        seen: Callable[[], None],
    ) -> None:
        self.market, self.pairs = PaperMarket(rules, begins_ns), rules.pairs
        self.direct = DirectVenue(self.market, tapes, ends_ns, lambda _: self._stepped())
        self.begins_ns = begins_ns
        self.now_ns: Callable[[], int] | None = None
        """The market's clock on a live tape."""
        self.turn = 0
        """Number of the last call that was to let the tape run."""
        self.forgotten: list[ClientOrderId] = []
        self.tampered: set[ContractId] = set()
        self._wire = wire
        self._seen = seen
        self._news = asyncio.Event()
        self._history: list[State] = [(0.0, {}, {})]
        self._again = 0

    def _stepped(self) -> None:
        market = self.market
        orders = {order.client_id: order for order in market.orders()}
        self._history.append((self._wire.loop.time(), orders, market.positions()))
        self._seen()
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def has_event_after(self, event: int) -> None:
        """Return when there is one."""
        while self.market.last_event <= event:
            await self._news.wait()

    def begin(self) -> None:
        """Whoever changes something does so by the market's clock."""
        if self.now_ns is not None:
            self.market.clock(self.now_ns())

    def before(self, seconds: float) -> State:
        """The market as it stood so many seconds ago."""
        at_s = self._wire.loop.time() - seconds
        return next((state for state in reversed(self._history) if state[0] <= at_s), self._history[0])

    def told_after(self, after_event: int) -> int:
        """After which event a process is told of them, that has booked this one."""
        told, self._again = max(0, after_event - self._again), 0
        return told

    def tamper(self, kind: Tamper, number: int) -> bool:
        """Do something on one's own; False where there is nothing to do it with yet."""
        market = self.market
        if kind is Tamper.TELLS_AGAIN:
            self._again = number
            return market.last_event > 0
        live = [order for order in market.live_orders() if order.leg.is_exit or order.bracket is not None]
        if kind is Tamper.BY_HAND:
            held = sorted(market.positions().items())
            if not held:
                return False
            contract, quantity = held[number % len(held)]
            side = Side.SELL if (quantity > 0) == (number % 3 > 0) else Side.BUY
            self.tampered.add(contract)
            self.begin()
            market.submit(_by_hand(f"hand-{market.last_event}", contract, side, market.instant_ns))
        elif not live:
            return False
        elif kind is Tamper.CANCELS:
            order = live[number % len(live)]
            self.tampered.add(order.contract)
            market.cancel(order.client_id, "by the venue")
        else:
            order = live[number % len(live)]
            self.tampered.add(order.contract)
            self.forgotten.append(order.client_id)
            del market._orders[order.client_id], market._resting[order.client_id]
            market._live = None
        self._wire.loop.tell(f"the venue {kind.value} on its own")
        self._stepped()
        return True


def _by_hand(name: str, contract: ContractId, side: Side, at_ns: int) -> VenueOrder:
    return VenueOrder(
        client_id=ClientOrderId(name),
        decision=DecisionId(""),
        leg=Leg("X"),
        contract=contract,
        tape_contract=contract,
        side=side,
        type=OrderType.MARKET,
        quantity=1,
        decided_at_ns=at_ns,
    )


class ModelVenue:
    """The venue as one process reaches it.

    `leaves` is told of an order when its first byte leaves the process, `lands` when it comes to the venue, `absent`
    when the venue says that it has none, and `advances` before the tape goes on to an instant.
    """

    def __init__(
        self,
        wire: Wire,
        caller: Caller,
        venue: Venue,
        leaves: Callable[[VenueOrder], None],
        lands: Callable[[VenueOrder, float], None],
        absent: Callable[[ClientOrderId], None],
        advances: Callable[[int], None],
    ) -> None:
        self._wire = wire
        self._caller = caller
        self._venue = venue
        self._direct = venue.direct
        self._leaves = leaves
        self._lands = lands
        self._absent = absent
        self._advances = advances
        self.turn: int | None = None

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        venue, turn = self._venue, self.turn

        def work() -> tuple[Advanced, int]:
            known_ns = from_ns if turn in (None, venue.turn) else -1  # overtaken: it is told where the venue is
            venue.turn += 1
            if after_event >= venue.market.matched_event and known_ns >= venue.market.instant_ns:
                self._advances(to_ns)
            found = now(self._direct.advance(known_ns, to_ns, after_event, contracts, watches))
            told = venue.told_after(after_event)
            found = found if told == after_event else replace(found, events=venue.market.events_after(told))
            return found, venue.turn

        def detail() -> str:
            market = self._venue.market
            fills = [each.fill for each in market.events_after(after_event) if each.fill is not None]
            filled = [f"{fill.client_id} fills {fill.side} {fill.quantity} at {fill.price}" for fill in fills]
            return f"to {(market.instant_ns - self._venue.begins_ns) / 1e9:g} {', '.join(filled)}"

        advanced, self.turn = await self._wire.call(self._caller, "venue", "venue.advance", work, detail=detail)
        return advanced

    async def events(
        self, after_event: int, wait_s: float, _contracts: Sequence[ContractId]
    ) -> tuple[OrderEvents, int]:
        venue = self._venue
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(venue.has_event_after(after_event), wait_s)

        def work() -> tuple[OrderEvents, int]:
            events = venue.market.events_after(venue.told_after(after_event))
            return OrderEvents(events, venue.market.positions()), venue.market.last_event

        return await self._wire.call(self._caller, "venue", "venue.hear" if wait_s > 0 else "venue.events", work)

    async def working(self) -> Sequence[VenueOrder]:
        def old(seconds: float) -> Sequence[VenueOrder]:
            return [order for order in self._venue.before(seconds)[1].values() if not order.state.terminal]

        return await self._call("working", self._direct.working, old)

    async def submit(self, order: VenueOrder) -> VenueOrder:
        self._leaves(order)
        left_s = self._wire.loop.time()
        rejected = self._wire.plan.would_meet("venue.submit", Fault.REJECTED)

        def land() -> VenueOrder:
            self._lands(order, self._wire.loop.time() - left_s)
            self._venue.begin()
            if rejected:
                taken, _ = self._venue.market.reject(order, "by request of a schedule")
                self._venue.direct._write()
                return taken
            return now(self._direct.submit(order))

        detail = f"{order.leg} {order.client_id} {order.type} {order.side} {order.quantity}"
        return await self._wire.call(self._caller, "venue", "venue.submit", land, detail=lambda: detail)

    async def cancel(self, client_id: ClientOrderId, reason: str) -> None:
        def work() -> Coroutine[Any, Any, None]:
            self._venue.begin()
            return self._direct.cancel(client_id, reason)

        await self._call("cancel", work, detail=f"{client_id} {reason}")

    async def replace(self, wanted: Replacement) -> VenueOrder:
        def work() -> Coroutine[Any, Any, VenueOrder]:
            self._venue.begin()
            return self._direct.replace(wanted)

        return await self._call("replace", work, detail=str(wanted))

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        async def found() -> VenueOrder | None:
            order = await self._direct.find(client_id)
            if order is None:
                self._absent(client_id)
            return order

        return await self._call("find", found, lambda seconds: self._venue.before(seconds)[1].get(client_id))

    async def positions(self) -> dict[ContractId, int]:
        return await self._call("positions", self._direct.positions, lambda seconds: self._venue.before(seconds)[2])

    async def _call(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, Result]],
        old: Callable[[float], Result] | None = None,
        detail: str = "",
    ) -> Result:
        return await self._wire.call(
            self._caller, "venue", f"venue.{name}", lambda: now(work()), old, detail=lambda: detail
        )
