"""What a strategy promises binds it: a bar beyond the end that it has told would be waited for without end."""

from dataclasses import replace

import pytest

from leadline.execution.inbox import Inbox
from leadline.model.errors import RefusedMessage
from tests.execution.harness.builders import bar, ns, says


def inbox(analysis_hash: str) -> Inbox:
    return Inbox("default/mes", analysis_hash, 0)


def test_a_bar_after_the_end_is_refused():
    said, end = says([bar(600)], end=900)
    found = inbox(said.analysis_hash)
    assert found.offer(said)
    assert found.offer(end)
    late, _ = says([bar(1200)], end=2000)
    with pytest.raises(RefusedMessage, match=rf"ends at {ns(900)}, and a bar is known at {ns(1200)}"):
        found.offer(late)
    assert found.first_after(ns(600)) is None


def test_an_end_before_a_bar_that_was_said_is_refused():
    said, end = says([bar(600)], end=900)
    found = inbox(said.analysis_hash)
    assert found.offer(said)
    with pytest.raises(RefusedMessage):
        found.offer(replace(end, progress_ns=ns(500)))
    assert not found.final


def test_what_is_said_again_after_the_end_changes_nothing():
    said, end = says([bar(600)], end=900)
    found = inbox(said.analysis_hash)
    for message in (said, end, said, end):
        found.offer(message)
    assert found.final
    assert found.complete_through_ns is None
    assert found.known_at(ns(600)) == [said.bar]
