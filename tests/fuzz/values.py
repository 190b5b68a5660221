"""What nobody meant to write, for every place where a value may stand."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from hypothesis import strategies as st

TEXTS: Final = (
    "",
    " ",
    "x",
    "0",
    "-1",
    "1e400",
    "NaN",
    "0.1",
    "9" * 400,
    "12:00",
    "5m",
    "0s",
    "99999999h",
    "ticks:500",
    "MES",
    "ESZ2025",
    "GC",
    "UTC",
    "Mars/Olympus",
    "../../etc/passwd",
    "a:b",
    "nope:X",
    "2025-02-30",
    "2025-06-10T25:61:61Z",
    "\x00",
    "\x1b[31mred\x1b[0m\r\n",
    "\u202eright to left",
    "\ue000",
    "[bold]x[/bold]",
    "{}",
    "é\u0301" * 40,
    "x" * 3_000,
)
NUMBERS: Final = (0, 1, -1, 2, 59, 720, 2**31, 2**63, -(2**64), 10**400)
FRACTIONS: Final = (0.5, 5.0, -0.0, 1e308, float("inf"), float("nan"))


def _deep(levels: int) -> Any:
    value: Any = "deep"
    for level in range(levels):
        value = [value] if level % 2 else {"deeper": value}
    return value


OTHERS: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    date(2025, 6, 10),
    b"\x00\xff",
    [],
    {},
    [[]],
    {"": ""},
    {"a": 1},
    {1: 2},
    {None: None},
    {True: [None]},
    ["a", "a"],
    [{}, {}],
    list(range(300)),
    {f"key{number}": "1" for number in range(300)},
    _deep(30),
    _deep(80),
)
VALUES: Final = st.sampled_from((*TEXTS, *NUMBERS, *FRACTIONS, *OTHERS))
"""Any of them."""

Place = tuple[Any, Any]
"""A mapping or a list, and the key or the index of something in it."""


def places(node: Any) -> Iterator[Place]:
    """Everything in a tree of mappings and lists, the outermost first."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(pairs):
        yield node, key
        yield from places(value)


def change(data: st.DataObject, tree: Any) -> None:
    """Change one thing of a tree: another value, none, another name, one more, a level more or one less, its like."""
    found = list(places(tree))
    if not found:
        return
    owner, key = data.draw(st.sampled_from(found), "place")
    value = owner[key]
    match data.draw(st.sampled_from(("put", "drop", "rename", "add", "wrap", "unwrap", "copy", "twice")), "change"):
        case "drop":
            del owner[key]
        case "rename" if isinstance(owner, dict):
            owner[data.draw(VALUES.filter(_can_be_a_key))] = owner.pop(key)
        case "add" if isinstance(owner, dict):
            owner[data.draw(VALUES.filter(_can_be_a_key))] = copied(data.draw(VALUES))
        case "add":
            owner.append(copied(data.draw(VALUES)))
        case "wrap":
            owner[key] = [value] if data.draw(st.booleans()) else {key: value}
        case "unwrap" if isinstance(value, dict) and value:
            owner[key] = next(iter(value.values()))
        case "copy":
            other, there = data.draw(st.sampled_from(found), "from")
            owner[key] = copied(
                other.get(there) if isinstance(other, dict) else other[there] if there < len(other) else None
            )
        case "twice" if isinstance(owner, list):
            owner.insert(key, copied(value))
        case _:
            owner[key] = copied(data.draw(VALUES, "value"))


def _can_be_a_key(value: Any) -> bool:
    return not isinstance(value, list | dict)


def copied(value: Any) -> Any:
    """A tree that may be changed."""
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return [copied(each) for each in value] if isinstance(value, list) else value
