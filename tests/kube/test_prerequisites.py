"""Packages that a node needs are installed after whoever else is at it, and apt says why they are not."""

from pathlib import Path

from tests.kube.cluster.prerequisites import LOCK_SECONDS, run_apt


def test_apt_waits_for_its_lock_and_its_words_are_kept(tmp_path: Path):
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\necho $@ > {tmp_path}/asked\necho 'E: containerd conflicts with docker' >&2\nexit 100\n")
    apt.chmod(0o755)
    assert run_apt(str(apt), "install", "containerd") == "E: containerd conflicts with docker"
    assert (tmp_path / "asked").read_text() == f"-o DPkg::Lock::Timeout={LOCK_SECONDS} install containerd\n"
    apt.write_text("#!/bin/sh\n")
    assert run_apt(str(apt), "install", "containerd") == ""
