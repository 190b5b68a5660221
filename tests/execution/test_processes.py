"""Execution, risk and venue as processes on a real bus and database: its calls, and two writers of one account."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import grpc
import orjson
import pytest

from leadline.execution.v1 import execution_pb2 as pb
from leadline.local.local_nats import LocalNats
from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import TradingAccount
from leadline.model.signals import SignalMessage
from leadline.model.subjects import signal_subject
from leadline.runtime.database import Connection, connect
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.runs import Run, announce_run
from leadline.venue.v1 import venue_pb2
from leadline.venue.v1 import venue_pb2_grpc as venue_rpc
from leadline.views import client
from tests.execution.harness.builders import DAY, MES, SHORT, account, bar, ns, says
from tests.execution.harness.platform import (
    KEY,
    TAPE,
    Platform,
    set_strategy,
    state_of,
    with_retries,
)
from tests.stack import Database
from tests.venue.misbehaving import FAILS_AFTER, FAILS_BEFORE, Fault, MisbehavingVenue, answered, misbehaving, repeated

pytestmark = pytest.mark.integration

LOADED_SECONDS = 1.0
"""By how much a machine on which other tests run may be later. A lease that is not given back lasts for longer."""


@pytest.fixture
async def platform(idle_platform: Platform, nats_server: LocalNats) -> Platform:
    """A run with a tape of MES, risk and the paper venue."""
    await announce_run(idle_platform.bus, Run(TAPE, "sim", {MES: "cme"}, DAY, 0, (DAY,), (), ns(-60)))
    idle_platform.start("risk", "risk")
    params = {"account": "default/paper"}
    idle_platform.start("venue", "venue", nats=nats_server.settings("venue"), params=params)
    await idle_platform.publish_prints()
    return idle_platform


@pytest.fixture
async def between(platform: Platform) -> AsyncIterator[MisbehavingVenue]:
    """A way to the platform's venue on which a test makes things go wrong."""
    async with misbehaving(platform.addresses["venue"]) as found:
        yield found


def account_request(manifest: TradingAccount, person: str = "") -> pb.SetAccountRequest:
    return pb.SetAccountRequest(manifest_json=orjson.dumps(manifest.to_manifest()).decode(), person=person)


@pytest.mark.moves("leadline_position_quantity", "leadline_signals_of_other_analysis_total", "leadline_unrealized_pnl")
async def test_the_calls_of_a_strategy_s_life(platform: Platform):
    platform.execution("first", account())
    async with platform.calls() as stub:
        await set_strategy(stub)
        # Up to second 700: a long from second 601.
        await platform.scrape("first")
        said, end = says([bar(600)], end=700)
        await platform.publish(
            [said, SignalMessage(*(end.tape, end.account, end.strategy, "hash", ns(700), False, None))]
        )
        await platform.publish(says([bar(650, SHORT)], end=1500, analysis_hash="older"))
        state = await state_of(stub, lambda state: state.strategies[0].position == 1)
        assert (state.strategies[0].state, state.strategies[0].working_orders) == ("Running", 2)
        other = "leadline_signals_of_other_analysis_total{account=default/paper}"
        held = f"leadline_position_quantity{{account=default/paper,instrument={MES}}}"
        measured = await with_retries(
            lambda: platform.scrape("first"), lambda measured: measured[other] > 0 and measured.get(held) == 1
        )
        # In at 20001; the print 20004 at 700 is not known before 700.
        assert measured["leadline_unrealized_pnl{account=default/paper}"] == -1.25

        drain = pb.DrainRequest(strategy="default/mes", drain_id="d-1", working_orders="Cancel", positions="Flatten")
        first = await stub.Drain(drain, timeout=5)
        await platform.publish([end])
        answer = await with_retries(lambda: stub.Drain(drain, timeout=5), lambda answer: answer.drained)
        assert answer.instant_ns == first.instant_ns
        state = await state_of(stub, lambda state: state.phase == "finished")
        only = state.strategies[0]
        assert (only.state, only.drained, only.forgotten, only.drain_id) == ("Drained", True, True, "d-1")
        assert (only.position, only.working_orders) == (0, 0)
        assert await platform.venue_orders() == ["E", "F1", "S1", "T1"]
        whole = list((await stub.GetOrders(pb.GetOrdersRequest(), timeout=5)).orders)
        assert sorted(order.leg for order in whole) == ["E", "F1", "S1", "T1"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client, "MOST_ORDERS", 3)  # two pages
            assert await client.newest_orders(stub, pb.GetOrdersRequest(limit=5000)) == whole
            assert await client.newest_orders(stub, pb.GetOrdersRequest(limit=2)) == whole[2:]
        with pytest.raises(grpc.aio.AioRpcError) as too_many:
            await stub.GetOrders(pb.GetOrdersRequest(limit=501), timeout=5)
        assert too_many.value.code() is grpc.StatusCode.INVALID_ARGUMENT

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Drain(pb.DrainRequest(strategy="default/who", drain_id="x", working_orders="Keep"), timeout=5)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        drain.strategy = "default/who"
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.Drain(drain, timeout=5)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    async with platform.calls(role="cli-admin") as stub:
        for call in (stub.Drain(drain, timeout=5), stub.SetAccount(account_request(account()), timeout=5)):
            with pytest.raises(grpc.aio.AioRpcError) as denied:
                await call
            assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.moves("leadline_halted")
async def test_the_account_s_manifest_halts_and_a_named_person_clears(platform: Platform):
    on, off = account(halt=True), account()
    process = platform.execution("first", off)
    async with platform.calls() as stub, platform.calls(role="cli-trader") as trader:
        await state_of(stub, lambda state: state.phase == "waiting_for_signals")
        answer = await stub.SetAccount(account_request(on), timeout=5)
        [halt] = answer.halts
        measured = await platform.scrape("first")
        assert measured["leadline_halted{account=default/paper,source=FIELD}"] == 1
        assert measured["leadline_halted{account=default/paper,source=PERSON}"] == 0
        assert measured["leadline_execution_commit_seconds_count{account=default/paper}"] > 0
        assert (halt.number, halt.source, halt.reason) == (1, "FIELD", "the account's manifest says halt")
        state = await state_of(stub, lambda _: True)
        assert (list(state.halts), state.settings_hash) == ([halt], answer.settings_hash)

        process.kill()
        process.wait()
        platform.execution("first", off)  # its own settings are older
    async with platform.calls() as stub, platform.calls(role="cli-trader") as trader:
        state = await state_of(stub, lambda state: state.phase == "waiting_for_signals")
        assert (list(state.halts), state.settings_hash) == ([halt], answer.settings_hash)
        measured = await platform.scrape("first")  # a halt that the process before has left alerts, too
        assert measured["leadline_halted{account=default/paper,source=FIELD}"] == 1

        # Nobody in particular took it back: it stays, until somebody does.
        assert (await stub.SetAccount(account_request(off), timeout=5)).halts
        assert not (await stub.SetAccount(account_request(off, "ann"), timeout=5)).halts
        measured = await platform.scrape("first")
        assert measured["leadline_halted{account=default/paper,source=FIELD}"] == 0

        # As long as the manifest says so, a person's word does not clear it.
        assert (await stub.SetAccount(account_request(on), timeout=5)).halts
        with pytest.raises(grpc.aio.AioRpcError, match="still says `halt: true`"):
            await trader.Resume(pb.ResumeRequest(reason="my word", numbers=[2]), timeout=5)
        # And the manifest does not clear a person's.
        await trader.Halt(pb.HaltRequest(reason="my own"), timeout=5)
        [left] = (await stub.SetAccount(account_request(off, "bob"), timeout=5)).halts
        assert (left.number, left.source, left.reason, left.by) == (3, "PERSON", "my own", "ann")
    connection = await connect(platform.database.settings("reader"), "test")
    rows = await connection.fetch("SELECT number, source, halted_by, cleared_by FROM halt ORDER BY number")
    await connection.close()
    assert [tuple(row) for row in rows] == [
        (1, "FIELD", "operator", "ann"),
        (2, "FIELD", "operator", "bob"),
        (3, "PERSON", "ann", None),
    ]


@contextlib.asynccontextmanager
async def frozen_database(database: Database) -> AsyncIterator[None]:
    """The server with all its connections stands still, and takes no new one."""
    watcher = await connect(database.admin_settings(), "test")
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    pids = [row["pid"] for row in await watcher.fetch(query)]
    await watcher.close()
    assert database.server.pid is not None
    pids.append(database.server.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


async def test_a_halt_is_answered_while_everything_else_stands_still(platform: Platform):
    process = platform.execution("first", account())
    async with platform.calls() as stub, platform.calls(role="cli-trader") as trader:
        await set_strategy(stub)
        await platform.publish(says([bar(600)], end=1500))
        await state_of(stub, lambda state: state.phase == "finished")
        for other in platform.processes:
            if other is not process:
                os.kill(other.pid, signal.SIGSTOP)
        async with frozen_database(platform.database):
            stuck = asyncio.ensure_future(trader.SetLimits(pb.SetLimitsRequest(max_open_trades=1), timeout=60))
            halts = [(await trader.Halt(pb.HaltRequest(reason=why), timeout=5)).halt for why in ("one", "two", "one")]
            assert [(halt.number, halt.source, halt.reason) for halt in halts] == [
                (1, "PERSON", "one"),
                (2, "PERSON", "two"),
                (3, "PERSON", "one"),
            ]
            state = await stub.GetState(pb.GetStateRequest(), timeout=5)
            assert [halt.number for halt in state.halts] == [2, 3]
            assert not stuck.done()
            process.kill()
            process.wait()
            stuck.cancel()
        for other in platform.processes:
            os.kill(other.pid, signal.SIGCONT) if other is not process else None
        platform.execution("first", account())
    connection = await connect(platform.database.settings("reader"), "test")
    rows = "SELECT count(*) FROM halt WHERE cleared_at IS NULL"
    await with_retries(lambda: connection.fetchval(rows), lambda count: count == 2)
    async with platform.calls() as stub:
        state = await state_of(stub, lambda state: state.phase == "finished")
        assert [(halt.number, halt.reason) for halt in state.halts] == [(2, "two"), (3, "one")]
    events = await connection.fetch("SELECT key, version FROM order_event WHERE kind = 'halt' ORDER BY event")
    assert [tuple(row) for row in events] == [("halt-2", 1), ("halt-3", 1)]
    await connection.close()


@pytest.mark.moves("leadline_commands_waiting", "leadline_commands_dropped_total")
async def test_what_was_asked_by_a_caller_who_has_gone_is_not_done(platform: Platform):
    platform.execution("first", account())
    holder = await connect(platform.database.admin_settings(), "test")
    watcher = await connect(platform.database.admin_settings(), "test")
    limits = pb.SetLimitsRequest(max_open_trades=1)
    async with platform.calls() as stub, platform.calls(role="cli-trader") as trader:
        await set_strategy(stub)
        await platform.scrape("first")
        halt = (await trader.Halt(pb.HaltRequest(reason="stop"), timeout=5)).halt
        resume = pb.ResumeRequest(reason="go on", numbers=[halt.number])
        held = holder.transaction()
        await held.start()
        await holder.execute("LOCK TABLE account_state IN ACCESS EXCLUSIVE MODE")
        stuck = asyncio.ensure_future(trader.SetLimits(limits, timeout=60))
        await waits_for_a_lock(watcher, "%account_state%")
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await trader.Resume(resume, timeout=0.5)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        measured = await platform.scrape("first")
        assert measured["leadline_commands_waiting{account=default/paper}"] > 0
        await held.rollback()
        await stuck
        await trader.SetLimits(limits, timeout=30)  # the queue is in order: the turn of what was asked before is over
        measured = await platform.scrape("first")
        assert measured["leadline_commands_dropped_total{account=default/paper}"] == 1
        state = await stub.GetState(pb.GetStateRequest(), timeout=5)
        assert [found.number for found in state.halts] == [halt.number]
        for wrong in ([], [0], list(range(1, 300))):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await trader.Resume(pb.ResumeRequest(reason="go on", numbers=wrong), timeout=5)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        answer = await trader.Resume(resume, timeout=30)
        assert ([found.number for found in answer.cleared], list(answer.halts)) == ([halt.number], [])
        answer = await trader.Resume(resume, timeout=30)
        assert (list(answer.cleared), list(answer.halts)) == ([], [])
    row = await watcher.fetchrow("SELECT source, halted_by, reason, cleared_by, clear_reason FROM halt")
    assert tuple(row or ()) == ("PERSON", "ann", "stop", "ann", "go on")
    await holder.close()
    await watcher.close()


async def waits_for_a_lock(connection: Connection, of: str) -> None:
    """Return when a statement of execution waits for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1"
        " AND datname = current_database()"
    )
    await with_retries(lambda: connection.fetchval(query, of), bool)


# What holds the first writer up at the point where it is frozen, and the statement that then waits.
AT_TX_A = ("LOCK TABLE decision IN SHARE MODE", "WITH held AS %")
BEFORE_THE_BYTE = ("SELECT * FROM lease FOR SHARE", "%UPDATE lease%")


@pytest.mark.parametrize(("lock", "of"), [AT_TX_A, BEFORE_THE_BYTE], ids=["in its transaction", "before the byte"])
async def test_a_writer_that_was_frozen_is_refused_when_it_wakes(platform: Platform, lock: str, of: str):
    first = platform.execution("first", account())
    holder = await connect(platform.database.admin_settings(), "test")
    watcher = await connect(platform.database.admin_settings(), "test")
    async with platform.calls() as stub:
        await set_strategy(stub)
    held = holder.transaction()
    await held.start()
    await holder.execute(lock)
    *said, end = says([bar(600), bar(1000)], end=1500)
    await platform.publish([*said, end])
    await waits_for_a_lock(watcher, of)
    if of == BEFORE_THE_BYTE[1]:  # the lease is kept up all the time: wait for the one before the byte
        await with_retries(lambda: watcher.fetchval("SELECT count(*) FROM intent WHERE state = 'SENDING'"), bool)
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1"
        await with_retries(lambda: watcher.fetchval(query, of), lambda count: count == 2)
    os.kill(first.pid, signal.SIGSTOP)
    await held.rollback()

    platform.execution("second", account())  # with a volume of its own: its journal is empty
    async with platform.calls("second") as stub:
        state = await state_of(stub, lambda state: state.phase == "finished")
        assert state.writer_epoch == 2
        os.kill(first.pid, signal.SIGCONT)
        assert await asyncio.to_thread(first.wait, 30) == 1
        assert "another writer holds default/paper" in platform.log("first")
        state = await state_of(stub, lambda state: state.phase == "finished")
        assert (list(state.halts), state.writer_epoch) == ([], 2)
    decisions = await watcher.fetch("SELECT epoch, accepted FROM decision ORDER BY instant_ns")
    entries = await watcher.fetch("SELECT state FROM intent WHERE leg = 'E' ORDER BY decided_at_ns")
    await holder.close()
    await watcher.close()
    venue = await platform.venue_orders()
    if of == AT_TX_A[1]:  # nothing was decided: the second writer decides, and sends
        assert [tuple(row) for row in decisions] == [(2, True), (2, True)]
        assert [row["state"] for row in entries] == ["FILLED", "FILLED"]
        assert venue.count("E") == 2
    else:  # the entry in doubt is given up, and never leaves
        assert [tuple(row) for row in decisions] == [(1, True), (2, True)]
        assert [row["state"] for row in entries] == ["DEAD", "FILLED"]
        assert venue.count("E") == 1


@pytest.mark.parametrize(
    ("how", "most_seconds"),
    [(signal.SIGTERM, 3), (signal.SIGKILL, 6)],
    ids=["stopped", "killed"],
)
async def test_a_rival_that_was_started_by_hand_takes_over(
    platform: Platform, how: signal.Signals, most_seconds: int, record_property: Callable[[str, object], None]
):
    """It waits for as long as the other lives, and takes over what that holds: nothing is sent again."""
    first = platform.execution("first", account())
    said, end = says([bar(600)], end=700)
    async with platform.calls() as stub:
        await set_strategy(stub)
        await platform.publish([said, SignalMessage(end.tape, end.account, end.strategy, "hash", ns(700), False, None)])
        before = await state_of(stub, lambda state: state.strategies[0].position == 1)
        assert before.writer_epoch == 1
    rival = platform.start(
        "execution",
        "rival",
        workload="execution-by-hand",
        nats=platform.nats.settings("execution"),
        database=platform.database.settings("execution"),
        peers={"venue": platform.addresses["venue"], "risk": platform.addresses["risk"]},
        params={"account": "default/paper", "manifest": account().to_manifest()},
    )
    async with platform.calls("rival") as stub:
        waiting = await state_of(stub, lambda _: True)
        assert (waiting.phase, waiting.writer_epoch) == ("starting", 0)
        first.send_signal(how)
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(first.wait, 30)
        state = await state_of(stub, lambda state: state.phase == "waiting_for_signals")
        seconds = asyncio.get_running_loop().time() - began
        record_property("seconds", seconds)
        assert seconds < most_seconds + LOADED_SECONDS
        assert (state.writer_epoch, list(state.halts), state.strategies[0].position) == (2, [], 1)
        await platform.publish([end])
        await state_of(stub, lambda state: state.phase == "finished")
    assert rival.poll() is None
    assert await platform.venue_orders() == ["E", "S1", "T1"]


@pytest.mark.moves("leadline_strategies_fenced")
async def test_a_message_that_is_none_fences_its_strategy_and_the_account_goes_on(platform: Platform):
    """With a position open; its bracket stays at the venue, and what the strategy says later does not count."""
    process = platform.execution("first", account())
    watcher = await connect(platform.database.settings("reader"), "test")
    async with platform.calls() as stub:
        await set_strategy(stub)
        await platform.scrape("first")
        said, end = says([bar(600)], end=1500)
        promise = replace(end, final=False, progress_ns=ns(750))
        await platform.publish(
            [said, promise, b'{"type":"io.nats.jetstream.api.v1.stream_info_response"}', b"\xff\xff"]
        )
        await platform.publish(says([bar(800)], end=1500))
        state = await state_of(stub, lambda state: state.phase == "finished")
        (only,) = state.strategies
        assert (only.state, only.position, len(state.halts)) == ("Running", 0, 0)
        assert only.fence.startswith("unreadable: ")
        fences = "leadline_strategies_fenced{account=default/paper}"
        await with_retries(lambda: platform.scrape("first"), lambda measured: measured.get(fences) == 1)
        decided = await watcher.fetch("SELECT instant_ns, accepted FROM decision")
        assert [tuple(row) for row in decided] == [(ns(600), True)]
        assert await platform.venue_orders() == ["E", "S1", "T1"]
        letters = await watcher.fetch("SELECT reader, stream, subject, reason, bytes FROM dead_letter")
        subject = signal_subject(TAPE, AccountId("default/paper"), StrategyId("default/mes"))
        assert [tuple(row) for row in letters] == [("execution", "SIGNALS", subject, "unreadable", 56)]
        fenced = await watcher.fetch("SELECT instant_ns, body FROM order_event WHERE kind = 'fence'")
        assert [(row["instant_ns"], row["body"]["strategy"]) for row in fenced] == [(ns(750) - 1, "default/mes")]

        process.kill()
        process.wait()
        (platform.folder / "first" / f"sent-{TAPE}.journal").unlink()
        platform.execution("first", account())
    async with platform.calls() as stub:
        state = await state_of(stub, lambda state: state.phase == "finished")
        assert state.strategies[0].fence == only.fence
        # Its journal was lost meanwhile. Book and venue agree, so it goes on, and says so.
        assert (state.journal_restored.orders, state.journal_restored.found, len(state.halts)) == (1, 0, 0)
        told = (await platform.scrape("first"))[
            "leadline_send_journal_restored_timestamp_seconds{account=default/paper}"
        ]
        assert told == pytest.approx(state.journal_restored.at_ns / 1e9)
        # A person lets it count again, and no machine; what it had said is not held against it a second time.
        release = pb.ReleaseRequest(strategy="default/mes", reason="the feed of the exchange was wrong")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Release(release)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        async with platform.calls(role="cli-trader") as person:
            assert (await person.Release(release)).fence == only.fence
        state = await state_of(stub, lambda state: state.strategies[0].progress_ns == ns(1500))
        assert state.strategies[0].fence == ""
        await with_retries(lambda: platform.scrape("first"), lambda measured: measured.get(fences) == 0)
    assert await watcher.fetchval("SELECT count(*) FROM dead_letter") == 1
    told = await watcher.fetchval("SELECT body FROM order_event WHERE kind = 'fence' ORDER BY event DESC LIMIT 1")
    assert (told["fenced"], told["cleared_by"], told["clear_reason"]) == (False, "ann", release.reason)
    await watcher.close()


async def test_an_account_goes_on_with_a_venue_that_fails_and_takes_orders_while_it_is_away(
    platform: Platform, between: MisbehavingVenue
):
    """INTERNAL says nothing of an order: it is asked for, given up or found, and never sent a second time.

    A venue that fails halts the account, and so an entry that was found is cancelled. A person looks, and it goes on.
    """
    between.next("SubmitOrder", FAILS_BEFORE, FAILS_AFTER)
    platform.execution("first", account(), venue=f"127.0.0.1:{between.port}")
    watcher = await connect(platform.database.settings("reader"), "test")
    async with platform.calls() as stub, platform.calls(role="cli-trader") as trader:
        await set_strategy(stub)
        for second, states in ((600, ["DEAD"]), (700, ["DEAD", "CANCELLED"])):
            said, end = says([bar(second)], end=1500)
            await platform.publish([said, replace(end, final=False, progress_ns=ns(second + 5))])
            state = await state_of(stub, lambda state: len(state.halts) == 1 and state.phase == "waiting_for_signals")
            entries = await watcher.fetch("SELECT state FROM intent WHERE leg = 'E' ORDER BY decided_at_ns")
            assert [row["state"] for row in entries] == states
            [halt] = state.halts
            assert (halt.source, halt.reason) == ("DIFFERENCE", "venue refuses: an error by request of a test")
            await trader.Resume(pb.ResumeRequest(reason="looked at", numbers=[halt.number]), timeout=30)
        said, end = says([bar(800)], end=1500)
        await platform.publish([said, replace(end, final=False, progress_ns=ns(950))])
        await state_of(stub, lambda state: state.strategies[0].position == 1)
        assert await platform.venue_orders() == ["E", "E", "S1", "T1"]

        venue = platform.processes[1]
        venue.kill()
        venue.wait()
        flattened = await trader.Flatten(pb.FlattenRequest(reason="out"), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await trader.CancelOrder(pb.CancelOrderRequest(client_id="nobody's"), timeout=30)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        halt = (await trader.Halt(pb.HaltRequest(reason="out"), timeout=5)).halt
        state = await state_of(stub, lambda state: state.phase.startswith("waiting_for"))
        assert (state.strategies[0].position, [found.number for found in state.halts]) == (1, [halt.number])

        platform.again("venue")
        await platform.publish([end])
        state = await state_of(stub, lambda state: state.phase == "finished")
        assert (state.strategies[0].position, [found.source for found in state.halts]) == (0, ["PERSON"])
    assert await platform.venue_orders() == ["E", "E", "F1", "S1", "T1"]
    closing = await watcher.fetchrow("SELECT decided_at_ns, state FROM intent WHERE leg = 'F1'")
    assert tuple(closing or ()) == (flattened.instant_ns, "FILLED")
    await watcher.close()


async def test_a_venue_that_says_what_nobody_foresaw_halts_the_account_and_ends_no_process(
    platform: Platform, between: MisbehavingVenue
):
    """Somebody else's order, a working stop that is said to be rejected, events again and in a wrong order."""

    def strange(said: venue_pb2.AdvanceToResponse) -> None:
        for event in said.events:
            if event.order.leg == "S1" and event.order.state == venue_pb2.ORDER_STATE_WORKING:
                event.order.state = venue_pb2.ORDER_STATE_REJECTED
        if len(said.events) > 1:
            first, last = (venue_pb2.VenueEvent.FromString(said.events[at].SerializeToString()) for at in (0, -1))
            said.events[0].CopyFrom(last)
            said.events[-1].CopyFrom(first)

    between.always("AdvanceTo", answered(strange))
    token = token_source(one_key(KEY), "execution", "ann", "venue/default/paper", AccountId("default/paper"))
    async with open_channel(platform.addresses["venue"], token) as channel:
        venue = venue_rpc.PaperVenueServiceStub(channel)
        foreign = venue_pb2.VenueOrder(
            client_id="by-hand",
            contract=MES,
            tape_contract=MES,
            side=venue_pb2.SIDE_BUY,
            type=venue_pb2.ORDER_TYPE_LIMIT,
            limit_price=19_000,
            quantity=1,
            decided_at_ns=ns(0),
            leg="X",
        )
        request = venue_pb2.SubmitOrderRequest(order=foreign)
        await with_retries(lambda: venue.SubmitOrder(request, timeout=5))
        process = platform.execution("first", account(), venue=f"127.0.0.1:{between.port}")
        watcher = await connect(platform.database.settings("reader"), "test")
        async with platform.calls() as stub, platform.calls(role="cli-trader") as trader:
            state = await state_of(stub, lambda state: len(state.halts) == 1)
            assert "order by-hand, which this book never intended" in state.halts[0].reason
            gone = venue_pb2.CancelOrderRequest(client_id="by-hand", reason="nothing is entered beside it")
            await with_retries(lambda: venue.CancelOrder(gone, timeout=5))
            await set_strategy(stub)
            resume = pb.ResumeRequest(reason="mine", numbers=[state.halts[0].number])
            await with_retries(lambda: trader.Resume(resume, timeout=30))
            *said, end = says([bar(600)], end=1500)
            await platform.publish([*said, end])
            between.next("AdvanceTo", Fault(), repeated())
            state = await state_of(stub, lambda state: state.phase == "finished")
            assert {halt.source for halt in state.halts} == {"DIFFERENCE"}
            assert process.poll() is None
            positions = await venue.ListPositions(venue_pb2.ListPositionsRequest(), timeout=5)
            held = {found.contract: found.quantity for found in positions.positions}
            assert held.get(MES, 0) == state.strategies[0].position
        told = await watcher.fetch("SELECT DISTINCT reason FROM halt")
        await watcher.close()
    assert any("the venue numbers its events" in row["reason"] for row in told), told
