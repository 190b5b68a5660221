"""A dashboard as Grafana imports it, out of rows of panels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

COLUMNS: Final = 24
HEIGHT: Final = 8
SMALL: Final = 4
SCHEMA_VERSION: Final = 39


@dataclass(frozen=True)
class Panel:
    """A picture of some queries, each a pair of PromQL and the text by which a series is named.

    unit: Grafana's name of a unit. kind: `timeseries`, or `stat` for the last value in large letters. width: of 24.
    """

    title: str
    queries: Sequence[tuple[str, str]]
    meaning: str
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8


@dataclass(frozen=True)
class Dashboard:
    """Panels in rows, each row with a title. accounts: whether accounts can be chosen."""

    uid: str
    title: str
    rows: Sequence[tuple[str, Sequence[Panel]]]
    accounts: bool = False


def dashboard(wanted: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana imports it. Its Prometheus is chosen by the variable `datasource`."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in wanted.rows:
        panels.append(_panel(len(panels) + 1, "row", title, (0, y, COLUMNS, 1)) | {"collapsed": False, "panels": []})
        x, y = 0, y + 1
        height = HEIGHT
        for each in row:
            if x + each.width > COLUMNS:
                x, y = 0, y + height
            height = SMALL if all(found.kind == "stat" for found in row) else HEIGHT
            panels.append(_shown(len(panels) + 1, each, (x, y, each.width, height)))
            x += each.width
        y += height
    return {
        "uid": wanted.uid,
        "title": wanted.title,
        "tags": ["leadline"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": _variables(wanted)},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def _variables(wanted: Dashboard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}
    ]
    if wanted.accounts:
        query = "label_values(leadline_equity, account)"
        found.append(
            {
                "name": "account",
                "label": "Account",
                "type": "query",
                "datasource": _SOURCE,
                "query": {"query": query, "refId": "account"},
                "definition": query,
                "refresh": 2,
                "sort": 1,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
                "hide": 0,
            }
        )
    return found


def _panel(number: int, kind: str, title: str, place: tuple[int, int, int, int]) -> dict[str, Any]:
    x, y, width, height = place
    return {"id": number, "type": kind, "title": title, "gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _shown(number: int, panel: Panel, place: tuple[int, int, int, int]) -> dict[str, Any]:
    stat = panel.kind == "stat"
    return _panel(number, panel.kind, panel.title, place) | {
        "description": panel.meaning,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name", "colorMode": "none"}
        if stat
        else {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": stat,
                "range": not stat,
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def quantiles(metric: str, by: str = "", labels: str = "") -> list[tuple[str, str]]:
    """Median and 99th percentile of a histogram, by a label where one is given."""
    over, name = f"le, {by}" if by else "le", f"{{{{{by}}}}} " if by else ""
    return [
        (
            f"histogram_quantile({q}, sum by ({over}) (rate({metric}_bucket{labels}[$__rate_interval])))",
            f"{name}{title}",
        )
        for q, title in ((0.5, "median"), (0.99, "p99"))
    ]
