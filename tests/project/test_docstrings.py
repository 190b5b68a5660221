"""A docstring begins with what it describes: a noun or a verb, and no question turned into a subject.

So does each sentence of the contracts' comments, which are all that another program's author has.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUBJECT = re.compile(r"(?:What|Whatever|Who|Whoever|Whose|Whom)\b")

IN_A_COMMENT = re.compile(r"(?:^|(?<=[.:;] ))(?:what|whatever|who|whoever|whose|whom|which)\b[^.]*", re.IGNORECASE)
CONTRACTS = sorted((ROOT / "proto").rglob("*.proto"))


def rooms() -> dict[str, Path]:
    """Every room with its folder."""
    found = {path.name: path for path in (ROOT / "services" / "leadline").iterdir() if (path / "__init__.py").exists()}
    return {**found, "leadline_operator": ROOT / "operator" / "leadline_operator"}


def docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each string that stands by itself: of a module, classes, functions and fields."""
    for node in ast.walk(module):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def asking(room: Path) -> list[str]:
    """The docstrings of a room that begin with such a word, by file and line."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in sorted(room.rglob("*.py"))
        if "v1" not in path.parts
        for line, text in docstrings(ast.parse(path.read_text()))
        if SUBJECT.match(text)
    ]


@pytest.mark.parametrize("room", sorted(rooms()))
def test_no_docstring_begins_with_a_question_word(room: str):
    assert asking(rooms()[room]) == []


def test_one_is_found_wherever_it_stands():
    text = '"""Whose it is."""\nclass A:\n    """Fine."""\n    b = 1\n    """What it is."""\n'
    assert [line for line, doc in docstrings(ast.parse(text)) if SUBJECT.match(doc)] == [1, 5]


def comments(contract: str) -> list[str]:
    """The comments of a contract, each as one line."""
    found = re.findall(r"(?:^ *//.*\n)+", contract, re.MULTILINE)
    return [" ".join(line.strip().removeprefix("//").strip() for line in each.splitlines()) for each in found]


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_no_sentence_of_a_contract_has_a_question_for_its_subject(path: Path):
    assert [found.group() for text in comments(path.read_text()) for found in IN_A_COMMENT.finditer(text)] == []


def test_such_a_sentence_is_found_in_any_line_of_a_comment():
    (text,) = comments("  // Names the person:\n  // who it was. Fine.\n  string by = 1;\n")
    assert [found.group() for found in IN_A_COMMENT.finditer(text)] == ["who it was"]
