"""Calls with anything in them: an answer, or a refusal of a kind that is documented. The part goes on as before."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import grpc
from hypothesis import strategies as st

from leadline.execution.servicer import ExecutionServicer
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.batching import BatchBounds
from leadline.ingestion.csv_ticks import parse_lines
from leadline.ingestion.pushed import PushedContract
from leadline.ingestion.servicer import PushFeed
from leadline.ingestion.tape import Position
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.errors import InvalidInput
from leadline.model.halts import HaltSource
from leadline.model.ids import AccountId, ClientOrderId, RunId, StrategyId
from leadline.model.orders import Side
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.v1 import model_pb2
from leadline.model.wire.signals import encode_signal
from leadline.model.wire.ticks import tick_batch_to_proto
from leadline.risk.service import RiskServicer
from leadline.risk.v1 import risk_pb2
from leadline.runtime.bus.intake import read_signal
from leadline.runtime.rpc.auth import Caller, set_caller
from leadline.runtime.rpc.errors import status_of
from leadline.runtime.rpc.lanes import parsed
from leadline.runtime.runs import Run
from leadline.venue.convert import order_to_proto
from leadline.venue.ledger import Ledger
from leadline.venue.params import VenueParams
from leadline.venue.service import PaperVenue
from leadline.venue.servicer import PaperVenueServicer
from leadline.venue.v1 import venue_pb2
from tests.execution.harness.builders import DAY, MES, OPEN_NS, account, bar, says, strategy, tape
from tests.execution.harness.desk import Desk, Session
from tests.execution.harness.stores import MemoryBooks
from tests.fuzz.manifests import check_sentences, cut_up
from tests.fuzz.requests import INT64, fill
from tests.fuzz.values import change, copied
from tests.model.test_signal_checks import SUBJECT, judged, message, mutate
from tests.risk.questions import whole_inputs
from tests.venue.builders import order

REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
LONGEST_REFUSAL: Final = 8_000
MOST_CALLS: Final = 4
_QUICK: Final = "/dev/shm" if Path("/dev/shm").is_dir() else None
_READS: Final = frozenset({"GetState", "GetPositions"})
_OF_THE_DATABASE: Final = frozenset({"GetOrders", "StreamOrderEvents"})
"""They read from PostgreSQL alone."""
_RUN: Final = Run(RunId("tape"), "push", {MES: "cme"}, DAY, OPEN_NS, (DAY,), (), 0)


async def outcome(call: Awaitable[Any]) -> bool:
    """Whether a call was answered. What is refused has a documented kind and says why; anything else is raised."""
    try:
        await call
    except Exception as error:
        code, message, metadata = status_of(error)
        if code not in REFUSALS:
            raise
        lines = message.splitlines()
        assert lines
        assert all(line.isprintable() for line in lines), message
        assert sum(len(value) for _, value in metadata) + len(message) < LONGEST_REFUSAL
        return False
    return True


def made(data: st.DataObject, message: Any) -> Any:
    """A request with anything in it, as it comes over the wire; now and then with bytes that are none."""
    fill(data, message)
    raw = message.SerializeToString()
    if data.draw(st.integers(0, 9), "broken") == 0:
        at = data.draw(st.integers(0, len(raw)))
        raw = raw[:at] + data.draw(st.binary(max_size=5)) + raw[at + data.draw(st.integers(0, 3)) :]
    return parsed(type(message).FromString, raw)


def _methods(module: Any, service: str) -> dict[str, Any]:
    methods = module.DESCRIPTOR.services_by_name[service].methods_by_name
    return {name: getattr(module, method.input_type.name) for name, method in methods.items()}


class _Account:
    """What execution's calls are made on: the loop of a session, whose commands run when they are asked for."""

    def __init__(self, session: Session) -> None:
        self.loop = session.loop
        self.name = session.desk.manifest.full_name
        self.tape = _RUN
        self.kill_switch = session.switch
        self.journal = session.journal
        self.store = session.store
        self.queues = session.queues
        self.lacking = ""

    def unheard(self) -> dict[StrategyId, str]:
        return {}

    async def command(self, action: Callable[[], Awaitable[Any]], _: Any) -> Any:
        try:
            return await action()
        except Exception:
            await self.loop.load_again()
            raise

    def halt(self, source: HaltSource, reason: str, by: str) -> Any:
        return self.kill_switch.halt(source, reason, by)


def execution(data: st.DataObject) -> bool:
    """A few calls of an account that holds a position; afterwards it trades to the end of its tape."""
    return asyncio.run(_execution(data))


async def _execution(data: st.DataObject) -> bool:
    set_caller(Caller("bob", "cli-trader"))
    with tempfile.TemporaryDirectory(dir=_QUICK) as name:
        prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_026))}
        signals = {"default/mes": says([bar(600)], end=900)}
        desk = Desk(MemoryBooks(), Path(name), prints, signals, [strategy()], ends=900)
        session = desk.open()
        try:
            await session.until(640)
            taken = False
            servicer: Any = ExecutionServicer(_Account(session))  # type: ignore[arg-type]
            for _ in range(data.draw(st.integers(1, MOST_CALLS), "calls")):
                taken = await _one_call(data, session, servicer) or taken
            await session.loop.carry_out()
            # One that was drained is forgotten, and one of another analysis has not said a word: nobody to wait for.
            heard = [each for each in session.book.strategies.values() if each.analysis_hash == "hash"]
            if heard and all(each.waited_for for each in heard):
                await session.run()
            assert {halt.source for halt in session.switch.halts.in_force} <= {HaltSource.PERSON, HaltSource.FIELD}
            return taken
        finally:
            session.close()


async def _one_call(data: st.DataObject, session: Session, servicer: Any) -> bool:
    names = sorted(EXECUTION.keys() - _OF_THE_DATABASE)
    method = data.draw(st.sampled_from(names), "method")
    before = deepcopy(session.loop.book) if method in _READS else None
    request = EXECUTION[method]()
    fill(data, request)
    manifest = _manifest(data, method)
    if manifest is not None:
        request.manifest_json = manifest
    try:
        request = parsed(type(request).FromString, request.SerializeToString())
    except Exception as error:  # noqa: BLE001 - judged as any other refusal
        return await outcome(_raise(error))
    answered = await outcome(getattr(servicer, method)(request, None))
    assert before is None or session.loop.book == before, method
    return answered


async def _raise(error: Exception) -> None:
    raise error


def _manifest(data: st.DataObject, method: str) -> str | None:
    """The manifest that a call brings, with something changed, in most of the cases."""
    if method not in {"SetStrategy", "SetAccount"} or data.draw(st.integers(0, 3)) == 0:
        return None
    document = copied((strategy() if method == "SetStrategy" else account()).to_manifest())
    if method == "SetAccount":
        document["spec"]["halt"] = data.draw(st.booleans(), "halt")
    for _ in range(data.draw(st.integers(0, 2))):
        change(data, document)
    try:
        return json.dumps(document)
    except (TypeError, ValueError):
        return None


def risk(data: st.DataObject) -> bool:
    """A question with anything in it, or one that can be answered with anything changed."""
    request: Any = data.draw(st.sampled_from((risk_pb2.DecideRequest, risk_pb2.EvaluateRequest)))()
    if data.draw(st.booleans(), "from a good one"):
        request.inputs.CopyFrom(whole_inputs())
    return asyncio.run(_risk(data, request))


async def _risk(data: st.DataObject, request: Any) -> bool:
    method = type(request).__name__.removesuffix("Request")

    async def call() -> None:
        await getattr(RiskServicer(), method)(made(data, request), None)

    return await outcome(call())


def push(data: st.DataObject) -> bool:
    """A stream of pushed prints with anything in it, and what the status says of it then."""
    return asyncio.run(_push(data))


async def _push(data: st.DataObject) -> bool:
    contract = PushedContract(MES, BatchBounds(100), 1_000_000_000, Position(0, OPEN_NS))
    feed = PushFeed([contract])
    heard: list[Any] = []

    async def listen() -> None:
        async for item in feed.drafts():
            heard.append(item)
            feed.published()

    async def requests() -> AsyncIterator[Any]:
        for _ in range(data.draw(st.integers(0, MOST_CALLS), "messages")):
            request = ingestion_pb2.PublishTicksRequest()
            yield made(data, request) if data.draw(st.booleans(), "any") else _prints(data, contract.next_index)

    listener = asyncio.create_task(listen())
    try:
        taken = await outcome(feed.take(requests()))
        assert not feed.connected
        indices = [draft.ticks.first_index for _, drafts in heard for draft in drafts]
        assert indices == sorted(indices)
        return taken
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


def _prints(data: st.DataObject, index: int) -> Any:
    """Prints that might be meant, with one thing changed at most."""
    times = [OPEN_NS + data.draw(INT64) for _ in range(data.draw(st.integers(1, 3), "prints"))]
    rows = [(time_ns, 20_000, 1, 1) for time_ns in times if 0 <= time_ns < 2**63]
    batch = TickBatch(RunId(""), "cme", MES, TickColumns.of(rows), 0)
    request = ingestion_pb2.PublishTicksRequest(first_index=index)
    request.batch.CopyFrom(tick_batch_to_proto(batch))
    if data.draw(st.booleans(), "changed"):
        fill(data, request, levels=1)
    return request


def venue(data: st.DataObject) -> bool:
    """A few calls of a paper venue whose tape stands still; afterwards its ledger can be read back."""
    return asyncio.run(_venue(data))


async def _venue(data: st.DataObject) -> bool:
    stopping = asyncio.Event()
    stopping.set()  # nobody waits for the tape

    def spawn(work: Coroutine[Any, Any, None], _: str) -> None:
        work.close()  # it would read the bus

    context: Any = SimpleNamespace(bus=None, stopping=stopping, spawn=spawn)
    with tempfile.TemporaryDirectory(dir=_QUICK) as name:
        ledger = Ledger.open(Path(name), RunId("tape"))
        paper = PaperVenue(context, VenueParams(account=AccountId("default/paper")), _RUN, ledger)
        servicer: Any = PaperVenueServicer(paper)
        taken = False
        for _ in range(data.draw(st.integers(1, MOST_CALLS), "calls")):
            method = data.draw(st.sampled_from(sorted(VENUE)), "method")
            request = VENUE[method]()
            if method == "SubmitOrder" and data.draw(st.booleans(), "from a good one"):
                one = replace(order(ClientOrderId("E1"), Side.BUY, 2, bracket=(9, 9)), contract=MES, tape_contract=MES)
                request.order.CopyFrom(order_to_proto(one))

            async def call(method: str = method, request: Any = request) -> None:
                await getattr(servicer, method)(made(data, request), None)

            taken = await outcome(call()) or taken
        said = paper.market.events_after(0)
        ledger.close()
        again = Ledger.open(Path(name), RunId("tape"))
        restored = PaperVenue(context, VenueParams(account=AccountId("default/paper")), _RUN, again)
        again.close()
        assert restored.market.events_after(0) == said
    return taken


def signals(data: st.DataObject) -> bool:
    """A message of a strategy with up to three things changed, or with other bytes in it."""
    found = model_pb2.SignalMessage.FromString(encode_signal(message()))
    for _ in range(data.draw(st.integers(1, 3), "changes")):
        mutate(data, found)
    raw = found.SerializeToString()
    if data.draw(st.integers(0, 9), "broken") == 0:
        at = data.draw(st.integers(0, len(raw)))
        raw = raw[:at] + data.draw(st.binary(max_size=6)) + raw[at + data.draw(st.integers(0, 40)) :]
    said = judged(raw)
    return said is not None and read_signal(SUBJECT, encode_signal(said)) == said


def csv(data: st.DataObject) -> bool:
    """Lines of a file of prints with pieces taken out, put in, doubled and moved."""
    text = cut_up(data, b"".join(b"1749562200%09d,5000.25,%d,1\n" % (number, number) for number in range(1, 30)))
    try:
        columns = parse_lines(text, "day.csv", 2)
    except InvalidInput as refusal:
        check_sentences(refusal, "day.csv:")
        return False
    assert len({len(column) for column in columns}) == 1
    return True


EXECUTION: Final = _methods(execution_pb2, "ExecutionService")
VENUE: Final = _methods(venue_pb2, "PaperVenueService")
