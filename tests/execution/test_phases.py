"""What an account's loop is at shows as one series at a time, and a wait by the part that is waited for."""

import pytest

from leadline.execution.adapters.metrics import Phases
from leadline.model.ids import AccountId
from leadline.model.loop_phase import LoopPhase
from tests.measured import value


def shown(account: AccountId) -> dict[str, float]:
    return {phase: value("leadline_account_phase", account=account, phase=phase) for phase in LoopPhase}


@pytest.mark.moves("leadline_account_phase")
@pytest.mark.parametrize(
    ("part", "phase"),
    [
        ("risk", "waiting_for_risk"),
        ("venue", "waiting_for_venue"),
        ("database", "waiting_for_database"),
        ("disk", "waiting_for_disk"),
        ("bus", "waiting_for_parts"),
    ],
)
def test_a_wait_shows_the_part_and_ends_when_the_loop_gets_on(part: str, phase: str):
    account = f"default/{part}"
    phases = Phases(AccountId(account))
    assert shown(AccountId(account)) == {name: float(name == "starting") for name in LoopPhase}
    assert phases.wait(part, "no answer") == phase
    assert shown(AccountId(account)) == {name: float(name == phase) for name in LoopPhase}
    phases.go_on(LoopPhase.RUNNING)
    assert shown(AccountId(account)) == {name: float(name == "running") for name in LoopPhase}
