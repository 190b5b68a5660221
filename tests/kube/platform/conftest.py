"""Leadline on a node: one release at a time, each with namespaces of its own."""

import asyncio
import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.kube.cluster.node import Node
from tests.kube.platform.installation import MANIFESTS, Installation
from tests.system.stack_run import Ended, run_stack

Install = Callable[..., Installation]
INSTALLED = pytest.StashKey[list[Installation]]()
_numbers = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    # While it is all still there: what the Pods said when a test failed.
    report = yield
    if report.when == "call" and report.failed:
        report.sections += [("Leadline", each.story()) for each in item.stash.get(INSTALLED, [])]
    return report


@pytest.fixture
def install(node: Node, leadline_image: str, request: pytest.FixtureRequest) -> Iterator[Install]:
    """Installs both charts with values of the chart leadline; after the test every trace of them is gone.

    `system` is the namespace of the platform and `traders` that in which people trade; they are new when not given.
    """
    with ExitStack() as opened:
        installed = request.node.stash.setdefault(INSTALLED, [])

        def _install(*, system: str | None = None, traders: str | None = None, **values: Any) -> Installation:
            number = next(_numbers)
            found = Installation(node, system or f"leadline-system-{number}", traders or f"desk-{number}", values)
            opened.enter_context(found)
            installed.append(found)
            return found

        yield _install


@pytest.fixture(scope="session")
def busy_laptop(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What `busy.yaml` comes to on this machine, with the chart's seed and nothing in its way."""
    folder = tmp_path_factory.mktemp("busy")
    return asyncio.run(run_stack(MANIFESTS / "busy.yaml", folder, "--feed", "sim", "--seed", "1"))
