"""The results of a backtest as a JSON document, in the words of `leadline.views.documents`, and back."""

import dataclasses
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from leadline.backtest.causes import Cause
from leadline.backtest.coverage import KeptOut, ShortDay, UnfinishedLine
from leadline.backtest.identity import Identity
from leadline.backtest.results import (
    AccountResult,
    BacktestResult,
    DayLine,
    Figures,
    Group,
    TierChange,
)
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId
from leadline.model.market.contracts import instrument_of
from leadline.views.documents import document, trade, value_of
from leadline.views.trades import EquityPoint, Trade

_LINES: Final[Mapping[str, type[Any]]] = {
    "days": DayLine,
    "by_pattern": Group,
    "by_regime": Group,
    "by_hour": Group,
    "by_weekday": Group,
    "tier_changes": TierChange,
    "equity": EquityPoint,
}
"""The lists of an account, by name, and what each has."""

_LACKS: Final[Mapping[str, type[Any]]] = {"short_days": ShortDay, "kept_out": KeptOut, "unfinished": UnfinishedLine}
"""The lists of what the prints lack, by name, and what each has."""


def result_document(result: BacktestResult) -> dict[str, Any]:
    """The document of a backtest: the same bytes for the same id. Without an identity it has no `id`."""
    named: dict[str, Any] = {}
    if result.identity is not None:
        code = result.identity.code  # without its commit: the same files may be another's, too
        named = {"id": result.identity.id, "code": {"version": code.version, "sources": code.sources}}
    return {
        **named,
        "first": result.first.isoformat(),
        "last": result.last.isoformat(),
        "days": result.days,
        "prints": result.prints,
        "missing_sessions": [day.isoformat() for day in result.missing],
        "filled_on": [{"contract": contract, "prints_of": tape} for contract, tape in result.filled_on],
        **{name: [document(each) for each in getattr(result, name)] for name in _LACKS},
        "digest": result.digest,
        "accounts": [_account(each) for each in result.accounts],
    }


def summary_document(found: AccountResult) -> dict[str, Any]:
    """An account with its figures alone; an absent figure is left out, as every absent field."""
    return {
        "account": found.account,
        "currency": found.currency,
        "start_equity": format(found.start_equity, "f"),
        "end_equity": format(found.end_equity, "f"),
        **document(found.figures),
    }


def result_of_document(found: Mapping[str, Any], identity: Identity, where: str) -> BacktestResult:
    """The inverse of `result_document`: prices of the trades are read by the instruments in force.

    Raises InvalidInput naming `where` for what it does not write, Unknown for a contract that is not known.
    """
    try:
        return BacktestResult(
            first=date.fromisoformat(found["first"]),
            last=date.fromisoformat(found["last"]),
            days=found["days"],
            prints=found["prints"],
            digest=found["digest"],
            accounts=tuple(_account_of(each) for each in found["accounts"]),
            missing=tuple(map(date.fromisoformat, found["missing_sessions"])),
            filled_on=tuple((each["contract"], each["prints_of"]) for each in found["filled_on"]),
            **{name: tuple(value_of(kind, each) for each in found[name]) for name, kind in _LACKS.items()},
            identity=identity,
        )
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise InvalidInput(where, "something else", "the results of a backtest as this version writes them") from None


def _account(found: AccountResult) -> dict[str, Any]:
    """An account with its figures beside the sums, its lists, and its trades, each with what made it."""
    return {
        **summary_document(found),
        "decisions": found.decisions,
        "refused": dict(found.refused),
        "zones": list(found.zones),
        **{name: [document(each) for each in getattr(found, name)] for name in _LINES},
        "trades": [
            {**trade(each), "cause": document(cause)} for each, cause in zip(found.trades, found.causes, strict=True)
        ],
    }


def _account_of(found: Mapping[str, Any]) -> AccountResult:
    lines: dict[str, Any] = {name: tuple(value_of(kind, each) for each in found[name]) for name, kind in _LINES.items()}
    return AccountResult(
        account=AccountId(found["account"]),
        currency=found["currency"],
        start_equity=Decimal(found["start_equity"]),
        end_equity=Decimal(found["end_equity"]),
        figures=value_of(Figures, found),
        trades=tuple(map(_trade_of, found["trades"])),
        causes=tuple(value_of(Cause, each["cause"]) for each in found["trades"]),
        zones=tuple(found["zones"]),
        decisions=found["decisions"],
        refused=tuple(found["refused"].items()),
        **lines,
    )


def _trade_of(found: Mapping[str, Any]) -> Trade:
    tick = instrument_of(found["contract"]).tick
    read = value_of(Trade, found)
    return dataclasses.replace(read, entry_price=read.entry_price / tick, exit_price=read.exit_price / tick)
