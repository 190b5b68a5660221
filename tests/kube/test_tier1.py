"""A control plane for tests: what is Kubernetes about it is real, and nothing of it outlives the test."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.kube.cluster import binaries
from tests.kube.cluster.control_plane import ControlPlane, KubectlFailed

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


def config_map(namespace: str, name: str, **data: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_the_apiserver_is_the_release_that_the_build_names(control_plane: ControlPlane):
    version = control_plane.json("version")["serverVersion"]
    assert version["gitVersion"] == f"v{binaries.kubernetes_version()}"


def test_each_manager_owns_the_fields_it_applied(control_plane: ControlPlane, namespace: str):
    control_plane.apply(config_map(namespace, "shared", ours="1"), manager="ours")
    control_plane.apply(config_map(namespace, "shared", theirs="2"), manager="theirs")
    shared = control_plane.json("get", "configmap", "shared", "-n", namespace)
    assert shared["data"] == {"ours": "1", "theirs": "2"}
    control_plane.apply(config_map(namespace, "shared"), manager="theirs")
    shared = control_plane.json("get", "configmap", "shared", "-n", namespace)
    assert shared["data"] == {"ours": "1"}


def test_a_field_of_another_manager_is_not_overwritten_unasked(control_plane: ControlPlane, namespace: str):
    control_plane.apply(config_map(namespace, "taken", value="1"), manager="first")
    mine = f'{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "taken", "namespace": "{namespace}"}}, '
    mine += '"data": {"value": "2"}}'
    with pytest.raises(KubectlFailed, match=r'conflict with "first": \.data\.value'):
        control_plane.kubectl("apply", "--server-side", "--field-manager=second", "-f", "-", input=mine)


def test_a_user_may_do_what_a_role_of_the_group_allows_and_nothing_else(control_plane: ControlPlane, namespace: str):
    trader = control_plane.kubeconfig_for("tess", ["traders"])
    reading = ("get", "configmaps", "-n", namespace)
    with pytest.raises(KubectlFailed, match=r'User "tess" cannot list resource "configmaps"'):
        control_plane.kubectl(*reading, kubeconfig=trader)
    control_plane.kubectl("create", "rolebinding", "readers", "--clusterrole=view", "--group=traders", "-n", namespace)
    assert "kube-root-ca.crt" in control_plane.wait_until(
        lambda: _allowed(control_plane, reading, trader), "the apiserver has seen the binding"
    )
    with pytest.raises(KubectlFailed, match="cannot delete resource"):
        control_plane.kubectl("delete", "configmap", "kube-root-ca.crt", "-n", namespace, kubeconfig=trader)


def _allowed(control_plane: ControlPlane, arguments: tuple[str, ...], kubeconfig: Path) -> str:
    try:
        return control_plane.kubectl(*arguments, kubeconfig=kubeconfig)
    except KubectlFailed:
        return ""


def test_what_an_object_owns_goes_with_it(control_plane: ControlPlane, namespace: str):
    control_plane.apply(config_map(namespace, "owner"))
    uid = control_plane.json("get", "configmap", "owner", "-n", namespace)["metadata"]["uid"]
    owned = config_map(namespace, "owned")
    owned["metadata"] = {
        "name": "owned",
        "namespace": namespace,
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}],
    }
    control_plane.apply(owned)
    control_plane.kubectl("delete", "configmap", "owner", "-n", namespace)
    control_plane.kubectl("wait", "configmap/owned", "-n", namespace, "--for=delete", "--timeout=30s")


def test_an_apiserver_that_was_away_is_found_again_with_all_it_knew(control_plane: ControlPlane, namespace: str):
    control_plane.apply(config_map(namespace, "kept", value="1"))
    url = control_plane.api_url
    control_plane.stop_apiserver()
    assert control_plane.get("/readyz") == (0, None)
    control_plane.start_apiserver()
    assert control_plane.api_url == url
    assert control_plane.json("get", "configmap", "kept", "-n", namespace)["data"] == {"value": "1"}


def test_a_killed_test_run_leaves_no_process_and_no_file():
    code = """
import sys
from tests.kube.cluster.control_plane import ControlPlane
with ControlPlane() as running:
    print(running.directory, *[server.pid for server in running.servers], flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        directory, *pids = run.stdout.readline().split()
        assert len(pids) == 3
        assert Path(directory).is_dir()
        servers = [psutil.Process(int(pid)) for pid in pids]
        sweeper = next(each for each in psutil.process_iter() if directory in _words(each) and each.ppid() == run.pid)
        run.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([*servers, sweeper], timeout=30)
    assert alive == []
    assert not Path(directory).exists()


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


def test_programs_that_are_named_are_used_when_they_are_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cached = binaries.control_plane_binaries()
    for name, program in cached.items():
        (tmp_path / name).symlink_to(program)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert binaries.control_plane_binaries() == {name: tmp_path / name for name in cached}
    (tmp_path / "kube-controller-manager").unlink()
    assert binaries.control_plane_binaries() == cached


def test_programs_of_another_release_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cached = binaries.control_plane_binaries()
    for name in cached:
        (tmp_path / name).write_text("#!/bin/sh\necho Kubernetes v1.21.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert binaries.control_plane_binaries() == cached
