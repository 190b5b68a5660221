"""Results that are kept are there whole or not at all, and what is not whole is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leadline.backtest.store import ABOUT, Store
from leadline.model.errors import InvalidInput, Unknown

FILES = {"result.json": b"{}\n", "trades.parquet": b"PAR1"}
_KILLED = """
import os, sys
from pathlib import Path
from leadline.backtest import store

def dying(path, content, write=store._write):
    write(path, content)
    if path.name == "b":
        os.kill(os.getpid(), 9)

store._write = dying
store.Store(Path(sys.argv[1]), "backtest", 1).keep("abcd", {}, {"a": b"1", "b": b"2", "c": b"3"})
"""
_KILLED_AT = """
import os, shutil, sys
from pathlib import Path
from leadline.backtest.store import Store

def dying(path, target, rename=Path.rename):
    if path.name.startswith(".new-"):
        os.kill(os.getpid(), 9)
    return rename(path, target)

store = Store(Path(sys.argv[1]), "backtest", 1)
if sys.argv[2] == "keep":
    Path.rename = dying
    store.keep("abcd", {}, {"a": b"1"})
else:
    shutil.rmtree = lambda path: os.kill(os.getpid(), 9)
    store.remove("abcd")
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "backtests", "backtest", 1)


def content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir())}


def test_what_is_kept_is_read_back(store: Store):
    folder = store.keep("abcd", {"digest": "d"}, FILES)
    kept = store.open("abcd")
    assert (kept.folder, kept.about["digest"]) == (folder, "d")
    assert {name: kept.read(name) for name in FILES} == FILES
    assert store.names() == ("abcd",)


def test_the_same_again_is_the_same_bytes(store: Store):
    before = content(store.keep("abcd", {"digest": "d"}, FILES))
    assert content(store.keep("abcd", {"digest": "d"}, FILES)) == before
    assert store.names() == ("abcd",)


def test_files_of_a_result_that_is_replaced_are_gone(store: Store):
    store.keep("abcd", {}, {**FILES, "more": b""})
    assert sorted(content(store.keep("abcd", {}, FILES))) == sorted([*FILES, ABOUT])


def test_a_process_that_is_killed_leaves_nothing_that_looks_like_a_result(store: Store):
    for before in ((), ("abcd",)):
        for name in before:
            store.keep(name, {}, FILES)
        killed = subprocess.run([sys.executable, "-c", _KILLED, str(store.root)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert store.names() == before
    assert store.open("abcd").read("result.json") == FILES["result.json"]
    store.keep("efgh", {}, FILES)
    assert sorted(each.name for each in store.root.iterdir()) == [".lock", "abcd", "efgh"]


def test_a_result_is_not_lost_by_a_process_that_is_killed_while_it_replaces_it(store: Store):
    for following in ("efgh", "abcd"):
        store.keep("abcd", {}, FILES)
        killed = subprocess.run([sys.executable, "-c", _KILLED_AT, str(store.root), "keep"], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert (store.root / ".old-abcd").exists()
        store.keep(following, {}, FILES)
        assert store.open("abcd").read("result.json") == FILES["result.json"]
        assert sorted(each.name for each in store.root.iterdir()) == [".lock", "abcd", "efgh"]
    assert subprocess.run([sys.executable, "-c", _KILLED_AT, str(store.root), "keep"], check=False).returncode
    store.remove("abcd")
    assert store.names() == ("efgh",)


def test_a_result_that_was_to_be_removed_does_not_come_back(store: Store):
    store.keep("abcd", {}, FILES)
    killed = subprocess.run([sys.executable, "-c", _KILLED_AT, str(store.root), "remove"], check=False)
    assert killed.returncode == -signal.SIGKILL
    store.keep("efgh", {}, FILES)
    assert sorted(each.name for each in store.root.iterdir()) == [".lock", "efgh"]


def test_a_result_that_cannot_be_written_leaves_nothing_behind(store: Store):
    with pytest.raises(FileNotFoundError):
        store.keep("abcd", {}, {**FILES, "no/such/folder": b""})
    assert [each.name for each in store.root.iterdir()] == [".lock"]


def test_a_beginning_that_only_one_has_is_enough(store: Store):
    for name in ("abcd", "abef", "ab"):
        store.keep(name, {}, FILES)
    assert [store.find(each) for each in ("abc", "abe", "ab")] == ["abcd", "abef", "ab"]
    store.remove("ab")
    with pytest.raises(InvalidInput, match=r"^ID: got 'ab', expected the beginning of one backtest, and not of abcd"):
        store.find("ab")
    for nobody in ("x", "", "../backtests/abcd"):
        with pytest.raises(Unknown, match="known: abcd, abef"):
            store.find(nobody)


def test_of_many_ids_the_first_are_told(store: Store):
    for number in range(15):
        (store.root / f"id{number:02}").mkdir(parents=True)
    with pytest.raises(Unknown, match=r"known: id00, .*id11, and 3 more$"):
        store.find("x")


def of_another_version(about: Path) -> None:
    about.write_text(about.read_text().replace('"schema": 1', '"schema": 2'))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / ABOUT).unlink(), "about.json: got nothing, expected what says which backtest"),
        (lambda folder: (folder / ABOUT).write_bytes(b'{"schema": 1'), "expected what says which backtest this is"),
        (lambda folder: (folder / ABOUT).write_bytes(b"[]"), "2 bytes of something else"),
        (
            lambda folder: (folder / ABOUT).write_text(
                (folder / ABOUT).read_text().replace('"schema": 1', '"schema": 2')
            ),
            "about.json: schema: got 2, expected 1, the version that this program reads",
        ),
        (lambda folder: folder.rename(folder.with_name("other")), "about.json: id: got 'abcd', expected other"),
        (lambda folder: (folder / "result.json").unlink(), "result.json: got nothing, expected the file as it was"),
        (lambda folder: os.truncate(folder / "result.json", 1), "result.json: got '1 other bytes', expected the file"),
    ],
)
def test_each_damage_is_told_in_one_error_that_names_the_file(store: Store, damage, words: str):
    damage(store.keep("abcd", {}, FILES))
    with pytest.raises(InvalidInput) as refused:
        store.open(store.names()[0]).read("result.json")
    assert words in str(refused.value)
    assert str(store.root) in str(refused.value)


def test_a_damaged_one_can_be_removed(store: Store):
    (store.keep("abcd", {}, FILES) / ABOUT).unlink()
    store.remove("abcd")
    assert store.names() == ()


def test_where_nothing_is_kept_there_is_nothing(store: Store):
    assert store.names() == ()
    assert not store.root.exists()
