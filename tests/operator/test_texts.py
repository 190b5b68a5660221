"""The operator decides by values: no message is searched and no name is taken apart where something is decided."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOM = Path(__file__).resolve().parents[2] / "operator" / "leadline_operator"
# Texts for people, and names that are made of values.
TEXTS = {"message", "note", "id"}
TAKEN_APART = {"split", "rsplit", "partition", "rpartition", "startswith", "endswith", "removeprefix", "removesuffix"}
# Where text comes in: keys and the version of the API, an option of the command line, paths of fields.
EDGES = {"kinds.py", "guard.py", "desired/drift.py"}


def decisions_by_text(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(isinstance(each, ast.In | ast.NotIn) for each in node.ops):
            sides = (node.left, *node.comparators)
            yield from (ast.unparse(node) for side in sides if isinstance(side, ast.Attribute) and side.attr in TEXTS)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TAKEN_APART:
            yield ast.unparse(node)


def test_nothing_is_decided_by_a_text():
    files = {path.relative_to(ROOM).as_posix(): path.read_text() for path in sorted(ROOM.rglob("*.py"))}
    found = {name: list(decisions_by_text(source)) for name, source in files.items() if name not in EDGES}
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "given_up = desired.hash in known.message",
        'ends = "is started again" not in verdict.message',
        'target = under_way.id.rpartition("-")[2]',
        'namespace, name = account.split("/")',
        'return not done.endswith(" 0")',
    ],
)
def test_a_decision_by_a_text_is_noticed(planted: str):
    assert list(decisions_by_text(planted))


@pytest.mark.parametrize("value", ["known = state in STATES", "text = message[:512]", "same = drain.id == wanted.id"])
def test_values_are_compared_and_texts_are_written(value: str):
    assert list(decisions_by_text(value)) == []
