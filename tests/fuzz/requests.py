"""Requests with anything in them, made from their descriptors alone."""

from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st


def _can_be_sent(text: str) -> bool:
    """Texts of messages are UTF-8, which has no half characters."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


TEXTS: Final = st.one_of(
    st.sampled_from(
        (
            "",
            " ",
            "default/mes",
            "default/paper",
            "default/",
            "Cancel",
            "Keep",
            "Flatten",
            "Refuse",
            "hash",
            "NaN",
            "1E+999999",
            "-1",
            "100",
            "0.5",
            "2025-06-10",
            "9999-99-99",
            "MESM2025",
            "rth",
            "5m-r1",
            "tape",
            "\x00",
            "a\x00b",
            "\x1b[2J\r\n",
            "../../x",
            "*",
            ">",
            "{}",
            "[]",
            "null",
            "[" * 2_000,
            "x" * 5_000,
        )
    ),
    st.text(max_size=12).filter(_can_be_sent),
)
INT64: Final = st.one_of(
    st.integers(-3, 3), st.sampled_from((-(2**63), 2**63 - 1, 2**31, 10**18, 1_749_562_800 * 10**9))
)
INT32: Final = st.one_of(st.integers(-3, 3), st.sampled_from((-(2**31), 2**31 - 1, 500, 501, 10_000)))
_UNSIGNED: Final = st.one_of(st.integers(0, 3), st.sampled_from((2**32 - 1, 500)))
_FLOATS: Final = st.sampled_from((0.0, -1.0, 1e308, float("nan"), float("inf")))
_MOST_ITEMS: Final = 3

_VALUES: Final = {
    FieldDescriptor.CPPTYPE_STRING: TEXTS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_INT32: INT32,
    FieldDescriptor.CPPTYPE_ENUM: INT32,
    FieldDescriptor.CPPTYPE_INT64: INT64,
    FieldDescriptor.CPPTYPE_UINT32: _UNSIGNED,
    FieldDescriptor.CPPTYPE_UINT64: _UNSIGNED,
    FieldDescriptor.CPPTYPE_DOUBLE: _FLOATS,
    FieldDescriptor.CPPTYPE_FLOAT: _FLOATS,
}


def fill(data: st.DataObject, message: Any, levels: int = 4) -> None:
    """Give some fields of a message other values, and some fields of the messages within it."""
    for field in message.DESCRIPTOR.fields:
        if data.draw(st.booleans(), field.name):
            _fill_field(data, message, field, levels)


def _fill_field(data: st.DataObject, message: Any, field: FieldDescriptor, levels: int) -> None:
    values = _VALUES.get(field.cpp_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        values = st.binary(max_size=40)
    if field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name)[data.draw(TEXTS)] = data.draw(TEXTS)
    elif field.is_repeated:
        for _ in range(data.draw(st.integers(1, _MOST_ITEMS))):
            if values is None:
                _fill_message(data, getattr(message, field.name).add(), levels)
            else:
                getattr(message, field.name).append(data.draw(values))
    elif values is None:
        _fill_message(data, getattr(message, field.name), levels)
    else:
        setattr(message, field.name, data.draw(values))


def _fill_message(data: st.DataObject, message: Message, levels: int) -> None:
    message.SetInParent()
    if levels:
        fill(data, message, levels - 1)
