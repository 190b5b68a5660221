"""An account's halts between memory, rows and venue: told in the book, and cleared by those that have seen them."""

from collections.abc import Iterable

from leadline.execution.core.book import Book, Changes
from leadline.execution.core.halt_audit import note_clearing, note_halt
from leadline.execution.core.halts import Clearing, Seen
from leadline.execution.loop.bookkeeper import Bookkeeper
from leadline.execution.loop.deps import HALTED_BY, Deps
from leadline.execution.loop.ports import HaltStands, Unavailable
from leadline.execution.loop.reconciliation import Reconciliation
from leadline.model.halts import FIELD_REASON, Halt, HaltSource, printable


class AccountHalts:
    """Handling of the halts that the account's switch holds."""

    def __init__(self, keeper: Bookkeeper, reconciliation: Reconciliation) -> None:
        self._keeper = keeper
        self._reconciliation = reconciliation

    @property
    def _deps(self) -> Deps:
        return self._keeper.deps

    @property
    def _book(self) -> Book:
        return self._keeper.book

    async def read(self) -> None:
        """Halts in the database hold, too: one that stands in either place stands."""
        switch = self._deps.switch
        switch.merge(await self._deps.store.halts([halt.number for halt in switch.halts.in_force]))

    async def tell(self) -> None:
        """Give each halt its row and its line in the audit, once; close the rows of those that were replaced."""
        switch = self._deps.switch
        switch.keep()
        unstored, replaced = switch.halts.unstored, switch.halts.replaced
        if not unstored and not replaced:
            return
        changes = Changes()
        for halt in unstored:
            note_halt(self._book, changes, halt)
        for clearing in replaced:
            note_clearing(self._book, changes, clearing)
        await self._keeper.commit(changes)
        switch.stored(unstored, replaced, HALTED_BY)

    async def resume(self, seen: Seen, by: str, reason: str, now_ns: int) -> tuple[Halt, ...]:
        """Clear the halts that somebody has seen, all of them or none, and return them.

        What was cleared or said again since he asked is not cleared. Raises `HaltStands` for one that a person's word
        alone does not clear.
        """
        switch = self._deps.switch
        await self.tell()
        wanted = switch.halts.clearable(seen)
        if self._book.manifest.spec.halt and any(halt.source is HaltSource.FIELD for halt in wanted):
            raise HaltStands("the account's manifest still says `halt: true`: take it back there")
        if any(halt.source is HaltSource.DIFFERENCE for halt in wanted):
            difference = await self._reconciliation.where_they_differ()
            if difference:
                raise HaltStands(f"{difference}: settle it first")
        return await self.clear(switch.halts.clearable(seen), seen, by, reason, now_ns)

    async def follow_field(self, seen: Seen, by: str, person: str, now_ns: int) -> None:
        """Halt where the account's manifest says so; else clear what it has halted, when a person took it back.

        `seen` is of the field's halts as they stood when the manifest came: a newer one has said otherwise since.
        """
        if not self._book.manifest.spec.halt:
            if person:
                await self.resume(seen, person, "the account's manifest no longer says halt", now_ns)
        elif not self._deps.switch.halts.of(HaltSource.FIELD):
            self._deps.switch.halt(HaltSource.FIELD, FIELD_REASON, by)

    async def clear(self, halts: Iterable[Halt], seen: Seen, by: str, reason: str, now_ns: int) -> tuple[Halt, ...]:
        """Clear halts, first in the database, then on disk and in memory: a crash between leaves them in force."""
        switch = self._deps.switch
        wanted, changes = tuple(halts), Changes()
        if not wanted:
            return ()
        for halt in wanted:
            note_clearing(self._book, changes, Clearing(halt, printable(by), printable(reason), now_ns))
        await self._keeper.commit(changes)
        still = {halt.number for halt in switch.halts.clearable(seen)}
        try:
            switch.clear(halt for halt in wanted if halt.number in still)
        except OSError as error:
            raise Unavailable(f"the disk does not take what was cleared: {error}", "disk") from error
        await self.read()  # one that was said again meanwhile stands on, under another number
        return tuple(halt for halt in wanted if halt.number in still)
