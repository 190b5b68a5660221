"""The layers hold because import-linter sees a violation: one of each kind is planted in a copy and must be found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"

pytestmark = pytest.mark.skipif(not LINT_IMPORTS.exists(), reason="import-linter is not installed: make setup")


@pytest.fixture
def house(tmp_path):
    """A copy of the package, to plant things in."""
    for sources in ("services/leadline", "operator/leadline_operator"):
        name = sources.split("/")[1]
        shutil.copytree(ROOT / sources, tmp_path / "services" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path / "services")
    return tmp_path / "services"


def lint(house):
    # No cache: one that is older than the code hides what was planted.
    return subprocess.run(
        [str(LINT_IMPORTS), "--no-cache", "--no-logo"],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_house_as_it_stands_keeps_every_contract(house):
    result = lint(house)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("room", "planted", "broken"),
    [
        ("model", "import leadline.aggregation", "A room imports only rooms upstream of it"),
        ("aggregation", "import leadline.risk", "A room imports only rooms upstream of it"),
        ("risk", "import leadline.risk.v1.risk_pb2", "Generated code stays at the edges"),
        ("analysis", "import leadline.runtime", "Cores are pure"),
        ("risk", "import time", "Cores are pure"),
        ("execution/core", "import random", "Cores are pure"),
        ("execution/loop", "import logging", "Cores are pure"),
        ("plan", "import os", "Cores are pure"),
        ("execution/core", "import leadline.execution.loop.account_loop", "The book knows no loop"),
        ("execution/loop", "import leadline.execution.adapters", "The book knows no loop"),
        ("execution/adapters", "import leadline.execution.service", "The book knows no loop"),
        ("plan", "import leadline.local", "A room imports only rooms upstream of it"),
        ("views", "import rich", "What is shown is a value, apart from its drawing"),
        ("views", "import leadline.report.clock", "A room imports only rooms upstream of it"),
        ("views", "import leadline.execution.v1.execution_pb2", "Generated code stays at the edges"),
        ("risk", "import leadline.model.wire", "Adapters (converters, metrics, stores, clients) belong to shells"),
        ("model", "import leadline.model.market.calendars", "A value knows no market"),
        ("model/market", "import leadline.model.manifest.specs", "A value knows no market"),
        ("model/checks", "import leadline.model.wire.bars", "A value knows no market"),
        ("venue", "import os", "Cores are pure"),
        ("analysis", "from pathlib import Path", "Cores are pure"),
        ("nodes", "import time", "Cores are pure"),
        ("nodes", "import leadline.model.manifest.specs", "A node knows values of the model, never a manifest"),
        ("model", "import leadline.nodes.registry", "Of the model only the manifests know the nodes"),
        ("nodes", "import leadline.analysis", "A room imports only rooms upstream of it"),
        ("execution/core", "import grpc", "Cores are pure"),
        ("catalog", "import time", "Cores are pure"),
        ("catalog", "import leadline.ingestion.normaliser", "A room imports only rooms upstream of it"),
        ("schema", "import leadline.catalog.entry", "A room imports only rooms upstream of it"),
        ("ingestion", "import pyarrow", "Arrow stays with those that keep columns in files"),
        ("execution/core", "import leadline.risk.service", "A shell is started, never imported"),
        ("risk", "import leadline.risk.convert", "Adapters (converters, metrics, stores, clients) belong to shells"),
    ],
)
def test_a_forbidden_import_is_found(house, room, planted, broken):
    (house / "leadline" / room / "planted.py").write_text(f'"""A core module."""\n\n{planted}\n')
    result = lint(house)
    assert result.returncode != 0, f"{planted} in {room} went unseen\n{result.stdout}"
    verdicts = [line for line in result.stdout.splitlines() if "BROKEN" in line]
    assert any(line.startswith(broken) for line in verdicts), result.stdout


def test_a_shell_that_knows_another_shell_is_found(house):
    with (house / "leadline/execution/service.py").open("a") as shell:
        shell.write("\nimport leadline.risk.service\n")
    result = lint(house)
    assert result.returncode != 0, result.stdout
    assert "No shell knows another shell BROKEN" in result.stdout


def test_every_folder_with_code_is_a_package():
    """A folder without __init__.py is invisible to import-linter, which then keeps every contract about it."""
    package = ROOT / "services" / "leadline"
    folders = {path.parent for path in package.rglob("*.py")}
    missing = sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists())
    assert missing == []


def test_beside_the_folders_of_execution_lies_its_shell_alone():
    """A module that is in no folder is held by no folder's contract."""
    names = {path.stem for path in (ROOT / "services" / "leadline" / "execution").glob("*.py")}
    assert names == {"__init__", "params", "service", "servicer"}
