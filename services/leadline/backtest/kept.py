"""Backtests that are kept: the results of one, what they follow from, and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from pydantic import ValidationError

from leadline.backtest.documents import result_of_document, summary_document
from leadline.backtest.identity import Identity, identity_of_document
from leadline.backtest.results import BacktestResult
from leadline.backtest.store import ABOUT, Kept, Store
from leadline.model.errors import InvalidInput
from leadline.model.ids import BacktestId
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force

FOLDER: Final = "backtests"
"""The folder of a data directory that backtests are kept in."""
SCHEMA: Final = 1
"""Version of the files of a backtest that is kept."""
_RESULT: Final = "result.json"
_MANIFESTS: Final = "manifests.yaml"
_INSTRUMENTS: Final = "instruments.yaml"


def store_of(folder: Path) -> Store:
    """The backtests that are kept in a folder."""
    return Store(folder, "backtest", SCHEMA)


@dataclass(frozen=True, slots=True)
class KeptBacktest:
    """A backtest that is kept: its identity, its digest and the figures of its accounts, as `summary_document`."""

    kept: Kept
    identity: Identity
    digest: str
    accounts: Sequence[Mapping[str, Any]]

    @property
    def id(self) -> BacktestId:
        """Its id."""
        return BacktestId(self.kept.id)

    @property
    def strategies(self) -> list[str]:
        """Its strategies, namespace/name."""
        names = (each["metadata"] for each in self.identity.manifests["strategies"])
        return [f"{each['namespace']}/{each['name']}" for each in names]

    @property
    def range(self) -> tuple[str, str]:
        """The first and the last day that is traded, YYYY-MM-DD."""
        days = self.identity.manifests["range"]
        return days["first"], days["last"]

    def document(self) -> bytes:
        """The document of its results. Raises InvalidInput for a file that is damaged, OSError."""
        return self.kept.read(_RESULT)

    def result(self) -> BacktestResult:
        """Its results, to be shown again. The instruments of its own are in force from here on.

        Raises InvalidInput for what is damaged, Unknown for an instrument that this version does not know, OSError.
        """
        rows = self.identity.manifests["instruments"]
        where = str(self.kept.folder / ABOUT)
        try:
            put_in_force(OwnMarkets.model_validate_json(json.dumps(rows)))
        except ValidationError:
            raise InvalidInput(f"{where}: instruments", "something else", "instruments of one's own") from None
        where = str(self.kept.folder / _RESULT)
        try:
            found = orjson.loads(self.document())
        except orjson.JSONDecodeError as error:
            raise InvalidInput(where, str(error), "a JSON document") from None
        return result_of_document(found, self.identity, where)


def keep(
    store: Store, result: BacktestResult, document: Mapping[str, Any], identity: Identity, tables: Mapping[str, bytes]
) -> Path:
    """Keep the results of a backtest, in the place of those with the same id; returns their folder.

    document: theirs, as `result_document` makes it. tables: files that go with them, by name. Raises OSError.
    """
    manifests = identity.manifests
    documents = [*manifests["accounts"], *manifests["strategies"]]
    files = {
        **tables,
        _RESULT: orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE),
        _MANIFESTS: yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True).encode(),
    }
    if manifests["instruments"]:
        files[_INSTRUMENTS] = yaml.safe_dump(manifests["instruments"], sort_keys=False, allow_unicode=True).encode()
    about = {
        **identity.document(),
        "digest": result.digest,
        "accounts": [summary_document(each) for each in result.accounts],
    }
    return store.keep(identity.id, about, files)


def opened(store: Store, name: str) -> KeptBacktest:
    """A backtest by its whole id. Raises InvalidInput for one that is damaged or not what its name says, OSError."""
    kept = store.open(name)
    where = str(kept.folder / ABOUT)
    identity = identity_of_document(kept.about, where)
    if identity.id != name:
        raise InvalidInput(f"{where}: id", name, f"{identity.id}, which follows from its code, manifests and data")
    accounts = kept.about.get("accounts")
    if not isinstance(accounts, list):
        raise InvalidInput(f"{where}: accounts", "something else", "the figures of each account")
    return KeptBacktest(kept, identity, str(kept.about.get("digest", "")), accounts)
