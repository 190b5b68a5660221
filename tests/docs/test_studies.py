"""The commands of the page on studies work as they are shown."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from leadline.cli.main import run
from tests.docs.pages import DOCS, ROOT, blocks

PAGE = DOCS / "how-to" / "study-a-strategy.md"
COMMANDS = [
    shlex.split(line.removeprefix("$ leadline "))
    for block in blocks(PAGE, "console")
    for line in block.text.replace("\\\n", " ").splitlines()
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_study_of_the_page_works_as_shown(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (sweep,) = (each.text for each in blocks(PAGE, "yaml") if each.text.startswith("fields:"))
    (tmp_path / "sweep.yaml").write_text(sweep)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))

    assert run(words) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert re.search(r"[0-9]+ variants tried", printed)
    for place in ("--report", "--tables"):
        if place in words:
            assert (tmp_path / words[words.index(place) + 1]).exists()
