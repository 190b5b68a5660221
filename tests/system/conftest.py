"""One undisturbed run, which the others are compared with. Where a Prometheus is installed, it watches that run."""

import asyncio
from dataclasses import dataclass, field

import pytest

from leadline.local.ports import Ports
from tests.dashboards.prometheus import PROGRAM, Answer, Prometheus
from tests.dashboards.queries import families, queries
from tests.system.stack_run import MES, Ended, run_stack

FEED = ("--feed", "sim", "--seed", "3", "--sessions", "2")
# Prometheus looks for new targets every five seconds: the run has to last for longer.
WATCHED = ("--speed", "15000")


@dataclass(frozen=True)
class Seen:
    """What a Prometheus saw of a run: answers by query, errors by alert, and every value of each metric."""

    answers: dict[str, Answer] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Seen | None]:
    folder = tmp_path_factory.mktemp("undisturbed")
    if PROGRAM is None:
        return asyncio.run(run_stack(MES, folder / "data", *FEED)), None
    with Ports(str(folder)) as ports, Prometheus(folder / "prometheus", ports.take()) as prometheus:
        ended = asyncio.run(run_stack(MES, folder / "data", *FEED, *WATCHED, starting=prometheus.watch))
        return ended, seen_by(prometheus)


def seen_by(prometheus: Prometheus) -> Seen:
    return Seen(
        {query.promql: prometheus.ask(query.promql) for query in queries()},
        prometheus.evaluated(),
        {name: [*prometheus.ask(name).values, *prometheus.ask(f"{name}_count").values] for name in families()},
    )


@pytest.fixture(scope="session")
def undisturbed(watched: tuple[Ended, Seen | None]) -> Ended:
    return watched[0]


@pytest.fixture(scope="session")
def seen(watched: tuple[Ended, Seen | None]) -> Seen:
    """Of the undisturbed run."""
    if watched[1] is None:
        pytest.skip("prometheus is not installed: it is in Debian's package of that name")
    return watched[1]
