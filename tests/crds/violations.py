"""What a definition's schema refuses, field by field, with the words of the API server."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.crds.refusals import JsonObject

# A value for each pattern, where a field has to stand beside the one that is wrong.
_VALID: Final = ("MES", "a", "a:b", "paper", "USD", "1", "5m", "12:00", "America/New_York", "2025-01-10T13:30:00Z")
_VALID_DATE: Final = "2025-01-10"
# Of other kinds, or of any shape.
_LEFT_OUT: Final = {"spec.strategy.spec", "spec.account.spec", "spec.sweep"}
_WRONG_TEXT: Final = "?"


@dataclass(frozen=True, slots=True)
class Violation:
    """A wrong value at a field.

    `change` is merged into the smallest good object; `shown` is the value in short; `says` is the line of kubectl.
    """

    field: str
    shown: str
    change: JsonObject
    says: str


def violations(schema: Mapping[str, Any]) -> list[Violation]:
    """Of every field of `spec`: every way in which its schema can be broken.

    A wrong type, a value that is not in the list, a number out of its range, a text that does not match or is too
    long, too many items, a missing field. Of a backtest without what is of other kinds, or of any shape, in it.
    """
    spec = schema["properties"]["spec"]
    return [
        Violation(field, shown, {"spec": change}, f"{field}: {says}")
        for field, change, shown, says in _of_object(spec, "spec")
    ]


_Found = tuple[str, Any, str, str]


def _of_object(node: Mapping[str, Any], path: str) -> Iterator[_Found]:
    """Of the fields of a mapping; the second part of each is the mapping with what is wrong in it."""
    fields = node["properties"]
    for name in node.get("required", ()):
        rest = {other: _valid(fields[other]) for other in node["required"] if other != name}
        yield f"{path}.{name}", {name: None, **rest}, "nothing", "Required value"
    for name, field in fields.items():
        if f"{path}.{name}" in _LEFT_OUT:
            continue
        beside = {other: _valid(fields[other]) for other in node.get("required", ()) if other != name}
        for where, value, shown, says in _of_value(field, f"{path}.{name}"):
            yield where, {**beside, name: value}, shown, says


def _of_value(node: Mapping[str, Any], path: str) -> Iterator[_Found]:
    kind = node["type"]
    wrong: Any = 5 if kind in {"string", "object", "array"} else "text"
    found = "integer" if wrong == 5 else "string"
    wanted = node.get("format", kind)
    if wanted != kind:  # a checked format names types in its own way
        found = "int64"
    says = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    yield path, wrong, str(wrong), says
    if kind == "string":
        yield from _of_text(node, path)
    elif kind == "integer":
        for bound, value, words in (
            ("minimum", node["minimum"] - 1, "greater"),
            ("maximum", node["maximum"] + 1, "less"),
        ):
            says = f"Invalid value: {value}: {path} in body should be {words} than or equal to {node[bound]}"
            yield path, value, str(value), says
    elif kind == "array":
        most = node["maxItems"]
        items = [_valid(node["items"])] * (most + 1)
        yield path, items, f"{most + 1} items", f"Too many: {most + 1}: must have at most {most} items"
        for where, value, shown, says in _of_item(node["items"], f"{path}[0]"):
            yield where, [value], shown, says
    elif "properties" in node:
        yield from _of_object(node, path)
    elif kind == "object":
        yield from _of_map(node, path)


def _of_item(node: Mapping[str, Any], path: str) -> Iterator[_Found]:
    return _of_object(node, path) if "properties" in node else _of_value(node, path)


def _of_map(node: Mapping[str, Any], path: str) -> Iterator[_Found]:
    most = node["maxProperties"]
    values = node.get("additionalProperties")
    full = {f"K{number}": _valid(values) if values else "1" for number in range(most + 1)}
    yield path, full, f"{most + 1} entries", f"Too many: {most + 1}: must have at most {most} items"
    if values:
        for where, value, shown, says in _of_value(values, f"{path}.ES"):
            yield where, {"ES": value}, shown, says


def _of_text(node: Mapping[str, Any], path: str) -> Iterator[_Found]:
    if "enum" in node:
        allowed = ", ".join(f'"{value}"' for value in node["enum"])
        yield path, _WRONG_TEXT, _WRONG_TEXT, f'Unsupported value: "{_WRONG_TEXT}": supported values: {allowed}'
        return
    if "pattern" in node:
        says = f"Invalid value: \"{_WRONG_TEXT}\": {path} in body should match '{node['pattern']}'"
        yield path, _WRONG_TEXT, _WRONG_TEXT, says
    long = "a" * (node["maxLength"] + 1)
    yield path, long, f"{len(long)} characters", f"Too long: may not be more than {node['maxLength']} bytes"


def _valid(node: Mapping[str, Any]) -> Any:
    match node["type"]:
        case "object":
            return {name: _valid(node["properties"][name]) for name in node.get("required", ())}
        case "integer":
            return node["minimum"]
        case "string" if "enum" in node:
            return node["enum"][0]
        case "string" if node.get("format") == "date":
            return _VALID_DATE
    return next(value for value in _VALID if re.fullmatch(node.get("pattern", ".*"), value))
