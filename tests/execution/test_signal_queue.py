"""What a strategy promises binds it.

A bar beyond the end that it has told would be waited for without end, and whether one from before its promise counts
would be chance. An honest analysis keeps its promises however often it is killed and says again what it has said.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.execution.core.book import RefusedSignal
from leadline.execution.loop.signal_queue import CAPACITY, SignalQueue
from leadline.model.errors import RefusedMessage
from leadline.model.ids import ContractId, StrategyId
from leadline.model.signals import SignalMessage
from tests.analysis.test_publication import publication, published, stream
from tests.execution.harness.builders import LONG, bar, ns, says, signal


def queue(analysis_hash: str) -> SignalQueue:
    return SignalQueue(StrategyId("default/mes"), analysis_hash, 0)


def test_a_bar_after_the_end_is_refused():
    said, end = says([bar(600)], end=900)
    found = queue(said.analysis_hash)
    assert found.push(said)
    assert found.push(end)
    late, _ = says([bar(1200)], end=2000)
    with pytest.raises(RefusedMessage, match=rf"ends at {ns(900)}, and a bar is known at {ns(1200)}"):
        found.push(late)
    assert found.first_after(ns(600)) is None


def test_an_end_before_a_bar_that_was_said_is_refused():
    said, end = says([bar(600)], end=900)
    found = queue(said.analysis_hash)
    assert found.push(said)
    with pytest.raises(RefusedMessage):
        found.push(replace(end, progress_ns=ns(500)))
    assert not found.final


def test_what_is_said_again_after_the_end_changes_nothing():
    said, end = says([bar(600)], end=900)
    found = queue(said.analysis_hash)
    for message in (said, end, said, end):
        found.push(message)
    assert found.final
    assert found.complete_through_ns is None
    assert found.known_at(ns(600)) == [said.bar]


# --- what is news, and what is a bar to decide on ---

HASH = says([], end=1)[0].analysis_hash


def test_a_bar_with_signals_is_news_and_waits_at_the_instant_at_which_it_is_known():
    found = queue(HASH)
    first, second = bar(600), bar(900)
    assert [found.push(message) for message in says([first, second], end=1000)] == [True, True, True]
    assert found.first_after(ns(600) - 1) == first
    assert found.first_after(ns(600)) == second
    assert found.first_after(ns(900)) is None
    assert found.known_at(ns(600)) == [first]
    assert found.known_at(ns(601)) == []
    assert found.known_at(ns(900)) == [second]


def test_what_another_analysis_says_is_no_news():
    found = queue("another")
    assert [found.push(message) for message in says([bar(600)], end=900)] == [False, False]
    assert (found.progress_ns, found.final, found.first_after(0)) == (0, False, None)


def test_progress_only_grows_and_is_news_when_it_does():
    said, end = says([bar(600)], end=900)
    found = queue(HASH)
    news = [replace(end, progress_ns=ns(at), final=False) for at in (700, 700, 650, 701)]
    assert [found.push(message) for message in news] == [True, False, False, True]
    assert found.progress_ns == ns(701)
    assert found.complete_through_ns == ns(701) - 1
    last = replace(end, progress_ns=ns(701))
    assert [found.push(message) for message in (last, last)] == [True, False]
    assert (found.final, found.complete_through_ns) == (True, None)
    assert said.progress_ns <= ns(600)


def test_nothing_was_promised_before_the_first_word():
    assert (queue(HASH).complete_through_ns, queue(HASH).full) == (-1, False)


@pytest.mark.parametrize("known", [False, True])
def test_a_bar_that_makes_no_decision_is_news_all_the_same(known: bool):
    """One without a proposal, and one that was known when the strategy joined."""
    found = SignalQueue(StrategyId("default/mes"), HASH, ns(600))
    said = bar(600) if known else replace(bar(700), proposals=())
    [message, _] = says([said], end=900)
    assert found.push(message)
    assert found.first_after(0) is None
    [later, _] = says([bar(701)], end=900)
    found.push(later)
    assert found.first_after(0) == bar(701)


def test_a_bar_counts_once_and_not_after_a_later_one():
    found = queue(HASH)
    first, second = bar(600), bar(900)
    for said in (second, first, second, replace(second, close=second.close + 1)):
        [message, _] = says([said], end=1000)
        found.push(message)
    assert [found.first_after(at) for at in (0, ns(900))] == [second, None]


def test_bars_that_are_known_at_one_instant_come_by_their_number():
    found = queue(HASH)
    first = bar(600)
    second = replace(first, bar=replace(first.bar, ordinal=first.bar.ordinal + 1))
    for said in (first, second):
        [message, _] = says([said], end=1000)
        found.push(message)
    assert found.known_at(ns(600)) == [first, second]


def test_a_queue_is_full_at_its_capacity():
    found = queue(HASH)
    first = bar(600)
    for number in range(CAPACITY):
        assert not found.full
        said = replace(first, bar=replace(first.bar, ordinal=first.bar.ordinal + number), known_at_ns=ns(600) + number)
        [message, _] = says([said], end=10_000)
        found.push(message)
    assert CAPACITY == 1024
    assert found.full
    assert found.known_at(ns(600) + 1)
    assert not found.full  # the one before is decided


def test_a_bar_at_the_very_end_is_none_too_late():
    found = queue(HASH)
    said, end = says([bar(600)], end=900)
    assert found.push(said)
    assert found.push(replace(end, progress_ns=ns(600)))
    late, _ = says([replace(bar(600), known_at_ns=ns(600) + 1)], end=900)
    with pytest.raises(RefusedMessage):
        found.push(late)
    found = queue(HASH)
    with pytest.raises(RefusedMessage, match="the tape ends at"):  # an end with a bar of its own
        found.push(replace(late, progress_ns=ns(600), final=True))


# --- what was refused ---

WHY = RefusedMessage("unreadable", "no message")
REFUSED = RefusedSignal("subject", 1, "id", b"", WHY)


def test_nothing_counts_after_a_message_that_was_refused_and_the_first_refusal_stays():
    found = queue(HASH)
    said, end = says([bar(600)], end=900)
    assert found.refuse(REFUSED)
    assert found.refuse(replace(REFUSED, sequence=2))
    assert found.refused == REFUSED
    assert [found.push(message) for message in (said, end)] == [False, False]
    assert found.progress_ns == 0


def test_a_refusal_is_heard_when_all_that_was_said_before_it_is_decided():
    found = queue(HASH)
    said, end = says([bar(600)], end=900)
    found.push(replace(end, progress_ns=ns(700), final=False))
    assert found.refused_at(ns(800)) is None  # nothing was refused
    found.refuse(REFUSED)
    assert found.refused_at(ns(700) - 2) is None
    assert found.refused_at(ns(700) - 1) == REFUSED
    final = queue(HASH)
    final.push(said)
    final.push(end)
    final.refuse(REFUSED)
    assert final.refused_at(ns(10_000)) is None  # it had said all that it had to


@pytest.mark.parametrize(("cleared_s", "counts"), [(699, True), (700, False), (701, False)])
def test_what_was_refused_up_to_a_fence_that_was_ended_has_been_looked_at(cleared_s: int, counts: bool):
    found = SignalQueue(StrategyId("default/mes"), HASH, 0, ns(cleared_s))
    _, end = says([bar(600)], end=900)
    found.push(replace(end, progress_ns=ns(700), final=False))
    assert found.refuse(REFUSED) is counts
    assert found.refused == (REFUSED if counts else None)


def test_the_first_word_of_all_may_be_refused():
    assert SignalQueue(StrategyId("default/mes"), HASH, 0).refuse(REFUSED)


# --- what it has promised, and what it says again ---


def promise(until: float) -> SignalMessage:
    return replace(says([], end=until)[0], final=False)


@pytest.mark.parametrize("account_at", [0, 700, 850])
def test_a_bar_from_before_a_promise_is_refused_wherever_the_account_stands(account_at: float):
    first, late = (says([bar(second)], end=2000)[0] for second in (600, 800))
    found = queue("hash")
    found.push(first)
    found.push(promise(900))
    found.known_at(ns(account_at))
    with pytest.raises(RefusedMessage, match=rf"nothing before {ns(900)} was to follow.* known at {ns(800)}") as why:
        found.push(replace(late, progress_ns=ns(700)))
    assert why.value.reason == "progress"
    assert found.first_after(ns(600)) is None


def test_a_bar_at_the_very_instant_of_a_promise_counts():
    found = queue("hash")
    found.push(promise(900))
    said, _ = says([bar(900)], end=2000)
    assert found.push(said)
    assert found.known_at(ns(900)) == [said.bar]


def test_a_bar_that_is_known_before_the_bar_before_it_is_refused():
    """No promise was made here: bars close one after the other."""
    found = queue("hash")
    first, _ = says([bar(600)], end=2000)
    later = replace(bar(700), known_at_ns=ns(599))
    found.push(replace(first, progress_ns=0))
    with pytest.raises(RefusedMessage, match=rf"/700 is known at {ns(599)}.*/600, .* at {ns(600)}") as why:
        found.push(replace(first, bar=later, progress_ns=0))
    assert why.value.reason == "known_at"


def test_the_month_that_follows_may_be_known_before_the_last_bar_of_the_month_before():
    """On a market that never closes the last bar is known up to two seconds after the first of the next month began."""
    found = queue("hash")
    last, _ = says([bar(601.5)], end=2000)
    first, _ = says([bar(602, contract=ContractId("MESU2025"))], end=2000)
    assert first.bar is not None
    first = replace(first, progress_ns=ns(600), bar=replace(first.bar, known_at_ns=ns(601)))
    found.push(replace(last, progress_ns=ns(600)))
    found.push(first)
    assert found.first_after(ns(600)) == first.bar
    assert found.known_at(ns(601)) == [first.bar]
    assert found.known_at(ns(601.5)) == [last.bar]


def test_what_is_said_again_after_a_promise_changes_nothing_in_whatever_words():
    first, second = (says([bar(known)], end=2000)[0] for known in (600, 800))
    found = queue("hash")
    assert second.bar is not None
    other = replace(second, bar=replace(second.bar, known_at_ns=ns(650), signals=(signal(), signal())))
    for message in (first, second, promise(900), first, second, other, promise(850)):
        found.push(message)
    assert (found.progress_ns, found.known_at(ns(800))) == (ns(900), [second.bar])


def loud(message: SignalMessage) -> SignalMessage:
    """The message with a signal at its bar, so that it is one to decide."""
    return message if message.bar is None else replace(message, bar=replace(message.bar, signals=(signal(LONG),)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 81), st.integers(0, 81), st.lists(st.booleans(), min_size=164, max_size=164))
def test_an_analysis_that_is_killed_or_doubled_is_never_refused_and_is_heard_as_one(cut: int, since: int, turns):
    """A second life begins behind any message of the first, also while that still speaks, and says the rest again."""
    whole = published(stream())
    cut, since = min(cut, since), max(cut, since)
    first = iter(whole[cut:since])
    second = iter(published(stream(), publication(last=whole[cut - 1] if cut else None)))
    told = [*whole[:cut]]
    for turn in turns:
        told += [message for message in (next(first if turn else second, None),) if message is not None]
    told += [*first, *second]
    straight, doubled = queue("this"), queue("this")
    for message in whole:
        straight.push(loud(message))
    for message in told:
        doubled.push(loud(message))
    assert (
        (doubled.final, doubled.progress_ns) == (straight.final, straight.progress_ns) == (True, straight.progress_ns)
    )
    known = [message.bar.known_at_ns for message in whole if message.bar is not None]
    assert known
    assert [doubled.known_at(at) for at in known] == [straight.known_at(at) for at in known]
