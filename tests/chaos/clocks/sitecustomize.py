"""Gives a service the wall clock that a file says, while it runs. Python loads this by itself from PYTHONPATH.

The file has the name of the service, in the folder that the environment names: `offset <ns>`, or `frozen <ns>` for a
clock that stands at that time. Without it the clock is the machine's. Only wall time is changed, as by somebody who
sets it: the monotonic clock goes on.
"""

import os
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.05


def _service() -> str:
    words = sys.orig_argv
    return Path(words[words.index("--settings") + 1]).stem if "leadline.cli.service" in words else ""


def _change_clock(file: Path) -> None:
    real_ns, monotonic = time.time_ns, time.monotonic
    frozen, number, looked_s = False, 0, -LOOK_SECONDS

    def time_ns() -> int:
        nonlocal frozen, number, looked_s
        if monotonic() - looked_s > LOOK_SECONDS:
            looked_s = monotonic()
            try:
                kind, text = file.read_text().split()
                frozen, number = kind == "frozen", int(text)
            except (OSError, ValueError):
                frozen, number = False, 0
        return number if frozen else real_ns() + number

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


if (folder := os.environ.get("LEADLINE_CHAOS_CLOCKS")) and (service := _service()):
    _change_clock(Path(folder) / service)
