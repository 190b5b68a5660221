"""A venue that says anything: events, orders, positions, fills that nobody asked for, numbers that jump or come twice.

Nothing of it ends the process of an account, and nothing is sent twice.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from leadline.execution.loop.ports import PartFailed
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Advanced, VenueOrder, Watch
from leadline.venue.convert import advanced_from_proto, advanced_to_proto, order_as_reported, order_to_proto
from leadline.venue.matching import PaperMarket
from leadline.venue.v1 import venue_pb2 as pb
from tests.execution.harness.builders import BUY, MES, bar, says, strategy, tape
from tests.execution.harness.desk import Desk, Starved
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import MemoryBooks
from tests.fuzz.requests import INT64, TEXTS, fill

MOST_STEPS: Final = 60
_QUICK: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
_PRINTS: Final = {
    MES: tape((600, 20_000), (601, 20_000), (700, 20_004), (800, 20_003), (900, 20_026, 1, BUY), (1000, 20_012))
}


class Babbles(TrippedVenue):
    """A venue that does what is right, and of which some answers have been changed on their way."""

    def __init__(self, venue: MatchingVenue, market: PaperMarket, data: st.DataObject) -> None:
        super().__init__(venue, Tripwire())
        self._market = market
        self._data = data
        self._events: list[pb.VenueEvent] = []

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        # An account that has heard of more than there is would be told that the ledger was lost: another matter.
        known_ns, known = min(from_ns, self._market.instant_ns), min(after_event, self._market.last_event)
        said = advanced_to_proto(await super().advance(known_ns, to_ns, known, contracts, watches))
        told = list(said.events)
        for event in said.events:
            if self._strange():
                self._change(event)
        if told and self._strange():
            said.events.add().CopyFrom(self._data.draw(st.sampled_from([*self._events, *told]), "again"))
        if self._strange():
            fill(self._data, said.events.add(), 2)
        if self._strange():
            fill(self._data, said.positions.add(), 1)
        if self._strange():
            fill(self._data, said.last_prints.add(), 1)
        if len(said.events) > 1 and self._strange():
            order = self._data.draw(st.permutations(range(len(said.events))), "order")
            shuffled = [pb.VenueEvent.FromString(said.events[number].SerializeToString()) for number in order]
            del said.events[:]
            said.events.extend(shuffled)
        self._events = [*self._events, *told][-4:]
        return advanced_from_proto(said)

    async def submit(self, order: VenueOrder) -> VenueOrder:
        return self._heard(await super().submit(order))

    async def find(self, client_id: str) -> VenueOrder | None:
        found = await super().find(ClientOrderId(client_id))
        return None if found is None else self._heard(found)

    async def working(self) -> Sequence[VenueOrder]:
        return [self._heard(order) for order in await super().working()]

    async def positions(self) -> dict[ContractId, int]:
        found = await super().positions()
        return {**found, ContractId(self._data.draw(TEXTS)): self._data.draw(INT64)} if self._strange() else found

    def _heard(self, order: VenueOrder) -> VenueOrder:
        said = order_to_proto(order)
        if self._strange():
            self._change(said)
        return order_as_reported(said)

    def _strange(self) -> bool:
        return self._data.draw(st.integers(0, 3), "strange") == 0

    def _change(self, message: Any) -> None:
        fill(self._data, message, 2)


def venue_words(data: st.DataObject) -> bool:
    """A day at such a venue, whose process starts again where a part did not do what it was asked."""
    return asyncio.run(_day(data))


async def _day(data: st.DataObject) -> bool:
    signals = {"default/mes": says([bar(600), bar(650), bar(850)], end=1000)}
    with tempfile.TemporaryDirectory(dir=_QUICK) as name:
        desk = Desk(MemoryBooks(), Path(name), _PRINTS, signals, [strategy()], ends=1000)
        session = desk.open()
        venue = Babbles(venue_of(session.loop._deps), session.market, data)
        # Of a venue that says anything the book says anything: what stands in it is not looked at here.
        session.replace_deps(lambda deps: replace(replace_venue(deps, venue), store=session.store))
        try:
            for _ in range(MOST_STEPS):
                try:
                    if not session.store.epoch or not session.queues:
                        await session.start()
                    await session.loop.step()
                except PartFailed:
                    session.queues.clear()
                except Starved:
                    break
                if session.book.finished:
                    break
        finally:
            session.close()
        return bool(session.switch.words)
