"""The models of the simulation and what they stand for are told the same, and answer the same."""

import asyncio
import random
from asyncio import events
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leadline.local.local_nats import LocalNats
from leadline.model.errors import LeadlineError
from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, Leg, RunId, StrategyId
from leadline.model.orders import Bracket, OrderType, Replacement, Side, VenueOrder
from leadline.model.signals import SignalMessage
from leadline.model.subjects import SIGNALS, signal_subject, tick_subject
from leadline.model.ticks import TickBatch
from leadline.model.wire.signals import encode_signal
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.bus.bus import Bus, Start
from leadline.runtime.poison import Handling
from leadline.runtime.runs import Run
from leadline.venue import convert
from leadline.venue.fill_rules import FillRules
from leadline.venue.ledger import Ledger
from leadline.venue.params import VenueParams
from leadline.venue.service import PaperVenue
from leadline.venue.servicer import PaperVenueServicer
from leadline.venue.v1 import venue_pb2 as pb
from tests.execution.harness.builders import DAY, MES, RTH_S, ns
from tests.execution.harness.sequences import sequences
from tests.simulation.bus import ModelBus
from tests.simulation.faults import Plan
from tests.simulation.loop import VirtualLoop
from tests.simulation.schedule import MNQ, TAPE, draw
from tests.simulation.venue import ModelVenue, Venue
from tests.simulation.wire import Wire
from tests.stack import bus_as

COMMANDS = 40
CONTRACTS = (MES, MNQ)


class Nobody:
    """Whoever calls the model of the venue."""

    name = "nobody"
    alive = True
    stands_until_s = 0.0

    def about_to_step(self) -> bool:
        return True

    def kill(self, why: str) -> None:
        raise AssertionError(why)

    def stand_still(self, seconds: float) -> None:
        raise AssertionError(seconds)


async def answer(work: Coroutine[Any, Any, Any]) -> Any:
    """What a call comes to; of a refusal that it was one, for each side has its own words."""
    try:
        return await work
    except LeadlineError:
        return "refused"


class Twins:
    """The model of the venue and the paper venue, each behind its own calls, asked for the same."""

    def __init__(self, loop: VirtualLoop, seed: int, folder: Path) -> None:
        schedule, plan = draw(seed), Plan(())
        wire = Wire(loop, random.Random(seed), plan)
        venue = Venue(wire, FillRules(), schedule.prints, ns(0), ns(RTH_S), lambda: None)
        self.model = ModelVenue(wire, Nobody(), venue, lambda _: None, lambda *_: None, lambda _: None, lambda _: None)
        bus = ModelBus(loop, random.Random(seed), plan)
        for contract, ticks in schedule.prints.items():
            subject = tick_subject(TAPE, "cme", contract)
            batch = TickBatch(TAPE, "cme", contract, ticks, ns(RTH_S), final=True)
            bus.publish(subject, encode_tick_batch(batch), f"{subject}/1")
        context: Any = SimpleNamespace(
            bus=bus,
            stopping=asyncio.Event(),
            handling=Handling(folder),
            spawn=lambda work, _: loop.spawn(work),
        )
        self.ledger = Ledger.open(folder / "ledger", TAPE)
        run = Run(TAPE, "twins", dict.fromkeys(schedule.prints, "cme"), DAY, 0, (DAY,), (), ns(0))
        params = VenueParams(account=AccountId("default/paper"), latency_ns=FillRules().latency_ns)
        self.turn: int | None = None
        self.paper: Any = PaperVenueServicer(PaperVenue(context, params, run, self.ledger))

    async def same(self, model: Coroutine[Any, Any, Any], paper: Coroutine[Any, Any, Any]) -> Any:
        found, expected = await answer(model), await answer(paper)
        assert found == expected
        return found

    async def submit(self, order: VenueOrder) -> Any:
        async def paper() -> VenueOrder:
            said = await self.paper.SubmitOrder(pb.SubmitOrderRequest(order=convert.order_to_proto(order)), None)
            return convert.order_as_reported(said.order)

        return await self.same(self.model.submit(order), paper())

    async def cancel(self, name: ClientOrderId) -> Any:
        async def paper() -> None:
            await self.paper.CancelOrder(pb.CancelOrderRequest(client_id=name, reason="twins"), None)

        return await self.same(self.model.cancel(name, "twins"), paper())

    async def replace(self, wanted: Replacement) -> Any:
        async def paper() -> VenueOrder:
            return convert.order_as_reported(
                (await self.paper.ReplaceOrder(convert.replacement_to_proto(wanted), None)).order
            )

        return await self.same(self.model.replace(wanted), paper())

    async def look(self) -> None:
        async def working() -> list[VenueOrder]:
            said = await self.paper.ListOrders(pb.ListOrdersRequest(working=True), None)
            return [convert.order_as_reported(order) for order in said.orders]

        async def positions() -> dict[ContractId, int]:
            said = await self.paper.ListPositions(pb.ListPositionsRequest(), None)
            return convert.positions_from_proto(said.positions)

        async def model_working() -> list[VenueOrder]:
            return list(await self.model.working())

        await self.same(model_working(), working())
        await self.same(self.model.positions(), positions())

    async def advance(self, from_ns: int, to_ns: int, after_event: int) -> Any:
        """To an instant, or to the first change; the paper venue may say in between how far it has come."""
        said = await self.model.advance(from_ns, to_ns, after_event, CONTRACTS, ())
        while True:
            request = pb.AdvanceToRequest(
                from_ns=from_ns, to_ns=to_ns, after_event=after_event, contracts=CONTRACTS, turn=self.turn
            )
            reply = await self.paper.AdvanceTo(request, None)
            self.turn, paper = reply.turn, convert.advanced_from_proto(reply)
            if paper.instant_ns >= said.instant_ns:
                break
        assert paper == said
        return said

    async def overtake(self, from_ns: int, to_ns: int, after_event: int) -> Any:
        """As `advance`, after a call that another process has made meanwhile."""
        if self.turn is not None and self.model.turn is not None:
            self.turn, self.model.turn = self.turn - 1, self.model.turn - 1
        said = await self.advance(from_ns, to_ns, after_event)
        assert said.instant_ns == from_ns
        return said


async def drawn_commands(twins: Twins, chance: random.Random) -> int:
    """Some commands; the number of events that they have led to."""
    instant_ns, event, names = ns(0), 0, [ClientOrderId("unheard of")]
    for number in range(COMMANDS):
        kind = chance.randrange(8)
        if kind < 3:
            contract = chance.choice(CONTRACTS)
            price = (20_000 if contract == MES else 90_000) + chance.randint(-8, 8)
            kinds: dict[str, Any] = chance.choice(
                [
                    {"type": OrderType.MARKET},
                    {"type": OrderType.LIMIT, "limit_price": price},
                    {"type": OrderType.STOP, "stop_price": price},
                ]
            )
            order = VenueOrder(
                client_id=ClientOrderId(f"order-{number}") if chance.random() < 0.9 else names[-1],
                decision=DecisionId(f"decision-{number}"),
                leg=Leg("E"),
                contract=contract,
                tape_contract=contract,
                side=chance.choice([*Side]),
                quantity=chance.randint(1, 3),
                decided_at_ns=instant_ns,
                bracket=Bracket(stop_ticks=chance.randint(2, 9), target_ticks=chance.randint(2, 9)),
                **kinds,
            )
            names.append(order.client_id)
            await twins.submit(order)
        elif kind == 3:
            await twins.cancel(chance.choice(names))
        elif kind == 4:
            name = chance.choice(names)
            await twins.replace(Replacement(name, quantity=chance.choice([None, 1, 2]), limit_price=20_001))
        else:
            to_ns = instant_ns + chance.choice([0, 1, 20, 300]) * 1_000_000_000
            late = twins.turn is not None and chance.random() < 0.3
            work = twins.overtake if late else twins.advance
            said = await work(instant_ns, min(to_ns, ns(RTH_S)), event)
            instant_ns = said.instant_ns
            event = max([event, *(each.event for each in said.events)])
            names += [each.order.client_id for each in said.events]
        await twins.look()
    return event


def test_the_model_of_the_venue_answers_as_the_paper_venue_does(tmp_path: Path):
    told = 0
    for seed in range(sequences(20)):
        loop = VirtualLoop(random.Random(seed))

        async def main(seed: int = seed, loop: VirtualLoop = loop) -> int:
            twins = Twins(loop, seed, tmp_path / str(seed))
            try:
                return await drawn_commands(twins, random.Random(f"commands {seed}"))
            finally:
                twins.ledger.close()

        with closing(loop):
            told += loop.run(main())
    assert told > 200


async def read(bus: Bus | ModelBus, subject: str, count: int, start: Start = "all") -> list[tuple[str, bytes]]:
    """The first messages of a subject, as a reader of the account gets them."""
    found: list[tuple[str, bytes]] = []
    async for message in bus.ordered(SIGNALS, subject, start=start):
        found.append((message.message_id, message.payload))
        if len(found) == count:
            break
    return found


def read_model(messages: list[tuple[str, bytes, str]], subject: str, count: int, start: Start = "all") -> Any:
    """What the model of the bus gives of these messages, on a loop of its own."""
    loop = VirtualLoop(random.Random(1))
    model = ModelBus(loop, random.Random(1), Plan(()))
    for message in messages:
        model.publish(*message)
    running = asyncio.get_running_loop()
    try:
        with closing(loop):
            return loop.run(read(model, subject, count, start))
    finally:
        events._set_running_loop(running)


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(sequences(1)))
async def test_the_model_of_the_bus_gives_what_a_server_gives(nats_server: LocalNats, seed: int):
    chance, account = random.Random(seed), AccountId("default/paper")
    messages: list[tuple[str, bytes, str]] = []
    for number in range(60):
        strategy = StrategyId(chance.choice(["default/a", "default/b"]))
        subject = signal_subject(RunId(f"twins-{seed}"), account, strategy)
        message = SignalMessage(RunId(f"twins-{seed}"), account, strategy, "hash", number, final=False, bar=None)
        messages.append((subject, encode_signal(message), f"{subject}/{number}"))
    async with bus_as(nats_server, "analysis") as writer, bus_as(nats_server, "execution") as reader:
        for each in messages:
            await writer.publish(*each)
        for subject in sorted({subject for subject, _, _ in messages}):
            count = sum(each[0] == subject for each in messages)
            assert count > 10, seed
            assert read_model(messages, subject, count) == await asyncio.wait_for(read(reader, subject, count), 20)
            last = await asyncio.wait_for(read(reader, subject, 1, "last"), 20)
            assert read_model(messages, subject, 1, "last") == last == read_model(messages, subject, count)[-1:]
