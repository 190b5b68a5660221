"""The order in which the tests run, and which of them stay together."""

import os
import subprocess
import sys
from pathlib import Path

from tests.order import LONGEST, TOGETHER, group_of

ROOT = Path(__file__).resolve().parents[2]


def test_the_tests_that_run_first_and_those_that_stay_together_are_there():
    assert [room for room in TOGETHER if not (ROOT / "tests" / room).is_dir()] == []
    assert [each for each in LONGEST if each not in TOGETHER.values() and not (ROOT / each).is_file()] == []


def test_tests_that_share_a_cluster_or_a_run_stay_together_and_others_go_by_file():
    assert group_of("tests/kube/platform/test_tutorial.py::test_it[1]") == group_of(
        "tests/image/test_image.py::test_it"
    )
    assert group_of("tests/operator/test_upkeep.py::test_it") == group_of("tests/operator/test_accounts.py::test_it")
    assert group_of("tests/risk/test_decide.py::test_it[a::b]") == "tests/risk/test_decide.py"


SHARED = """
import pytest

@pytest.fixture(scope="session")
def control_plane():
    print("starts")
    yield
    print("stops")

@pytest.fixture(scope="session")
def site(control_plane):
    yield
    print("leaves")
"""


def test_a_cluster_ends_behind_the_last_test_of_those_that_share_it(tmp_path: Path):
    tests = {
        "kube/test_a.py": "def test_one(site): print('one')",
        "kube/test_b.py": "def test_two(site): print('two')",
        "risk/test_c.py": "def test_three(): print('three')",
    }
    (tmp_path / "conftest.py").write_text(SHARED)
    for name, text in tests.items():
        file = tmp_path / "tests" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    options = ("-p", "tests.kube.fixtures", "-qq", "-s", "--color=no", "-c", os.devnull, "--rootdir", ".", "tests")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.replace(".", "").split()
    assert said == ["starts", "one", "two", "leaves", "stops", "three"]
