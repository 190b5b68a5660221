"""A process counts the processors that it may use, and not those of the machine."""

import os
from pathlib import Path

import pytest

from leadline.runtime.processors import processors


@pytest.fixture(autouse=True)
def four_to_run_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 4, 6})


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 4), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)],
)
def test_a_limit_of_time_counts_as_so_many_processors(tmp_path: Path, limit: str, expected: int):
    (tmp_path / "cpu.max").write_text(f"{limit}\n")

    assert processors(tmp_path) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 4), ("300000", 3)])
def test_a_limit_of_the_first_version_counts_too(tmp_path: Path, quota: str, expected: int):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")

    assert processors(tmp_path) == expected


def test_without_limits_those_that_it_may_run_on_count(tmp_path: Path):
    assert processors(tmp_path) == 4
