"""What a machine must have for a real node, and how it gets it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

CNI_DIRECTORIES: Final = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_CNI_PLUGINS: Final = ("ptp", "host-local", "portmap", "loopback")
# How long another apt, such as an unattended upgrade, may take.
LOCK_SECONDS: Final = 300
APT: Final = "apt-get"
# What is run, and the Debian package that brings it.
_NODE_COMMANDS: Final = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
_IMAGE_COMMANDS: Final = {"buildah": "buildah", "debootstrap": "debootstrap"}
_SUPERUSER_PATH: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def command_path() -> str:
    """The PATH with the superuser's directories, which a root shell made by `su` does not have."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_SUPERUSER_PATH])


def cni_directory() -> Path | None:
    """Where all the network plugins are that a node uses, None when they are not."""
    for directory in CNI_DIRECTORIES:
        if all((directory / plugin).exists() for plugin in _CNI_PLUGINS):
            return directory
    return None


def missing_for_node() -> list[str]:
    """What keeps this machine from running a node, one thing a line, with the Debian package where there is one."""
    lacking = [*_lacking_rights(), *_lacking_commands(_NODE_COMMANDS)]
    if cni_directory() is None:
        lacking.append("network plugins (package containernetworking-plugins)")
    return lacking


def missing_for_images() -> list[str]:
    """What keeps this machine from building images of the project, as missing_for_node."""
    return _lacking_commands(_IMAGE_COMMANDS)


def install_missing() -> str:
    """As root on Debian: install the packages that are missing, and nothing else; never remove one.

    Returns what apt said when it could not. Empty when all is there, and where nothing can be installed: then the
    missing_ functions say what to do.
    """
    commands = {**_NODE_COMMANDS, **_IMAGE_COMMANDS}
    packages = {package for command, package in commands.items() if _find(command) is None}
    if cni_directory() is None:
        packages.add("containernetworking-plugins")
    if not packages or os.geteuid() != 0 or shutil.which(APT) is None:
        return ""
    run_apt(APT, "update", "-qq")
    # Debian's containerd would push out Docker's: then apt refuses, and the tests that need it are skipped.
    install = ("install", "-y", "-qq", "--no-install-recommends", "--no-remove")
    return run_apt(APT, *install, *sorted(packages))


def run_apt(program: str, *arguments: str) -> str:
    """Run apt, after whoever else is at it. Returns its words when it fails."""
    # Which of the lists and packages is locked, and by whom, is apt's to know: it waits by itself.
    command = [program, "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *arguments]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stderr.strip() or f"{program} {arguments[0]} ended with status {done.returncode}"


def _find(command: str) -> str | None:
    return shutil.which(command, path=command_path())


def _lacking_commands(commands: dict[str, str]) -> list[str]:
    return [f"{command} (package {package})" for command, package in commands.items() if _find(command) is None]


def _lacking_rights() -> list[str]:
    if os.geteuid() != 0:
        return ["root"]
    unshare = _find("unshare")
    if unshare is None:
        return []
    tried = subprocess.run(
        [unshare, "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    return [] if tried.returncode == 0 else [f"the right to make namespaces ({tried.stderr.strip()})"]
