"""From YAML text to checked manifests, with every problem of the text in one error."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.manifest.account_spec import TradingAccount
from leadline.model.manifest.kinds import KINDS, Manifest
from leadline.model.manifest.pair_checks import pair_problems
from leadline.model.manifest.spec_base import API_VERSION, CHANGE_KEY, Change, change_of
from leadline.model.manifest.strategy_spec import TradingStrategy
from leadline.model.manifest.yaml_text import YamlDocument, placed, read_yaml

MAX_MANIFEST_BYTES: Final = 1_000_000
MOST_MANIFESTS: Final = 500
"""Documents of a text. Each strategy is a process, and each is compared with each other one."""

MOST_PROBLEMS: Final = 100
"""Problems that are told at a time: nobody reads more, and each takes a moment to be put into words."""

# What the schema's library finds wrong, by its name of the error, and what is wanted instead.
_WANTED: Final = {
    "missing": "a value: this field is required",
    "extra_forbidden": "no such field",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "model_type": "a mapping of fields",
    "dict_type": "a mapping of fields",
    "tuple_type": "a list",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "at most {le}",
    "string_too_short": "a text of {min_length} or more characters",
    "string_too_long": "a text of at most {max_length} characters",
    "too_short": "{min_length} or more of them",
    "too_long": "at most {max_length} of them",
    "date_from_datetime_parsing": "a date such as 2025-10-08",
    "date_parsing": "a date such as 2025-10-08",
    "date_type": "a date such as 2025-10-08",
}
# What the API server adds to an object, so that the output of `kubectl get -o yaml` is a manifest too.
_SERVER_METADATA: Final = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "finalizers",
        "ownerReferences",
        "generateName",
        "selfLink",
    }
)


class InvalidManifest(InvalidInput):
    """One or more problems of a manifest; each names the document, the field, the value and what was expected.

    `problems` has them all, in the order of the text; `field`, `value` and `expected` are the first one's.
    """

    def __init__(self, problems: Sequence[InvalidInput]) -> None:
        first = problems[0]
        super().__init__(first.field, first.value, first.expected)
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type["InvalidManifest"], tuple[tuple[InvalidInput, ...]]]:
        return InvalidManifest, (self.problems,)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def load_manifests(*sources: str | Path) -> list[Manifest]:
    """The manifests of texts with one or more YAML documents, or of the files at paths, in order.

    A document may be a List, as `kubectl get -o yaml` prints several objects: then its items are read.
    Every document is checked by its schema and by what needs no other manifest. Raises InvalidManifest with all
    problems of all documents, each with its line, OSError when a file cannot be read.
    """
    manifests: list[Manifest] = []
    problems: list[InvalidInput] = []
    known: dict[tuple[str, str], str] = {}
    for source in sources:
        try:
            for place, found in _manifests_of(source, known, len(manifests)):
                known[found.kind, found.full_name] = place
                manifests.append(found)
        except InvalidManifest as refused:
            problems += refused.problems
    if problems:
        raise InvalidManifest(problems if len(sources) == 1 else first_of(problems, "manifest"))
    return manifests


def _manifests_of(source: str | Path, known: Mapping[tuple[str, str], str], others: int) -> list[tuple[str, Manifest]]:
    """The manifests of one text with the place of each. known: places of those that were read before it, by name."""
    name, raw = (str(source), _bytes_of(source)) if isinstance(source, Path) else ("", source.encode())
    if len(raw) > MAX_MANIFEST_BYTES:
        expected = f"{MAX_MANIFEST_BYTES} at most"
        raise InvalidManifest([InvalidInput(name or "manifest", f"{len(raw)} bytes or more", expected)])
    manifests: list[tuple[str, Manifest]] = []
    documents, broken = read_yaml(raw, name)
    problems = list(broken)
    places = dict(known)
    for number, document in enumerate(documents, others):
        if number == MOST_MANIFESTS:
            problem = InvalidInput("manifest", f"more than {MOST_MANIFESTS} documents", "fewer in one text")
            shown = [each for _, each in problems[:MOST_PROBLEMS]]
            raise InvalidManifest([*shown, _in_place(problem, document, name)])
        found, begins = parse_manifest(document.value), document.line_of("")
        if isinstance(found, list):
            problems += [(begins, _in_place(problem, document, name)) for problem in found]
            continue
        place = placed(name, document.line_of("metadata.name"))
        other = places.setdefault((found.kind, found.full_name), place)
        if other is not place:
            expected = f"a name that no other {found.kind} has: another one stands at {other}"
            problem = InvalidInput("metadata.name", found.full_name, expected)
            problems.append((begins, _in_place(problem, document, name)))
        manifests.append((place, found))
    if problems:
        # In the order of the text; what is wrong in one document stays in its own.
        in_order = [problem for _, problem in sorted(problems, key=lambda each: each[0])]
        raise InvalidManifest(first_of(in_order, name or "manifest"))
    if not manifests:
        expected = f"a document of kind {' or '.join(KINDS)}"
        raise InvalidManifest([InvalidInput(name or "manifest", "nothing", expected)])
    return manifests


def no_yaml(file: Path) -> tuple[InvalidInput, ...]:
    """The places at which a file is no YAML, of which nothing else has to be known. Raises OSError."""
    _, broken = read_yaml(_bytes_of(file)[:MAX_MANIFEST_BYTES], str(file))
    return tuple(problem for _, problem in broken)


def placed_in(file: Path, problems: Sequence[InvalidInput]) -> list[InvalidInput]:
    """Problems between objects of a file that are right by themselves, each with the file and the line.

    A problem's field names its object first (`TradingStrategy default/mes: spec.account`); one that names none stays as
    it is, and so do all of a pipe, which cannot be read twice.
    """
    documents, _ = read_yaml(_bytes_of(file) if file.is_file() else b"", str(file))
    lines = {_identity(document.value): document for document in documents}
    found = []
    for problem in problems:
        owner, _, path = problem.field.partition(": ")
        document = lines.get(tuple(owner.split(" ")))
        if document is None:
            found.append(problem)
        else:
            where = f"{placed(str(file), document.line_of(path))}: {problem.field}"
            found.append(InvalidInput(where, problem.value, problem.expected))
    return found


def _bytes_of(file: Path) -> bytes:
    """The contents of a file; of one that is too long a byte more than it may have."""
    with file.open("rb") as opened:
        return opened.read(MAX_MANIFEST_BYTES + 1)


def _identity(document: object) -> tuple[str, ...]:
    """Kind and full name of what a document holds; nothing where it holds no manifest."""
    found = parse_manifest(document)
    return () if isinstance(found, list) else (found.kind, found.full_name)


def parse_manifest(document: object) -> Manifest | list[InvalidInput]:
    """One manifest from plain values, or everything that is wrong with it. `status` and the server's metadata drop."""
    if not isinstance(document, dict):
        return [InvalidInput("manifest", document, "a mapping with apiVersion, kind, metadata and spec")]
    if document.get("apiVersion") != API_VERSION:
        return [InvalidInput("apiVersion", document.get("apiVersion"), API_VERSION)]
    kind = KINDS.get(str(document.get("kind")))
    if kind is None:
        return [InvalidInput("kind", document.get("kind"), f"one of {', '.join(KINDS)}")]
    written = _without_server_fields(document)
    problems = list(not_plain(written, ""))
    text = json.dumps(_plain(written))
    try:
        found = kind.manifest.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        named = {problem.field for problem in problems}
        further = (_problem(detail, kind.manifest) for detail in error.errors())
        return first_of(chain(problems, (problem for problem in further if problem.field not in named)), "manifest")
    return first_of(chain(problems, kind.problems(found)), "manifest") or found


def first_of(problems: Iterable[InvalidInput], where: str) -> list[InvalidInput]:
    """As many of the problems as are told at a time; where there are more, the last one says so."""
    found = list(islice(problems, MOST_PROBLEMS + 2))
    if len(found) <= MOST_PROBLEMS + 1:  # what has been cut already is not cut again
        return found
    more = InvalidInput(where, f"more than {MOST_PROBLEMS} problems", "something else in the first of them")
    return [*found[:MOST_PROBLEMS], more]


def check_strategy_on_account(strategy: TradingStrategy, account: TradingAccount) -> None:
    """Raises InvalidManifest with everything that keeps the strategy off the account.

    Another account than the one it names, a namespace that is not allowed, a mode that is not the account's
    environment, another currency, a tier that executes another underlying, tiered sizing without tiers.
    """
    problems = list(pair_problems(strategy, account))
    if problems:
        where = f"TradingStrategy {strategy.full_name}"
        raise InvalidManifest([InvalidInput(f"{where}: {item.field}", item.value, item.expected) for item in problems])


def change_class(field_path: str, kind: str = "TradingStrategy") -> Change:
    """The class of a change of a field, by its path in the manifest (`spec.risk.dayLoss`, with or without `spec.`).

    Raises Unknown for a path or kind that does not exist.
    """
    if kind not in KINDS:
        raise Unknown("kind", kind, tuple(KINDS))
    node = _spec_schema(kind)
    change = ""
    for part in field_path.removeprefix("spec.").split("."):
        name = part.partition("[")[0]
        node = node.get("items", node)
        free = "properties" not in node and bool(change) and node.get("type") == "object"
        if not free and name not in node.get("properties", {}):
            raise Unknown(f"field of {kind}", field_path, tuple(node.get("properties", {})))
        node = node if free else node["properties"][name]
        change = node.get(CHANGE_KEY, change)
    return Change(change)


def rollout_fields(strategy: TradingStrategy) -> dict[str, Any]:
    """The ROLLOUT fields as plain JSON values, defaults filled in: what analysis gets, and what its hash is made of."""
    return _fields(strategy, {Change.ROLLOUT, Change.ROLLOUT_SUSPENDED})


def hot_fields(strategy: TradingStrategy) -> dict[str, Any]:
    """The HOT fields as plain JSON values, defaults filled in: what execution gets."""
    return _fields(strategy, {Change.HOT})


@cache
def _schema(model: type[Manifest]) -> dict[str, Any]:
    return model.model_json_schema()


@cache
def _spec_schema(kind: str) -> dict[str, Any]:
    return KINDS[kind].spec.model_json_schema()


def _fields(strategy: TradingStrategy, classes: set[Change]) -> dict[str, Any]:
    whole, fields = strategy.spec.to_manifest(), type(strategy.spec).model_fields
    named = {field.alias or name: field for name, field in fields.items()}
    return {name: value for name, value in whole.items() if change_of(named[name]) in classes}


def _in_place(problem: InvalidInput, document: YamlDocument, name: str) -> InvalidInput:
    """The same problem with the line of its field, and with the object that it is of."""
    where = f"{placed(name, document.line_of(problem.field))}: {_title(document)}: {problem.field}"
    return InvalidInput(where, problem.value, problem.expected)


def _title(document: YamlDocument) -> str:
    """The kind and the name of an object, else which document it is."""
    found = document.value
    metadata = found.get("metadata") if isinstance(found, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{found['kind']} {name}" if isinstance(found, dict) and "kind" in found and name else document.place


def not_plain(node: object, path: str, *, nulls: bool = False) -> Iterator[InvalidInput]:
    """Values that JSON has no words for, and nulls where no field accepts them."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                yield InvalidInput(path or "manifest", key, "field names that are text")
            else:
                yield from not_plain(value, f"{path}.{key}" if path else key, nulls=nulls)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from not_plain(value, f"{path}[{index}]", nulls=nulls)
    elif node is None:
        if not nulls:
            yield InvalidInput(path, None, "a value; leave the field out to leave it unset")
    elif isinstance(node, float) and not math.isfinite(node):
        yield InvalidInput(path, node, "a finite number")
    elif not isinstance(node, str | int | float):
        yield InvalidInput(path, node, "text, a number, true or false, a list or a mapping")


def _plain(node: Any) -> Any:
    """The same without what `not_plain` has complained about, so that the rest can be checked too."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if isinstance(key, str) and _is_plain(value)}
    if isinstance(node, list):
        return [_plain(value) for value in node if _is_plain(value)]
    return node


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | dict | list) or (isinstance(value, float) and math.isfinite(value))


def _without_server_fields(document: dict[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in document.items() if key != "status"}
    if isinstance(found.get("metadata"), dict):
        found["metadata"] = {key: value for key, value in found["metadata"].items() if key not in _SERVER_METADATA}
    return found


def _problem(detail: ErrorDetails, model: type[Manifest]) -> InvalidInput:
    path = path_of(detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _siblings(model, detail["loc"])
        near = get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return InvalidInput(path, detail["input"], f"no such field; {hint}")
    return InvalidInput(path, None if detail["type"] == "missing" else detail["input"], expected_instead(detail))


def path_of(parts: Iterable[str | int]) -> str:
    """The path of a field by the names and the places in lists that lead to it, such as `spec.entries.blocks[0].to`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def expected_instead(detail: ErrorDetails) -> str:
    """The value that the schema expects at the place of an error, in words for people who write YAML."""
    if detail["type"] == "value_error":
        return detail["msg"].removeprefix("Value error, ").removeprefix("expected ")
    wanted = _WANTED.get(detail["type"])
    return detail["msg"].removeprefix("Input should be ") if wanted is None else wanted.format(**detail.get("ctx", {}))


def _siblings(model: type[Manifest], location: Sequence[str | int]) -> list[str]:
    node = _schema(model)
    for part in location[:-1]:
        node = node["items"] if isinstance(part, int) else node["properties"][part]
    return list(node.get("properties", {}))
