"""The row that a sweep keeps of each variant: its values and its figures, as plain values that are read back."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeAlias, get_type_hints

import orjson
from pydantic.alias_generators import to_camel

from leadline.backtest.figures import daily_returns
from leadline.backtest.results import AccountResult, DayLine, Figures
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, ContractId
from leadline.study.accounts import VariantResult

FIGURES: Final = tuple(each.name for each in fields(Figures))
"""The figures by which variants are sorted and chosen."""
LOWER_IS_BETTER: Final = frozenset({"losses", "commission", "max_drawdown"})
"""Figures of which the lowest is the best."""
FilledOn: TypeAlias = tuple[tuple[ContractId, ContractId], ...]
"""Contracts of orders that other contracts' prints filled, each with that one."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """The figures of one account of a variant, and its session days. Money is in its currency."""

    account: AccountId
    currency: str
    start_equity: Decimal
    end_equity: Decimal
    figures: Figures
    days: tuple[DayLine, ...]

    @property
    def returns(self) -> list[Decimal] | None:
        """Its daily returns; None where a day began without equity."""
        return returns_of(self)

    def figure(self, name: str) -> Decimal | None:
        """A figure by its name, one of `FIGURES`; None where it is not defined."""
        found = getattr(self.figures, name)
        return None if found is None else Decimal(found)


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant: its number, its fields with their values, its digest and its accounts by name.

    Where an account was halted, `halted` says why, and there is no digest and no account. filled_on: as that of
    `BacktestResult`.
    """

    number: int
    values: tuple[tuple[str, Any], ...]
    digest: str
    accounts: tuple[AccountRow, ...]
    halted: str = ""
    filled_on: FilledOn = ()

    def document(self) -> dict[str, Any]:
        """Plain values, which `row_of_document` reads back. Decimals are text, what is not defined is left out."""
        return {
            "number": self.number,
            "values": dict(self.values),
            "digest": self.digest,
            "halted": self.halted,
            "filled_on": [list(each) for each in self.filled_on],
            "accounts": [_account_document(each) for each in self.accounts],
        }


def returns_of(account: AccountRow | AccountResult) -> list[Decimal] | None:
    """The daily returns of an account; None where a day began without equity."""
    return daily_returns(account.start_equity, [each.equity for each in account.days])


def traded_alike(one: AccountResult, other: AccountResult) -> bool:
    """Whether two accounts have the same figures and the same equity at every moment: neither is another trial."""
    return (one.figures, one.days, one.equity) == (other.figures, other.days, other.equity)


def row_of(found: VariantResult) -> VariantRow:
    """The row of a variant's result."""
    number, values = found.variant.number, found.variant.values
    if found.result is None:
        return VariantRow(number, values, "", (), found.halted)
    accounts = tuple(
        AccountRow(each.account, each.currency, each.start_equity, each.end_equity, each.figures, each.days)
        for each in found.result.accounts
    )
    return VariantRow(number, values, found.result.digest, accounts, filled_on=found.result.filled_on)


def row_of_document(document: Mapping[str, Any]) -> VariantRow:
    """The inverse of `VariantRow.document`. Raises KeyError, TypeError and ValueError for what it does not write."""
    return VariantRow(
        document["number"],
        tuple(document["values"].items()),
        document["digest"],
        tuple(_account_of(each) for each in document["accounts"]),
        document["halted"],
        tuple((ContractId(order), ContractId(tape)) for order, tape in document["filled_on"]),
    )


def bytes_of(row: VariantRow) -> bytes:
    """A row as a file has it: the same row, the same bytes."""
    return orjson.dumps(row.document(), option=orjson.OPT_INDENT_2) + b"\n"


def filled_on_of(found: Iterable[FilledOn]) -> FilledOn:
    """The pairs of several results, each once, in order."""
    return tuple(sorted({pair for each in found for pair in each}))


def require_figure(name: str, where: str) -> str:
    """The figure of a name, as manifests spell it or as results do. Raises InvalidInput for one that no figure has."""
    found = figure_named(name)
    if found not in FIGURES:
        raise InvalidInput(where, name, f"one of {', '.join(map(to_camel, FIGURES))}")
    return found


def figure_named(spelled: str) -> str:
    """The name of a figure in results, by that in a manifest: `profit_factor` for `profitFactor`."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", spelled)


def better_first(name: str, value: Decimal | None) -> tuple[bool, Decimal]:
    """A key by which the better of two figures of this name comes first, and one that is not defined comes last."""
    if value is None:
        return True, Decimal(0)
    return False, value if name in LOWER_IS_BETTER else -value


def _account_document(row: AccountRow) -> dict[str, Any]:
    return {
        "account": row.account,
        "currency": row.currency,
        "start_equity": _text(row.start_equity),
        "end_equity": _text(row.end_equity),
        "figures": {
            name: found if isinstance(found, int) else _text(found)
            for name in FIGURES
            if (found := getattr(row.figures, name)) is not None
        },
        "days": [[each.day.isoformat(), each.trades, _text(each.net), _text(each.equity)] for each in row.days],
    }


def _account_of(document: Mapping[str, Any]) -> AccountRow:
    found, whole = document["figures"], _whole_figures()
    values: dict[str, Any] = {
        name: None if name not in found else found[name] if name in whole else Decimal(found[name]) for name in FIGURES
    }
    return AccountRow(
        AccountId(document["account"]),
        document["currency"],
        Decimal(document["start_equity"]),
        Decimal(document["end_equity"]),
        Figures(**values),
        tuple(
            DayLine(date.fromisoformat(day), trades, Decimal(net), Decimal(equity))
            for day, trades, net, equity in document["days"]
        ),
    )


@cache
def _whole_figures() -> frozenset[str]:
    return frozenset(name for name, hint in get_type_hints(Figures).items() if hint is int)


def _text(value: Decimal) -> str:
    return format(value, "f")
