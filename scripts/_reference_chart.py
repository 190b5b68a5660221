"""Parts of the reference that follow from the chart: its values, from their schema and their defaults."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from scripts._markdown import code, table

CHART: Final = Path(__file__).resolve().parent.parent / "helm" / "leadline"
# Sections that many parts have alike; told once, below the tables.
_ALIKE: Final = ("resources", "nodeSelector", "tolerations", "affinity", "podAnnotations")
_UNUSED: Final = ("global",)

_Schema = dict[str, Any]


def values() -> str:
    """Every value of the chart: a table for each section, and one for those that stand alone."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    sections = {name: found for name, found in schema["properties"].items() if name not in _UNUSED}
    alone = {name: found for name, found in sections.items() if not _has_parts(found)}
    parts = ["\n### Names and labels\n", _table([_row(name, found, defaults[name]) for name, found in alone.items()])]
    for name, found in sections.items():
        if name not in alone:
            parts.append(f"### {name}\n\n{found['description']}\n")
            default = defaults[name]
            rows = list(_rows("", found, default[0] if isinstance(default, list) else default))
            parts.append(_table(rows) if rows else "\n")
            if any(each in _parts(found) for each in _ALIKE):
                parts.append(f"And {', '.join(code(each) for each in _ALIKE)}, as below.\n\n")
    pod = sections["risk"]["properties"]
    rows = [_row(name, pod[name], None) for name in _ALIKE]
    parts += ["### Of every Pod\n", table(("value", "what it is"), [(row[0], row[2]) for row in rows])]
    return "".join(parts)


def _rows(prefix: str, schema: _Schema, defaults: Any) -> Iterator[tuple[str, str, str]]:
    for name, found in _parts(schema).items():
        if name in _ALIKE:
            continue
        default = defaults.get(name) if isinstance(defaults, dict) else None
        if _has_parts(found):
            inner = default[0] if isinstance(default, list) and default else default
            yield _row(f"{prefix}{name}", found, None if isinstance(default, dict) else default)
            yield from _rows(f"{prefix}{name}{'[]' if found['type'] == 'array' else ''}.", found, inner)
        else:
            yield _row(f"{prefix}{name}", found, default)


def _row(name: str, schema: _Schema, default: Any) -> tuple[str, str, str]:
    shown = "" if default is None else "empty" if default in ("", [], {}) else code(json.dumps(default))
    if _has_parts(schema) and isinstance(default, list) and default:
        shown = "see the values file"
    return code(name), shown, f"{schema['description']}{_choices(schema)}"


def _choices(schema: _Schema) -> str:
    if "enum" in schema:
        return f" One of {', '.join(code(each) for each in schema['enum'])}."
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low} to {high}."
    return ""


def _parts(schema: _Schema) -> dict[str, _Schema]:
    within = schema.get("items", {}) if schema.get("type") == "array" else schema
    found: dict[str, _Schema] = within.get("properties", {})
    return found


def _has_parts(schema: _Schema) -> bool:
    return bool(_parts(schema))


def _table(rows: list[tuple[str, str, str]]) -> str:
    return table(("value", "default", "what it is"), rows)
