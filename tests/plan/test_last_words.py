"""A part that ends is told of in one sentence, where it said why."""

from leadline.local.last_words import last_warning, reason_of
from leadline.local.supervisor import StackFailed

ENDED = '{"event": "service.given_up", "reason": "the strategy failed at bar X: ValueError: no", "level": "critical"}'
LATER = '{"event": "service.stopped", "level": "info"}'
WAITS = '{"event": "bus.waiting", "reason": "no answer within 5.0 s", "level": "warning"}'


def test_the_reason_is_the_whole_message():
    failed = StackFailed("analysis-default-x", "cannot go on", ["noise", WAITS, ENDED, LATER])
    assert str(failed) == "analysis-default-x cannot go on: the strategy failed at bar X: ValueError: no"


def test_without_a_reason_the_last_lines_are_shown():
    assert reason_of(["Segmentation fault", "[1, 2]", WAITS]) is None
    assert str(StackFailed("risk", "ended with code -11", ["Segmentation fault"])) == (
        "risk ended with code -11; the last it said:\n  Segmentation fault"
    )


def test_a_part_that_waits_says_for_what():
    assert last_warning([WAITS, LATER, "no json"]) == "bus.waiting: no answer within 5.0 s"
    assert last_warning([LATER]) is None
