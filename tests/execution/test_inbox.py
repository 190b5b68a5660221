"""What a strategy promises binds it: a bar beyond the end that it has told would be waited for without end."""

from dataclasses import replace

import pytest

from leadline.execution.book import RefusedSignal
from leadline.execution.inbox import CAPACITY, Inbox
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


# --- what is news, and what is a bar to decide on ---

HASH = says([], end=1)[0].analysis_hash


def test_a_bar_with_signals_is_news_and_waits_at_the_instant_at_which_it_is_known():
    found = inbox(HASH)
    first, second = bar(600), bar(900)
    assert [found.offer(message) for message in says([first, second], end=1000)] == [True, True, True]
    assert found.first_after(ns(600) - 1) == first
    assert found.first_after(ns(600)) == second
    assert found.first_after(ns(900)) is None
    assert found.known_at(ns(600)) == [first]
    assert found.known_at(ns(601)) == []
    assert found.known_at(ns(900)) == [second]


def test_what_another_analysis_says_is_no_news():
    found = inbox("another")
    assert [found.offer(message) for message in says([bar(600)], end=900)] == [False, False]
    assert (found.progress_ns, found.final, found.first_after(0)) == (0, False, None)


def test_progress_only_grows_and_is_news_when_it_does():
    said, end = says([bar(600)], end=900)
    found = inbox(HASH)
    news = [replace(end, progress_ns=ns(at), final=False) for at in (700, 700, 650, 701)]
    assert [found.offer(message) for message in news] == [True, False, False, True]
    assert found.progress_ns == ns(701)
    assert found.complete_through_ns == ns(701) - 1
    last = replace(end, progress_ns=ns(701))
    assert [found.offer(message) for message in (last, last)] == [True, False]
    assert (found.final, found.complete_through_ns) == (True, None)
    assert said.progress_ns <= ns(600)


def test_nothing_was_promised_before_the_first_word():
    assert (inbox(HASH).complete_through_ns, inbox(HASH).full) == (-1, False)


@pytest.mark.parametrize("known", [False, True])
def test_a_bar_that_makes_no_decision_is_news_all_the_same(known: bool):
    """One without a signal, and one that was known when the strategy joined."""
    found = Inbox("default/mes", HASH, ns(600))
    said = bar(600) if known else replace(bar(700), signals=())
    [message, _] = says([said], end=900)
    assert found.offer(message)
    assert found.first_after(0) is None
    [later, _] = says([bar(601)], end=900)
    found.offer(later)
    assert found.first_after(0) == bar(601)


def test_a_bar_counts_once_and_not_after_a_later_one():
    found = inbox(HASH)
    first, second = bar(600), bar(900)
    for said in (second, first, second, replace(second, close=second.close + 1)):
        [message, _] = says([said], end=1000)
        found.offer(message)
    assert [found.first_after(at) for at in (0, ns(900))] == [second, None]


def test_bars_that_are_known_at_one_instant_come_by_their_number():
    found = inbox(HASH)
    first = bar(600)
    second = replace(first, bar=replace(first.bar, ordinal=first.bar.ordinal + 1))
    for said in (first, second):
        [message, _] = says([said], end=1000)
        found.offer(message)
    assert found.known_at(ns(600)) == [first, second]


def test_a_later_bar_that_is_known_earlier_is_none():
    found = inbox(HASH)
    first = bar(600)
    second = replace(first, bar=replace(first.bar, ordinal=first.bar.ordinal + 1), known_at_ns=ns(600) - 1)
    for said in (first, second):
        [message, _] = says([said], end=1000)
        found.offer(message)
    assert found.first_after(0) == first
    assert found.first_after(ns(600)) is None


def test_an_inbox_is_full_at_its_capacity():
    found = inbox(HASH)
    first = bar(600)
    for number in range(CAPACITY):
        assert not found.full
        said = replace(first, bar=replace(first.bar, ordinal=first.bar.ordinal + number), known_at_ns=ns(600) + number)
        [message, _] = says([said], end=10_000)
        found.offer(message)
    assert CAPACITY == 1024
    assert found.full
    assert found.known_at(ns(600) + 1)
    assert not found.full  # the one before is decided


def test_a_bar_at_the_very_end_is_none_too_late():
    found = inbox(HASH)
    said, end = says([bar(600)], end=900)
    assert found.offer(said)
    assert found.offer(replace(end, progress_ns=ns(600)))
    late, _ = says([replace(bar(600), known_at_ns=ns(600) + 1)], end=900)
    with pytest.raises(RefusedMessage):
        found.offer(late)
    found = inbox(HASH)
    with pytest.raises(RefusedMessage, match="the tape ends at"):  # an end with a bar of its own
        found.offer(replace(late, progress_ns=ns(600), final=True))


# --- what was refused ---

WHY = RefusedMessage("unreadable", "no message")
REFUSED = RefusedSignal("subject", 1, "id", b"", WHY)


def test_nothing_counts_after_a_message_that_was_refused_and_the_first_refusal_stays():
    found = inbox(HASH)
    said, end = says([bar(600)], end=900)
    assert found.refuse(REFUSED)
    assert found.refuse(replace(REFUSED, sequence=2))
    assert found.refused == REFUSED
    assert [found.offer(message) for message in (said, end)] == [False, False]
    assert found.progress_ns == 0


def test_a_refusal_is_heard_when_all_that_was_said_before_it_is_decided():
    found = inbox(HASH)
    said, end = says([bar(600)], end=900)
    found.offer(replace(end, progress_ns=ns(700), final=False))
    assert found.refused_at(ns(800)) is None  # nothing was refused
    found.refuse(REFUSED)
    assert found.refused_at(ns(700) - 2) is None
    assert found.refused_at(ns(700) - 1) == REFUSED
    final = inbox(HASH)
    final.offer(said)
    final.offer(end)
    final.refuse(REFUSED)
    assert final.refused_at(ns(10_000)) is None  # it had said all that it had to


@pytest.mark.parametrize(("cleared_s", "counts"), [(699, True), (700, False), (701, False)])
def test_what_was_refused_up_to_a_fence_that_was_ended_has_been_looked_at(cleared_s: int, counts: bool):
    found = Inbox("default/mes", HASH, 0, ns(cleared_s))
    _, end = says([bar(600)], end=900)
    found.offer(replace(end, progress_ns=ns(700), final=False))
    assert found.refuse(REFUSED) is counts
    assert found.refused == (REFUSED if counts else None)


def test_the_first_word_of_all_may_be_refused():
    assert Inbox("default/mes", HASH, 0).refuse(REFUSED)
