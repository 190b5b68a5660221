"""Which contract and which file an option of a feed names."""

from pathlib import Path

import pytest

from leadline.cli.manifests import _file_of
from leadline.model.errors import InvalidInput


def test_a_path_may_have_an_equals_sign_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "day=1"
    folder.mkdir()
    path = folder / "mes.csv"
    path.touch()
    assert _file_of(str(path)) == ("", path)
    assert _file_of(f"MESM2025={path}") == ("MESM2025", path)


@pytest.mark.parametrize("text", ["MESM2025=", "MESM2025=no.csv", "no=such.csv", ""])
def test_what_is_no_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="sim, push, or a file that exists"):
        _file_of(text)
