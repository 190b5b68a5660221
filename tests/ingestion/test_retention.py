"""How much room a tape needs, and what may be removed from it."""

from datetime import UTC, date, datetime

from leadline.ingestion.batching import BatchBounds
from leadline.ingestion.retention import (
    BYTES_PER_MESSAGE,
    is_disposable,
    last_close_before,
    needed_bytes,
    session_bytes,
)
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import calendar
from leadline.model.ticks import NS_PER_SECOND, TickBatch, TickColumns
from leadline.model.wire.ticks import encode_tick_batch

CME = calendar("cme")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def batch(watermark_ns: int, last_index: int) -> TickBatch:
    ticks = TickColumns.of([(watermark_ns, 20000, 1, 1)], first_index=last_index)
    return TickBatch(RunId("tape"), "cme", ContractId("MESM2025"), ticks, watermark_ns)


def test_the_last_close_is_that_of_the_session_before_while_a_session_lasts() -> None:
    assert last_close_before(CME, at("2025-06-10 15:00:00")) == at("2025-06-09 21:00:00")
    assert last_close_before(CME, at("2025-06-10 21:00:00")) == at("2025-06-09 21:00:00")  # not passed yet
    assert last_close_before(CME, at("2025-06-10 21:00:01")) == at("2025-06-10 21:00:00")
    assert last_close_before(CME, at("2025-06-08 12:00:00")) == at("2025-06-06 21:00:00")  # on a Sunday


def test_a_message_goes_when_its_session_is_passed_by_all_and_it_is_stored() -> None:
    close = at("2025-06-09 21:00:00")
    assert is_disposable(batch(close, 10), close, stored_index=10)
    assert not is_disposable(batch(close + 1, 10), close, stored_index=10)
    assert not is_disposable(batch(close, 10), close, stored_index=9)


def test_a_message_is_not_larger_than_was_reckoned() -> None:
    ticks = TickColumns.of([(at("2025-06-10 15:00:00") + n, 2**31 - 1, 2**31 - 1, 1) for n in range(256)])
    payload = encode_tick_batch(
        TickBatch(RunId("a" * 20), "cme", ContractId("MESM2025"), ticks, at("2025-06-10 15:00:00"))
    )
    assert len(payload) <= session_bytes(256, BatchBounds(256)) - 1440 * BYTES_PER_MESSAGE


def test_the_room_needed_is_that_of_the_largest_day_of_all_contracts_and_a_message_of_each() -> None:
    monday, tuesday = date(2025, 6, 9), date(2025, 6, 10)
    bounds = BatchBounds(1000)
    needed = needed_bytes([{monday: 50_000, tuesday: 60_000}, {monday: 20_000}], bounds)
    assert needed == session_bytes(50_000, bounds) + session_bytes(20_000, bounds) + 2 * (25_000 + BYTES_PER_MESSAGE)


def test_short_messages_need_more_room() -> None:
    assert session_bytes(50_000, BatchBounds(256, max_span_ns=1)) > 5 * session_bytes(50_000, BatchBounds(256))
