"""What a call of execution refuses before it reaches the account."""

import pytest

from leadline.execution.servicer import ExecutionServicer
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.errors import InvalidInput


class NoAccount:
    """The account behind the calls: nothing of what is refused may reach it."""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("day_loss", "1E-30"),
        ("day_loss", "1E+30"),
        ("day_loss", "0.123456789"),
        ("day_loss", "1234567890123456"),
        ("day_loss", "NaN"),
        ("day_loss", "-1"),
        ("day_loss", "9" * 100_000),
        ("day_target", "Infinity"),
        ("day_target", " 5"),
        ("max_position", 0),
        ("max_position", -1),
        ("max_position", 2**62),
        ("max_open_trades", 2**31 - 1),
        ("max_orders_per_second", -5),
        ("max_entries_per_hour", 0),
    ],
)
async def test_a_limit_that_no_manifest_could_have_is_refused_at_the_call(field: str, value: str | int):
    servicer = ExecutionServicer(NoAccount())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as refused:
        await servicer.SetLimits(pb.SetLimitsRequest(**{field: value}), None)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
async def test_a_reason_is_a_few_words(reason: str):
    servicer = ExecutionServicer(NoAccount())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="reason"):
        await servicer.Flatten(pb.FlattenRequest(reason=reason), None)  # type: ignore[arg-type]
