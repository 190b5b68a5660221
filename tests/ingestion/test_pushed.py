"""Prints that a client pushes for one contract."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from leadline.ingestion.batching import Cuts, Piece
from leadline.ingestion.pushed import PushedContract
from leadline.ingestion.servicer import PushFeed
from leadline.ingestion.tape import Position
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.errors import InvalidInput
from leadline.model.ticks import TickBatch, TickColumns
from leadline.model.v1 import model_pb2
from leadline.runtime.wire import tick_batch_from_proto
from tests.ingestion.builders import rows_of

MES = "MESM2025"
# Ten in the morning in New York; times below are ns after it.
TEN = 1_749_564_000_000_000_000


def pushed(next_index: int = 0, watermark: int = 100, grace_ns: int = 1000, max_ticks: int = 2) -> PushedContract:
    return PushedContract(MES, Cuts(max_ticks), grace_ns, Position(next_index, TEN + watermark))


def batch(*rows: tuple[int, int, int, int], watermark: int | None = None, final: bool = False) -> TickBatch:
    ticks = TickColumns.of((TEN + after, price, size, side) for after, price, size, side in rows)
    return TickBatch("", "cme", MES, ticks, 0 if watermark is None else TEN + watermark, final)


def told(pieces: list[Piece]) -> list[tuple[list[int], int, bool]]:
    return [((piece.ticks.time_ns - TEN).tolist(), piece.watermark_ns - TEN, piece.final) for piece in pieces]


def test_a_watermark_releases_the_prints_before_it_and_is_passed_on() -> None:
    contract = pushed()
    assert contract.take(batch((110, 20000, 1, 1), (105, 20001, 2, -1))) == []
    pieces = contract.take(batch((120, 20000, 1, 0), watermark=130))
    assert told(pieces) == [([105, 110], 110, False), ([120], 120, False), ([], 130, False)]
    assert rows_of(pieces[0].ticks) == [(TEN + 105, 20001, 2, -1), (TEN + 110, 20000, 1, 1)]
    assert [piece.ticks.first_index for piece in pieces] == [0, 2, 3]


def test_a_contract_without_prints_can_still_promise() -> None:
    contract = pushed()
    assert told(contract.take(batch(watermark=500))) == [([], 500, False)]
    assert contract.take(batch(watermark=500)) == []
    assert contract.take(batch(watermark=400)) == []


def test_what_breaks_a_promise_or_is_no_print_is_counted() -> None:
    contract = pushed()
    contract.take(batch(watermark=500))
    contract.take(batch((499, 20000, 1, 1), (500, 20000, 1, 1), (501, 0, 1, 1), (502, 2**62, 1, 1), watermark=503))
    assert contract.tally.quarantined() == {"time_backwards": 1, "zero_price": 1, "overflow": 1}


def test_the_tape_ends_once_with_all_that_was_held() -> None:
    contract = pushed()
    contract.take(batch((110, 20000, 1, 1)))
    assert told(contract.finish()) == [([110], 110, False), ([], 110, True)]
    assert contract.final
    assert contract.finish() == []
    with pytest.raises(InvalidInput, match="a contract whose tape has not ended"):
        contract.take(batch((120, 20000, 1, 1)))


def test_a_batch_can_end_the_tape_itself() -> None:
    assert told(pushed().take(batch((110, 20000, 1, 1), watermark=115, final=True))) == [
        ([110], 110, False),
        ([], 115, False),
        ([], 115, True),
    ]


def test_a_restarted_process_goes_on_with_the_next_index_and_keeps_the_promise() -> None:
    contract = pushed(7, 200)
    pieces = contract.take(batch((199, 20000, 1, 1), (200, 20000, 1, 1), watermark=200))
    assert told(pieces) == [([200], 200, False)]
    assert pieces[0].ticks.first_index == 7
    assert contract.tally.quarantined() == {"time_backwards": 1}


@pytest.mark.parametrize("aggressor", [257, 255, 256, -129])
def test_an_aggressor_that_does_not_fit_is_refused_and_never_becomes_another(aggressor: int) -> None:
    message = model_pb2.TickBatch(contract=MES, time_ns=[TEN], price=[24_000], size=[1], aggressor=[aggressor])
    with pytest.raises(ValueError, match="an aggressor of a tick batch is none of 1, -1 and 0"):
        tick_batch_from_proto(message)


def later_month(next_index: int = 0) -> PushedContract:
    return PushedContract("MESU2025", Cuts(2), 1000, Position(next_index, TEN + 100), later=True)


def test_a_later_month_that_is_left_alone_goes_along_with_the_others() -> None:
    september = later_month()
    assert told(september.go_along(TEN + 90)) == []
    assert told(september.go_along(TEN + 150)) == [([], 150, False)]
    assert told(september.go_along(TEN + 150)) == []
    assert told(september.finish()) == [([], 150, True)]
    assert told(september.go_along(TEN + 200)) == []


def test_a_month_that_is_pushed_keeps_its_own_time() -> None:
    for contract in (later_month(next_index=7), pushed()):
        assert contract.go_along(TEN + 150) == []
    september = later_month()
    september.take(TickBatch("", "cme", "MESU2025", batch((110, 20000, 1, 1)).ticks, TEN + 120, False))
    assert september.go_along(TEN + 500) == []
    assert september.watermark_ns == TEN + 120


async def test_a_client_that_pushes_one_month_holds_no_account_up_by_the_next() -> None:
    june = PushedContract(MES, Cuts(2), 1000, Position(0, TEN + 100))
    feed = PushFeed([june, later_month()])
    found: list[tuple[str, int, bool]] = []

    async def publish() -> None:
        async for contract, pieces in feed.pieces():
            found.extend((contract, piece.watermark_ns - TEN, piece.final) for piece in pieces)
            feed.published()

    async def client() -> AsyncIterator[ingestion_pb2.PublishTicksRequest]:
        for watermark in (200, 300):
            yield ingestion_pb2.PublishTicksRequest(
                batch=model_pb2.TickBatch(contract=MES, watermark_ns=TEN + watermark)
            )

    publishing = asyncio.create_task(publish())
    assert await feed.take(client()) == (0, {})
    await publishing
    assert found == [
        (MES, 200, False),
        ("MESU2025", 200, False),
        (MES, 300, False),
        ("MESU2025", 300, False),
        (MES, 300, True),
        ("MESU2025", 300, True),
    ]
