"""What a rollout has come to stands in fields of the status, and in no text."""

from datetime import UTC, datetime
from typing import Any

import pytest

from leadline.model.manifest.status_spec import (
    Condition,
    ConditionType,
    RolloutReason,
    RolloutStatus,
    RolloutStep,
    StrategyStatus,
)
from leadline.plan.plan import plan
from leadline.plan.platform import PlatformSettings
from leadline_operator.conditions import Reason, Verdict, no
from leadline_operator.desired.strategy import Revision
from leadline_operator.kinds import Key
from leadline_operator.reconcile.admission import Admitted
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.rollout import advance
from leadline_operator.reconcile.runtime import StrategyRuntime
from tests.operator.test_desired import owner, revision
from tests.plan.builders import account, strategy

SINCE = datetime(2025, 1, 10, 13, 30, tzinfo=UTC)
RUNNING = revision(strategy())
WANTED = revision(strategy(bars="1m"))


def runtime(desired: Revision, **status: Any) -> StrategyRuntime:
    """A strategy that runs, and nobody to ask about it."""
    nobody: Any = None
    context = ReconcileContext(nobody, Key("TradingStrategy", "default", "flow"), owner(), StrategyStatus(**status))
    manifest, paper = strategy(), account()
    found = StrategyRuntime(context, Admitted(manifest, paper, plan(PlatformSettings(), [paper], [manifest])))
    found.desired, found.running = desired, RUNNING
    return found


async def test_a_version_that_was_given_up_is_not_tried_again_whatever_the_conditions_say_since():
    found = runtime(WANTED, given_up_hash=WANTED.hash)
    assert await advance(found) is None
    said = found.context.verdicts[ConditionType.CONFIG_APPLIED]
    assert said.reason is Reason.ROLLED_BACK
    assert said.message == f"version {WANTED.hash} did not come up: {RUNNING.hash} runs again; change the manifest"
    assert found.context.status.rollout is None


async def test_the_status_names_the_version_that_takes_over_beside_the_rollouts_id():
    under_way = RolloutStatus(
        id="any text at all",
        target_hash="9f3c",
        step=RolloutStep.DRAINING,
        started_at=SINCE,
        reason=RolloutReason.SPEC_CHANGED,
    )
    assert RolloutStatus.from_manifest(under_way.to_manifest()) == under_way


@pytest.mark.parametrize(
    "other",
    [
        Verdict(None, Reason.INVALID_SPEC, "m" * 5000),
        Verdict(False, Reason.ACCOUNT_REFUSED, "m" * 5000),
        Verdict(False, Reason.INVALID_SPEC, "another"),
    ],
    ids=["status", "reason", "message"],
)
def test_a_condition_says_a_thing_again_only_when_all_of_it_is_the_same(other: Verdict):
    nobody: Any = None
    refused = no(Reason.INVALID_SPEC, "m" * 5000)
    condition = Condition(
        type="Accepted", status="False", reason="InvalidSpec", message="m" * 4096, last_transition_time=SINCE
    )
    context = ReconcileContext(nobody, Key("TradingStrategy", "default", "flow"), owner(), StrategyStatus())
    assert not context.has_condition(ConditionType.ACCEPTED, refused)
    context.status = StrategyStatus(conditions=(condition,))
    assert context.has_condition(ConditionType.ACCEPTED, refused)
    assert not context.has_condition(ConditionType.ACCEPTED, other)
