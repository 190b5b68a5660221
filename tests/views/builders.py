"""Messages in which every field has something."""

from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def filled(kind: type[Message], number: int = 1) -> Any:
    """A message of a kind in which every field has something of its own."""
    message: Any = kind()
    fields: Any = kind.DESCRIPTOR.fields
    for field in fields:
        number += 1
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)["key"] = _scalar(field.message_type.fields_by_name["value"], number)
        elif field.message_type is not None:
            inner = filled(message_factory.GetMessageClass(field.message_type), number)
            if field.is_repeated:
                getattr(message, field.name).append(inner)
            else:
                getattr(message, field.name).CopyFrom(inner)
        elif field.is_repeated:
            getattr(message, field.name).append(_scalar(field, number))
        else:
            setattr(message, field.name, _scalar(field, number))
    return message


def _scalar(field: FieldDescriptor, number: int) -> object:
    kinds: dict[int, object] = {
        FieldDescriptor.CPPTYPE_STRING: f"text {number}",
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_DOUBLE: number + 0.5,
        FieldDescriptor.CPPTYPE_INT64: 2**60 + number,
        FieldDescriptor.CPPTYPE_ENUM: 1,
    }
    return kinds.get(field.cpp_type, number)
