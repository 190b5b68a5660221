"""A backtest comes to the same bytes with any number of processes, and with any Python that the lock file serves."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.pythons import environment, is_kept, pythons, version_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "tests" / "system" / "parity.yaml"
DAYS = ("--feed", "sim", "--sessions", "2", "--seed", "5", "--from", "2025-06-13")
LOCK = ROOT / "requirements.lock"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What one process of this Python makes."""
    return backtested(Path(sys.executable), 1, tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def other_python() -> Path:
    """Another Python with the locked packages, which are others where the lock file has one for each."""
    others = {minor: python for minor, python in pythons().items() if minor != sys.version_info.minor}
    if not others:
        pytest.skip("there is one Python alone on this machine; any other one from 3.11 on will do")
    newest = others[max(others)]
    made_of = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    name = f"python-{version_of(newest)}-{made_of[:12]}"
    if not is_kept(name) and not os.environ.get("LEADLINE_MAKE_PYTHON"):
        pytest.skip(f"the packages for {newest} are not installed; `make determinism` does that")
    return environment(name, newest, install)


def install(python: Path) -> None:
    """The locked packages, and what Leadline declares; its code comes from here (PYTHONPATH)."""
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--requirement", LOCK], check=True)
    wheels = python.parents[1] / "wheels"
    building = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", *building], check=True)
    subprocess.run([*pip, "--no-deps", *wheels.glob("leadline-*.whl")], check=True)


def backtested(python: Path, workers: int, folder: Path) -> Mapping[str, str]:
    """Hashes of all that a backtest writes: its document, its page, its tables and what it keeps."""
    places = ("--report", "page.html", "--tables", "tables", "--data-dir", "data")
    ran = subprocess.run(
        [
            *(str(python), "-m", "leadline.cli.main", "backtest", "-f", str(MANIFESTS), *DAYS),
            *("--output", "json", "--workers", str(workers), *places),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "services")},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    (folder / "document.json").write_bytes(ran.stdout)
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def test_two_processes_write_the_bytes_of_one(here: Mapping[str, str], tmp_path: Path):
    assert {"document.json", "page.html", "tables/trades.csv", "tables/trades.parquet"} <= set(here)
    assert any(name.startswith("data/backtests/") for name in here)
    assert backtested(Path(sys.executable), 2, tmp_path) == here


@pytest.mark.parametrize("workers", [1, 2])
def test_another_python_writes_the_same_bytes(
    here: Mapping[str, str], other_python: Path, workers: int, tmp_path: Path
):
    assert version_of(str(other_python)).split(".")[:2] != [str(part) for part in sys.version_info[:2]]
    assert backtested(other_python, workers, tmp_path) == here
