"""What `leadline status` says of an account beyond its row in the table."""

import pytest

from leadline.cli.feeding import last_print_text, print_unfinished
from leadline.cli.reading import print_leaving, print_restored
from leadline.execution.v1 import execution_pb2
from leadline.report.clock import NONE
from leadline.views.market import FeedContractView, SeriesView
from tests.cli.builders import NINE_THIRTY_NS, state, unfinished


def test_a_send_journal_that_was_lost_is_named_with_its_account_and_time(capsys: pytest.CaptureFixture[str]):
    restored = execution_pb2.JournalRestoration(at_ns=NINE_THIRTY_NS, orders=12, found=3)
    other = state(NINE_THIRTY_NS, account="default/whole")
    print_restored([other, state(NINE_THIRTY_NS, journal_restored=restored)])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("Send journals that were lost and made whole from the book")
    for words in ("default/paper", "2025-06-10 13:30:00", " 12 ", " 3"):
        assert words in text
    assert "default/whole" not in text


def test_units_and_strategies_that_leave_are_named_with_the_size_that_is_left(capsys: pytest.CaptureFixture[str]):
    first = execution_pb2.LeavingUnit(unit="first", quantity=2, without_stop=1, reason="exit")
    parts = execution_pb2.StrategyState(strategy="default/parts", position=3, leaving=[first])
    whole = execution_pb2.StrategyState(strategy="default/whole", position=-4, flatten="flat_by", leaving=[first])
    stays = execution_pb2.StrategyState(strategy="default/stays", position=1)
    print_leaving([state(NINE_THIRTY_NS, strategies=[parts, whole, stays])])
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["default/paper", "default/parts", "first", "2", "exit"] in rows
    assert ["default/paper", "default/whole", "all", "4", "flat_by"] in rows
    assert not [row for row in rows if "default/stays" in row]
    print_leaving([state(NINE_THIRTY_NS, strategies=[stays])])
    assert capsys.readouterr().out == ""


def test_nothing_is_said_of_journals_that_have_always_been_whole(capsys: pytest.CaptureFixture[str]):
    print_restored([state(NINE_THIRTY_NS)])
    assert capsys.readouterr().out == ""


def test_prints_after_the_last_whole_bar_are_told_by_series_and_day(capsys: pytest.CaptureFixture[str]):
    whole = SeriesView("MESM2025", "globex", "1m-r1", progress_ns=0, final=True, unfinished=None)
    ended = SeriesView("MESM2025", "rth", "5m-r1", progress_ns=0, final=True, unfinished=unfinished(1_037))
    print_unfinished([whole, ended])
    lines = [line.split() for line in capsys.readouterr().out.replace("│", " ").splitlines()]
    assert ["MESM2025", "rth", "5m-r1", "2025-06-10", "1,037"] in lines
    assert not [line for line in lines if "1m-r1" in line]


def test_nothing_is_said_of_tapes_that_end_with_a_bar(capsys: pytest.CaptureFixture[str]):
    print_unfinished([SeriesView("MESM2025", "rth", "5m-r1", progress_ns=0, final=True, unfinished=None)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("prints", "last_time_ns", "told"),
    [
        (7, NINE_THIRTY_NS, "2025-06-10 13:30:00"),
        (7, 0, "by 2025-06-10 13:31:00"),  # another process has published it whole
        (0, 0, NONE),
    ],
)
def test_the_last_print_of_a_run_that_is_over_is_told_by_the_end_of_its_tape(prints: int, last_time_ns: int, told: str):
    ends_ns = NINE_THIRTY_NS + 60 * 10**9
    found = FeedContractView("MESM2025", prints, last_time_ns, ends_ns, "", 0, {}, (), ())
    assert last_print_text(found) == told
