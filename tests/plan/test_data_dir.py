"""The data directory is private, and one `leadline up` holds it at a time."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from leadline.local.data_dir import DataDir, DataDirInUse, default_data_dir, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _hold(root, held, release):
    with DataDir(root).hold():
        held.set()
        release.wait(30)


def test_a_second_holder_is_told_who_holds_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "data", held, release))
    other.start()
    assert held.wait(30)
    with pytest.raises(DataDirInUse, match=rf"pid {other.pid}: stop it"), DataDir(tmp_path / "data").hold():
        pass
    release.set()
    other.join(30)
    with DataDir(tmp_path / "data").hold():
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    assert held.wait(30)
    other.kill()
    other.join(30)
    with DataDir(tmp_path).hold():
        pass


def test_the_key_that_signs_tokens_is_made_once(tmp_path):
    first = DataDir(tmp_path)
    first.ensure_token_key()
    key = first.token_key_file.read_bytes()
    assert len(key) >= 43  # 32 bytes in base64
    DataDir(tmp_path).ensure_token_key()
    assert first.token_key_file.read_bytes() == key


def test_only_the_owner_may_read(tmp_path):
    data = DataDir(tmp_path / "new")
    with data.hold():
        data.ensure_token_key()
        data.write_stack({"pid": 1})
        write_private(data.settings_file("risk"), b"{}")
        files = [path for path in data.root.rglob("*") if path.is_file()]
        assert {mode(path) for path in files} == {0o600}
        assert mode(data.root) == mode(data.root / "settings") == 0o700


def test_a_left_over_open_file_becomes_private_again(tmp_path):
    left_over = tmp_path / "stack.json.new"
    left_over.write_bytes(b"half of a sta")
    left_over.chmod(0o644)
    write_private(tmp_path / "stack.json", b"{}")
    assert (tmp_path / "stack.json").read_bytes() == b"{}"
    assert mode(tmp_path / "stack.json") == 0o600


def test_the_default_follows_the_desktop_convention(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "leadline"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/trader")
    assert str(default_data_dir()) == "/home/trader/.local/share/leadline"
