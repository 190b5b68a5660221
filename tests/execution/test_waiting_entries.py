"""Entries that wait for their price, from the manifest to the book: filled, moved on, ended and taken out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from leadline.model.blocks import Block
from leadline.model.ids import StrategyId
from leadline.model.manifest.manifests import parse_manifest
from leadline.model.manifest.specs import TradingStrategy
from tests.execution.harness.builders import MES, RTH_S, SHORT, account, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk

LIMIT: dict[str, Any] = {"type": "Limit", "offsetTicks": 4}
STOP: dict[str, Any] = {"type": "Stop", "offsetTicks": 4}


Rows = Sequence[tuple[float, ...]]


def desk_of(books: Books, folder: Path, rows: Rows, entries: dict[str, Any], **spec: Any) -> Desk:
    """A long of a bar that closes at 20000 after ten minutes, and prints from then on."""
    said = spec.pop("bars", [bar(600)])
    prints = {MES: tape((1, 20_000), (599.5, 20_000), *rows, (9_000, 20_000))}
    return Desk(
        books, folder, prints, {"default/mes": says(said, end=9_000)}, [strategy(entries=entries, **spec)], ends=9_000
    )


async def test_a_limit_waits_at_the_better_side_of_the_close_and_its_exits_follow_its_fill(books: Books, folder: Path):
    desk = desk_of(books, folder, [(605, 19_997), (610, 19_995), (700, 20_021)], LIMIT)
    await desk.run(read_back=True)
    assert await desk.orders() == [
        ("E", "LIMIT", "BUY", 1, 19_996, "FILLED"),
        ("S1", "STOP", "SELL", 1, 19_980, "CANCELLED"),
        ("T1", "LIMIT", "SELL", 1, 20_020, "FILLED"),
    ]
    assert [fill[:3] for fill in await desk.fills()] == [("E", 610, 19_996), ("T1", 700, 20_020)]


async def test_a_stop_waits_beyond_the_close_and_pays_the_slippage(books: Books, folder: Path):
    desk = desk_of(books, folder, [(605, 20_003), (610, 20_004)], STOP)
    await desk.run(read_back=True)
    assert (await desk.fills())[0][:3] == ("E", 610, 20_005)


async def test_an_entry_ends_with_its_validity_and_the_next_bar_decides_anew(books: Books, folder: Path):
    entries = {**LIMIT, "validFor": "bars:1"}
    rows: list[tuple[float, ...]] = [(650, 20_001), (899, 19_998), (900, 19_990), (901, 19_989)]
    desk = desk_of(books, folder, rows, entries, bars=[bar(600), bar(900, close=19_990)])
    await desk.run(read_back=True)
    assert [order for order in await desk.orders() if order[0] == "E"] == [
        ("E", "LIMIT", "BUY", 1, 19_996, "EXPIRED"),
        ("E", "LIMIT", "BUY", 1, 19_986, "EXPIRED"),
    ]
    assert [decision[2:] for decision in await desk.decisions()] == [(True, ""), (True, "")]


async def test_the_stop_trails_and_the_book_follows_it(books: Books, folder: Path):
    bracket = {"stopTicks": 16, "trail": {"triggerTicks": 8, "offsetTicks": 5}}
    rows = [(605, 19_995), (700, 20_010), (710, 20_030), (720, 20_024)]
    desk = desk_of(books, folder, rows, LIMIT, bracket=bracket)
    session = await desk.run(read_back=True)
    assert not session.halted
    assert await desk.orders() == [
        ("E", "LIMIT", "BUY", 1, 19_996, "FILLED"),
        ("S1", "STOP", "SELL", 1, 20_025, "FILLED"),
    ]
    assert (await desk.fills())[-1][:3] == ("S1", 720, 20_023)


@pytest.mark.parametrize(
    ("entries", "ended"),
    [
        (LIMIT, ("E", "CANCELLED", 1, "filled in part")),
        ({**LIMIT, "partialFor": "19s"}, ("E", "CANCELLED", 1, "filled in part")),
        ({**LIMIT, "partialFor": "20s"}, ("E", "FILLED", 3, "")),
    ],
)
async def test_what_is_left_of_an_entry_goes_so_long_after_its_first_fill(
    books: Books, folder: Path, entries: dict[str, Any], ended: tuple[str, str, int, str]
):
    rows = [(610, 19_995, 1), (620, 20_000, 5), (630, 19_990, 5)]
    desk = desk_of(books, folder, rows, entries, size=3, risk={"maxPosition": 5}, bracket=(100, 100), budget=False)
    desk.manifest = account(limits={"maxPosition": 5})
    await desk.run(read_back=True)
    entry = (await desk.rows("intent", "leg, state, filled, reason", "leg"))[0]
    assert entry == ended


@pytest.mark.parametrize(
    ("command", "reason"),
    [("halt", "halt"), ("reduce", "ReduceOnly"), ("drain", "drain"), ("flatten", "a person")],
)
async def test_an_entry_that_works_goes_when_nothing_may_be_entered(
    books: Books, folder: Path, command: str, reason: str
):
    desk = desk_of(books, folder, [(700, 20_000), (800, 19_900)], LIMIT)
    session = desk.open()
    await session.until(650)
    if command == "halt":
        session.halt()
    elif command == "reduce":
        await session.set_strategy(strategy(entries=LIMIT, state="ReduceOnly"))
    elif command == "drain":
        await session.drain()
    else:
        await session.loop.flatten(StrategyId(""), "a person")
    await session.until(700)
    session.close()
    [entry] = await desk.rows("intent", "state, filled, reason", "leg")
    assert entry == ("CANCELLED", 0, reason)


TIGHTER: dict[str, dict[str, Any]] = {
    "max_position": {"limits": {"maxPosition": 1}},
    "max_open_trades": {"limits": {"maxOpenTrades": 5, "maxPosition": 5}},
    "margin_above_limit": {"limits": {"maxPosition": 5}, "marginLimits": {"MES": "1"}},
}


@pytest.mark.parametrize("reason", ["max_position", "margin_above_limit"])
async def test_limits_that_become_stricter_hold_for_what_works(books: Books, folder: Path, reason: str):
    desk = big_limit(books, folder)
    session = desk.open()
    await session.until(650)
    await session.set_account(account(**TIGHTER[reason]))
    await session.until(720)
    session.close()
    assert await desk.rows("intent", "state, filled, reason", "leg") == [("CANCELLED", 0, reason)]


async def test_limits_that_are_not_reached_take_nothing_out(books: Books, folder: Path):
    desk = big_limit(books, folder)
    session = desk.open()
    await session.until(650)
    await session.set_account(account(**TIGHTER["max_open_trades"]))
    await session.until(720)
    session.close()
    assert (await desk.orders())[0][-1] == "FILLED"


def big_limit(books: Books, folder: Path) -> Desk:
    """A limit of three contracts, which the print at 700 fills."""
    spec: dict[str, Any] = {"size": 3, "risk": {"maxPosition": 5}, "bracket": (100, 100), "budget": False}
    desk = desk_of(books, folder, [(700, 19_990, 9)], LIMIT, **spec)
    desk.manifest = account(limits={"maxPosition": 5})
    return desk


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"size": 3, "risk": {"maxPosition": 1}}, "max_position"),
        ({"size": 1, "risk": {"maxPosition": 5}}, "max_size"),
        ({"size": 3, "entries": {**LIMIT, "blocks": [{"from": "09:30", "to": "12:00"}]}}, "blocked_window"),
        ({"size": 3, "entries": {**LIMIT, "blocks": [{"from": "09:41", "to": "12:00"}]}}, "blocked_window"),
        ({"size": 3, "entries": {**LIMIT, "news": [{"at": "2025-06-10T13:45:00Z"}]}}, "news"),
        ({"size": 3, "entries": {**LIMIT, "afterOpen": "20m"}}, "after_open"),
    ],
)
async def test_settings_that_would_refuse_it_now_take_it_out(
    books: Books, folder: Path, changed: dict[str, Any], reason: str
):
    desk = big_limit(books, folder)
    session = desk.open()
    await session.until(650)
    spec: dict[str, Any] = {"entries": LIMIT, "bracket": (100, 100), "budget": False, "risk": {"maxPosition": 5}}
    await session.set_strategy(strategy(**{**spec, **changed}))
    await session.until(720)
    session.close()
    assert await desk.rows("intent", "state, filled, reason", "leg") == [("CANCELLED", 0, reason)]


async def test_a_namespace_that_is_allowed_no_more_enters_nothing(books: Books, folder: Path):
    desk = desk_of(books, folder, [(700, 19_990, 9)], LIMIT)
    [own] = desk.strategies
    other = {**own.to_manifest(), "metadata": {"name": "mes", "namespace": "desk"}}
    other["spec"] = {**other["spec"], "account": {"name": "paper", "namespace": "default"}}
    guest = parse_manifest(other)
    assert isinstance(guest, TradingStrategy)
    desk.strategies = [guest]
    desk.signals = {"desk/mes": says([bar(600)], end=9_000, strategy=StrategyId("desk/mes"))}
    desk.manifest = account(allowedNamespaces=["desk"])
    session = desk.open()
    await session.until(650)
    await session.set_account(account(allowedNamespaces=[]))
    await session.until(720)
    session.close()
    assert await desk.rows("intent", "state, filled, reason", "leg") == [("CANCELLED", 0, "namespace")]


@pytest.mark.parametrize("block", [Block.DAY_TARGET, Block.DAY_LOSS])
async def test_a_drain_that_keeps_entries_keeps_none_on_a_blocked_day(books: Books, folder: Path, block: Block):
    desk = desk_of(books, folder, [(700, 19_990, 9)], LIMIT)
    session = desk.open()
    await session.until(650)
    await session.drain(orders="Keep")
    session.book.block = block
    await session.commit()
    await session.until(720)
    session.close()
    assert await desk.rows("intent", "state, filled, reason", "leg") == [("CANCELLED", 0, block.lower())]


async def test_it_is_gone_when_the_strategy_has_to_be_flat(books: Books, folder: Path):
    rows = [(RTH_S - 250, 20_000), (RTH_S - 200, 19_990, 9)]
    entries = {**LIMIT, "beforeClose": "5m"}
    desk = desk_of(books, folder, [], entries, bars=[bar(RTH_S - 400)], flattenBeforeClose="5m")
    desk.prints = {MES: tape((1, 20_000), (RTH_S - 400.5, 20_000), *rows, (RTH_S + 100, 20_000))}
    desk.signals = {"default/mes": says([bar(RTH_S - 400)], end=RTH_S + 100)}
    desk.ends = RTH_S + 100
    await desk.run(read_back=True)
    assert await desk.rows("intent", "state, filled", "leg") == [("EXPIRED", 0)]


async def test_a_kept_drain_leaves_it_working(books: Books, folder: Path):
    desk = desk_of(books, folder, [(700, 20_000)], LIMIT)
    session = desk.open()
    await session.until(650)
    await session.drain(orders="Keep")
    await session.until(700)
    session.close()
    assert (await desk.orders())[0][-1] == "WORKING"


async def test_an_opposite_bar_enters_nothing_while_it_works(books: Books, folder: Path):
    desk = desk_of(books, folder, [(899, 20_000)], LIMIT, bars=[bar(600), bar(900, SHORT)])
    desk.manifest = account(limits={"maxOpenTrades": 3, "maxPosition": 5})
    await desk.run(read_back=True)
    assert [decision[2:] for decision in await desk.decisions()] == [(True, ""), (False, "opposite_position")]


async def test_the_kill_of_execution_at_any_moment_leaves_the_same_book(books: Books, folder: Path):
    rows = [(610, 19_995, 1), (700, 20_010), (710, 20_030), (720, 20_024)]
    bracket = {"stopTicks": 16, "trail": {"triggerTicks": 8, "offsetTicks": 5}}
    plain = desk_of(books, folder, rows, LIMIT, bracket=bracket)
    plain.name = "plain"
    await plain.run()
    desk = desk_of(books, folder, rows, LIMIT, bracket=bracket)
    for second in (601, 605, 612, 700, 711, 719.5):
        session = desk.open()
        await session.until(second)
        session.close()
    await desk.run()
    assert await desk.lines() == await plain.lines()
