"""Where the tests' Prometheus comes from."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dashboards.binaries import NAMES, bring, program


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Prometheus, whose apt gives what lies in a folder."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cp", "tar", "dpkg-deb"):
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"no {name} on this machine")
        (programs / name).symlink_to(found)
    given = tmp_path / "given"
    given.mkdir()
    (programs / "apt-get").write_text(
        f'#!/bin/sh\ncase "$*" in\n*download*) cp {given}/*.deb . || {{ echo none such >&2; exit 100; }};;\nesac\n'
    )
    (programs / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return given


def test_they_are_taken_out_of_the_package_and_nothing_is_installed(apt: Path, tmp_path: Path):
    folder = tmp_path / "clone" / "build" / "prometheus"
    content = tmp_path / "content"
    (content / "DEBIAN").mkdir(parents=True)
    (content / "DEBIAN" / "control").write_text(
        "Package: prometheus\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n"
    )
    (content / "usr" / "bin").mkdir(parents=True)
    for name in NAMES:
        (content / "usr" / "bin" / name).write_text("#!/bin/sh\n")
        (content / "usr" / "bin" / name).chmod(0o755)
    subprocess.run(["dpkg-deb", "--build", str(content), str(apt / "prometheus_1_all.deb")], check=True)
    assert program("prometheus", folder) is None
    assert bring(folder) == ""
    assert [program(name, folder) for name in NAMES] == [str(folder / "usr" / "bin" / name) for name in NAMES]


def test_where_they_cannot_be_had_that_is_said(apt: Path, tmp_path: Path):
    assert "the package prometheus cannot be had: " in bring(tmp_path / "build")
    assert "none such" in bring(tmp_path / "build")
