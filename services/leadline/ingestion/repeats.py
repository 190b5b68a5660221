"""Whether a file of prints says the same prints twice: each of its lines, or a stretch of them after a jump back.

Equal prints in a row are no fault by themselves: an order that trades against many small ones makes them. Of the groups
of equal neighbours of a recorded day, 72 % and more are a lone line, also where times are whole seconds (six days of
gold, index and crypto futures; 86 % and more with the times that they have). Of a file in which each line is doubled it
is none. So too few lone lines, and not many equal ones, tell a doubled file.

A file that is joined of parts that overlap jumps back in time and says from there on, in the same order, what it has
said before. Equal neighbours count once for that: where equal prints are late, the same few lines come in many orders.
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.ingestion.csv_ticks import Columns
from leadline.model.errors import InvalidInput
from leadline.model.ticks import Int64Array

# Fewer lone lines than this share of the groups of equal neighbours, of so many groups, are a doubled file's.
LEAST_LONE_PERCENT: Final = 25
LEAST_GROUPS: Final = 20
# So many groups of equal neighbours that were said before in this order, of so many different lines, are no chance.
STRETCH_LINES: Final = 10
STRETCH_DIFFERENT: Final = 5
# How many of them back a stretch is looked for: what is said again later than that is late by more than a run may have.
MEMORY_LINES: Final = 200_000

# Odd numbers that spread the bits of a line's four fields, and of a stretch's lines, over 64.
_FIELD_FACTORS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
_LINE_FACTOR: Final = 0xFF51AFD7ED558CCD

_Hashes = NDArray[np.uint64]


class Repeats:
    """Looks at the lines of one file, block by block. The answer does not depend on how the lines were cut."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines = 0
        self._groups = 0
        self._lone = 0
        self._length = 0  # of the group of equal lines that may go on
        self._last: tuple[int, ...] = ()
        # Of each group the number of its first line, shape (n,), and the line, shape (n, 4).
        self._memory: deque[tuple[Int64Array, Int64Array]] = deque()

    def feed(self, line: int, columns: Columns) -> None:
        """Some more lines, the first of which is number `line`. Raises InvalidInput that names a stretch said twice."""
        begins = self._group(columns)
        if len(begins):
            self._remember(begins + line, np.column_stack([column[begins] for column in columns]))
            self._refuse_stretch(len(begins))

    def finish(self) -> None:
        """The file ended. Raises InvalidInput when its lines are doubled."""
        groups, lone = self._groups + 1, self._lone + (self._length == 1)
        if groups >= LEAST_GROUPS and 100 * lone < LEAST_LONE_PERCENT * groups:
            again = self._lines - groups
            raise InvalidInput(
                self._name,
                f"{again:,} of {self._lines:,} lines that repeat the line before them",
                "each print once: nearly every line of this file stands there twice or more often",
            )

    def _group(self, columns: Columns) -> Int64Array:
        """Count the groups of equal neighbours that have ended, and the lone lines among them; where others begin."""
        lines = len(columns[0])
        self._lines += lines
        differs = np.ones(lines, dtype=np.bool_)
        differs[1:] = False
        for column in columns:
            differs[1:] |= column[1:] != column[:-1]
        begins = np.flatnonzero(differs)
        lengths = np.diff(begins, append=lines)
        goes_on = self._last == tuple(int(column[0]) for column in columns)
        if goes_on:
            lengths[0] += self._length
        elif self._length:
            lengths = np.concatenate([[self._length], lengths])
        self._groups += len(lengths) - 1
        self._lone += int((lengths[:-1] == 1).sum())
        self._length, self._last = int(lengths[-1]), tuple(int(column[-1]) for column in columns)
        return begins[1:] if goes_on else begins

    def _remember(self, lines: Int64Array, rows: Int64Array) -> None:
        kept = sum(len(each) for each, _ in self._memory)
        self._memory.append((lines, rows))
        while kept - len(self._memory[0][1]) >= MEMORY_LINES + STRETCH_LINES:
            kept -= len(self._memory.popleft()[1])

    def _refuse_stretch(self, new: int) -> None:
        """Raises InvalidInput for a jump back whose first lines stand in the memory. new: groups not looked at before.

        A jump so near to the end of what is there that its stretch is not whole is looked at with the next lines.
        """
        if not self._jumps(new):
            return
        rows = np.concatenate([rows for _, rows in self._memory])
        whole = len(rows) - STRETCH_LINES + 1
        jumps = np.flatnonzero(np.diff(rows[:, 0]) < 0) + 1
        jumps = jumps[(jumps < whole) & (jumps >= whole - new)]
        if not len(jumps):
            return
        stretches = _stretches(rows)
        places = _first_places(stretches, stretches[jumps])
        said = places < jumps
        for jump, place in zip(jumps[said].tolist(), places[said].tolist(), strict=True):
            again, before = rows[jump : jump + STRETCH_LINES], rows[place : place + STRETCH_LINES]
            told = len(np.unique(again, axis=0)) >= STRETCH_DIFFERENT
            if told and (again == before).all():
                line = np.concatenate([lines for lines, _ in self._memory])
                raise InvalidInput(
                    f"{self._name}:{line[jump]}",
                    f"a jump back in time to lines that stand from line {line[place]} on already",
                    "each print once: the file is joined of parts that overlap",
                )

    def _jumps(self, new: int) -> bool:
        """Whether time steps back anywhere among the new groups, or those so near before them that they were left."""
        missing = new + STRETCH_LINES
        after: Int64Array = np.zeros(0, dtype=np.int64)
        for _, rows in reversed(self._memory):
            times = np.concatenate([rows[-missing:, 0], after])
            if (np.diff(times) < 0).any():
                return True
            missing -= len(rows)
            if missing <= 0:
                break
            after = times[:1]
        return False


def _first_places(stretches: _Hashes, wanted: _Hashes) -> Int64Array:
    """Where each of the wanted ones, which are among them, stands first; shape (wanted,)."""
    values, order = np.unique(wanted, return_inverse=True)
    near = np.minimum(np.searchsorted(values, stretches), len(values) - 1)
    among = np.flatnonzero(values[near] == stretches)
    _, first = np.unique(stretches[among], return_index=True)
    return np.asarray(among[first][order], dtype=np.int64)


def _stretches(rows: Int64Array) -> _Hashes:
    """A number for each stretch of `STRETCH_LINES` lines, equal for equal ones; shape (lines - stretch + 1,)."""
    line = np.zeros(len(rows), dtype=np.uint64)
    for column, factor in zip(rows.T, _FIELD_FACTORS, strict=True):
        line = (line ^ (column.astype(np.uint64) * np.uint64(factor))) * np.uint64(_LINE_FACTOR)
        line ^= line >> np.uint64(32)
    whole = len(rows) - STRETCH_LINES + 1
    total = np.zeros(whole, dtype=np.uint64)
    for place in range(STRETCH_LINES):
        total = total * np.uint64(_LINE_FACTOR) + line[place : place + whole]
    return total
