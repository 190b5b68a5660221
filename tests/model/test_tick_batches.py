"""Batches of prints as messages: what a reader gets is what was said."""

from dataclasses import replace

import pytest

from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.wire.ticks import decode_tick_batch, encode_tick_batch

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


def test_a_gap_from_before_all_times_is_refused() -> None:
    with pytest.raises(RefusedMessage, match="gap_from_ns -1"):
        decode_tick_batch(encode_tick_batch(replace(BATCH, gap_from_ns=-1)))
