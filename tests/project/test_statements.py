"""A statement of SQL stands in a store: who wants to know what a table is asked looks there, and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.house import STATEMENT, STORES

ROOT = Path(__file__).resolve().parents[2]


def statements(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value):
            yield node.value


def test_no_statement_stands_outside_of_a_store():
    found = {
        str(path.relative_to(ROOT)): list(statements(path.read_text()))
        for folder in ("services/leadline", "operator/leadline_operator")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not STORES.fullmatch(str(path.relative_to(ROOT)))
    }
    assert {path: said for path, said in found.items() if said} == {}


@pytest.mark.parametrize(
    "planted",
    ['query = "SELECT 1 FROM run"', 'QUERY = """\n    INSERT INTO run VALUES ($1)"""', 'x = f"DELETE FROM {y}"'],
)
def test_a_statement_is_seen(planted):
    assert len(list(statements(planted))) == 1


@pytest.mark.parametrize("words", ['"""Select an account."""', 'x = "UPDATE"', 'x = "with a bracket"'])
def test_words_are_no_statement(words):
    assert list(statements(words)) == []
