"""The base of the manifests' models: strict fields, decimals as strings, change classes, structural schema.

A field of the schema has one type and is never null: absent means unset. In Python an absent optional field is None.
"""

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from leadline.model.durations import (
    BAR_SPEC_EXPECTED,
    BAR_SPEC_PATTERN,
    DURATION_PATTERN,
    TIME_BARS_EXPECTED,
    TIME_BARS_PATTERN,
    parse_bar_spec,
)
from leadline.model.market.hours import CLOCK_PATTERN, ZONE_PATTERN
from leadline.model.strict import StrictModel

API_VERSION: Final = "leadline.dev/v1alpha1"
CHANGE_KEY: Final = "x-leadline-change"
FREE_FORM: Final = {"x-kubernetes-preserve-unknown-fields": True}
DNS_LABEL_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
DNS_NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"

DECIMAL_PATTERN: Final = r"^[0-9]{1,15}(\.[0-9]{1,8})?$"


class Change(StrEnum):
    """The effect of a change of a field on a running strategy or account."""

    HOT = "HOT"
    """Taken over at the account's instant, nothing restarts."""
    ROLLOUT = "ROLLOUT"
    """Analysis, or the account's workload, starts again with it."""
    ROLLOUT_SUSPENDED = "ROLLOUT_SUSPENDED"
    """As ROLLOUT, and only while the strategy is suspended."""
    FIXED = "FIXED"
    """Never changes: it belongs to the account's book. Another value is another account."""
    IGNORE = "IGNORE"
    """Read when it is needed; a change by itself does nothing."""


class StructuralSchema(GenerateJsonSchema):
    """JSON Schema as Kubernetes wants it.

    No references, no null, no `anyOf`, no `const`, no `additionalProperties: false`. Every property has the change
    class of the field that it is part of.
    """

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """The inner type: absence, not null, says that a field is unset."""
        return self.generate_inner(schema["schema"])

    def encode_default(self, dft: Any) -> Any:
        """A default as the manifest would write it."""
        if isinstance(dft, Decimal):
            return _text_of_decimal(dft)
        return dft.to_manifest() if isinstance(dft, SpecModel) else super().encode_default(dft)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A model with the meaning of each field, from the docstring below it."""
        found = super().model_schema(schema)
        model = schema["cls"]
        for name, meaning in meanings(model).items():
            found["properties"][model.model_fields[name].alias or name]["description"] = meaning
        return found

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """The schema with every definition in its place."""
        whole = super().generate(schema, mode)
        definitions = whole.pop("$defs", {})
        found = _inlined(whole, definitions, "")
        assert isinstance(found, dict)
        return found


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Meanings of a model's fields: the description of each, else the docstring below it, in its class or a base of it.

    The sources are read here, and not with every class: only pages and definitions tell meanings, and reading takes a
    quarter of the time in which a process loads its code.
    """
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel):
            found |= _docstrings(each)
    given = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: text for name, text in found.items() if name in model.model_fields} | given


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    module = sys.modules.get(model.__module__)
    return _fields_of(module).get(model.__qualname__, {}) if module else {}


@cache
def _fields_of(module: ModuleType) -> dict[str, dict[str, str]]:
    """The docstrings below the fields of each class of a module, by the qualified name of the class."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError):  # it has no source, as that of a person at a prompt
        return {}
    found: dict[str, dict[str, str]] = {}
    waiting: list[tuple[str, ast.AST]] = [("", ast.parse(source))]
    while waiting:
        within, node = waiting.pop()
        if isinstance(node, ast.ClassDef):
            name = within + node.name
            found[name] = dict(_documented(node.body))
            within = f"{name}."
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            within = f"{within}{node.name}.<locals>."
        waiting += [(within, child) for child in ast.iter_child_nodes(node)]
    return found


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                yield name, inspect.cleandoc(said)


def _inlined(node: Any, definitions: dict[str, Any], change: str) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions, change) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        definition = definitions[node["$ref"].removeprefix(DEFAULT_REF_TEMPLATE.format(model=""))]
        node = {**definition, **{key: value for key, value in node.items() if key != "$ref"}}
    change = node.get(CHANGE_KEY, change)
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            properties = {name: _inlined(item, definitions, change) for name, item in value.items()}
            found[key] = {name: _with_change(item, change) for name, item in properties.items()}
        elif key == "const":
            found["enum"] = [value]
        elif not _noise(key, value):
            found[key] = value if key == "default" else _inlined(value, definitions, change)
    return found


def _noise(key: str, value: object) -> bool:
    return (
        (key == "title" and isinstance(value, str))
        or (key == "additionalProperties" and isinstance(value, bool))
        or (key == "default" and value is None)
    )


def _with_change(schema: dict[str, Any], change: str) -> dict[str, Any]:
    return schema if not change or CHANGE_KEY in schema else {**schema, CHANGE_KEY: change}


class SpecModel(StrictModel):
    """A frozen part of a manifest: camelCase outside, snake_case inside, unknown fields refused, no coercion."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        strict=True,
        validate_default=True,
    )

    @classmethod
    def model_json_schema(cls, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The structural schema of this part; arguments as pydantic's."""
        return super().model_json_schema(*arguments, **{"schema_generator": StructuralSchema, **options})

    def to_manifest(self) -> dict[str, Any]:
        """Plain JSON values by their names in a manifest, defaults filled in, absent fields absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def from_manifest(cls, document: Mapping[str, Any]) -> Self:
        """The spec of plain JSON values, the inverse of `to_manifest`. Raises pydantic's ValidationError."""
        return cls.model_validate_json(json.dumps(document), by_alias=True, by_name=False)


def refused(expected: str) -> PydanticCustomError:
    """The error that a validator raises: what would have been accepted, in words."""
    return PydanticCustomError("leadline", "{expected}", {"expected": expected})


def changes(change: Change) -> Any:
    """Marks a field of a spec with its change class."""
    return Field(json_schema_extra={CHANGE_KEY: change.value})


def change_of(field: FieldInfo) -> Change:
    """The change class that a field of a spec is marked with."""
    marks = field.json_schema_extra
    assert isinstance(marks, dict), "each field of a spec is marked with its change class"
    return Change(str(marks[CHANGE_KEY]))


_LARGEST_SHOWN: Final = 10**15


def _decimal_of_text(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and re.fullmatch(DECIMAL_PATTERN, value):
        return Decimal(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LARGEST_SHOWN:
        raise refused(f'the number in quotes, "{Decimal(str(value)):f}"')
    raise refused('a decimal number >= 0 in quotes, such as "0.25"')


def _text_of_decimal(value: Decimal) -> str:
    return format(value.normalize(), "f")


@dataclass(frozen=True, slots=True)
class Text:
    """A bounded string with a pattern: the pattern stands in the schema, `expected` in the error."""

    pattern: str
    expected: str
    max_length: int

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": self.pattern, "maxLength": self.max_length}

    def _check(self, value: object) -> object:
        if not isinstance(value, str):
            raise refused(f"{self.expected}, as text")
        if len(value) > self.max_length or not re.fullmatch(self.pattern, value):
            raise refused(self.expected)
        return value


DecimalText = Annotated[
    Decimal,
    BeforeValidator(_decimal_of_text),
    PlainSerializer(_text_of_decimal, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DECIMAL_PATTERN, "maxLength": 24}),
]
"""A number >= 0, written as a string so that nobody's parser rounds it; Decimal in Python."""

DurationText = Annotated[str, Text(DURATION_PATTERN, "a whole number with a unit ms, s, m or h, such as 5m", 8)]
ClockText = Annotated[str, Text(CLOCK_PATTERN, "a time HH:MM in quotes, from 00:00 to 23:59", 5)]
ZoneText = Annotated[str, Text(ZONE_PATTERN, "a name of the IANA time zone database, such as America/New_York", 64)]
_by_its_one_name = AfterValidator(lambda text: str(parse_bar_spec(text)))
TimeBarsText = Annotated[str, Text(TIME_BARS_PATTERN, TIME_BARS_EXPECTED, 16), _by_its_one_name]
"""As `BarsText`, of bars of a length of time only."""
BarsText = Annotated[str, Text(BAR_SPEC_PATTERN, BAR_SPEC_EXPECTED, 16), _by_its_one_name]
"""The length of a bar by its one name: `60m` is read as `1h`, so that both are the same bars and the same analysis."""
NameText = Annotated[str, Text(DNS_LABEL_PATTERN, "a DNS label: lower-case letters, digits and dashes, at most 52", 52)]
NamespaceText = Annotated[
    str, Text(DNS_LABEL_PATTERN, "a DNS label: lower-case letters, digits and dashes, at most 63", 63)
]
SymbolText = Annotated[str, Text(r"^[A-Z0-9]{1,20}$", "upper-case letters and digits, such as MES or ESZ2025", 20)]
