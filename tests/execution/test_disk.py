"""How full the disk of an account may be while something is entered."""

from pathlib import Path

import pytest

from leadline.execution.adapters.disk import ENOUGH_BYTES, AccountDisk, nearly_full

MB = 1 << 20


@pytest.mark.parametrize(
    ("used", "free", "full"),
    [
        (849 * MB, 151 * MB, False),
        (851 * MB, 149 * MB, True),
        (1000 * MB, 0, True),
        (0, 0, False),
        (1 << 40, ENOUGH_BYTES, False),
        (1 << 40, ENOUGH_BYTES - 1, True),
    ],
)
def test_a_disk_is_nearly_full_with_more_than_85_percent_used_and_little_left(used: int, free: int, full: bool):
    assert bool(nearly_full(used, free)) is full


def test_the_words_say_how_full_it_is():
    assert nearly_full(900 * MB, 100 * MB) == "the disk is 90% full, and 100 MB are left"


def test_a_disk_is_looked_at_once_a_second(tmp_path: Path):
    now_s = [100.0]
    disk = AccountDisk(tmp_path / "gone", lambda: now_s[0])
    assert "does not say" in disk.doubt
    (tmp_path / "gone").mkdir()
    assert "does not say" in disk.doubt
    now_s[0] += 1
    assert "does not say" not in disk.doubt
