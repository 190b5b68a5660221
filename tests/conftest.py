"""Fixtures that every room's tests share."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.measured import watching
from tests.order import LONGEST, group_of

# Real servers and clusters, started only by the tests that ask for them.
pytest_plugins = ("tests.stack", "tests.kube.fixtures")

# Tables are as wide as it says, and tests read what is not cut.
os.environ.pop("COLUMNS", None)

ROOT = Path(__file__).resolve().parents[1]

# No deadline: a busy machine is not a failing test. In CI the examples are the same each time, so that a verdict is
# about the change; on a developer's machine they differ, so that new ones are found.
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")


# Marks of tests that only those run who ask for them: they take minutes, and others see the same in short.
OWN_TARGETS = ("kills", "node_minutes", "parity", "soak")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has a target of its own, and put those first that take long, in their order."""
    asked = config.option.markexpr
    left_out = [
        item for item in items if any(item.get_closest_marker(mark) and mark not in asked for mark in OWN_TARGETS)
    ]
    config.hook.pytest_deselected(items=left_out)
    apart = set(left_out)
    items[:] = [item for item in items if item not in apart]
    ranks = {group: rank for rank, group in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(group_of(item.nodeid), len(ranks)))


@pytest.fixture(autouse=True, scope="session")
def _data_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what commands write where nobody names a folder out of the folders of whoever runs the tests."""
    os.environ["XDG_DATA_HOME"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Generator[None, None, None]:
    """Take back how a test has set the log up: a command in its process does that, for warnings alone."""
    yield
    structlog.reset_defaults()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that says by the mark `moves` that it sees metrics move, when one is the same all the time."""
    claimed = [metric for mark in item.iter_markers("moves") for metric in mark.args]
    if not claimed:
        yield
        return
    with watching(claimed) as watched:
        yield
    if still := watched.still():
        pytest.fail(f"the test says that it sees these move, and they do not: {', '.join(still)}", pytrace=False)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # its library has no types
    """Tests of a group run in one process, one after the other; groups run beside each other."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    config.option.loadscopereorder = False  # else the groups with the most tests would come first, whatever they take
    return GroupScheduling(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests of servers and clusters wait a good part of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data: $LEADLINE_TEST_DATA, or shared/data next to the checkout.

    Market data is not ours to ship, so a machine may not have it: then the test is skipped and says so.
    """
    named = os.environ.get("LEADLINE_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded market data in {folder}: set LEADLINE_TEST_DATA to a folder that has it")
    return folder
