"""Whatever the batches, the bars are those of the prints."""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadline.aggregation import buffer
from leadline.analysis.merge import SeriesMerge
from leadline.model.bars import BarMessage
from leadline.model.durations import parse_bar_spec
from tests.aggregation.builders import (
    BUY,
    GLOBEX,
    MINUTE,
    OPEN_NS,
    RTH,
    SECOND,
    SELL,
    UNKNOWN,
    Print,
    bars_of,
    batches,
    builder,
    ns,
    plain,
    run,
)
from tests.aggregation.reference import reference_bars

# From the Thursday before, through a weekend, to the Monday after: opens, closes and a break lie inside.
FIRST_NS = ns("2025-11-20T13:00:00")

SPECS = ["1m", "5m", "7m", "75m", "4h", "1d", "ticks:1", "ticks:7", "volume:1", "volume:40"]
# Minutes after it.
ANY_TIME = st.integers(0, 30 * 60)
AROUND_THE_OPEN = st.integers(87, 90)
TIME = [spec for spec in SPECS if ":" not in spec]


@st.composite
def tapes(draw: st.DrawFn, minutes: st.SearchStrategy[int] = ANY_TIME) -> list[Print]:
    """Prints in clusters: equal times, jumps of hours over closes, steps over several bars."""
    steps = st.sampled_from([0, 0, 0, 1, SECOND, 20 * SECOND, MINUTE, 2 * MINUTE, 7 * MINUTE, 3 * 60 * MINUTE])
    row = st.tuples(steps, st.integers(-3, 3), st.integers(1, 30), st.sampled_from([SELL, UNKNOWN, BUY]))
    time, price, rows = FIRST_NS + draw(minutes) * MINUTE, 20_000, []
    for step, move, size, side in draw(st.lists(row, min_size=1, max_size=80)):
        time += step
        price += move
        rows.append((time, price, size, side))
    return rows


hours = st.sampled_from([RTH, GLOBEX])
ends = st.sampled_from([0, SECOND, 2 * SECOND, 10 * MINUTE, 12 * 60 * MINUTE])


@settings(max_examples=300, deadline=None)
@given(tapes(), st.lists(st.integers(0, 80)), st.sampled_from(SPECS), hours, st.integers(1, 4), ends)
def test_bars_are_the_same_print_by_print_in_any_batches(rows, cuts, spec, session, ticks_per_row, after):
    end_ns = rows[-1][0] + after
    messages = run(builder(spec, hours=session, ticks_per_row=ticks_per_row), batches(rows, cuts, end_ns=end_ns))
    bars = [plain(bar) for bar in bars_of(messages)]
    assert bars == reference_bars(rows, end_ns, parse_bar_spec(spec), session, ticks_per_row)


@settings(max_examples=100, deadline=None)
@given(tapes(), st.lists(st.integers(0, 80)), st.sampled_from(SPECS), st.integers(1, 20), st.integers(1, 6))
def test_bars_do_not_depend_on_how_much_is_folded_at_once(rows, cuts, spec, capacity, joined):
    end_ns = rows[-1][0] + MINUTE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buffer, "CAPACITY", capacity)
        patch.setattr(buffer, "_BATCHES", joined)
        messages = run(builder(spec), batches(rows, cuts, end_ns=end_ns))
    assert [plain(bar) for bar in bars_of(messages)] == reference_bars(rows, end_ns, parse_bar_spec(spec), RTH, 1)


@settings(max_examples=200, deadline=None)
@given(tapes(), st.lists(st.integers(0, 80)), st.sampled_from(SPECS), hours, ends)
def test_no_bar_follows_a_promise_that_it_would_break(rows, cuts, spec, session, after):
    end_ns = rows[-1][0] + after
    messages = run(builder(spec, hours=session), batches(rows, cuts, end_ns=end_ns))
    for before, message in pairwise(messages):
        assert message.progress_ns >= before.progress_ns
    for message in messages:
        if message.bar is not None:
            assert message.progress_ns == message.bar.known_at_ns
    assert messages[-1].final
    assert messages[-1].progress_ns == end_ns


@settings(max_examples=200, deadline=None)
@given(tapes(), st.lists(st.integers(0, 80)), st.permutations(TIME), hours)
def test_a_builder_of_time_bars_promises_at_once_what_a_bar_of_another_waits_for(rows, cuts, specs, session):
    bars_told, waited_for = builder(specs[0], hours=session), builder(specs[1], hours=GLOBEX)
    known_ns = promised_ns = -1
    for each in batches(rows, cuts, end_ns=rows[-1][0] + MINUTE):
        known_ns = max([known_ns, *(bar.known_at_ns for bar in bars_of(bars_told.feed(each)))])
        promised_ns = max([promised_ns, *(message.progress_ns for message in waited_for.feed(each))])
        assert promised_ns > known_ns or each.watermark_ns <= known_ns or each.final


@settings(max_examples=200, deadline=None)
@given(tapes(), st.lists(st.integers(0, 80)), st.sampled_from(SPECS), hours, ends)
def test_no_bar_follows_a_promise_ahead_of_the_tape(rows, cuts, spec, session, after):
    quiet_until_ns = 0
    for message in run(builder(spec, hours=session), batches(rows, cuts, end_ns=rows[-1][0] + after)):
        assert message.bar is None or message.bar.known_at_ns >= quiet_until_ns
        assert message.quiet_until_ns >= quiet_until_ns
        quiet_until_ns = message.quiet_until_ns


@settings(max_examples=300, deadline=None)
@given(
    tapes() | tapes(AROUND_THE_OPEN),
    st.just(range(80)) | st.lists(st.integers(0, 80)),
    st.sampled_from(SPECS),
    st.lists(st.sampled_from(TIME), max_size=2),
    hours,
)
@example([(OPEN_NS + second * SECOND, 9, 1, BUY) for second in (-60, -40, -20, 0)], range(80), "ticks:1", ["1h"], RTH)
def test_a_bar_waits_for_no_print_beyond_those_that_made_it_known(rows, cuts, own, further, session):
    """However its bars close: what other series promise ahead lets each bar out with the batch that it is told by."""
    specs = {**{f"further{number}": spec for number, spec in enumerate(further)}, "own": own}
    builders = {name: builder(spec, hours=session) for name, spec in specs.items()}
    merge, told = SeriesMerge(tuple(builders)), {name: deque[BarMessage]() for name in builders}
    for each in batches(rows, cuts, end_ns=rows[-1][0] + MINUTE):
        for name, one in builders.items():
            told[name] += one.feed(each)
        own_bars = [message.bar for message in told["own"] if message.bar is not None]
        out = []
        while told[merge.wanted]:
            out += merge.take(told[merge.wanted].popleft())
        assert [message.bar for name, message in out if name == "own" and message.bar is not None] == own_bars


@settings(max_examples=200, deadline=None)
@given(tapes(), st.lists(st.integers(0, 80)), st.sampled_from(SPECS), hours)
def test_every_print_of_a_session_is_in_exactly_one_bar(rows, cuts, spec, session):
    end_ns = rows[-1][0] + 48 * 60 * MINUTE
    bars = bars_of(run(builder(spec, hours=session), batches(rows, cuts, end_ns=end_ns)))
    times = np.array([row[0] for row in rows])
    inside = np.zeros(len(rows), dtype=bool)
    for opens, closes in {(bar.session_open_ns, bar.session_close_ns) for bar in bars}:
        inside |= (times >= opens) & (times < closes)
    taken = [index for bar in bars for index in range(bar.first_index, bar.last_index + 1)]
    assert taken == np.flatnonzero(inside).tolist()
    assert sum(bar.volume for bar in bars) == sum(row[2] for row, held in zip(rows, inside, strict=True) if held)
    for bar in bars:
        assert int((bar.rows.bid + bar.rows.ask + bar.rows.unknown).sum()) == bar.volume
        assert int((bar.rows.ask - bar.rows.bid).sum()) == bar.delta
        assert int(bar.rows.price[0]) == bar.low
        assert int(bar.rows.price[-1]) == bar.high


@settings(max_examples=100, deadline=None)
@given(tapes(), st.lists(st.integers(0, 80)), st.integers(0, 80), st.integers(0, 80), st.sampled_from(SPECS))
def test_batches_delivered_again_change_nothing(rows, cuts, lost_at, back, spec):
    once = list(batches(rows, cuts, end_ns=rows[-1][0]))
    lost_at = min(lost_at, len(once))
    again = once[:lost_at] + once[max(0, lost_at - back) :]
    assert [plain(bar) for bar in bars_of(run(builder(spec), again))] == [
        plain(bar) for bar in bars_of(run(builder(spec), once))
    ]
