"""The nodes that a manifest can name: those of the platform, and those of packages that are installed beside it.

A module of `leadline.nodes.detectors` holds one detector, and being there is all that it takes: the manifest's schema,
the graph of the strategy `OrderFlow`, `leadline nodes` and the reference follow from this list. Another package adds a
detector by an entry point of the group `leadline.nodes.detectors`: its name is the detector's, its value the class.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pkgutil import iter_modules
from typing import Any, Final, TypeGuard

from leadline.model.errors import InvalidInput
from leadline.model.signals import Pattern
from leadline.nodes import detectors
from leadline.nodes.base import Detector, DetectorParams

GROUP: Final = "leadline.nodes.detectors"

DetectorType = type[Detector[Any, Any]]

_ORDER: Final = tuple(Pattern)


@cache
def detector_types() -> tuple[DetectorType, ...]:
    """Every detector, in the order of the first pattern of each, then by name.

    Raises InvalidInput when an installed package names a detector that cannot be one, or a name is taken twice.
    """
    found: dict[str, DetectorType] = {}
    for kind in (*_shipped(), *_installed()):
        if kind.name in found:
            taken = found[kind.name]
            raise InvalidInput(
                f"entry points of {GROUP}",
                kind.name,
                f"a name of its own; it is taken by {taken.__module__}:{taken.__qualname__}",
            )
        found[kind.name] = kind
    return tuple(sorted(found.values(), key=lambda kind: (_ORDER.index(kind.patterns[0]), kind.name)))


def _shipped() -> Iterator[DetectorType]:
    for module in iter_modules(detectors.__path__):
        name = f"{detectors.__name__}.{module.name}"
        for value in vars(import_module(name)).values():
            if _is_detector(value) and value.__module__ == name:
                yield value


def _installed() -> Iterator[DetectorType]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        yield _loaded(entry)


def _loaded(entry: EntryPoint) -> DetectorType:
    expected = "module:Class of a detector that can be imported"
    try:
        kind: object = entry.load()
    except (Exception, SystemExit) as error:
        raise InvalidInput(
            f"entry points of {GROUP}", entry.value, f"{expected} ({type(error).__name__}: {error})"
        ) from error
    if not _is_detector(kind):
        raise InvalidInput(f"entry points of {GROUP}", entry.value, f"{expected}, a subclass of leadline's Detector")
    if kind.name != entry.name:
        raise InvalidInput(f"entry points of {GROUP}", entry.name, f"the name of the detector, {kind.name}")
    return kind


def _is_detector(value: object) -> TypeGuard[DetectorType]:
    return (
        isinstance(value, type)
        and issubclass(value, Detector)
        and not isabstract(value)
        and isinstance(getattr(value, "name", None), str)
        and issubclass(value.params_model, DetectorParams)
        and bool(getattr(value, "patterns", ()))
    )
