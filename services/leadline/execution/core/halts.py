"""The set of halts of an account, as a value: what is added, what a person may clear, what the database must hear of.

Pure: the file that it is kept in belongs to `leadline.execution.adapters.kill_switch`, the rows to the store.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from leadline.model.halts import Halt, HaltSource, halts_text, printable

MOST_HALTS: Final = 64
"""Halts that stand on their own. At the bound the newest gives its place to the next, so that the account stays halted
and no number that somebody has seen stands for a cause that came later."""

Seen = Mapping[int, int]
"""By number, how often a halt had been said when somebody asked to clear it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A halt in force. `said` counts how often; `told` says whether its row is known to be in the database."""

    halt: Halt
    said: int = 1
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Clearing:
    """A halt that is in force no more: who cleared it, why and when (wall time, ns UTC)."""

    halt: Halt
    by: str
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class StoredHalts:
    """The halts in the database: the highest number ever given, and rows by number, each with whether it is cleared."""

    last: int
    rows: Mapping[int, tuple[Halt, bool]]


@dataclass(frozen=True, slots=True)
class Halts:
    """The halts in force, in the order in which they came. Each change gives another value.

    last: the highest number given. numbered: whether the database was read, so that numbers can be given; before that a
    halt has a number below 0. replaced: halts that another one took the place of, and whose rows still say otherwise.
    """

    standing: tuple[Standing, ...] = ()
    last: int = 0
    numbered: bool = False
    replaced: tuple[Clearing, ...] = ()

    @property
    def in_force(self) -> tuple[Halt, ...]:
        """The halts in force, oldest first."""
        return tuple(entry.halt for entry in self.standing)

    @property
    def words(self) -> str:
        """The reasons of all halts in force; empty when entries may go on."""
        return halts_text(halt.reason for halt in self.in_force) if self.standing else ""

    @property
    def unstored(self) -> tuple[Halt, ...]:
        """Halts in force that have no row yet."""
        return tuple(entry.halt for entry in self.standing if not entry.stored and entry.halt.number > 0)

    def of(self, source: HaltSource) -> tuple[Halt, ...]:
        """The halts in force of one source."""
        return tuple(halt for halt in self.in_force if halt.source is source)

    def halt(self, source: HaltSource, reason: str, by: str, at_ns: int) -> tuple["Halts", Halt]:
        """Add a halt; returns the one that stands for it.

        A cause that was said before is not added twice: by an automatic source it keeps its number. A person who says
        it again gets another number, because somebody may be about to clear the number that he has seen.
        """
        cause = printable(reason)
        caller = printable(by)
        for entry in self.standing:
            same_cause = entry.halt.source is source and (source is HaltSource.FIELD or entry.halt.reason == cause)
            if not same_cause or (source is HaltSource.PERSON and entry.halt.by != caller):
                continue
            if source is not HaltSource.PERSON:
                again = replace(entry, said=entry.said + 1)
                return replace(self, standing=_exchanged(self.standing, entry, again)), entry.halt
            return self._replacing(entry, source, cause, caller, at_ns, "said again")
        if len(self.standing) < MOST_HALTS or source is HaltSource.FIELD:
            return self._added(source, cause, caller, at_ns)
        newest = [entry for entry in self.standing if entry.halt.source is not HaltSource.FIELD][-1]
        if newest.halt.source is HaltSource.DIFFERENCE:
            source = HaltSource.DIFFERENCE
        cause = printable(f"one of more than {MOST_HALTS} causes, the newest: {cause}")
        return self._replacing(newest, source, cause, caller, at_ns, f"more than {MOST_HALTS} halts")

    def drafted(self, source: HaltSource, reason: str, by: str, at_ns: int) -> tuple["Halts", Halt]:
        """A halt with a number of its own that is not in force yet: it comes with the transaction that is its cause."""
        after, halt = self._added(source, printable(reason), printable(by), at_ns)
        return replace(self, last=after.last), halt

    def adopted(self, halt: Halt) -> "Halts":
        """The set with a drafted halt whose row has been written."""
        return replace(self, standing=(*self.standing, Standing(halt, stored=True)))

    def seen(self, numbers: Iterable[int]) -> dict[int, int]:
        """Those of the numbers that are in force now, as somebody who asks to clear them has seen them."""
        wanted = set(numbers)
        return {entry.halt.number: entry.said for entry in self.standing if entry.halt.number in wanted}

    def clearable(self, seen: Seen) -> tuple[Halt, ...]:
        """The halts that are still what somebody has seen: not cleared since, and not said again."""
        return tuple(entry.halt for entry in self.standing if seen.get(entry.halt.number) == entry.said)

    def without(self, cleared: Iterable[Halt]) -> "Halts":
        """The set without halts that were cleared."""
        gone = {halt.number for halt in cleared}
        return replace(self, standing=tuple(entry for entry in self.standing if entry.halt.number not in gone))

    def stored(self, halts: Iterable[Halt], closed: Iterable[Clearing] = (), *, at_ns: int, by: str) -> "Halts":
        """The set after these rows were written, and the rows of what was replaced were closed.

        A halt whose place another one took while its row was being written leaves a row to close.
        """
        numbers = {halt.number: halt for halt in halts}
        left = {entry.halt.number for entry in self.standing}
        done = {clearing.halt.number for clearing in closed}
        late = tuple(Clearing(halt, by, "replaced", at_ns) for number, halt in numbers.items() if number not in left)
        return replace(
            self,
            standing=tuple(
                replace(entry, stored=True) if numbers.get(entry.halt.number) == entry.halt else entry
                for entry in self.standing
            ),
            replaced=tuple(item for item in self.replaced if item.halt.number not in done) + late,
        )

    def merged(self, stored: StoredHalts) -> "Halts":
        """File and database laid together by number: what stands in either of them stands.

        A halt that the database has cleared or does not have under its number, while it is still in force here, stands
        on under a number of its own.
        """
        last = max([self.last, stored.last, *(halt.number for halt in self.in_force)])
        standing: list[Standing] = []
        here = {entry.halt.number: entry for entry in self.standing}
        closing = {clearing.halt.number: clearing.halt for clearing in self.replaced}
        for number, (halt, cleared) in sorted(stored.rows.items()):
            if not cleared and closing.get(number) != halt:
                known = here.get(number)
                said = known.said if known is not None and known.halt == halt else 1
                standing.append(Standing(halt, said, stored=True))
        for entry in self.standing:
            row = stored.rows.get(entry.halt.number)
            if row is not None and row[0] == entry.halt and not row[1]:
                continue
            if row is None and entry.halt.number > 0:
                standing.append(replace(entry, stored=False))
                continue
            last += 1
            standing.append(Standing(replace(entry.halt, number=last)))
        standing.sort(key=lambda entry: entry.halt.number)
        open_rows = {number: halt for number, (halt, cleared) in stored.rows.items() if not cleared}
        replaced = tuple(item for item in self.replaced if open_rows.get(item.halt.number) == item.halt)
        return Halts(tuple(standing), last, True, replaced)

    def _added(self, source: HaltSource, reason: str, by: str, at_ns: int) -> tuple["Halts", Halt]:
        if self.numbered:
            number = self.last + 1
        else:
            number = min([0, *(halt.number for halt in self.in_force)]) - 1
        halt = Halt(number, source, reason, by, at_ns - at_ns % 1000)
        return replace(self, standing=(*self.standing, Standing(halt)), last=max(self.last, number)), halt

    def _replacing(
        self, entry: Standing, source: HaltSource, reason: str, by: str, at_ns: int, why: str
    ) -> tuple["Halts", Halt]:
        after, halt = self._added(source, reason, by, at_ns)
        after = after.without([entry.halt])
        if entry.stored:
            after = replace(after, replaced=(*after.replaced, Clearing(entry.halt, by, why, halt.at_ns)))
        return after, halt


def _exchanged(standing: tuple[Standing, ...], old: Standing, new: Standing) -> tuple[Standing, ...]:
    return tuple(new if entry is old else entry for entry in standing)
