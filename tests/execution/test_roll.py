"""A strategy on a root trades the lead month of each day, and carries a position to its own exit."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from leadline.execution.adapters.convert import state_to_proto
from leadline.execution.adapters.memory_store import MemoryDatabase, MemoryStore
from leadline.execution.core.book import Book, Changes
from leadline.execution.core.contracts import signal_source
from leadline.execution.core.day import roll
from leadline.execution.loop.commands import set_strategy
from leadline.execution.venues.both_ports import BothPorts
from leadline.ingestion.months import market_of
from leadline.model.errors import Unknown
from leadline.model.ids import ContractId, RunId, StrategyId
from leadline.model.market.contracts import instrument_of
from leadline.model.orders import Advanced
from leadline.model.ticks import TickColumns
from leadline.model.wire.bars import encode_bar
from tests.execution.harness.builders import BUY, DAY_S, MES, RTH_S, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.run import Recorded, record

TRADE_FROM = date(2025, 6, 13)
SESSIONS = 3
NEXT = ContractId("MESU2025")
ROLL_DAY = 6
"""2025-06-16, the Monday on which September leads, in days after 2025-06-10."""


@pytest.fixture(scope="module")
def simulated() -> Recorded:
    return record(flow(), TRADE_FROM, {"kind": "sim", "seed": 1, "sessions": SESSIONS})


def flow():
    return strategy(history=1)


def desk_of(books: Books, folder: Path, run: Recorded, name: str) -> Desk:
    return Desk(
        books,
        folder,
        run.prints,
        {"default/mes": run.signals},
        [flow()],
        begins=run.begins,
        ends=run.ends,
        name=name,
        trade_from=TRADE_FROM,
    )


def write_csv(path: Path, contract: ContractId, ticks: TickColumns) -> dict[str, str]:
    """The prints of a contract as a file of a feed."""
    tick = instrument_of(contract).tick
    rows = zip(ticks.time_ns.tolist(), ticks.price.tolist(), ticks.size.tolist(), ticks.aggressor.tolist(), strict=True)
    lines = [f"{time_ns},{Decimal(price) * tick},{size},{side}\n" for time_ns, price, size, side in rows]
    path.write_text("ts_ns,price,size,side\n" + "".join(lines))
    return {"path": str(path), "contract": contract}


def bars_of(run: Recorded) -> list[bytes]:
    """Every bar with its footprint, contract by contract."""
    series = [messages for found in run.bars.values() for messages in found.values()]
    return [encode_bar(message) for messages in series for message in messages if message.bar is not None]


async def test_a_run_through_the_roll_trades_each_days_lead_month_and_two_files_of_its_prints_give_the_same(
    books: Books, folder: Path, simulated: Recorded, tmp_path: Path
):
    desk = desk_of(books, folder, simulated, "sim")
    session = await desk.run()
    by_day: dict[str, set[str]] = {}
    for contract, ts_ns in await desk.rows("fill", "contract, ts_ns", "venue_event"):
        by_day.setdefault(market_of(contract).trading_day(ts_ns).isoformat(), set()).add(contract)
    assert by_day == {"2025-06-13": {MES}, "2025-06-16": {NEXT}, "2025-06-17": {NEXT}}
    assert session.book.strategies[StrategyId("default/mes")].contract == NEXT
    assert not session.book.open_positions()

    files = [write_csv(tmp_path / f"{name}.csv", name, ticks) for name, ticks in simulated.prints.items()]
    replayed = record(flow(), TRADE_FROM, {"kind": "file", "files": files})
    assert replayed.feed.plan.sessions == simulated.feed.plan.sessions
    assert bars_of(replayed) == bars_of(simulated)
    again = desk_of(books, folder, replayed, "files")
    await again.run()
    assert await again.lines() == await desk.lines()


# --- a position at the roll ---

MONDAY = ROLL_DAY * DAY_S
FRIDAY = 3 * DAY_S


def rolling(books: Books, folder: Path, *, monday_prints: bool = True, bars=()) -> Desk:
    """A long in June from Friday's 10:00, whose flat-by finds no print before Monday."""
    june: list[tuple[int, ...]] = [(FRIDAY + 1799, 20_000), (FRIDAY + 1801, 20_000, 5, BUY)]
    if monday_prints:
        june += [(MONDAY + 60, 20_002), (MONDAY + 7200, 20_003, 5), (MONDAY + 7300, 20_003, 5)]
    september: list[tuple[int, ...]] = [
        (day + n * 60 - 1, 20_004, 5, BUY) for day in (FRIDAY, MONDAY, MONDAY + DAY_S) for n in range(1, 300)
    ]
    end = MONDAY + DAY_S + RTH_S
    return Desk(
        books,
        folder,
        {MES: tape(*june), NEXT: tape(*september)},
        {"default/mes": says([bar(FRIDAY + 1800), *bars], end)},
        [strategy(bracket=(400, 400), budget=False)],
        begins=FRIDAY,
        ends=end,
        trade_from=date(2025, 6, 13),
    )


async def test_a_position_goes_to_its_own_exit_in_its_own_contract_while_entries_wait(books: Books, folder: Path):
    bars = [bar(MONDAY + 1800, contract=NEXT), bar(MONDAY + DAY_S + 1800, contract=NEXT)]
    desk = rolling(books, folder, bars=bars)
    session = await desk.run()
    assert [(strategy, accepted, reason) for strategy, _, accepted, reason in await desk.decisions()] == [
        ("default/mes", True, ""),
        ("default/mes", False, "contract_rolling"),  # June is still held when Monday begins
        ("default/mes", True, ""),  # flat at Tuesday's roll: September from here on
    ]
    fills = await desk.rows("fill", "contract, side, price", "venue_event")
    assert fills[0][:2] == (MES, "BUY")
    assert fills[1] == (MES, "SELL", 20_001)  # Friday's flat-by meets June's first print of Monday, less a tick
    assert fills[2][:2] == (NEXT, "BUY")
    assert session.book.strategies[StrategyId("default/mes")].contract == NEXT


def shown_contract(session: Session) -> str:
    """The contract of the strategy, as `GetState` shows it."""
    [found] = state_to_proto(session.book, phase="", halts=(), epoch=1, heard={}).strategies
    return found.contract


async def test_a_contract_is_kept_over_a_kill_and_rolls_only_in_a_roll(books: Books, folder: Path):
    desk = rolling(books, folder)
    session = desk.open()
    await session.until(MONDAY + 3600)
    assert (
        session.book.strategies[StrategyId("default/mes")].contract == MES
    )  # flat since Monday's first print, but no roll since
    session.close()
    again = desk.open()
    await again.start()
    assert shown_contract(again) == MES
    await again.run()
    again.close()
    assert shown_contract(again) == NEXT


async def test_a_contract_that_has_ended_does_not_hold_the_account_up(books: Books, folder: Path):
    desk = rolling(books, folder, monday_prints=False)
    session = await desk.run()
    assert session.book.finished
    held = session.book.open_positions()
    assert [(position.contract, position.tape_contract, position.quantity) for position in held] == [(MES, MES, 1)]
    assert session.book.strategies[StrategyId("default/mes")].contract == MES


# --- a tape without an end ---


def test_the_contract_is_the_strategys_also_where_the_feed_has_lost_the_months_with_which_deciding_began() -> None:
    manifest = account()
    friday_ns = ns(FRIDAY + 1800)
    began, balance = date(2024, 1, 2), manifest.spec.starting_balance
    book = Book(RunId("live"), manifest.full_name, manifest, (MES, NEXT), began, friday_ns, balance)
    book.trading_day = date(2025, 6, 13)
    owner = set_strategy(
        book, StrategyId("default/mes"), "hash", strategy().model_dump_json(by_alias=True, exclude_none=True)
    )
    assert (owner.contract, list(dict.fromkeys(book.tapes(owner)))) == (MES, [MES, NEXT])
    months = signal_source(owner.manifest, RunId("live"), book.feed_contracts, began).months
    assert [(month.contract, month.covers(date(2025, 6, 16))) for month in months] == [(MES, False), (NEXT, True)]

    book.instant_ns = ns(MONDAY)
    book.feed_contracts = (NEXT,)
    assert list(dict.fromkeys(book.tapes(owner))) == [MES, NEXT]
    assert roll(book)
    assert owner.contract == NEXT
    assert list(dict.fromkeys(book.tapes(owner))) == [NEXT]


def test_a_strategy_whose_first_lead_month_the_feed_lacks_is_refused() -> None:
    manifest = account()
    began, balance = date(2025, 6, 16), manifest.spec.starting_balance
    book = Book(RunId("live"), manifest.full_name, manifest, (MES,), began, ns(FRIDAY), balance)
    with pytest.raises(Unknown, match="contract of the feed 'MES on 2025-06-16', known: MESM2025"):
        set_strategy(
            book, StrategyId("default/mes"), "hash", strategy().model_dump_json(by_alias=True, exclude_none=True)
        )


def test_a_strategy_rolls_into_a_month_that_the_feed_gains_while_it_runs() -> None:
    manifest = account()
    began, balance = date(2025, 6, 13), manifest.spec.starting_balance
    book = Book(RunId("live"), manifest.full_name, manifest, (MES,), began, ns(FRIDAY + 1800), balance)
    book.trading_day = began
    owner = set_strategy(
        book, StrategyId("default/mes"), "hash", strategy().model_dump_json(by_alias=True, exclude_none=True)
    )
    assert list(dict.fromkeys(book.tapes(owner))) == [MES]

    book.feed_contracts = (MES, NEXT)
    assert (owner.contract, list(dict.fromkeys(book.tapes(owner)))) == (MES, [MES, NEXT])
    book.instant_ns = ns(MONDAY)
    assert roll(book)
    assert owner.contract == NEXT


class Told:
    """A venue that keeps for which contracts it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.working = self.find = self.positions = None

    async def advance(self, from_ns, to_ns, after_event, contracts, watches) -> Advanced:
        self.asked.append(tuple(contracts))
        return Advanced(to_ns, (), {}, final=False)


async def test_venue_and_book_have_the_contracts_that_the_feed_has_by_now() -> None:
    feed = {MES: "cme"}
    both = BothPorts(venue := Told(), feed)  # type: ignore[arg-type]
    manifest, database = account(), MemoryDatabase(lambda: 0.0)
    began = date(2025, 6, 13)
    store = MemoryStore(
        database, tape=RunId("live"), manifest=manifest, feed_contracts=feed, trade_from=began, holder="test"
    )
    await store.acquire()
    balance = manifest.spec.starting_balance
    book = Book(RunId("live"), manifest.full_name, manifest, tuple(feed), date(2025, 6, 13), ns(FRIDAY), balance)
    await store.commit(book, Changes())
    await both.events_since(0, ns(FRIDAY))
    feed[NEXT] = "cme"
    await both.events_since(0, ns(FRIDAY))
    assert venue.asked == [(MES,), (MES, NEXT)]
    read = await store.load()
    assert read is not None
    assert read.feed_contracts == (MES, NEXT)
