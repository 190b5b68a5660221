"""The memory of a paper market: its orders, its fills and positions, how far it has come, and all its events.

Whatever changes an order goes through `_record`, which makes an event of it. Steps and what is kept of a past carry all
of it over a restart. How orders match is the matter of `leadline.venue.matching`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.frozen import replace
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Fill, OrderState, VenueEvent, VenueOrder
from leadline.venue.fill_rules import Mark, Rest


@dataclass(frozen=True, slots=True)
class Step:
    """All that a change of the market leaves behind: applied in order to a fresh market, steps make it again.

    `events` are those since the step before; `marks` (by contract) and `resting` (by client id, live orders) are
    complete; `matched` is the number of the last event that matching made.
    """

    instant_ns: int
    events: tuple[VenueEvent, ...]
    marks: dict[ContractId, Mark]
    resting: dict[ClientOrderId, Rest]
    matched: int


@dataclass(frozen=True, slots=True)
class Kept:
    """The rest of a market's past once what is long ended was forgotten: a fresh market goes on from it.

    `events` are those after the event `before`; `orders` are the orders that are kept, as they stand, in the order of
    their acceptance; `fills` counts each one's fills. `tapes` are the contracts that price the positions.
    """

    before: int
    events: tuple[VenueEvent, ...]
    orders: tuple[VenueOrder, ...]
    fills: dict[ClientOrderId, int]
    positions: dict[ContractId, int]
    tapes: dict[ContractId, ContractId]
    step: Step


def whole_instants(events: Sequence[VenueEvent], most: int) -> tuple[VenueEvent, ...]:
    """The first `most` events (1 or more) and those of the last one's instant: a fill and its exits are of one."""
    if len(events) <= most:
        return tuple(events)
    last_ns = events[most - 1].instant_ns
    following = takewhile(lambda event: event.instant_ns == last_ns, events[most:])
    return (*events[:most], *following)


class MarketHistory:
    """The orders, positions and events of one account on one tape; starts at `instant_ns` with none."""

    def __init__(self, instant_ns: int) -> None:
        self._instant_ns = instant_ns
        self._orders: dict[ClientOrderId, VenueOrder] = {}
        self._resting: dict[ClientOrderId, Rest] = {}
        # Made of the two when it is asked for; None after a change.
        self._live: tuple[VenueOrder, ...] | None = ()
        self._fills: dict[ClientOrderId, int] = {}
        self._marks: dict[ContractId, Mark] = {}
        self._positions: dict[ContractId, int] = {}
        # Whose prints a contract's position is valued at: those that filled it last.
        self._tapes: dict[ContractId, ContractId] = {}
        self._events: list[VenueEvent] = []
        # The number of the last event that was forgotten.
        self._forgotten = 0
        self._matched = 0
        self._stepped = 0

    @property
    def instant_ns(self) -> int:
        """The instant up to which every print is matched, ns UTC."""
        return self._instant_ns

    @property
    def last_event(self) -> int:
        """Number of the last event; 0 before the first."""
        return self._forgotten + len(self._events)

    @property
    def forgotten_event(self) -> int:
        """Number of the last event that was forgotten; 0 where all are there."""
        return self._forgotten

    @property
    def matched_event(self) -> int:
        """Number of the last event that the tape made, not a caller; 0 before the first."""
        return self._matched

    @property
    def marks(self) -> Mapping[ContractId, Mark]:
        """How far each contract's tape is matched."""
        return self._marks

    def order(self, client_id: ClientOrderId) -> VenueOrder:
        """The order of that id; Unknown when there is none."""
        try:
            return self._orders[client_id]
        except KeyError:
            raise Unknown("order", client_id) from None

    def orders(self) -> tuple[VenueOrder, ...]:
        """All orders in the order of their acceptance."""
        return tuple(self._orders.values())

    def known(self, client_ids: Iterable[ClientOrderId]) -> tuple[VenueOrder, ...]:
        """The orders of these ids that there are, in the order of the ids."""
        return tuple(self._orders[client_id] for client_id in dict.fromkeys(client_ids) if client_id in self._orders)

    def newest(self, count: int) -> tuple[VenueOrder, ...]:
        """The orders that were accepted last, at most so many, in the order of their acceptance."""
        return tuple(reversed(list(islice(reversed(self._orders.values()), count))))

    def live_orders(self) -> tuple[VenueOrder, ...]:
        """Orders that can still fill, in the order of their acceptance."""
        if self._live is None:
            self._live = tuple(self._orders[client_id] for client_id in self._resting)
        return self._live

    def positions(self) -> dict[ContractId, int]:
        """Signed net position by contract, in size steps; flat ones are left out."""
        return {contract: quantity for contract, quantity in sorted(self._positions.items()) if quantity}

    def events_after(self, number: int) -> tuple[VenueEvent, ...]:
        """Events with a higher number; InvalidInput when that many never happened, or some of them are forgotten."""
        if not self._forgotten <= number <= self.last_event:
            raise InvalidInput("after_event", number, f"{self._forgotten} to {self.last_event}")
        return tuple(self._events[number - self._forgotten :])

    def _rest(self, order: VenueOrder, after_ns: int) -> VenueOrder:
        self._resting[order.client_id] = Rest(after_ns)
        return self._record(order)

    def _cancel(self, order: VenueOrder, reason: str) -> VenueOrder:
        return self._record(replace(order, state=OrderState.CANCELLED, reason=reason))

    def _record(self, order: VenueOrder, fill: Fill | None = None) -> VenueOrder:
        if order.state.terminal:
            self._resting.pop(order.client_id, None)
        self._apply(VenueEvent(self.last_event + 1, self._instant_ns, order, fill))
        return order

    def _apply(self, event: VenueEvent) -> None:
        self._events.append(event)
        self._orders[event.order.client_id] = event.order
        self._live = None
        if fill := event.fill:
            self._fills[fill.client_id] = fill.k
            self._tapes[fill.contract] = event.order.tape_contract
            self._positions[fill.contract] = self._positions.get(fill.contract, 0) + fill.side.sign * fill.quantity

    def take_step(self) -> Step:
        """The changes since the last call, to be written down before anybody is told."""
        events = self.events_after(self._stepped)
        self._stepped = self.last_event
        return Step(self._instant_ns, events, dict(self._marks), dict(self._resting), self._matched)

    def restore(self, step: Step) -> None:
        """Apply a step that was taken from a market with the same past; InvalidInput when its events do not follow."""
        for event in step.events:
            if event.event != self.last_event + 1:
                raise InvalidInput("step.events", event.event, f"event {self.last_event + 1}")
            self._apply(event)
        self._stepped = self.last_event
        self._instant_ns = step.instant_ns
        self._marks = dict(step.marks)
        self._resting = {client_id: step.resting[client_id] for client_id in self._orders if client_id in step.resting}
        self._matched = step.matched
        self._live = None

    def forget(self, booked: int, before_ns: int) -> Kept:
        """Forget the events up to `booked` that are older than `before_ns`, and the orders that ended with them.

        Orders stay that work, that an order which stays names as its pair or its entry, and those in contracts that are
        held. Returns what is left, to be written down in place of all steps before.
        """
        gone = next((event for event in self._events if event.event > booked or event.instant_ns >= before_ns), None)
        self._forgotten, before = (self.last_event if gone is None else gone.event - 1), self._forgotten
        del self._events[: self._forgotten - before]
        recent = {event.order.client_id for event in self._events}
        held = {contract for contract, quantity in self._positions.items() if quantity}
        kept = {
            name: order
            for name, order in self._orders.items()
            if name in self._resting or name in recent or order.contract in held
        }
        named = {other for order in kept.values() for other in (order.parent, order.oco)}
        self._orders = {name: order for name, order in self._orders.items() if name in kept or name in named}
        self._fills = {name: count for name, count in self._fills.items() if name in self._orders}
        self._positions = {contract: quantity for contract, quantity in self._positions.items() if quantity}
        self._tapes = {contract: tape for contract, tape in self._tapes.items() if contract in self._positions}
        priced = {*self._tapes.values(), *(order.tape_contract for order in self.live_orders())}
        self._marks = {
            contract: mark
            for contract, mark in self._marks.items()
            if contract in priced or mark.last.time_ns >= before_ns
        }
        self._stepped = self.last_event
        step = Step(self._instant_ns, (), dict(self._marks), dict(self._resting), self._matched)
        return Kept(
            self._forgotten,
            tuple(self._events),
            tuple(self._orders.values()),
            dict(self._fills),
            dict(self._positions),
            dict(self._tapes),
            step,
        )

    def restore_kept(self, kept: Kept) -> None:
        """Go on, as a fresh market, from what was kept of another's past."""
        self._forgotten, self._events = kept.before, list(kept.events)
        self._orders = {order.client_id: order for order in kept.orders}
        self._fills, self._positions, self._tapes = dict(kept.fills), dict(kept.positions), dict(kept.tapes)
        self.restore(kept.step)
