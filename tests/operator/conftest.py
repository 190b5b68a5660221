"""What the tests of this room share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.harness import Leadline
from tests.stack import Database


@pytest.fixture
def idle(control_plane: ControlPlane, namespace: str, database: Database, tmp_path: Path) -> Iterator[Leadline]:
    """A namespace with an operator that is not started."""
    found = Leadline(control_plane, namespace, database, tmp_path)
    yield found
    found.close()


@pytest.fixture
def leadline(idle: Leadline) -> Leadline:
    """A namespace with an operator at work."""
    idle.operator.start()
    return idle
