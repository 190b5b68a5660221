"""What a process was at when it ended is found by the next one, name by name and byte by byte."""

from pathlib import Path

import pytest

from leadline.execution.adapters.deaths import MarkFile
from leadline.execution.loop.ports import Fenced, NotTaken, PartFailed, Unavailable
from leadline.model.ids import RunId

TAPE = RunId("tape-1")
BAR, EVENT = "the bar 7 of default/flow", "the event 9"


def marks(folder: Path) -> MarkFile:
    return MarkFile(folder / "account" / "volume", TAPE)


def fail(found: MarkFile, name: str, error: Exception) -> None:
    with pytest.raises(type(error)), found.at(name):
        raise error


def killed_at(folder: Path, *names: str) -> None:
    """A process that is killed while it handles something, or something within something."""
    found = marks(folder)
    for name in names:
        found.at(name).__enter__()


def test_three_ends_that_nobody_told_of_are_poison_and_two_are_not(tmp_path: Path):
    for _ in range(2):
        killed_at(tmp_path, BAR)
    assert marks(tmp_path).poison(BAR) == ""
    killed_at(tmp_path, BAR)
    assert marks(tmp_path).poison(BAR) == "3 times in a row a process failed at it, nothing was said"


def test_an_end_is_counted_once_however_often_a_process_starts_afterwards(tmp_path: Path):
    killed_at(tmp_path, BAR)
    for _ in range(4):
        marks(tmp_path)
    killed_at(tmp_path, BAR)
    assert marks(tmp_path).poison(BAR) == ""


def test_the_second_failure_that_was_told_is_poison_with_its_words(tmp_path: Path):
    fail(marks(tmp_path), BAR, KeyError("row"))
    found = marks(tmp_path)
    assert found.poison(BAR) == ""
    fail(found, BAR, KeyError("row"))
    assert found.poison(BAR) == "2 times in a row a process failed at it, the last error was KeyError: 'row'"
    assert marks(tmp_path).poison(BAR) == found.poison(BAR)


def test_a_failure_within_something_is_counted_at_the_innermost_name_alone(tmp_path: Path):
    error = ValueError("x")
    for _ in range(2):
        found = marks(tmp_path)
        with pytest.raises(ValueError, match="x"), found.at(EVENT), found.at(BAR):
            raise error
        assert found.counted(error)
        assert not found.counted(ValueError("x"))
    assert marks(tmp_path).poison(EVENT) == ""
    assert marks(tmp_path).poison(BAR) != ""


def test_what_goes_well_ends_the_count_and_the_name_around_it_is_marked_again(tmp_path: Path):
    for _ in range(2):
        killed_at(tmp_path, BAR)
    found = marks(tmp_path)
    with found.at(BAR):
        pass
    for _ in range(2):
        killed_at(tmp_path, BAR)
    assert marks(tmp_path).poison(BAR) == ""


def test_a_kill_behind_something_that_went_well_is_counted_at_what_is_around_it(tmp_path: Path):
    for _ in range(3):
        found = marks(tmp_path)
        found.at(EVENT).__enter__()
        with found.at(BAR):
            pass
    found = marks(tmp_path)
    assert (found.poison(BAR), found.poison(EVENT)) == ("", "3 times in a row a process failed at it, nothing was said")


@pytest.mark.parametrize("error", [PartFailed("away"), Unavailable("away"), Fenced("strategy")])
def test_a_part_that_is_away_and_a_fence_are_nobody_s_failure(tmp_path: Path, error: Exception):
    for _ in range(4):
        fail(marks(tmp_path), BAR, error)
    found = marks(tmp_path)
    assert found.poison(BAR) == ""
    assert not found.counted(error)


def test_what_is_not_taken_is_counted_although_a_part_says_so(tmp_path: Path):
    for _ in range(2):
        fail(marks(tmp_path), BAR, NotTaken("no"))
    assert "NotTaken: no" in marks(tmp_path).poison(BAR)


def test_an_end_while_another_part_is_waited_for_is_not_that_bar_s_and_one_after_it_is(tmp_path: Path):
    killed = []
    for _ in range(3):
        found = marks(tmp_path)
        found.at(BAR).__enter__()
        killed.append(found.waiting())
        killed[-1].__enter__()
    assert marks(tmp_path).poison(BAR) == ""
    for _ in range(3):
        found = marks(tmp_path)
        found.at(BAR).__enter__()
        with found.waiting():
            pass
    assert marks(tmp_path).poison(BAR) != ""


def test_what_fails_while_another_part_is_asked_is_counted_as_any_failure(tmp_path: Path):
    for _ in range(2):
        with pytest.raises(KeyError), marks(tmp_path).at(BAR), marks(tmp_path).waiting():
            raise KeyError("row")
    assert marks(tmp_path).poison(BAR) != ""


def test_behind_another_part_s_refusal_the_bar_is_handled_again(tmp_path: Path):
    for _ in range(3):
        found = marks(tmp_path)
        found.at(BAR).__enter__()
        with pytest.raises(KeyError), found.waiting():
            raise KeyError("no")
    assert marks(tmp_path).poison(BAR) != ""


def test_a_stop_in_order_has_ended_nothing(tmp_path: Path):
    for _ in range(3):
        found = marks(tmp_path)
        found.at(BAR).__enter__()
        found.stopped()
    assert marks(tmp_path).poison(BAR) == ""


def test_a_long_name_is_cut_at_four_hundred_bytes_and_counts_as_one(tmp_path: Path):
    for _ in range(2):
        fail(marks(tmp_path), "ü" * 200 + "x", KeyError("row"))
    found = marks(tmp_path)
    assert found.poison("ü" * 200) == found.poison("ü" * 200 + "y") != ""
    assert found.poison("ü" * 199) == ""


def test_an_end_at_a_long_name_is_found_by_its_first_four_hundred_bytes(tmp_path: Path):
    for _ in range(3):
        killed_at(tmp_path, "ü" * 201)
    assert marks(tmp_path).poison("ü" * 200) == "3 times in a row a process failed at it, nothing was said"


def test_a_kill_within_something_is_counted_at_the_innermost_name(tmp_path: Path):
    for _ in range(3):
        killed_at(tmp_path, EVENT, BAR)
    found = marks(tmp_path)
    assert (found.poison(EVENT), found.poison(BAR)) == ("", "3 times in a row a process failed at it, nothing was said")


def test_the_last_256_names_are_remembered_and_one_that_comes_again_is_the_newest(tmp_path: Path):
    found = marks(tmp_path)
    for name in [*map(str, range(256)), "0", "256"]:
        for _ in range(2):
            fail(found, name, KeyError("row"))
    known = [name for name in map(str, range(257)) if marks(tmp_path).poison(name)]
    assert known == ["0", *map(str, range(2, 257))]


def test_another_tape_and_a_file_that_is_damaged_begin_anew(tmp_path: Path):
    for _ in range(2):
        fail(marks(tmp_path), BAR, KeyError("row"))
    assert MarkFile(tmp_path / "account" / "volume", RunId("tape-2")).poison(BAR) == ""
    (tmp_path / "account" / "volume" / f"passed_over-{TAPE}.json").write_bytes(b"[]")
    assert marks(tmp_path).poison(BAR) == ""


def test_the_files_are_the_account_s_alone(tmp_path: Path):
    killed_at(tmp_path, BAR)
    assert (tmp_path / "account" / "volume" / f"passed_over-{TAPE}.at").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_takes_nothing_keeps_counts_for_the_process_alone(tmp_path: Path):
    (tmp_path / "account").write_text("no folder")
    found = marks(tmp_path)
    for _ in range(2):
        fail(found, BAR, KeyError("row"))
    assert found.poison(BAR) != ""
    assert marks(tmp_path).poison(BAR) == ""
