"""The nodes that a manifest can name: those of the platform, and those of packages that are installed beside it.

A module of `leadline.nodes.detectors` holds one detector, one of `leadline.nodes.filters` one filter. Being there is
all that it takes: the manifest's schema, the graph of the strategy `OrderFlow`, `leadline nodes` and the reference
follow from these lists. Another package adds one by an entry point of the group of the same name: its name is the
node's, its value the class.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Final, Generic, TypeGuard, TypeVar

from leadline.model.errors import InvalidInput
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.signals import Pattern
from leadline.nodes import detectors, filters
from leadline.nodes.base import Detector, DetectorParams, Filter, Node

DetectorType = type[Detector[Any, Any]]
FilterType = type[Filter[Any]]
KindT = TypeVar("KindT", bound=type[Node[Any, Any]])

SERIES_FIELD: Final = "series"
"""The field of an entry of `strategy.filters` that is not a filter's section."""

_ORDER: Final = tuple(Pattern)


@cache
def detector_types() -> tuple[DetectorType, ...]:
    """Every detector, in the order of the first pattern of each, then by name.

    Raises InvalidInput when an installed package names a detector that cannot be one, or a name is taken twice.
    """
    found = _Kinds("detector", "Detector", detectors, _is_detector).all()
    return tuple(sorted(found, key=lambda kind: (_ORDER.index(kind.patterns[0]), kind.name)))


@cache
def filter_types() -> tuple[FilterType, ...]:
    """Every filter, by name. Raises InvalidInput as `detector_types` does."""
    found = _Kinds("filter", "Filter", filters, _is_filter).all()
    if any(kind.name == SERIES_FIELD for kind in found):
        expected = f"another name: {SERIES_FIELD} says which bars a filter reads"
        raise InvalidInput(f"entry points of {filters.__name__}", SERIES_FIELD, expected)
    return tuple(sorted(found, key=lambda kind: kind.name))


@dataclass(frozen=True, slots=True)
class _Kinds(Generic[KindT]):
    """Where the nodes of one kind come from: the modules of a package, and the entry points of the group of its name.

    `title` is what one is called, `base` the name of its class.
    """

    title: str
    base: str
    package: ModuleType
    fits: Callable[[object], TypeGuard[KindT]]

    @property
    def group(self) -> str:
        return self.package.__name__

    def all(self) -> tuple[KindT, ...]:
        """Each of them once. Raises InvalidInput as `detector_types` does."""
        found: dict[str, KindT] = {}
        for kind in (*self._shipped(), *self._installed()):
            if kind.name in found:
                taken = found[kind.name]
                raise InvalidInput(
                    f"entry points of {self.group}",
                    kind.name,
                    f"a name of its own; it is taken by {taken.__module__}:{taken.__qualname__}",
                )
            found[kind.name] = kind
        return tuple(found.values())

    def _shipped(self) -> Iterator[KindT]:
        for module in iter_modules(self.package.__path__):
            name = f"{self.package.__name__}.{module.name}"
            for value in vars(import_module(name)).values():
                if self.fits(value) and value.__module__ == name:
                    yield value

    def _installed(self) -> Iterator[KindT]:
        for entry in sorted(entry_points(group=self.group), key=lambda entry: (entry.name, entry.value)):
            yield self._loaded(entry)

    def _loaded(self, entry: EntryPoint) -> KindT:
        expected = f"module:Class of a {self.title} that can be imported"
        try:
            kind: object = entry.load()
        except (Exception, SystemExit) as error:
            raise InvalidInput(
                f"entry points of {self.group}", entry.value, f"{expected} ({type(error).__name__}: {error})"
            ) from error
        if not self.fits(kind):
            raise InvalidInput(
                f"entry points of {self.group}", entry.value, f"{expected}, a subclass of leadline's {self.base}"
            )
        if kind.name != entry.name:
            raise InvalidInput(
                f"entry points of {self.group}", entry.name, f"the name of the {self.title}, {kind.name}"
            )
        return kind


def _is_node(value: object, params: type[SpecModel]) -> TypeGuard[type[Node[Any, Any]]]:
    return (
        isinstance(value, type)
        and issubclass(value, Node)
        and not isabstract(value)
        and isinstance(getattr(value, "name", None), str)
        and issubclass(value.params_model, params)
    )


def _is_detector(value: object) -> TypeGuard[DetectorType]:
    return _is_node(value, DetectorParams) and issubclass(value, Detector) and bool(getattr(value, "patterns", ()))


def _is_filter(value: object) -> TypeGuard[FilterType]:
    return _is_node(value, SpecModel) and issubclass(value, Filter)
