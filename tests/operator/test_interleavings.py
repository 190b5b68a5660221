"""A few random lives; `make interleavings` runs hundreds."""

from pathlib import Path

import pytest

from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.harness import Site
from tests.operator.interleaving import live

SEED = 100
LIVES = 10

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


def test_random_lives_converge(site: Site, control_plane: ControlPlane, tmp_path: Path):
    site.operator.stop()
    told = live(control_plane, site.database, tmp_path, SEED, LIVES)
    print(f"seed {SEED}: {LIVES} lives converged: {told}")  # noqa: T201
