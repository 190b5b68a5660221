"""Good prints outside every session, and the share of faulty ones above which a run fails."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from leadline.ingestion.days import NO_DAY, TradingDays, day_of
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.tally import (
    OUTSIDE,
    OutsideSessions,
    Tally,
    TooManyKeptOut,
    nothing_reached_a_bar,
    require_share,
)
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.hours import SessionHours
from leadline.model.ticks import NS_PER_MINUTE, TickColumns

MES = ContractId("MESM2025")
SHEET = instrument_of(MES)
RTH, GLOBEX = SHEET.sessions["rth"], SHEET.sessions["globex"]
LUNCH = SessionHours("12:00", "13:00", "America/New_York")
MONDAY, TUESDAY, WEDNESDAY = date(2025, 6, 9), date(2025, 6, 10), date(2025, 6, 11)


def ticks(*times: str) -> TickColumns:
    """Prints at clock times in New York."""
    offset = 4 * 3600
    seconds = (int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) + offset for text in times)
    return TickColumns.of((second * 10**9, 24_000, 1, 1) for second in seconds)


def outside(hours: tuple[SessionHours, ...], *parts: TickColumns) -> dict[date | None, int]:
    counting = OutsideSessions(calendar(SHEET.calendar))
    counting.hours = hours
    for part in parts:
        counting.feed(part.time_ns)
    return {day_of(day): count for day, count in counting.counts.items()}


DAY = ("2025-06-10 09:29:59", "2025-06-10 09:30:00", "2025-06-10 12:30", "2025-06-10 15:59:59", "2025-06-10 16:00:00")


def test_a_session_is_half_open_and_what_is_before_and_after_it_is_outside() -> None:
    assert outside((RTH,), ticks(*DAY)) == {TUESDAY: 2}
    assert outside((RTH,), *(ticks(time) for time in DAY)) == {TUESDAY: 2}


def test_a_print_in_two_sessions_is_inside_once() -> None:
    assert outside((RTH, LUNCH), ticks(*DAY)) == {TUESDAY: 2}
    assert outside((LUNCH,), ticks(*DAY)) == {TUESDAY: 4}
    assert outside((GLOBEX, LUNCH, RTH), ticks(*DAY)) == {}


def test_the_evening_counts_to_the_next_trading_day_and_a_closed_market_has_no_session() -> None:
    evening = ticks("2025-06-09 16:30", "2025-06-09 17:15", "2025-06-09 18:00", "2025-06-10 08:00", "2025-06-10 18:30")
    assert outside((RTH,), evening) == {MONDAY: 2, TUESDAY: 2, WEDNESDAY: 1}
    assert outside((GLOBEX,), evening) == {MONDAY: 1}
    assert outside((RTH,), ticks("2025-12-25 10:00")) == {date(2025, 12, 25): 1}


def test_without_bars_there_is_nothing_to_be_outside_of() -> None:
    assert outside((), ticks(*DAY)) == {}


def test_a_tally_adds_what_an_earlier_process_counted() -> None:
    counting = OutsideSessions(calendar(SHEET.calendar))
    counting.hours = (RTH,)
    counting.feed(ticks(*DAY).time_ns)
    tally = Tally(Normaliser.of(MES, allowed_lateness_ns=0), counting, {(None, "overflow"): 3, (TUESDAY, OUTSIDE): 5})
    assert tally.counts() == {(None, "overflow"): 3, (TUESDAY, OUTSIDE): 7}
    assert tally.quarantined() == {"overflow": 3}


@pytest.mark.parametrize(("faulty", "fails"), [(0, False), (10, False), (11, True)])
def test_a_run_fails_above_the_share_and_what_is_outside_is_no_fault(faulty: int, fails: bool) -> None:
    counts: dict[tuple[date | None, str], int] = {(TUESDAY, "bad_side"): faulty, (TUESDAY, OUTSIDE): 900}
    if not fails:
        require_share(MES, 1000 - faulty, counts, (), Decimal(1))
        return
    with pytest.raises(
        TooManyKeptOut, match=r"^11 of 1,000 prints of MESM2025 were kept out, more than 1 %: bad_side 11$"
    ):
        require_share(MES, 1000 - faulty, counts, (), Decimal(1))


def test_the_sentence_of_a_run_that_fails_speaks_of_one_print_as_of_one() -> None:
    with pytest.raises(TooManyKeptOut, match=r"^1 of 1 print of MESM2025 was kept out, more than 1 %: bad_side 1$"):
        require_share(MES, 0, {(TUESDAY, "bad_side"): 1}, (), Decimal(1))
    with pytest.raises(TooManyKeptOut, match=r"^1 of 2 prints of MESM2025 was kept out, "):
        require_share(MES, 1, {(TUESDAY, "bad_side"): 1}, (), Decimal(1))


@pytest.mark.parametrize(
    ("good", "outside_by_day", "leads_from", "checked"),
    [
        (0, {}, None, False),  # left alone
        (7, {MONDAY: 3, TUESDAY: 3}, None, False),  # one is in a bar
        (7, {MONDAY: 3, TUESDAY: 4}, None, True),
        (7, {MONDAY: 3, TUESDAY: 4}, WEDNESDAY, False),  # nothing but history
        (7, {MONDAY: 3, TUESDAY: 4}, TUESDAY, True),
    ],
)
def test_a_later_month_without_a_print_since_it_leads_is_not_judged_by_where_its_history_lies(
    good: int, outside_by_day: dict[date, int], leads_from: date | None, checked: bool
) -> None:
    counts: dict[tuple[date | None, str], int] = {(day, OUTSIDE): count for day, count in outside_by_day.items()}
    assert nothing_reached_a_bar(good, {**counts, (TUESDAY, "bad_side"): 9}, leads_from) is checked


def test_a_session_over_midnight_has_prints_of_two_days() -> None:
    counting = OutsideSessions(calendar("24x7"))
    counting.hours = (SessionHours("18:00", "06:00", "UTC"),)
    clocks = ("2025-06-10 13:59:59", "2025-06-10 14:00", "2025-06-10 20:00", "2025-06-11 01:59:59", "2025-06-11 02:00")
    counting.feed(ticks(*clocks).time_ns)  # in New York: 18:00 UTC is 14:00, midnight 20:00 and 06:00 UTC 02:00
    assert {day_of(day): count for day, count in counting.counts.items()} == {TUESDAY: 1, WEDNESDAY: 1}


def test_hours_that_change_count_from_then_on() -> None:
    counting = OutsideSessions(calendar(SHEET.calendar))
    lunch, evening = ticks("2025-06-10 12:30", "2025-06-10 15:00"), ticks("2025-06-10 20:00", "2025-06-11 12:30")
    for hours in ((LUNCH,), (RTH,), (GLOBEX,)):
        counting.hours = hours
        for part in (lunch, evening, lunch):
            counting.feed(part.time_ns)
    assert {day_of(day): count for day, count in counting.counts.items()} == {TUESDAY: 2, WEDNESDAY: 2}


@pytest.mark.parametrize("market", [SHEET.calendar, "24x7"])
def test_prints_have_the_same_trading_day_alone_and_together(market: str) -> None:
    days = TradingDays(calendar(market))
    edges = [days.first_ns, days.end_ns, *(ticks(time).time_ns[0] for time in (*DAY, "2025-06-10 18:00", *DAY))]
    times = np.array([int(edge) + off for edge in edges for off in (-NS_PER_MINUTE, -1, 0, 1)], dtype=np.int64)
    together = days.of(times)
    assert [int(days.of(times[row : row + 1])[0]) for row in range(len(times))] == together.tolist()
    assert together[:4].tolist() == [NO_DAY, NO_DAY, *[together[2]] * 2]
    assert together[4:8].tolist() == [*[together[4]] * 2, NO_DAY, NO_DAY]
