"""A service that stays at one message is told of, by the message and for how long."""

from leadline.plan.standstill import STANDS_SECONDS, Standstills
from leadline.runtime.bus import Received
from leadline.runtime.poison import Handling

FIRST = Received("ll.bar", 1, b"", "ll.bar/1")
SECOND = Received("ll.bar", 2, b"", "ll.bar/2")


def test_a_message_that_takes_long_is_told_once_and_shown_with_its_seconds(tmp_path):
    handling, found = Handling(tmp_path), Standstills()
    with handling.of("BARS", FIRST):
        handling.at("the bar that begins at noon")
        assert found.look("analysis", tmp_path, 100.0) is None
        assert found.look("analysis", tmp_path, 100.0 + STANDS_SECONDS - 1) is None
        assert found.look("analysis", tmp_path, 107.0) == "has been at the bar that begins at noon for 7 s"
        assert found.look("analysis", tmp_path, 108.0) is None
        assert found.words_of("analysis") == "has been at the bar that begins at noon for 8 s"
    assert found.look("analysis", tmp_path, 109.0) is None
    assert found.words_of("analysis") == ""


def test_many_messages_are_no_standstill_and_one_without_words_is_told_by_its_name(tmp_path):
    handling, found = Handling(tmp_path), Standstills()
    for second, message in enumerate((FIRST, SECOND) * 10):
        with handling.of("BARS", message):
            handling.at("a bar")
            assert found.look("aggregation", tmp_path, float(second)) is None
    with handling.of("TICKS", FIRST):
        assert found.look("aggregation", tmp_path, 30.0) is None
        assert found.look("aggregation", tmp_path, 40.0) == "has been at TICKS 1 ll.bar ll.bar/1 for 10 s"


def test_a_service_that_has_died_at_a_message_is_at_none(tmp_path):
    found = Standstills()
    assert found.look("analysis", tmp_path, 0.0) is None
    with Handling(tmp_path).of("BARS", FIRST):
        found.look("analysis", tmp_path, 1.0)
        found.forget("analysis")
        assert found.look("analysis", tmp_path, 10.0) is None
