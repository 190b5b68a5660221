"""Parts of the reference that follow from the vocabulary: manifests, instruments, calendars, patterns, regimes."""

from collections.abc import Iterator
from typing import Any, Final

import yaml

from leadline.model.durations import BAR_SPEC_PATTERN, DURATION_PATTERN
from leadline.model.manifest.backtest_spec import BacktestSpec
from leadline.model.manifest.spec_base import CHANGE_KEY, DNS_LABEL_PATTERN, DNS_NAME_PATTERN
from leadline.model.manifest.specs import AccountSpec, StrategySpec, TradingStrategy, default_account, parse_manifest
from leadline.model.manifest.venues import MEANINGS, NEEDED, Capability, venues
from leadline.model.market.calendars import calendar, calendar_names
from leadline.model.market.hours import CLOCK_PATTERN, ZONE_PATTERN
from leadline.model.market.instruments import instruments
from leadline.model.signals import Pattern
from leadline.model.ticks import NS_PER_SECOND
from leadline.nodes.listing import node_texts
from leadline.nodes.router import DEFAULT_RULES
from scripts._markdown import code, codes, table

# What a pattern of the schema means to a person.
_WORDS: Final = {
    r"^[0-9]{1,15}(\.[0-9]{1,8})?$": "decimal in quotes",
    DURATION_PATTERN: "duration: `50ms`, `2s`, `5m`, `1h`",
    CLOCK_PATTERN: "`HH:MM` in quotes",
    ZONE_PATTERN: "IANA time zone",
    BAR_SPEC_PATTERN: "minutes from `1m` to `1440m` such as `75m`, `1h`, `4h`, `1d`, `ticks:N`, `volume:N`",
    DNS_LABEL_PATTERN: "DNS label",
    DNS_NAME_PATTERN: "name of an object",
}


def strategy_fields() -> str:
    """Every field of a TradingStrategy's spec."""
    return _fields(StrategySpec.model_json_schema())


def account_fields() -> str:
    """Every field of a TradingAccount's spec."""
    return _fields(AccountSpec.model_json_schema())


def backtest_fields() -> str:
    """Every field of a Backtest's spec; the specs of the two other kinds that may stand in it have their own tables."""
    return _fields(BacktestSpec.model_json_schema(), ("strategy.spec", "account.spec"))


def _fields(schema: dict[str, Any], elsewhere: tuple[str, ...] = ()) -> str:
    return table(("field", "value", "default", "change", "meaning"), list(_field_rows(schema, "", elsewhere)))


def _field_rows(
    node: dict[str, Any], path: str, elsewhere: tuple[str, ...]
) -> Iterator[tuple[str, str, str, str, str]]:
    for name, field in node.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        inner = field.get("items", field)
        place += "[]" if "items" in field else ""
        nested = "properties" in inner
        default = _default(field, required=name in node.get("required", ()), nested=nested)
        change = field.get(CHANGE_KEY, "").replace("_", " ")
        yield code(place), _value(field), default, change, field.get("description", "")
        if place not in elsewhere:
            yield from _field_rows(inner, place, elsewhere)


def _value(field: dict[str, Any]) -> str:
    if "items" in field:
        return f"list, at most {field['maxItems']}" + (
            "" if "properties" in field["items"] else f"; each: {_value(field['items'])}"
        )
    if "enum" in field:
        return " ".join(map(code, field["enum"]))
    match field.get("type", "any"):
        case "any":
            return "whole number, or decimal in quotes" if "x-kubernetes-int-or-string" in field else "any value"
        case "integer" | "number":
            return f"{field['minimum']:,} to {field['maximum']:,}"
        case "boolean":
            return "`true` `false`"
        case "object":
            values = field.get("additionalProperties")
            if isinstance(values, dict):
                return f"map; each: {_value(values)}"
            return "fields" if "properties" in field else "free form"
    words = _WORDS.get(field.get("pattern", ""))
    return words or (f"text {code(field['pattern'])}" if "pattern" in field else f"text, at most {field['maxLength']}")


def _default(field: dict[str, Any], *, required: bool, nested: bool) -> str:
    if required:
        return "**required**"
    if "default" not in field:
        # A mapping is made empty for each manifest, so its schema names no default.
        return "none" if field.get("type") == "object" and not nested else "absent"
    default = field["default"]
    if isinstance(default, bool):
        return code(str(default).lower())
    if nested and default:
        return "see below" if isinstance(default, list) else ""
    return "none" if default in ([], {}) else codes(default) if isinstance(default, list) else code(default)


def strategy_example() -> str:
    """The smallest strategy with every default written out."""
    smallest = {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingStrategy",
        "metadata": {"name": "flow"},
        "spec": {"instrument": "MES"},
    }
    found = parse_manifest(smallest)
    assert isinstance(found, TradingStrategy)
    return _yaml(found.to_manifest())


def account_example() -> str:
    """The account that a strategy without one gets."""
    return _yaml(default_account().to_manifest())


def _yaml(document: dict[str, Any]) -> str:
    document["metadata"] = {name: value for name, value in document["metadata"].items() if value}
    return f"\n```yaml\n{yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)}```\n\n"


def instrument_rows() -> str:
    """The instrument sheet."""
    rows = [
        (
            code(each.root),
            each.name,
            str(each.tick),
            f"{each.tick_value} {each.currency}",
            str(each.size_step),
            str(each.commission),
            "" if each.margin is None else str(each.margin),
            f"{each.staleness_ns / NS_PER_SECOND:g} s",
            str(each.collar_ticks),
            code(each.underlying),
            code(each.calendar),
            ", ".join(f"{code(name)} {hours.open}–{hours.close} {hours.zone}" for name, hours in each.sessions.items()),
            {"venue": "by name", "cme_quarterly": "quarterly", "none": "never"}[each.roll],
        )
        for each in instruments()
    ]
    heads = ("root", "name", "tick", "tick value", "size step", "commission", "margin", "staleness", "collar")
    return table((*heads, "underlying", "calendar", "sessions", "roll"), rows)


def profile_rows() -> str:
    """The thresholds of the instruments that have some."""
    rows = [
        (
            code(each.root),
            *(
                f"{value:,}"
                for value in (
                    each.profile.imbalance_min,
                    each.profile.absorption_min,
                    each.profile.typical_bar_volume,
                    each.profile.stop_ticks,
                    each.profile.target_ticks,
                )
            ),
        )
        for each in instruments()
        if each.profile is not None
    ]
    return table(("root", "imbalance minimum", "absorption minimum", "typical bar volume", "stop", "target"), rows)


def calendar_rows() -> str:
    """The calendars and what they know."""
    rows = []
    for name in calendar_names():
        found = calendar(name)
        valid = "nothing yet: every day is unknown"
        if found.valid_from is not None and found.valid_through is not None:
            valid = f"{found.valid_from} to {found.valid_through}"
        hours = f"{found.hours.open}–{found.hours.close} {found.hours.zone}"
        hours += "".join(f"; to {close} until {last_day}" for last_day, close in found.former_close)
        rows.append((code(name), found.title, hours, valid))
    return table(("calendar", "market", "open", "knows"), rows)


def node_rows() -> str:
    """The nodes of the strategy `OrderFlow`."""
    rows = [(code(each.name), each.finds, codes(each.reads), each.series, str(each.bars)) for each in node_texts()]
    return table(("node", "what it computes", "reads", "series", "bars"), rows)


def node_parameters() -> str:
    """The parameters of each node, as the manifest has them."""
    rows = [
        (code(f"{each.section}.{parameter.name}"), parameter.value, parameter.default, parameter.meaning)
        for each in node_texts()
        for parameter in each.parameters
    ]
    return table(("parameter", "value", "default", "meaning"), rows)


def venue_rows() -> str:
    """The venues."""
    rows = [
        (code(each.name), each.title, "Live" if each.real_money else "Paper", code(f"spec.{each.name}"))
        for each in venues()
    ]
    return table(("venue", "what it is", "environment", "section"), rows)


def capability_rows() -> str:
    """What each venue can do."""
    rows = [
        (
            code(each.value),
            MEANINGS[each],
            "yes" if each in NEEDED else "",
            codes([venue.name for venue in venues() if each in venue.capabilities]),
        )
        for each in Capability
    ]
    return table(("capability", "the venue", "needed", "venues"), rows)


def router_rows() -> str:
    """What trades in which regime by default."""
    rows = [
        (
            code(regime.value),
            codes([pattern.value for pattern in rule.patterns]),
            "both" if rule.direction is None else rule.direction.value.lower(),
            str(rule.multiplier),
        )
        for regime, rule in DEFAULT_RULES.items()
    ]
    return table(("regime", "patterns that may trade", "side", "size multiplier"), rows)


def pattern_order() -> str:
    """The patterns in the order that breaks ties."""
    return "\n" + "".join(f"{number}. {code(pattern.value)}\n" for number, pattern in enumerate(Pattern, 1)) + "\n"
