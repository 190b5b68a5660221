"""The files of an account: torn, lost, older than the book; and what a process does before it enters again."""

import errno
import resource
import signal
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from leadline.execution import metrics
from leadline.execution.convert import state_to_proto
from leadline.execution.journal import Restoration, SendJournal
from leadline.execution.ports import Unavailable
from leadline.model.orders import VenueOrder
from tests.execution.harness.builders import BUY, MES, account, bar, says, strategy, tape
from tests.execution.harness.faults import TrippedJournal, TrippedVenue, Tripwire
from tests.execution.harness.world import Books, Desk, replace_venue
from tests.execution.test_account_settings import bare_book
from tests.measured import value


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

    def restore(self, client_ids: Iterable[str]) -> None:
        self.times -= 1
        if self.times >= 0:
            raise OSError(errno.ENOSPC, "no space left on device")
        super().restore(client_ids)


@pytest.mark.integration
async def test_a_lost_journal_waits_for_the_disk_and_is_made_whole_once(books: Books, folder: Path):
    desk = two_trades(books, folder)
    session = desk.open()
    await session.until(700)
    session.close()
    journal_of(desk).unlink()
    session = desk.open(lambda world: replace(world, journal=FullDisk(world.journal, Tripwire())))
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


def restored_in(path: Path) -> Restoration | None:
    """What the next process reads."""
    journal = SendJournal(path)
    journal.close()
    return journal.restored


def test_what_was_put_back_is_told_once_and_kept_with_the_ids(tmp_path: Path):
    path, told = tmp_path / "sent.journal", list[Restoration]()
    path.write_text("La\n")
    journal = SendJournal(path, now_ns=lambda: 17, told=told.append)
    assert (journal.restored, told) == (None, [])
    journal.restore({"Lc", "Lb"})
    journal.write("Ld")
    journal.close()
    assert journal.restored == Restoration(17, orders=2, found=1)
    assert told == [journal.restored]
    assert path.read_text() == "La\n#restored at_ns=17 orders=2 found=1\nLb\nLc\nLd\n"

    again = SendJournal(path, now_ns=lambda: 18, told=told.append)
    assert (again.newest(9), again.restored, len(told)) == (["La", "Lb", "Lc", "Ld"], journal.restored, 1)
    again.restore(["Le"])
    again.close()
    assert told[1:] == [Restoration(18, orders=1, found=4)]
    assert restored_in(path) == told[1]


def test_a_file_that_is_cut_still_says_that_it_was_restored(tmp_path: Path):
    path = tmp_path / "sent.journal"
    path.write_text("#restored at_ns=17 orders=1 found=0\n" + "".join(f"L{number}\n" for number in range(5)))
    journal = SendJournal(path, kept=2)
    journal.write("L5")
    journal.close()
    assert path.read_text() == "#restored at_ns=17 orders=1 found=0\nL3\nL4\nL5\n"
    assert restored_in(path) == Restoration(17, orders=1, found=0)


def test_a_damaged_line_is_an_id_that_is_not_there(tmp_path: Path):
    path = tmp_path / "sent.journal"
    path.write_bytes(b"La\n\xff\xfe\x00\n\nLb\n")
    journal = SendJournal(path)
    assert {"La", "Lb"} <= journal.written
    assert len(journal.written) == 3
    journal.write("Lc")
    journal.close()
    assert path.read_bytes() == b"La\n\xff\xfe\x00\n\nLb\nLc\n"


def test_a_disk_that_does_not_take_what_is_put_back_says_nothing_of_it(tmp_path: Path):
    path, told = tmp_path / "sent.journal", list[Restoration]()
    journal = SendJournal(path, told=told.append)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, limits[1]))  # not even the word of it has room
    try:
        with pytest.raises(OSError, match="the disk took 30 of "):
            journal.restore(["La"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (path.read_text(), set(journal.written), journal.restored, told) == ("", set(), None, [])
    journal.close()


@pytest.mark.moves("leadline_send_journal_restored_timestamp_seconds")
def test_a_restoration_is_a_line_in_the_log_a_gauge_and_a_field_of_the_account_s_state():
    name, restored = "default/restored", Restoration(1_764_216_000 * 10**9, orders=3, found=1)
    metrics.show_restored(name, None)
    shown = partial(value, "leadline_send_journal_restored_timestamp_seconds", account=name)
    assert shown() == 0
    with capture_logs() as lines:
        metrics.show_restored(name, restored)  # as a later process finds it: no news
        assert (shown(), lines) == (1_764_216_000, [])
        metrics.tell_restored(name, replace(restored, at_ns=restored.at_ns + 10**9))
    assert shown() == 1_764_216_001
    [line] = lines
    assert (line["event"], line["log_level"]) == ("account.send_journal_restored", "warning")
    assert (line["account"], line["orders"], line["found"]) == (name, 3, 1)

    tell = partial(state_to_proto, bare_book(account()), phase="", halts=(), epoch=1, progress={})
    found = tell(restored=restored).journal_restored
    assert (found.at_ns, found.orders, found.found) == (restored.at_ns, 3, 1)
    assert not tell(restored=None).HasField("journal_restored")
