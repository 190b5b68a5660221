"""Strategies that join, change and leave while the account trades: nobody else notices."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters.convert import state_to_proto
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId, StrategyId
from leadline.model.signals import SignalMessage
from tests.execution.harness.builders import (
    BUY,
    DAY_S,
    LONG,
    MES,
    RTH_S,
    SELL,
    SHORT,
    account,
    bar,
    ns,
    says,
    strategy,
    tape,
)
from tests.execution.harness.days import wandering
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.faults import Killed, Tripwire, tripped

ROOMY = {"maxOpenTrades": 4, "maxPosition": 8}


def trade(books: Books, folder: Path, name: str = "tape") -> Desk:
    """A long from second 601 at 20001, stop 19985, target 20025, which a print at second 900 reaches."""
    prints = {
        MES: tape(
            (600, 20_000),
            (601, 20_000),
            (700, 20_004),
            (800, 20_003),
            (900, 20_026, 1, BUY),
            (1000, 20_010),
            (1100, 20_010),
            (1300, 20_010),
        )
    }
    signals = {"default/mes": says([bar(600), bar(1000)], end=1400)}
    return Desk(books, folder, prints, signals, [strategy()], ends=1400, name=name)


def shown(session: Session, name: str = "default/mes") -> pb.StrategyState:
    """The strategy as `GetState` shows it."""
    state = state_to_proto(session.book, phase="", halts=(), epoch=1, heard={})
    return next(found for found in state.strategies if found.strategy == name)


async def test_a_drain_that_keeps_leaves_the_position_to_its_bracket(books: Books, folder: Path):
    desk = trade(books, folder)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.drain()
    state = shown(session)
    assert (state.state, state.drain_id, state.drained, state.forgotten) == ("Drained", "one", True, False)
    assert (state.position, state.working_orders, state.progress_ns) == (1, 2, 0)

    await session.run()
    session.close()
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 900)]
    assert await desk.decisions() == [("default/mes", 600, True, "")]  # its bar of second 1000 is nobody's business
    assert shown(session).forgotten


async def test_a_drain_that_refuses_is_done_when_the_bracket_has_closed_the_position(books: Books, folder: Path):
    session = trade(books, folder).open(read_back=True)
    await session.until(700)
    await session.drain(positions="Refuse")
    assert (shown(session).state, shown(session).drained) == ("Draining", False)
    await session.run(until=lambda book: not book.open_positions())
    assert (shown(session).state, shown(session).drained, shown(session).forgotten) == ("Drained", True, True)
    session.close()


async def test_a_drain_that_flattens_closes_at_the_next_print(books: Books, folder: Path):
    desk = trade(books, folder)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.drain(positions="Flatten")
    assert (shown(session).drained, shown(session).flatten) == (False, "drain")
    await session.run()
    session.close()
    # The sell at the market fills at 20003 less a tick of slippage.
    assert [fill[:3] for fill in await desk.fills()] == [("E", 601, 20_001), ("F1", 800, 20_002)]
    assert (shown(session).drained, shown(session).forgotten, shown(session).flatten) == (True, True, "")


@pytest.mark.parametrize(("orders", "filled"), [("Cancel", []), ("Keep", ["E", "T1"])])
async def test_an_entry_that_works_is_cancelled_if_that_is_asked(
    books: Books, folder: Path, orders: str, filled: list[str]
):
    desk = trade(books, folder)
    session = desk.open(read_back=True)
    await session.until(600)
    assert [order.state for order in session.book.live_orders()] == ["WORKING"]
    await session.drain(orders=orders, positions="Refuse")
    assert shown(session).drained == (orders == "Cancel")
    await session.run()
    session.close()
    assert [leg for leg, *_ in await desk.fills()] == filled
    assert shown(session).drained
    if orders == "Cancel":
        assert await desk.rows("intent", "state, reason", "leg") == [("CANCELLED", "drain")]


async def test_a_drain_is_one_by_its_id(books: Books, folder: Path):
    desk = trade(books, folder)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.drain(positions="Refuse")
    first = session.book.strategies[StrategyId("default/mes")].drain
    await session.until(800)
    await session.drain(positions="Refuse")
    assert session.book.strategies[StrategyId("default/mes")].drain == first
    with pytest.raises(InvalidInput, match="this one drains with Cancel and Refuse"):
        await session.drain(positions="Flatten")
    with pytest.raises(Unknown, match="unknown strategy 'default/who'"):
        await session.drain("default/who")
    for wrong in ({"orders": "cancel"}, {"positions": ""}, {"drain_id": ""}, {"drain_id": "x" * 129}):
        with pytest.raises(InvalidInput):
            await session.drain(**wrong)
    await session.drain(drain_id="two", positions="Flatten")
    await session.run()
    session.close()
    assert [leg for leg, *_ in await desk.fills()] == ["E", "F1"]


async def test_a_drain_outlives_the_process(books: Books, folder: Path):
    desk = trade(books, folder)
    session = desk.open()
    await session.until(700)
    await session.drain(positions="Refuse")
    session.close()
    session = await desk.run(read_back=True)
    assert shown(session).forgotten
    assert await desk.decisions() == [("default/mes", 600, True, "")]


async def test_a_drain_that_is_killed_at_any_call_ends_flat(books: Books, folder: Path):
    async def to_the_drain(name: str) -> tuple[Desk, Session]:
        desk = trade(books, folder, name)
        session = desk.open()
        await session.until(700)
        return desk, session

    async def drained(session: Session, wire: Tripwire) -> None:
        session.replace_deps(lambda deps: tripped(deps, wire))
        await session.drain(positions="Flatten")
        await session.run()

    wire = Tripwire()
    _, plain = await to_the_drain("plain")
    await drained(plain, wire)
    plain.close()
    assert {"venue.cancel", "venue.submit F1"} <= set(wire.calls)
    for number in range(len(wire.calls)):
        desk, session = await to_the_drain(f"killed-{number}")
        with pytest.raises(Killed):
            await drained(session, Tripwire(number))
        session.close()
        session = desk.open()
        await session.start()
        await session.drain(positions="Flatten")  # as its caller says again, who heard nothing
        await session.run()
        session.close()
        assert shown(session).forgotten, wire.calls[number]
        assert session.market.positions() == {}
        assert max(desk.sent.values()) == 1
        assert not session.halted


async def test_nobody_waits_for_what_is_drained(books: Books, folder: Path):
    desk = trade(books, folder)
    said, end = says([bar(600)], end=650)
    desk.signals = {"default/mes": [said, replace(end, final=False)]}  # and then its analysis falls silent
    session = desk.open()
    await session.until(600)
    await session.drain()
    await session.run()
    session.close()
    assert session.book.finished


async def test_a_drained_strategy_that_is_set_again_joins_anew(books: Books, folder: Path):
    desk = trade(books, folder)
    bars = [bar(600), bar(1000), bar(1100)]
    desk.signals = {"default/mes": says(bars, end=1400)}
    session = desk.open(read_back=True)
    await session.until(700)
    await session.drain()
    await session.until(1050)
    await session.set_strategy(strategy())
    state = shown(session)
    assert (state.state, state.drain_id, state.joined_ns) == ("Running", "", session.book.instant_ns)
    await session.run()
    session.close()
    # The bar of second 1000 was known when it joined again: it only warms up.
    assert [second for _, second, *_ in await desk.decisions()] == [600, 1100]


async def test_what_is_being_closed_is_closed_though_the_strategy_is_set_again(books: Books, folder: Path):
    desk = trade(books, folder)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.drain(positions="Flatten")
    await session.set_strategy(strategy())
    await session.run()
    session.close()
    assert [(leg, second) for leg, second, *_ in await desk.fills()][:2] == [("E", 601), ("F1", 800)]


async def test_a_forgotten_strategy_frees_its_contract(books: Books, folder: Path):
    desk = trade(books, folder)
    desk.signals = {**desk.signals, "default/heir": says([bar(1000)], end=1400, strategy=StrategyId("default/heir"))}
    session = desk.open(read_back=True)
    await session.until(700)
    with pytest.raises(InvalidInput, match="default/mes trades it on default/paper"):
        await session.set_strategy(strategy("heir"))
    await session.drain(positions="Refuse")
    with pytest.raises(InvalidInput, match="default/mes trades it on default/paper"):
        await session.set_strategy(strategy("heir"))
    await session.until(900)
    await session.set_strategy(strategy("heir"))
    with pytest.raises(InvalidInput, match="default/heir trades it on default/paper"):
        await session.set_strategy(strategy())
    await session.run()
    session.close()
    assert await desk.decisions() == [("default/mes", 600, True, ""), ("default/heir", 1000, True, "")]


async def test_a_suspended_strategy_that_runs_again_joins_anew(books: Books, folder: Path):
    desk = trade(books, folder)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_strategy(strategy(state="Suspended"))
    assert shown(session).state == "Suspended"
    await session.until(1050)
    await session.set_strategy(strategy())
    assert shown(session).joined_ns == session.book.instant_ns
    await session.run()
    session.close()
    assert await desk.decisions() == [("default/mes", 600, True, "")]


async def test_a_strategy_of_another_trading_day_does_not_join(books: Books, folder: Path):
    # NYSE's trading day is the calendar day, the future's begins at 18:00: the account's limits are those of one day.
    prints = {MES: tape((600, 20_000)), ContractId("SPY"): tape((600, 50_000))}
    desk = Desk(books, folder, prints, {"default/mes": says([], end=900)}, [strategy()], ends=900)
    session = desk.open()
    await session.start()
    expected = (
        "an instrument whose trading day begins at 18:00 America/New_York, as that of the account default/paper does, "
        "and not at 00:00 America/New_York: give it an account of its own"
    )
    with pytest.raises(InvalidInput, match=expected) as refused:
        await session.set_strategy(strategy("a-spy", "SPY"))
    assert (refused.value.field, refused.value.value) == ("spec.instrument", "SPY")
    assert list(session.book.strategies) == ["default/mes"]
    session.close()


def alone_and_together(books: Books, folder: Path, seed: int) -> tuple[Desk, Desk]:
    """Two days of chance of a strategy in MNQ, once alone and once with one in MES on its account."""
    desks = [wandering(books, folder, seed, name) for name in ("alone", "together")]
    for desk in desks:
        desk.manifest = account("100000", limits=ROOMY)
        desk.strategies = [strategy("mnq", "MNQ", bracket=(20, 20), flattenBeforeClose="2h")]
    return desks[0], desks[1]


async def history(desk: Desk, name: str) -> list[list[tuple[Any, ...]]]:
    """All that became of a strategy: decisions, orders, fills."""
    found = [
        await desk.rows("decision", "strategy, decision_id, instant_ns, accepted, reason, quantity", "instant_ns"),
        await desk.rows("intent", "strategy, client_id, state, filled, decided_at_ns", "decided_at_ns, client_id"),
        await desk.rows("fill", "strategy, fill_id, price, quantity, ts_ns", "ts_ns, fill_id"),
    ]
    return [[row for row in rows if row[0] == name] for rows in found]


@pytest.mark.parametrize("seed", range(4))
async def test_who_comes_and_goes_changes_nothing_for_the_others(books: Books, folder: Path, seed: int):
    chance = random.Random(seed)
    alone, together = alone_and_together(books, folder, seed)
    await alone.run()
    expected = await history(alone, "default/mnq")
    assert len(expected[0]) > 5
    assert expected[2]

    session = together.open(chance=chance)
    seconds = sorted(chance.uniform(300, RTH_S) + chance.choice([0, DAY_S]) for _ in range(4))
    visitor = strategy("mes", bracket=(8, 12))
    for number, second in enumerate(seconds):
        await session.until(second)
        if number % 2 == 0:
            await session.set_strategy(visitor)
        else:
            await session.drain(drain_id=str(number), positions=chance.choice(["Keep", "Flatten", "Refuse"]))
    await session.run()
    session.close()
    assert await history(together, "default/mnq") == expected
    assert not session.halted


def merged(first: list[SignalMessage], second: list[SignalMessage], behind: int) -> list[SignalMessage]:
    """What two analyses say on one subject, the second one some messages behind."""
    found: list[SignalMessage] = []
    for number in range(len(first) + behind):
        found += first[number : number + 1]
        found += second[number - behind : number - behind + 1] if number >= behind else []
    return found


@pytest.mark.parametrize("behind", [0, 1, 3])
async def test_two_analyses_of_one_hash_do_no_harm(books: Books, folder: Path, behind: int):
    bars = [bar(600), bar(700, SHORT), bar(1000), bar(1100, LONG, SHORT)]
    plain = trade(books, folder, "plain")
    plain.signals = {"default/mes": says(bars, end=1400)}
    await plain.run()
    desk = trade(books, folder, "twice")
    desk.signals = {"default/mes": merged(says(bars, end=1400), says(bars, end=1400), behind)}
    await desk.run(read_back=True)
    assert await desk.decisions() == await plain.decisions()
    assert await desk.lines() == await plain.lines()


async def test_an_old_analysis_that_wakes_up_is_never_heard(books: Books, folder: Path):
    desk = trade(books, folder)
    new = says([bar(1000)], end=1400, analysis_hash="newer")
    old = says([bar(700), bar(1000, SHORT), bar(1100, SHORT)], end=1400)
    desk.signals = {"default/mes": [*says([bar(600)], end=650), *merged(new, old, 0)]}
    session = desk.open(read_back=True)
    await session.until(600)
    await session.set_strategy(strategy(), "newer")
    await session.run()
    session.close()
    sides = await desk.rows("decision", "instant_ns, side", "instant_ns")
    assert sides == [(ns(600), "BUY"), (ns(1000), "BUY")]


def limited(limit: int) -> Any:
    """The strategy with so many trades a day."""
    return strategy(risk={"maxTradesPerDay": limit})


async def test_a_stricter_limit_of_its_own_holds_at_once(books: Books, folder: Path):
    desk = trade(books, folder)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_strategy(limited(1))
    assert not shown(session).loosening_waits
    await session.run()
    session.close()
    assert [reason for *_, reason in await desk.decisions()] == ["", "max_trades_per_day"]


async def test_a_looser_limit_of_its_own_waits_until_it_is_flat(books: Books, folder: Path):
    desk = trade(books, folder)
    desk.manifest = account(limits=ROOMY)
    desk.strategies = [limited(1)]
    desk.signals = {"default/mes": says([bar(600), bar(800), bar(1000)], end=1400)}
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_strategy(limited(5))
    assert shown(session).loosening_waits
    await session.run()
    session.close()
    assert [reason for *_, reason in await desk.decisions()] == ["", "max_trades_per_day", ""]
    assert not shown(session).loosening_waits


async def test_or_until_its_session_opens_again(books: Books, folder: Path):
    # Being flat by the close finds no print until the next morning: the position is carried into the next session.
    prints = {MES: tape((600, 20_000), (601, 20_000), (DAY_S + 400, 20_001), (DAY_S + 500, 20_001))}
    signals = {"default/mes": says([bar(600)], end=DAY_S + 600)}
    desk = Desk(books, folder, prints, signals, [limited(1)], ends=DAY_S + 600)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_strategy(limited(5))
    await session.until(DAY_S - 1)
    assert shown(session).loosening_waits
    await session.run(until=lambda book: book.instant_ns >= ns(DAY_S))
    assert session.book.instant_ns == ns(DAY_S)
    assert (shown(session).loosening_waits, shown(session).position) == (False, 1)
    session.close()


async def test_its_own_day_loss_stays_as_strict_as_it_was_while_it_holds(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 19_999), (800, 19_990, 1, SELL), (900, 19_990))}
    signals = {"default/mes": says([bar(600)], end=1000)}
    # 11 ticks of 1.25 and the commission of the way in: 15.00.
    desk = Desk(books, folder, prints, signals, [strategy(budget=False, risk={"dayLoss": "15"})], ends=1000)
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_strategy(strategy(budget=False, risk={"dayLoss": "100"}))
    await session.run()
    session.close()
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 900)]


async def test_a_strategy_of_a_namespace_that_the_account_does_not_allow_is_refused(books: Books, folder: Path):
    desk = trade(books, folder)
    other = strategy()
    other = other.model_copy(update={"metadata": other.metadata.model_copy(update={"namespace": "desk"})})
    spec = other.spec.model_copy(
        update={"account": other.spec.account.model_copy(update={"name": "paper", "namespace": "default"})}
    )
    other = other.model_copy(update={"spec": spec})
    session = desk.open()
    await session.start()
    with pytest.raises(InvalidInput, match=r"metadata.namespace: got 'desk', expected a namespace that the account"):
        await session.set_strategy(other)
    session.close()
