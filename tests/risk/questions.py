"""Questions in every test's hand: one that is answered with an order, and its fields one by one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from leadline.model.orders import Bracket, OrderType, Side, Trail
from leadline.risk.convert import inputs_to_proto
from leadline.risk.v1 import risk_pb2 as pb
from leadline.risk.view import AccountLimits, StrategyDay, StrategyLimits
from tests.risk.builders import ES, MES, account, ask, strategy

_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
HOSTILE_TEXTS = (
    "",
    "NaN",
    "sNaN",
    "-Infinity",
    "1E+999999",
    "-1E+999999",
    "1E-999999",
    "9" * 5_000,
    "0." + "0" * 5_000 + "1",
    "abc",
    "-1",
    "../../etc/passwd",
    "America",
    "\x00",
    "[" * 5_000,
)
HOSTILE_NUMBERS = (-(2**63), -(2**31), -3, -1, 0, 1, 99, 2**31 - 1, 2**63 - 1)
Put = Callable[[Any], None]


def whole_inputs() -> pb.DecisionInputs:
    """A question with every field set, which is answered with an order."""
    money = Decimal(1_000)
    view = replace(
        account("2500", streak=3, trades=1, exposure=0),
        limits=AccountLimits(money, money, 10, 5, 50, 100, {"MES": money, "ES": money}, 1_000_000 * money),
    )
    settings = strategy(
        blocks=(("12:00", "13:00"),),
        news=((1, 2),),
        limits=StrategyLimits(5, 50, money, 50, 50, 50),
        fixed_size=1,
        risk_percent=Decimal("0.5"),
        bracket=Bracket(16, 24, trail=Trail(5, 2)),
        entry_type=OrderType.LIMIT,
        entry_offset=1,
        valid_for_ns=60 * 10**9,
        day=StrategyDay(position=1, groups=(("one", 1, 0),), entries_last_hour=1),
        execute=(replace(MES, gap_ticks=1, no_stop_ticks=1, recent=((Side.SELL, 1),)), replace(ES, foreign=True)),
    )
    return inputs_to_proto(ask(view, settings))


def leaves(message: Any, path: str = "") -> Iterator[tuple[str, bool, Put]]:
    """Every single value of a message: its path, whether it is a text, and how another one is put there."""
    for field, value in message.ListFields():
        name = f"{path}.{field.name}" if path else field.name
        text = field.type in _TEXTS
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key in sorted(value):
                yield f"{name}.{key}", True, partial(value.__setitem__, key)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            repeated = field.is_repeated
            for number, item in enumerate(value if repeated else [value]):
                yield from leaves(item, f"{name}[{number}]" if repeated else name)
        elif field.is_repeated:
            for number in range(len(value)):
                yield f"{name}[{number}]", text, partial(value.__setitem__, number)
        else:
            yield name, text, partial(setattr, message, field.name)
