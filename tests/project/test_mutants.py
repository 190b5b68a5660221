"""`make mutants`: what is changed and what is left alone, and that its file speaks of code that is there."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from scripts._mutant_runs import changed_in_place
from scripts._mutations import mutated, mutations
from scripts.mutants import Target, chosen_mutations, targets

ROOT = Path(__file__).resolve().parents[2]

RAISED = "raise ValueError(f'{count + 1} is too many')"
SOURCE = '''"""Words."""

LIMIT = 3


def refused(count: int, halted: bool) -> str | None:
    """Words."""
    if halted and count > 0:
        raise ValueError(f"{count + 1} is too many")
    if count >= LIMIT:
        return "limit"
    return None
'''


def texts(source: str) -> list[str]:
    return [f"{each.place} {each.text}".strip() for each in mutations(source)]


def test_comparisons_constants_operands_conditions_and_returns_change():
    assert texts(SOURCE) == [
        "constant: 3 -> 4",
        "constant: 3 -> 2",
        f"refused if: if halted and count > 0: {RAISED} -> if False: {RAISED}",
        f"refused if: if halted and count > 0: {RAISED} -> if not (halted and count > 0): {RAISED}",
        "refused and/or: halted and count > 0 -> halted or count > 0",
        "refused operand: halted and count > 0 -> count > 0",
        "refused operand: halted and count > 0 -> halted",
        "refused compare: count > 0 -> count >= 0",
        "refused compare: count > 0 -> count <= 0",
        "refused constant: 0 -> 1",
        "refused constant: 0 -> -1",
        "refused if: if count >= LIMIT: return 'limit' -> if True: return 'limit'",
        "refused if: if count >= LIMIT: return 'limit' -> if False: return 'limit'",
        "refused if: if count >= LIMIT: return 'limit' -> if not count >= LIMIT: return 'limit'",
        "refused compare: count >= LIMIT -> count > LIMIT",
        "refused compare: count >= LIMIT -> count < LIMIT",
        "refused return: return 'limit' -> return None",
    ]


def test_a_mutant_is_the_module_with_that_one_change():
    change = next(each for each in mutations(SOURCE) if each.text == "compare: count >= LIMIT -> count > LIMIT")
    text = ast.unparse(mutated(SOURCE, change))
    assert text == ast.unparse(ast.parse(SOURCE)).replace("count >= LIMIT", "count > LIMIT")
    assert change.line == 10
    names: dict[str, object] = {}
    exec(compile(mutated(SOURCE, change), "changed", "exec"), names)
    assert names["refused"](3, False) is None  # type: ignore[operator]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = min(a, b)", "min: min(a, b) -> max(a, b)"),
        ("x = a + b", "arithmetic: a + b -> a - b"),
        ("x = -a", "sign: -a -> a"),
        ("x = t.searchsorted(a, 'right')", "side: 'right' -> 'left'"),
        ("x = replace(a, b=c, d=e)", "keyword: replace(a, b=c, d=e) -> replace(a, d=e)"),
        ("x = [a for a in b if a]", "filter:  for a in b if a ->  for a in b"),
        ("x = {A: b, C: d}", "entry: {A: b, C: d} -> {C: d}"),
        ("x.append(a)", "statement: x.append(a) -> pass"),
        ("x = a if b else c", "if: a if b else c -> a"),
        ("x = a < b < c", "compare: a < b < c -> a <= b < c"),
    ],
)
def test_each_kind_of_change(source: str, found: str):
    assert " ".join(found.split()) in [" ".join(text.split()) for text in texts(source)]


def test_every_mutant_of_the_path_compiles_and_has_a_name_of_its_own():
    for target in targets():
        found = mutations(target.source)
        assert len({(each.place, each.text) for each in found}) == len(found), target.module
        for each in found[:: max(1, len(found) // 2)]:
            compile(mutated(target.source, each), target.module, "exec")


def test_a_sample_is_the_same_for_the_same_seed():
    target = targets()[0]
    one, two = chosen_mutations(target, 9, 1), chosen_mutations(target, 9, 1)
    assert one == two
    assert len(one) == 9
    assert one != chosen_mutations(target, 9, 2)
    assert len(chosen_mutations(target, 0, 1)) == len(mutations(target.source))


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.module)
def test_the_file_names_tests_and_equivalents_that_are_there(target: Target):
    assert [test for test in target.tests if not (ROOT / test.partition("::")[0]).is_file()] == []
    known = {(each.place, each.text) for each in mutations(target.source)}
    assert [same for same in target.equivalents if same not in known] == []
    assert all(reason.strip() for reason in target.equivalents.values())


IN_PLACE = '''"""Words."""

from functools import cache

MOST = 3


@cache
def double(count: int) -> int:
    """Words."""
    return count * 2


class Desk:
    """Words."""

    @property
    def full(self) -> bool:
        """Words."""
        return MOST > 2

    @staticmethod
    def least(count: int = 1) -> int:
        """Words."""
        return min(count, MOST)
'''


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[tuple[ModuleType, Path]]:
    """A module of that text, loaded as one of the product's."""
    path = tmp_path / "changing.py"
    path.write_text(IN_PLACE)
    module = ModuleType("leadline.changing")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(IN_PLACE, path, "exec"), module.__dict__)
    yield module, path
    del sys.modules[module.__name__]


@pytest.mark.parametrize(
    ("text", "asked", "before", "after"),
    [
        ("arithmetic: count * 2 -> count + 2", "double(5)", 10, 7),
        ("compare: MOST > 2 -> MOST <= 2", "Desk().full", True, False),
        ("min: min(count, MOST) -> max(count, MOST)", "Desk.least(5)", 3, 5),
    ],
)
def test_a_function_is_changed_where_it_is_loaded(
    loaded: tuple[ModuleType, Path], text: str, asked: str, before: object, after: object
):
    module, path = loaded
    [mutation] = [each for each in mutations(IN_PLACE) if each.text == text]
    assert eval(asked, module.__dict__) == before
    change = changed_in_place(module.__name__, path, mutated(IN_PLACE, mutation))
    assert change is not None
    change()
    assert eval(asked, module.__dict__) == after


@pytest.mark.parametrize("text", ["constant: 3 -> 4", "constant: 1 -> 2"])
def test_what_stands_outside_of_functions_is_not_changed_in_place(loaded: tuple[ModuleType, Path], text: str):
    module, path = loaded
    [mutation] = [each for each in mutations(IN_PLACE) if each.text == text]
    assert changed_in_place(module.__name__, path, mutated(IN_PLACE, mutation)) is None


def test_the_name_of_a_type_and_an_assertion_are_no_behaviour():
    assert texts("if day is None:\n    raise AssertionError('no day')") == []
    assert texts("Seen = Mapping[int, int]") == []
    assert texts("Seen = ChainMap[tuple[int, str], str | None]") == []
    assert texts("Kind = Literal['future', 'etf']") == []
    assert texts("__all__ = ['calendar', 'session']") == []
    assert texts("x = seen[1]") == ["constant: 1 -> 2", "constant: 1 -> 0"]
