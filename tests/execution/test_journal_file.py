"""The file of the ids that may have left: torn, damaged, grown, on a full disk, and put together again."""

import resource
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from leadline.execution.adapters import metrics
from leadline.execution.adapters.convert import state_to_proto
from leadline.execution.adapters.journal import Restoration, SendJournal
from leadline.model.ids import AccountId, ClientOrderId
from tests.execution.harness.builders import account
from tests.execution.harness.syncs import watched_syncs
from tests.execution.test_settings_in_force import bare_book
from tests.measured import value


def test_a_torn_line_was_never_synced_and_counts_for_nothing(tmp_path: Path):
    path = tmp_path / "sent.journal"
    path.write_text("La\nLb\nLto")
    journal = SendJournal(path)
    assert journal.written == {"La", "Lb"}
    journal.write(ClientOrderId("Lc"))
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
    journal.write(ClientOrderId("L7"))
    journal.close()
    assert path.read_text() == "L4\nL5\nL6\nL7\n"


def test_a_disk_that_does_not_take_an_id_keeps_nothing_of_it(tmp_path: Path):
    path = tmp_path / "sent.journal"
    journal = SendJournal(path)
    journal.write(ClientOrderId("La"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, limits[1]))  # room for a byte of the next line
    try:
        with pytest.raises(OSError, match="the disk took 1 of 3 bytes"):
            journal.write(ClientOrderId("Lb"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (path.read_text(), journal.written) == ("La\n", {"La"})
    journal.write(ClientOrderId("Lb"))
    assert path.read_text() == "La\nLb\n"
    journal.close()


def test_an_id_is_written_once(tmp_path: Path):
    journal = SendJournal(tmp_path / "sent.journal")
    journal.write(ClientOrderId("La"))
    with pytest.raises(AssertionError, match="order La was written to a socket before"):
        journal.write(ClientOrderId("La"))
    journal.close()


def restored_in(path: Path) -> Restoration | None:
    """What the next process reads."""
    journal = SendJournal(path)
    journal.close()
    return journal.restored


def test_what_was_put_back_is_told_once_and_kept_with_the_ids(tmp_path: Path):
    path, told = tmp_path / "sent.journal", list[Restoration]()
    path.write_text("La\n")
    journal = SendJournal(path, now_ns=lambda: 17, on_restored=told.append)
    assert (journal.restored, told) == (None, [])
    journal.restore({ClientOrderId("Lc"), ClientOrderId("Lb")})
    journal.write(ClientOrderId("Ld"))
    journal.close()
    assert journal.restored == Restoration(17, orders=2, found=1)
    assert told == [journal.restored]
    assert path.read_text() == "La\n#restored at_ns=17 orders=2 found=1\nLb\nLc\nLd\n"

    again = SendJournal(path, now_ns=lambda: 18, on_restored=told.append)
    assert (again.newest(9), again.restored, len(told)) == (["La", "Lb", "Lc", "Ld"], journal.restored, 1)
    again.restore([ClientOrderId("Le")])
    again.close()
    assert told[1:] == [Restoration(18, orders=1, found=4)]
    assert restored_in(path) == told[1]


def test_a_file_that_is_cut_still_says_that_it_was_restored(tmp_path: Path):
    path = tmp_path / "sent.journal"
    path.write_text("#restored at_ns=17 orders=1 found=0\n" + "".join(f"L{number}\n" for number in range(5)))
    journal = SendJournal(path, kept=2)
    journal.write(ClientOrderId("L5"))
    journal.close()
    assert path.read_text() == "#restored at_ns=17 orders=1 found=0\nL3\nL4\nL5\n"
    assert restored_in(path) == Restoration(17, orders=1, found=0)


def test_a_damaged_line_is_an_id_that_is_not_there(tmp_path: Path):
    path = tmp_path / "sent.journal"
    path.write_bytes(b"La\n\xff\xfe\x00\n\nLb\n")
    journal = SendJournal(path)
    assert {"La", "Lb"} <= journal.written
    assert len(journal.written) == 3
    journal.write(ClientOrderId("Lc"))
    journal.close()
    assert path.read_bytes() == b"La\n\xff\xfe\x00\n\nLb\nLc\n"


def test_a_disk_that_does_not_take_what_is_put_back_says_nothing_of_it(tmp_path: Path):
    path, told = tmp_path / "sent.journal", list[Restoration]()
    journal = SendJournal(path, on_restored=told.append)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, limits[1]))  # not even the word of it has room
    try:
        with pytest.raises(OSError, match="the disk took 30 of "):
            journal.restore([ClientOrderId("La")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert (path.read_text(), set(journal.written), journal.restored, told) == ("", set(), None, [])
    journal.close()


def test_an_id_is_on_the_disk_before_write_returns_and_so_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    syncs = watched_syncs(monkeypatch)
    path = tmp_path / "volume" / "of execution" / "sent.journal"
    open_before = len(list(Path("/dev/fd").iterdir()))
    journal = SendJournal(path)
    assert syncs.found == [(path.parent.stat().st_ino, ("sent.journal",))]
    journal.write(ClientOrderId("La"))
    journal.restore([ClientOrderId("Lb")])
    size = path.stat().st_size
    assert syncs.found[1:] == [(path.stat().st_ino, 3), (path.stat().st_ino, size)]
    journal.close()
    assert len(list(Path("/dev/fd").iterdir())) == open_before


def test_a_file_that_is_cut_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    syncs = watched_syncs(monkeypatch)
    path = tmp_path / "sent.journal"
    path.write_text("L0\nL1\nL2\n")
    SendJournal(path, kept=1).close()
    assert syncs.found == [(path.stat().st_ino, 3), (tmp_path.stat().st_ino, ("sent.journal",))]


def test_a_journal_keeps_twice_as_many_ids_as_it_has_to_and_then_cuts(tmp_path: Path):
    path = tmp_path / "sent.journal"
    ids = [f"L{number}" for number in range(2 * 65_536 + 1)]
    for given, kept in ((ids[1:], ids[1:]), (ids, ids[-65_536:])):
        path.write_text("".join(f"{client_id}\n" for client_id in given))
        journal = SendJournal(path)
        journal.close()
        assert list(journal.written) == kept


def test_without_a_clock_a_restoration_has_no_time(tmp_path: Path):
    journal = SendJournal(tmp_path / "sent.journal")
    journal.restore([ClientOrderId("La")])
    journal.close()
    assert journal.restored == Restoration(0, orders=1, found=0)


@pytest.mark.moves("leadline_send_journal_restored_timestamp_seconds")
def test_a_restoration_is_a_line_in_the_log_a_gauge_and_a_field_of_the_account_s_state():
    name, restored = "default/restored", Restoration(1_764_216_000 * 10**9, orders=3, found=1)
    metrics.show_restored(AccountId(name), None)
    shown = partial(value, "leadline_send_journal_restored_timestamp_seconds", account=name)
    assert shown() == 0
    with capture_logs() as lines:
        metrics.show_restored(AccountId(name), restored)  # as a later process finds it: no news
        assert (shown(), lines) == (1_764_216_000, [])
        metrics.tell_restored(AccountId(name), replace(restored, at_ns=restored.at_ns + 10**9))
    assert shown() == 1_764_216_001
    [line] = lines
    assert (line["event"], line["log_level"]) == ("account.send_journal_restored", "warning")
    assert (line["account"], line["orders"], line["found"]) == (name, 3, 1)

    tell = partial(state_to_proto, bare_book(account()), phase="", halts=(), epoch=1, heard={})
    found = tell(restored=restored).journal_restored
    assert (found.at_ns, found.orders, found.found) == (restored.at_ns, 3, 1)
    assert not tell(restored=None).HasField("journal_restored")
