"""A real node: a control plane with a kubelet, containerd, kube-proxy and a name service. Root on Linux.

    with Node() as node:
        node.load_image(archive)
        node.kubectl("apply", "-f", "-", input=manifest)

Everything runs in process, mount and network namespaces of its own, under a first process that dies with the one that
made the node: the kernel then ends every process in them, takes down every mount and every interface. No packet can
leave. The apiserver is reached from outside over a link of two addresses, at `api_url`.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.kube.cluster import node_config
from tests.kube.cluster.binaries import node_binaries
from tests.kube.cluster.control_plane import ADMIN_GROUP, ControlPlane, Site
from tests.kube.cluster.oci import write_program_image
from tests.kube.cluster.prerequisites import command_path, missing_for_node
from tests.kube.cluster.workspace import Server, Workspace

NODE_NAME: Final = "leadline-node"
READY_SECONDS: Final = 120.0
VOLUMES: Final = 120
_LINKS: Final = 64 * 64
_POLL_SECONDS: Final = 0.05


class NodeFailed(Exception):
    """A command that makes the node failed; the message holds what it said."""


def missing() -> list[str]:
    """What this machine lacks for a node, each with its Debian package; empty when it can run one."""
    return missing_for_node()


class Node(ControlPlane):
    """A one-node cluster; use it as a context manager. Beside what a control plane has: images, Pods, volumes.

    The StorageClass `local` is the default one; VOLUMES claims in the life of a node get a directory each, writable
    by the Pod's fsGroup or any user.
    """

    def __init__(self) -> None:
        self._node_binaries = node_binaries()
        workspace = Workspace()
        # The first process of the namespaces buries what containers leave; the kernel kills the rest with it.
        init = workspace.server("init", _unshare(workspace.directory))
        try:
            init.start([self._node_binaries["pause"]])
            pid = _wait_first_process(init, self._node_binaries["pause"])
            enter = ("nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--")
            address = _link(pid)
            _run([*enter, "sh", "-ec", node_config.network_script()])
        except BaseException:
            init.stop()
            workspace.close()
            raise
        self._init = init
        self._node_workspace = workspace
        self.enter = enter
        self.first_pid = pid
        site = Site(address=address, node_address=node_config.NODE_ADDRESS, enter=enter)
        super().__init__(workspace, binaries=self._node_binaries, site=site)
        self.containerd = workspace.server("containerd", enter)
        self.scheduler = workspace.server("kube-scheduler", enter)
        self.kubelet = workspace.server("kubelet", enter)
        self.proxy = workspace.server("kube-proxy", enter)
        self.dns = workspace.server("coredns", enter)

    @property
    def servers(self) -> list[Server]:
        """All servers, in the order in which they are stopped."""
        return [self.kubelet, self.proxy, self.dns, self.scheduler, *super().servers, self.containerd]

    def start(self) -> None:
        """Start all and return when the node is Ready. Raises ServerFailed, NodeFailed."""
        node_config.write(self.directory, node_binaries=self._node_binaries)
        self.containerd.start(["containerd", "--config", str(self.directory / "containerd.toml")], _environment())
        super().start()
        self._load_pause()
        kubeconfig = self.kubeconfig_for("node", [ADMIN_GROUP])
        node_config.write_for_cluster(self.directory, self.ca_certificate, kubeconfig)
        self.apply(*node_config.storage(self.directory, NODE_NAME, VOLUMES))
        self.start_kubelet()
        self.proxy.start(
            [
                self._node_binaries["kube-proxy"],
                f"--config={self.directory / 'kube-proxy.json'}",
                f"--hostname-override={NODE_NAME}",
            ],
            _environment(),
        )
        self.scheduler.start(
            [
                self._node_binaries["kube-scheduler"],
                f"--kubeconfig={kubeconfig}",
                "--bind-address=127.0.0.1",
                f"--cert-dir={self.directory / 'run'}",
                "--leader-elect=false",
            ]
        )
        self.dns.start([self._node_binaries["coredns"], "-conf", self.directory / "Corefile"])
        self.wait_until(self._is_node_ready, "the node is Ready", READY_SECONDS)

    def start_kubelet(self) -> None:
        """Start the kubelet: at first, or after `kubelet.stop()`; the containers live on without it."""
        command: list[str | Path] = [
            self._node_binaries["kubelet"],
            f"--config={self.directory / 'kubelet.json'}",
            f"--kubeconfig={self.kubeconfig_for('node', [ADMIN_GROUP])}",
            f"--root-dir={self.directory / 'kubelet'}",
            f"--cert-dir={self.directory / 'kubelet-pki'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={node_config.NODE_ADDRESS}",
        ]
        self.kubelet.start(command, _environment())

    def _stop_servers(self) -> None:
        """At once, Pods too: what runs in the namespaces ends with their first process."""
        for server in self.servers:
            server.forget()
        self._init.stop()
        self._node_workspace.close()

    def load_image(self, archive: Path) -> None:
        """Import an OCI archive under the name it was written with. Pods need imagePullPolicy IfNotPresent or Never."""
        self.exec_in_netns(["ctr", "--namespace", "k8s.io", "images", "import", str(archive.resolve())])

    def exec_in_netns(self, command: Sequence[str], *, timeout: float = 120) -> str:
        """What a command says that runs as root in the node's namespaces. Raises NodeFailed."""
        return _run([*self.enter, *command], timeout=timeout)

    def container_pids(self, namespace: str, pod: str) -> list[int]:
        """The process ids, as this process sees them, of all that runs in a Pod (without its pause process)."""
        uid = self.json("get", "pod", pod, "--namespace", namespace)["metadata"]["uid"]
        found: set[int] = set()
        for group in node_config.control_groups(self.directory.name):
            for procs in group.glob(f"**/pod{uid}/**/cgroup.procs"):
                found.update(int(pid) for pid in procs.read_text().split())
        return sorted(pid for pid in found if _program(pid) != "pause")

    def _load_pause(self) -> None:
        archive = self.directory / "pause.tar"
        write_program_image(archive, node_config.PAUSE_IMAGE, self._node_binaries["pause"])
        self.wait_until(self._has_containerd, "containerd answers", READY_SECONDS)
        self.load_image(archive)

    def _has_containerd(self) -> bool:
        self.containerd.check()
        return subprocess.run([*self.enter, "ctr", "version"], capture_output=True, check=False).returncode == 0

    def _is_node_ready(self) -> bool:
        for server in self.servers:
            server.check()
        status, node = self.get(f"/api/v1/nodes/{NODE_NAME}")
        conditions = node["status"].get("conditions", []) if status == 200 else []
        # The taint of a node that has just come is taken away a moment later; until then no Pod is scheduled.
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions) and not node[
            "spec"
        ].get("taints")


def _unshare(directory: Path) -> tuple[str, ...]:
    return (
        "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
        "sh", "-ec", node_config.mount_script(directory) + '\nexec "$@"', "sh",
    )  # fmt: skip


def _wait_first_process(init: Server, program: Path) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        init.check()
        pid = init.pid
        if pid is not None and _program(pid) == program.resolve().name:
            return pid
        time.sleep(_POLL_SECONDS)
    raise init.failed("did not make the namespaces")


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return ""


def _link(pid: int) -> str:
    """Join this machine with the namespace of a process by a link of two addresses; the far one."""
    said = ""
    for number in range(_LINKS):
        name, base = f"leadline{number}", f"10.201.{number // 64}"
        near, far = f"{base}.{number % 64 * 4 + 1}", f"{base}.{number % 64 * 4 + 2}"
        made = subprocess.run(
            ["ip", "link", "add", name, "type", "veth", "peer", "name", "outside", "netns", str(pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode == 0:
            _run(["ip", "address", "add", f"{near}/30", "dev", name])
            _run(["ip", "link", "set", name, "up"])
            inside = f"ip link set lo up; ip address add {far}/30 dev outside; ip link set outside up"
            _run(["nsenter", "--target", str(pid), "--net", "--", "sh", "-ec", inside])
            return far
        said = made.stderr
        if "exists" not in said:
            break
    raise NodeFailed(f"cannot link the node's network with this machine: {said}")


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PATH": command_path()}


def _run(command: Sequence[str], *, timeout: float = 120) -> str:
    done = subprocess.run(
        list(command),
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        raise NodeFailed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
