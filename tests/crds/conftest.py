"""A control plane that knows the two kinds, as the chart installs them."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import helm_python
import pytest

from tests.crds.api import Api
from tests.kube.cluster.control_plane import ControlPlane

CHART = Path(__file__).resolve().parents[2] / "helm" / "leadline-crds"
GROUP = "/apis/leadline.dev/v1alpha1/namespaces/default"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def kube(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with the definitions of the chart, applied by kubectl as a person does."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(name="leadline-crds", namespace="leadline-system")
    control_plane.kubectl("apply", "-f", "-", input="---\n".join(rendered.values()))
    for plural in ("tradingstrategies", "tradingaccounts"):
        control_plane.wait_until(lambda: control_plane.get(f"{GROUP}/{plural}")[0] == 200, f"{plural} are served")  # noqa: B023 - called at once
    return control_plane


@pytest.fixture
def traders(kube: ControlPlane) -> Iterator[str]:
    """A namespace of traders of its own for a test."""
    name = f"traders-{next(_numbers)}"
    kube.kubectl("create", "namespace", name)
    yield name
    kube.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def api(kube: ControlPlane) -> Iterator[Api]:
    """The API server without kubectl's start each time."""
    with Api(kube) as connection:
        yield connection
