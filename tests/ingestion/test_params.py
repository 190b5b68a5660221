"""Settings of ingestion."""

from typing import Any

import pytest
from pydantic import ValidationError

from leadline.ingestion.batching import BatchBounds
from leadline.ingestion.params import IngestionParams
from leadline.model.ticks import NS_PER_MINUTE


def params(**more: Any) -> IngestionParams:
    return IngestionParams.model_validate({"feed": {"kind": "sim"}, "instruments": ["MES"], **more})


def test_at_full_speed_only_size_cuts_a_message() -> None:
    assert params().bounds == BatchBounds(2048)
    assert params(batch_ticks=16).bounds == BatchBounds(16)


def test_at_a_set_speed_a_message_is_short_and_ends_with_the_minute() -> None:
    assert params(speed=1).bounds == BatchBounds(256, max_span_ns=10_000_000, boundary_ns=NS_PER_MINUTE)
    assert params(speed=60).bounds == BatchBounds(256, max_span_ns=600_000_000, boundary_ns=NS_PER_MINUTE)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"speed": "fast"}, "speed"),
        ({"speed": 0}, "greater than 0"),
        ({"batch_ticks": 100_000}, "batch_ticks"),
        ({"history": -1}, "history"),
        ({"feed": {"kind": "file"}}, "files are named"),
        ({"feed": {"kind": "sim", "files": [{"path": "a.csv", "contract": "MES"}]}}, "files are named"),
        ({"feed": {"kind": "sim", "seed": -1}}, "seed"),
        ({"sped": 1}, "sped"),
    ],
)
def test_what_cannot_be_used_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        params(**wrong)
