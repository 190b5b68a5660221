"""What a report says of two days, to the cent."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from leadline.model.errors import Unknown
from leadline.model.halts import HaltSource
from leadline.model.ids import RunId, StrategyId
from leadline.report.halts import until_text
from leadline.views import documents
from leadline.views.database import dsn_of
from leadline.views.digest_store import digest
from leadline.views.report import PatternTotal, PricePoint, UnfinishedBar
from leadline.views.report_store import build_reports
from tests.execution.harness.builders import DAY, MES, bar, ns, says, strategy, tape
from tests.execution.harness.days import managed
from tests.execution.harness.desk import Books, Desk
from tests.report.builders import beside, change, recorded, report, report_of
from tests.stack import Database

pytestmark = pytest.mark.integration

OLD_HALT = """
    INSERT INTO halt (account, number, source, reason, halted_by, at)
    VALUES ('default/paper', $1, 'PERSON', $2, 'someone', '2020-01-01')
"""


async def test_the_trades_of_two_days_and_what_they_came_to(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    found = await report_of(desks, desk)
    # 24 ticks x 2 x 1.25 - 4 x 1.25; -19 x 0.50 - 2 x 1.25; 4 x 2 x 1.25 - 5; -15 x 2 x 1.25 - 5.
    assert [(t.contract, t.exit_by, t.result_ticks, t.net) for t in found.trades] == [
        (MES, "target", 24, Decimal("55.00")),
        ("MNQM2025", "stop", -19, Decimal("-12.00")),
        (MES, "flat_by", 4, Decimal("5.00")),
        (MES, "day_loss", -15, Decimal("-42.50")),
    ]
    assert (found.start_equity, found.end_equity, found.net) == (10_000, Decimal("10005.50"), Decimal("5.50"))
    assert (found.wins, found.max_drawdown) == (2, Decimal("49.50"))
    assert found.curve[-1].equity == found.end_equity
    assert found.by_pattern == (
        PatternTotal("BUYING_ABSORPTION", 3, 2, Decimal("17.50")),
        PatternTotal("SELLING_ABSORPTION", 1, 0, Decimal("-12.00")),
    )
    assert found.finished


async def test_the_reports_of_two_days_come_to_the_report_of_both(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    whole = await report_of(desks, desk)
    first, second = [await report_of(desks, desk, day) for day in (date(2025, 6, 10), date(2025, 6, 11))]
    assert [(each.day, each.finished) for each in (first, second)] == [(DAY, True), (date(2025, 6, 11), True)]
    assert [trade.net for trade in first.trades] == [Decimal("55.00"), Decimal("-12.00"), Decimal("5.00")]
    assert first.trades + second.trades == whole.trades
    assert first.curve + second.curve == whole.curve
    assert (first.start_equity, second.end_equity) == (whole.start_equity, whole.end_equity)
    assert first.end_equity == second.start_equity == Decimal("10048.00")
    for name in ("decisions", "entered", "adjusted", "bars", "signals"):
        assert getattr(first, name) + getattr(second, name) == getattr(whole, name), name
    assert sorted(first.refused + second.refused) == sorted(whole.refused)
    assert first.days + second.days == tuple(sorted(whole.days, key=lambda each: each.day))
    assert len({first.digest, second.digest, whole.digest}) == 3
    assert first.digest == await digest(dsn_of(desks.settings("reader")), RunId(desk.tape), DAY)


async def test_a_day_that_has_not_rolled_and_one_on_which_nothing_was(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    last = date(2025, 6, 11)
    await change(desks, "UPDATE account_state SET finished = false WHERE tape = $1", desk.tape)
    assert [(await report_of(desks, desk, day)).finished for day in (DAY, last)] == [True, False]
    with pytest.raises(Unknown, match="unknown trading day of the tape '2025-06-12'"):
        await report_of(desks, desk, date(2025, 6, 12))


async def test_a_day_has_what_was_open_at_its_end(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    whole = await report_of(desks, desk)
    later = "UPDATE fill SET ts_ns = ts_ns + $2 WHERE tape = $1 AND ts_ns >= $3"
    await change(desks, later, desk.tape, 86_400 * 10**9, whole.trades[1].exit_ns)  # what is held is closed a day later
    first, second = [await report_of(desks, desk, day) for day in (DAY, date(2025, 6, 11))]
    [held] = first.open_positions
    assert (held.position.contract, held.last_price) == ("MNQM2025", None)  # no bar of it was recorded
    assert first.trades == whole.trades[:1]
    assert [trade.net for trade in second.trades] == [trade.net for trade in whole.trades[1:3]]
    assert first.end_equity == second.start_equity
    assert second.open_positions == ()


async def test_a_fill_that_is_told_too_late_changes_the_cash_of_no_day_that_is_over(
    desks: Database, books: Books, folder: Path
):
    desk = await recorded(desks, books, folder)
    whole, over = await report_of(desks, desk), await report_of(desks, desk, DAY)
    late = "UPDATE fill SET ts_ns = $2 WHERE tape = $1 AND ts_ns = $3"
    await change(desks, late, desk.tape, whole.trades[0].exit_ns + 1, whole.trades[-1].exit_ns)
    first, second = [await report_of(desks, desk, day) for day in (DAY, date(2025, 6, 11))]
    assert (first.curve, first.start_equity, first.end_equity) == (over.curve, over.start_equity, over.end_equity)
    assert (second.start_equity, second.end_equity) == (over.end_equity, whole.end_equity)


async def test_a_day_has_the_halts_that_were_in_force_on_it(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    note = """
        INSERT INTO order_event (tape, account, event, kind, key, version, instant_ns, body)
        VALUES ($1, 'default/paper', $2, 'halt', $3, $4, $5, '{}')
    """
    for number in (901, 902):
        await change(desks, OLD_HALT, number, "the news")
    later_ns = ns(600) + 86_400 * 10**9
    await change(desks, note, desk.tape, 9001, "halt-901", 1, ns(600))
    await change(desks, note, desk.tape, 9002, "halt-901", 2, ns(700))
    await change(desks, note, desk.tape, 9003, "halt-902", 1, later_ns)
    found = [{halt.number for halt in (await report_of(desks, desk, day)).halts} for day in (DAY, date(2025, 6, 11))]
    assert [numbers & {901, 902} for numbers in found] == [{901}, {902}]
    await change(desks, "DELETE FROM halt WHERE number IN (901, 902)")


async def test_why_bars_made_no_trade(desks: Database, books: Books, folder: Path):
    found = await report_of(desks, await recorded(desks, books, folder))
    assert found.decisions == 7
    assert found.refused == (("conflict", 1), ("day_loss", 1), ("max_open_trades", 1))


async def test_what_left_or_was_moved_is_no_entry(desks: Database, books: Books, folder: Path):
    desk = managed(books, folder)
    await desk.run()
    await beside(desks, desk)
    found = await report_of(desks, desk)
    assert (found.decisions, found.refused, found.entered, found.adjusted) == (9, (), 3, 5)
    assert found.not_filled == (("its strategy", 1),)
    assert [(trade.exit_by, trade.net) for trade in found.trades] == [
        ("exit", Decimal("-1.25")),
        ("stop", Decimal("0.00")),
        ("stop", Decimal("-12.50")),
    ]


async def test_every_decision_is_refused_entered_or_not_filled(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    whole = await report_of(desks, desk)
    assert (whole.entered, whole.not_filled) == (4, ())
    ended = "UPDATE intent SET state = 'EXPIRED', reason = 'its validity has ended', filled = 0"
    await change(desks, f"{ended} WHERE tape = $1 AND leg = 'E' AND decided_at_ns = $2", desk.tape, ns(600))
    found = await report_of(desks, desk)
    assert found.not_filled == (("its validity has ended", whole.entered - found.entered),)
    assert found.decisions == sum(count for _, count in found.refused) + found.entered + found.not_filled[0][1]


async def test_the_market_beside_the_book(desks: Database, books: Books, folder: Path):
    found = await report_of(desks, await recorded(desks, books, folder))
    assert (found.prints, found.bars, found.signals) == (42, 2, 4)
    assert found.closes == {MES: (PricePoint(ns(600), 20_004), PricePoint(ns(900), 20_008))}
    assert found.unfinished == ()


async def test_what_of_the_tape_is_in_no_bar_stands_in_the_report_and_its_document(
    desks: Database, books: Books, folder: Path
):
    desk = await recorded(desks, books, folder)
    insert = "INSERT INTO unfinished_bar VALUES ($1, $2, 'rth', '5m-r1', $3, 77, 1037)"
    await change(desks, insert, desk.tape, MES, date(2025, 6, 10))
    await change(desks, insert, "another", MES, date(2025, 6, 10))
    found = await report_of(desks, desk)
    assert found.unfinished == (UnfinishedBar(MES, "rth", "5m-r1", date(2025, 6, 10), 1_037),)
    (told,) = documents.report(found)["unfinished"]
    assert (told["contract"], told["spec"], str(told["trading_day"]), told["prints"]) == (
        MES,
        "5m-r1",
        "2025-06-10",
        1_037,
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE candle SET known_at_ns = known_at_ns + 1 WHERE tape = $1 AND ordinal = 600",
        "DELETE FROM candle WHERE tape = $1 AND ordinal = 600",
    ],
)
async def test_a_bar_that_was_said_at_another_instant_or_never_was_stands_in_the_report(
    desks: Database, books: Books, folder: Path, statement: str
):
    desk = await recorded(desks, books, folder)
    hashed = "UPDATE signal SET analysis_hash = t.analysis_hash FROM strategy_state t WHERE signal.tape = $1"
    await change(desks, f"{hashed} AND t.tape = $1 AND t.strategy = signal.strategy", desk.tape)
    assert (await report_of(desks, desk)).misdated == ()
    await change(desks, statement, desk.tape)
    assert (await report_of(desks, desk)).misdated == (("default/mes", 1),)


async def test_what_a_reader_has_to_know(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder, missing=["2025-06-06"], contracts={MES: "cme"})
    await change(
        desks,
        "UPDATE intent SET state = 'DEAD', reason = 'absent' WHERE tape = $1 AND leg = 'E' AND decided_at_ns = $2",
        desk.tape,
        ns(600),
    )
    found = await report_of(desks, desk)
    assert found.missing_sessions == ("2025-06-06",)
    assert found.substitutes == (("MNQM2025", MES),)
    assert [(order.state, order.reason) for order in found.in_doubt] == [("DEAD", "absent")]


async def test_the_halts_of_a_run_and_who_cleared_them(desks: Database, books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (2000, 20_050), (3000, 20_060))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=3_500)}, [strategy()], ends=3_500)
    session = desk.open()
    await session.until(700)
    first, second = session.halt("employment report", "ann"), session.halt("two more", "supervisor", HaltSource.SYSTEM)
    await session.until(2_000)
    seen = session.switch.halts.seen([first.number])
    await session.loop.halts.resume(seen, "bob", "the news is out", second.at_ns)
    await session.run()
    session.close()
    await beside(desks, desk)
    # Of runs before: one that stood when this run was opened, and one that was cleared by then.
    before = "UPDATE halt SET cleared_by = 'x', clear_reason = 'x', cleared_at = '2020-01-02' WHERE number < $1"
    await change(desks, before, first.number)  # what other tests have left in this account
    await change(desks, OLD_HALT, second.number + 1, "stood")
    await change(desks, OLD_HALT, second.number + 2, "was cleared before")
    cleared = "UPDATE halt SET cleared_by = 'x', clear_reason = 'x', cleared_at = '2020-01-02' WHERE number = $1"
    await change(desks, cleared, second.number + 2)
    found = (await report_of(desks, desk)).halts
    assert [(halt.number, halt.source, halt.reason, halt.by) for halt in found] == [
        (first.number, "PERSON", "employment report", "ann"),
        (second.number, "SYSTEM", "two more", "supervisor"),
        (second.number + 1, "PERSON", "stood", "someone"),
    ]
    assert found[0].at_ns == first.at_ns // 1000 * 1000
    assert (found[0].cleared_by, found[0].clear_reason) == ("bob", "the news is out")
    assert found[0].cleared_at_ns == second.at_ns // 1000 * 1000
    assert (found[1].cleared_by, found[1].cleared_at_ns, until_text(found[1])) == (None, None, "in force")


async def test_each_traded_day_has_the_contract_of_each_strategy(desks: Database, books: Books, folder: Path):
    found = await report_of(desks, await recorded(desks, books, folder))
    assert sorted({each.day.isoformat() for each in found.days}) == ["2025-06-10", "2025-06-11"]
    assert {each.strategy: each.contract for each in found.days}[StrategyId("default/mes")] == MES
    assert sum(each.trades for each in found.days) == len(found.trades)


async def test_a_tape_that_is_not_there_is_answered_with_those_that_are(desks: Database, books: Books, folder: Path):
    desk = await recorded(desks, books, folder)
    with pytest.raises(Unknown, match="unknown tape 'nothing'") as refused:
        await build_reports(dsn_of(desks.settings("reader")), RunId("nothing"))
    assert desk.tape in refused.value.known
    with pytest.raises(Unknown, match="unknown tape 'nothing'"):  # two that are not there would be equal
        await digest(dsn_of(desks.settings("reader")), RunId("nothing"))


def test_a_drawdown_is_measured_from_the_highest_point_so_far():
    assert report().max_drawdown == Decimal("28.75")
    assert report(curve=()).max_drawdown == 0
    assert report(curve=report().curve[:1]).max_drawdown == Decimal("2.50")


async def test_of_a_session_whose_prints_are_gone_the_bars_say_from_when_to_when_it_was(
    desks: Database, books: Books, folder: Path
):
    # The desk has bars, and no print is stored.
    found = await report_of(desks, await recorded(desks, books, folder))
    (session,) = found.coverage
    assert (session.first_ns, session.last_ns, session.bars) == (ns(300), ns(900), 2)
