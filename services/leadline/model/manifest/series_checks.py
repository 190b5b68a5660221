"""Checks of the series of bars in a manifest, and of their readers, beyond its schema."""

from collections.abc import Iterator
from decimal import Decimal

from pydantic.alias_generators import to_camel

from leadline.model.bars import OWN_SERIES
from leadline.model.errors import InvalidInput
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.strategy_spec import StrategySpec
from leadline.model.signals import LARGEST_MULTIPLIER
from leadline.nodes.base import NOWHERE, series_fields
from leadline.nodes.regime import WARM_UP_BARS
from leadline.nodes.registry import detector_types


def bars_needed(spec: StrategySpec, series: str = OWN_SERIES) -> int:
    """The bars of a series that `OrderFlow` must have seen, the current one included, before it can answer."""
    filters = (chosen for each in spec.strategy.filters if each.series == series for chosen in each.chosen())
    asked = [kind(params, NOWHERE).warm_up for kind, params in filters]
    return max([WARM_UP_BARS if series == OWN_SERIES else 0, *asked])


def filter_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Filters that nobody asks, and names of series that are none."""
    logic, names = spec.strategy, [each.name for each in spec.all_series]
    expected = f"one of {', '.join(names)}: a series of spec.series, or {OWN_SERIES}"
    if logic.entry_point is not None and logic.filters:
        filtered = [each.series for each in logic.filters]
        yield InvalidInput("spec.strategy.filters", filtered, "none with entryPoint: a class asks no filter")
        return
    for number, entry in enumerate(logic.filters):
        where = f"spec.strategy.filters[{number}].series"
        if entry.series not in names:
            yield InvalidInput(where, entry.series, expected)
        elif entry.series in (before.series for before in logic.filters[:number]):
            yield InvalidInput(where, entry.series, "a series that no entry before has: put its filters into one")
    for kind in () if logic.entry_point else detector_types():
        section = logic.detectors.of(kind)
        for name in series_fields(kind.params_model):
            if section.enabled and getattr(section, name) not in names:
                field = f"spec.strategy.detectors.{kind.name}.{to_camel(name)}"
                yield InvalidInput(field, getattr(section, name), expected)


def multiplier_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Factors of the size that nobody who reads a bar would believe."""
    given: list[tuple[str, SpecModel | None]] = [("spec.strategy.router.regimes", spec.strategy.router.regimes)]
    for number, entry in enumerate(spec.strategy.filters):
        for kind, params in entry.chosen():
            given.append((f"spec.strategy.filters[{number}].{kind.name}", params))
    for where, section in given:
        for path, factor in _multipliers(where, section):
            if factor > LARGEST_MULTIPLIER:
                yield InvalidInput(path, f"{factor:f}", f"at most {LARGEST_MULTIPLIER}")


def _multipliers(where: str, section: object) -> Iterator[tuple[str, Decimal]]:
    """The fields of a section, and of those below it, whose name is `multiplier`, with their places."""
    for name, field in type(section).model_fields.items() if isinstance(section, SpecModel) else ():
        value, path = getattr(section, name), f"{where}.{field.alias or to_camel(name)}"
        if name == "multiplier" and isinstance(value, Decimal):
            yield path, value
        yield from _multipliers(path, value)


def _series_read(spec: StrategySpec) -> set[str]:
    """The names of the series that a filter or a detector of `OrderFlow` reads."""
    sections = [(kind, spec.strategy.detectors.of(kind)) for kind in detector_types()]
    named = {
        str(getattr(section, name))
        for kind, section in sections
        if section.enabled
        for name in series_fields(kind.params_model)
    }
    return named | {each.series for each in spec.strategy.filters}


def series_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Further series that nobody reads, and those that are another one already."""
    if spec.strategy.entry_point is None:
        read = _series_read(spec)
        for number, each in enumerate(spec.series):
            if each.name not in read and each.name != OWN_SERIES:
                expected = "the series of an entry of strategy.filters: OrderFlow reads no other one"
                yield InvalidInput(f"spec.series[{number}].name", each.name, expected)
    taken = {OWN_SERIES: (spec.bars, spec.ticks_per_row)}
    for number, each in enumerate(spec.series):
        where, bars = f"spec.series[{number}]", (each.bars, each.ticks_per_row)
        if each.name in taken:
            expected = f"a name that no other series has: {OWN_SERIES} are the strategy's own bars"
            yield InvalidInput(f"{where}.name", each.name, expected)
        elif bars in taken.values():
            same = next(name for name, others in taken.items() if others == bars)
            expected = f"other bars or another ticksPerRow than the series {same} has"
            yield InvalidInput(f"{where}.bars", each.bars, expected)
        taken.setdefault(each.name, bars)
