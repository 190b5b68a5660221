"""Values as JSON documents, and back: what `--output json` prints, in one place.

A document has a value's fields in their order, under their names; a field that is absent is left out. Whole numbers are
numbers, decimals are text. A `Choice` is in small letters; patterns and regimes are spelled as manifests spell them.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from leadline.model.orders import Order
from leadline.views.market import StatusView
from leadline.views.prices import price_text
from leadline.views.report import AccountReport, OpenPosition, PricePoint
from leadline.views.signals import SignalledBar
from leadline.views.trades import Trade
from leadline.views.values import Choice, OrderView, PositionView

ValueT = TypeVar("ValueT")


def document(value: Any) -> dict[str, Any]:
    """The document of one value."""
    kind: Any = type(value)
    return {
        name: found if type(found) in as_it_is else _plain(found, hint)
        for name, hint, as_it_is in _fields(kind)
        if (found := getattr(value, name)) is not None
    }


def value_of(kind: type[ValueT], found: Mapping[str, Any]) -> ValueT:
    """The value of a kind, a dataclass, of which `document` made this; what else is there does not count.

    Raises KeyError for a field that is missing, and TypeError, ValueError or ArithmeticError for one of another kind.
    """
    of: Any = kind
    hints, values = _hints(of), {}
    for field in dataclasses.fields(of):
        hint = hints[field.name]
        if field.name in found:
            values[field.name] = _valued(found[field.name], hint)
        elif NoneType in get_args(hint):
            values[field.name] = None
        else:
            raise KeyError(field.name)
    return kind(**values)


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
    """A bar with its signals and its proposals, each of these with its decision."""
    return document(bar)


def report(found: AccountReport) -> dict[str, Any]:
    """A report of an account. Prices are prices of their contract."""
    return {
        **document(found),
        "trades": [trade(each) for each in found.trades],
        "open_positions": [_open(each) for each in found.open_positions],
        "in_doubt": [_order(each) for each in found.in_doubt],
        "closes": {contract: _closes(contract, points) for contract, points in found.closes.items()},
        "refused": dict(found.refused),
        "not_filled": dict(found.not_filled),
        "misdated": dict(found.misdated),
        "substitutes": dict(found.substitutes),
        "taken_out": [{"by": by, "of": of, "entries": entries} for by, of, entries in found.taken_out],
        "series": [{"strategy": of, "name": name, "bars": bars} for of, name, bars in found.series],
    }


def trade(found: Trade) -> dict[str, Any]:
    """A trade with its net result. Prices are prices of its contract."""
    prices = {
        "entry_price": price_text(found.contract, found.entry_price),
        "exit_price": price_text(found.contract, found.exit_price),
    }
    return {**document(found), **prices, "net": _plain(found.net, Decimal)}


def _order(order: Order) -> dict[str, Any]:
    """An order that has no fill: under the names of an `OrderView`."""
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return {
        "client_id": order.client_id,
        "decision_id": order.decision,
        "leg": order.leg,
        "strategy": order.strategy,
        "contract": order.contract,
        "side": order.side.lower(),
        "type": order.type.lower(),
        "quantity": order.quantity,
        "state": order.state.lower(),
        "price": "" if price is None else price_text(order.contract, price),
        "decided_at_ns": order.decided_at_ns,
        "reason": order.reason,
    }


def _open(item: OpenPosition) -> dict[str, Any]:
    position = item.position
    known = {} if item.last_price is None else {"last_price": price_text(position.contract, item.last_price)}
    result = {} if item.result is None else {"result": _plain(item.result, Decimal)}
    held = {"strategy": position.strategy, "contract": position.contract, "quantity": position.quantity}
    return {**held, **known, **result}


def _closes(contract: str, points: Iterable[PricePoint]) -> list[dict[str, Any]]:
    return [{"time_ns": point.time_ns, "price": price_text(contract, point.close)} for point in points]


@cache
def _hints(of: Any) -> dict[str, Any]:
    hints = get_type_hints(of, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(of)}


@cache
def _fields(of: Any) -> tuple[tuple[str, Any, frozenset[type[Any]]], ...]:
    """The fields of a dataclass by name and hint, each with the types of which a value needs no other words."""
    return tuple(
        (name, hint, frozenset({int} if Choice in (hint, *get_args(hint)) else {int, str}))
        for name, hint in _hints(of).items()
    )


def _plain(value: Any, hint: Any) -> Any:
    if type(value) is int:  # as nearly everything of a footprint is
        return value
    if hint == Choice:
        return value.lower()
    if isinstance(value, Enum):
        return str(value.value).lower()
    if dataclasses.is_dataclass(value):
        return document(value)
    if isinstance(value, Decimal):
        return format(value, "f")  # never 6E+4
    if isinstance(value, date):
        return value.isoformat()
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        (kind,) = (each for each in inner if each is not NoneType)
        return _plain(value, kind)
    if origin is tuple:
        if inner[0] is int and inner[-1] is Ellipsis:
            return list(value)
        kinds = inner if inner[-1] is not Ellipsis else [inner[0]] * len(value)
        return [_plain(each, kind) for each, kind in zip(value, kinds, strict=True)]
    if origin is Mapping or origin is dict:
        return {key: _plain(each, inner[1]) for key, each in value.items()}
    return value


def _valued(found: Any, hint: Any) -> Any:
    """The value that `_plain` made this of."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        (kind,) = (each for each in inner if each is not NoneType)
        return _valued(found, kind)
    if origin is tuple:
        if inner[0] is int and inner[-1] is Ellipsis and set(map(type, found)) <= {int}:
            return tuple(found)
        kinds = inner if inner[-1] is not Ellipsis else [inner[0]] * len(found)
        return tuple(_valued(each, kind) for each, kind in zip(found, kinds, strict=True))
    if origin is Mapping or origin is dict:
        return {key: _valued(each, inner[1]) for key, each in found.items()}
    of = getattr(hint, "__supertype__", hint)  # an id is text
    if dataclasses.is_dataclass(of):
        return value_of(of, found)  # type: ignore[arg-type]
    if of is Decimal:
        return Decimal(found)
    if of is date:
        return date.fromisoformat(found)
    if isinstance(of, type) and issubclass(of, Enum):
        return of({str(each.value).lower(): each.value for each in of}[found])
    if of == Choice:
        return found.upper()
    if of is not Any and isinstance(of, type) and not isinstance(found, of):
        raise TypeError(f"{found!r} is no {of.__name__}")
    return found
