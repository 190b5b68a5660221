"""An image without a container runtime: its files in a folder, and its entry point run as a Pod would run it."""

import gzip
import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import psutil

# What a Pod's security context asks for: a root that cannot be written but for /tmp and the volume.
_RUN: Final = """
set -e
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=0770,uid=10001,gid=10001 tmpfs "$root/var/lib/leadline"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" "$@"
"""


class Unpacked:
    """An OCI archive unpacked into `folder`. `config` is what the image says about itself."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.folder = folder
        self.compressed_bytes = 0
        folder.chmod(0o755)  # it is the root of those who are not root
        with tarfile.open(archive) as image:
            manifest = _json(image, _json(image, "index.json")["manifests"][0]["digest"])
            self.config: dict[str, Any] = _json(image, manifest["config"]["digest"])["config"]
            for layer in manifest["layers"]:
                data = _read(image, layer["digest"])
                plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
                self.compressed_bytes += len(data) if plain is not data else len(gzip.compress(data, 6))
                subprocess.run(["tar", "-x", "-C", folder], input=plain, check=True)

    def write(self, files: Mapping[str, str]) -> None:
        """Put files below /etc/leadline, as mounts do."""
        for name, text in files.items():
            path = self.folder / "etc" / "leadline" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs the entry point as the image's user and as the first process of its own."""
        isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", _RUN, "run"]
        return [*isolated, str(self.folder), self.config["User"], *self.config["Entrypoint"], *arguments]

    def environment(self) -> dict[str, str]:
        """The image's environment; its PATH before this machine's, whose tools set it up."""
        env = dict(entry.split("=", 1) for entry in self.config["Env"])
        return {**env, "PATH": f"{env['PATH']}:{os.environ['PATH']}"}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start it; `first_process` finds it."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def first_process(started: "subprocess.Popen[str]") -> psutil.Process:
    """The first process of what was started: the one that is told to stop."""
    (child,) = psutil.Process(started.pid).children()
    return child


def _json(image: tarfile.TarFile, name: str) -> Any:
    return json.loads(_read(image, name))


def _read(image: tarfile.TarFile, name: str) -> bytes:
    """A member by its name, or by its digest."""
    member = image.extractfile(f"blobs/{name.replace(':', '/')}" if ":" in name else name)
    assert member is not None
    return member.read()
