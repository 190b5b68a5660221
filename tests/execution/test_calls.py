"""What a call of execution refuses before it reaches the account."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.servicer import ExecutionServicer
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.errors import InvalidInput, Refused
from leadline.model.ids import StrategyId
from leadline.runtime.rpc.auth import Caller, set_caller
from tests.execution.harness.desk import Books, Session
from tests.execution.harness.stores import IN_BOTH
from tests.execution.test_recovery import one_trade


class NoAccount:
    """The account behind the calls: nothing of what is refused may reach it."""


class AtOnce:
    """The account behind the calls: a command runs when it is asked for."""

    def __init__(self, session: Session) -> None:
        self.loop = session.loop

    async def command(self, action: Callable[[], Awaitable[Any]], _context: Any) -> Any:
        return await action()


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


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "\x00", "\x1b \n"])
async def test_a_reason_is_a_few_words(reason: str):
    servicer = ExecutionServicer(NoAccount())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="reason"):
        await servicer.Flatten(pb.FlattenRequest(reason=reason), None)  # type: ignore[arg-type]


@IN_BOTH
async def test_the_account_is_flattened_whatever_stands_in_the_reason(books: Books, folder: Path):
    session = one_trade(books, folder).open()
    await session.until(640)
    set_caller(Caller("bob", "cli-trader"))
    servicer = ExecutionServicer(AtOnce(session))  # type: ignore[arg-type]
    await servicer.Flatten(pb.FlattenRequest(reason=" out\x00\n of it\x1b[2J "), None)  # type: ignore[arg-type]
    assert session.book.flatten == "out of it [2J (bob)"
    await session.loop.carry_out()
    await session.run()
    assert session.market.positions() == {}
    assert list(session.switch.halts.in_force) == []
    session.close()


@IN_BOTH
async def test_a_text_that_a_table_cannot_hold_is_refused_by_the_book_in_memory_too(books: Books, folder: Path):
    for strategy in ("", "default/mes"):
        session = one_trade(books, folder).open()
        await session.until(640)
        with pytest.raises(Refused):
            await session.loop.flatten(StrategyId(strategy), "out\x00 (bob)")
        session.close()


@pytest.mark.parametrize("field", ["strategy", "before"])
async def test_orders_of_a_name_that_no_table_can_hold_are_refused(field: str):
    servicer = ExecutionServicer(NoAccount())  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as refused:
        await servicer.GetOrders(pb.GetOrdersRequest(**{field: "a\x00"}), None)  # type: ignore[arg-type]
    assert refused.value.field == field
