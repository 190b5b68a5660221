"""A strategy whose message is refused: it alone is fenced off, at an instant that follows from what it has said."""

import random
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.book import Changes, RefusedSignal
from leadline.execution.loop import commands
from leadline.model.errors import InvalidInput, RefusedMessage, Unknown
from leadline.model.ids import StrategyId
from tests.execution.harness.builders import MES, NQ, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.stores import IN_BOTH, PostgresBooks

REFUSED = RefusedSignal("ll.t.signal.x", 7, "id", b"\xff" * 70_000, RefusedMessage("unreadable", "no message"))
PRINTS = {
    MES: tape(
        (600, 20_000), (601, 20_000), (700, 20_004), (1000, 20_003), (2000, 20_010), (23_100, 20_011), (23_101, 20_012)
    ),
    NQ: tape((600, 70_000), (601, 70_000), (1300, 70_004), (1301, 70_004), (23_200, 70_005)),
}
OTHER = says([bar(1300, contract=NQ)], end=23_300, strategy=StrategyId("default/nq"))


def desk(books: Books, folder: Path, name: str = "tape") -> Desk:
    """`mes` says a bar at 600, promises nothing before 900, is refused, and goes on; `nq` says a bar at 1300."""
    said, end = says([bar(600)], end=23_300)
    signals = [said, replace(end, final=False, progress_ns=ns(900)), REFUSED, *says([bar(1200)], end=23_300)]
    strategies = [strategy(), strategy("nq", "NQ")]
    return Desk(
        books, folder, PRINTS, {"default/mes": signals, "default/nq": OTHER}, strategies, ends=23_300, name=name
    )


def fenced(session: Session) -> list[str]:
    return [name for name, strategy in session.book.strategies.items() if strategy.fence is not None]


async def fences(found: Desk) -> list[tuple[object, ...]]:
    rows = await found.rows("order_event", "instant_ns, body", "event")
    return [(instant, body["strategy"], body["reason"]) for instant, body in rows if "fenced" in body]


async def test_the_strategy_is_fenced_and_everybody_else_goes_on(books: Books, folder: Path):
    found = desk(books, folder)
    session = await found.run()
    assert await fences(found) == [(ns(900) - 1, "default/mes", "unreadable")]
    assert [(name, at) for name, at, *_ in await found.decisions()] == [("default/mes", 600), ("default/nq", 1300)]
    fence = session.book.strategies[StrategyId("default/mes")].fence
    assert fence is not None
    assert (fence.reason, fence.instant_ns, fence.progress_ns) == ("unreadable", ns(900) - 1, ns(900))


@IN_BOTH
async def test_a_refusal_that_quotes_the_message_can_be_stored_whatever_it_quotes(books: Books, folder: Path):
    said, end = says([bar(600)], end=23_300)
    zero = replace(
        REFUSED, subject="ll.t.signal.zero", why=RefusedMessage("another_bar", "MES\x00/rth is not MESM2025/rth")
    )
    signals = [said, replace(end, final=False, progress_ns=ns(900)), zero, end]
    strategies = [strategy(), strategy("nq", "NQ")]
    said_by: dict[str, list[Any]] = {"default/mes": signals, "default/nq": list(OTHER)}
    session = await Desk(books, folder, PRINTS, said_by, strategies, ends=23_300, name="zero").run()
    assert fenced(session) == ["default/mes"]
    assert session.book.finished
    assert list(session.switch.halts.in_force) == []


async def test_what_holds_its_position_goes_on(books: Books, folder: Path):
    """It is flat by its session's close, by the account's word and not by its own."""
    found = desk(books, folder)
    await found.run()
    assert [second for leg, second, *_ in await found.fills() if leg == "F1"] == [23_101]


@pytest.mark.integration
async def test_the_message_is_kept_to_be_looked_at(postgres_books: PostgresBooks, folder: Path):
    found = desk(postgres_books, folder)
    await found.run()
    row = await postgres_books.reader.fetchrow("SELECT * FROM dead_letter WHERE subject = $1", REFUSED.subject)
    assert row is not None
    assert (row["reader"], row["stream"], row["sequence"], row["reason"]) == ("execution", "SIGNALS", 7, "unreadable")
    assert (row["bytes"], len(row["payload"])) == (70_000, 64 * 1024)


@pytest.mark.parametrize("seed", range(8))
async def test_the_instant_does_not_depend_on_when_the_message_comes(books: Books, folder: Path, seed: int):
    found = desk(books, folder, f"by-chance-{seed}")
    await found.run(chance=random.Random(seed))
    assert await fences(found) == [(ns(900) - 1, "default/mes", "unreadable")]
    straight = desk(books, folder, f"straight-{seed}")
    await straight.run()
    assert await found.lines() == await straight.lines()


async def test_named_again_it_counts_from_there_and_its_old_words_are_forgiven(books: Books, folder: Path):
    found = desk(books, folder)
    session = found.open()
    await session.until(1_000)
    assert fenced(session) == ["default/mes"]
    await session.set_strategy(strategy())
    await session.run()
    session.close()
    assert fenced(session) == []
    assert [second for name, second, _, _ in await found.decisions() if name == "default/mes"] == [600, 1200]
    assert len(await fences(found)) == 1


async def test_a_person_lets_it_count_again_and_is_named(books: Books, folder: Path):
    found = desk(books, folder)
    session = found.open()
    await session.until(1_000)
    changes = Changes()
    fence = commands.release(session.book, changes, StrategyId("default/mes"), "ann", "it was a slip")
    await session.loop.commit(changes)
    await session.loop.carry_out()
    assert (fence.reason, fenced(session)) == ("unreadable", [])
    await session.run()
    session.close()
    assert fenced(session) == []
    assert [second for name, second, _, _ in await found.decisions() if name == "default/mes"] == [600, 1200]
    rows = await found.rows("order_event", "body", "event")
    told = [body for (body,) in rows if body.get("fenced") is False]
    assert told == [{"strategy": "default/mes", "fenced": False, "cleared_by": "ann", "clear_reason": "it was a slip"}]


async def test_only_what_is_fenced_off_is_let_go(books: Books, folder: Path):
    session = desk(books, folder).open()
    await session.until(700)
    before = deepcopy(session.book)
    with pytest.raises(InvalidInput, match="fenced off"):
        commands.release(session.book, Changes(), StrategyId("default/nq"), "ann", "why not")
    with pytest.raises(Unknown, match="default/nobody"):
        commands.release(session.book, Changes(), StrategyId("default/nobody"), "ann", "why not")
    assert session.book == before
    session.close()


async def test_a_first_word_that_is_refused_holds_nobody_up(books: Books, folder: Path):
    signals: dict[str, list[Any]] = {"default/mes": [REFUSED], "default/nq": [*OTHER]}
    found = Desk(books, folder, PRINTS, signals, [strategy(), strategy("nq", "NQ")], ends=23_300)
    session = await found.run()
    assert session.book.finished
    assert [name for name, *_ in await found.decisions()] == ["default/nq"]


async def test_a_session_that_a_message_makes_up_opens_no_gate(books: Books, folder: Path):
    """Even where the message were believed: risk is asked with the session of the calendar."""
    early = replace(bar(600), known_at_ns=ns(-19_800), session_open_ns=ns(-40_000), session_close_ns=ns(90_000))
    prints = {MES: tape((-20_000, 20_000), (-19_800, 20_000), (-19_799, 20_000))}
    found = Desk(
        books, folder, prints, {"default/mes": says([early], end=-19_000)}, [strategy()], begins=-21_000, ends=-19_000
    )
    await found.run()
    assert await found.decisions() == [("default/mes", -19_800.0, False, "outside_session")]
    assert await found.fills() == []


@pytest.mark.parametrize("seed", range(6))
async def test_who_breaks_its_own_promise_is_fenced_off_whenever_the_account_hears_of_it(
    books: Books, folder: Path, seed: int
):
    """It promises nothing before 900, and says a bar of 800: the account may be before that instant, or past it."""
    said, end = says([bar(600)], end=23_300)
    late, _ = says([bar(800)], end=23_300)
    broken = [
        said,
        replace(end, final=False, progress_ns=ns(900)),
        replace(late, progress_ns=ns(700)),
        *says([bar(1200)], end=23_300),
    ]
    signals: dict[str, list[Any]] = {"default/mes": broken, "default/nq": list(OTHER)}
    strategies = [strategy(), strategy("nq", "NQ")]
    found = Desk(books, folder, PRINTS, signals, strategies, ends=23_300, name=f"broken-{seed}")
    session = await found.run(chance=random.Random(seed) if seed else None)
    assert await fences(found) == [(ns(900) - 1, "default/mes", "progress")]
    assert [(name, at) for name, at, *_ in await found.decisions()] == [("default/mes", 600), ("default/nq", 1300)]
    assert (fenced(session), session.book.finished, session.halted) == (["default/mes"], True, "")
