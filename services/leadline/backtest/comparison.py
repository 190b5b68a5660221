"""Two backtests side by side: their figures, and what differs in code, manifests and data. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

from leadline.backtest.identity import Code, Data, Identity
from leadline.backtest.results import Figures

TAPE_ENDS: Final = "tape ends, ns UTC"
"""Where a difference stands that is an instant, in front of the contract."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs: where it stands, and its value on both sides, None where it is absent."""

    where: str
    one: str | None
    other: str | None


@dataclass(frozen=True, slots=True)
class FigureLine:
    """A figure of an account on both sides, None where it is not defined or the account is not there.

    `difference` is the other less the one.
    """

    account: str
    figure: str
    one: Decimal | None
    other: Decimal | None
    difference: Decimal | None


@dataclass(frozen=True, slots=True)
class DataDifference:
    """The days of two backtests, each a contract and a day: with the same prints, with others, on one side alone.

    `settings` are differences of the feeds themselves, and of the range of days that were traded.
    """

    same: int
    changed: tuple[tuple[str, str], ...]
    only_one: tuple[tuple[str, str], ...]
    only_other: tuple[tuple[str, str], ...]
    settings: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything in which two backtests differ, and their figures."""

    figures: tuple[FigureLine, ...]
    code: tuple[Difference, ...]
    manifests: tuple[Difference, ...]
    data: DataDifference


def compared(
    one: Identity, other: Identity, ones: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> Comparison:
    """Compare two backtests by their identities and the figures of their accounts, as `summary_document` has them."""
    return Comparison(
        tuple(_figures(ones, others)),
        tuple(_differences("", _code(one.code), _code(other.code))),
        tuple(_differences("", _by_name(one.manifests), _by_name(other.manifests))),
        _data(one, other),
    )


def _figures(ones: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> Iterator[FigureLine]:
    left, right = ({each["account"]: each for each in found} for found in (ones, others))
    for account in dict.fromkeys([*left, *right]):
        for name in ("start_equity", "end_equity", *(each.name for each in fields(Figures))):
            values = [found.get(account, {}).get(name) for found in (left, right)]
            if values != [None, None]:
                first, second = (None if value is None else Decimal(value) for value in values)
                difference = None if first is None or second is None else second - first
                yield FigureLine(account, name, first, second, difference)


def _code(code: Code) -> dict[str, Any]:
    return {**code.document(), "commit": code.commit + (" with changes" if code.dirty else "")}


def _by_name(manifests: Mapping[str, Any]) -> dict[str, Any]:
    """The manifests with each object under its kind and name."""
    found: dict[str, Any] = {"own": manifests["instruments"]}
    for each in (*manifests["accounts"], *manifests["strategies"]):
        names = each["metadata"]
        found[f"{each['kind']} {names['namespace']}/{names['name']}"] = {"spec": each["spec"]}
    return found


def _differences(where: str, one: Any, other: Any) -> Iterator[Difference]:
    """The fields in which two plain values differ, in the order of the one, by their paths."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in dict.fromkeys([*one, *other]):
            glue = ": " if " " in where and "." not in where and ": " not in where else "."
            yield from _differences(f"{where}{glue if where else ''}{name}", one.get(name), other.get(name))
    elif isinstance(one, list) and isinstance(other, list):
        for place in range(max(len(one), len(other))):
            pair = (found[place] if place < len(found) else None for found in (one, other))
            yield from _differences(f"{where}[{place}]", *pair)
    elif one != other:
        yield Difference(where, _shown(one), _shown(other))


def _shown(value: Any) -> str | None:
    """A plain value as a manifest writes it."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_shown(each)}" for name, each in value.items()) or "{}"
    if isinstance(value, list):
        return f"[{', '.join(str(_shown(each)) for each in value)}]"
    return str(value)


def _data(one: Identity, other: Identity) -> DataDifference:
    both_days = ({(each.contract, each.day.isoformat()): each for each in found.data.days} for found in (one, other))
    left, right = both_days
    both = [key for key in left if key in right]
    feeds = [{"range": found.manifests["range"], **_feed(found.data)} for found in (one, other)]
    return DataDifference(
        sum(left[key].content == right[key].content for key in both),
        tuple(key for key in both if left[key].content != right[key].content),
        tuple(key for key in left if key not in right),
        tuple(key for key in right if key not in left),
        tuple(_differences("", *feeds)),
    )


def _feed(data: Data) -> dict[str, Any]:
    return {"feed": data.feed, **data.settings, TAPE_ENDS: dict(data.ends_ns)}
