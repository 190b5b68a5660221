"""The detector of the how-to page as a package beside the platform: one module, and an entry point that names it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.docs.pages import DOCS, blocks

ROOT: Final = Path(__file__).resolve().parents[2]

(_PROGRAM,) = blocks(DOCS / "how-to" / "add-a-detector.md", "python")
MODULE: Final = _PROGRAM.text


def installed(folder: Path, *, name: str = "bigBar", value: str = "bigbar:BigBar", module: str = MODULE) -> Path:
    """A folder for PYTHONPATH with the detector in it, as an installation leaves it."""
    (folder / "bigbar.py").write_text(module)
    info = folder / "bigbar-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bigbar\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[leadline.nodes.detectors]\n{name} = {value}\n")
    return folder


def python_with(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python beside which the detector is installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def leadline_with(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line of a Leadline beside which the detector is installed."""
    return python_with(folder, "-c", "from leadline.cli.entry import main; main()", *arguments)
