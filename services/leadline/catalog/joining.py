"""Prints of a day that come in beside others of it: parts are put together, and nothing is lost unsaid."""

from typing import Literal, TypeAlias

import numpy as np

from leadline.model.ticks import TickColumns

Relation: TypeAlias = Literal["within", "around", "apart", "other"]
"""within: the new prints are there, in one run. around: they have all that are there, in one run. apart: one part ends
before the other begins. other: anything else, so one of both is wrong."""


def relation_of(there: TickColumns, new: TickColumns) -> Relation:
    """How prints of a day stand to those that are there. Both have some, in the order of time."""
    if _has(there, new):
        return "within"
    if _has(new, there):
        return "around"
    return "apart" if _ends_before(there, new) or _ends_before(new, there) else "other"


def joined(there: TickColumns, new: TickColumns) -> TickColumns:
    """Both parts of a day, of which one ends before the other begins, with source indices from 0 on."""
    parts = (there, new) if _ends_before(there, new) else (new, there)
    return TickColumns(
        np.concatenate([each.time_ns for each in parts]),
        np.concatenate([each.price for each in parts]),
        np.concatenate([each.size for each in parts]),
        np.concatenate([each.aggressor for each in parts]),
    )


def _ends_before(one: TickColumns, other: TickColumns) -> bool:
    """Whether it ends at an earlier instant: prints of one instant could be the same ones."""
    return int(one.time_ns[-1]) < int(other.time_ns[0])


def _has(whole: TickColumns, part: TickColumns) -> bool:
    """Whether the prints of a part stand in a whole, one after the other."""
    first = int(part.time_ns[0])
    begins, ends = whole.time_ns.searchsorted((first, first + 1)).tolist()
    # A part may begin among prints of one instant: it has the last of them, unless it ends there, too.
    alike = int(part.time_ns.searchsorted(first + 1))
    for start in range(begins, ends) if alike == len(part) else (ends - alike,):
        found = whole.slice(start, start + len(part)) if start >= begins else None
        if found is not None and len(found) == len(part) and _equal(found, part):
            return True
    return False


def _equal(one: TickColumns, other: TickColumns) -> bool:
    pairs = (
        (one.time_ns, other.time_ns),
        (one.price, other.price),
        (one.size, other.size),
        (one.aggressor, other.aggressor),
    )
    return all(np.array_equal(left, right) for left, right in pairs)
