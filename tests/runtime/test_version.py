"""The commit of a checkout is that of the package's own files."""

import subprocess
from pathlib import Path

import pytest

from leadline.runtime.version import Commit, commit_of

AUTHOR = ("-c", "user.name=t", "-c", "user.email=t@example.com")


def git(root: Path, *words: str) -> str:
    asked = subprocess.run(["git", *AUTHOR, *words], cwd=root, capture_output=True, text=True, check=True)
    return asked.stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package where a checkout has it, with its one commit."""
    found = tmp_path / "services" / "leadline"
    found.mkdir(parents=True)
    (found / "core.py").write_text("x = 1\n")
    (tmp_path / "README.md").write_text("one\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return found


def test_a_clean_checkout_has_its_commit(package: Path, tmp_path: Path):
    assert commit_of(package) == Commit(git(tmp_path, "rev-parse", "HEAD"), dirty=False)


@pytest.mark.parametrize(
    ("file", "dirty"),
    [("services/leadline/core.py", True), ("services/leadline/new.py", True), ("README.md", False), ("new.md", False)],
)
def test_only_changes_of_the_package_make_it_another(package: Path, tmp_path: Path, file: str, dirty: bool):
    (tmp_path / file).write_text("two\n")
    found = commit_of(package)
    assert found is not None
    assert found.dirty is dirty


def test_a_package_that_is_installed_in_somebody_elses_checkout_has_none(package: Path, tmp_path: Path):
    installed = tmp_path / "site-packages" / "leadline"
    installed.mkdir(parents=True)
    assert commit_of(installed) is None


def test_where_git_cannot_say_there_is_none(package: Path, tmp_path: Path):
    (tmp_path / ".git" / "HEAD").unlink()
    assert commit_of(package) is None
