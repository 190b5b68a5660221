"""Small changes of a module's code, one at a time: what a slip of the pen would do, and a test has to notice.

A change is made in the syntax tree, so that every mutant compiles. Annotations, decorators, docstrings, assertions (as
statements, and as a condition that raises `AssertionError`) and the words of errors are left alone: what they say is no
behaviour.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

Tree = ast.AST
_LONGEST_TEXT: Final = 160

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}
_SWAPPED_NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_GENERIC: Final = {
    "Awaitable",
    "Callable",
    "ChainMap",
    "Iterable",
    "Iterator",
    "Literal",
    "Mapping",
    "Sequence",
    "dict",
    "list",
    "tuple",
}
"""What stands before brackets in the name of a type: that is an annotation, wherever it stands."""
_DEFECT: Final = "raise AssertionError("
_SWAPPED_WORDS: Final = {"left": "right", "right": "left"}


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change. `place` is the function that it is in, empty for the module; `line` where that stands now.

    `number` tells apart changes that read the same in one place. `node` and `choice` say how it is made again.
    """

    place: str
    line: int
    operator: str
    before: str
    after: str
    number: int
    node: int
    choice: int

    @property
    def text(self) -> str:
        """The change as it is named in the file of equivalents: it does not move with the lines around it."""
        repeated = f" (the {self.number + 1}. of these)" if self.number else ""
        return f"{self.operator}: {self.before} -> {self.after}{repeated}"


Change = tuple[str, Callable[[Tree], Tree | None]]
"""A name, and what makes the changed node of one (None: take it out of the list that it stands in)."""


def mutations(source: str) -> list[Mutation]:
    """Every mutation of a module, in the order of its text."""
    tree = ast.parse(source)
    seen: dict[tuple[str, str, str, str], int] = {}
    found = []
    for index, (node, place) in enumerate(_nodes(tree)):
        for choice, (operator, change) in enumerate(_changes(node)):
            changed = change(copy.deepcopy(node))
            before, after = _shown(node), "(gone)" if changed is None else _shown(changed)
            if before == after:
                continue
            key = (place, operator, before, after)
            number = seen[key] = seen.get(key, -1) + 1
            line = getattr(node, "lineno", 0)
            found.append(Mutation(place, line, operator, before, after, number, index, choice))
    return found


def mutated(source: str, mutation: Mutation) -> ast.Module:
    """The module's tree with one mutation in it."""
    tree = ast.parse(source)
    target = next(node for index, (node, _) in enumerate(_nodes(tree)) if index == mutation.node)
    _, change = _changes(target)[mutation.choice]
    changed = change(copy.deepcopy(target))
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target and changed is not None:
                setattr(parent, name, ast.copy_location(changed, target))
            elif isinstance(value, list):
                for position, item in enumerate(value):
                    if item is target:
                        value[position : position + 1] = [] if changed is None else [ast.copy_location(changed, target)]
    return ast.fix_missing_locations(tree)


def _shown(node: Tree) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _nodes(tree: Tree, place: str = "") -> Iterator[tuple[Tree, str]]:
    """The nodes that may change, outer ones first, each with the function that it is in."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns", "decorator_list", "type_comment", "bases", "type_params"}:
            continue
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, ast.AST) or isinstance(item, ast.Assert | ast.Raise | ast.Import | ast.ImportFrom):
                continue
            if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
                continue
            if isinstance(item, ast.If) and any(ast.unparse(each).startswith(_DEFECT) for each in item.body):
                continue
            if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "__all__":
                continue
            if isinstance(item, ast.Subscript) and isinstance(item.value, ast.Name) and item.value.id in _GENERIC:
                continue
            inner = place
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{place}.{item.name}" if place else item.name
            yield item, inner
            yield from _nodes(item, inner)


def _changes(node: Tree) -> list[Change]:
    """What may happen to one node."""
    return [*_of_expression(node), *_of_structure(node)]


def _of_expression(node: Tree) -> Iterator[Change]:  # noqa: C901, PLR0912 - a table of cases
    match node:
        case ast.Compare(ops=[operation]):
            for other in _COMPARISONS[type(operation)]:
                yield "compare", _with(ops=[other()])
        case ast.Compare():
            for place, operation in enumerate(node.ops):
                for other in _COMPARISONS[type(operation)]:
                    yield "compare", _with(ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _ARITHMETIC:
            yield "arithmetic", _with(op=_ARITHMETIC[type(node.op)]())
        case ast.BoolOp():
            yield "and/or", _with(op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
            for place in range(len(node.values)):
                rest = [*node.values[:place], *node.values[place + 1 :]]
                yield "operand", _instead(rest[0]) if len(rest) == 1 else _with(values=rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield "sign", _instead(node.operand)
        case ast.Constant(value=bool(value)):
            yield "constant", _instead(ast.Constant(not value))
        case ast.Constant(value=int(value)):
            yield "constant", _instead(ast.Constant(value + 1))
            yield "constant", _instead(ast.Constant(value - 1))
        case ast.Constant(value=float(value)):
            yield "constant", _instead(ast.Constant(value * 1.1))
            yield "constant", _instead(ast.Constant(value * 0.9))
        case ast.Constant(value=str(value)) if value in _SWAPPED_WORDS:
            yield "side", _instead(ast.Constant(_SWAPPED_WORDS[value]))
        case ast.Call(func=ast.Name(id=name)) if name in _SWAPPED_NAMES:
            yield name, _with(func=ast.Name(_SWAPPED_NAMES[name], ast.Load()))
        case ast.Call(func=ast.Name(id="replace")):
            for place in range(len(node.keywords)):
                yield "keyword", _with(keywords=[*node.keywords[:place], *node.keywords[place + 1 :]])


def _of_structure(node: Tree) -> Iterator[Change]:
    match node:
        case ast.If():
            if not any(isinstance(inner, ast.Raise) for inner in node.body):
                yield "if", _with(test=ast.Constant(True))
            yield "if", _with(test=ast.Constant(False))
            yield "if", _with(test=ast.UnaryOp(ast.Not(), node.test))
        case ast.IfExp():
            yield "if", _instead(node.body)
            yield "if", _instead(node.orelse)
        case ast.Expr() | ast.AugAssign() | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "statement", _instead(ast.Pass())
        case ast.Return(value=ast.AST()) if not _nothing(node.value):
            yield "return", _with(value=ast.Constant(None))
        case ast.comprehension():
            for place in range(len(node.ifs)):
                yield "filter", _with(ifs=[*node.ifs[:place], *node.ifs[place + 1 :]])
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()) | ast.Set() if len(node.elts) > 1:
            for place in range(len(node.elts)):
                yield "element", _with(elts=[*node.elts[:place], *node.elts[place + 1 :]])
        case ast.Dict() if node.keys:
            for place in range(len(node.keys)):
                keys, values = list(node.keys), list(node.values)
                del keys[place], values[place]
                yield "entry", _with(keys=keys, values=values)


def _nothing(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _with(**fields: object) -> Callable[[Tree], Tree]:
    def change(node: Tree) -> Tree:
        for name, value in fields.items():
            setattr(node, name, value)
        return node

    return change


def _instead(other: Tree) -> Callable[[Tree], Tree]:
    return lambda _: other
