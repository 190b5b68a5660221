"""A control plane that knows the kinds, as the chart installs them."""

from collections.abc import Iterator

import helm_python
import pytest

from leadline.model.manifest.kinds import KINDS
from scripts.crds import CHART
from tests.crds.api import Api
from tests.kube.cluster.control_plane import ControlPlane


@pytest.fixture(scope="module")
def kube(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with the definitions of the chart, applied by kubectl as a person does."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(name="leadline-crds", namespace="leadline-system")
    control_plane.kubectl("apply", "-f", "-", input="---\n".join(rendered.values()))
    lists = [f"/apis/leadline.dev/v1alpha1/{plural}" for plural in (kind.plural for kind in KINDS.values())]
    control_plane.wait_until(lambda: {control_plane.get(path)[0] for path in lists} == {200}, "all kinds are served")
    return control_plane


@pytest.fixture(scope="module")
def api(kube: ControlPlane) -> Iterator[Api]:
    """The API server without kubectl's start each time."""
    with Api(kube) as connection:
        yield connection
