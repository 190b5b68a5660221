"""What one step of the loop does, and in which order: what a start has to find, a halt, the end of the tape."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.execution.loop.ports import Refused, Unavailable
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.model.halts import FIELD_REASON, HaltSource
from leadline.model.ids import NO_CONTRACT, ContractId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.orders import Advanced, Watch
from leadline.risk.view import DecisionInputs, RiskDecision
from tests.execution.harness.builders import account, bar, ns, says
from tests.execution.harness.desk import Books, Starved, replace_risk
from tests.execution.harness.faults import TrippedVenue, Tripwire, tripped
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.test_decisions import Failing
from tests.execution.test_fences import REFUSED
from tests.execution.test_halted_account import quiet_desk
from tests.execution.test_recovery import one_trade
from tests.execution.test_steps import RECOVERY, RefusesToClose

END_OF_TIME = 9_223_372_036_854_775_807
"""The last nanosecond that 64 bits hold."""


async def test_a_loaded_account_is_reconciled_before_it_steps(books: Books, folder: Path):
    wire = Tripwire()
    session = one_trade(books, folder).open(lambda deps: tripped(deps, wire))
    assert await session.store.acquire()
    for _ in range(2):  # the second time by a process that had stepped before
        wire.calls.clear()
        await session.loop.load()
        assert session.loop.phase is LoopPhase.RECONCILING
        assert wire.calls == RECOVERY[:2]
        session.loop.phase = LoopPhase.WAITING_FOR_DATABASE  # as its process says while a part does not answer
        await session.loop.step()
        assert session.loop.phase is LoopPhase.RECONCILING
        assert wire.calls == RECOVERY
    session.close()


async def test_a_halt_has_its_row_before_the_venue_is_asked(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    session.halt("news")
    assert await session.store.acquire()
    await session.loop.load()
    stored = await session.store.halts([])
    session.close()
    assert [halt.reason for halt, _ in stored.rows.values()] == ["news"]


async def test_a_manifest_that_says_halt_halts_once_over_restarts(books: Books, folder: Path):
    desk = one_trade(books, folder)
    desk.manifest = account(halt=True)
    session = desk.open()
    for _ in range(2):
        await session.start()
    session.close()
    [standing] = session.switch.halts.standing
    assert (standing.halt.source, standing.halt.reason, standing.said) == (HaltSource.FIELD, FIELD_REASON, 1)


async def test_a_halt_takes_a_working_entry_out_before_another_print_is_met(books: Books, folder: Path):
    wire = Tripwire()
    session = quiet_desk(books, folder).open(lambda deps: tripped(deps, wire))
    await session.until(700)
    session.halt("news")
    wire.calls.clear()
    await session.loop.step()
    session.close()
    cancelled = ["store.commit PENDING_CANCEL", "venue.cancel", "venue.advance", "store.commit CANCELLED"]
    assert wire.calls[:5] == ["store.commit ", *cancelled]  # first of all the halt has its row


async def test_when_nobody_can_speak_any_more_all_is_heard_to_the_end_of_time(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(100)
    assert session.loop._complete_through() < END_OF_TIME
    await session.run(until=lambda book: all(queue.final for queue in session.queues.values()))
    session.close()
    assert session.loop._complete_through() == END_OF_TIME


async def test_a_finished_account_waits_and_asks_nobody(books: Books, folder: Path):
    wire = Tripwire()
    session = one_trade(books, folder).open(lambda deps: tripped(deps, wire))
    await session.until(100)
    assert session.loop.phase == "running"
    await session.run()
    wire.calls.clear()
    with pytest.raises(Starved, match="the loop is finished"):  # it waits, and there is no news
        await session.loop.step()
    session.close()
    assert wire.calls == []


class Objects:
    """Risk that refuses a question in many words."""

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        raise Refused("x" * 1000, "risk")


async def test_of_a_refusal_of_risk_so_much_is_stored(books: Books, folder: Path):
    desk = one_trade(books, folder)
    await desk.run(through=lambda deps: replace_risk(deps, Objects()))
    [(reason, terms)] = await desk.rows("decision", "reason, arithmetic", "decision_id")
    assert reason == "risk_error"
    assert dict(terms) == {"error": "x" * 500}


async def test_an_account_that_doubts_its_venue_is_reconciled_before_it_steps(books: Books, folder: Path):
    wire = Tripwire()
    session = one_trade(books, folder).open(lambda deps: tripped(deps, wire))
    await session.until(100)
    session.loop._keeper.doubted = True
    wire.calls.clear()
    await session.loop.step()
    session.close()
    assert wire.calls == RECOVERY[2:]
    assert not session.loop._keeper.doubted


class HoldsNonsense(TrippedVenue):
    """A venue that tells of a position that cannot be, at a stop."""

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        advanced = await super().advance(from_ns, to_ns, after_event, contracts, watches)
        return replace(advanced, positions={NO_CONTRACT: 1}) if from_ns < to_ns else advanced


async def test_an_answer_that_is_not_believed_is_settled_in_the_same_step(books: Books, folder: Path):
    wire = Tripwire()
    session = one_trade(books, folder).open()
    await session.until(100)
    venue = HoldsNonsense(venue_of(session.loop._deps), wire)
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    while "venue.advance" not in wire.calls:
        await session.loop.step()
    session.close()
    assert wire.calls == ["venue.advance", "venue.advance", "venue.working", "venue.positions"]
    assert (session.loop.phase, session.loop._keeper.doubted) == ("running", False)


async def test_what_a_strategy_said_before_its_refused_message_is_decided_before_it_is_fenced_off(
    books: Books, folder: Path
):
    """Also by the process that comes after one which has reached the instant and not decided."""
    said, end = says([bar(600)], end=900)
    desk = one_trade(books, folder)
    desk.signals = {"default/mes": [said, replace(end, final=False, progress_ns=ns(600) + 1), REFUSED]}
    failing = Failing(Unavailable("risk does not answer", "risk"), 1)
    session = desk.open(lambda deps: replace_risk(deps, failing))
    await session.run(until=lambda book: book.strategies[StrategyId("default/mes")].fence is not None)
    session.close()
    assert await desk.decisions() == [("default/mes", 600, True, "")]
    fence = session.book.strategies[StrategyId("default/mes")].fence
    assert fence is not None
    assert fence.instant_ns == ns(600)


async def test_nothing_is_done_before_there_is_a_strategy_and_each_is_heard(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = desk.open()
    assert await session.store.acquire()
    await session.loop.recover()
    assert session.loop._target() is None  # nobody is named yet
    await session.start()
    queue = session.queues.pop(StrategyId("default/mes"))
    assert session.loop._target() is None  # its reader has not begun
    session.queues[StrategyId("default/mes")] = queue
    queue.push(desk.signals["default/mes"][0])
    assert session.loop._target() == ns(600) - 1
    session.close()


async def test_who_is_not_in_the_book_is_neither_decided_nor_fenced_off(books: Books, folder: Path):
    desk = one_trade(books, folder)
    session = desk.open()
    await session.start()
    said = desk.signals["default/mes"][0]
    stranger = session.queues[StrategyId("default/gone")] = SignalQueue(
        StrategyId("default/gone"), said.analysis_hash, 0
    )
    stranger.push(said)
    stranger.refuse(REFUSED)
    stranger.progress_ns = 1
    await session.until(640)
    session.close()
    assert await desk.decisions() == [("default/mes", 600, True, "")]
    assert list(session.book.strategies) == ["default/mes"]


async def test_a_close_that_was_refused_is_a_reason_to_stop(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(640)
    venue = RefusesToClose(venue_of(session.loop._deps), Tripwire())
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    await session.loop.flatten(StrategyId(""), "seen (bob)")
    while venue.refused < 3:
        await session.loop.step()
    instant_ns = session.book.instant_ns
    assert session.loop._target() == instant_ns + 10**9
    session.close()
