"""A file that says its prints twice is refused by name; prints that are equal by chance are not."""

import gzip
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from leadline.ingestion.csv_ticks import parse_lines
from leadline.ingestion.repeats import LEAST_GROUPS, LEAST_LONE_PERCENT, MEMORY_LINES, STRETCH_LINES, Repeats
from leadline.ingestion.sources import FileSource
from leadline.model.errors import InvalidInput
from tests.ingestion.test_sources import at, file_of

OPEN = at("2025-06-10 14:00:00")


def prints(count: int, *, first: int = 0, step_ns: int = 40_000_000) -> list[str]:
    """Prints that all differ, in the order of time."""
    return [
        f"{OPEN + number * step_ns},{6000 + number % 7},{1 + number % 5},{number % 3 - 1}"
        for number in range(first, first + count)
    ]


def look_at(lines: Sequence[str], cut: int = 1000) -> None:
    repeats = Repeats("mes.csv")
    for begin in range(0, len(lines), cut):
        repeats.feed(begin + 2, parse_lines("\n".join(lines[begin : begin + cut]).encode(), "mes.csv", begin + 2))
    repeats.finish()


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_file_that_has_each_line_several_times_is_refused(times: int, cut: int) -> None:
    lines = [line for line in prints(60) for _ in range(times)]
    with pytest.raises(InvalidInput) as refused:
        look_at(lines, cut)
    assert str(refused.value) == (
        f"mes.csv: got '{60 * (times - 1)} of {60 * times} lines that repeat the line before them', expected each "
        "print once: nearly every line of this file stands there twice or more often"
    )


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_the_share_of_lone_lines_decides(cut: int) -> None:
    lone = LEAST_LONE_PERCENT  # of 100
    just_enough = [line for n, line in enumerate(prints(100)) for _ in range(1 if n < lone else 2)]
    look_at(just_enough, cut)
    one_less = [line for n, line in enumerate(prints(100)) for _ in range(1 if n < lone - 1 else 2)]
    with pytest.raises(InvalidInput, match="76 of 176 lines that repeat"):
        look_at(one_less, cut)


def test_a_few_prints_that_were_all_repeated_are_believed() -> None:
    look_at([line for line in prints(LEAST_GROUPS - 1) for _ in range(50)])
    with pytest.raises(InvalidInput, match="repeat the line before them"):
        look_at([line for line in prints(LEAST_GROUPS) for _ in range(50)])


@pytest.mark.parametrize("cut", [1, 7, 333, 100_000])
@pytest.mark.parametrize("overlap", [STRETCH_LINES, 400, 600])
def test_a_file_that_is_joined_of_parts_that_overlap_is_refused_by_line(overlap: int, cut: int) -> None:
    day = prints(1000)
    with pytest.raises(InvalidInput) as refused:
        look_at(day[:600] + day[600 - overlap :], cut)
    assert str(refused.value) == (
        f"mes.csv:602: got 'a jump back in time to lines that stand from line {602 - overlap} on already', expected "
        "each print once: the file is joined of parts that overlap"
    )


def test_a_join_in_the_midst_of_equal_prints_is_found() -> None:
    day = [line for number, line in enumerate(prints(300)) for _ in range(40 if number % 10 == 3 else 1)]
    begins = day.index(prints(300)[133]) + 11
    with pytest.raises(InvalidInput, match=r"mes.csv:1002: .* to lines that stand from line"):
        look_at(day[:1000] + day[begins:])


def test_a_stretch_is_looked_for_as_far_back_as_lines_are_remembered() -> None:
    day = prints(MEMORY_LINES + 5000, step_ns=1_000_000)
    with pytest.raises(InvalidInput, match=f"mes.csv:{MEMORY_LINES + 2}: .* from line 2 on already"):
        look_at(day[:MEMORY_LINES] + day, cut=20_000)


@pytest.mark.parametrize("cut", [7, 1000])
def test_what_comes_late_and_is_not_said_twice_is_no_join(cut: int) -> None:
    day = prints(900)
    look_at(day[:300] + day[600:] + day[300:600], cut)  # in the wrong order, which the counts tell
    look_at([line for pair in zip(day[1::2], day[::2], strict=True) for line in pair], cut)  # each second one is late
    look_at(day[:600] + day[600 - STRETCH_LINES + 1 : 600] + day[600:], cut)  # too short to be no chance


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_equal_prints_that_come_in_many_orders_are_no_join(cut: int) -> None:
    one, other, third = prints(3)
    look_at([*prints(30), *[one] * 30, other, *[one] * 30, *[third, one, other] * 12, *prints(30, first=30)], cut)


def test_a_doubled_and_a_joined_file_are_refused_where_files_are_read(tmp_path: Path) -> None:
    day = prints(300)
    doubled = file_of(tmp_path, "doubled.csv.gz", [line for line in day for _ in range(2)])
    with pytest.raises(InvalidInput, match=r"doubled\.csv\.gz: got '300 of 600 lines that repeat"):
        FileSource([(doubled, "MESM2025")])
    joined = file_of(tmp_path, "joined.csv", day + day)
    with pytest.raises(InvalidInput, match=r"joined\.csv:302: got 'a jump back in time to lines that stand from"):
        FileSource([(joined, "MESM2025")])


def test_a_header_within_a_file_is_told_as_a_join(tmp_path: Path) -> None:
    day = prints(40)
    path = file_of(tmp_path, "mes.csv", [*day[:20], "ts_ns,price,size,side", *day[20:]])
    with pytest.raises(InvalidInput, match=r"mes\.csv:22: .* a header within a file is where two files were joined"):
        FileSource([(path, "MESM2025")])


@pytest.mark.parametrize("seconds", [False, True])
def test_recorded_days_have_far_more_lone_lines_than_a_doubled_file(shared_data: Path, seconds: bool) -> None:
    """Also where times are cut to whole seconds: more prints are equal to their neighbour then."""
    for path in sorted((shared_data / "ticks").glob("*.csv.gz")):
        with gzip.open(path, "rt") as file:
            lines = [line.rstrip("\n").split(",", 1) for line in file][1:]
        told = [f"{int(time) // 10**9 * 10**9 if seconds else time},{rest}" for time, rest in lines]
        look_at(told, cut=30_000)
        groups = [len(list(group)) for _, group in groupby(told)]
        assert 100 * groups.count(1) > 70 * len(groups)
        with pytest.raises(InvalidInput, match="repeat the line before them"):
            look_at([line for line in told for _ in range(2)], cut=30_000)
