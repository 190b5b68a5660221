"""Parts of the reference that tell what a cluster refuses: from the table that the tests hold to a real API server."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from scripts._markdown import code, table
from scripts.crds import object_schema
from tests.crds.refusals import CHANGES, RULES, TOGETHER, Refusal
from tests.crds.violations import violations


def rules() -> str:
    """Objects that break a rule, with what both places say."""
    rows = [(_what(refusal), _lines(refusal.says), _lines(refusal.laptop)) for refusal in RULES]
    return table(("what", "kubectl", "leadline plan"), rows)


def changes() -> str:
    """Changes that are refused."""
    rows = [(_what(refusal), _flow(refusal.before or {}), _lines(refusal.says)) for refusal in CHANGES]
    return table(("what", "before", "kubectl"), rows)


def together() -> str:
    """What only the operator can see."""
    rows = []
    for case in TOGETHER:
        documents = [f"{kind} {_flow(change)}" for kind, change in case.documents]
        documents += [f"feed of {code(contract)}" for contract in case.files]
        rows.append((case.what, "<br>".join(documents), _lines(case.says)))
    return table(("what", "objects", "message of `Accepted`"), rows)


def strategy_lines() -> str:
    """Every line that the schema of a TradingStrategy can give."""
    return _schema_lines("TradingStrategy")


def account_lines() -> str:
    """Every line that the schema of a TradingAccount can give."""
    return _schema_lines("TradingAccount")


def backtest_lines() -> str:
    """Every line that the schema of a Backtest can give; those of the other kinds in it are theirs."""
    return _schema_lines("Backtest")


def _schema_lines(kind: str) -> str:
    lines = [violation.says for violation in violations(object_schema(kind))]
    return "\n".join(("", "```text", *lines, "```", "", ""))


def _what(refusal: Refusal) -> str:
    return f"{refusal.what}: {refusal.kind} {_flow(refusal.change)}"


def _lines(lines: Sequence[str]) -> str:
    return "<br>".join(map(code, lines))


def _flow(change: Mapping[str, Any]) -> str:
    """A part of a manifest on one line, long values in short."""
    if not change:
        return ""
    text = yaml.safe_dump(_short(dict(change)), default_flow_style=True, sort_keys=False, width=10_000)
    return code(text.strip())


def _short(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _short(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_short(item) for item in node]
    if isinstance(node, str) and len(node) > 52:
        return f"{node[:40]}..."
    return node
