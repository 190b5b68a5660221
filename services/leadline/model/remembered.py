"""Values that follow from a manifest, worked out once for each: an account's loop asks for them at every step."""

from collections.abc import Callable, Hashable
from functools import lru_cache, update_wrapper
from typing import Final, TypeVar

MOST_KEPT: Final = 256
"""Manifests of which a value is kept, for each kind of value."""

_Subject = TypeVar("_Subject")
_Value = TypeVar("_Value")
_Named = TypeVar("_Named", bound=Hashable)

_clears: list[Callable[[], None]] = []


def once_for_each(work: Callable[[_Subject], _Value]) -> Callable[[_Subject], _Value]:
    """The same work, done once for each object that it is asked about.

    For objects that never change, and values that follow from them and from the rows of instruments in force. An object
    is known by its identity, for to compare two of them may take longer than the work, and it is held for as long as
    its value is kept. An error is not kept.
    """
    kept: dict[int, tuple[object, _Value]] = {}

    def asked(subject: _Subject) -> _Value:
        found = kept.get(id(subject))
        if found is not None and found[0] is subject:
            return found[1]
        value = work(subject)
        if len(kept) >= MOST_KEPT:
            kept.clear()
        kept[id(subject)] = (subject, value)
        return value

    _clears.append(kept.clear)
    return update_wrapper(asked, work)


class Looked:
    """Groups of objects that never change and have been looked through; an object is known by its identity."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], tuple[object, ...]] = {}

    def has(self, group: tuple[object, ...]) -> bool:
        """Whether these very objects have been looked through, and not too many others since."""
        return tuple(map(id, group)) in self._kept

    def add(self, group: tuple[object, ...]) -> None:
        """They are looked through now."""
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[tuple(map(id, group))] = group


def once_for_value(work: Callable[[_Named], _Value]) -> Callable[[_Named], _Value]:
    """As `once_for_each`, for a subject that is known by its value, such as a name."""
    asked = lru_cache(maxsize=1024)(work)
    _clears.append(asked.cache_clear)
    return asked


def forget() -> None:
    """Drop all values: other rows of instruments are in force."""
    for clear in _clears:
        clear()
