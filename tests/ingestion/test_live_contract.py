"""One contract of the tape `live`: what goes out at once, what is late, and where something may be missing."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from leadline.ingestion.batching import BatchDraft
from leadline.ingestion.live.contract import AHEAD_NS, LiveContract, MessageBounds
from leadline.ingestion.raw import RawColumns
from leadline.ingestion.tape import Position
from leadline.model.ids import ContractId
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND, SenderPosition

MES = ContractId("MESZ2026")
OPEN_NS = int(datetime(2026, 11, 24, 14, 30, tzinfo=UTC).timestamp()) * NS_PER_SECOND
BOUNDS = MessageBounds(256, 10_000_000)
WIDE = MessageBounds(256, NS_PER_MINUTE)
POINT = 1_000_000_000


def contract(next_index: int = 0) -> LiveContract:
    sender = SenderPosition(last_time_ns=OPEN_NS, last_price=24_000)
    return LiveContract(MES, Position(next_index, OPEN_NS, sender=sender))


def prints(*seconds: float, price: int = 6000) -> RawColumns:
    times = np.array([OPEN_NS + round(each * NS_PER_SECOND) for each in seconds], dtype=np.int64)
    ones = np.ones(len(times), dtype=np.int64)
    return RawColumns(MES, times, ones * price * POINT, ones * POINT, ones, np.arange(len(times)), "test")


def seconds(drafts: Sequence[BatchDraft]) -> list[list[float]]:
    return [[(int(at) - OPEN_NS) / NS_PER_SECOND for at in draft.ticks.time_ns] for draft in drafts]


def now(at: float) -> int:
    return OPEN_NS + round(at * NS_PER_SECOND)


def test_prints_in_order_wait_for_nobody() -> None:
    drafts = contract().take(prints(1, 1.001, 1.002), now(1.1), BOUNDS)
    assert seconds(drafts) == [[1, 1.001, 1.002]]
    assert drafts[0].watermark_ns == now(1.002)


def test_prints_that_arrive_together_are_put_in_order() -> None:
    assert seconds(contract().take(prints(2, 1, 3), now(3), WIDE)) == [[1, 2, 3]]


def test_source_indices_go_on_from_those_of_an_earlier_process() -> None:
    mine = contract(next_index=70)
    first = mine.take(prints(1, 2), now(2), WIDE)
    late = mine.take(prints(0.5), now(2), WIDE)
    then = mine.take(prints(3), now(3), WIDE)
    assert [draft.ticks.first_index for draft in (*first, *late, *then)] == [70, 72, 73]


def test_a_print_older_than_a_watermark_goes_out_late_and_by_itself() -> None:
    mine = contract()
    mine.reach(now(10), BOUNDS)
    drafts = mine.take(prints(9.5, 10.5), now(11), WIDE)
    assert [(draft.late, draft.watermark_ns) for draft in drafts] == [(True, now(10)), (False, now(10.5))]
    assert seconds(drafts) == [[9.5], [10.5]]
    assert mine.late == 1


def test_a_faulty_late_print_is_kept_out_and_counted() -> None:
    mine = contract()
    mine.reach(now(10), BOUNDS)
    drafts = mine.take(prints(9, 9.5, price=0), now(11), WIDE)
    assert drafts == []
    assert mine.tally.quarantined() == {"zero_price": 2}


def test_a_watermark_that_is_no_news_makes_no_message() -> None:
    mine = contract()
    (first,) = mine.reach(now(1), BOUNDS)
    assert (first.watermark_ns, len(first.ticks)) == (now(1), 0)
    assert mine.reach(now(1), BOUNDS) == []
    assert mine.reach(now(0.5), BOUNDS) == []


def test_a_message_ends_between_two_instants() -> None:
    same = MessageBounds(2, NS_PER_MINUTE)
    assert seconds(contract().take(prints(1, 2, 2, 2, 3), now(3), same)) == [[1, 2, 2, 2], [3]]


def test_a_message_spans_no_more_than_its_bound() -> None:
    assert seconds(contract().take(prints(1, 1.009, 1.02), now(2), BOUNDS)) == [[1, 1.009], [1.02]]


def test_a_clock_that_is_far_ahead_moves_no_watermark() -> None:
    mine = contract()
    ahead = now(3) + AHEAD_NS
    drafts = mine.take(prints(1, (ahead - OPEN_NS) / NS_PER_SECOND + 60), now(1), WIDE)
    assert seconds(drafts) == [[1]]
    assert mine.watermark_ns == now(1)
    after = [draft for at in range(2, 9) for draft in mine.take(prints(at), now(at), WIDE)]
    assert [at for part in seconds(after) for at in part] == list(range(2, 9))
    assert mine.tally.quarantined() == {"clock_ahead": 1}
    assert mine.watermark_ns == now(8)


def test_the_message_after_a_gap_says_since_when() -> None:
    mine = contract()
    mine.miss(now(0), now(30))
    mine.miss(now(30), now(60))
    first, *rest = mine.take(prints(61, 62), now(62), BOUNDS)
    assert first.gap_from_ns == now(0)
    assert all(draft.gap_from_ns == 0 for draft in rest)
    assert (mine.gaps, mine.gap_ns) == (1, 60 * NS_PER_SECOND)


def test_a_gap_that_is_told_in_parts_is_one() -> None:
    mine = contract()
    mine.miss(now(0), now(1))
    assert mine.reach(now(1), BOUNDS)[0].gap_from_ns == now(0)
    mine.miss(now(1), now(2))
    assert mine.reach(now(2), BOUNDS)[0].gap_from_ns == now(1)
    assert (mine.gaps, mine.gap_ns) == (1, 2 * NS_PER_SECOND)
    mine.miss(now(3), now(4))
    assert mine.gaps == 2


def test_nothing_is_missing_while_the_market_is_closed() -> None:
    mine = contract()
    closed_ns = int(datetime(2026, 11, 24, 22, 0, tzinfo=UTC).timestamp()) * NS_PER_SECOND
    mine.miss(closed_ns, closed_ns + 30 * NS_PER_MINUTE)
    assert mine.reach(closed_ns + 31 * NS_PER_MINUTE, BOUNDS)[0].gap_from_ns == 0
    assert mine.gaps == 0


def test_a_closed_market_has_one_watermark_a_minute() -> None:
    mine = contract()
    assert mine.is_due(now(0.2))
    closed_ns = int(datetime(2026, 11, 24, 22, 0, tzinfo=UTC).timestamp()) * NS_PER_SECOND
    assert mine.is_due(closed_ns + 1)  # that it has closed
    mine.reach(closed_ns + 1, BOUNDS)
    assert not mine.is_due(closed_ns + NS_PER_MINUTE // 2)
    assert mine.is_due(closed_ns + NS_PER_MINUTE + 1)
