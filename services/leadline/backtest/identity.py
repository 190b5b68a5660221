"""The identity of a backtest: the code, the manifests and the data that its results follow from.

All of it is plain values that a JSON document keeps, so that a result that is read back says by itself whether it is
the one that its name promises.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from leadline.backtest.days import BacktestDays
from leadline.backtest.prints import Prints
from leadline.model.errors import InvalidInput
from leadline.model.ids import BacktestId, derive
from leadline.model.manifest.own_markets import OwnMarkets
from leadline.model.manifest.specs import TradingAccount, TradingStrategy

ID_LENGTH: Final = 12
"""Characters of an id."""


@dataclass(frozen=True, slots=True)
class Code:
    """The code that decided. `version` is the package's, `sources` a digest of all its files, wherever they lie.

    `commit` is that of a checkout, empty where the package is installed; `dirty`: its files are not that commit's.
    `others` are digests of packages that strategies, nodes or venues come from, by name.
    """

    version: str
    sources: str
    commit: str = ""
    dirty: bool = False
    others: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """The same where the same files decide: the commit is only how people name them."""
        return derive("code", self.version, self.sources, *(part for each in self.others for part in each))

    def document(self) -> dict[str, Any]:
        """Plain values of the files that decide: the same for the same digest."""
        return {"version": self.version, "sources": self.sources, "others": dict(self.others)}

    def noted(self) -> dict[str, Any]:
        """Plain values of the checkout, empty where there is none: nothing follows from them."""
        return {"commit": self.commit, "dirty": self.dirty} if self.commit else {}

    def __str__(self) -> str:
        commit = f", commit {self.commit[:10]}{' with changes' if self.dirty else ''}" if self.commit else ""
        return f"{self.version} ({self.sources[:ID_LENGTH]}{commit})"


@dataclass(frozen=True, slots=True)
class DataDay:
    """The prints of a contract's trading day; `content` is `leadline.catalog.entry.content_hash` of them."""

    contract: str
    day: date
    prints: int
    content: str


@dataclass(frozen=True, slots=True)
class Data:
    """All prints that a backtest read, history included.

    `feed` is the kind of the feed and `settings` what it is made of beside its prints, such as a seed. `ends_ns` is the
    instant of each contract's tape before which nothing follows its last print, ns UTC.
    """

    feed: str
    settings: Mapping[str, int]
    days: tuple[DataDay, ...]
    ends_ns: Mapping[str, int]

    def document(self) -> dict[str, Any]:
        """Plain values, which `data_of_document` reads back."""
        return {
            "feed": self.feed,
            "settings": dict(self.settings),
            "ends_ns": dict(sorted(self.ends_ns.items())),
            "days": [[each.contract, each.day.isoformat(), each.prints, each.content] for each in self.days],
        }


@dataclass(frozen=True, slots=True)
class Identity:
    """The code of a backtest, its manifests as `manifests_document` has them, and its data."""

    code: Code
    manifests: Mapping[str, Any]
    data: Data

    @property
    def id(self) -> BacktestId:
        """The first characters of the hash of code, manifests and data."""
        parts = (self.code.digest, hash_of(self.manifests), hash_of(self.data.document()))
        return BacktestId(derive("backtest", *parts)[:ID_LENGTH])

    def document(self) -> dict[str, Any]:
        """Plain values, which `identity_of_document` reads back: all but `noted` are the same for the same id."""
        return {
            "code": self.code.document(),
            "manifests": dict(self.manifests),
            "data": self.data.document(),
            "noted": self.code.noted(),
        }


def data_of(feed: str, settings: Mapping[str, int], prints: Prints, days: BacktestDays) -> Data:
    """The data of the days of a backtest. feed, settings: see `Data`. Raises OSError as `Prints.content`."""
    tapes = [part for day in days.days for part in day.tapes]
    return Data(
        feed,
        settings,
        tuple(
            DataDay(part.contract, part.day, part.prints, prints.content(part.contract, part.day))
            for part in sorted(tapes, key=lambda part: (part.contract, part.day))
        ),
        {part.contract: part.ends_ns for part in tapes if part.next_ns is None},
    )


def manifests_document(
    accounts: Iterable[TradingAccount],
    strategies: Iterable[TradingStrategy],
    first: date,
    last: date,
    own: OwnMarkets,
) -> dict[str, Any]:
    """The range, the manifests with their defaults and the instruments of one's own, as plain values in one order.

    first, last: the first and the last day that is traded.
    """
    return {
        "range": {"first": first.isoformat(), "last": last.isoformat()},
        "accounts": [each.to_manifest() for each in sorted(accounts, key=lambda each: each.full_name)],
        "strategies": [each.to_manifest() for each in sorted(strategies, key=lambda each: each.full_name)],
        "instruments": json.loads(own.document()) if own.digest() else {},
    }


def hash_of(document: Mapping[str, Any]) -> str:
    """An id of plain values, the same in whatever order their names stand."""
    return derive(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def identity_of_document(document: Mapping[str, Any], where: str) -> Identity:
    """The inverse of `Identity.document`. Raises InvalidInput naming `where` for values that it does not write."""
    try:
        code, data, noted = document["code"], document["data"], document.get("noted", {})
        return Identity(
            Code(
                code["version"],
                code["sources"],
                noted.get("commit", ""),
                noted.get("dirty", False),
                tuple(sorted(code["others"].items())),
            ),
            document["manifests"],
            Data(
                data["feed"],
                data["settings"],
                tuple(
                    DataDay(contract, date.fromisoformat(day), int(prints), content)
                    for contract, day, prints, content in data["days"]
                ),
                data["ends_ns"],
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput(where, "something else", "the code, the manifests and the data of a backtest") from None
