"""What is said of a Pod that is not up."""

import json
from typing import Any

import pytest

from leadline_operator.cache import trimmed
from leadline_operator.kinds import POD
from leadline_operator.reconcile.pod_state import NotUp, last_log_reason, why_not_up

REFUSAL = "spec.strategy.entryPoint: got 'nope:X', expected module:Name (No module named 'nope')"


def pod(container: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """A Pod as the operator keeps it."""
    found = {
        "metadata": {"name": "flow-1", "namespace": "desk"},
        "spec": {"containers": []},
        "status": {"phase": "Pending", "containerStatuses": [container] if container else [], **status},
    }
    return trimmed(POD, found)


def test_a_container_that_ends_again_and_again_is_known_by_its_last_words():
    log = json.dumps({"event": "service.failed", "level": "critical", "reason": REFUSAL})
    ended = {"terminated": {"exitCode": 2, "reason": "Error", "message": f"{json.dumps({'event': 'begins'})}\n{log}\n"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
    found = pod({"name": "analysis", "ready": False, "restartCount": 4, "state": waiting, "lastState": ended})
    assert why_not_up([found], "nothing") == NotUp(f"Pod flow-1 ends and is started again: {REFUSAL}", restarts=True)


def test_an_image_that_cannot_be_had_and_a_volume_that_is_lost_are_named():
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}
    image = pod({"name": "analysis", "ready": False, "restartCount": 0, "state": waiting})
    assert why_not_up([image], "nothing") == NotUp("Pod flow-1: ErrImagePull: manifest unknown")
    lost = {
        "type": "PodScheduled",
        "status": "False",
        "message": 'persistentvolumeclaim "journal-0" bound to non-existent',
    }
    assert why_not_up([pod(conditions=[lost])], "nothing").message.endswith(lost["message"])
    assert why_not_up([], "its Pod is not there yet") == NotUp("its Pod is not there yet")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("begins\nleadline: no such file\n", "leadline: no such file"),
        (
            json.dumps({"event": "crashed", "exception": "Traceback ...\n  File x\nValueError: percent"}),
            "ValueError: percent",
        ),
        (json.dumps({"event": "begins"}), ""),
    ],
)
def test_the_last_line_that_says_why_speaks_for_a_log(log: str, words: str):
    assert last_log_reason(log) == words
