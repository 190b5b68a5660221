"""The world around an account for one schedule: its database, venue, bus, machines and people."""

import asyncio
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from leadline.execution.adapters.memory_store import MemoryDatabase
from leadline.execution.adapters.outbox import event_subjects
from leadline.execution.core.orders import GIVEN_UP, UNRESOLVED
from leadline.execution.core.records import WrittenEvent
from leadline.execution.loop.ports import LEASE_SECONDS
from leadline.execution.params import ExecutionParams
from leadline.execution.venues.paper.direct import fill_rules_of
from leadline.execution.venues.paper.venue import PaperVenue
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.orders import VenueOrder
from leadline.model.subjects import signal_subject
from leadline.model.wire.signals import encode_signal
from leadline.runtime.runs import Run
from tests.execution.harness.builders import DAY, ns
from tests.simulation import invariants
from tests.simulation.at_rest import at_rest, other_on_the_bus
from tests.simulation.bus import ModelBus
from tests.simulation.faults import OF_TIME, Fault, Plan, Planned, Tamper
from tests.simulation.live import Source
from tests.simulation.loop import VirtualLoop
from tests.simulation.outbox import unpublished
from tests.simulation.people import People
from tests.simulation.points import Points
from tests.simulation.process import Process
from tests.simulation.schedule import ACCOUNT, FAULTS_END_S, TAPE, Schedule
from tests.simulation.store import Transactions
from tests.simulation.tail import Tail
from tests.simulation.venue import Venue
from tests.simulation.wire import Wire

PATIENCE_S: Final = FAULTS_END_S + 240.0
"""Seconds within which a schedule comes to rest: faults have ended long before."""

SETTLED_S: Final = 0.2
"""An order that lands later than this may have been given up: it was looked for twice, with a pause between."""

ASKED_TWICE: Final = 2
LOOK_S: Final = 0.5
RESTS_WITHIN_S: Final = 10.0
"""All is at rest so soon after the last thing that has held it up."""

SAID_AGAIN_S: Final = 5.0
"""So soon the bus has again what it has forgotten."""

MACHINES: Final = ("first", "second", "third")


@dataclass(frozen=True)
class Violation:
    """An invariant that did not hold, by its name, and what was found."""

    invariant: str
    found: str


class World:
    """One schedule while it runs."""

    def __init__(self, schedule: Schedule, folder: Path) -> None:
        self.schedule = schedule
        self.chance = random.Random(f"world {schedule.seed}")
        self.loop = VirtualLoop(random.Random(f"ready {schedule.seed}"))
        self.plan = Plan(schedule.faults)
        self.wire = Wire(self.loop, random.Random(f"wire {schedule.seed}"), self.plan)
        self.database = MemoryDatabase(self.loop.time)
        self.transactions = Transactions()
        begins_ns = ns(0 if schedule.live is None else schedule.live.begins)
        rules = fill_rules_of(PaperVenue().section_of(schedule.account.spec))
        self.venue = Venue(
            self.wire, rules, schedule.prints, begins_ns, ns(schedule.ends), lambda: invariants.at_the_venue(self)
        )
        self.market = self.venue.market
        self.bus = ModelBus(self.loop, random.Random(f"bus {schedule.seed}"), self.plan)
        contracts, clock = dict.fromkeys(schedule.prints, "cme"), schedule.live
        self.source = None if clock is None else Source(self, clock)
        if clock is None or self.source is None:
            self.run = Run(TAPE, "simulation", contracts, DAY, 0, (DAY,), (), ns(0))
        else:
            self.run, source = clock.run(contracts), self.source
            self.venue.now_ns = lambda: source.now_ns
        self.params = ExecutionParams(account=ACCOUNT, manifest=schedule.account)
        self.people = People(self)
        self.points = Points()
        self.violations: list[Violation] = []
        self.sent: dict[ClientOrderId, int] = {}
        self.late: set[ClientOrderId] = set()
        """Orders that came to the venue after the account had given them up, or the answer on which it did so."""
        self._absent: dict[ClientOrderId, int] = {}
        """How often the venue has said of an order that it has none."""
        self._slow: dict[ClientOrderId, VenueOrder] = {}
        """Orders that came after the venue had said so twice: whoever heard it gives them up."""
        self.said_s: dict[tuple[StrategyId, int], float] = {}
        """When the messages of a strategy were said."""
        self.joined: dict[StrategyId, int] = {}
        """Where the market stood when a strategy was answered that it counts, ns."""
        self.published: dict[int, WrittenEvent] = {}
        """The events that the database has marked as published."""
        self.processes: list[Process] = []
        self.kills = 0
        self.clock_ahead_s = 0.0
        self.clock_set_s = 0.0
        self.disturbed_until_s = 0.0
        """Until when something that has gone wrong, or been said, holds things up."""
        self.stands: dict[str, float] = {}
        """What should not be on a live tape and an account could do something about, and for how long it has been."""
        self.halted: dict[tuple[str, str], float] = {}
        """Since when halts stand that people were answered and nobody has asked to clear: by machine and reason."""
        self.forgot = False
        self.forgotten_s = -math.inf
        """When the bus has forgotten events last."""
        self._folder = folder
        self._steps = 0
        self._by_step: dict[int, list[Planned]] = {}
        for each in schedule.faults:
            if each.fault in (Fault.KILL, Fault.STAND_STILL):
                self._by_step.setdefault(int(each.at), []).append(each)

    def disturbed(self, seconds: float) -> None:
        """Something holds things up for some seconds from now on."""
        self.disturbed_until_s = max(self.disturbed_until_s, self.loop.time() + seconds)

    def violates(self, invariant: str, found: str) -> None:
        """Note that something does not hold."""
        self.loop.tell(f"VIOLATION {invariant}: {found}")
        self.violations.append(Violation(invariant, found))

    # --- machines ---

    def start(self, machine: str) -> None:
        """Start the service on a machine, on what the one before has left there."""
        process = Process(self, machine, self._folder / machine, len(self.processes))
        self.loop.tell(f"{machine} starts")
        self.processes.append(process)
        process.start()

    def gone(self, process: Process) -> None:
        """A process has ended; its machine starts another."""
        self.kills += process.error is None
        invariants.at_an_end(self, process)
        delay_s = self.chance.choice([0.05, 0.3, 1.0, 4.0])
        self.disturbed(delay_s + LEASE_SECONDS)
        self.loop.call_later(delay_s, self.start, process.name, context=self.loop.world)

    def step_of(self, process: Process) -> bool:
        """A process is about to run a callback."""
        self._steps += 1
        for each in self._by_step.get(self._steps, ()):
            self.plan.struck.add(each)
            if each.fault is Fault.KILL:
                process.kill(f"at step {self._steps}")
            else:
                process.stand_still(each.seconds)
        return process.alive

    def current(self) -> Process | None:
        """The process that holds the account, or else one that answers calls."""
        serving = [each for each in self.processes if each.alive and each.serving]
        return next((each for each in serving if self._holds(each)), serving[-1] if serving else None)

    def close(self) -> None:
        """Switch all machines off."""
        self.loop.close()
        for process in self.processes:
            if process.account is not None:
                process.account.journal.close()

    # --- what is looked at while it runs ---

    def leaves(self, process: Process, order: VenueOrder) -> None:
        """The first byte of an order leaves a process."""
        self.sent[order.client_id] = self.sent.get(order.client_id, 0) + 1
        invariants.at_a_send(self, process, order)

    def lands(self, order: VenueOrder, after_s: float) -> None:
        """An order comes to the venue, so many seconds after it left."""
        if after_s <= max(SETTLED_S, self.schedule.settle_s):
            return
        written = invariants.records_of(self).orders.get(order.client_id)
        if written is not None and written.order.state in GIVEN_UP:
            self._is_late(order)
        elif self._absent.get(order.client_id, 0) >= ASKED_TWICE:
            self._slow[order.client_id] = order

    def absent(self, client_id: ClientOrderId) -> None:
        """The venue says that it has no such order."""
        self._absent[client_id] = self._absent.get(client_id, 0) + 1

    def _is_late(self, order: VenueOrder) -> None:
        self.loop.tell(f"{order.client_id} lands late")
        self.late.add(order.client_id)
        self.venue.tampered.add(order.contract)

    def advances(self, process: Process, to_ns: int) -> None:
        """The tape is about to go on to an instant."""
        if to_ns > self.market.instant_ns:
            invariants.before_prints(self, process)
            process.went_on_s = self.loop.time()

    def committed(self, epoch: int) -> None:
        """A transaction of the account has been written, under an epoch."""
        records = invariants.records_of(self).orders
        for name in [name for name in self._slow if name in records and records[name].order.state in GIVEN_UP]:
            self._is_late(self._slow.pop(name))
        invariants.at_a_commit(self, epoch)

    @property
    def doubtful(self) -> bool:
        """Whether book and venue may have differed, by what has gone wrong."""
        return self.uncertain or any(each.fault is Fault.TAMPER for each in self.plan.struck)

    @property
    def uncertain(self) -> bool:
        """Whether they may have, and the account may have heard nothing of it or could do nothing about it."""
        doubtful = {Fault.LOST_TAIL, Fault.STALE, Fault.FAILS, Fault.REJECTED}
        return bool(self.late or self.venue.forgotten) or any(each.fault in doubtful for each in self.plan.struck)

    @property
    def now_ns(self) -> int:
        """The tape's time."""
        return self.market.instant_ns if self.source is None else self.source.now_ns

    def can_act(self, process: Process) -> bool:
        """Whether a process has heard all, holds the account, and nothing that has gone wrong holds it up."""
        now_s, account = self.loop.time(), process.account
        away = any(self.plan.outage(part, now_s) for part in ("database", "venue", "disk"))
        if account is None or away or now_s < self.wire.troubled_until_s or now_s < process.stands_until_s:
            return False
        runs = account.loop.phase in (LoopPhase.RUNNING, LoopPhase.WAITING_FOR_PRINTS)
        return runs and self._holds(process) and invariants.has_heard(self, process)

    # --- the run ---

    async def main(self) -> None:
        """Everything, until it has come to rest or patience ends."""
        self.start(MACHINES[0])
        for each in self.schedule.faults:
            if each.fault in OF_TIME:
                self.loop.call_later(each.at, self._strike, each, context=self.loop.world)
        for strategy in self.schedule.strategies:
            self.loop.spawn(self._say(strategy.full_name))
            self.loop.spawn(self.people.set_strategy(strategy))
        if self.source is not None:
            for contract in self.schedule.prints:
                self.loop.spawn(self.source.talk(contract))
            self.loop.spawn(self.source.tick())
        self.loop.spawn(self.people.trade())
        self.loop.spawn(self.people.clear_halts())
        if not await self._comes_to_rest():
            return
        if self.venue.forgotten or self.forgot:  # nobody tells of it: the next start asks
            self.plan.faults = ()
            for process in self.processes:
                process.kill("so that the next one looks")
            if not await self._comes_to_rest():
                return
        at_rest(self)

    async def _comes_to_rest(self) -> bool:
        until_s = self.loop.time() + PATIENCE_S
        while self.loop.time() < until_s:
            await asyncio.sleep(LOOK_S)
            if self._rests():
                self._in_time()
                return True
        current = self.current()
        phase = "nobody" if current is None or current.account is None else current.account.loop.phase
        self.violates("liveness", f"no rest within {PATIENCE_S:g} s: {phase}")
        return False

    def _in_time(self) -> None:
        """It comes to rest soon after the last thing that has held it up."""
        outages = [each.at + each.seconds for each in self.plan.struck if each.fault is Fault.OUTAGE]
        live = self.schedule.live
        ends_s = 0.0 if live is None else max(FAULTS_END_S, (self.schedule.ends - live.begins) / live.rate)
        until_s = max(self.disturbed_until_s, self.wire.troubled_until_s, ends_s, *outages)
        if (took_s := self.loop.time() - until_s) > RESTS_WITHIN_S:
            self.violates("liveness", f"it has come to rest {took_s:g} s after the last that has held it up")

    def _strike(self, planned: Planned) -> None:
        """What comes at a time comes now."""
        self.disturbed(planned.seconds if planned.fault is Fault.LOST_TAIL else LOOK_S)
        if planned.fault is Fault.RIVAL:
            used = {each.name for each in self.processes}
            machine = next((name for name in MACHINES if name not in used), None)
            if machine is not None:
                self.plan.struck.add(planned)
                self.start(machine)
        elif planned.fault is Fault.STOP:
            current = self.current()
            if current is not None and current.account is not None:
                self.plan.struck.add(planned)
                current.account.context.stopping.set()
        elif planned.fault is Fault.CLOCK:
            self.plan.struck.add(planned)
            self.clock_ahead_s = round(self.clock_ahead_s + planned.seconds, 3)
            self.clock_set_s = self.loop.time()
        elif planned.fault is Fault.LOST_STREAM:
            self.plan.struck.add(planned)
            self.loop.tell(f"the bus forgets {planned.seconds:g} s")
            self.forgotten_s = self.loop.time()
            self.bus.roll_back(event_subjects(self.run.tape, ACCOUNT).values(), planned.seconds)
        elif planned.fault is Fault.TAMPER:
            if self.venue.tamper(Tamper(planned.on), int(planned.seconds)):
                self.plan.struck.add(planned)
            elif self.loop.time() < FAULTS_END_S:
                self.loop.call_later(LOOK_S, self._strike, planned, context=self.loop.world)
        else:
            tail, published = Tail(self.database), dict(self.published)
            self.loop.call_later(planned.seconds, self._lose, planned, tail, published, context=self.loop.world)

    def _lose(self, planned: Planned, tail: Tail, published: dict[int, WrittenEvent]) -> None:
        """The database becomes what it was, and whoever was connected to it is not any more."""
        self.plan.struck.add(planned)
        self.loop.tell(f"the database forgets {planned.seconds:g} s")
        self.forgot = True
        tail.put_back(self.database)
        self.published.clear()
        self.published.update(published)
        self.transactions.open = []
        self.wire.lives["database"] = self.wire.lives.get("database", 0) + 1
        for strategy in self.schedule.strategies:
            self.loop.spawn(self.people.look_after(strategy))

    def _rests(self) -> bool:
        current = self.current()
        tails = (each for each in self.schedule.faults if each.fault is Fault.LOST_TAIL)
        if current is None or current.account is None or any(each not in self.plan.struck for each in tails):
            return False
        if any(each.alive and each.stands_until_s > self.loop.time() for each in self.processes):
            return False
        account = current.account
        told = not (account.kill_switch.halts.unstored or self.unpublished or self._is_said_again())
        if self.source is not None:
            return told and self._rests_live(current, self.source)
        return account.loop.phase is LoopPhase.FINISHED and self._holds(current) and told

    def _rests_live(self, process: Process, source: Source) -> bool:
        """Whether all was said and is decided and nothing is held, or what somebody else has done is protected."""
        if source.now_ns < ns(self.schedule.ends) or self.loop.time() < FAULTS_END_S or not self.can_act(process):
            return False
        account = process.account
        assert account is not None
        unsaid = len(self.said_s) < sum(map(len, self.schedule.messages.values()))
        waits = unsaid or any(queue.waits for queue in account.queues.values())
        live = [order for order in account.loop.book.live_orders() if order.state in UNRESOLVED]
        leaves = self.market.positions() and not self.doubtful
        return not (waits or live or leaves)

    def _is_said_again(self) -> bool:
        """Whether the bus has just forgotten events, and does not have them again."""
        since_s = self.loop.time() - self.forgotten_s
        return since_s < SAID_AGAIN_S and any(other_on_the_bus(self, invariants.records_of(self)))

    @property
    def unpublished(self) -> bool:
        """Whether an event of the book is not marked as published."""
        return bool(unpublished(invariants.records_of(self).events, self.published))

    def _holds(self, process: Process) -> bool:
        lease = self.database.leases.get(ACCOUNT)
        return process.account is not None and lease is not None and process.account.store.epoch == lease.epoch

    async def _say(self, name: Any) -> None:
        subject, live = signal_subject(self.schedule.tape, ACCOUNT, name), self.schedule.live
        for number, (wait_s, message) in enumerate(self.schedule.messages[name]):
            if live is not None and message.bar is not None:
                await asyncio.sleep(live.seconds_until(message.bar.known_at_ns, self.loop.time()))
            await asyncio.sleep(wait_s)
            self.disturbed(0)
            self.said_s[name, number] = self.loop.time()
            self.bus.publish(subject, encode_signal(message), f"{subject}/{number}")
            if self.chance.random() < 0.1:
                self.bus.publish(subject, encode_signal(message), f"{subject}/{number}")
