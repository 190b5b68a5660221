"""An order's leg is asked for its kind and its number; only the place that makes one reads its letters."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKER = "services/leadline/model/ids.py"
NAMED = re.compile(r"leg\b")
TEXT_METHODS = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "lstrip", "rstrip", "strip", "partition", "split"),
    *("find", "index", "isalpha", "isdigit", "upper", "lower"),
}


def is_leg(node: ast.expr) -> bool:
    """Whether an expression is called a leg: `leg`, `order.leg`, `own_leg`, and not `LEG_WORDS[order.leg.kind]`."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name == "leg" or name.endswith("_leg")


def is_text(node: ast.expr) -> bool:
    """Whether it is a text that stands there, or some of them."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(is_text, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def letters_read(source: str) -> Iterator[int]:
    """The lines that read a leg by its letters."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript | ast.Attribute) and is_leg(node.value):
            if isinstance(node, ast.Subscript) or node.attr in TEXT_METHODS:
                yield node.lineno
        elif isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            if any(map(is_leg, sides)) and any(map(is_text, sides)):
                yield node.lineno
        elif isinstance(node, ast.Match) and is_leg(node.subject):
            yield from (case.pattern.lineno for case in node.cases if isinstance(case.pattern, ast.MatchValue))


def test_no_code_reads_a_leg_by_its_letters():
    found = {}
    for folder in ("services/leadline", "operator/leadline_operator", "scripts", "bench", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name, source = str(path.relative_to(ROOT)), path.read_text()
            if name != MAKER and NAMED.search(source) and (lines := list(letters_read(source))):
                found[name] = lines
    assert found == {}


@pytest.mark.parametrize(
    "planted",
    [
        "if leg.startswith('S'): pass",
        "kind = order.leg[0]",
        "number = int(order.leg[1:])",
        "entry = order.leg == 'E'",
        "entry = 'E' != order.leg",
        "exits = [each for each in orders if each.leg[:1] in 'ST']",
        "closing = own_leg in {'F1', 'C'}",
        "match order.leg:\n    case 'E':\n        pass",
    ],
)
def test_a_leg_that_is_read_by_its_letters_is_seen(planted: str):
    assert len(list(letters_read(planted))) == 1


@pytest.mark.parametrize(
    "right",
    [
        "entry = order.leg.kind is LegKind.ENTRY",
        "same = order.leg == ENTRY",
        "words = LEG_WORDS[order.leg.kind]",
        "text = f'{order.leg}'",
        "legs['E'] = legs[0]",
    ],
)
def test_a_leg_that_is_asked_for_its_kind_is_right(right: str):
    assert list(letters_read(right)) == []
