"""Fields of manifests by name: which manifest a name means, whether it has the field, and another value in it."""

import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from leadline.model.errors import InvalidInput
from leadline.model.ids import DEFAULT_NAMESPACE
from leadline.model.manifest.kinds import KINDS
from leadline.model.manifest.manifests import path_of
from leadline.model.manifest.spec_base import FREE_FORM
from leadline.model.manifest.specs import TradingAccount, TradingStrategy

_KINDS: Final = {"strategy": "TradingStrategy", "account": "TradingAccount"}
_NAME: Final = re.compile(
    r"(?P<kind>[a-z]+)(/(?P<owner>[a-z0-9-]+(/[a-z0-9-]+)?))?\.spec\.(?P<path>[^.\[\]]+(\[\d+\])*(\.[^.\[\]]+(\[\d+\])*)*)"
)
_PART: Final = re.compile(r"[^.\[\]]+")
_EXPECTED: Final = "strategy.spec.FIELD or account.spec.FIELD, with the name behind a slash where there are several"


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A field of one manifest.

    `name` is how it was written; `parts`, names and places in lists, lead to it from the spec; `schema` describes it.
    """

    name: str
    kind: str
    owner: str
    parts: tuple[str | int, ...]
    schema: dict[str, Any]

    @property
    def path(self) -> str:
        """The path as errors of manifests have it, such as `spec.entries.blocks[0].to`."""
        return path_of(("spec", *self.parts))

    def of(self, manifest: TradingAccount | TradingStrategy) -> bool:
        """Whether it is a field of this manifest."""
        return (manifest.kind, manifest.full_name) == (self.kind, self.owner)

    def overlaps(self, other: "FieldPath") -> bool:
        """Whether both are the same field, or one is a part of the other."""
        shorter = min(len(self.parts), len(other.parts))
        same = (self.kind, self.owner) == (other.kind, other.owner)
        return same and self.parts[:shorter] == other.parts[:shorter]

    def set(self, document: dict[str, Any], value: Any) -> dict[str, Any]:
        """The manifest with another value in the field; null leaves it out. `document` stays as it is.

        Raises InvalidInput for a place in a list that the manifest does not have.
        """
        changed = deepcopy(document)
        node: Any = changed.setdefault("spec", {})
        for part, following in zip(self.parts, (*self.parts[1:], None), strict=True):
            if isinstance(part, int) and part >= len(node):
                raise InvalidInput(self.path, value, f"a place in a list of {len(node)}")
            if following is None:
                break
            node = (
                node[part] if isinstance(part, int) else node.setdefault(part, [] if isinstance(following, int) else {})
            )
        last = self.parts[-1]
        if value is not None or isinstance(last, int):
            node[last] = value
        else:
            node.pop(last, None)
        return changed


def field_path(name: str, accounts: Sequence[TradingAccount], strategies: Sequence[TradingStrategy]) -> FieldPath:
    """The field that a name means. Raises InvalidInput for a manifest or a field that there is not."""
    found = _NAME.fullmatch(name)
    if found is None or found["kind"] not in _KINDS:
        raise InvalidInput("field", name, _EXPECTED)
    kind = _KINDS[found["kind"]]
    owners = [each.full_name for each in (strategies if kind == "TradingStrategy" else accounts)]
    wanted = found["owner"]
    if wanted is None and len(owners) > 1:
        written = ", ".join(f"{found['kind']}/{each}.spec.{found['path']}" for each in owners)
        raise InvalidInput("field", name, f"one of {written}")
    owner = owners[0] if wanted is None else wanted if "/" in wanted else f"{DEFAULT_NAMESPACE}/{wanted}"
    if owner not in owners:
        raise InvalidInput("field", name, f"the name of a {kind} that there is: {', '.join(owners)}")
    parts = tuple(
        int(part) if place else part
        for segment in found["path"].split(".")
        for place, part in enumerate(_PART.findall(segment))
    )
    return FieldPath(name, kind, owner, parts, _schema_of(name, kind, parts))


def written_as(value: Any, field: FieldPath) -> Any:
    """A value as a manifest writes it in a field: a number as text where the field is text, as decimals are.

    A whole number stays one, with text or without; of a free field a decimal becomes a number of JSON.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if field.schema.get("type") == "string":
        return format(exact.normalize(), "f")
    return int(exact) if exact == exact.to_integral_value() else float(exact)


@cache
def _spec_schema(kind: str) -> dict[str, Any]:
    return KINDS[kind].spec.model_json_schema()


def _schema_of(name: str, kind: str, parts: Sequence[str | int]) -> dict[str, Any]:
    """The schema of a field. Raises InvalidInput where there is no such field."""
    node = _spec_schema(kind)
    for part in parts:
        known = node.get("properties", {})
        if _is_free(node):
            return {}
        if isinstance(part, int):
            if "items" not in node:
                raise InvalidInput("field", name, f"no place [{part}]: what stands before it is no list")
            node = node["items"]
        elif part in known:
            node = known[part]
        elif isinstance(rows := node.get("additionalProperties"), dict):
            node = rows
        elif known:
            near = get_close_matches(part, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise InvalidInput("field", name, f"a field that there is instead of {part}; {hint}")
        else:
            raise InvalidInput("field", name, f"no {part}: what stands before it has no fields")
    return node


def _is_free(node: dict[str, Any]) -> bool:
    """Whether anything may stand below a field."""
    return any(node.get(key) == value for key, value in FREE_FORM.items())
