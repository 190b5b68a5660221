"""What really happened at a venue, by its own ledger, read while the venue writes it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from leadline.model.ids import ClientOrderId, LegKind
from leadline.model.orders import OrderType, VenueEvent, VenueOrder
from leadline.venue.ledger import _kept, _record, _step

_STOPS: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


@dataclass(slots=True)
class Exposure:
    """Stretches in which something did not hold, in nanoseconds of the tape: those that ended, and one that lasts."""

    since_ns: int | None = None
    stretches: list[tuple[int, int]] = field(default_factory=list)

    def note(self, holds: bool, at_ns: int) -> None:
        """Whether it holds from a time on."""
        if not holds and self.since_ns is None:
            self.since_ns = at_ns
        elif holds and self.since_ns is not None:
            if at_ns > self.since_ns:
                self.stretches.append((self.since_ns, at_ns))
            self.since_ns = None

    def longest_after(self, since_ns: int, now_ns: int) -> int:
        """The longest stretch that ended after a time, or lasts."""
        found = [until - begun for begun, until in self.stretches if until > since_ns]
        if self.since_ns is not None:
            found.append(now_ns - self.since_ns)
        return max(found, default=0)


class VenueSide:
    """The orders, fills and positions of one account as its venue has them, and what was ever wrong with them.

    `bare` are the stretches in which a position rested behind stops of less than its size, `excess` those in which the
    exits that could all fill were more than it.
    """

    def __init__(self) -> None:
        self.events: list[VenueEvent] = []
        self.orders: dict[ClientOrderId, VenueOrder] = {}
        self.touched: dict[ClientOrderId, int] = {}
        self.positions: dict[str, int] = {}
        self.wrong: list[str] = []
        self.bare = Exposure()
        self.excess = Exposure()
        self._entries: dict[str, ClientOrderId] = {}
        self._live: dict[ClientOrderId, VenueOrder] = {}

    @property
    def last_event(self) -> int:
        """The number of the newest event."""
        return self.events[-1].event if self.events else 0

    def take(self, events: Iterable[VenueEvent]) -> None:
        """Take events in the order of their numbers; those that are known are passed over."""
        for event in events:
            if event.event <= self.last_event:
                known = self.events[event.event - self.events[0].event]
                if known != event:
                    self.wrong.append(f"ledger: event {event.event} is another one than it was")
                continue
            if self.events and event.event != self.last_event + 1:
                self.wrong.append(f"ledger: event {event.event} follows {self.last_event}")
            self._take(event)

    def _take(self, event: VenueEvent) -> None:
        order = event.order
        known = self.orders.get(order.client_id)
        if known is None and order.leg.kind is LegKind.ENTRY:
            other = self._entries.setdefault(order.decision, order.client_id)
            if other != order.client_id:
                self.wrong.append(f"duplicate: entries {other} and {order.client_id} of one decision")
        if known is not None and known.state.terminal and event.fill is None:
            self.wrong.append(f"duplicate: order {order.client_id} lives again after {known.state}")
        self.events.append(event)
        self.orders[order.client_id] = order
        self.touched[order.client_id] = event.event
        if order.state.terminal:
            self._live.pop(order.client_id, None)
        else:
            self._live[order.client_id] = order
        if (fill := event.fill) is not None:
            before = self.positions.get(fill.contract, 0)
            after = before + fill.side.sign * fill.quantity
            if order.leg.kind is not LegKind.ENTRY and abs(after) > abs(before):
                self.wrong.append(f"crossed: {order.leg} {order.client_id} made {after} of {before} {fill.contract}")
            self.positions[fill.contract] = after
        self._look(event.instant_ns)

    def _look(self, at_ns: int) -> None:
        stops = exits = 0
        seen: set[str] = set()
        held = {contract: quantity for contract, quantity in self.positions.items() if quantity}
        for order in self._live.values():
            if order.leg.kind is LegKind.ENTRY:
                continue
            closes = order.side.sign * held.get(order.contract, 0) < 0
            if closes and order.type in _STOPS:
                stops += order.remaining
            if order.client_id not in seen:
                pair = self._live.get(order.oco) if order.oco else None
                exits += max(order.remaining, pair.remaining if pair else 0)
                seen.update((order.client_id, order.oco))
        size = sum(map(abs, held.values()))
        self.bare.note(stops >= size, at_ns)
        self.excess.note(exits <= size, at_ns)

    def state_at(self, number: int) -> tuple[dict[ClientOrderId, VenueOrder], dict[str, int]]:
        """Every order, and the positions that are not flat, after an event."""
        orders: dict[ClientOrderId, VenueOrder] = {}
        positions: dict[str, int] = {}
        for event in self.events:
            if event.event > number:
                break
            orders[event.order.client_id] = event.order
            if event.fill is not None:
                moved = event.fill.side.sign * event.fill.quantity
                positions[event.fill.contract] = positions.get(event.fill.contract, 0) + moved
        return orders, {contract: quantity for contract, quantity in positions.items() if quantity}


class LedgerReader:
    """Reads what a venue adds to its ledger, without holding it. Begin with it when the ledger is young."""

    def __init__(self, path: Path) -> None:
        self.side = VenueSide()
        self._path = path
        self._file: tuple[int, int] | None = None
        self._read = 0

    def read(self) -> VenueSide:
        """Take what is new. A last record that is not whole yet is left for the next time."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                name = (found.st_dev, found.st_ino)
                if name != self._file or found.st_size < self._read:
                    self._file, self._read = name, 0
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return self.side
        at = 0
        while at < len(data):
            content, end = _record(data, at)
            if content is None:
                break
            document = orjson.loads(content)
            if "before" in document:
                self.side.take(_kept(document).events)
            elif "events" in document:
                self.side.take(_step(document).events)
            at = end
        self._read += at
        return self.side
