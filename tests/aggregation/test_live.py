"""Bars of the tape `live`: closed by watermarks alone, revised by late prints, marked where prints may be missing."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.aggregation.builder import Gap
from leadline.aggregation.live import LiveBuilder
from leadline.model.bars import Bar, BarKey, BarMessage
from leadline.model.durations import parse_bar_spec
from leadline.model.market.hours import SessionHours
from leadline.model.ticks import TickBatch, TickColumns
from tests.aggregation.builders import (
    BUY,
    CALENDAR,
    CLOSE_NS,
    CONTRACT,
    GLOBEX,
    MINUTE,
    OPEN_NS,
    RTH,
    SECOND,
    SELL,
    TAPE,
    VENUE,
    Print,
    at,
    bars_of,
    batch,
    batches,
    builder,
    plain,
    run,
)

DAY_NS = 24 * 60 * MINUTE


def live(bars: str = "5m", *, ticks_per_row: int = 1, hours: SessionHours = RTH) -> LiveBuilder:
    """A builder whose first batch was before the session opened: nothing of the session is missing."""
    made = LiveBuilder(
        tape=TAPE,
        venue=VENUE,
        contract=CONTRACT,
        calendar=CALENDAR,
        hours=hours,
        spec=parse_bar_spec(bars),
        ticks_per_row=ticks_per_row,
    )
    made.feed(batch(watermark=at(-60)))
    return made


def late(rows: Sequence[Print], first: int, watermark: int) -> TickBatch:
    return replace(batch(rows, first=first, watermark=watermark), late=True)


def last_revisions(messages: Sequence[BarMessage]) -> dict[BarKey, Bar]:
    found: dict[BarKey, Bar] = {}
    for bar in bars_of(messages):
        assert bar.revision == (found[bar.key].revision + 1 if bar.key in found else bar.revision)
        found[bar.key] = bar
    return found


def of_bar(bar: Bar) -> object:
    """What a bar shows, without the source indices, which follow from arrival, and its history."""
    values = plain(bar)
    assert isinstance(values, dict)
    return {
        name: value
        for name, value in values.items()
        if name not in {"first_index", "last_index", "revision", "known_at_ns", "gap"}
    }


# --- closing -------------------------------------------------------------------------------------------------------


def test_a_bar_closes_when_the_watermark_passes_its_grace_without_a_print():
    one = live()
    assert bars_of(one.feed(batch([(at(1), 100, 1, BUY)]))) == []
    assert bars_of(one.feed(batch(first=1, watermark=at(300)))) == []
    assert bars_of(one.feed(batch(first=1, watermark=at(301.999)))) == []
    (bar,) = bars_of(one.feed(batch(first=1, watermark=at(302.1))))
    assert (bar.known_at_ns, bar.prints, bar.gap, bar.revision) == (at(302), 1, False, 0)


def test_in_order_it_says_what_the_builder_of_any_tape_says():
    rows = [(at(n * 7), 100 + n % 5, 1 + n % 3, (BUY, SELL)[n % 2]) for n in range(400)]
    whole = list(batches(rows, range(0, 400, 13), end_ns=at(2900)))
    opening = batch(watermark=at(-60))
    for bars in ("1m", "5m", "ticks:50", "volume:77"):
        said, wanted = run(live(bars), whole), run(builder(bars), [opening, *whole])
        # The first batch is the opening's, which says a promise of its own.
        assert [plain(each) for each in said] == [plain(each) for each in wanted[-len(said) :]]


# --- late prints ---------------------------------------------------------------------------------------------------


def test_a_late_print_of_a_closed_bar_makes_its_next_revision_and_of_those_after_it():
    one = live("1m")
    one.feed(batch([(at(10), 100, 2, BUY), (at(70), 102, 3, SELL), (at(130), 101, 1, BUY)]))
    messages = one.feed(late([(at(20), 110, 5, BUY)], 3, at(130)))
    first, second = bars_of(messages)
    assert (first.key.ordinal, first.revision, first.volume, first.high, first.close) == (0, 1, 7, 110, 110)
    assert (first.known_at_ns, first.delta, first.cumulative_delta) == (at(62), 7, 7)
    assert (second.key.ordinal, second.revision, second.volume, second.cumulative_delta) == (1, 1, 3, 4)
    assert {message.progress_ns for message in messages} == {at(130)}
    (third,) = bars_of(one.feed(batch(first=4, watermark=at(190))))
    assert (third.revision, third.cumulative_delta, third.vwap_volume) == (0, 5, 11)
    (again,) = bars_of(one.feed(late([(at(150), 90, 1, SELL)], 4, at(190))))
    assert (again.key.ordinal, again.revision, again.low) == (2, 1, 90)
    assert (one.late, one.too_late) == (2, 0)


def test_a_late_print_of_the_open_bar_is_in_it_when_it_closes_and_makes_no_revision():
    one = live("1m")
    one.feed(batch([(at(10), 100, 2, BUY), (at(20), 101, 2, BUY)]))
    assert one.feed(late([(at(15), 90, 4, SELL)], 2, at(20))) == []
    (bar,) = bars_of(one.feed(batch([(at(61), 100, 1, BUY)], first=3)))
    assert (bar.revision, bar.low, bar.min_delta, bar.max_delta, bar.close) == (0, 90, -2, 2, 101)


def test_a_late_print_of_a_bar_that_nobody_had_a_print_of_makes_it_as_a_revision():
    one = live("1m")
    one.feed(batch([(at(10), 100, 2, BUY), (at(130), 101, 1, BUY)]))
    made, after = bars_of(one.feed(late([(at(70), 99, 1, SELL)], 2, at(130)))), None
    del after
    assert [(bar.key.ordinal, bar.revision, bar.prints) for bar in made] == [(1, 1, 1)]
    assert (made[0].start_ns, made[0].end_ns, made[0].cumulative_delta) == (at(60), at(120), 1)


def test_a_late_print_of_a_bar_that_may_still_begin_waits_for_it():
    one = live("1m")
    one.feed(batch([(at(10), 100, 2, BUY)], watermark=at(60.5)))
    assert one.feed(late([(at(60.2), 99, 1, SELL)], 1, at(60.5))) == []
    # The bar before it is open until its grace is over, and the one that it belongs to begins with a print in time.
    (first,) = bars_of(one.feed(batch(first=2, watermark=at(63))))
    (second,) = bars_of(one.feed(batch([(at(70), 101, 1, BUY)], first=2, watermark=at(122))))
    assert [(bar.key.ordinal, bar.revision, bar.prints) for bar in (first, second)] == [(0, 0, 1), (1, 0, 2)]
    assert (second.open, second.cumulative_delta) == (99, 2)


def test_a_late_print_of_a_bar_that_never_begins_makes_it_when_its_time_is_over():
    one = live("1m")
    one.feed(batch([(at(10), 100, 2, BUY)], watermark=at(90)))
    assert one.feed(late([(at(80), 99, 1, SELL)], 1, at(90))) == []
    made = bars_of(one.feed(batch([(at(130), 101, 1, BUY)], first=2)))
    assert [(bar.key.ordinal, bar.revision, bar.known_at_ns) for bar in made] == [(1, 1, at(122))]
    (third,) = bars_of(one.feed(batch(first=3, watermark=at(182))))
    assert (third.key.ordinal, third.cumulative_delta) == (2, 2)


def test_a_late_print_behind_the_last_tick_bar_of_a_session_is_in_it_when_the_session_is_over():
    one = live("ticks:2")
    one.feed(batch([(at(1), 100, 1, BUY), (at(2), 101, 1, BUY)], watermark=at(20)))
    assert one.feed(late([(at(15), 90, 5, SELL)], 2, at(20))) == []
    (bar,) = bars_of(one.feed(batch(first=3, watermark=CLOSE_NS)))
    assert (bar.key.ordinal, bar.revision, bar.prints, bar.low) == (0, 1, 3, 90)
    assert one.waiting == 0


def test_late_prints_of_the_last_session_revise_it_and_those_of_an_older_one_are_counted():
    one = live("1m")
    tuesday = one.feed(batch([(at(10), 100, 2, BUY)], watermark=CLOSE_NS))
    one.feed(batch([(at(10) + DAY_NS, 100, 2, BUY)], first=1))
    (bar,) = bars_of(one.feed(late([(at(12), 105, 1, BUY)], 2, at(20) + DAY_NS)))
    assert (bar.key, bar.revision, bar.high) == (bars_of(tuesday)[0].key, 1, 105)
    one.feed(batch([(at(10) + 4 * DAY_NS, 100, 2, BUY)], first=3, watermark=at(80) + 4 * DAY_NS))
    assert one.feed(late([(at(13), 105, 1, BUY)], 4, at(80) + 4 * DAY_NS)) == []
    assert (one.late, one.too_late) == (1, 1)


def test_a_late_print_outside_of_the_session_is_in_no_bar():
    one = live("1m")
    one.feed(batch([(at(10), 100, 2, BUY)], watermark=at(100)))
    assert one.feed(late([(at(-30), 105, 1, BUY)], 1, at(100))) == []
    assert (one.late, one.too_late) == (0, 0)


def test_a_tick_bar_keeps_its_bounds_and_has_the_late_print_beyond_its_amount():
    one = live("ticks:2")
    one.feed(batch([(at(n), 100 + n, 1, BUY) for n in range(5)]))
    first, second = bars_of(one.feed(late([(at(1), 90, 7, SELL)], 5, at(5))))
    assert (first.key.ordinal, first.prints, first.low, first.revision) == (0, 3, 90, 1)
    assert (second.key.ordinal, second.prints, second.cumulative_delta) == (1, 2, -3)


@st.composite
def tapes(draw):
    """Prints in the order of time, and which of them come late, each with how many prints come before it does."""
    count = draw(st.integers(1, 60))
    steps = draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    time, rows = 0, []
    for step in steps:
        time += step
        rows.append(
            (
                at(time),
                draw(st.integers(95, 105)),
                draw(st.integers(1, 5)),
                draw(st.sampled_from([-1, 0, 1])),
            )
        )
    delays = draw(st.lists(st.integers(0, 30), min_size=count, max_size=count))
    return rows, [delay if draw(st.integers(0, 3)) == 0 else 0 for delay in delays]


@settings(max_examples=80, deadline=None)
@given(
    tapes(),
    st.sampled_from(["1m", "2m", "5m"]),
    st.sampled_from([1, 4]),
    st.integers(1, 9),
    st.sampled_from([0, SECOND, 50 * SECOND]),
)
def test_late_prints_and_revisions_come_to_the_bars_of_the_tape_in_order(tape, bars, ticks_per_row, cut, ahead):
    rows, delays = tape
    arrival = sorted(range(len(rows)), key=lambda n: (n + delays[n], n))
    one, index, watermark, messages = live(bars, ticks_per_row=ticks_per_row), 0, at(-60), []
    timely: list[Print] = []

    def send(prints: Sequence[Print], *, are_late: bool) -> None:
        nonlocal index, watermark
        if not prints:
            return
        if not are_late:
            watermark = max(watermark, prints[-1][0] + ahead)
        sent = batch(prints, first=index, watermark=watermark)
        messages.extend(one.feed(replace(sent, late=are_late)))
        index += len(prints)

    # Equal times keep the order of arrival, in the sorted tape too.
    order: list[Print] = []
    for number in arrival:
        row = rows[number]
        order.append(row)
        if row[0] < (timely[-1][0] + (0 if len(timely) < cut else ahead) if timely else watermark):
            send(timely, are_late=False)
            timely = []
            send([row], are_late=True)
        else:
            timely.append(row)
            if len(timely) >= cut:
                send(timely, are_late=False)
                timely = []
    send(timely, are_late=False)
    end = max(row[0] for row in rows) + 10 * MINUTE
    messages += one.feed(batch(first=index, watermark=end))
    wanted = bars_of(
        run(builder(bars, ticks_per_row=ticks_per_row), batches(sorted(order, key=lambda row: row[0]), [], end_ns=end))
    )
    found = last_revisions(messages)
    assert [of_bar(found[bar.key]) for bar in wanted] == [of_bar(bar) for bar in wanted]
    assert len(found) == len(wanted)
    assert not any(bar.gap for bar in found.values())


@settings(max_examples=60, deadline=None)
@given(tapes(), st.sampled_from(["ticks:7", "volume:20"]))
def test_no_print_is_lost_or_counted_twice_in_bars_of_an_amount(tape, bars):
    rows, delays = tape
    one, index, messages, watermark = live(bars), 0, [], at(-60)
    for number in sorted(range(len(rows)), key=lambda n: (n + delays[n], n)):
        row = rows[number]
        is_late = row[0] < watermark
        watermark = max(watermark, row[0])
        messages += one.feed(replace(batch([row], first=index, watermark=watermark), late=is_late))
        index += 1
    messages += one.feed(batch(first=index, watermark=CLOSE_NS + 3 * SECOND))
    found = last_revisions(messages).values()
    assert sum(bar.prints for bar in found) == len(rows)
    assert sum(bar.volume for bar in found) == sum(row[2] for row in rows)
    last = max(found, key=lambda bar: bar.key.ordinal)
    assert last.vwap_volume == sum(row[2] for row in rows)


# --- gaps ----------------------------------------------------------------------------------------------------------


def gaps(messages: Sequence[BarMessage]) -> list[tuple[int, int]]:
    """Ordinal and revision of the bars with a gap."""
    return [(bar.key.ordinal, bar.revision) for bar in bars_of(messages) if bar.gap]


def test_every_bar_whose_time_a_gap_touches_has_it_and_no_other():
    one = live("1m")
    messages = one.feed(batch([(at(10), 100, 1, BUY), (at(70), 100, 1, BUY)]))
    messages += one.feed(replace(batch([(at(190), 100, 1, BUY)], first=2), gap_from_ns=at(80)))
    messages += one.feed(batch([(at(250), 100, 1, BUY)], first=3))
    messages += one.feed(batch(first=4, watermark=at(400)))
    assert [bar.key.ordinal for bar in bars_of(messages)] == [0, 1, 3, 4]
    assert gaps(messages) == [(1, 0), (3, 0)]


def test_a_gap_that_ends_with_a_watermark_touches_the_bars_up_to_it():
    one = live("1m")
    messages = one.feed(replace(batch(watermark=at(60)), gap_from_ns=at(20)))
    messages += one.feed(batch([(at(61), 100, 1, BUY)]))
    messages += one.feed(batch(first=1, watermark=at(200)))
    assert (len(bars_of(messages)), gaps(messages)) == (1, [])


def test_a_gap_that_reaches_into_closed_bars_is_their_revision():
    one = live("1m")
    one.feed(batch([(at(10), 100, 1, BUY), (at(70), 100, 1, BUY), (at(130), 100, 1, BUY)]))
    messages = one.feed(replace(batch([(at(140), 100, 1, BUY)], first=3), gap_from_ns=at(90)))
    assert gaps(messages) == [(1, 1)]
    assert gaps(one.feed(batch(first=4, watermark=at(200)))) == [(2, 0)]


@pytest.mark.parametrize(("bars", "ordinals"), [("1m", [1]), ("ticks:2", [0])])
def test_a_builder_that_has_not_seen_a_bars_beginning_says_so(bars: str, ordinals: list[int]):
    one = LiveBuilder(
        tape=TAPE,
        venue=VENUE,
        contract=CONTRACT,
        calendar=CALENDAR,
        hours=RTH,
        spec=parse_bar_spec(bars),
        ticks_per_row=1,
    )
    rows = [(at(70 + 13 * n), 100, 1, BUY) for n in range(12)]
    messages = one.feed(batch(rows, first=977))
    assert [bar.key.ordinal for bar in bars_of(messages) if bar.gap] == ordinals
    assert len(bars_of(messages)) > len(ordinals)


def test_a_tick_bar_after_a_gap_may_lack_prints_of_its_beginning():
    one = live("ticks:2")
    messages = one.feed(batch([(at(1), 100, 1, BUY), (at(2), 100, 1, BUY)]))
    messages += one.feed(replace(batch(first=2, watermark=at(10)), gap_from_ns=at(3)))
    messages += one.feed(batch([(at(11 + n), 100, 1, BUY) for n in range(4)], first=2))
    assert gaps(messages) == [(1, 0)]


def test_prints_that_cannot_be_had_are_asked_for_and_then_marked():
    one = live("1m")
    one.feed(batch([(at(10), 100, 1, BUY)]))
    beyond = batch([(at(130), 100, 1, BUY)], first=40)
    with pytest.raises(Gap):
        one.feed(beyond)
    one.give_up(40)
    # The stream is read again, and what came before comes first.
    assert one.feed(batch([(at(10), 100, 1, BUY)])) == []
    messages = one.feed(beyond) + one.feed(batch([(at(190), 100, 1, BUY)], first=41))
    messages += one.feed(batch(first=42, watermark=at(300)))
    assert gaps(messages) == [(0, 0), (2, 0)]
    assert [bar.key.ordinal for bar in bars_of(messages)] == [0, 2, 3]


# --- for ever ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [GLOBEX, RTH], ids=lambda hours: hours.id)
def test_weeks_of_prints_are_held_in_bounded_memory(hours: SessionHours):
    one = live("1m", hours=hours)
    index, most, waiting = 0, [], []
    for day in range(10):
        start = OPEN_NS + (day + 1) * DAY_NS - 12 * 60 * MINUTE
        rows = [(start + n * 8 * SECOND, 100 + n % 50, 1 + n % 7, (BUY, SELL)[n % 2]) for n in range(8_000)]
        for place in range(0, len(rows), 1000):
            one.feed(
                TickBatch(TAPE, VENUE, CONTRACT, TickColumns.of(rows[place : place + 1000], index), rows[place][0])
            )
            index += 1000
        most.append(one.kept_bytes)
        waiting.append(one.waiting)
    assert max(most[3:]) <= 3 * max(most[:2])
    # Two sessions of 8,000 prints, each of which would be 25 bytes.
    assert max(most) < 2 * 8_000 * 12
    assert max(waiting) < 2000
