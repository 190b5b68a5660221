"""Images for a node without a registry: a Python base out of Debian's packages, and the project's own on top of it.

`make image` and a registry's Python image are what users build with; here the same Dockerfile is built on a base that
is made on this machine. Both are OCI archives in the cache, named by what they were made from.
"""

import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.kube.cluster.binaries import cache_directory, locked, say
from tests.kube.cluster.prerequisites import command_path, missing_for_images

ROOT: Final = Path(__file__).resolve().parents[3]
BASE_NAME: Final = "localhost/python:base"
# What the chart asks for when no value says otherwise.
PROJECT_NAME: Final = f"localhost/leadline:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"
# What goes into the project's image, from the root of the repository.
_INPUTS: Final = (
    "Dockerfile",
    ".dockerignore",
    "LICENSE",
    "NOTICE",
    "README.md",
    "pyproject.toml",
    "requirements.lock",
    "requirements-dev.lock",
    "scripts/slim.sh",
    "services",
    "operator",
)
_SUITE: Final = "bookworm"
_PACKAGES: Final = ("ca-certificates", "python3", "python3-venv", "python-is-python3")
# Bytes of layers that stay: a new set of dependencies is half a gigabyte.
_MAX_STORE: Final = 4 << 30
# Archives of the project that stay: the one in use, and those of a branch that is gone back to.
_KEPT: Final = 3


class ImageFailed(Exception):
    """An image could not be made; the message holds the last of what the tool said."""


def missing() -> list[str]:
    """What this machine lacks to make images, each with its Debian package."""
    return missing_for_images()


def base_image() -> Path:
    """The archive of BASE_NAME: Debian with Python. Made once, in about a minute. Raises ImageFailed."""
    recipe = hashlib.sha256(repr((_SUITE, _PACKAGES)).encode()).hexdigest()[:12]
    archive = _directory() / f"python-{recipe}.tar"
    with locked(_directory() / "lock"):
        if not archive.exists():
            say("images: making the Python base from Debian's packages, once; about a minute")
            with tempfile.TemporaryDirectory(prefix=".base-", dir=_directory()) as temporary:
                _make_base(Path(temporary), archive)
    return archive


def project_image() -> Path:
    """The archive of PROJECT_NAME, built from the Dockerfile when one of its inputs is new. Raises ImageFailed."""
    base = base_image()
    archive = _directory() / f"leadline-{_digest(base.name)}.tar"
    with locked(_directory() / "lock"):
        if not archive.exists():
            say("images: building the project's image")
            with tempfile.TemporaryDirectory(prefix=".build-", dir=_directory()) as temporary:
                _build(Path(temporary), base, archive)
            _forget_old()
        archive.touch()
    return archive


def _directory() -> Path:
    return cache_directory() / "images"


def _make_base(temporary: Path, archive: Path) -> None:
    root = temporary / "root"
    include = f"--include={','.join(_PACKAGES)}"
    _run(["debootstrap", "--variant=minbase", include, _SUITE, root])
    for left_over in [*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")]:
        left_over.unlink()
    (temporary / "Dockerfile").write_text("FROM scratch\nADD root /\nENV LANG=C.UTF-8\n")
    _buildah(temporary, "bud", "--tag", BASE_NAME, temporary)
    _export(temporary, BASE_NAME, archive)


def _build(temporary: Path, base: Path, archive: Path) -> None:
    _buildah(temporary, "pull", f"oci-archive:{base}")
    # The build uses this machine's network and package index, and the authority that its certificates come from.
    secrets = [f"--secret=id={name},src={file}" for name, file in _pip_files(temporary).items()]
    _buildah(
        temporary, "bud", "--layers", "--isolation=chroot", "--network=host", "--pull-never",
        "--build-arg", f"BASE={BASE_NAME}", *secrets, "--tag", PROJECT_NAME, "--file", ROOT / "Dockerfile", ROOT,
    )  # fmt: skip
    _export(temporary, PROJECT_NAME, archive)


def _export(temporary: Path, name: str, archive: Path) -> None:
    exported = temporary / "image.tar"
    _buildah(temporary, "push", name, f"oci-archive:{exported}:{name}")
    exported.replace(archive)


def _pip_files(temporary: Path) -> dict[str, Path]:
    """The secrets of the Dockerfile: this machine's pip configuration as one file, and its certificate authorities."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    config = configparser.RawConfigParser()
    config.add_section("global")
    files = {"pip": temporary / "pip.conf"}
    for name, value in re.findall(r"^[^=]*\.([a-z-]+)='(.*)'$", listed, re.MULTILINE):
        if name == "cert":
            files["ca"] = Path(value)
        elif not value.startswith("/"):  # a directory of this machine is not one of the build's
            config.set("global", name, value)
    with files["pip"].open("w") as handle:
        config.write(handle)
    return files


def _digest(base: str) -> str:
    digest = hashlib.sha256(base.encode())
    for file in _input_files(ROOT / name for name in _INPUTS):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _input_files(places: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for place in places:
        if place.is_dir():
            files += [file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
        elif place.exists():
            files.append(place)
    return sorted(files)


def _forget_old() -> None:
    archives = sorted(_directory().glob("leadline-*.tar"), key=lambda file: file.stat().st_mtime, reverse=True)
    for archive in archives[_KEPT:]:
        archive.unlink()
    store, old = _directory() / "store", _directory() / ".old-store"
    shutil.rmtree(old, ignore_errors=True)
    if sum(file.lstat().st_size for file in store.rglob("*") if file.is_file()) > _MAX_STORE:
        # A store that is half removed, for want of time or patience, is one with which no build succeeds.
        store.rename(old)
        shutil.rmtree(old)


def _buildah(temporary: Path, *arguments: str | Path) -> None:
    """buildah with a store of its own, in which the layers of the last builds are found again. Needs the lock."""
    places: list[str | Path] = ["--root", _directory() / "store", "--runroot", temporary / "run"]
    _run(["buildah", *places, "--storage-driver", "overlay", *arguments])


def _run(command: Sequence[str | Path]) -> None:
    env = {**os.environ, "PATH": command_path(), "BUILDAH_ISOLATION": "chroot"}
    tool = shutil.which(str(command[0]), path=env["PATH"])
    if tool is None:
        raise ImageFailed(f"there is no {command[0]}: {'; '.join(missing())}")
    done = subprocess.run(
        [tool, *command[1:]], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = f"{done.stdout}\n{done.stderr}".strip()
        raise ImageFailed(f"{command[0]} {' '.join(map(str, command[1:4]))} ...: {said[-3000:]}")


if __name__ == "__main__":
    # Where none can be made, the tests that want one say what is missing.
    if os.geteuid() == 0 and not missing():
        try:
            project_image()
        except ImageFailed as error:
            sys.exit(f"kube-image: {error}")
