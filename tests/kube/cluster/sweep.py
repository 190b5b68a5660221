"""Removes every trace of a cluster once the process that ran it is done or dead.

Run as a file by `Workspace` with the process at the other end of its standard input: the kernel closes that end when
the process is gone, whatever it died of. It imports nothing of the project, so that it starts at once.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Final

PREFIX: Final = "leadline-kube-"
_PATIENCE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


def _main(directory: Path) -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    assert directory.name.startswith(PREFIX), f"{directory} is not a directory of a cluster"
    sys.stdin.buffer.read()
    # The servers die with the process that started them, but not all at once: what they still write goes too.
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        groups = [group for group in _control_groups(directory.name) if not _remove_group(group)]
        shutil.rmtree(directory, ignore_errors=True)
        if not groups and not directory.exists():
            return
        time.sleep(_POLL_SECONDS)


def _control_groups(name: str) -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [group for group in (root / name, *root.glob(f"*/{name}")) if group.is_dir()]


def _remove_group(group: Path) -> bool:
    """Kill what still runs in it and remove it, leaves first; whether it is gone."""
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            for pid in (Path(folder) / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not group.exists()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
