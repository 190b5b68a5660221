"""A journal that is lost, or older than the book: what a process does before it enters again."""

import errno
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.execution.adapters.journal import Restoration
from leadline.execution.loop.ports import Unavailable
from leadline.model.ids import ClientOrderId
from leadline.model.orders import OrderState, VenueOrder
from tests.execution.harness.books import order_of
from tests.execution.harness.builders import BUY, MES, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedJournal, TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of


def two_trades(books: Books, folder: Path) -> Desk:
    """A long from second 601 to its target at 900, and another from 1001 on."""
    prints = {
        MES: tape((600, 20_000), (601, 20_000), (700, 20_004), (900, 20_026, 1, BUY), (1000, 20_010), (1001, 20_010))
    }
    return Desk(books, folder, prints, {"default/mes": says([bar(600), bar(1000)], end=1400)}, [strategy()], ends=1400)


def journal_of(desk: Desk) -> Path:
    return desk.folder / f"sent-{desk.tape}.journal"


@pytest.mark.parametrize("kept", [0, 1])
async def test_a_lost_journal_is_made_whole_when_book_and_venue_agree(books: Books, folder: Path, kept: int):
    desk = two_trades(books, folder)
    session = desk.open()
    await session.until(1100)
    session.close()
    written = journal_of(desk).read_text().split()
    assert len(written) == 2
    journal_of(desk).write_text("".join(f"{client_id}\n" for client_id in written[:kept]))

    session = desk.open(read_back=True)
    await session.start()
    assert session.loop.phase == "reconciling"
    assert session.journal.written == set(written)
    restored = session.journal.restored
    assert restored == Restoration(0, orders=2 - kept, found=kept)
    await session.run()
    session.close()
    assert not session.halted
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 900), ("E", 1001)]

    # The next process finds nothing to put back, and still knows.
    session = desk.open()
    await session.start()
    session.close()
    assert (session.journal.written, session.journal.restored) == (set(written), restored)


class FullDisk(TrippedJournal):
    """A journal on a disk that takes nothing so many times."""

    times = 2

    def restore(self, client_ids: Iterable[ClientOrderId]) -> None:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        super().restore(client_ids)


async def test_a_lost_journal_waits_for_the_disk_and_is_made_whole_once(books: Books, folder: Path):
    desk = two_trades(books, folder)
    session = desk.open()
    await session.until(700)
    session.close()
    journal_of(desk).unlink()
    session = desk.open(lambda deps: replace(deps, journal=FullDisk(deps.journal, Tripwire())))
    for _ in range(2):
        with pytest.raises(Unavailable, match="the disk does not take the journal") as raised:
            await session.start()
        assert raised.value.part == "disk"
        assert (session.journal.written, session.journal.restored) == (set(), None)
    await session.run()
    session.close()
    assert not session.halted
    assert session.journal.restored == Restoration(0, orders=1, found=0)


class Miscounts(TrippedVenue):
    """A venue that shows more of an order filled than its fills come to."""

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        found = await super().find(client_id)
        return None if found is None else replace(found, filled=found.filled + 1)


async def test_a_lost_journal_stops_entries_when_the_venue_shows_something_else(books: Books, folder: Path):
    desk = two_trades(books, folder)
    session = desk.open()
    await session.until(700)
    session.close()
    journal_of(desk).unlink()
    session = await desk.run(through=lambda deps: replace_venue(deps, Miscounts(venue_of(deps), Tripwire())))
    assert "the send journal was lost, and of L" in session.halted
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted"]
    # The next process looks again: the journal is not whole yet.
    assert journal_of(desk).read_text() == ""


@pytest.mark.parametrize("state", [OrderState.PENDING, OrderState.WORKING])
async def test_an_order_that_has_not_left_is_not_expected_at_the_venue(books: Books, folder: Path, state: OrderState):
    desk = two_trades(books, folder)
    session = desk.open()
    await session.start()
    order = order_of(state)
    session.book.orders = {**session.book.orders, order.client_id: order}
    said = await session.loop._reconciliation.where_they_differ()
    session.close()
    missing = f"of {order.client_id} the venue shows nothing, not WORKING with 0 filled"
    assert said == ("" if state is OrderState.PENDING else missing)
