"""One case's way to the venue: words for what is handed in, what was heard so far, and what is required of it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from leadline.execution.core.venue_reports import shown
from leadline.execution.loop.ports import Orders, Refused, Unavailable
from leadline.execution.venues.conformance.stand_in import StandIn
from leadline.model.errors import LeadlineError
from leadline.model.ids import (
    ENTRY,
    NO_ORDER,
    ClientOrderId,
    ContractId,
    DecisionId,
    FillId,
    Leg,
    LegKind,
    client_order_id,
)
from leadline.model.manifest.venues import Capability
from leadline.model.orders import Bracket, Fill, OrderState, OrderType, Side, Trailing, VenueEvent, VenueOrder
from leadline.model.ticks import NS_PER_SECOND

PATIENCE_SECONDS: Final = 5.0
"""How long a push may take to come."""
LOOK_SECONDS: Final = 0.02
LARGE: Final = 100
"""Size of a trade that fills whatever waits there."""


class Failed(LeadlineError):
    """The venue or its adapter does not do what a case asks."""


def require(holds: object, words: str) -> None:
    """Raises Failed with the words where something does not hold."""
    if not holds:
        raise Failed(words)


class Exercise:
    """The account of one case. Prices are given as ticks from where the contract trades at the beginning."""

    def __init__(self, stand_in: StandIn, capabilities: AbstractSet[Capability]) -> None:
        self.stand_in = stand_in
        self._capabilities = capabilities
        self.booked = 0
        self.events: list[VenueEvent] = []
        self.known: dict[ClientOrderId, VenueOrder] = {}
        self.fills: dict[FillId, Fill] = {}
        self._decisions = 0

    @property
    def orders(self) -> Orders:
        """The adapter under test."""
        return self.stand_in.orders

    def can(self, capability: Capability) -> bool:
        """Whether the venue claims a capability."""
        return capability in self._capabilities

    # --- handing in ---

    def entry(
        self,
        side: Side = Side.BUY,
        quantity: int = 1,
        *,
        limit: int | None = None,
        stop: int | None = None,
        bracket: Bracket | None = None,
        valid_s: int | None = None,
        contract: ContractId | None = None,
    ) -> VenueOrder:
        """An entry of a decision of its own, decided now; at the market without a limit and a stop."""
        self._decisions += 1
        decision = DecisionId(f"exercise{self._decisions}")
        kinds = {
            (False, False): OrderType.MARKET,
            (True, False): OrderType.LIMIT,
            (False, True): OrderType.STOP,
            (True, True): OrderType.STOP_LIMIT,
        }
        now_ns = self.stand_in.now_ns
        return VenueOrder(
            client_id=client_order_id(decision, ENTRY),
            decision=decision,
            leg=ENTRY,
            contract=contract or self.stand_in.contract,
            tape_contract=contract or self.stand_in.contract,
            side=side,
            type=kinds[limit is not None, stop is not None],
            quantity=quantity,
            decided_at_ns=now_ns,
            limit_price=None if limit is None else self.at(limit),
            stop_price=None if stop is None else self.at(stop),
            bracket=bracket,
            valid_until_ns=None if valid_s is None else now_ns + valid_s * NS_PER_SECOND,
        )

    def exit_of(
        self,
        entry: VenueOrder,
        kind: LegKind,
        at: int,
        *,
        quantity: int,
        oco: ClientOrderId = NO_ORDER,
        number: int = 1,
        trail: Trailing | None = None,
    ) -> VenueOrder:
        """A stop or a target of what an entry has filled, to be handed in later."""
        leg = Leg.of(kind, number)
        stop = kind is LegKind.STOP
        return VenueOrder(
            client_id=client_order_id(entry.decision, leg),
            decision=entry.decision,
            leg=leg,
            contract=entry.contract,
            tape_contract=entry.tape_contract,
            side=entry.side.opposite,
            type=OrderType.STOP if stop else OrderType.LIMIT,
            quantity=quantity,
            decided_at_ns=self.stand_in.now_ns,
            limit_price=None if stop else self.at(at),
            stop_price=self.at(at) if stop else None,
            parent=entry.client_id,
            oco=oco,
            trail=trail,
        )

    def close(self, side: Side, quantity: int) -> VenueOrder:
        """A market order that can only reduce."""
        self._decisions += 1
        decision, leg = DecisionId(f"exercise{self._decisions}"), Leg.of(LegKind.FLATTEN, 1)
        return VenueOrder(
            client_id=client_order_id(decision, leg),
            decision=decision,
            leg=leg,
            contract=self.stand_in.contract,
            tape_contract=self.stand_in.contract,
            side=side,
            type=OrderType.MARKET,
            quantity=quantity,
            decided_at_ns=self.stand_in.now_ns,
            reduce_only=True,
        )

    async def submit(self, order: VenueOrder) -> VenueOrder:
        """Hand an order in, and require an answer about it."""
        answer = await self.orders.submit(order)
        require(answer.client_id == order.client_id, f"the answer to {order.client_id} is about {answer.client_id}")
        return answer

    async def refused(self, what: str, order: VenueOrder) -> str:
        """Require that an order is refused, by an error or as REJECTED; the reason that was given."""
        try:
            answer = await self.orders.submit(order)
        except Refused as refusal:
            return str(refusal)
        require(answer.state is OrderState.REJECTED, f"{what}: the order is {answer.state}, not refused")
        require(answer.reason, f"{what}: the order is refused without a reason")
        return answer.reason

    async def unheard(self, order: VenueOrder) -> None:
        """Hand an order in of which no answer is heard: the adapter must say so, and nothing else."""
        try:
            answer = await self.orders.submit(order)
        except Unavailable:
            return
        raise Failed(f"no answer was heard, and the adapter answers that the order is {answer.state}")

    async def entered(
        self, side: Side = Side.BUY, quantity: int = 1, bracket: Bracket | None = None, *, size: int = LARGE
    ) -> VenueOrder:
        """An entry at the market that has filled whole."""
        order = self.entry(side, quantity, bracket=bracket)
        await self.submit(order)
        await self.trade(0, size)
        await self.until("a market order fills", lambda: self.filled(order) == quantity)
        return order

    # --- the market ---

    def at(self, ticks: int) -> int:
        """A price, as ticks from where the contract trades at the beginning."""
        return self.stand_in.price + ticks

    async def trade(self, ticks: int, size: int = LARGE) -> None:
        """Let others trade there."""
        await self.stand_in.trade(self.at(ticks), size)

    # --- hearing ---

    async def listen(self) -> list[VenueEvent]:
        """Ask for the events after the last one that was heard, and take them in. Requires their numbers and times."""
        told = await self.orders.events_since(self.booked, self.stand_in.now_ns)
        for number, event in enumerate(told.events, self.booked + 1):
            require(event.event == number, f"an event has the number {event.event}, where {number} is next")
            late = event.instant_ns - self.stand_in.now_ns
            require(late <= 0, f"event {number} is {late} ns later than the instant that was asked for")
            self._take(event)
        return list(told.events)

    def _take(self, event: VenueEvent) -> None:
        self.booked = event.event
        self.events.append(event)
        self.known[event.order.client_id] = event.order
        if (fill := event.fill) is not None:
            before = self.fills.setdefault(fill.fill_id, fill)
            same = (before.client_id, before.side, before.quantity, before.price)
            again = (fill.client_id, fill.side, fill.quantity, fill.price)
            require(same == again, f"fill {shown(fill.fill_id)} is told with another content")

    async def until(self, what: str, holds: Callable[[], object]) -> None:
        """Listen until something holds. Raises Failed when it does not in time; `what` says what was expected."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not holds():
                    if not await self.listen():
                        await asyncio.sleep(LOOK_SECONDS)
                return
        raise Failed(f"expected that {what}; {self._heard()}")

    async def in_state(self, order: VenueOrder, *states: OrderState) -> VenueOrder:
        """Listen until an order is in one of the states; the order as it is told."""
        words = " or ".join(states)
        await self.until(f"{order.leg} is {words}", lambda: self.state(order) in states)
        return self.known[order.client_id]

    def told(self, order: VenueOrder) -> VenueOrder:
        """An order as it was told last; as it was handed in, before an event of it."""
        return self.known.get(order.client_id, order)

    def state(self, order: VenueOrder) -> OrderState | None:
        """The state that was told last; none before an event of the order."""
        known = self.known.get(order.client_id)
        return None if known is None else known.state

    def filled(self, order: VenueOrder) -> int:
        """Size steps of an order that the fills which were heard come to."""
        return sum(fill.quantity for fill in self.fills.values() if fill.client_id == order.client_id)

    def legs(self, entry: VenueOrder, kind: LegKind) -> list[VenueOrder]:
        """The exits of one kind that the venue has told of for an entry's decision."""
        return [order for order in self.known.values() if order.decision == entry.decision and order.leg.kind is kind]

    async def quiet(self) -> None:
        """Listen until nothing more is told."""
        while await self.listen():
            pass

    async def holds(self, quantity: int) -> None:
        """Require that the venue holds so much of the contract, and nothing else, and that the fills come to it."""
        expected = {self.stand_in.contract: quantity} if quantity else {}
        found = dict(await self.orders.positions())
        require(found == expected, f"the venue holds {_held(found)}, expected {_held(expected)}")
        summed = sum(fill.side.sign * fill.quantity for fill in self.fills.values())
        require(summed == quantity, f"the fills that were heard come to {summed}, the venue holds {quantity}")

    async def work(self, *orders: VenueOrder) -> None:
        """Require that exactly these orders work at the venue."""
        found = sorted(order.client_id for order in await self.orders.working())
        expected = sorted(order.client_id for order in orders)
        require(found == expected, f"{_listed(found)} work at the venue, expected {_listed(expected)}")

    async def find(self, order: VenueOrder) -> VenueOrder:
        """Require that the venue knows an order by its id; the order."""
        found = await self.orders.find(order.client_id)
        if found is None:
            raise Failed(f"the venue says that it has no order {order.client_id}")
        require(found.client_id == order.client_id, f"asked for {order.client_id}, it answers {found.client_id}")
        return found

    def _heard(self) -> str:
        told = [f"{event.order.leg} {event.order.state} {event.order.filled}" for event in self.events]
        return f"heard were {', '.join(told)}" if told else "nothing was heard"


def _held(positions: Mapping[ContractId, int]) -> str:
    return _listed([f"{quantity} {contract}" for contract, quantity in sorted(positions.items())])


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "nothing"
