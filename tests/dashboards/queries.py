"""The queries of dashboards and rules, the metrics that the code declares, and the tests that see a metric move."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import prometheus_client
import yaml
from prometheus_client.metrics import MetricWrapperBase

import leadline_operator.metrics  # noqa: F401 - declares its metrics
from scripts import _reference_platform as platform

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "dashboards"
RULES: Final = FOLDER / "rules" / "leadline.yaml"
# Labels of the scrape: the monitors of the chart, and any Prometheus, add them.
SCRAPED: Final = frozenset({"job", "instance", "namespace", "pod"})
_VARIABLES: Final = {"$account": ".*", "$__rate_interval": "1m"}


@dataclass(frozen=True)
class Query:
    """A query where it stands, with the texts that name its labels."""

    where: str
    expr: str
    texts: str

    @property
    def promql(self) -> str:
        """The query as Grafana would send it."""
        text = self.expr
        for name, value in _VARIABLES.items():
            text = text.replace(name, value)
        return text

    @property
    def metrics(self) -> set[str]:
        """Names of the series that it asks for."""
        return set(re.findall(r"\bleadline_\w+", self.expr))

    @property
    def labels(self) -> set[str]:
        """Labels that it selects, groups or is drawn by."""
        matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", self.expr)
        grouped = ",".join(re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", self.expr)).replace(" ", "").split(",")
        drawn = re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", self.texts)
        return {*matched, *grouped, *drawn} - {""}


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by its file's name without ending."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def rules() -> list[dict[str, Any]]:
    """Every alert of the file of rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def queries() -> Iterator[Query]:
    """Every query of the folder."""
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield Query(f"{name}: {panel['title']}", target["expr"], target["legendFormat"])
    for rule in rules():
        yield Query(rule["alert"], rule["expr"], " ".join(rule["annotations"].values()))


def declared() -> Mapping[str, frozenset[str]]:
    """The labels of every series that the code declares, by the name under which it is scraped."""
    platform.metrics()  # imports all that declare one
    found: dict[str, frozenset[str]] = {}
    for name, collector in prometheus_client.REGISTRY._names_to_collectors.items():
        if isinstance(collector, MetricWrapperBase):
            extra = {"le"} if name.endswith("_bucket") else set()
            found[name] = frozenset(collector._labelnames) | extra
    return found


def families() -> set[str]:
    """Names under which metrics are asked for: of a counter with `_total`, of a histogram without `_bucket`."""
    names = set(declared())
    found = set()
    for collector in {id(each): each for each in prometheus_client.REGISTRY._names_to_collectors.values()}.values():
        if isinstance(collector, MetricWrapperBase):
            [family] = collector.describe()
            found.add(family.name + ("_total" if f"{family.name}_total" in names else ""))
    return {name for name in found if name.startswith("leadline_")}


def moved() -> dict[str, list[str]]:
    """By metric, the tests that say by the mark `moves` that they see it move."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text()
        if "mark.moves(" not in text:
            continue
        module = ast.parse(text)
        for node in ast.walk(module):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.moves":
                    for argument in mark.args:
                        assert isinstance(argument, ast.Constant)
                        found.setdefault(str(argument.value), []).append(f"{path.relative_to(ROOT)}::{node.name}")
    return found
