"""The files of an account: torn, lost, older than the book; and what a process does before it enters again."""

import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from leadline.execution.journal import SendJournal
from leadline.model.orders import VenueOrder
from tests.execution.harness.builders import BUY, MES, bar, says, strategy, tape
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.world import Books, Desk, replace_venue


def two_trades(books: Books, folder: Path) -> Desk:
    """A long from second 601 to its target at 900, and another from 1001 on."""
    prints = {
        MES: tape((600, 20_000), (601, 20_000), (700, 20_004), (900, 20_026, 1, BUY), (1000, 20_010), (1001, 20_010))
    }
    return Desk(books, folder, prints, {"default/mes": says([bar(600), bar(1000)], end=1400)}, [strategy()], ends=1400)


def journal_of(desk: Desk) -> Path:
    return desk.folder / f"sent-{desk.tape}.journal"


@pytest.mark.integration
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
    await session.run()
    session.close()
    assert not session.halted
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("T1", 900), ("E", 1001)]
    assert sorted(journal_of(desk).read_text().split()) == sorted(written)


class Miscounts(TrippedVenue):
    """A venue that shows more of an order filled than its fills come to."""

    async def find(self, client_id: str) -> VenueOrder | None:
        found = await super().find(client_id)
        return None if found is None else replace(found, filled=found.filled + 1)


@pytest.mark.integration
async def test_a_lost_journal_stops_entries_when_the_venue_shows_something_else(books: Books, folder: Path):
    desk = two_trades(books, folder)
    session = desk.open()
    await session.until(700)
    session.close()
    journal_of(desk).unlink()
    session = await desk.run(through=lambda world: replace_venue(world, Miscounts(world.venue, Tripwire())))
    assert "the send journal was lost, and of L" in session.halted
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted"]
    # The next process looks again: the journal is not whole yet.
    assert journal_of(desk).read_text() == ""


def test_a_torn_line_was_never_synced_and_counts_for_nothing(tmp_path: Path):
    path = tmp_path / "sent.journal"
    path.write_text("La\nLb\nLto")
    journal = SendJournal(path)
    assert journal.written == {"La", "Lb"}
    journal.write("Lc")
    journal.close()
    assert path.read_text() == "La\nLb\nLc\n"


def test_the_newest_ids_are_kept_when_the_file_has_grown(tmp_path: Path):
    path = tmp_path / "sent.journal"
    path.write_text("".join(f"L{number}\n" for number in range(7)))
    whole = SendJournal(path, kept=4)
    assert len(whole.written) == 7
    whole.close()
    journal = SendJournal(path, kept=3)
    assert (journal.written, journal.newest(2), journal.newest(9)) == (
        {"L4", "L5", "L6"},
        ["L5", "L6"],
        ["L4", "L5", "L6"],
    )
    journal.write("L7")
    journal.close()
    assert path.read_text() == "L4\nL5\nL6\nL7\n"


def test_a_disk_that_does_not_take_an_id_keeps_nothing_of_it(tmp_path: Path):
    path = tmp_path / "sent.journal"
    journal = SendJournal(path)
    journal.write("La")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))  # room for a byte of the next line
    try:
        with pytest.raises(OSError, match="the disk took 1 of 3 bytes"):
            journal.write("Lb")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (path.read_text(), journal.written) == ("La\n", {"La"})
    journal.write("Lb")
    assert path.read_text() == "La\nLb\n"
    journal.close()


def test_an_id_is_written_once(tmp_path: Path):
    journal = SendJournal(tmp_path / "sent.journal")
    journal.write("La")
    with pytest.raises(AssertionError, match="order La was written to a socket before"):
        journal.write("La")
    journal.close()
