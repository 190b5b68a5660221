"""Real clusters for tests: one control plane and one node a run, and in them a namespace for each test."""

import itertools
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kube.cluster import images, prerequisites
from tests.kube.cluster.binaries import control_plane_binaries, node_binaries
from tests.kube.cluster.control_plane import ControlPlane
from tests.kube.cluster.node import Node, missing
from tests.order import group_of

_numbers = itertools.count(1)
# Fixtures of a run that are heavy even while no test asks them for anything: the chart's own is `api`.
_CLUSTERS = ("api", "control_plane", "node")
_STARTED = pytest.StashKey[list[pytest.FixtureDef[Any]]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    # What takes minutes the first time is made here: a test's timeout would cut it off, and its output is captured.
    wanted: set[str] = set()
    for item in session.items:
        wanted.update(getattr(item, "fixturenames", ()))
    if session.config.option.collectonly or not wanted & {"control_plane", "node"}:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        control_plane_binaries()
        if "node" in wanted and (refused := prerequisites.install_missing()):
            sys.stderr.write(f"packages for a node could not be installed: {refused}\n")
        if "node" in wanted and not missing():
            node_binaries()
        if "python_image" in wanted and not [*missing(), *images.missing()]:
            images.base_image()
        if "leadline_image" in wanted and not [*missing(), *images.missing()]:
            images.project_image()


def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: Any) -> None:
    if fixturedef.argname in _CLUSTERS and fixturedef.scope == "session":
        request.session.stash.setdefault(_STARTED, []).append(fixturedef)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: Any, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Stop the clusters behind the last test of those that share them, and not at the end of the run."""
    yield
    if nextitem is None or group_of(nextitem.nodeid) != group_of(item.nodeid):
        started = item.session.stash.setdefault(_STARTED, [])
        while started:
            started.pop().finish(item._request)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A real apiserver with etcd and the controllers, and no node."""
    with ControlPlane() as running:
        yield running


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A real one-node cluster; skips where the machine cannot run one, and says what it lacks."""
    if lacking := missing():
        pytest.skip(f"a node needs {', '.join(lacking)}")
    with Node() as running:
        yield running


@pytest.fixture(scope="session")
def python_image(node: Node) -> str:
    """The name of an image with Python and a shell, on the node."""
    return _on_node(node, images.BASE_NAME, images.base_image)


@pytest.fixture(scope="session")
def leadline_image(node: Node) -> str:
    """The name of the project's image, built from its Dockerfile, on the node."""
    return _on_node(node, images.PROJECT_NAME, images.project_image)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A new namespace of the control plane, deleted after the test."""
    yield from _namespace(control_plane)


@pytest.fixture
def node_namespace(node: Node) -> Iterator[str]:
    """A new namespace of the node that takes only restricted Pods, deleted after the test."""
    yield from _namespace(node, {"pod-security.kubernetes.io/enforce": "restricted"})


def _namespace(cluster: ControlPlane, labels: dict[str, str] | None = None) -> Iterator[str]:
    name = f"test-{next(_numbers)}"
    metadata = {"name": name, "labels": labels or {}}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    cluster.wait_until(lambda: cluster.get(account)[0] == 200, "the namespace has its ServiceAccount")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def _on_node(node: Node, name: str, archive: Callable[[], Path]) -> str:
    if lacking := images.missing():
        pytest.skip(f"making an image needs {', '.join(lacking)}")
    node.load_image(archive())
    return name
