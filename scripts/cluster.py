"""Run a one-node Kubernetes cluster with Leadline on it until Ctrl-C, which removes every trace of it.

Root on Linux. Nothing of the machine is changed but its package cache: the cluster lives in namespaces of its own and
in a temporary directory. Run from the root of the repository: `python -m scripts.cluster [--bare] [--values FILE]`.
"""

import argparse
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import helm_python
import yaml

from tests.kube.cluster import images, prerequisites
from tests.kube.cluster.binaries import BuildFailed, node_binaries
from tests.kube.cluster.node import Node, missing

ROOT: Final = Path(__file__).resolve().parents[1]
NAMESPACE: Final = "leadline-system"
INSTALL_SECONDS: Final = 300


def main() -> None:
    """Check the machine, start the cluster, install Leadline, say how to use it, and wait."""
    parser = argparse.ArgumentParser(description="Run a one-node Kubernetes cluster with Leadline on it until Ctrl-C.")
    parser.add_argument("--bare", action="store_true", help="without Leadline: a node and nothing on it")
    parser.add_argument(
        "--values", type=Path, metavar="FILE", help="values of the chart leadline; without it, its defaults"
    )
    arguments = parser.parse_args()
    bare: bool = arguments.bare
    try:
        values = yaml.safe_load(arguments.values.read_text()) if arguments.values else {}
    except (OSError, yaml.YAMLError) as error:
        sys.exit(f"cluster: --values: {error}")
    refused = prerequisites.install_missing()
    if lacking := [*missing(), *([] if bare else images.missing())]:
        why = f". They could not be installed: {refused}" if refused else ""
        sys.exit(f"cluster: this machine needs {', '.join(lacking)}{why}")
    # A signal that would kill this process ends the cluster in order, like Ctrl-C.
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _interrupt(stopped))
    try:
        programs = node_binaries()
        archive = None if bare else images.project_image()
        started = time.monotonic()
        print("cluster: starting a node", flush=True)
        with Node() as node:
            if archive is not None:
                node.load_image(archive)
                install_leadline(node, values)
            print(f"cluster: ready in {time.monotonic() - started:.0f} s\n")
            print(f"  export KUBECONFIG={node.kubeconfig}")
            if shutil.which("kubectl") is None:
                print(f"  export PATH={programs['kubectl'].parent}:$PATH    # kubectl")
            print("\nCtrl-C takes it away, with everything in it.", flush=True)
            stopped.wait()
    except KeyboardInterrupt:
        pass
    except (BuildFailed, images.ImageFailed) as error:
        sys.exit(f"cluster: {error}")
    print("cluster: gone")


def install_leadline(node: Node, values: dict[str, Any]) -> None:
    """Install both charts, the platform's with these values over its defaults, and return when all Pods are ready.

    Raises helm_python.HelmError.
    """
    print("cluster: installing Leadline", flush=True)
    with helm_python.Config(kubeconfig_path=node.kubeconfig, namespace=NAMESPACE) as helm:
        for chart, chosen in (("leadline-crds", {}), ("leadline", values)):
            helm.install(
                ROOT / "helm" / chart,
                chart,
                chosen,
                namespace=NAMESPACE,
                create_namespace=True,
                wait="watcher",
                timeout=INSTALL_SECONDS,
            )


def _interrupt(stopped: threading.Event) -> None:
    """The first signal interrupts whatever is under way; the cluster's end is not interrupted by a second one."""
    if not stopped.is_set():
        stopped.set()
        raise KeyboardInterrupt


if __name__ == "__main__":
    main()
