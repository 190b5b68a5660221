"""The library of the how-to page's exchange: a paper market that pushes what happens, and can be asked."""

from collections.abc import Callable, Mapping, Sequence

from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Fill, Replacement, VenueOrder
from leadline.model.ticks import TickColumns
from leadline.testing import TapeTime
from leadline.venue.fill_rules import FillRules
from leadline.venue.matching import PaperMarket

Happened = tuple[int, VenueOrder, Fill | None]


class Exchange:
    """A session of one account; `time` passes by itself."""

    def __init__(self, time: TapeTime, rules: FillRules, begins_ns: int) -> None:
        self.time = time
        self.market = PaperMarket(rules, begins_ns)
        self._listeners: list[Callable[[Happened], None]] = []
        self._told = 0
        time.listen(self._pass)

    def listen(self, listener: Callable[[Happened], None]) -> None:
        self._listeners.append(listener)

    def today(self) -> list[Happened]:
        return [(event.instant_ns, event.order, event.fill) for event in self.market.events_after(0)]

    def send(self, order: VenueOrder) -> VenueOrder:
        taken, _ = self.market.submit(order)
        self._push()
        return taken

    def cancel(self, client_id: str, reason: str) -> None:
        self.market.cancel(ClientOrderId(client_id), reason)
        self._push()

    def change(self, wanted: Replacement) -> VenueOrder:
        changed = self.market.replace(wanted)
        self._push()
        return changed

    def order(self, client_id: str) -> VenueOrder:
        return self.market.order(ClientOrderId(client_id))

    def working(self) -> Sequence[VenueOrder]:
        return self.market.live_orders()

    def positions(self) -> dict[ContractId, int]:
        return self.market.positions()

    def trade(self, contract: ContractId, time_ns: int, price: int, size: int) -> None:
        """Others trade."""
        mark = self.market.marks.get(contract)
        first = 0 if mark is None else mark.last.source_index + 1
        self._pass(time_ns, {contract: TickColumns.of([(time_ns, price, size, 0)], first)})

    def _pass(self, now_ns: int, prints: Mapping[ContractId, TickColumns]) -> None:
        while self.market.instant_ns < now_ns:
            self.market.advance(prints, now_ns)
        self._push()

    def _push(self) -> None:
        for event in self.market.events_after(self._told):
            self._told = event.event
            for listener in self._listeners:
                listener((event.instant_ns, event.order, event.fill))
