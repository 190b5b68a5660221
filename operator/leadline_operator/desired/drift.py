"""Differences of an object from what was applied, and the field manager that made them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from leadline_operator.kinds import FIELD_MANAGER

# By which field the items of a list are told apart, for lists that others may add to.
_MERGE_KEYS: Final = ("uid", "mountPath", "containerPort", "key", "name")
_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
}
_QUANTITIES: Final = frozenset({"requests", "limits"})


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Paths at which an object lacks what was asked of it; fields that were not asked for do not count."""
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            yield path
            return
        for name, value in wanted.items():
            inner = f"{path}.{name}" if path else name
            if name in found:
                same_amount = path.rpartition(".")[2] in _QUANTITIES and quantity(value) == quantity(found[name])
                if not same_amount:
                    yield from differences(value, found[name], inner)
            elif value not in ({}, [], None, ""):
                yield inner
    elif isinstance(wanted, list | tuple) and isinstance(found, list):
        yield from _list_differences(wanted, found, path)
    elif wanted != found:
        yield path


def quantity(value: Any) -> Decimal | None:
    """An amount as the API writes it (`500m`, `1Gi`, `2`), None for what is none."""
    text = str(value)
    digits = text.rstrip("numkKMGTi")
    try:
        return Decimal(digits) * (_SUFFIXES[text[len(digits) :]] if digits != text else 1)
    except (InvalidOperation, KeyError):
        return None


def who_wrote(live: Mapping[str, Any], path: str) -> str:
    """The field manager that wrote to a path, or nearest to it, besides the operator; empty when nobody did.

    live: the object with all of its managedFields.
    """
    parts = path.replace("[", ".[").split(".")
    best: tuple[int, str, str] = (0, "", "")
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") != FIELD_MANAGER and entry.get("subresource") != "status":
            depth = _depth(entry.get("fieldsV1") or {}, parts)
            best = max(best, (depth, str(entry.get("time", "")), str(entry.get("manager", ""))))
    return best[2]


def writer_of(live: Mapping[str, Any], path: str) -> str:
    """The field manager that has written just this path, empty when there is none."""
    parts = path.split(".")
    found = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in live["metadata"].get("managedFields") or ()
        if _depth(entry.get("fieldsV1") or {}, parts) == len(parts)
    ]
    return max(found)[1] if found else ""


def _depth(fields: Mapping[str, Any], parts: list[str]) -> int:
    """How far a path leads into a set of fields."""
    if not parts:
        return 0
    part = parts[0]
    if part.startswith("["):
        # An item of a list is written with the values that tell it apart.
        value = part.strip("[]")
        inner = next((fields[name] for name in fields if name.startswith("k:") and f'"{value}"' in name), None)
    else:
        inner = fields.get(f"f:{part}")
    return 0 if inner is None else 1 + _depth(inner, parts[1:])


def _list_differences(wanted: list[Any] | tuple[Any, ...], found: list[Any], path: str) -> Iterator[str]:
    key = next(
        (key for key in _MERGE_KEYS if wanted and all(isinstance(i, Mapping) and key in i for i in wanted)), None
    )
    if key is None:
        if len(wanted) != len(found):
            yield path
            return
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
        return
    for item in wanted:
        match = next((other for other in found if isinstance(other, Mapping) and other.get(key) == item[key]), None)
        if match is None:
            yield f"{path}[{item[key]}]"
        else:
            yield from differences(item, match, f"{path}[{item[key]}]")
