"""Packages beside the platform, as an installation leaves them: a module, and an entry point that names it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]


def install(folder: Path, package: str, module: str, group: str, name: str, value: str) -> Path:
    """A folder for PYTHONPATH with the package in it: `module` is its code, `value` what its entry point names."""
    (folder / f"{package}.py").write_text(module)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    return folder


def python_with(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python beside which the packages of a folder are installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
