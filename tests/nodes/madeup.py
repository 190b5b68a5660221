"""A made-up detector, as a package beside the platform would have it: one module, and an entry point that names it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

MODULE: Final = '''"""Big bars."""

from typing import Annotated

from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import Detector, DetectorParams, Found, FromProfile, Inputs, Volume, known
from leadline.nodes.exact import capped_quotient


class BigBarParams(DetectorParams):
    """A bar that trades much."""

    least: Annotated[Volume | None, FromProfile("typical_bar_volume")] = None
    """Least volume of the bar in size steps; the instrument's typical one where absent."""


class BigBar(Detector[BigBarParams, Found]):
    """A bar that trades much, for the side that its delta has.

    More of it.
    """

    name = "bigBar"
    params_model = BigBarParams
    patterns = (Pattern.UNFINISHED_REVISITED,)

    def update(self, inputs: Inputs) -> Found:
        """The bar, where it is big."""
        bar, least = inputs.bar, known(self.params.least)
        if bar.volume < least:
            return Found(())
        side = Direction.LONG if bar.delta > 0 else Direction.SHORT
        return Found([Signal(self.patterns[0], side, bar.close, capped_quotient(bar.volume, 2 * least))])
'''


def installed(folder: Path, *, name: str = "bigBar", value: str = "bigbar:BigBar", module: str = MODULE) -> Path:
    """A folder for PYTHONPATH with the detector in it, as an installation leaves it."""
    (folder / "bigbar.py").write_text(module)
    info = folder / "bigbar-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bigbar\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[leadline.detectors]\n{name} = {value}\n")
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
