"""A description of each node: its result, its inputs, and its parameters as a manifest has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leadline.model.errors import InvalidInput
from leadline.model.manifest.spec_base import DECIMAL_PATTERN, SpecModel
from leadline.nodes.base import NOWHERE, Detector, Filter, Node, NoParams, profile_fields
from leadline.nodes.regime import RegimeNode
from leadline.nodes.registry import detector_types, filter_types
from leadline.nodes.router import Router, RouterParams

_PROFILE_WORDS: Final[Mapping[str, str]] = {
    "imbalance_min": "imbalance minimum",
    "absorption_min": "absorption minimum",
    "typical_bar_volume": "typical bar volume",
}


@dataclass(frozen=True, slots=True)
class ParameterText:
    """One parameter by its name in the node's section; `default` is empty where it has none."""

    name: str
    value: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class NodeText:
    """One node.

    `finds` is what it computes in one sentence, `details` the rest. `section` is where a manifest has its parameters
    below `spec`, empty where it has none. `reads` are the nodes whose output it reads besides the bar; `bars` is how
    many bars it needs with its default parameters before it answers. `series` are the bars that it can be asked about:
    the strategy's own, or those of any series.
    """

    name: str
    finds: str
    details: str
    section: str
    reads: tuple[str, ...]
    bars: int
    series: str
    patterns: tuple[str, ...]
    parameters: tuple[ParameterText, ...]


def node_texts() -> tuple[NodeText, ...]:
    """Every node that a manifest can set: the detectors in their order, the filters, the regime, the router.

    Raises InvalidInput as `detector_types` does.
    """
    kinds = detector_types()
    named: list[Node[Any, Any]] = [kind(kind.params_model(), NOWHERE) for kind in (*kinds, *filter_types())]
    return tuple(map(_text, (*named, RegimeNode(NoParams(), NOWHERE), Router(RouterParams(), NOWHERE, kinds))))


def node_text(name: str) -> NodeText:
    """One node by its name; InvalidInput when there is none of that name."""
    every = node_texts()
    for each in every:
        if each.name == name:
            return each
    raise InvalidInput("node", name, f"one of {', '.join(each.name for each in every)}")


def _text(node: Node[Any, Any]) -> NodeText:
    finds, _, details = (node.__doc__ or "").partition("\n")
    return NodeText(
        name=node.name,
        finds=finds,
        details="\n".join(line.strip() for line in details.strip().splitlines()),
        section=node.section,
        reads=(
            *(read.name for read in node.inputs),
            *(f"{read.name} of {series}" for series, read in node.further),
        ),
        bars=node.warm_up,
        series="any" if isinstance(node, Filter) else "own",
        patterns=tuple(pattern.value for pattern in node.patterns) if isinstance(node, Detector) else (),
        parameters=tuple(_parameters(node.params_model)),
    )


def _parameters(params: type[SpecModel]) -> Iterator[ParameterText]:
    profile = {params.model_fields[name].alias or name: given for name, given in profile_fields(params).items()}
    yield from _fields(params.model_json_schema(), "", profile)


def _fields(schema: Mapping[str, Any], before: str, profile: Mapping[str, str]) -> Iterator[ParameterText]:
    for name, field in schema.get("properties", {}).items():
        if "properties" in field:
            yield from _fields(field, f"{before}{name}.", {})
            continue
        given = f"the profile's {_PROFILE_WORDS[profile[name]]}" if name in profile else ""
        default = given or _plain(field.get("default"))
        yield ParameterText(f"{before}{name}", _value(field), default, field.get("description", ""))


def _value(field: Mapping[str, Any]) -> str:
    """The values that a parameter may have, in words."""
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if field["type"] == "array":
        return "a list of patterns" if field["items"].get("enum") else f"a list, each: {_value(field['items'])}"
    if field.get("pattern") == DECIMAL_PATTERN:
        return "a decimal in quotes"
    if field["type"] == "integer":
        return _range(field.get("minimum"), field.get("maximum"))
    return "true, false" if field["type"] == "boolean" else "a text"


def _range(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f"{least} to {most}"
    return "a whole number" if least is None else f"{least} or more"


def _plain(default: object) -> str:
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
