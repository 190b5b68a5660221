"""How prints become messages, and what a silent contract says."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.ingestion.batching import BatchBounds, BatchDraft, idle_watermarks, split, with_idle_watermarks
from leadline.model.market.calendars import calendar
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND, TickColumns, concat
from tests.ingestion.builders import rows_of

CME = calendar("cme")
MS = 1_000_000


def at(text: str) -> int:
    """Nanoseconds of a UTC time such as `2025-06-10 20:59:30`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def prints(*times: int, first_index: int = 0) -> TickColumns:
    return TickColumns.of([(time, 20000, 1, 1) for time in times], first_index)


def counts(drafts: list[BatchDraft]) -> list[int]:
    return [len(draft.ticks) for draft in drafts]


def test_a_message_holds_at_most_so_many_prints() -> None:
    drafts = list(split(prints(*range(10)), BatchBounds(max_ticks=4)))
    assert counts(drafts) == [4, 4, 2]
    assert [draft.ticks.first_index for draft in drafts] == [0, 4, 8]


def test_a_message_may_end_inside_one_timestamp_and_promises_that_time() -> None:
    first, second = split(prints(7, 7, 7), BatchBounds(max_ticks=2))
    assert (first.watermark_ns, second.watermark_ns) == (7, 7)


def test_a_message_spans_at_most_so_much_time() -> None:
    ticks = prints(0, 10 * MS, 10 * MS + 1, 30 * MS)
    assert counts(list(split(ticks, BatchBounds(max_ticks=256, max_span_ns=10 * MS)))) == [2, 1, 1]


def test_a_message_ends_with_the_bar() -> None:
    ticks = prints(NS_PER_MINUTE - 1, NS_PER_MINUTE, NS_PER_MINUTE + 1)
    assert counts(list(split(ticks, BatchBounds(max_ticks=256, boundary_ns=NS_PER_MINUTE)))) == [1, 2]


@given(
    st.lists(st.integers(0, 50), max_size=80).map(sorted),
    st.integers(1, 20),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(1, 20),
)
def test_cuts_never_change_what_the_messages_hold(
    times: list[int], max_ticks: int, span: int | None, boundary: int | None
) -> None:
    ticks = prints(*times, first_index=3)
    drafts = list(split(ticks, BatchBounds(max_ticks, span, boundary)))
    assert rows_of(concat(draft.ticks for draft in drafts)) == rows_of(ticks)
    for number, draft in enumerate(drafts):
        assert 1 <= len(draft.ticks) <= max_ticks
        assert draft.watermark_ns == draft.ticks.time_ns[-1]
        assert span is None or draft.ticks.time_ns[-1] - draft.ticks.time_ns[0] <= span
        assert boundary is None or len(set((draft.ticks.time_ns // boundary).tolist())) == 1
        assert all(later.ticks.time_ns[0] >= draft.watermark_ns for later in drafts[number + 1 :])


def test_a_silent_contract_speaks_each_minute() -> None:
    words = list(idle_watermarks(CME, at("2025-06-10 14:00:30"), at("2025-06-10 14:03:00")))
    assert words == [at("2025-06-10 14:01:00"), at("2025-06-10 14:02:00")]


def test_prints_within_one_minute_leave_no_silence() -> None:
    assert list(idle_watermarks(CME, at("2025-06-10 14:00:00"), at("2025-06-10 14:00:59"))) == []
    assert list(idle_watermarks(CME, at("2025-06-10 14:00:59"), at("2025-06-10 14:01:00"))) == []


def test_a_closure_is_announced_at_the_close_and_then_promised_whole() -> None:
    words = list(idle_watermarks(CME, at("2025-06-06 20:58:10"), at("2025-06-08 22:01:30")))  # Friday to Sunday evening
    assert words == [
        at("2025-06-06 20:59:00"),
        at("2025-06-06 21:00:00"),  # the close
        at("2025-06-08 22:00:00"),  # the opening
        at("2025-06-08 22:01:00"),
    ]


def test_a_holiday_is_one_closure() -> None:
    words = list(idle_watermarks(CME, at("2025-04-17 21:00:00"), at("2025-04-21 12:00:00")))  # over Good Friday
    assert words[0] == at("2025-04-20 22:00:00")


def test_a_market_that_never_closes_speaks_each_minute_of_the_night() -> None:
    always = calendar("24x7")
    words = list(idle_watermarks(always, at("2025-06-06 23:58:00"), at("2025-06-07 00:02:30")))
    assert words == [at(f"2025-06-{time}") for time in ("06 23:59:00", "07 00:00:00", "07 00:01:00", "07 00:02:00")]


def test_gaps_between_messages_are_filled_with_promises_in_order() -> None:
    first, later = at("2025-06-10 14:00:30"), at("2025-06-10 14:02:30")
    drafts = [BatchDraft(prints(first, first + 1), first + 1), BatchDraft(prints(later, first_index=2), later)]
    drafts.append(BatchDraft(TickColumns.empty(3), at("2025-06-10 14:03:30"), final=True))
    said = list(with_idle_watermarks(drafts, CME, at("2025-06-10 14:00:00"), 0))
    assert [(len(draft.ticks), draft.watermark_ns, draft.ticks.first_index) for draft in said] == [
        (2, first + 1, 0),
        (0, at("2025-06-10 14:01:00"), 2),
        (0, at("2025-06-10 14:02:00"), 2),
        (1, later, 2),
        (0, at("2025-06-10 14:03:00"), 3),
        (0, at("2025-06-10 14:03:30"), 3),
    ]
    assert [draft.final for draft in said] == [False] * 5 + [True]


@pytest.mark.parametrize("name", ["cme", "comex", "24x7", "nyse"])
@given(data=st.data())
def test_promises_rise_and_are_never_later_than_what_follows(name: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(at("2025-03-01 00:00:00"), at("2025-12-30 00:00:00")))
    gap = data.draw(st.integers(0, 5 * 24 * 60 * NS_PER_MINUTE))
    words = list(idle_watermarks(calendar(name), begin, begin + gap))
    assert words == sorted(set(words))
    assert all(begin < word < begin + gap for word in words)
