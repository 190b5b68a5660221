"""A backtest that is kept is shown again as it was."""

import json
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from leadline.backtest.documents import result_document
from leadline.backtest.kept import KeptBacktest, keep, opened, store_of
from leadline.backtest.store import ABOUT, Store
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import load_manifests
from leadline.report.tables import parquet_files
from leadline.report.tearsheet import write_tearsheet
from tests.backtest.builders import IDENTITY, backtest_result


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path / "backtests")


@pytest.fixture
def kept(store: Store) -> KeptBacktest:
    result = backtest_result()
    keep(store, result, result_document(result), IDENTITY, parquet_files(result))
    return opened(store, IDENTITY.id)


def test_its_results_are_those_that_it_had(kept: KeptBacktest):
    assert kept.result() == backtest_result()
    assert orjson.loads(kept.document()) == orjson.loads(orjson.dumps(result_document(backtest_result())))


def test_with_another_commit_of_the_same_files_the_same_is_kept(store: Store):
    found = []
    for commit, dirty in (("a" * 40, False), ("b" * 40, True), ("", False)):
        identity = replace(IDENTITY, code=replace(IDENTITY.code, commit=commit, dirty=dirty))
        result = replace(backtest_result(), identity=identity)
        folder = keep(store, result, result_document(result), identity, {})
        assert opened(store, identity.id).identity == identity
        about = orjson.loads((folder / ABOUT).read_bytes())
        assert about.pop("noted") == ({"commit": commit, "dirty": dirty} if commit else {})
        found.append((about, {each.name: each.read_bytes() for each in folder.iterdir() if each.name != ABOUT}))
    assert found[0] == found[1] == found[2]


def test_its_page_is_the_one_that_it_had(kept: KeptBacktest, tmp_path: Path):
    write_tearsheet(backtest_result(), tmp_path / "before.html")
    write_tearsheet(kept.result(), tmp_path / "after.html")
    assert (tmp_path / "after.html").read_bytes() == (tmp_path / "before.html").read_bytes()


def test_it_says_what_it_is_of(kept: KeptBacktest):
    assert (kept.id, kept.identity) == (IDENTITY.id, IDENTITY)
    assert (kept.strategies, kept.range) == (["default/mes-orderflow"], ("2025-06-09", "2025-06-10"))
    assert [(each["account"], each["net"], each["trade_count"]) for each in kept.accounts] == [
        ("default/paper", "26.25", 2)
    ]


def test_its_manifests_can_be_run_again(kept: KeptBacktest):
    again = load_manifests(kept.kept.folder / "manifests.yaml")
    written = [each.to_manifest() for each in again]
    assert written == [*IDENTITY.manifests["accounts"], *IDENTITY.manifests["strategies"]]


def test_its_tables_carry_its_id(kept: KeptBacktest):
    for name in ("trades", "days", "equity"):
        metadata = pq.read_schema(kept.kept.folder / f"{name}.parquet").metadata
        assert metadata[b"leadline.backtest"] == IDENTITY.id.encode()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"seed": 1', '"seed": 2', r"about.json: id: got '.*', expected .*, which follows from its code, manifests"),
        ('"data": {', '"date": {', "about.json: got 'something else', expected the code, the manifests and the data"),
        ('"accounts": [', '"accounts": 5, "x": [', "about.json: "),
    ],
)
def test_what_is_not_what_its_id_says_is_told(kept: KeptBacktest, store: Store, before: str, after: str, words: str):
    about = kept.kept.folder / ABOUT
    assert before in about.read_text()
    about.write_text(about.read_text().replace(before, after))
    with pytest.raises(InvalidInput, match=words):
        opened(store, IDENTITY.id)


def test_instruments_of_ones_own_that_are_none_are_told(store: Store):
    manifests = {**IDENTITY.manifests, "instruments": {"instruments": {"XX": 5}}}
    identity = IDENTITY.__class__(IDENTITY.code, manifests, IDENTITY.data)
    keep(store, backtest_result(), result_document(backtest_result()), identity, {})
    found = opened(store, identity.id)
    assert json.dumps(found.identity.manifests["instruments"]) == '{"instruments": {"XX": 5}}'
    with pytest.raises(InvalidInput, match=r"about.json: instruments: got 'something else', expected instruments"):
        found.result()
