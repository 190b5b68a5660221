from dataclasses import replace
from datetime import date, timedelta

import pytest

from leadline.aggregation.builder import BarBuilder, Gap, session_from
from leadline.model.durations import parse_bar_spec
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.market.calendars import calendar
from leadline.model.market.hours import SessionHours, local_datetime
from tests.aggregation.builders import (
    BUY,
    CALENDAR,
    CLOSE_NS,
    CONTRACT,
    DAY,
    GLOBEX,
    MINUTE,
    OPEN_NS,
    RTH,
    SECOND,
    SELL,
    TAPE,
    UNKNOWN,
    VENUE,
    at,
    bars_of,
    batch,
    batches,
    builder,
    ns,
    run,
    session_of,
)


def whole(bar_builder, rows, *, end_ns=None):
    return bars_of(run(bar_builder, batches(rows, [], end_ns=end_ns)))


# --- time bars -----------------------------------------------------------------------------------------------------


def test_a_time_bar_is_half_open_and_a_print_at_its_end_opens_the_next():
    first, second = whole(
        builder("1m"),
        [(at(0), 100, 1, BUY), (at(59.999), 101, 2, SELL), (at(60), 102, 4, BUY), (at(120), 103, 8, BUY)],
    )
    assert (first.start_ns, first.end_ns, first.volume, first.close) == (OPEN_NS, at(60), 3, 101)
    assert (second.start_ns, second.end_ns, second.volume, second.open) == (at(60), at(120), 4, 102)


def test_a_bar_carries_candle_order_flow_and_position():
    (bar, _) = whole(
        builder("5m"),
        [
            (at(1), 100, 3, BUY),
            (at(2), 98, 10, SELL),
            (at(3), 103, 2, UNKNOWN),
            (at(4), 101, 4, BUY),
            (at(300), 99, 1, SELL),
        ],
        end_ns=at(700),
    )
    assert bar.key.text() == "MESZ2025/rth/5m-r1/2025-11-20/0"
    assert (bar.open, bar.high, bar.low, bar.close) == (100, 103, 98, 101)
    assert (bar.volume, bar.prints, bar.delta, bar.min_delta, bar.max_delta) == (19, 4, -3, -7, 3)
    assert (bar.first_index, bar.last_index, bar.revision) == (0, 3, 0)
    assert (bar.session_open_ns, bar.session_close_ns) == (OPEN_NS, CLOSE_NS)
    assert (bar.poc, bar.value_area_low, bar.value_area_high) == (98, 98, 102)


def test_a_time_bar_is_known_at_the_first_print_at_or_after_its_end():
    assert [
        bar.known_at_ns
        for bar in whole(builder("1m"), [(at(1), 100, 1, BUY), (at(61.5), 100, 1, BUY), (at(120), 100, 1, BUY)])
    ] == [at(61.5), at(120)]


def test_a_time_bar_without_a_next_print_is_known_two_seconds_after_its_end():
    late = whole(builder("1m"), [(at(1), 100, 1, BUY), (at(200), 100, 1, BUY)])
    assert [bar.known_at_ns for bar in late] == [at(62)]


def test_a_silent_bar_closes_when_the_watermark_reaches_its_known_time_and_not_before():
    fed = builder("1m")
    fed.feed(batch([(at(1), 100, 1, BUY)]))
    assert bars_of(fed.feed(batch(first=1, watermark=at(62) - 1))) == []
    (bar,) = bars_of(fed.feed(batch(first=1, watermark=at(62))))
    assert bar.known_at_ns == at(62)
    assert bars_of(fed.feed(batch([(at(62), 100, 1, BUY)], first=1))) == []


def test_a_minute_without_a_print_has_no_bar_and_ordinals_count_the_clock():
    bars = whole(builder("1m"), [(at(0), 100, 1, BUY), (at(181), 100, 1, BUY), (at(240), 100, 1, BUY)])
    assert [bar.key.ordinal for bar in bars] == [0, 3]


def test_the_bar_that_is_open_at_the_end_of_the_tape_is_not_emitted():
    rows = [(at(0), 100, 1, BUY), (at(60), 100, 1, BUY)]
    assert [bar.key.ordinal for bar in whole(builder("1m"), rows, end_ns=at(122) - 1)] == [0]
    assert [bar.key.ordinal for bar in whole(builder("1m"), rows, end_ns=at(122))] == [0, 1]


def test_four_hour_bars_begin_at_the_session_open_and_the_last_one_is_cut_at_its_close():
    session = session_of(date(2025, 11, 20), GLOBEX)
    starts = [session.open_ns + 4 * 60 * MINUTE * n for n in range(6)]
    bars = whole(
        builder("4h", hours=GLOBEX), [(start, 100, 1, BUY) for start in starts], end_ns=session.close_ns + 2 * SECOND
    )
    assert [bar.start_ns for bar in bars] == starts  # 18, 22, 02, 06, 10 and 14 o'clock in New York
    assert bars[0].start_ns == ns("2025-11-19T23:00:00")
    assert bars[-1].end_ns == session.close_ns == bars[-1].start_ns + 3 * 60 * MINUTE
    assert {bar.key.trading_day for bar in bars} == {date(2025, 11, 20)}


def test_bars_of_75_minutes_begin_at_the_open_and_the_last_one_is_cut_at_the_close():
    minutes = [0, 74, 75, 150, 375, 389]
    bars = whole(builder("75m"), [(at(minute * 60), 100, 1, BUY) for minute in minutes], end_ns=CLOSE_NS + 2 * SECOND)
    assert bars[0].key.text() == "MESZ2025/rth/75m-r1/2025-11-20/0"
    assert [(bar.key.ordinal, bar.prints) for bar in bars] == [(0, 2), (1, 1), (2, 1), (5, 2)]
    assert (bars[1].start_ns, bars[1].end_ns) == (at(75 * 60), at(150 * 60))
    # six lengths of 75 minutes are longer than the session: a quarter of an hour is left for the last
    assert (bars[-1].start_ns, bars[-1].end_ns, bars[-1].end_ns - bars[-1].start_ns) == (
        at(375 * 60),
        CLOSE_NS,
        15 * MINUTE,
    )


def test_bars_of_75_minutes_of_the_indian_market_begin_where_its_traders_expect_them():
    market = replace(calendar("nse"), valid_from=DAY, valid_through=DAY + timedelta(days=1))
    hours = SessionHours("09:15", "15:30", "Asia/Kolkata", id="rth")
    session = market.session(DAY, hours)
    assert session is not None
    rows = [(time, 100, 1, BUY) for time in range(session.open_ns, session.close_ns, 5 * MINUTE)]
    made = BarBuilder(
        tape=TAPE,
        venue=VENUE,
        contract=CONTRACT,
        calendar=market,
        hours=hours,
        spec=parse_bar_spec("75m"),
        ticks_per_row=1,
    )
    bars = whole(made, rows, end_ns=session.close_ns + 2 * SECOND)
    clock = [f"{local_datetime(bar.start_ns, 'Asia/Kolkata'):%H:%M}" for bar in bars]
    assert clock == ["09:15", "10:30", "11:45", "13:00", "14:15"]
    assert bars[-1].end_ns == session.close_ns
    assert [bar.prints for bar in bars] == [15] * 5


def test_60_minutes_are_the_bars_of_an_hour_under_one_key():
    rows = [(at(minute * 60), 100, 1, BUY) for minute in (0, 59, 60, 200)]
    by_name, by_minutes = (whole(builder(bars), rows, end_ns=at(240 * 60 + 2)) for bars in ("1h", "60m"))
    assert [bar.key.text() for bar in by_minutes] == [bar.key.text() for bar in by_name]
    assert by_name[0].key.spec == "1h-r1"


def test_a_daily_bar_is_the_session():
    (bar,) = whole(builder("1d"), [(at(0), 100, 1, BUY), (at(3600), 90, 5, SELL), (CLOSE_NS, 80, 1, SELL)])
    assert (bar.start_ns, bar.end_ns, bar.volume, bar.known_at_ns) == (OPEN_NS, CLOSE_NS, 6, CLOSE_NS)


def test_an_early_close_ends_the_last_bar():
    session = session_of(date(2025, 11, 28))
    assert session.close_ns == ns("2025-11-28T18:15:00")
    last = session.close_ns - 20 * MINUTE
    (bar,) = whole(builder("1h"), [(last, 100, 1, BUY)], end_ns=session.close_ns + 2 * SECOND)
    assert (bar.end_ns, bar.known_at_ns) == (session.close_ns, session.close_ns + 2 * SECOND)


# --- tick and volume bars ------------------------------------------------------------------------------------------


def test_a_tick_bar_closes_with_the_print_that_reaches_the_count():
    bars = whole(builder("ticks:3"), [(at(n), 100 + n, 1, BUY) for n in range(7)])
    assert [(bar.first_index, bar.last_index, bar.known_at_ns) for bar in bars] == [(0, 2, at(2)), (3, 5, at(5))]
    assert [(bar.start_ns, bar.end_ns) for bar in bars] == [(at(0), at(2)), (at(3), at(5))]
    assert [bar.key.text().split("/")[2:] for bar in bars] == [
        ["ticks3-r1", "2025-11-20", "0"],
        ["ticks3-r1", "2025-11-20", "1"],
    ]


def test_a_volume_bar_keeps_its_overshoot_and_no_print_is_split():
    sizes = [4, 5, 8, 1, 25, 2, 8]
    bars = whole(builder("volume:10"), [(at(n), 100, size, BUY) for n, size in enumerate(sizes)])
    assert [bar.volume for bar in bars] == [4 + 5 + 8, 1 + 25, 2 + 8]
    assert [bar.key.ordinal for bar in bars] == [0, 1, 2]


def test_a_tick_bar_cut_short_by_the_close_is_known_like_a_time_bar_that_ends_there():
    rows = [(CLOSE_NS - 5 * SECOND, 100, 1, BUY), (CLOSE_NS - 4 * SECOND, 100, 1, BUY)]
    (silent,) = whole(builder("ticks:500"), rows, end_ns=CLOSE_NS + 60 * SECOND)
    assert (silent.known_at_ns, silent.prints, silent.end_ns) == (CLOSE_NS + 2 * SECOND, 2, CLOSE_NS - 4 * SECOND)
    (printed,) = whole(builder("ticks:500"), [*rows, (CLOSE_NS + SECOND, 100, 1, BUY)])
    assert (printed.known_at_ns, printed.prints) == (CLOSE_NS + SECOND, 2)


def test_tick_bars_count_from_zero_again_in_the_next_session():
    tomorrow = session_of(date(2025, 11, 21)).open_ns
    bars = whole(builder("ticks:1"), [(at(0), 100, 1, BUY), (at(1), 100, 1, BUY), (tomorrow, 100, 1, BUY)])
    assert [(bar.key.trading_day.day, bar.key.ordinal) for bar in bars] == [(20, 0), (20, 1), (21, 0)]


# --- sessions ------------------------------------------------------------------------------------------------------


def test_prints_outside_the_session_are_in_no_bar_but_make_bars_known():
    rows = [
        (OPEN_NS - 1, 100, 1, BUY),
        (OPEN_NS, 100, 2, BUY),
        (CLOSE_NS - 1, 100, 4, BUY),
        (CLOSE_NS, 100, 8, BUY),
        (CLOSE_NS + MINUTE, 100, 16, BUY),
    ]
    bars = whole(builder("5m"), rows)
    assert [bar.volume for bar in bars] == [2, 4]
    assert bars[-1].known_at_ns == CLOSE_NS


def test_cumulative_delta_and_vwap_sums_run_through_the_session_and_start_again_at_the_next_open():
    tomorrow = session_of(date(2025, 11, 21)).open_ns
    bars = whole(
        builder("1m"),
        [
            (at(0), 100, 10, BUY),
            (at(60), 101, 20, SELL),
            (at(120), 99, 10, BUY),
            (tomorrow, 100, 5, SELL),
        ],
        end_ns=tomorrow + 10 * MINUTE,
    )
    assert [bar.cumulative_delta for bar in bars] == [10, -10, 0, -5]
    assert [bar.vwap_volume for bar in bars] == [10, 30, 40, 5]
    assert bars[2].vwap_price_volume / bars[2].vwap_volume == 100.25
    variance = bars[2].vwap_price2_volume / bars[2].vwap_volume - 100.25**2
    assert variance**0.5 == pytest.approx(0.8292, abs=5e-5)
    assert bars[3].vwap_price_volume == 500


def test_after_the_close_the_session_is_that_of_the_next_day():
    assert session_from(CALENDAR, RTH, CLOSE_NS - 1) == session_of(DAY)
    assert session_from(CALENDAR, RTH, CLOSE_NS) == session_of(DAY + timedelta(days=1))


def test_holidays_and_weekends_are_passed_over():
    friday, monday = session_of(date(2025, 11, 21)), session_of(date(2025, 11, 24))
    saturday = ns("2025-11-22T12:00:00")
    bars = whole(
        builder("5m"),
        [(friday.open_ns, 1, 1, BUY), (saturday, 1, 1, BUY), (monday.open_ns, 1, 1, BUY)],
        end_ns=monday.open_ns + 10 * MINUTE,
    )
    assert [bar.key.trading_day for bar in bars] == [date(2025, 11, 21), date(2025, 11, 24)]


def test_a_day_that_the_calendar_does_not_know_is_an_error():
    with pytest.raises(Unknown, match="cme"):
        builder().feed(batch([(ns("2035-01-02T15:00:00"), 100, 1, BUY)]))


# --- positions -----------------------------------------------------------------------------------------------------


def test_overlapping_prints_are_taken_once():
    rows = [(at(n), 100, 1, BUY) for n in range(6)]
    fed = builder("ticks:6")
    assert bars_of(fed.feed(batch(rows[:4]))) == []
    assert bars_of(fed.feed(batch(rows[:4]))) == []
    (bar,) = bars_of(fed.feed(batch(rows[2:], first=2)))
    assert (bar.volume, bar.first_index, bar.last_index) == (6, 0, 5)
    assert fed.next_index == 6


def test_missing_prints_are_asked_for_and_nothing_is_taken():
    rows = [(at(n), 100, 1, BUY) for n in range(6)]
    fed = builder("ticks:6")
    fed.feed(batch(rows[:2]))
    with pytest.raises(Gap) as gap:
        fed.feed(batch(rows[4:], first=4))
    assert (gap.value.expected, gap.value.got, str(gap.value)) == (2, 4, "prints 2 to 3 are missing")
    fed.feed(batch(rows[2:4], first=2))
    (bar,) = bars_of(fed.feed(batch(rows[4:], first=4)))
    assert bar.volume == 6


def test_an_empty_batch_that_stands_further_on_is_a_gap_too():
    fed = builder()
    fed.feed(batch([(at(0), 100, 1, BUY)]))
    with pytest.raises(Gap):
        fed.feed(batch(first=9, watermark=at(60)))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(at(59), 100, 1, BUY)], "watermark"),
        ([(at(59), 100, 1, BUY), (at(61), 100, 1, BUY)], "watermark"),
        ([(at(62), 100, 1, BUY), (at(61), 100, 1, BUY)], "do not decrease"),
        ([(at(61), 100, 1, BUY), (at(63), 100, 1, BUY), (at(62), 100, 1, BUY)], "do not decrease"),
    ],
)
def test_time_that_runs_backwards_is_refused(rows, expected):
    fed = builder()
    fed.feed(batch([(at(0), 100, 1, BUY)], watermark=at(60)))
    with pytest.raises(InvalidInput, match=expected):
        fed.feed(batch(rows, first=1))


def test_a_tape_that_has_ended_takes_no_more_prints():
    fed = builder()
    ending = batch([(at(0), 100, 1, BUY)], final=True)
    before = fed.final
    fed.feed(ending)
    assert (before, fed.final) == (False, True)
    assert fed.feed(ending) == []
    with pytest.raises(InvalidInput, match="end of the tape"):
        fed.feed(batch([(at(1), 100, 1, BUY)], first=1))


def test_a_batch_of_another_contract_is_refused():
    fed = builder()
    other = batch([(at(0), 100, 1, BUY)])
    object.__setattr__(other, "contract", "ESZ2025")
    with pytest.raises(InvalidInput, match=f"ESZ2025.*{CONTRACT}"):
        fed.feed(other)


def test_rows_are_at_least_one_tick_high():
    with pytest.raises(InvalidInput, match="ticks_per_row"):
        builder(ticks_per_row=0)


# --- progress ------------------------------------------------------------------------------------------------------


def test_a_bar_message_promises_the_bars_own_instant_and_progress_follows_it():
    fed = builder("1m")
    fed.feed(batch([(at(0), 100, 1, BUY)]))
    bar, progress = fed.feed(batch([(at(60.5), 100, 1, BUY)], first=1, watermark=at(60.7)))
    assert bar.bar is not None
    assert (bar.progress_ns, bar.final) == (at(60.5), False)
    assert (progress.bar, progress.progress_ns, progress.final) == (None, at(60.7), False)


def test_progress_that_a_bar_waits_for_is_told_as_soon_as_the_watermark_passes_it():
    fed = builder("1m")
    fed.feed(batch([(at(0), 100, 1, BUY)]))
    assert [message.bar is None for message in fed.feed(batch([(at(60), 100, 1, BUY)], first=1))] == [False]
    assert fed.feed(batch([(at(60), 100, 1, BUY)], first=2)) == []
    (progress,) = fed.feed(batch([(at(60.001), 100, 1, BUY)], first=3))
    assert (progress.bar, progress.progress_ns) == (None, at(60.001))


def test_without_a_bar_progress_is_told_once_a_minute_of_the_tape():
    fed = builder("1h")
    told = [fed.feed(batch([(at(second), 100, 1, BUY)], first=second)) for second in range(130)]
    # At a minute's first print another builder may have a bar that is known then: the next one is past it.
    assert [second for second, messages in enumerate(told) if messages] == [0, 1, 61, 121]


def test_progress_of_a_minute_without_prints_is_told_when_the_grace_for_its_bars_is_over():
    fed = builder("1h")
    fed.feed(batch([(at(59), 100, 1, BUY)]))
    fed.feed(batch(first=1, watermark=at(59.5)))
    told = [fed.feed(batch(first=1, watermark=at(59.75) + quarter * SECOND // 4)) for quarter in range(14)]
    assert [message.progress_ns for messages in told for message in messages] == [at(62.25)]


def test_a_time_bar_that_is_open_promises_its_end_ahead_of_the_tape():
    fed = builder("1h")
    (before,) = fed.feed(batch([(at(-1), 100, 1, BUY)]))
    assert before.quiet_until_ns == at(0)
    # Said with the print that opens the bar: what was promised before is used up.
    (opened,) = fed.feed(batch([(at(0), 100, 1, BUY)], first=1))
    assert (opened.progress_ns, opened.quiet_until_ns) == (at(0), at(3600))
    # With a bar only what follows from that bar, so that it is the same bytes in any batches.
    (closed,) = fed.feed(batch([(at(3600.5), 100, 1, BUY)], first=2))
    assert (closed.progress_ns, closed.quiet_until_ns) == (at(3600.5), at(3660))
    (told,) = fed.feed(batch([(at(3601), 100, 1, BUY)], first=3))
    assert (told.progress_ns, told.quiet_until_ns) == (at(3601), at(7200))


def test_a_promise_ahead_that_is_used_up_is_renewed_at_once():
    fed = builder("1h")
    fed.feed(batch([(at(0), 100, 1, BUY)]))
    (bar,) = fed.feed(batch(first=1, watermark=at(3602)))
    assert (bar.progress_ns, bar.quiet_until_ns) == (at(3602), at(3660))
    (told,) = fed.feed(batch([(at(3660), 100, 1, BUY)], first=1))
    assert (told.progress_ns, told.quiet_until_ns) == (at(3660), at(7200))


def test_bars_of_prints_promise_nothing_ahead():
    told = [builder(spec).feed(batch([(at(0), 100, 1, BUY)]))[-1] for spec in ("ticks:2", "volume:2")]
    assert [message.quiet_until_ns for message in told] == [0, 0]


def test_out_of_session_progress_goes_on():
    fed = builder()
    messages = [fed.feed(batch(first=0, watermark=CLOSE_NS + minute * MINUTE)) for minute in range(5)]
    assert [message.progress_ns for group in messages for message in group] == [
        CLOSE_NS + minute * MINUTE for minute in range(5)
    ]


def test_the_last_message_is_final_at_the_tapes_end():
    messages = run(builder("1m"), batches([(at(0), 100, 1, BUY), (at(61), 100, 1, BUY)], [], end_ns=at(65)))
    assert (messages[-1].bar, messages[-1].progress_ns, messages[-1].final) == (None, at(65), True)
    assert [message.final for message in messages[:-1]] == [False] * (len(messages) - 1)
