"""The side of a live tape that no account waits for: a source that says prints as their time comes, and the market."""

import asyncio
from typing import TYPE_CHECKING, Final

from leadline.model.ids import ContractId
from leadline.model.subjects import tick_subject
from leadline.model.ticks import NS_PER_SECOND, TickBatch, TickColumns
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.runs import LIVE_TAPE
from tests.execution.harness.builders import ns
from tests.simulation import invariants
from tests.simulation.faults import Fault
from tests.simulation.tape_clock import Clock

if TYPE_CHECKING:
    from tests.simulation.world import World

WORD_S: Final = 0.5
QUIET_WORD_S: Final = 5.0
LOOK_S: Final = 0.25
CLOSES_S: Final = 27_000
"""The market closes at that second of the day, and opens again an hour later."""

SILENCE_NS: Final = 5 * NS_PER_SECOND


class Source:
    """It says each contract's prints twice a second, and how far they are complete."""

    def __init__(self, world: "World", clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._said = 0
        self.last_said_s: dict[ContractId, float] = {}
        """When prints of a contract were last said in time."""

    @property
    def now_ns(self) -> int:
        """The tape's time, by a clock that is right."""
        return ns(self._clock.begins) + int(self._world.loop.time() * self._clock.rate * 1e9)

    async def talk(self, contract: ContractId) -> None:
        """Say a contract's prints for as long as the schedule lasts."""
        world, said = self._world, 0
        while True:
            await asyncio.sleep(WORD_S if self.now_ns < ns(CLOSES_S) else QUIET_WORD_S)
            if world.plan.outage("source", world.loop.time()):
                continue
            now_ns, ticks = self.now_ns, world.schedule.prints[contract]
            until = int(ticks.time_ns.searchsorted(now_ns, "right"))
            self._said += 1
            late = until > said and world.plan.strikes(Fault.LATE_PRINTS, self._said)
            subject = tick_subject(LIVE_TAPE, "cme", contract)
            batch = TickBatch(LIVE_TAPE, "cme", contract, ticks.slice(said, until), now_ns, late=late)
            if until > said and not late:
                self.last_said_s[contract] = world.loop.time()
            world.bus.publish(subject, encode_tick_batch(batch), f"{subject}/{self._said}")
            said = until
            await asyncio.sleep(0.05 * world.chance.random())
            self._match(batch)

    def _match(self, batch: TickBatch) -> None:
        market = self._world.market
        if batch.late:
            market.skip(batch.contract, batch.ticks.last_index)
        else:
            market.arrive(batch.contract, batch.ticks, batch.watermark_ns - 1)
        self._world.venue.direct._write()

    async def tick(self) -> None:
        """What time alone ends, and what has to hold as it goes on."""
        world = self._world
        while True:
            await asyncio.sleep(LOOK_S)
            invariants.as_time_goes_on(world, LOOK_S)
            for contract in sorted({order.tape_contract for order in world.market.live_orders()}):
                world.market.arrive(contract, TickColumns.empty(), self.now_ns - SILENCE_NS)
            world.venue.direct._write()
