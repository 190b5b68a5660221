"""What a halt does to an account: entries leave the market, and no more of them get into it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.execution.core.book import Book, Changes
from leadline.execution.loop.ports import HaltStands, Store
from leadline.model.halts import HaltSource
from leadline.model.ids import ContractId
from leadline.model.orders import OrderState
from tests.execution.harness.builders import BUY, ES, MES, account, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.faults import Killed, TrippedStore, TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.test_recovery import stranger

QUIET = {MES: tape((600, 20_000), (2000, 20_050), (2001, 20_050), (3000, 20_060))}
"""After the print at which an entry is decided nothing happens for a long time."""


def quiet_desk(books: Books, folder: Path) -> Desk:
    return Desk(books, folder, QUIET, {"default/mes": says([bar(600)], end=3_500)}, [strategy()], ends=3_500)


async def resume(session: Session, *numbers: int, by: str = "ann") -> list[int]:
    """As a person resumes; returns the numbers that were cleared."""
    cleared = await session.loop.halts.resume(session.switch.halts.seen(numbers), by, "looked at it", 0)
    return [halt.number for halt in cleared]


@pytest.mark.parametrize("source", list(HaltSource))
async def test_a_halt_takes_a_working_entry_out_of_the_market(books: Books, folder: Path, source: HaltSource):
    desk = quiet_desk(books, folder)
    session = desk.open(read_back=True)
    await session.until(700)
    assert [(order.leg, order.state) for order in session.book.live_orders()] == [("E", OrderState.WORKING)]
    session.halt("stop", source=source)
    await session.run()
    session.close()
    assert await desk.fills() == []
    assert await desk.rows("intent", "state, reason", "leg") == [("CANCELLED", "halt")]
    assert session.market.positions() == {}


async def test_a_halt_that_is_found_at_the_start_takes_a_working_entry_out(books: Books, folder: Path):
    desk = quiet_desk(books, folder)
    session = desk.open()
    await session.until(700)
    session.halt()
    session.close()
    await desk.run()
    assert await desk.fills() == []


async def test_what_holds_a_position_stays_when_its_account_is_halted(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (900, 20_026, 1, BUY))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=1_000)}, [strategy()], ends=1_000)
    session = desk.open()
    await session.until(700)
    session.halt()
    await session.run()
    session.close()
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 900)]


class HaltsAtRenew(TrippedStore):
    """A store at which somebody halts between the last question of the loop and the byte of an order."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.loop._keeper.deps.store, Tripwire())
        self._session = session

    async def confirm(self) -> None:
        await super().confirm()
        self._session.halt("just in time")


async def test_a_halt_right_before_the_byte_keeps_the_order_here(books: Books, folder: Path):
    desk = quiet_desk(books, folder)
    session = desk.open(read_back=True)
    session.replace_deps(lambda deps: replace(deps, store=HaltsAtRenew(session)))
    await session.run()
    session.close()
    assert await desk.rows("intent", "state, reason", "leg") == [("EXPIRED_LOCAL", "just in time")]
    assert desk.sent == {}
    assert session.market.orders() == ()
    assert session.journal.written == set()


async def test_a_halted_order_that_never_left_is_not_sent_by_a_resume(books: Books, folder: Path):
    """Even when the database does not say whether it has heard that the order is given up."""
    desk = quiet_desk(books, folder)
    session = desk.open()
    session.replace_deps(lambda deps: replace(deps, store=LosesTheWord(HaltsAtRenew(session))))
    with pytest.raises(Killed):
        await session.run()
    session.close()
    session = desk.open()
    await session.start()
    assert await resume(session, *(halt.number for halt in session.switch.halts.in_force))
    await session.run()
    session.close()
    assert [state for state, _ in await desk.rows("intent", "state, reason", "leg")] == ["DEAD"]
    assert desk.sent == {}


class LosesTheWord(TrippedStore):
    """A process that dies when it is about to write that an order is given up."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, Tripwire())

    async def commit(self, book: Book, changes: Changes, check: Callable[[Book], str | None] | None = None) -> None:
        if any(order.state is OrderState.EXPIRED_LOCAL for order in changes.orders.values()):
            raise Killed("store.commit")
        await super().commit(book, changes, check)


class Miscounts(TrippedVenue):
    """A venue that says for a while that it holds what it does not hold."""

    wrong = True

    async def positions(self) -> dict[ContractId, int]:
        found = await super().positions()
        return {**found, ES: 1} if self.wrong else found


async def test_a_difference_found_while_a_person_has_halted_stands_until_book_and_venue_agree(
    books: Books, folder: Path
):
    prints = {MES: tape((600, 20_000), (700, 20_000), (800, 20_000), (900, 20_026), (901, 20_026))}
    signals = {"default/mes": says([bar(600), bar(800)], end=1_000)}
    desk = Desk(books, folder, prints, signals, [strategy()], ends=1_000)
    session = desk.open()
    venue = Miscounts(venue_of(session.loop._keeper.deps), Tripwire())
    session.replace_deps(lambda deps: replace_venue(deps, venue))
    session.halt("lunch", "bob")
    await session.until(650)
    lunch, difference = session.switch.halts.in_force
    assert (difference.source, difference.reason) == (
        HaltSource.DIFFERENCE,
        "book [] and venue [('ESM2025', 1)] hold different positions",
    )
    assert await resume(session, lunch.number) == [lunch.number]
    with pytest.raises(HaltStands, match="hold different positions: settle it first"):
        await resume(session, difference.number)
    venue.wrong = False
    assert await resume(session, difference.number) == [difference.number]
    await session.run()
    session.close()
    assert [(second, accepted) for _, second, accepted, _ in await desk.decisions()] == [(600, False), (800, True)]


async def test_a_stranger_at_the_venue_is_seen_while_a_person_has_halted(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (700, 20_026), (701, 20_026), (23_101, 20_030))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(800)], end=23_400)}, [strategy()], ends=23_400)
    session = desk.open()
    await session.start()
    session.halt("lunch", "bob")
    session.market.submit(stranger(MES))
    await session.run()
    session.close()
    sources = [halt.source for halt in session.switch.halts.in_force]
    assert sources == [HaltSource.PERSON, HaltSource.DIFFERENCE, HaltSource.DIFFERENCE]  # the order, and its naked fill


async def test_one_entry_too_many_within_an_hour_halts_until_a_person_resumes(books: Books, folder: Path):
    prints = {MES: tape(*((600 + n, 20_000 + 30 * (n % 2)) for n in range(9_000)))}
    signals = {"default/mes": says([bar(600 * n) for n in (1, 2, 3, 9, 12)], end=9_500)}
    manifest = account(limits={"maxEntriesPerHour": 2, "dayLoss": "5000", "dayTarget": "5000"})
    desk = Desk(books, folder, prints, signals, [strategy()], manifest=manifest, ends=9_500)
    session = desk.open(read_back=True)
    await session.until(5_500)
    [halt] = session.switch.halts.in_force
    assert halt.source is HaltSource.LIMIT
    assert halt.reason == "one more entry than the 2 that are allowed within an hour"
    assert await resume(session, halt.number) == [halt.number]
    await session.run()
    session.close()
    assert [(second, reason) for _, second, _, reason in await desk.decisions()] == [
        (600, ""),
        (1200, ""),
        (1800, "max_entries_per_hour"),
        (5400, "halted"),
        (7200, ""),
    ]


@pytest.mark.parametrize(
    ("limit", "cause", "reasons"),
    [
        (
            {"maxEntriesPerHour": 2},
            "one more entry of default/mes than the 2 that are allowed within an hour",
            ["", "", "strategy_entries_per_hour", "halted", ""],
        ),
        (
            {"maxEntriesPerSession": 2},
            "one more entry of default/mes than the 2 that are allowed in a session",
            ["", "", "strategy_entries_per_session", "halted", "strategy_entries_per_session"],
        ),
    ],
    ids=["hour", "session"],
)
async def test_a_strategy_that_repeats_itself_halts_the_account_until_a_person_resumes(
    books: Books, folder: Path, limit: dict[str, int], cause: str, reasons: list[str]
):
    prints = {MES: tape(*((600 + n, 20_000 + 30 * (n % 2)) for n in range(9_000)))}
    signals = {"default/mes": says([bar(600 * n) for n in (1, 2, 3, 9, 12)], end=9_500)}
    manifest = account(limits={"dayLoss": "5000", "dayTarget": "5000"})
    desk = Desk(books, folder, prints, signals, [strategy(risk=limit)], manifest=manifest, ends=9_500)
    session = desk.open(read_back=True)
    await session.until(5_500)
    [halt] = session.switch.halts.in_force
    assert (halt.source, halt.reason) == (HaltSource.LIMIT, cause)
    session.close()
    session = desk.open(read_back=True)
    await session.until(5_500)
    assert session.switch.halts.in_force == (halt,)  # whatever restarts
    assert await resume(session, halt.number) == [halt.number]
    await session.run()
    session.close()
    assert [reason for _, _, _, reason in await desk.decisions()] == reasons


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({}, ""),
        ({"allowedContracts": [MES]}, ""),
        ({"allowedContracts": ["ESM2025", "MESU2025"]}, "contract_not_allowed"),
        ({"daysBeforeExpiry": 1}, ""),
        ({"daysBeforeExpiry": 30}, "contract_expired"),
        ({"maxOrderValue": "26000"}, ""),
        ({"maxOrderValue": "24000"}, "max_order_value"),
    ],
)
async def test_an_account_enters_what_its_limits_allow(
    books: Books, folder: Path, limits: dict[str, object], refused: str
):
    """One MES at 20,000 ticks of 1.25."""
    prints = {MES: tape(*((600 + n, 20_000) for n in range(300)))}
    manifest = account(limits=limits)
    desk = Desk(
        books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy()], manifest=manifest, ends=900
    )
    session = desk.open()
    await session.run()
    session.close()
    assert [reason for _, _, _, reason in await desk.decisions()] == [refused]


@pytest.mark.parametrize(("within", "refused"), [(None, ""), ("2s", ""), ("3s", "duplicate_entry")])
async def test_an_entry_like_the_one_before_it_is_a_duplicate_for_a_while(
    books: Books, folder: Path, within: str | None, refused: str
):
    """Two signals two seconds apart ask for the same contract, side and size."""
    prints = {MES: tape(*((600 + n, 20_000) for n in range(300)))}
    limits: dict[str, object] = {"maxPosition": 9, "maxOpenTrades": 9, "dayLoss": "5000"}
    manifest = account(limits=limits if within is None else {**limits, "duplicateWithin": within})
    signals = {"default/mes": says([bar(600), bar(602)], end=900)}
    desk = Desk(books, folder, prints, signals, [strategy()], manifest=manifest, ends=900)
    session = desk.open()
    await session.run()
    session.close()
    assert [reason for _, _, _, reason in await desk.decisions()] == ["", refused]
