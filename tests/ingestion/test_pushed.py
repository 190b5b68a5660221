"""Prints that a client pushes for one contract."""

import pytest

from leadline.ingestion.batching import Cuts, Piece
from leadline.ingestion.pushed import PushedContract
from leadline.ingestion.tape import Position
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
