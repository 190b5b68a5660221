"""A docstring begins with what it describes: a noun or a verb, and no question turned into a subject."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUBJECT = re.compile(r"(?:What|Whatever|Who|Whoever|Whose|Whom)\b")
# Rooms in which some still do. A room that is through leaves the list, and stays through.
NOT_YET = {"execution", "risk", "venue"}


def rooms() -> dict[str, Path]:
    """Every room with its folder."""
    found = {path.name: path for path in (ROOT / "services" / "leadline").iterdir() if (path / "__init__.py").exists()}
    return {**found, "leadline_operator": ROOT / "operator" / "leadline_operator"}


def docstrings(module: ast.Module) -> Iterator[tuple[str, str]]:
    """The name and the docstring of the module, and of each class and function in it."""
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield getattr(node, "name", "module"), text


def asking(room: Path) -> list[str]:
    """The docstrings of a room that begin with such a word, by file and name."""
    return [
        f"{path.relative_to(ROOT)} {name}: {text.splitlines()[0]}"
        for path in sorted(room.rglob("*.py"))
        if "v1" not in path.parts
        for name, text in docstrings(ast.parse(path.read_text()))
        if SUBJECT.match(text)
    ]


@pytest.mark.parametrize("room", sorted(rooms().keys() - NOT_YET))
def test_no_docstring_begins_with_a_question_word(room: str):
    assert asking(rooms()[room]) == []


@pytest.mark.parametrize("room", sorted(NOT_YET))
def test_a_room_that_is_through_leaves_the_list(room: str):
    assert asking(rooms()[room])


def test_one_is_found_wherever_it_stands():
    text = '"""Whose it is."""\nclass A:\n    """Fine."""\n    def b(self):\n        """What it does."""\n'
    assert [name for name, doc in docstrings(ast.parse(text)) if SUBJECT.match(doc)] == ["module", "b"]
