"""Some seconds of the simulation: nothing is violated, a seed is one schedule, and planted faults are found."""

from dataclasses import replace

import pytest

from tests.simulation.planted import planted
from tests.simulation.run import quiet, run
from tests.simulation.schedule import draw
from tests.simulation.shrink import shrunk

SEEDS = 40
MOST_FAULTS = 10


def test_nothing_is_violated_whatever_dies_and_is_lost():
    with quiet() as folder:
        outcomes = [run(draw(seed), folder) for seed in range(1, SEEDS + 1)]
    assert [(each.seed, each.violations) for each in outcomes if each.violations] == []
    assert sum(each.kills for each in outcomes) >= SEEDS / 3
    assert sum(each.fills for each in outcomes) >= SEEDS


def test_the_same_seed_is_the_same_schedule_to_the_last_step():
    with quiet() as folder:
        first, again, other = (run(draw(seed), folder) for seed in (7, 7, 8))
    assert first.trace == again.trace != other.trace


@pytest.mark.parametrize("name", ["sent before it is committed", "sent again when nothing is heard"])
def test_a_planted_fault_is_found_and_shrinks(name: str):
    with planted(name), quiet() as folder:
        found = next(seed for seed in range(1, 200) if run(draw(seed), folder).violations)
        schedule = draw(found)
        small = shrunk(schedule, folder)
        violated = run(schedule, folder).violations[0].invariant
        fewer = [replace(small, faults=small.faults[:n] + small.faults[n + 1 :]) for n in range(len(small.faults))]
        assert violated in {each.invariant for each in run(small, folder).violations}
        assert violated not in {each.invariant for one in fewer for each in run(one, folder).violations}
    assert len(small.faults) < min(len(schedule.faults), MOST_FAULTS)
