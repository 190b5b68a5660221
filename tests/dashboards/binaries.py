"""Prometheus and its checker: the machine's own, or those of Debian's package, taken out of it into the build folder.

`python -m tests.dashboards.binaries` brings them where there are none. Nothing is installed: the package would start a
server of its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "build" / "prometheus"
NAMES: Final = ("prometheus", "promtool")
PACKAGE: Final = "prometheus"


def program(name: str, folder: Path = FOLDER) -> str | None:
    """Where a program is, None where there is none."""
    return shutil.which(name) or shutil.which(name, path=str(folder / "usr" / "bin"))


def bring(folder: Path = FOLDER) -> str:
    """Bring the programs where there are none; empty, or why that was not possible."""
    if all(program(name, folder) for name in NAMES):
        return ""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return f"{' and '.join(NAMES)} are not installed, and this is no Debian"
    with tempfile.TemporaryDirectory(prefix="leadline-") as place:
        if os.geteuid() == 0:
            _run("apt-get", "-o", "DPkg::Lock::Timeout=300", "update", "-qq", cwd=place)
        refused = _run("apt-get", "-qq", "download", PACKAGE, cwd=place)
        packages = list(Path(place).glob("*.deb"))
        if refused or not packages:
            return f"the package {PACKAGE} cannot be had: {refused}"
        folder.mkdir(parents=True, exist_ok=True)  # dpkg-deb makes the last folder of a path and no other
        return _run("dpkg-deb", "--extract", str(packages[0]), str(folder), cwd=place)


def _run(*command: str, cwd: str) -> str:
    """Run a command; what it says when it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr or done.stdout).strip() or f"{command[0]} failed"


def main() -> None:
    """Bring them, and say why not: the tests that need them are skipped then, and say so as well."""
    if why := bring():
        sys.stderr.write(f"prometheus: {why}; the tests of queries and rules that need it are skipped\n")


if __name__ == "__main__":
    main()
