"""A backtest is named by its code, its manifests and its data, and by nothing else."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from leadline.backtest.code import code_of
from leadline.backtest.identity import Code, Data, DataDay, Identity, identity_of_document, manifests_document
from leadline.model.errors import InvalidInput
from leadline.model.manifest.own_markets import OwnMarkets
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.runtime import version
from tests.backtest.builders import IDENTITY, MONDAY, TUESDAY

EXAMPLE = Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml"


def manifests(text: str = "", last: date = TUESDAY) -> dict[str, object]:
    found = load_manifests(text or EXAMPLE)
    accounts = [each for each in found if isinstance(each, TradingAccount)]
    strategies = [each for each in found if isinstance(each, TradingStrategy)]
    return manifests_document(accounts, strategies, MONDAY, last, OwnMarkets())


def test_an_id_has_twelve_characters_and_comes_again():
    assert len(IDENTITY.id) == 12
    assert replace(IDENTITY).id == IDENTITY.id


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, code=replace(IDENTITY.code, sources="others")),
        replace(IDENTITY, code=replace(IDENTITY.code, others=(("breakout", "x"),))),
        replace(IDENTITY, manifests={**IDENTITY.manifests, "range": {"first": "2025-06-09", "last": "2025-06-11"}}),
        replace(IDENTITY, data=replace(IDENTITY.data, feed="file")),
        replace(IDENTITY, data=replace(IDENTITY.data, settings={"seed": 2})),
        replace(IDENTITY, data=replace(IDENTITY.data, ends_ns={"MESM2025": 1})),
        replace(IDENTITY, data=replace(IDENTITY.data, days=IDENTITY.data.days[:1])),
        replace(
            IDENTITY,
            data=replace(IDENTITY.data, days=(replace(IDENTITY.data.days[0], content="c"), *IDENTITY.data.days[1:])),
        ),
    ],
)
def test_other_code_manifests_or_data_have_another_id(other: Identity):
    assert other.id != IDENTITY.id


def test_the_commit_is_only_a_name_for_the_same_files():
    assert replace(IDENTITY, code=replace(IDENTITY.code, commit="abc", dirty=True)).id == IDENTITY.id


def test_an_identity_is_read_back_from_its_document():
    full = replace(IDENTITY, code=Code("1", "s", "abc", dirty=True, others=(("breakout", "x"),)))
    for each in (IDENTITY, full):
        assert identity_of_document(json.loads(json.dumps(each.document())), "about.json") == each


@pytest.mark.parametrize("part", ["code", "manifests", "data"])
def test_a_document_without_a_part_is_refused(part: str):
    document = {name: value for name, value in IDENTITY.document().items() if name != part}
    with pytest.raises(InvalidInput, match=r"^about.json: got 'something else', expected the code, the manifests"):
        identity_of_document(document, "about.json")


def test_a_manifest_says_the_same_with_its_defaults_and_without_them():
    text = EXAMPLE.read_text()
    assert manifests(text.replace("kind: TradingAccount", "kind: TradingAccount # a comment")) == manifests()
    assert manifests(text.replace("bars: 5m", "bars: 10m")) != manifests()
    assert manifests(last=date(2025, 6, 11)) != manifests()


def test_the_code_of_a_strategy_of_ones_own_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "kept_breakout.py").write_text("def make(parameters, instrument): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    (strategy,) = (each for each in load_manifests(EXAMPLE) if isinstance(each, TradingStrategy))
    document = strategy.to_manifest()
    document["spec"]["strategy"] = {"entryPoint": "kept_breakout:make"}
    named = load_manifests(json.dumps(document))[0]
    assert isinstance(named, TradingStrategy)
    __import__("kept_breakout")
    before = code_of([named])
    assert [name for name, _ in before.others] == ["kept_breakout"]
    (tmp_path / "kept_breakout.py").write_text("def make(parameters, instrument): pass\n")
    version.module_digest.cache_clear()
    assert code_of([named]).digest != before.digest
    assert code_of([strategy]).others == ()


def test_data_has_the_days_with_their_hashes():
    data = Data("catalog", {}, (DataDay("MESM2025", MONDAY, 5, "a" * 64),), {"MESM2025": 9})
    assert data.document() == {
        "feed": "catalog",
        "settings": {},
        "ends_ns": {"MESM2025": 9},
        "days": [["MESM2025", "2025-06-09", 5, "a" * 64]],
    }
