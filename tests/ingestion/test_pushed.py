"""Prints that a client pushes for one contract."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.ingestion.batching import BatchBounds, BatchDraft
from leadline.ingestion.pushed import PushedContract
from leadline.ingestion.servicer import PushFeed
from leadline.ingestion.tape import Position
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.errors import InvalidInput, RefusedMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.market.hours import SessionHours
from leadline.model.ticks import NS_PER_SECOND, SenderPosition, TickBatch, TickColumns
from leadline.model.v1 import model_pb2
from leadline.model.wire.ticks import decode_tick_batch, encode_tick_batch, tick_batch_from_proto
from tests.ingestion.builders import rows_of

MES = ContractId("MESM2025")
RTH = SessionHours("09:30", "16:00", "America/New_York", id="rth")
# Ten in the morning in New York; times below are ns after it.
TEN = 1_749_564_000_000_000_000

Row = tuple[int, int, int, int]


def pushed(
    next_index: int = 0, watermark: int = 100, allowed_lateness_ns: int = 1000, max_ticks: int = 2
) -> PushedContract:
    return PushedContract(MES, BatchBounds(max_ticks), allowed_lateness_ns, Position(next_index, TEN + watermark))


def give(
    contract: PushedContract, *rows: Row, watermark: int | None = None, index: int | None = None, end: bool = False
) -> list[BatchDraft]:
    """Push rows, which follow those before them unless an index is given."""
    ticks = TickColumns.of((TEN + after, price, size, side) for after, price, size, side in rows)
    first_index = contract.next_index if index is None else index
    return contract.take(ticks, first_index, 0 if watermark is None else TEN + watermark, end=end)


def told(drafts: list[BatchDraft]) -> list[tuple[list[int], int, bool]]:
    return [((draft.ticks.time_ns - TEN).tolist(), draft.watermark_ns - TEN, draft.final) for draft in drafts]


def test_a_watermark_releases_the_prints_before_it_and_is_passed_on() -> None:
    contract = pushed()
    assert give(contract, (110, 20000, 1, 1), (105, 20001, 2, -1)) == []
    drafts = give(contract, (120, 20000, 1, 0), watermark=130)
    assert told(drafts) == [([105, 110], 110, False), ([120], 120, False), ([], 130, False)]
    assert rows_of(drafts[0].ticks) == [(TEN + 105, 20001, 2, -1), (TEN + 110, 20000, 1, 1)]
    assert [draft.ticks.first_index for draft in drafts] == [0, 2, 3]


def test_a_contract_without_prints_can_still_promise() -> None:
    contract = pushed()
    assert told(give(contract, watermark=500)) == [([], 500, False)]
    assert give(contract, watermark=500) == []
    assert give(contract, watermark=400) == []


def test_what_breaks_a_promise_or_is_no_print_is_counted() -> None:
    contract = pushed()
    give(contract, watermark=500)
    give(contract, (499, 20000, 1, 1), (500, 20000, 1, 1), (501, 0, 1, 1), (502, 2**62, 1, 1), watermark=503)
    assert contract.tally.quarantined() == {"time_backwards": 1, "zero_price": 1, "overflow": 1}
    assert contract.next_index == 4


def test_the_tape_ends_once_with_all_that_was_held() -> None:
    contract = pushed()
    give(contract, (110, 20000, 1, 1))
    assert told(contract.finish()) == [([110], 110, False), ([], 110, True)]
    assert contract.final
    assert contract.finish() == []
    with pytest.raises(InvalidInput, match="a contract whose prints have not ended"):
        give(contract, (120, 20000, 1, 1))


def test_a_batch_can_end_the_tape_and_may_be_sent_again() -> None:
    contract = pushed()
    assert told(give(contract, (110, 20000, 1, 1), watermark=115, end=True)) == [
        ([110], 110, False),
        ([], 115, False),
        ([], 115, True),
    ]
    assert give(contract, (110, 20000, 1, 1), watermark=115, index=0, end=True) == []
    assert contract.overlapping == 1


def test_what_was_taken_is_dropped_and_counted_whatever_it_says_now() -> None:
    contract = pushed()
    give(contract, (110, 20000, 1, 1), (110, 20000, 1, 1), (110, 20000, 2, 1))
    # The same time, price and size again are prints of their own: only the index tells.
    drafts = give(contract, (110, 20000, 1, 1), (110, 20000, 2, 1), (110, 20000, 2, 1), index=1, watermark=120)
    assert [row[2] for draft in drafts for row in rows_of(draft.ticks)] == [1, 1, 2, 2]
    assert contract.overlapping == 2
    assert contract.next_index == 4


@pytest.mark.parametrize("index", [3, 2**62, -1])
@pytest.mark.parametrize("end", [False, True])
def test_a_gap_is_refused_by_contract_and_index_and_changes_nothing(index: int, end: bool) -> None:
    contract = pushed()
    give(contract, (110, 20000, 1, 1), (111, 20000, 1, 1))
    with pytest.raises(InvalidInput, match=rf"^first_index of MESM2025: got {index}, expected 2, the index to go on"):
        give(contract, (112, 20000, 1, 1), index=index, watermark=500, end=end)
    assert told(give(contract, (112, 20000, 1, 1), watermark=112)) == [([110, 111], 111, False), ([112], 112, False)]


def test_a_restarted_process_goes_on_with_the_next_index_and_keeps_the_promise() -> None:
    contract = pushed(7, 200)
    drafts = give(contract, (199, 20000, 1, 1), (200, 20000, 1, 1), watermark=200)
    assert told(drafts) == [([200], 200, False)]
    assert drafts[0].ticks.first_index == 7
    assert contract.tally.quarantined() == {"time_backwards": 1}


def test_a_restarted_process_asks_for_what_was_held_and_drops_what_was_not() -> None:
    """The second print is held, the third one is out and the fourth no print."""
    contract = pushed(allowed_lateness_ns=1000)
    drafts = give(
        contract, (110, 20000, 1, 1), (190, 20000, 2, 1), (111, 20000, 3, 1), (112, 0, 4, 1), (113, 20000, 5, 1)
    )
    assert drafts == []
    (draft,) = give(contract, watermark=112)[:1]
    assert draft.sender is not None
    assert (draft.sender.next_index, draft.sender.settled) == (1, ((2, 4),))
    again = restarted([draft])
    assert again.next_index == 1
    assert again.tally.quarantined() == {"zero_price": 1}
    rest = [(190, 20000, 2, 1), (111, 20000, 3, 1), (112, 0, 4, 1), (113, 20000, 5, 1)]
    assert told(give(again, *rest, index=1, end=True)) == [([113, 190], 190, False), ([], 190, True)]
    assert again.tally.quarantined() == {"zero_price": 1}
    assert (again.next_index, again.overlapping) == (5, 2)


def restarted(published: Sequence[BatchDraft], max_ticks: int = 2, allowed_lateness_ns: int = 1000) -> PushedContract:
    """A process that finds these messages on the stream."""
    position = Position(0, TEN)
    for draft in published[-1:]:
        sent = TickBatch(RunId("tape"), "cme", MES, draft.ticks, draft.watermark_ns, draft.final, draft.sender)
        batch = decode_tick_batch(encode_tick_batch(sent))
        assert batch.sender == draft.sender
        position = Position(
            batch.ticks.last_index + 1, batch.watermark_ns, batch.final, batch.sender or SenderPosition()
        )
    contract = PushedContract(MES, BatchBounds(max_ticks), allowed_lateness_ns, position)
    contract.tally.outside.hours = (RTH,)
    return contract


class Sender:
    """Pushes rows in batches of some sizes, each from a little before the index to go on from, and says the end.

    kills: with each batch, how many of the messages that are due are out when the process is killed; None: it is not.
    """

    def __init__(self, rows: Sequence[Row], watermarks: bool) -> None:
        self.rows = rows
        self.watermarks = watermarks

    def push(self, steps: Iterable[tuple[int, int, int | None]]) -> tuple[list[BatchDraft], PushedContract, int]:
        published: list[BatchDraft] = []
        contract = restarted(published)
        sent = 0
        for size, back, kill in steps:
            index = max(contract.next_index - back, 0)
            sent += len(self.rows[index : index + size])
            due = self._batch(contract, index, index + size)
            published += due[:kill]
            if kill is not None:
                contract = restarted(published)
        published += self._batch(contract, contract.next_index, len(self.rows), end=True)
        return published, contract, sent

    def _batch(self, contract: PushedContract, begin: int, stop: int, *, end: bool = False) -> list[BatchDraft]:
        if contract.final:
            return []
        # What every print behind this batch is not older than.
        older = min((row[0] for row in self.rows[stop:]), default=0) if self.watermarks else None
        return give(contract, *self.rows[begin:stop], index=begin, watermark=older, end=end)


STEPS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4), st.none() | st.integers(0, 4)), max_size=12)
# Times that are often equal and often late: by less than the grace, and by more.
TIMES = st.lists(st.sampled_from([0, 0, 0, 1, 400, 400, 900, -300, -900, -1500]), min_size=1, max_size=30)


def walk(steps: Sequence[int]) -> list[int]:
    """Times that go on by these steps."""
    newest = 10_000
    times = []
    for step in steps:
        times.append(newest + step)
        newest = max(newest, times[-1])
    return times


@settings(max_examples=100, deadline=None)
@given(times=TIMES, faulty=st.sets(st.integers(0, 29)), steps=STEPS, watermarks=st.booleans())
def test_each_print_is_published_or_counted_once_whatever_is_cut_sent_again_or_killed(
    times: list[int], faulty: set[int], steps: list[tuple[int, int, int | None]], watermarks: bool
) -> None:
    """The size of a print is its number: so it is known again."""
    rows = [(time, 0 if number in faulty else 20_000, number + 1, 1) for number, time in enumerate(walk(times))]
    published, contract, _ = Sender(rows, watermarks).push(steps)
    out = [row for draft in published for row in rows_of(draft.ticks)]
    numbers = [row[2] - 1 for row in out]
    assert len(set(numbers)) == len(numbers)
    assert not faulty & set(numbers)
    assert all(row == (TEN + rows[number][0], *rows[number][1:]) for row, number in zip(out, numbers, strict=True))
    kept_out = contract.tally.quarantined()
    assert kept_out.get("zero_price", 0) == len([number for number in faulty if number < len(rows)])
    assert sum(kept_out.values()) == len(rows) - len(out)
    assert contract.next_index == len(rows)
    watermark, index = TEN, 0
    for draft in published:
        assert draft.ticks.first_index == index
        assert not len(draft.ticks) or draft.ticks.time_ns[0] >= watermark
        assert draft.watermark_ns >= watermark
        watermark, index = draft.watermark_ns, draft.ticks.last_index + 1
    assert [draft.final for draft in published] == [False] * (len(published) - 1) + [True]


@settings(max_examples=60, deadline=None)
@given(times=TIMES, steps=STEPS)
def test_the_tape_is_the_same_as_if_nothing_had_happened(
    times: list[int], steps: list[tuple[int, int, int | None]]
) -> None:
    rows = [(time, 20_000, number + 1, 1) for number, time in enumerate(walk(times))]
    whole, counted, _ = Sender(rows, watermarks=False).push([])
    cut, again, _ = Sender(rows, watermarks=False).push(steps)
    assert [row for draft in cut for row in rows_of(draft.ticks)] == [
        row for draft in whole for row in rows_of(draft.ticks)
    ]
    assert again.tally.counts() == counted.tally.counts()


@given(sizes=st.lists(st.integers(1, 7), max_size=12), back=st.integers(0, 5))
def test_what_is_sent_again_is_counted_to_the_print(sizes: list[int], back: int) -> None:
    rows = [(10_000 + number, 20_000, number + 1, 1) for number in range(40)]
    published, contract, sent = Sender(rows, watermarks=False).push((size, back, None) for size in sizes)
    taken = max((0, *_reached(sizes, back)))
    assert contract.overlapping == sent - taken
    assert sum(len(draft.ticks) for draft in published) == 40


def _reached(sizes: Sequence[int], back: int) -> list[int]:
    """The index to go on from after each batch of 40 prints."""
    index, found = 0, []
    for size in sizes:
        index = max(index, min(max(index - back, 0) + size, 40))
        found.append(index)
    return found


def test_prints_outside_every_session_are_counted_on_over_a_restart() -> None:
    hour = 3600 * NS_PER_SECOND
    rows = [(-hour + number * 2000, 20_000, number + 1, 1) for number in range(10)]
    contract = PushedContract(MES, BatchBounds(2), 1000, Position(0, TEN - 2 * hour))
    contract.tally.outside.hours = (RTH,)
    (first, *_) = give(contract, *rows[:6])
    again = restarted([first])
    give(again, *rows[again.next_index :], end=True)
    (counted,) = Counter(again.tally.counts()).values()
    assert counted == 10


@pytest.mark.parametrize("aggressor", [257, 255, 256, -129])
def test_an_aggressor_that_does_not_fit_is_refused_and_never_becomes_another(aggressor: int) -> None:
    message = model_pb2.TickBatch(contract=MES, time_ns=[TEN], price=[24_000], size=[1], aggressor=[aggressor])
    with pytest.raises(ValueError, match="an aggressor of a tick batch is none of 1, -1 and 0"):
        tick_batch_from_proto(message)


def later_month(next_index: int = 0) -> PushedContract:
    return PushedContract(ContractId("MESU2025"), BatchBounds(2), 1000, Position(next_index, TEN + 100), later=True)


def test_a_later_month_that_is_left_alone_goes_along_with_the_others() -> None:
    september = later_month()
    assert told(september.follow(TEN + 90)) == []
    assert told(september.follow(TEN + 150)) == [([], 150, False)]
    assert told(september.follow(TEN + 150)) == []
    assert told(september.finish()) == [([], 150, True)]
    assert told(september.follow(TEN + 200)) == []


def test_a_month_that_is_pushed_keeps_its_own_time() -> None:
    for contract in (later_month(next_index=7), pushed()):
        assert contract.follow(TEN + 150) == []
    september = later_month()
    give(september, (110, 20000, 1, 1), watermark=120)
    assert september.follow(TEN + 500) == []
    assert september.watermark_ns == TEN + 120


async def test_a_client_that_pushes_one_month_holds_no_account_up_by_the_next() -> None:
    june = PushedContract(MES, BatchBounds(2), 1000, Position(0, TEN + 100))
    feed = PushFeed([june, later_month()])
    found: list[tuple[str, int, bool]] = []

    async def publish() -> None:
        async for contract, drafts in feed.drafts():
            found.extend((contract, draft.watermark_ns - TEN, draft.final) for draft in drafts)
            feed.published()

    async def client() -> AsyncIterator[ingestion_pb2.PublishTicksRequest]:
        for watermark in (200, 300):
            batch = model_pb2.TickBatch(contract=MES, watermark_ns=TEN + watermark)
            yield ingestion_pb2.PublishTicksRequest(batch=batch, first_index=0)
        for contract in (MES, "MESU2025"):
            batch = model_pb2.TickBatch(contract=contract)
            yield ingestion_pb2.PublishTicksRequest(batch=batch, first_index=0, end=True)

    publishing = asyncio.create_task(publish())
    assert (await feed.take(client())).accepted == 0
    await publishing
    assert found == [
        (MES, 200, False),
        ("MESU2025", 200, False),
        (MES, 300, False),
        ("MESU2025", 300, False),
        (MES, 300, True),
        ("MESU2025", 300, True),
    ]


@pytest.mark.parametrize(
    "sender",
    [
        model_pb2.SenderPosition(next_index=-1),
        model_pb2.SenderPosition(next_index=5, settled_from=[5], settled_until=[7]),
        model_pb2.SenderPosition(next_index=5, settled_from=[7], settled_until=[7]),
        model_pb2.SenderPosition(next_index=5, settled_from=[7]),
        model_pb2.SenderPosition(kept_out=[model_pb2.KeptOutDays(reason="off_grid", day=[1], prints=[1, 2])]),
        model_pb2.SenderPosition(kept_out=[model_pb2.KeptOutDays(reason="off_grid", day=[1], prints=[-1])]),
    ],
)
def test_a_senders_position_that_cannot_be_is_refused(sender: model_pb2.SenderPosition) -> None:
    payload = model_pb2.TickBatch(tape="t", venue="cme", contract=MES, last_index=-1, sender=sender).SerializeToString()
    with pytest.raises(RefusedMessage):
        decode_tick_batch(payload)
