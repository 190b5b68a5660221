"""One number for what a run decided: the same input gives the same digest, at any speed and after any kill.

SHA-256 over canonical JSON lines (sorted keys, integers and decimal strings only) of bars, signals with their
evidence, decisions, orders and fills, ordered by (instant, kind, account, strategy, bar, leg, fill). Ids, names, the
tape, wall-clock times and epochs are left out; a strategy is its index in its account's order, and an account its index
among all, where only those count that said or did something: one that is idle changes nothing. What no strategy owns
has the index -1.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np
import orjson

from leadline.model.bars import numbered
from leadline.model.ids import AccountId, StrategyId
from leadline.model.proposals import Action

KINDS: Final = ("fill", "bar", "signal", "decision", "order")
"""Order of what happens at one instant: fills are booked, bars close, strategies speak, decisions, orders."""

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "fill": ("leg", "contract", "side", "quantity", "price", "ts_ns", "source_index", "k", "commission"),
    "bar": (
        "bar_key", "start_ns", "end_ns", "known_at_ns", "open", "high", "low", "close", "volume", "trades", "delta",
        "min_delta", "max_delta", "cumulative_delta", "poc", "value_area_low", "value_area_high", "vwap_volume",
        "vwap_price_volume", "vwap_price2_volume", "first_index", "last_index", "rows", "gap",
    ),
    "signal": ("bar_key", "known_at_ns", "close", "regime", "confidence", "multiplier", "reason", "scores", "inputs",
               "signals"),
    "decision": ("bar_key", "instant_ns", "trading_day", "accepted", "reason", "side", "quantity", "contract",
                 "type", "price", "valid_until_ns", "bracket", "patterns", "regime", "arithmetic", "proposal"),
    "order": ("bar_key", "leg", "contract", "side", "type", "quantity", "limit_price", "stop_price", "filled", "state",
              "reason", "decided_at_ns"),
}  # fmt: skip
"""The fields of each kind of line, besides its kind, account index and strategy index.

A bar's `trades` are its prints: the key is a part of every digest that was ever noted, and stays.
Its `gap` is left out where it has none.
A decision's `proposal` is what was asked for besides an entry at the manifest's terms; it is left out where that is
nothing.
"""

_JSON: Final = frozenset({"rows", "scores", "inputs", "signals", "arithmetic", "bracket", "proposal"})


def digest_lines(lines: list[bytes]) -> str:
    """SHA-256 of lines, each ended by a newline."""
    total = hashlib.sha256()
    for line in lines:
        total.update(line + b"\n")
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Owners:
    """The accounts and strategies that have said or done something: lines name them by their place among these."""

    accounts: tuple[AccountId, ...]
    strategies: Mapping[AccountId, tuple[StrategyId, ...]]

    @staticmethod
    def of(pairs: Iterable[tuple[AccountId, StrategyId]]) -> "Owners":
        """Of pairs of account and strategy, in any order and as often as they come; empty ones are nobody."""
        found = sorted({pair for pair in pairs if pair[0]})
        accounts = tuple(sorted({account for account, _ in found}))
        return Owners(
            accounts, {name: tuple(strategy for of, strategy in found if of == name and strategy) for name in accounts}
        )

    def place(self, account: AccountId, strategy: StrategyId) -> tuple[int, int]:
        """The numbers of an account and of a strategy among its account's; -1 for nobody."""
        return (
            self.accounts.index(account) if account else -1,
            self.strategies[account].index(strategy) if strategy else -1,
        )


Line: TypeAlias = tuple[tuple[Any, ...], bytes, str]
"""A line with what it is sorted by, of which the first is its instant, and its kind."""


def lines_from(rows_by_kind: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[bytes, str]]:
    """The canonical lines of rows by kind, in their order, each with its kind. The rows are as `line_of` wants them."""
    owners = Owners.of((row["account"], row["strategy"]) for rows in rows_by_kind.values() for row in rows)
    found = [line_of(kind, row, owners) for kind in KINDS for row in rows_by_kind[kind]]
    return [(text, kind) for _, text, kind in sorted(found)]


def line_of(kind: str, row: Mapping[str, Any], owners: Owners) -> Line:
    """The canonical line of a row, to be sorted among others.

    A row has the fields of its kind, documents as values or as the text of their JSON, and besides: `account` and
    `strategy`, empty where nobody owns it, `at` the instant, `sort` the bar's key or None, `leg`, and a fill its `k`.
    """
    account, strategy = owners.place(row["account"], row["strategy"])
    line = {
        name: value if type(value) in _AS_THEY_ARE else _plain(name, value)
        for name in FIELDS[kind]
        for value in (row[name],)
    }
    if kind == "decision":
        line |= _asked(line.pop("proposal"))
    if kind == "bar" and not line["gap"]:
        del line["gap"]
    text = orjson.dumps({**line, "kind": kind, "account": account, "strategy": strategy}, str, _CANONICAL)
    bar = numbered(row["sort"]) if row["sort"] else ("", -1)
    number = row["k"] if kind == "fill" else 0
    return (row["at"], KINDS.index(kind), account, strategy, *bar, row["leg"], number), text, kind


def owned(line: Line, account: int, strategy: int) -> Line:
    """A line of a signal that was made for nobody, as that of an account and a strategy by their numbers.

    They are the first and the last field of such a line.
    """
    (at, kind, _, _, *rest), text, name = line
    assert name == "signal"
    inner = text[len(_NO_ACCOUNT) : -len(_NO_STRATEGY)]
    return (at, kind, account, strategy, *rest), b'{"account":%d%b"strategy":%d}' % (account, inner, strategy), name


def _asked(proposal: Mapping[str, Any]) -> dict[str, Any]:
    """The field of a line for a proposal that asks for more than an entry at the manifest's terms."""
    terms = {name: proposal[name] for name in ("entry", "bracket", "quantity") if proposal[name] is not None}
    for name in ("group", "unit"):
        if proposal[name]:
            terms[name] = proposal[name]
    if proposal["action"] != Action.ENTER:
        terms["action"] = proposal["action"]
    return {"proposal": {**terms, "direction": proposal["direction"]}} if terms else {}


_AS_THEY_ARE: Final = frozenset({int, bool, list, dict, np.ndarray, type(None)})
_CANONICAL: Final = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
_NO_ACCOUNT: Final = b'{"account":-1'
_NO_STRATEGY: Final = b'"strategy":-1}'


def _plain(name: str, value: Any) -> Any:
    """Integers, strings, booleans and lists of them; a decimal is its shortest string without an exponent."""
    if name in _JSON:
        return orjson.loads(value) if isinstance(value, str | bytes) else value
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if value is None or isinstance(value, int | str | list):
        return value
    return str(value)
