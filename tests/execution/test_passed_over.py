"""What ends the account's processes again and again is passed over and told; all else goes on, and a person looks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters.deaths import DEATHS, ENDS, MOST_POISON, MarkFile
from leadline.execution.core.book import Book, Changes
from leadline.execution.loop.deps import Deps
from leadline.execution.loop.ports import NotTaken, Risk, Unavailable
from leadline.model.halts import HaltSource
from leadline.model.ids import ClientOrderId, RunId, StrategyId
from leadline.model.orders import OrderState, VenueEvent, VenueOrder
from leadline.risk.view import DecisionInputs, RiskDecision
from tests.execution.harness.builders import MES, MNQ, account, bar, says, strategy, tape
from tests.execution.harness.desk import Desk, Session, replace_risk
from tests.execution.harness.faults import Killed, TrippedRisk, TrippedStore, TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import MemoryBooks
from tests.execution.test_halted_account import resume
from tests.execution.test_venue_words import Speaks, desk_of, halts, is_entry_fill

NEAR_CLOSE = 23_101
THIS_BAR = "the bar MESM2025/rth/5m-r1/2025-06-10/700 of default/mes"


class Breaks(TrippedRisk):
    """Risk behind which the loop fails at the bar of an instant."""

    def __init__(self, risk: Risk, fails: BaseException) -> None:
        super().__init__(risk, Tripwire())
        self._fails = fails

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        if inputs.bar.bar.ordinal == 700 and inputs.strategy.strategy == "default/mes":
            raise self._fails
        return await super().decide(inputs)


def with_marks(desk: Desk, through: Callable[[Deps], Deps]) -> Session:
    """A process that knows what the ones before it ended at."""
    return desk.open(lambda deps: replace(through(deps), marks=MarkFile(desk.folder / "marks", RunId(desk.tape))))


async def ends(desk: Desk, through: Callable[[Deps], Deps], error: type[BaseException]) -> None:
    """A process that ends of an error."""
    session = with_marks(desk, through)
    with pytest.raises(error):
        await session.run()
    session.close()


def two_strategies(folder: Path) -> Desk:
    """One holds a position when its next bar comes; the other says a bar at the same instant, and one later."""
    rows = [(600, 20_000), (601, 20_000), (700, 20_001), (800, 20_001), (801, 20_001), (NEAR_CLOSE, 20_002)]
    prints = {name: tape(*rows, (23_200, 20_002)) for name in (MES, MNQ)}
    signals = {
        "default/mes": says([bar(600), bar(700), bar(750)], end=23_395),
        "default/nq": says(
            [bar(700, contract=MNQ), bar(800, contract=MNQ)], end=23_395, strategy=StrategyId("default/nq")
        ),
    }
    both = [strategy(), strategy("nq", "MNQ")]
    return Desk(MemoryBooks(), folder, prints, signals, both, account(limits={"maxOpenTrades": 2}), ends=23_395)


async def test_a_bar_at_which_processes_fail_is_refused_and_its_strategy_fenced_off(folder: Path):
    desk = two_strategies(folder)

    def broken(deps: Deps) -> Deps:
        return replace_risk(deps, Breaks(deps.risk, KeyError("no such row")))

    for _ in range(DEATHS):
        await ends(desk, broken, KeyError)

    session = with_marks(desk, broken)
    await session.until(790)
    [halt] = session.switch.halts.in_force
    said = f"{THIS_BAR} is passed over: 2 times in a row a process failed at it, the last error was"
    assert (halt.source, halt.reason) == (HaltSource.POISON, f"{said} KeyError: 'no such row'")
    assert await desk.decisions() == [
        ("default/mes", 600, True, ""),
        ("default/mes", 700, False, "poison"),
        ("default/nq", 700, False, "halted"),
    ]
    fence = session.book.strategies[StrategyId("default/mes")].fence
    assert fence is not None
    assert fence.reason == "poison"
    assert {order.leg for order in session.book.live_orders(StrategyId("default/mes"))} == {"S1", "T1"}
    # Commands are carried out, the others trade when a person has looked, and the session's close comes.
    assert await resume(session, halt.number) == [halt.number]
    while not session.book.finished:
        await session.loop.step()
    session.close()
    assert (await desk.decisions())[3:] == [("default/nq", 800, True, "")]
    assert session.market.positions() == {}
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [
        ("E", 601),
        ("E", 801),
        ("F1", NEAR_CLOSE),
        ("F1", NEAR_CLOSE),
    ]


async def test_a_bar_whose_decision_the_database_does_not_take_is_passed_over_by_the_same_process(folder: Path):
    desk = two_strategies(folder)

    class Picky(TrippedStore):
        async def commit(self, book: Book, changes: Changes, check: Any = None) -> None:
            if any("700" in made.bar_key and made.reason != "poison" for made in changes.decisions):
                raise NotTaken("a value out of range", "database")
            await super().commit(book, changes, check)

    session = with_marks(desk, lambda deps: replace(deps, store=Picky(deps.store, Tripwire())))
    await session.until(720)
    session.close()
    assert ("default/mes", 700, False, "poison") in await desk.decisions()
    assert ("default/nq", 700, False, "poison") in await desk.decisions()
    assert any("NotTaken: a value out of range" in halt.reason for halt in session.switch.halts.of(HaltSource.POISON))


async def test_a_bar_whose_refusal_fails_as_well_is_kept_out_by_the_fence_alone(folder: Path):
    desk = two_strategies(folder)

    class Picky(TrippedStore):
        async def commit(self, book: Book, changes: Changes, check: Any = None) -> None:
            if any(made.strategy == "default/mes" and "700" in made.bar_key for made in changes.decisions):
                raise NotTaken("a value out of range", "database")
            await super().commit(book, changes, check)

    session = with_marks(desk, lambda deps: replace(deps, store=Picky(deps.store, Tripwire())))
    await session.until(790)
    session.close()
    assert [found[:2] for found in await desk.decisions()] == [("default/mes", 600), ("default/nq", 700)]
    assert session.book.strategies[StrategyId("default/mes")].fence is not None


def unbookable(said: VenueEvent) -> VenueEvent:
    """An event at which the loop fails: a size that is no number at all."""
    wrong: Any = "one"
    return replace(said, order=replace(said.order, quantity=wrong)) if is_entry_fill(said) else said


async def test_an_event_at_which_processes_fail_is_passed_over_and_what_the_venue_holds_is_held(folder: Path):
    desk = desk_of(MemoryBooks(), folder)

    def broken(deps: Deps) -> Deps:
        return replace_venue(deps, Speaks(venue_of(deps), event=unbookable))

    for _ in range(DEATHS):
        await ends(desk, broken, TypeError)
    session = with_marks(desk, broken)
    await session.until(720)
    assert any("event 2 of the venue" in reason and "TypeError" in reason for _, reason in halts(session))
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted"]
    assert [(held.strategy, held.quantity) for held in session.book.open_positions()] == [("default/mes", 1)]
    assert {order.leg: order.state for order in session.book.orders.values()} == {
        "E": OrderState.FILLED,
        "S1": OrderState.WORKING,
        "T1": OrderState.WORKING,
    }
    assert await resume(session, *(number for number, _ in halts(session)))
    while not session.book.finished:
        await session.loop.step()
    session.close()
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted", ""]


async def test_events_that_the_database_does_not_take_are_passed_over_together(folder: Path):
    desk = desk_of(MemoryBooks(), folder)

    class Picky(TrippedStore):
        async def commit(self, book: Book, changes: Changes, check: Any = None) -> None:
            if any(event < 3 for _, _, event in changes.fills):
                raise NotTaken("a value out of range", "database")
            await super().commit(book, changes, check)

    session = with_marks(desk, lambda deps: replace(deps, store=Picky(deps.store, Tripwire())))
    await session.run()
    session.close()
    assert any("event 2 of the venue" in reason and "NotTaken" in reason for _, reason in halts(session))
    # The bracket was told of in the same answer: the book does not know it, and closes what the venue holds.
    assert session.market.positions() == {}
    assert session.book.open_positions() == []


async def test_an_order_at_which_processes_fail_when_they_ask_for_it_stays_as_the_book_has_it(folder: Path):
    desk = desk_of(MemoryBooks(), folder)
    first = desk.open()
    await first.until(640)
    first.close()
    stop = next(order for order in first.book.live_orders() if order.leg == "S1")

    class Breaks(TrippedVenue):
        async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
            if client_id == stop.client_id:
                raise KeyError(client_id)
            return await super().find(client_id)

    def broken(deps: Deps) -> Deps:
        return replace_venue(deps, Breaks(venue_of(deps), Tripwire()))

    for _ in range(DEATHS):
        await ends(desk, broken, KeyError)
    for _ in range(2):
        session = with_marks(desk, broken)
        await session.until(650)
        session.close()
        [(number, reason)] = halts(session)
        assert (number, reason.partition(": 2 times")[0]) == (
            1,
            f"order {stop.client_id} as the venue has it is passed over",
        )
        assert session.book.orders[stop.client_id] == stop


@pytest.mark.parametrize("works", [True, False])
async def test_a_process_that_is_killed_while_it_asks_for_an_order_has_not_ended_at_it(folder: Path, works: bool):
    desk = desk_of(MemoryBooks(), folder)
    if works:
        first = desk.open()
        await first.until(640)
        first.close()

    class Kills(TrippedVenue):
        async def submit(self, order: VenueOrder) -> VenueOrder:
            raise Killed("no memory")

        async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
            raise Killed("no memory")

    for _ in range(ENDS if works else ENDS + 1):
        await ends(desk, lambda deps: replace_venue(deps, Kills(venue_of(deps), Tripwire())), Killed)
    session = with_marks(desk, lambda deps: deps)
    await session.until(650)
    session.close()
    assert halts(session) == []
    assert all(order.state is not OrderState.UNKNOWN for order in session.book.orders.values())


class KilledAtTheBar(TrippedStore):
    """A process that is killed as soon as the bar is decided."""

    async def commit(self, book: Book, changes: Changes, check: Any = None) -> None:
        if any(made.strategy == "default/mes" and "700" in made.bar_key for made in changes.decisions):
            raise Killed("no memory")
        await super().commit(book, changes, check)


@pytest.mark.parametrize("kills", range(ENDS + 1))
async def test_kills_that_fall_on_a_bar_make_it_poison_only_when_they_are_three_in_a_row(folder: Path, kills: int):
    desk = two_strategies(folder)
    for _ in range(kills):
        await ends(desk, lambda deps: replace(deps, store=KilledAtTheBar(deps.store, Tripwire())), Killed)
    session = with_marks(desk, lambda deps: deps)
    await session.until(720)
    session.close()
    reasons = {(name, second): reason for name, second, _, reason in await desk.decisions()}
    assert reasons["default/mes", 700] == ("poison" if kills >= ENDS else "")
    assert bool(session.halted) == (kills >= ENDS)


async def test_neither_a_stop_in_order_nor_a_part_that_is_away_counts_as_an_end(folder: Path):
    desk = two_strategies(folder)
    for number in range(2 * ENDS):
        error = Killed("told to stop") if number % 2 else Unavailable("risk is away", "risk")
        marks = MarkFile(desk.folder / "marks", RunId(desk.tape))
        session = desk.open(lambda deps: replace(replace_risk(deps, Breaks(deps.risk, error)), marks=marks))  # noqa: B023
        with pytest.raises((Killed, AssertionError)):
            await session.run()
        marks.stopped()
        session.close()
    assert MarkFile(desk.folder / "marks", RunId(desk.tape)).poison(THIS_BAR) == ""


def fail_at(folder: Path, *names: str, error: BaseException | None = None) -> MarkFile:
    """One process's end, within these names; the marks that the next one finds."""
    marks = MarkFile(folder, RunId("tape"))

    def enter(left: tuple[str, ...]) -> None:
        if not left:
            raise error or KeyError("x")
        with marks.at(left[0]):
            enter(left[1:])

    with pytest.raises(type(error) if error else KeyError):
        enter(names)
    return MarkFile(folder, RunId("tape"))


def test_a_failure_counts_at_the_innermost_name_alone(tmp_path: Path):
    fail_at(tmp_path, "batch", "event")
    marks = fail_at(tmp_path, "batch", "event")
    assert marks.poison("event") == "2 times in a row a process failed at it, the last error was KeyError: 'x'"
    assert marks.poison("batch") == ""


async def test_what_one_run_passes_over_is_handled_in_another(folder: Path):
    desk = two_strategies(folder)

    def broken(deps: Deps) -> Deps:
        return replace_risk(deps, Breaks(deps.risk, KeyError("no such row")))

    for _ in range(DEATHS):
        await ends(desk, broken, KeyError)
    other = two_strategies(folder)
    other.name = "another"
    session = with_marks(other, lambda deps: deps)
    await session.until(790)
    session.close()
    assert not session.halted
    assert session.book.strategies[StrategyId("default/mes")].fence is None


def test_what_is_handled_in_between_is_forgotten(tmp_path: Path):
    fail_at(tmp_path, "one")
    with MarkFile(tmp_path, RunId("tape")).at("one"):
        pass
    assert fail_at(tmp_path, "one").poison("one") == ""
    fail_at(tmp_path, "another")
    assert fail_at(tmp_path, "one").poison("one") == ""


def test_a_kill_and_a_failure_are_not_two_failures(tmp_path: Path):
    fail_at(tmp_path, "one", error=Killed("x"))
    assert fail_at(tmp_path, "one").poison("one") == ""
    assert "3 times in a row" in fail_at(tmp_path, "one", error=Killed("x")).poison("one")


def test_what_is_remembered_has_a_bound(tmp_path: Path):
    for number in range(MOST_POISON + 2):
        for _ in range(DEATHS):
            marks = MarkFile(tmp_path, RunId("tape"))
            with pytest.raises(KeyError), marks.at(f"{number}"):
                raise KeyError
    marks = MarkFile(tmp_path, RunId("tape"))
    assert [bool(marks.poison(f"{number}")) for number in (0, 1, 2, MOST_POISON + 1)] == [False, False, True, True]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"poison": 7}', b'{"poison": {}, "suspect": "a", "why": ""}'])
def test_a_file_that_cannot_be_read_begins_anew(tmp_path: Path, content: bytes):
    fail_at(tmp_path, "one")
    (tmp_path / "passed_over-tape.json").write_bytes(content)
    assert fail_at(tmp_path, "one").poison("one") == ""


def test_a_disk_that_takes_no_marks_hides_no_error(tmp_path: Path):
    (tmp_path / "marks").write_bytes(b"")  # no folder can be there
    assert fail_at(tmp_path / "marks", "one").poison("one") == ""


@pytest.mark.parametrize("name", ["x" * 2_000, "\x00\n", "é" * 1_000])
def test_any_name_can_be_marked(tmp_path: Path, name: str):
    for _ in range(ENDS):
        fail_at(tmp_path, name, error=Killed("x"))
    assert "nothing was said" in MarkFile(tmp_path, RunId("tape")).poison(name)


async def test_a_process_that_is_killed_while_it_waits_for_risk_has_not_ended_at_its_bar(folder: Path):
    desk = two_strategies(folder)
    for _ in range(ENDS):
        await ends(desk, lambda deps: replace_risk(deps, Breaks(deps.risk, Killed("no memory"))), Killed)
    session = with_marks(desk, lambda deps: deps)
    await session.run()
    session.close()
    assert session.halted == ""
    assert ("default/mes", 700, False, "poison") not in await desk.decisions()
