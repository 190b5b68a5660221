"""Batches of prints as messages: what a reader gets is what was said."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.ticks import SenderPosition, TickBatch, TickColumns
from leadline.model.wire.ticks import decode_tick_batch, encode_tick_batch, tick_batch_to_proto

BATCH = TickBatch(RunId("live"), "cme", ContractId("MESZ2025"), TickColumns.of([(10, 5, 1, 1), (11, 6, 2, -1)], 7), 11)


def same(one: TickBatch, other: TickBatch) -> bool:
    return encode_tick_batch(one) == encode_tick_batch(other)


@pytest.mark.parametrize(
    "batch", [BATCH, replace(BATCH, late=True), replace(BATCH, gap_from_ns=1_795_824_000_000_000_000)]
)
def test_a_batch_comes_back_as_it_was_sent(batch: TickBatch) -> None:
    found = decode_tick_batch(encode_tick_batch(batch))
    assert (found.late, found.gap_from_ns) == (batch.late, batch.gap_from_ns)
    assert same(found, batch)
    assert not batch.late or not same(found, replace(batch, late=False))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 127, 128, 2048, 16_384])
@pytest.mark.parametrize("sender", [None, SenderPosition(9, ((11, 12),), 10, -5, {(None, "off_tick"): 3})])
def test_the_bytes_are_those_of_the_message(count: int, sender: SenderPosition | None) -> None:
    sides = np.resize(np.array([-1, 0, 1], dtype=np.int8), count)
    numbers = np.arange(-3, count - 3)
    ticks = TickColumns(10**18 + numbers, numbers, numbers + 4, sides, 7)
    batch = replace(BATCH, ticks=ticks, sender=sender, final=bool(count % 2), late=not count, gap_from_ns=count)
    assert encode_tick_batch(batch) == tick_batch_to_proto(batch).SerializeToString()


def test_a_gap_from_before_all_times_is_refused() -> None:
    with pytest.raises(RefusedMessage, match="gap_from_ns -1"):
        decode_tick_batch(encode_tick_batch(replace(BATCH, gap_from_ns=-1)))
