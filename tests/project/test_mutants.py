"""`make mutants`: what is changed and what is left alone, and that its file speaks of code that is there."""

import ast
from pathlib import Path

import pytest

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
        for each in found[:: max(1, len(found) // 20)]:
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
