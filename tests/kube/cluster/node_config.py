"""The configuration of a node's servers, in files of the cluster's directory."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.kube.cluster.prerequisites import cni_directory

# Nothing outside the node's network namespace sees these.
NODE_ADDRESS: Final = "10.200.0.1"
POD_RANGE: Final = "10.244.0.0/24"
PAUSE_IMAGE: Final = "localhost/leadline-pause:1"
_CGROUPS: Final = Path("/sys/fs/cgroup")


def mount_script(directory: Path) -> str:
    """What the first process of the namespaces does: directories of its own where programs write to fixed paths."""
    return f"""
    mount --make-rshared /
    mkdir -p {directory}/run
    for place in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 leadline $place; done
    mkdir -p /run/lock /run/netns /var/lib/cni
    """


def network_script() -> str:
    """The node's address, on a bridge because a dummy interface is not in every kernel."""
    return f"""
    ip link add node type bridge
    ip address add {NODE_ADDRESS}/32 dev node
    ip link set node up
    ip route add default dev node
    echo 1 > /proc/sys/net/ipv4/ip_forward
    """


def control_groups(name: str) -> list[Path]:
    """The node's control group in each hierarchy that there is."""
    candidates = [_CGROUPS] if _is_unified() else [path for path in _CGROUPS.iterdir() if path.name != "unified"]
    return [path / name for path in candidates if (path / name).is_dir()]


def write(directory: Path, *, node_binaries: Mapping[str, Path]) -> None:
    """Write what containerd and the network plugins read, and make the node's control group."""
    assert "kubelet" in node_binaries
    plugins = cni_directory()
    assert plugins is not None, "a node needs network plugins"
    (directory / "cni").mkdir()
    (directory / "cni" / "10-leadline.conflist").write_text(json.dumps(_network(directory), indent=1))
    (directory / "containerd.toml").write_text(_containerd(directory, plugins))
    (directory / "resolv.conf").write_text(f"nameserver {NODE_ADDRESS}\n")
    _make_control_group(directory.name)


def write_for_cluster(directory: Path, ca_certificate: Path, kubeconfig: Path) -> None:
    """Write what the kubelet, kube-proxy and CoreDNS read."""
    (directory / "kubelet.json").write_text(json.dumps(_kubelet(directory, ca_certificate), indent=1))
    (directory / "kube-proxy.json").write_text(json.dumps(_proxy(kubeconfig), indent=1))
    (directory / "Corefile").write_text(_corefile(kubeconfig))


def storage(directory: Path, node: str, count: int) -> list[dict[str, Any]]:
    """The default StorageClass and its volumes, directories that any user may write to.

    A claim gets one when its first Pod is scheduled. They are `local` volumes because those, unlike hostPath, are
    given to the Pod's fsGroup.
    """
    kind = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "local", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Retain",
    }
    here = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    volumes = []
    for number in range(count):
        path = directory / "volumes" / f"{number:03}"
        path.mkdir(parents=True)
        path.chmod(0o777)
        spec = {
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "local",
            "local": {"path": str(path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
        }
        metadata = {"name": f"local-{number:03}"}
        volumes.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
    return [kind, *volumes]


def _is_unified() -> bool:
    return (_CGROUPS / "cgroup.controllers").exists()


def _make_control_group(name: str) -> None:
    """Make the group under which the kubelet keeps its Pods apart from another node's on the same machine."""
    if _is_unified():
        group = _CGROUPS / name
        group.mkdir()
        for place in (_CGROUPS, group):
            for controller in (_CGROUPS / "cgroup.controllers").read_text().split():
                with contextlib.suppress(OSError):  # one that the machine keeps for itself
                    (place / "cgroup.subtree_control").write_text(f"+{controller}")
        return
    for hierarchy in _CGROUPS.iterdir():
        if hierarchy.is_symlink() or hierarchy.name == "unified":
            continue
        group = hierarchy / name
        group.mkdir()
        for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and then nothing can run in it
            if (group / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def _network(directory: Path) -> dict[str, Any]:
    # A link for each Pod instead of a bridge: all traffic is routed, so that a Service works between two Pods of
    # this node without the kernel's bridge filter.
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(directory / "addresses"),
    }
    return {
        "cniVersion": "0.4.0",
        "name": "leadline",
        "plugins": [
            {"type": "ptp", "ipMasq": True, "mtu": 1500, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd(directory: Path, plugins: Path) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc dies when it is told to lower a container's score.
    return f"""version = 2
root = "{directory}/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{directory}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _kubelet(directory: Path, ca_certificate: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(ca_certificate)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{directory.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(directory / "resolv.conf"),
        "podLogsDir": str(directory / "pod-logs"),
        # An image that was thrown away cannot be pulled again here.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "64Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
        "maxPods": 200,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "shutdownGracePeriod": "0s",
    }


def _proxy(kubeconfig: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "iptables",
        "clusterCIDR": POD_RANGE,
        "conntrack": {"maxPerCore": 0},
        "iptables": {"minSyncPeriod": "0s"},
    }


def _corefile(kubeconfig: Path) -> str:
    # Other names than the cluster's are refused at once: there is nobody to ask.
    return f""".:53 {{
    bind {NODE_ADDRESS}
    errors
    ready 127.0.0.1:8181
    cache 5
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
}}
"""
