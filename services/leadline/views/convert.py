"""The services' messages as values that are shown."""

import dataclasses
from typing import Any

from google.protobuf.message import Message

from leadline.execution.v1 import execution_pb2
from leadline.model.v1 import model_pb2
from leadline.views.signals import SignalView
from leadline.views.values import OrderView, PositionView


def order_view(message: execution_pb2.Order) -> OrderView:
    """An order of execution."""
    return OrderView(**_of_same_name(message, OrderView))


def position_view(message: execution_pb2.Position) -> PositionView:
    """A position of execution."""
    return PositionView(**_of_same_name(message, PositionView))


def signal_view(message: model_pb2.Signal) -> SignalView:
    """A signal of a bar."""
    direction = model_pb2.Direction.Name(message.direction).removeprefix("DIRECTION_")
    return SignalView(**_of_same_name(message, SignalView, without=("direction",)), direction=direction)


def bar_key_text(key: model_pb2.BarKey) -> str:
    """A bar's key as ids and events spell it."""
    return f"{key.contract}/{key.session}/{key.spec}/{key.trading_day}/{key.ordinal}"


def _of_same_name(message: Message, view: type, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a message by the names of a view's: a view is named as its message is."""
    names = [field.name for field in dataclasses.fields(view) if field.name not in without]
    return {name: getattr(message, name) for name in names}
