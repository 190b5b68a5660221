"""What `leadline status` says of an account beyond its row in the table."""

import pytest

from leadline.cli.reading import print_restored
from leadline.execution.v1 import execution_pb2
from tests.cli.builders import NINE_THIRTY_NS, state


def test_a_send_journal_that_was_lost_is_named_with_its_account_and_time(capsys: pytest.CaptureFixture[str]):
    restored = execution_pb2.JournalRestoration(at_ns=NINE_THIRTY_NS, orders=12, found=3)
    other = state(NINE_THIRTY_NS, account="default/whole")
    print_restored([other, state(NINE_THIRTY_NS, journal_restored=restored)])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("Send journals that were lost and made whole from the book")
    for words in ("default/paper", "2025-06-10 13:30:00", " 12 ", " 3"):
        assert words in text
    assert "default/whole" not in text


def test_nothing_is_said_of_journals_that_have_always_been_whole(capsys: pytest.CaptureFixture[str]):
    print_restored([state(NINE_THIRTY_NS)])
    assert capsys.readouterr().out == ""
