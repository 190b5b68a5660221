"""From YAML text to checked manifests, with every problem of the text in one error."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from leadline.model.account_spec import AccountSpec, TradingAccount
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.spec_base import API_VERSION, CHANGE_KEY, Change
from leadline.model.spec_checks import account_problems, pair_problems, strategy_problems
from leadline.model.strategy_spec import StrategySpec, TradingStrategy

Manifest = TradingStrategy | TradingAccount

MAX_MANIFEST_BYTES: Final = 1_000_000

_KINDS: Final[dict[str, type[TradingStrategy] | type[TradingAccount]]] = {
    "TradingStrategy": TradingStrategy,
    "TradingAccount": TradingAccount,
}
_SPECS: Final[dict[str, type[StrategySpec] | type[AccountSpec]]] = {
    "TradingStrategy": StrategySpec,
    "TradingAccount": AccountSpec,
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


class _Loader(yaml.SafeLoader):
    """YAML as the manifests need it, and as kubectl reads it.

    No dates by surprise, no times of the day that become numbers (12:00 is text), no aliases, no field twice.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", self.get_mark())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        # Any other key is no scalar, and refused as a key below.
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _number(construct: Callable[[_Loader, yaml.ScalarNode], Any]) -> Callable[[_Loader, yaml.ScalarNode], Any]:
    """A number, but none to the base 60: kubectl knows no such numbers, and reads the text."""
    return lambda loader, node: node.value if ":" in node.value else construct(loader, node)


_Loader.add_constructor("tag:yaml.org,2002:int", _number(_Loader.construct_yaml_int))
_Loader.add_constructor("tag:yaml.org,2002:float", _number(_Loader.construct_yaml_float))


def load_manifests(source: str | Path) -> list[Manifest]:
    """The manifests of a text with one or more YAML documents, or of the file at a path, in order.

    A document may be a List, as `kubectl get -o yaml` prints several objects: then its items are read.
    Every document is checked by its schema and by what needs no other manifest. Raises InvalidManifest with all
    problems of all documents, OSError when the file cannot be read.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            raw = file.read(MAX_MANIFEST_BYTES + 1)
    else:
        raw = source.encode()
    if len(raw) > MAX_MANIFEST_BYTES:
        raise InvalidManifest([InvalidInput("manifest", f"{len(raw)} bytes or more", f"{MAX_MANIFEST_BYTES} at most")])
    manifests: list[Manifest] = []
    problems: list[InvalidInput] = []
    for place, document in yaml_documents(raw):
        found = parse_manifest(document)
        if isinstance(found, list):
            where = f"{place}{_title(document)}"
            problems += [InvalidInput(f"{where}: {item.field}", item.value, item.expected) for item in found]
        else:
            manifests.append(found)
    names = [(manifest.kind, manifest.full_name) for manifest in manifests]
    problems += [
        InvalidInput("metadata.name", name, f"a name that no other {kind} of the text has")
        for position, (kind, name) in enumerate(names)
        if (kind, name) in names[:position]
    ]
    if problems:
        raise InvalidManifest(problems)
    if not manifests:
        raise InvalidManifest([InvalidInput("manifest", "nothing", f"a document of kind {' or '.join(_KINDS)}")])
    return manifests


def parse_manifest(document: object) -> Manifest | list[InvalidInput]:
    """One manifest from plain values, or everything that is wrong with it. `status` and the server's metadata drop."""
    if not isinstance(document, dict):
        return [InvalidInput("manifest", document, "a mapping with apiVersion, kind, metadata and spec")]
    if document.get("apiVersion") != API_VERSION:
        return [InvalidInput("apiVersion", document.get("apiVersion"), API_VERSION)]
    model = _KINDS.get(str(document.get("kind")))
    if model is None:
        return [InvalidInput("kind", document.get("kind"), f"one of {', '.join(_KINDS)}")]
    written = _without_server_fields(document)
    problems = list(_not_plain(written, ""))
    text = json.dumps(_plain(written))
    try:
        found = model.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        named = {problem.field for problem in problems}
        further = (_problem(detail, model) for detail in error.errors())
        return problems + [problem for problem in further if problem.field not in named]
    return problems + list(_own_problems(found)) or found


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
    """What a change of a field means, by its path in the manifest (`spec.risk.dayLoss`, with or without `spec.`).

    Raises Unknown for a path or kind that does not exist.
    """
    if kind not in _SPECS:
        raise Unknown("kind", kind, tuple(_SPECS))
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
def _spec_schema(kind: str) -> dict[str, Any]:
    return _SPECS[kind].model_json_schema()


def _fields(strategy: TradingStrategy, classes: set[Change]) -> dict[str, Any]:
    whole = strategy.spec.to_manifest()
    return {name: value for name, value in whole.items() if change_class(name) in classes}


def yaml_documents(raw: bytes) -> Iterator[tuple[str, object]]:
    """Each document of a YAML text and where it stands, read as manifests are. Raises InvalidManifest."""
    try:
        for number, document in enumerate(yaml.load_all(raw, _Loader), start=1):
            items = _list_items(document)
            if items is not None:
                yield from ((f"document {number}, item {place}", item) for place, item in enumerate(items, start=1))
            elif document is not None:
                yield f"document {number}", document
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InvalidManifest([InvalidInput("manifest", _short(error), "YAML documents")]) from None


def _list_items(document: object) -> list[object] | None:
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != ("v1", "List"):
        return None
    items = document.get("items")
    return items if isinstance(items, list) else None


def _short(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return f"{where}{getattr(error, 'problem', None) or error}"


def _title(document: object) -> str:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f", {document.get('kind')} {name}" if isinstance(document, dict) and isinstance(name, str) else ""


def _not_plain(node: object, path: str) -> Iterator[InvalidInput]:
    """Values that JSON has no words for, and nulls, which no field accepts."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                yield InvalidInput(path or "manifest", key, "field names that are text")
            else:
                yield from _not_plain(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _not_plain(value, f"{path}[{index}]")
    elif node is None:
        yield InvalidInput(path, None, "a value; leave the field out to leave it unset")
    elif isinstance(node, float) and not math.isfinite(node):
        yield InvalidInput(path, node, "a finite number")
    elif not isinstance(node, str | int | float):
        yield InvalidInput(path, node, "text, a number, true or false, a list or a mapping")


def _plain(node: Any) -> Any:
    """The same without what `_not_plain` has complained about, so that the rest can be checked too."""
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


def _own_problems(manifest: Manifest) -> Iterator[InvalidInput]:
    if isinstance(manifest, TradingStrategy):
        return strategy_problems(manifest)
    return account_problems(manifest)


def _problem(detail: ErrorDetails, model: type[Manifest]) -> InvalidInput:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).removeprefix(".")
    match detail["type"]:
        case "missing":
            return InvalidInput(path, None, "a value: this field is required")
        case "extra_forbidden":
            known = _siblings(model, detail["loc"])
            near = get_close_matches(str(detail["loc"][-1]), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            return InvalidInput(path, detail["input"], f"no such field; {hint}")
        case "int_type" | "int_from_float":
            return InvalidInput(path, detail["input"], "a whole number")
        case "string_type":
            return InvalidInput(path, detail["input"], "text in quotes")
        case "bool_type":
            return InvalidInput(path, detail["input"], "true or false")
        case "model_type" | "dict_type":
            return InvalidInput(path, detail["input"], "a mapping of fields")
        case "tuple_type":
            return InvalidInput(path, detail["input"], "a list")
        case _:
            return InvalidInput(path, detail["input"], detail["msg"].removeprefix("Input should be "))


def _siblings(model: type[Manifest], location: Sequence[str | int]) -> list[str]:
    node: dict[str, Any] = model.model_json_schema()
    for part in location[:-1]:
        node = node["items"] if isinstance(part, int) else node["properties"][part]
    return list(node.get("properties", {}))
