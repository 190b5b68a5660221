"""The tape of a run: complete, in order, resumable at any message, and played at a pace."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.ingestion.batching import BatchBounds, BatchDraft
from leadline.ingestion.raw import RawColumns
from leadline.ingestion.sources import Day, SimulatedSource
from leadline.ingestion.tape import ContractTape, Pace, Position, in_tape_order
from leadline.model.ids import ContractId
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND, concat
from tests.ingestion.builders import Row, printed, raw_of, rows_of

MES = ContractId("MESM2025")
MONDAY, TUESDAY = date(2025, 6, 9), date(2025, 6, 10)
THREE_EACH = BatchBounds(3)
BEGIN = int(datetime(2025, 6, 9, 14, tzinfo=UTC).timestamp()) * NS_PER_SECOND


class Recorded:
    """A source that says the given rows."""

    kind: Literal["sim", "file", "catalog"] = "file"
    content_id = "recorded"

    def __init__(self, rows: Sequence[Row], contract: ContractId = MES, block: int = 7) -> None:
        self.contracts: tuple[ContractId, ...] = (contract,)
        self._rows = list(rows)
        self._block = block

    def days(self, contract: ContractId) -> tuple[date, ...]:
        return (MONDAY,)

    def day(self, contract: ContractId, day: date) -> Day:
        return Day(len(self._rows), min(row[0] for row in self._rows))

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        return 0

    def read(self, contract: ContractId, days: Sequence[date]) -> Iterator[RawColumns]:
        for start in range(0, len(self._rows), self._block):
            yield raw_of(self._rows[start : start + self._block], contract, start)

    def accepted(self, contract: str, days: Sequence[date]) -> None:
        return None


def tape(
    rows: Sequence[Row],
    bounds: BatchBounds = THREE_EACH,
    position: Position | None = None,
    allowed_lateness_ns: int = 0,
) -> ContractTape:
    return ContractTape(Recorded(rows), MES, [MONDAY], bounds, allowed_lateness_ns, position)


def seconds(*offsets: float) -> list[Row]:
    return [printed(BEGIN + int(offset * NS_PER_SECOND)) for offset in offsets]


def told(drafts: Sequence[BatchDraft]) -> list[tuple[int, float, bool]]:
    """(prints, watermark in seconds from the first, final) of each message."""
    return [(len(draft.ticks), (draft.watermark_ns - BEGIN) / NS_PER_SECOND, draft.final) for draft in drafts]


def test_a_tape_begins_with_its_first_time_and_ends_with_its_last() -> None:
    assert told(list(tape(seconds(0, 1, 2, 3)).drafts())) == [
        (0, 0, False),
        (3, 2, False),
        (1, 3, False),
        (0, 3, True),
    ]


def test_silence_between_messages_is_spoken() -> None:
    assert told(list(tape(seconds(0, 130), BatchBounds(1)).drafts())) == [
        (0, 0, False),
        (1, 0, False),
        (0, 60, False),
        (0, 120, False),
        (1, 130, False),
        (0, 130, True),
    ]


def test_a_simulated_tape_goes_on_until_its_last_bars_are_known() -> None:
    source = SimulatedSource((MES,), seed=1)
    drafts = list(ContractTape(source, MES, (TUESDAY,), BatchBounds(256), 0).drafts())
    close = int(datetime(2025, 6, 10, 21, tzinfo=UTC).timestamp()) * NS_PER_SECOND
    assert drafts[0].watermark_ns == close - 23 * 60 * NS_PER_MINUTE
    assert drafts[-2].watermark_ns == close
    assert (drafts[-1].watermark_ns, drafts[-1].final) == (close + 2 * NS_PER_SECOND, True)
    assert sum(len(draft.ticks) for draft in drafts) == source.day(MES, TUESDAY).prints


OFFSETS = st.lists(st.integers(0, 200), min_size=1, max_size=40)


@settings(max_examples=60)
@given(OFFSETS, st.integers(1, 9), st.integers(1, 9), st.integers(0, 100), st.integers(0, 5))
def test_a_tape_resumed_at_any_message_goes_on_as_if_nothing_had_happened(
    offsets: list[int], first_cut: int, later_cut: int, stop: int, grace_s: int
) -> None:
    rows, allowed_lateness_ns = seconds(*offsets), grace_s * NS_PER_SECOND
    whole = list(tape(rows, BatchBounds(first_cut), allowed_lateness_ns=allowed_lateness_ns).drafts())
    done = whole[: stop % len(whole) + 1]
    last = done[-1]
    position = Position(last.ticks.last_index + 1, last.watermark_ns, last.final)
    rest = list(tape(rows, BatchBounds(later_cut), position, allowed_lateness_ns).drafts())
    together = [*done, *rest]
    assert rows_of(concat(draft.ticks for draft in together)) == rows_of(concat(draft.ticks for draft in whole))
    assert [draft.final for draft in together] == [False] * (len(together) - 1) + [True]
    assert together[-1].watermark_ns == whole[-1].watermark_ns
    for before, after in pairwise(together):
        assert before.watermark_ns <= after.watermark_ns
        assert not len(after.ticks) or after.ticks.time_ns[0] >= before.watermark_ns


def test_contracts_go_out_in_the_order_of_the_tape() -> None:
    es, mes = (
        ContractTape(Recorded(seconds(*offsets), contract), contract, [MONDAY], BatchBounds(1), 0)
        for contract, offsets in ((ContractId("ESM2025"), (0, 2, 4)), (MES, (1, 2, 3)))
    )
    order = [
        (each.contract, (draft.watermark_ns - BEGIN) // NS_PER_SECOND)
        for each, draft in in_tape_order([es, mes])
        if len(draft.ticks)
    ]
    assert order == [("ESM2025", 0), (MES, 1), ("ESM2025", 2), (MES, 2), (MES, 3), ("ESM2025", 4)]


def test_what_is_kept_out_is_counted_and_the_indices_stay_contiguous() -> None:
    bad = printed(BEGIN + NS_PER_SECOND, "5000.10")
    mixed = tape([*seconds(0), bad, *seconds(2)])
    drafts = list(mixed.drafts())
    assert concat(draft.ticks for draft in drafts).last_index == 1
    assert mixed.tally.quarantined() == {"off_grid": 1}


@pytest.mark.parametrize(("speed", "expected"), [(1, 30.0), (60, 0.5)])
def test_a_message_is_due_when_its_time_on_the_tape_has_come(speed: float, expected: float) -> None:
    pace = Pace(speed, from_ns=BEGIN)
    assert pace.due_seconds(BEGIN) == 0
    assert pace.due_seconds(BEGIN + 30 * NS_PER_SECOND) == expected


def test_history_is_due_at_once_and_closures_take_no_time() -> None:
    pace = Pace(1, from_ns=BEGIN)
    assert pace.due_seconds(BEGIN - 5 * NS_PER_MINUTE) == 0
    assert pace.due_seconds(BEGIN + 10 * NS_PER_SECOND) == 10
    weekend = BEGIN + 10 * NS_PER_SECOND + 49 * 60 * NS_PER_MINUTE
    assert pace.due_seconds(weekend) == 70
    assert pace.due_seconds(weekend + NS_PER_SECOND) == 71
