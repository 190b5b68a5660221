"""A reconcile is the list of its steps, and the first that has come to an end is the last."""

import inspect

import pytest

from leadline.model.manifest.status_spec import RolloutStep
from leadline_operator.reconcile import account, rollout, strategy
from leadline_operator.reconcile.steps import Done, run_steps

PAGES = [strategy, account]


async def first(done: list[str]) -> None:
    done.append("first")


async def second(done: list[str]) -> Done:
    done.append("second")
    return Done(2.0)


async def third(done: list[str]) -> None:
    done.append("third")


async def test_steps_are_done_in_order_until_one_ends_the_whole():
    done: list[str] = []
    assert await run_steps((first, second, third), done) == Done(2.0)
    assert done == ["first", "second"]


async def test_steps_that_all_go_on_end_nothing():
    done: list[str] = []
    assert await run_steps((first, third), done) is None
    assert done == ["first", "third"]


@pytest.mark.parametrize("page", PAGES, ids=["strategy", "account"])
def test_a_page_defines_its_steps_in_the_order_in_which_they_are_done(page):
    steps = [*page.GATES, page.admit, *page.STEPS]
    assert {step.__module__ for step in steps} == {page.__name__}
    lines = [inspect.getsourcelines(step)[1] for step in steps]
    assert lines == sorted(lines)


@pytest.mark.parametrize("page", PAGES, ids=["strategy", "account"])
def test_the_object_is_held_before_anything_is_made_and_reported_on_at_the_end(page):
    assert page.STEPS[0] is page.hold_object
    assert page.STEPS[-1] is page.report
    assert page.STEPS.index(page.hold_object) < page.STEPS.index(page.deploy)


def test_a_strategys_version_is_named_to_execution_before_it_runs():
    steps = strategy.STEPS
    assert steps.index(strategy.configure_execution) < steps.index(strategy.deploy) < steps.index(strategy.ask_for_bars)


def test_every_step_of_a_rollout_has_its_function_in_the_order_of_the_status():
    assert list(rollout.STEPS) == list(RolloutStep)
