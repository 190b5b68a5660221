"""The nodes of the how-to page as packages beside the platform: one module, and an entry point that names it."""

import subprocess
from pathlib import Path
from typing import Final

from tests.docs.pages import DOCS, blocks
from tests.installed import install, python_with

_PROGRAM, _FILTER = blocks(DOCS / "how-to" / "add-a-detector.md", "python")
MODULE: Final = _PROGRAM.text
FILTER: Final = _FILTER.text


def installed(folder: Path, *, name: str = "bigBar", value: str = "bigbar:BigBar", module: str = MODULE) -> Path:
    """A folder for PYTHONPATH with the detector in it."""
    return install(folder, "bigbar", module, "leadline.nodes.detectors", name, value)


def leadline_with(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line of a Leadline beside which the detector is installed."""
    return python_with(folder, "-c", "from leadline.cli.entry import main; main()", *arguments)
