"""Values as JSON documents: what `--output json` prints, in one place.

A document has a value's fields in their order, under their names. A number of 64 bits is text in it, and a field that
is absent is left out, as in the JSON form of the services' messages.
"""

import dataclasses
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from leadline.views.market import StatusView
from leadline.views.signals import SignalledBar
from leadline.views.values import Int64, OrderView, PositionView


def document(value: Any) -> dict[str, Any]:
    """The document of one value."""
    kind: Any = type(value)
    return {
        name: _plain(found, hint) for name, hint in _hints(kind).items() if (found := getattr(value, name)) is not None
    }


def by_account(found: Mapping[str, list[OrderView]] | Mapping[str, list[PositionView]]) -> list[dict[str, Any]]:
    """Orders or positions, each with its account."""
    return [{"account": account, **document(each)} for account, listed in found.items() for each in listed]


def status(found: StatusView) -> dict[str, Any]:
    """A stack at a moment: its run, or the tape alone where the feed is not its own; the feed is none then."""
    run = None if found.feed is None else found.feed.run
    return {
        "run": {"tape": found.tape} if run is None else document(run),
        "feed": None if found.feed is None else document(found.feed),
        "series": [document(each) for each in found.series],
        "health": dict(found.health),
        "accounts": [document(each) for each in found.accounts],
    }


def signalled(bar: SignalledBar) -> dict[str, Any]:
    """A bar with its signals in the form of the services' messages, and the facts of its decisions."""
    return {
        **document(bar),
        "signals": [{**document(each), "direction": f"DIRECTION_{each.direction}"} for each in bar.signals],
        "decisions": [dict(each.facts) for each in bar.decisions],
    }


@cache
def _hints(of: Any) -> dict[str, Any]:
    hints = get_type_hints(of, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(of)}


def _plain(value: Any, hint: Any) -> Any:
    if hint == Int64:
        return str(value)
    if dataclasses.is_dataclass(value):
        return document(value)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        (kind,) = (each for each in inner if each is not NoneType)
        return _plain(value, kind)
    if origin is tuple:
        return [_plain(each, inner[0]) for each in value]
    if origin is Mapping or origin is dict:
        return {key: _plain(each, inner[1]) for key, each in value.items()}
    return value
