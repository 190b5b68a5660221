"""The definitions as files: fresh, small, bounded, explained, and what the chart makes of them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from leadline.model.manifest.kinds import KINDS
from leadline.model.manifest.spec_base import CHANGE_KEY
from leadline.model.manifest.specs import Change
from leadline.model.manifest.status_spec import ConditionType
from scripts import crds
from scripts._crd_rules import LISTS, RULES

ROOT = Path(__file__).resolve().parents[2]
CLIENT_SIDE_APPLY_BYTES = 256 << 10
ALL_KINDS = list(KINDS)


def rendered(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The objects of the chart by kind of what they define."""
    with helm_python.Chart.load(crds.CHART) as chart:
        found = [yaml.safe_load(text) for text in chart.render(values).values()]
    return {document["spec"]["names"]["kind"]: document for document in found}


def fields(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field with its path, those inside of lists and maps too."""
    for name, field in node.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        yield place, field
        yield from fields(field, place)
        for inner in (field.get("items"), field.get("additionalProperties")):
            if inner:
                yield from [(f"{place}[]", inner)] if "properties" not in inner else fields(inner, f"{place}[]")


def own_fields(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of spec and status; the rest is Kubernetes' own."""
    return ((path, field) for path, field in fields(crds.object_schema(kind)) if path.startswith(("spec", "status")))


def test_the_files_are_what_the_models_give():
    for path, text in crds.files().items():
        assert path.read_text(encoding="utf-8") == text, f"run 'make crds': {path.name} has drifted"


def test_a_drift_is_refused_with_the_file_and_what_to_do(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(crds, "ROOT", tmp_path)
    monkeypatch.setattr(crds, "CHART", tmp_path / "chart")
    monkeypatch.setattr(sys, "argv", ["crds", "--check"])
    assert crds.main() == 1
    said = capsys.readouterr().err
    assert "crds: chart/templates/tradingstrategies.yaml: not what the models give; run 'make crds'" in said
    assert not (tmp_path / "chart").exists()
    monkeypatch.setattr(sys, "argv", ["crds"])
    assert crds.main() == 0
    monkeypatch.setattr(sys, "argv", ["crds", "--check"])
    assert crds.main() == 0


def test_the_check_runs_as_a_command():
    command = [sys.executable, "-m", "scripts.crds", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_chart_renders_the_definition(kind: str):
    document = rendered({})[kind]
    assert {key: document[key] for key in ("apiVersion", "kind", "spec")} == {
        key: crds.definition(kind)[key] for key in ("apiVersion", "kind", "spec")
    }
    assert document["metadata"]["name"] == f"{KINDS[kind].plural}.leadline.dev"
    assert document["metadata"]["labels"]["app.kubernetes.io/name"] == "leadline"


def test_definitions_outlive_the_release_unless_someone_says_otherwise():
    for document in rendered({}).values():
        assert document["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for document in rendered({"keep": False}).values():
        assert "annotations" not in document["metadata"]


@pytest.mark.parametrize("values", [{"keep": "yes"}, {"crds": {"keep": True}}])
def test_values_that_the_chart_does_not_know_are_refused(values: dict[str, Any]):
    with helm_python.Chart.load(crds.CHART) as chart, pytest.raises(helm_python.HelmError):
        chart.validate_schema(values)


def test_each_fits_into_a_client_side_apply_with_room_to_grow():
    for path in crds.files():
        assert path.stat().st_size < CLIENT_SIDE_APPLY_BYTES / 2, path.name


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_field_explains_itself(kind: str):
    assert [path for path, field in own_fields(kind) if not path.endswith("[]") and not field.get("description")] == []


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_field_is_bounded(kind: str):
    bounds = {"string": ("maxLength", "enum"), "array": ("maxItems",), "integer": ("maximum", "format")}
    for path, field in own_fields(kind):
        if "type" not in field:  # the value of any field, or a number in either of its spellings
            assert {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"} & set(field), path
            continue
        wanted = bounds.get(field["type"], ())
        if field["type"] == "object" and "properties" not in field:
            wanted = ("maxProperties",)
        assert not wanted or any(bound in field for bound in wanted), path


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_only_what_other_people_define_is_free_form(kind: str):
    free = [path for path, field in own_fields(kind) if "x-kubernetes-preserve-unknown-fields" in field]
    of_a_strategy = ["spec.strategy.parameters", "spec.resources"]
    assert free == {
        "TradingStrategy": of_a_strategy,
        "TradingAccount": [],
        "Backtest": [
            *(f"spec.strategy.{path}" for path in of_a_strategy),
            "spec.sweep.fields[].values[]",
            "spec.sweep.variants[]",
            "spec.resources",
        ],
    }.get(kind)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_nothing_of_ours_stands_in_a_schema(kind: str):
    assert CHANGE_KEY not in str(crds.object_schema(kind))


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_field_of_the_spec_says_what_a_change_does(kind: str):
    found = crds.object_schema(kind)["properties"]["spec"]["properties"]
    words = {
        "HOT": "without a restart",
        "ROLLOUT": "starts the workload again",
        "ROLLOUT_SUSPENDED": "only while state is Suspended",
        "FIXED": "never changes",
        "IGNORE": "read when it is needed",
    }
    assert set(words) == set(Change)
    for name, field in KINDS[kind].spec.model_json_schema()["properties"].items():
        assert words[field[CHANGE_KEY]] in found[name]["description"]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_status_has_its_fields_and_makes_nothing_up(kind: str):
    status = crds.object_schema(kind)["properties"]["status"]
    assert list(status["properties"]) == list(KINDS[kind].status.model_json_schema()["properties"])
    assert [path for path, field in fields(status) if "default" in field] == []
    conditions = status["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert conditions["maxItems"] >= len(ConditionType)
    assert status["properties"]["observedGeneration"]["format"] == "int64"


def test_a_list_that_nobody_gave_a_kind_is_refused(monkeypatch):
    monkeypatch.setitem(LISTS, "TradingAccount", {"spec.tiers": "atomic", "status.conditions": ("type",)})
    with pytest.raises(SystemExit, match=r"the list spec\.limits\.allowedContracts has no kind"):
        crds.definition("TradingAccount")


def test_a_rule_at_a_field_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setitem(RULES, "TradingAccount", {**RULES["TradingAccount"], "spec.levels": ()})
    with pytest.raises(SystemExit, match=r"nothing stands at spec\.levels"):
        crds.definition("TradingAccount")
