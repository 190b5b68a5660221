"""The venue as a process on a real bus: the same events as in memory, whatever is lost, killed or late."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import structlog

from leadline.execution.venues.paper.client import PaperVenueClient
from leadline.local.local_nats import LocalNats
from leadline.local.ports import Ports
from leadline.model.ids import AccountId, ClientOrderId, ContractId, RunId
from leadline.model.orders import (
    Advanced,
    Bracket,
    OrderState,
    Replacement,
    Side,
    Trail,
    Trailing,
    VenueEvent,
    VenueOrder,
    Watch,
    WatchedPosition,
)
from leadline.model.subjects import tick_subject
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.wire.ticks import encode_tick_batch
from leadline.runtime.bus.bus import Bus
from leadline.runtime.context import open_context
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.runs import Run, announce_run
from leadline.runtime.settings import ServiceSettings
from leadline.venue import service
from leadline.venue.convert import (
    advanced_from_proto,
    event_from_proto,
    event_to_proto,
    fill_from_proto,
    order_from_proto,
    order_to_proto,
    replacement_from_proto,
    replacement_to_proto,
    watch_from_proto,
    watch_to_proto,
)
from leadline.venue.fill_rules import FillRules
from leadline.venue.ledger import FILE_NAME
from leadline.venue.matching import PaperMarket
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1 import venue_pb2_grpc as rpc
from tests.measured import total
from tests.stack import bus_as
from tests.venue.builders import ES, MES, order
from tests.venue.misbehaving import (
    FAILS_AFTER,
    FAILS_BEFORE,
    LOST_ANSWER,
    LOST_CALL,
    Fault,
    Gate,
    misbehaving,
    rejected,
    repeated,
)

pytestmark = pytest.mark.integration

KEY = "a key that is long enough to sign tokens with"
RUN = RunId("run-1")
MILLISECOND = 1_000_000
END_NS = 2_000 * MILLISECOND
FOREVER = 2**63 - 1


def long_tape(seed: int) -> TickColumns:
    """Two thousand prints, three to an instant, that wander by chance, always the same."""
    chance = np.random.default_rng(seed)
    number = np.arange(2000)
    return TickColumns(
        (number - number % 3) * MILLISECOND,
        20000 + np.cumsum(chance.integers(-3, 4, 2000)),
        chance.integers(1, 5, 2000),
        chance.integers(-1, 2, 2000).astype(np.int8),
    )


PRINTS = {ES: long_tape(1), MES: long_tape(2)}


def batches(contract: ContractId, ticks: TickColumns, rows: int, *, final: bool = True) -> list[TickBatch]:
    """The tape in messages of so many rows; each promises the time of its last print, the last one the tape's end."""
    cut = [ticks.slice(start, start + rows) for start in range(0, len(ticks), rows)]
    found = [TickBatch(RUN, "cme", contract, part, int(part.time_ns[-1])) for part in cut]
    if final:
        found.append(TickBatch(RUN, "cme", contract, TickColumns.empty(len(ticks)), END_NS, final=True))
    return found


async def publish(bus: Bus, found: Sequence[TickBatch]) -> None:
    subject = tick_subject(RUN, "cme", found[0].contract)
    key = [f"{subject}/{batch.ticks.last_index}/{batch.watermark_ns}" for batch in found]
    await bus.publish_many([(subject, encode_tick_batch(b), k) for b, k in zip(found, key, strict=True)])


@pytest.fixture
async def bus(nats_server: LocalNats) -> AsyncIterator[Bus]:
    """The bus as ingestion, with the run announced."""
    async with bus_as(nats_server, "ingestion") as found:
        day = date(2025, 11, 20)
        await announce_run(found, Run(RUN, "sim", {ES: "cme", MES: "cme"}, day, 0, (day,), (), -1))
        yield found


def settings_in(folder: Path, nats: LocalNats, ports: Ports, **params: Any) -> ServiceSettings:
    key = folder / "key"
    key.write_text(KEY)
    return ServiceSettings(
        service="venue",
        workload="venue-default-paper",
        listen=f"127.0.0.1:{ports.take()}",
        metrics_listen=f"127.0.0.1:{ports.take()}",
        nats=nats.settings("venue"),
        data_dir=folder / "data",
        token_key_file=key,
        params={"account": "default/paper", "latency_ns": 0, **params},
    )


@dataclass
class Caller:
    """Execution's side of the socket, in domain values."""

    stub: "rpc.PaperVenueServiceAsyncStub"
    channel: grpc.aio.Channel

    async def submit(self, one: VenueOrder) -> tuple[VenueOrder, bool]:
        reply = await self.stub.SubmitOrder(pb.SubmitOrderRequest(order=order_to_proto(one)), timeout=5)
        return order_from_proto(reply.order), reply.duplicate

    async def advance(
        self,
        to_ns: int,
        after_event: int = 0,
        watches: Sequence[Watch] = (),
        from_ns: int | None = None,
        contracts: Sequence[str] = (MES,),
    ) -> Advanced:
        request = pb.AdvanceToRequest(
            to_ns=to_ns,
            after_event=after_event,
            contracts=contracts,
            watches=[watch_to_proto(watch) for watch in watches],
            from_ns=from_ns,
        )
        return advanced_from_proto(await self.stub.AdvanceTo(request, timeout=5))

    async def orders(self, *client_ids: ClientOrderId) -> list[VenueOrder]:
        reply = await self.stub.ListOrders(pb.ListOrdersRequest(client_ids=client_ids), timeout=5)
        return [order_from_proto(found) for found in reply.orders]


@asynccontextmanager
async def calling(settings: ServiceSettings, address: str = "") -> AsyncIterator[Caller]:
    token = token_source(one_key(KEY), "execution", "test", "venue/default/paper", AccountId("default/paper"))
    channel = open_channel(address or settings.listen, token)
    try:
        yield Caller(rpc.PaperVenueServiceStub(channel), channel)
    finally:
        await channel.close(None)


@asynccontextmanager
async def serving(settings: ServiceSettings) -> AsyncIterator[Caller]:
    """The venue in this process, and a caller of it."""
    context = await open_context(settings, structlog.stdlib.get_logger())
    task = asyncio.create_task(service.run(context))
    try:
        while not context.port:
            assert not task.done()
            await asyncio.sleep(0.005)
        async with calling(settings) as caller:
            yield caller
    finally:
        context.stopping.set()
        await task
        await context.close()


def decisions() -> list[VenueOrder]:
    """An entry every 200 ms, on both contracts in turn."""
    return [
        replace(
            order(ClientOrderId(f"E{number}"), (Side.BUY, Side.SELL)[number % 3 == 0], 2, bracket=(9, 9)),
            contract=contract,
        )
        for number in range(1, 10)
        for contract in [(ES, MES)[number % 2]]
    ]


def at(number: int) -> int:
    return (number + 1) * 200 * MILLISECOND


def in_memory() -> tuple[VenueEvent, ...]:
    """The day as the market alone tells it."""
    paper = PaperMarket(FillRules(latency_ns=0), -1)
    for number, one in enumerate(decisions()):
        while paper.instant_ns < at(number):
            paper.advance(PRINTS, at(number))
        paper.submit(replace(one, tape_contract=one.contract, decided_at_ns=at(number)))
    while paper.instant_ns < END_NS:
        paper.advance(PRINTS, END_NS)
    return paper.events_after(0)


class Account:
    """The least of an account: it goes from decision to decision and writes down what it is told."""

    def __init__(self) -> None:
        self.instant_ns = -1
        self.events: list[VenueEvent] = []
        self.sent = 0
        self.final = False

    async def step(self, venue: Caller) -> None:
        """One call; whatever it raises, the account has not moved."""
        if self.sent < len(decisions()) and self.instant_ns == at(self.sent):
            one = decisions()[self.sent]
            await venue.submit(replace(one, tape_contract=one.contract, decided_at_ns=self.instant_ns))
            self.sent += 1
        to_ns = at(self.sent) if self.sent < len(decisions()) else FOREVER
        advanced = await venue.advance(to_ns, len(self.events), from_ns=self.instant_ns, contracts=(ES, MES))
        self.events += advanced.events
        self.instant_ns, self.final = advanced.instant_ns, advanced.final


@pytest.mark.parametrize(("rows", "buffer_prints"), [(1, 10), (7, 64), (256, 262_144)])
async def test_a_day_over_the_socket_is_the_day_in_memory_however_the_tape_is_cut(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports, rows: int, buffer_prints: int
):
    for contract, ticks in PRINTS.items():
        await publish(bus, batches(contract, ticks, rows))
    async with serving(settings_in(tmp_path, nats_server, ports, buffer_prints=buffer_prints)) as venue:
        account = Account()
        while not account.final:
            await account.step(venue)

        assert tuple(account.events) == in_memory()
        assert account.instant_ns == END_NS
        reply = await venue.stub.ListFills(pb.ListFillsRequest(), timeout=5)
        fills = [event.fill for event in account.events if event.fill]
        assert [fill_from_proto(fill) for fill in reply.fills] == fills
        held = {
            contract: sum(f.side.sign * f.quantity for f in fills if f.contract == contract) for contract in (ES, MES)
        }
        positions = await venue.stub.ListPositions(pb.ListPositionsRequest(), timeout=5)
        assert {p.contract: p.quantity for p in positions.positions} == {c: q for c, q in held.items() if q}


async def test_killed_again_and_again_it_loses_no_order_no_fill_and_no_stop(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    for contract, ticks in PRINTS.items():
        await publish(bus, batches(contract, ticks, 50))
    settings = settings_in(tmp_path, nats_server, ports)
    (tmp_path / "settings.json").write_text(settings.model_dump_json())
    command = [sys.executable, "-m", "leadline.cli.service", "venue", "--settings", str(tmp_path / "settings.json")]
    env = {**os.environ, "PYTHONPATH": "services"}

    account, kills = Account(), 0
    async with calling(settings) as venue:
        while not account.final:
            process = await asyncio.create_subprocess_exec(
                *command, env=env, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                await asyncio.wait_for(until_it_answers(venue), 20)
                for _ in range(3 + 2 * kills):
                    await account.step(venue)
                # In the middle of a call, or right after one.
                if not account.final:
                    call = asyncio.create_task(account.step(venue))
                    await asyncio.sleep(0.002 * kills)
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    with_loss = await asyncio.gather(call, return_exceptions=True)
                    assert all(one is None or isinstance(one, grpc.aio.AioRpcError) for one in with_loss)
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()

    assert kills >= 3, "the day was over too soon"
    assert tuple(account.events) == in_memory()


async def until_it_answers(venue: Caller) -> None:
    while True:
        try:
            await venue.orders()
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  (any other answer is a failure)
            await asyncio.sleep(0.02)
        else:
            return


async def test_it_says_after_a_second_how_far_the_tape_came_and_goes_on_when_more_arrives(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    ticks = PRINTS[MES]
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        assert (await venue.advance(FOREVER)).instant_ns == -1
        await publish(bus, batches(MES, ticks.slice(0, 400), 100, final=False))
        # the watermark is the time of the last print, so that instant is still open
        assert (await venue.advance(FOREVER)).instant_ns == int(ticks.time_ns[399]) - 1

        waiting = asyncio.create_task(venue.advance(int(ticks.time_ns[500])))
        await publish(bus, batches(MES, ticks.slice(400, 2000), 100, final=False))
        advanced = await waiting

        assert advanced.instant_ns == int(ticks.time_ns[500])
        assert advanced.last_prints[MES].time_ns == int(ticks.time_ns[500])


async def test_an_account_that_missed_an_answer_is_told_where_the_venue_is_before_anything_else_happens(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    await publish(bus, batches(MES, PRINTS[MES], 100))
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        await venue.submit(order(bracket=(9, 9)))
        first = await venue.advance(FOREVER, after_event=1, from_ns=-1)
        assert [event.order.leg for event in first.events] == ["E", "S1", "T1"]

        assert await venue.advance(FOREVER, after_event=1, from_ns=-1) == first
        assert await venue.advance(FOREVER, after_event=1) == first
        assert await venue.advance(FOREVER, after_event=4, from_ns=-1) == replace(first, events=())
        assert (await venue.advance(FOREVER, after_event=4, from_ns=first.instant_ns)).instant_ns > first.instant_ns


async def test_a_call_that_another_has_overtaken_does_not_let_the_tape_run(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    """One process's call is late, or waits for prints, while its successor compares book and venue."""
    ticks = PRINTS[MES]
    await publish(bus, batches(MES, ticks.slice(0, 400), 100, final=False))
    to_ns, far_ns = int(ticks.time_ns[100]), int(ticks.time_ns[500])
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        before, successor = PaperVenueClient(venue.channel), PaperVenueClient(venue.channel)
        assert (await before.advance(-1, -1, 0, [MES], ())).instant_ns == -1
        assert (await before.advance(-1, to_ns, 0, [MES], ())).instant_ns == to_ns
        assert (await successor.advance(to_ns, to_ns, 0, [MES], ())).instant_ns == to_ns

        assert (await before.advance(to_ns, FOREVER, 0, [MES], ())).instant_ns == to_ns
        assert (await successor.advance(to_ns, FOREVER, 0, [MES], ())).instant_ns == to_ns
        reached = (await successor.advance(to_ns, FOREVER, 0, [MES], ())).instant_ns
        assert reached == int(ticks.time_ns[399]) - 1

        waits = asyncio.create_task(successor.advance(reached, far_ns, 0, [MES], ()))
        await asyncio.sleep(0.05)
        assert (await before.advance(reached, reached, 0, [MES], ())).instant_ns == reached
        await publish(bus, batches(MES, ticks.slice(400, 2000), 100, final=False))
        assert (await waits).instant_ns == reached


async def test_a_watch_stops_the_tape(bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports):
    await publish(bus, batches(MES, PRINTS[MES], 100))
    low = Watch(Decimal(0), (WatchedPosition(MES, 1, Decimal(0), Decimal(1)),), at_or_below=Decimal(19980))
    first = int(np.argmax(PRINTS[MES].price <= 19980))
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        advanced = await venue.advance(FOREVER, watches=[low])
        assert advanced.instant_ns == int(PRINTS[MES].time_ns[first]) > 0
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await venue.stub.AdvanceTo(
                pb.AdvanceToRequest(to_ns=9, contracts=[MES], watches=[pb.Watch(base="much", at_or_below="1")])
            )
        assert "watch.base: got 'much'" in str(refused.value.details())


async def test_a_ledger_that_was_lost_is_not_passed_off_as_the_accounts(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    await publish(bus, batches(MES, PRINTS[MES], 100))
    settings = settings_in(tmp_path, nats_server, ports)
    async with serving(settings) as venue:
        await venue.submit(order())
        reached = await venue.advance(FOREVER)
    shutil.rmtree(settings.data_dir)
    async with serving(settings) as venue:
        for seen in ({"after_event": 2}, {"from_ns": reached.instant_ns}):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await venue.advance(FOREVER, **seen)  # type: ignore[arg-type]
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_one_ledger_a_tape(bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports):
    settings = settings_in(tmp_path, nats_server, ports)
    async with serving(settings) as venue:
        await venue.submit(order())
        # stands in the ledger before the answer
        assert b'"E1"' in (settings.data_dir / RUN / FILE_NAME).read_bytes()


async def test_orders_are_refused_by_name(bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports):
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        taken, _ = await venue.submit(order(contract=ContractId("GCZ2025")))
        assert (taken.state, taken.reason) == (OrderState.REJECTED, "no tape of GCZ2025")
        assert await venue.orders(ClientOrderId("E1"), ClientOrderId("nobody")) == [taken]

        for nonsense, field in (
            (pb.VenueOrder(client_id="x", type=pb.ORDER_TYPE_MARKET), "order.side"),
            (pb.VenueOrder(client_id="x", side=pb.SIDE_BUY), "order.type"),
            (replace_message(order_to_proto(order(ClientOrderId("x"))), quantity=0), "order.quantity"),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match=field) as refused:
                await venue.stub.SubmitOrder(pb.SubmitOrderRequest(order=nonsense), timeout=5)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        for contracts in ((), ("GCZ2025",)):
            with pytest.raises(grpc.aio.AioRpcError, match="contracts"):
                await venue.advance(FOREVER, contracts=contracts)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await venue.stub.CancelOrder(pb.CancelOrderRequest(client_id="nobody"), timeout=5)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_all_that_work_are_listed_however_old(bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports):
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        for number in range(120):
            await venue.submit(order(ClientOrderId(f"E{number}"), limit=19_000))
            if number % 2:
                await venue.stub.CancelOrder(pb.CancelOrderRequest(client_id=f"E{number}"), timeout=5)
        reply = await venue.stub.ListOrders(pb.ListOrdersRequest(working=True), timeout=5)
        assert [found.client_id for found in reply.orders] == [f"E{number}" for number in range(0, 120, 2)]
        with pytest.raises(grpc.aio.AioRpcError, match="client_ids: got '1 ids', expected none with working"):
            await venue.stub.ListOrders(pb.ListOrdersRequest(working=True, client_ids=["E0"]), timeout=5)


async def test_other_terms_stand_in_the_ledger_before_they_are_answered(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    settings = settings_in(tmp_path, nats_server, ports)
    async with serving(settings) as venue:
        await venue.submit(order(limit=19000, quantity=2, bracket=(16, 24)))
        wanted = Replacement(
            ClientOrderId("E1"), limit_price=18990, quantity=1, bracket=Bracket(stop_price=18000, trail=Trail(5, 2))
        )
        replies = [await venue.stub.ReplaceOrder(replacement_to_proto(wanted), timeout=5) for _ in range(2)]
        changed, again = (order_from_proto(reply.order) for reply in replies)
        assert (changed.limit_price, changed.quantity, changed.bracket) == (18990, 1, wanted.bracket)
        assert (again, [reply.event for reply in replies]) == (changed, [2, 2])
        with pytest.raises(grpc.aio.AioRpcError, match=r"replacement\.stop_price"):
            await venue.stub.ReplaceOrder(
                replacement_to_proto(Replacement(ClientOrderId("E1"), stop_price=5)), timeout=5
            )
    async with serving(settings) as venue:
        assert await venue.orders(ClientOrderId("E1")) == [changed]


def replace_message(message: pb.VenueOrder, **change: Any) -> pb.VenueOrder:
    for name, value in change.items():
        setattr(message, name, value)
    return message


async def test_a_venue_that_misbehaves_has_what_it_was_sent_and_no_more(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    """Whatever its caller hears: an order that was lost or failed before it is not there, one that failed after is."""
    await publish(bus, batches(MES, PRINTS[MES], 100))
    settings = settings_in(tmp_path, nats_server, ports)
    async with (
        serving(settings) as venue,
        misbehaving(settings.listen) as between,
        calling(settings, address=f"127.0.0.1:{between.port}") as caller,
    ):
        for name, fault in (
            ("kept", LOST_ANSWER),
            ("never", LOST_CALL),
            ("failed", FAILS_BEFORE),
            ("taken", FAILS_AFTER),
        ):
            between.next("SubmitOrder", fault)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await caller.submit(order(ClientOrderId(name)))
            assert error.value.code() is fault.code
        gate = Gate()
        between.next("SubmitOrder", rejected(), Fault(gate=gate))
        assert (await caller.submit(order(ClientOrderId("refused"))))[0].state is OrderState.REJECTED
        late = asyncio.create_task(caller.submit(order(ClientOrderId("late"))))
        await gate.reached.wait()
        assert await venue.orders(ClientOrderId("late")) == []
        gate.opened.set()
        assert (await late)[0].state is OrderState.WORKING

        assert {one.client_id: one.state for one in await caller.orders()} == {
            "kept": OrderState.WORKING,
            "taken": OrderState.WORKING,
            "refused": OrderState.REJECTED,
            "late": OrderState.WORKING,
        }
        assert await caller.submit(order(ClientOrderId("kept"))) == (
            (await venue.orders(ClientOrderId("kept")))[0],
            True,
        )
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await caller.stub.CancelOrder(pb.CancelOrderRequest(client_id="nobody"), timeout=5)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND

        between.next("AdvanceTo", repeated())
        assert [event.event for event in (await caller.advance(-1, after_event=4)).events] == [1, 2, 3, 4]
        assert (await caller.advance(-1, after_event=4)).events == ()


@pytest.mark.moves("leadline_venue_tape_reads_again_total")
async def test_the_account_waits_at_a_hole_in_the_tape_until_its_prints_are_said_again(
    bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports
):
    """Behind what came meanwhile: that is where they are when the bus lost them and who published them says so."""
    before = total("leadline_venue_tape_reads_again_total")
    ticks = PRINTS[MES]
    await publish(bus, batches(MES, ticks.slice(0, 100), 100, final=False))
    await publish(bus, batches(MES, ticks.slice(200, len(ticks)), 100))
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        advanced = await venue.advance(FOREVER)
        assert (advanced.instant_ns < int(ticks.time_ns[100]), advanced.final) == (True, False)
        await publish(bus, batches(MES, ticks.slice(100, 200), 100, final=False))
        while not advanced.final:
            advanced = await venue.advance(FOREVER)
        assert advanced.last_prints[MES].source_index == len(ticks) - 1
    assert total("leadline_venue_tape_reads_again_total") > before


@pytest.mark.moves("leadline_bus_refused_messages_total")
async def test_what_is_no_print_is_passed_over(bus: Bus, nats_server: LocalNats, tmp_path: Path, ports: Ports):
    before = total("leadline_bus_refused_messages_total")
    ticks = PRINTS[MES]
    subject = tick_subject(RUN, "cme", MES)
    await publish(bus, batches(MES, ticks.slice(0, 100), 100, final=False))
    for number, payload in enumerate((b"\xff\xff", b'{"type":"io.nats.jetstream.api.v1.stream_info_response"}', b"")):
        await bus.publish(subject, payload, f"garbage/{number}")
    await publish(bus, batches(MES, ticks.slice(100, len(ticks)), 100))
    async with serving(settings_in(tmp_path, nats_server, ports)) as venue:
        advanced = await venue.advance(FOREVER)
        while not advanced.final:
            advanced = await venue.advance(FOREVER)
        assert advanced.last_prints[MES].source_index == len(ticks) - 1
    assert total("leadline_bus_refused_messages_total") > before


def test_every_value_survives_the_wire():
    for event in in_memory():
        assert event_from_proto(event_to_proto(event)) == event
    rich = replace(
        order(stop=20010, limit=20012, until=5, bracket=Bracket(stop_price=19990, target_ticks=8, trail=Trail(0, 6))),
        trail=Trailing(20020, 4),
        triggered=True,
        state=OrderState.EXPIRED,
    )
    assert order_from_proto(order_to_proto(rich)) == rich
    for wanted in (
        Replacement(ClientOrderId("E1")),
        Replacement(ClientOrderId("E1"), 2, 20000, 19990, Bracket(16, 24, trail=Trail(3, 1)), 9),
        Replacement(ClientOrderId("E1"), bracket=Bracket(stop_price=-5, target_price=0)),
    ):
        assert replacement_from_proto(replacement_to_proto(wanted)) == wanted
    watch = Watch(Decimal("-12.50"), (WatchedPosition(MES, -2, Decimal(-50000), Decimal("1.25")),), None, Decimal(500))
    assert watch_from_proto(watch_to_proto(watch)) == watch
