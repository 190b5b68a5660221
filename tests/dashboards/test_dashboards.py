"""Dashboards and alerts ask for what the code measures, in words that Prometheus understands."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts import dashboards as writer
from tests.chart.rendering import one, render
from tests.dashboards.binaries import program
from tests.dashboards.queries import RULES, SCRAPED, Query, dashboards, declared, families, moved, queries, rules


def test_the_files_are_what_the_code_makes_and_the_chart_has_the_very_same():
    assert writer.drift() == [], "run: make dashboards"


def test_a_file_that_somebody_changed_is_found(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(writer, "COPY", tmp_path)
    assert {path.name for path in writer.drift()} == {"desk.json", "pipeline.json", "execution.json", "leadline.yaml"}


def test_there_are_three_dashboards_and_no_two_panels_lie_on_each_other():
    assert set(dashboards()) == {"desk", "pipeline", "execution"}
    for dashboard in dashboards().values():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
        numbers = [panel["id"] for panel in dashboard["panels"]]
        assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize("query", list(queries()), ids=lambda query: query.where)
def test_every_query_names_metrics_and_labels_that_the_code_has(query: Query):
    known = declared()
    assert query.metrics, "it asks for something"
    assert query.metrics <= set(known)
    assert query.labels <= SCRAPED.union(*(known[name] for name in query.metrics))


def test_every_metric_of_the_services_is_on_a_dashboard_or_in_a_rule():
    shown = {name.removesuffix("_bucket") for query in queries() for name in query.metrics}
    hidden = {name for name in families() - shown if not name.startswith("leadline_operator_")}
    assert hidden == {"leadline_service_info"}


def test_every_alert_says_how_grave_it_is_and_what_to_do():
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert {"summary", "description"} <= set(rule["annotations"]), rule["alert"]


def test_every_metric_that_an_alert_names_is_seen_to_move_by_a_test():
    named = {
        name for query in queries() if query.where in {rule["alert"] for rule in rules()} for name in query.metrics
    }
    assert named - set(moved()) == set(), "declared is not enough: mark the test that sees it move"
    assert set(moved()) <= set(declared())


def test_prometheus_reads_the_rules_and_every_query(tmp_path: Path):
    tool = program("promtool")
    if tool is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    # A recording rule takes any query: one call of the tool reads them all.
    every = tmp_path / "queries.yaml"
    every.write_text(recording([query.promql for query in queries()]))
    checked = read_by(tool, RULES, every)
    assert checked.returncode == 0, checked.stderr
    every.write_text(recording(["sum by (account (leadline_halted)"]))
    assert read_by(tool, every).returncode != 0


def recording(expressions: list[str]) -> str:
    """A file of rules that record these."""
    found = [{"record": f"q:{number}", "expr": text} for number, text in enumerate(expressions)]
    return yaml.safe_dump({"groups": [{"name": "all", "rules": found}]})


def read_by(tool: str, *files: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([tool, "check", "rules", *map(str, files)], check=False, capture_output=True, text=True)


def test_the_chart_ships_the_folder_as_it_is():
    documents = render({"monitoring": {"dashboards": {"enabled": True}, "prometheusRule": {"enabled": True}}})
    for name, dashboard in dashboards().items():
        made = one(documents, "ConfigMap", f"leadline-dashboard-{name}", "leadline-system")
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(made["data"][f"leadline-{name}.json"]) == dashboard
    assert one(documents, "PrometheusRule", "leadline")["spec"] == yaml.safe_load(RULES.read_text())


def test_the_chart_makes_no_dashboard_unless_it_is_asked_to():
    names = [document["metadata"]["name"] for document in render()]
    assert not [name for name in names if "dashboard" in name]
