"""YAML as people write it for Leadline: each document with the lines on which its fields stand."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from leadline.model.errors import InvalidInput

MOST_VALUES: Final = 100_000
"""Names of fields and values in a text, all of its documents together."""

MOST_LEVELS: Final = 50
"""Mappings and lists within each other."""

MOST_BROKEN: Final = 20
"""Places of a text at which it is no YAML: what stands behind so many is not read."""

_SHOWN_CHARACTERS: Final = 80
_LAST_PART: Final = re.compile(r"(\.[^.\[\]]*|\[\d+\])$")


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A document of a text, or an item of one that is a List. `place` says which, `value` is what it holds.

    `lines` has the line of each field, from 1, by its path (`spec.entries.blocks[0].to`); '' is the document's own.
    """

    place: str
    value: object
    lines: Mapping[str, int]

    def line_of(self, path: str) -> int:
        """The line of a field; of what it would stand in, where it is missing."""
        while path and path not in self.lines:
            path = _LAST_PART.sub("", path) if _LAST_PART.search(path) else ""
        return self.lines[path]


class _TooMuch(yaml.constructor.ConstructorError):
    """A text of which no more is read."""


class _Loader(yaml.SafeLoader):
    """YAML as the manifests need it, and as kubectl reads it.

    No dates by surprise, no times of the day that become numbers (12:00 is text), no aliases, no field twice, and no
    more values and levels than anybody writes: reading a text takes a tenth of a millisecond for each value.
    """

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._levels = 0
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", self.get_mark())
        self._values += 1
        if self._values > MOST_VALUES:
            raise _TooMuch(None, None, f"more than {MOST_VALUES} values", self.get_mark())
        if self._levels == MOST_LEVELS:
            raise _TooMuch(None, None, f"more than {MOST_LEVELS} levels", self.get_mark())
        self._levels += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._levels -= 1

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


def yaml_documents(raw: bytes, name: str = "") -> tuple[YamlDocument, ...]:
    """Each document of a text, in order. Raises InvalidInput with its line where the text is no YAML.

    name: of the file, for the error. A document may be a List, as `kubectl get -o yaml` prints several objects: then
    its items are what is found.
    """
    documents, broken = read_yaml(raw, name)
    for _, problem in broken:
        raise problem
    return documents


def read_yaml(raw: bytes, name: str = "") -> tuple[tuple[YamlDocument, ...], tuple[tuple[int, InvalidInput], ...]]:
    """As `yaml_documents`; and the lines at which the text is no YAML, with what is wrong there, instead of an error.

    Behind such a line it goes on at the next document.
    """
    documents: list[YamlDocument] = []
    broken: list[tuple[int, InvalidInput]] = []
    lines = raw.split(b"\n")
    begins = [number for number, line in enumerate(lines) if line.rstrip() == b"---" or line.startswith(b"--- ")]
    start = 0
    while True:
        # Empty lines in the place of what was read keep the numbers of the others.
        rest = b"\n" * start + b"\n".join(lines[start:])
        try:
            documents.extend(_documents(rest, len(documents) + len(broken)))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
            line, problem = _no_yaml(error, raw, name)
            broken.append((line, problem))
            go_on = not isinstance(error, _TooMuch) and len(broken) < MOST_BROKEN
            start = next((each for each in begins if each > start and each + 1 >= line), 0) if go_on else 0
        else:
            start = 0
        if not start:
            return tuple(documents), tuple(broken)


def _documents(raw: bytes, before: int) -> Iterator[YamlDocument]:
    """The documents of a text, counted after those `before`; raises what the reader of YAML raises."""
    number = before
    loader = _Loader(raw)
    while loader.check_node():
        node = loader.get_node()
        assert node is not None  # `check_node` has looked
        number += 1
        value = loader.construct_document(node)
        items = _list_items(value)
        if items is not None:
            lines = dict(_lines(node, ""))
            for index, item in enumerate(items):
                yield YamlDocument(f"document {number}, item {index + 1}", item, _below(lines, f"items[{index}]"))
        elif value is not None:
            yield YamlDocument(f"document {number}", value, dict(_lines(node, "")))


def placed(name: str, line: int) -> str:
    """Where something stands: in the file of that name, or in a text that has none."""
    return f"{name}:{line}" if name else f"line {line}"


def _list_items(document: object) -> list[object] | None:
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != ("v1", "List"):
        return None
    items = document.get("items")
    return items if isinstance(items, list) else None


def _lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    """The path and line of a node and of everything in it. A field stands where its name does."""
    if not path:
        yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = f"{path}.{key.value}" if path else str(key.value)
            yield below, key.start_mark.line + 1
            yield from _lines(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"{path}[{index}]", value.start_mark.line + 1
            yield from _lines(value, f"{path}[{index}]")


def _below(lines: Mapping[str, int], path: str) -> dict[str, int]:
    found = {place.removeprefix(path).removeprefix("."): line for place, line in lines.items() if place == path}
    return found | {place[len(path) + 1 :]: line for place, line in lines.items() if place.startswith(f"{path}.")}


def _no_yaml(error: Exception, raw: bytes, name: str) -> tuple[int, InvalidInput]:
    """The line at which a text is no YAML, and what is wrong there."""
    mark = getattr(error, "problem_mark", None)
    position = getattr(error, "position", None)
    if mark is not None:
        line = mark.line + 1
    elif isinstance(position, int):
        line = raw[:position].count(b"\n") + 1
    else:
        return 1, InvalidInput(name or "manifest", _cut(str(error)), "YAML documents")
    text = raw.splitlines()[line - 1].decode(errors="replace") if line <= len(raw.splitlines()) else None
    began = getattr(error, "context_mark", None)
    context = getattr(error, "context", None)
    since = "" if began is None or began.line == line - 1 else f"{context} that begins on line {began.line + 1}, "
    why = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return line, InvalidInput(placed(name, line), text and _cut(text), f"YAML documents ({since}{why})")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
