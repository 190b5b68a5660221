"""The ingestion service: opens the run, waits for what is wanted of it, and puts its tape on the bus.

It alone publishes prints. Killed at any point it goes on where the stream ends: how far it was is read from there.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from leadline.ingestion.batching import BatchDraft
from leadline.ingestion.client import Publisher
from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.live.adapters.feed import LiveFeed, run_of
from leadline.ingestion.live.opening import plan_live
from leadline.ingestion.months import market_of
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.pushed import PushedContract
from leadline.ingestion.retention import needed_bytes
from leadline.ingestion.servicer import IngestionServicer, PushFeed
from leadline.ingestion.status import State
from leadline.ingestion.store import OpenedRun, Store
from leadline.ingestion.tape import ContractTape, Pace, Position, in_tape_order
from leadline.ingestion.v1 import ingestion_pb2 as pb
from leadline.ingestion.v1 import ingestion_pb2_grpc as rpc
from leadline.model.errors import GivenUp
from leadline.model.ids import AccountId, ContractId, RunId
from leadline.model.market import instruments
from leadline.model.subjects import TICKS
from leadline.model.ticks import TickColumns
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.publishing import keep_publishing
from leadline.runtime.clock import monotonic_s, wall_ns
from leadline.runtime.context import Context
from leadline.runtime.runs import LIVE_TAPE, Run, announce_run
from leadline.runtime.settings import validate_params

# Messages handed to the bus at once.
WINDOW_MESSAGES: Final = 64
# Between two looks at how far the accounts of a run are that makes room for another.
AGAIN_SECONDS: Final = 1.0


class PushedPrintsLost(GivenUp):
    """A run that goes on has lost prints that were pushed. tape: which run; accounts: who still waits for them."""

    def __init__(self, tape: RunId, accounts: Sequence[AccountId]) -> None:
        super().__init__(tape, tuple(accounts))

    def __str__(self) -> str:
        tape, accounts = self.args
        return (
            f"the bus has lost pushed prints of the run {tape}, {', '.join(accounts)} has not come to its end, "
            "and nobody here can say them again: begin another run (`--new-run`), and push them into that"
        )


class StreamTooSmall(GivenUp):
    """The tick stream cannot hold one session of the tape: the replay would wait for room for ever."""

    def __init__(self, has: int, needs: int) -> None:
        super().__init__(has, needs)

    def __str__(self) -> str:
        return "the stream {} holds at most {} bytes; the largest session and a batch need {}".format(TICKS, *self.args)


async def run(context: Context) -> None:
    """Publish the tape of a run, or the tape `live`, and answer calls until the process is told to stop.

    Raises InvalidInput and Unknown when the feed cannot be used, TooManyKeptOut, StreamTooSmall, PushedPrintsLost, and
    OSError for a file.
    """
    params = validate_params(IngestionParams, context.settings.params)
    if params.feed.mode == "live":
        await _run_live(context, params)
        return
    feed = await asyncio.to_thread(open_feed, params)
    await require_room(context.bus, feed, params)
    store = Store(context.pool)
    tape, opened = await _open_run(context, store, feed, params)
    publisher = Publisher(context.bus, store, tape)
    positions = {name: await publisher.position(name) for name in tape.contracts}
    push = None if feed.source is not None else _push_feed(feed, params, positions)
    whole = _whole(positions)
    if opened.finished and push is not None and not whole:
        await _require_nobody_waits(store, tape.tape)
    context.add_service(
        rpc.add_IngestionServiceServicer_to_server,
        IngestionServicer(publisher, push),
        pb.DESCRIPTOR.services_by_name["IngestionService"].full_name,
    )
    await context.serve()
    if opened.finished and (whole or push is not None):
        await _publish_end(publisher, store, feed, params, positions, push)
    if not opened.finished or push is None:
        context.spawn(_publish(context.bus, publisher, feed, params, positions, push), "tape")
    if not opened.own:
        context.spawn(_end_after(context, store, publisher, tape), "next run")
    context.set_ready(True)
    await context.stopping.wait()


async def _run_live(context: Context, params: IngestionParams) -> None:
    """The tape `live`. Raises InvalidInput also when it began with another source."""
    plan = await asyncio.to_thread(plan_live, params, wall_ns())
    store = Store(context.pool)
    kept = await store.live_tape(LIVE_TAPE)
    tape = plan.opened(kept, wall_ns())
    if kept is None:
        await store.open_live_tape(LIVE_TAPE, context.code_version, params.feed.kind, tape.to_json())
    else:
        await store.keep_live_tape(LIVE_TAPE, context.code_version, tape.to_json())
    publisher = Publisher(context.bus, store, run_of(tape, params))
    await announce_run(context.bus, publisher.run)
    context.log.info("run.opened" if kept is None else "run.resumed", **tape.to_json())
    feed = LiveFeed(context, publisher, store, plan, tape)
    await feed.take_up()
    context.add_service(
        rpc.add_IngestionServiceServicer_to_server,
        IngestionServicer(publisher, feed.push),
        pb.DESCRIPTOR.services_by_name["IngestionService"].full_name,
    )
    await context.serve()
    context.spawn(feed.run(), "tape")
    context.set_ready(True)
    await context.stopping.wait()


async def require_room(bus: Bus, feed: Feed, params: IngestionParams) -> None:
    """Raises StreamTooSmall when the tick stream's bound cannot hold the tape's largest session and a batch."""
    state = await bus.state(TICKS)
    needs = needed_bytes([feed.prints(name) for name in feed.contracts], params.bounds)
    if 0 <= state.max_bytes < needs:
        raise StreamTooSmall(state.max_bytes, needs)


async def _open_run(context: Context, store: Store, feed: Feed, params: IngestionParams) -> tuple[Run, OpenedRun]:
    """Open or resume the run and tell everybody; also its row as it was found."""
    described = Run(
        tape=RunId(""),
        feed=params.feed.kind,
        contracts=feed.contracts,
        trade_from=feed.plan.trade_from,
        history=params.history,
        sessions=feed.plan.days,
        missing=feed.plan.missing,
        begins_ns=min(feed.begins_ns.values()),
        instruments=instruments.own_digest,
    )
    details = {
        "contracts": described.contracts,
        "trade_from": described.trade_from.isoformat(),
        "history": described.history,
        "sessions": [day.isoformat() for day in described.sessions],
        "missing": [day.isoformat() for day in described.missing],
        "begins_ns": described.begins_ns,
    }
    opened = await store.open_run(
        context.code_version,
        feed.content,
        params.launch,
        params.feed.kind,
        details,
        adopt=params.adopt_unfinished,
        new=params.new_run,
    )
    tape = replace(described, tape=opened.tape, finished=opened.finished)
    await announce_run(context.bus, tape)
    context.log.info("run.resumed" if opened.resumed else "run.opened", tape=opened.tape, **details)
    return tape, opened


async def _end_after(context: Context, store: Store, publisher: Publisher, run: Run) -> None:
    """Let a run of another launch come to its end, with all its accounts; then end, to start again on this launch."""
    while True:
        finished = run.finished or publisher.status.state in {State.FINISHED, State.FAILED}
        if finished and not await store.behind(run.tape):
            break
        await asyncio.sleep(AGAIN_SECONDS)
    context.log.info("run.makes_room", tape=run.tape, reason="the feed is played again by another launch")
    context.stopping.set()


def _push_feed(feed: Feed, params: IngestionParams, positions: Mapping[ContractId, Position | None]) -> PushFeed:
    return PushFeed(
        PushedContract(
            name,
            params.bounds,
            params.allowed_lateness_ms * 1_000_000,
            positions[name] or Position(0, begins_ns),
            later=name in feed.later,
        )
        for name, begins_ns in feed.begins_ns.items()
    )


async def _publish_end(
    publisher: Publisher,
    store: Store,
    feed: Feed,
    params: IngestionParams,
    positions: Mapping[ContractId, Position | None],
    push: PushFeed | None,
) -> None:
    """Show of a run that an earlier process has published whole what it came to, and what reached no bar."""
    for name in feed.contracts:
        tally = _tape(feed, params, name, positions[name]).tally if push is None else push.contracts[name].tally
        tally.before = await store.counts(publisher.run.tape, name)
        publisher.begin(name, tally, positions[name])
        publisher.status.expected += publisher.status.contracts[name].ticks
    publisher.status.failure = await store.failure(publisher.run.tape)
    publisher.status.state = State.FAILED if publisher.status.failure else State.FINISHED


def _whole(positions: Mapping[ContractId, Position | None]) -> bool:
    """Whether the stream has the end of every contract."""
    return all(position is not None and position.final for position in positions.values())


async def _require_nobody_waits(store: Store, tape: RunId) -> None:
    """Raises PushedPrintsLost where an account is behind the end of a tape that the stream has not whole any more."""
    if behind := await store.behind(tape):
        raise PushedPrintsLost(tape, behind)


def _tape(feed: Feed, params: IngestionParams, contract: ContractId, position: Position | None) -> ContractTape:
    assert feed.source is not None
    allowed_lateness_ns = params.allowed_lateness_ms * 1_000_000
    return ContractTape(
        feed.source, contract, feed.plan.sessions[contract], params.bounds, allowed_lateness_ns, position
    )


async def _publish(
    bus: Bus,
    publisher: Publisher,
    feed: Feed,
    params: IngestionParams,
    positions: Mapping[ContractId, Position | None],
    push: PushFeed | None,
) -> None:
    """The whole tape, from where it was left to its end; of a source again what the bus has lost of it.

    Of a run that was finished before, nothing is said while the stream has it whole.
    """
    if push is not None:
        await publisher.wait_for_demand(params.wait_for)
        # Nobody here can say lost prints again: the process ends, and goes on from what the stream has.
        await _relay(publisher, feed, positions, push)
        await publisher.finish(params.feed.max_kept_out_percent, feed.later)
        return

    async def play() -> None:
        await publisher.resume_announcement()
        reached = {name: await publisher.position(name) for name in feed.contracts}
        if publisher.run.finished and _whole(reached):
            return
        await publisher.wait_for_demand(params.wait_for)
        await _play(publisher, feed, params, reached)
        await publisher.finish(params.feed.max_kept_out_percent, feed.later)

    await keep_publishing(bus, publisher.subjects, play)


async def _play(
    publisher: Publisher,
    feed: Feed,
    params: IngestionParams,
    positions: Mapping[ContractId, Position | None],
) -> None:
    """Publish what a source has, as fast as it goes or at the speed that is set.

    All of it, wanted or not: whoever comes to want a contract later finds its tape from the first print on.
    """
    publisher.status.expected = 0
    tapes = [_tape(feed, params, name, positions[name]) for name in feed.contracts]
    for tape in tapes:
        publisher.begin(tape.contract, tape.tally, positions[tape.contract])
        publisher.status.expected += sum(feed.prints(tape.contract).values())
    await publisher.follow_demand()
    pace = None if params.speed == "max" else Pace(params.speed, _paced_from(feed))
    started = monotonic_s()
    window: list[tuple[ContractId, BatchDraft]] = []
    for tape, draft in in_tape_order(tapes):
        if pace is not None:
            delay_s = started + pace.due_seconds(draft.watermark_ns) - monotonic_s()
            if delay_s > 0:
                await publisher.publish(window)
                window.clear()
                await asyncio.sleep(delay_s)
        window.append((tape.contract, draft))
        if len(window) >= WINDOW_MESSAGES:
            await publisher.publish(window)
            window.clear()
    await publisher.publish(window)


async def _relay(
    publisher: Publisher, feed: Feed, positions: Mapping[ContractId, Position | None], push: PushFeed
) -> None:
    """Publish what clients push, until they have ended the tape of every contract."""
    for name, contract in push.contracts.items():
        publisher.begin(name, contract.tally, positions[name])
        if positions[name] is None:
            await publisher.publish([(name, BatchDraft(TickColumns.empty(), feed.begins_ns[name]))])
    await publisher.follow_demand()
    async for name, drafts in push.drafts():
        await publisher.publish([(name, draft) for draft in drafts])
        push.published()


def _paced_from(feed: Feed) -> int:
    """Where the pace begins: at the first opening on the first traded day, or later where the tape begins later."""
    hours = (market_of(name).market(feed.plan.trade_from) for name in feed.contracts)
    return max(min(opened for opened, _ in filter(None, hours)), min(feed.begins_ns.values()))
