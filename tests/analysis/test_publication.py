"""What a strategy publishes, and how it goes on after a restart."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.analysis.fold import StrategyFold
from leadline.analysis.publication import Publication, message_key
from leadline.model.bars import Bar, BarMessage
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.signals import SignalMessage
from tests.analysis.builders import MINUTE, MONDAY, order_flow, random_tape

TRADED = MONDAY + timedelta(days=1)


def publication(last: SignalMessage | None = None, analysis_hash="this", ends_ns: int | None = None) -> Publication:
    fold = StrategyFold(order_flow, lambda day: day - timedelta(days=1), TRADED)
    return Publication(
        RunId("run-1"), AccountId("default/paper"), StrategyId("default/mes"), analysis_hash, fold, last, ends_ns
    )


def bar_message(bar: Bar, **fields) -> BarMessage:
    message = BarMessage(RunId("run-1"), "cme", bar.key.contract, bar.known_at_ns, final=False, bar=bar)
    return replace(message, **fields)


def progress(ns: int, *, final=False) -> BarMessage:
    return BarMessage(RunId("run-1"), "cme", ContractId("MESZ2025"), ns, final, None)


def stream(seed=1) -> list[BarMessage]:
    """A history session of 20 bars and a traded one of 20, with progress each five minutes and the tape's end."""
    messages = []
    for bar in random_tape(seed, days=2, bars_a_day=20):
        messages += [bar_message(bar), progress(bar.known_at_ns + MINUTE)]
    return [*messages, progress(messages[-1].progress_ns + MINUTE, final=True)]


def published(messages, one: Publication | None = None) -> list[SignalMessage]:
    one = one or publication()
    return [out for message in messages if (out := one.step(message)) is not None]


def test_every_bar_of_a_traded_session_has_one_message_and_history_has_only_progress() -> None:
    messages = stream()
    out = published(messages)
    assert len(out) == len(messages)
    assert all(message.bar is None for message in out[:40])
    assert [message.bar.bar for message in out if message.bar is not None] == [
        message.bar.key for message in messages[40:] if message.bar is not None
    ]


def test_progress_and_the_end_are_passed_on() -> None:
    messages = stream()
    out = published(messages)
    assert [message.progress_ns for message in out] == [message.progress_ns for message in messages]
    assert [message.final for message in out] == [False] * (len(out) - 1) + [True]


def test_a_message_says_who_speaks() -> None:
    first = published(stream())[0]
    assert (first.tape, first.account, first.strategy, first.analysis_hash) == (
        "run-1",
        "default/paper",
        "default/mes",
        "this",
    )


def test_progress_that_is_no_news_is_not_repeated() -> None:
    assert len(published([progress(5), progress(5), progress(4), progress(6)])) == 2


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 81))
def test_after_a_restart_it_goes_on_with_the_next_message(seed, cut) -> None:
    messages = stream(seed)
    whole = published(messages)
    before = whole[:cut]
    after = published(messages, publication(last=before[-1] if before else None))
    assert before + after == whole


def test_a_message_of_another_hash_stops_nothing() -> None:
    whole = published(stream())
    other = replace(whole[50], analysis_hash="other")
    assert published(stream(), publication(last=other)) == whole


@settings(max_examples=20)
@given(st.integers(0, 80), st.integers(0, 80))
def test_repeated_messages_of_the_bar_stream_are_not_published_again(start, end) -> None:
    messages = stream()
    start, end = min(start, end), max(start, end)
    assert published(messages[:end] + messages[start:]) == published(messages)


def test_a_bar_known_at_the_instant_of_the_last_progress_is_still_to_be_said() -> None:
    messages = stream()
    bar = messages[40].bar
    assert bar is not None
    at_the_instant = progress(bar.known_at_ns)
    told = published([*messages[:40], at_the_instant])
    rest = published([*messages[:40], at_the_instant, *messages[40:]], publication(last=told[-1]))
    assert rest[0].bar is not None
    assert rest[0].bar.bar == bar.key


def test_no_two_messages_of_a_subject_have_the_same_key() -> None:
    out = published(stream())
    keys = [message_key(message) for message in out]
    assert len(set(keys)) == len(keys)
    assert message_key(replace(out[45], analysis_hash="other")) != keys[45]


def test_where_another_contract_follows_progress_is_promised_no_further() -> None:
    messages = stream()
    ends_ns = messages[-1].progress_ns - MINUTE // 2
    one = publication(ends_ns=ends_ns)
    before = published(messages[:-1], one)
    passed = [one.passed]
    after = published(messages[-1:], one)
    assert [*passed, one.passed] == [False, True]
    assert [(message.progress_ns, message.final) for message in after] == [(ends_ns, False)]
    assert before == published(messages[:-1])


def test_the_contract_that_follows_says_nothing_of_the_time_before_it() -> None:
    messages = stream()
    ends_ns = messages[-1].progress_ns
    one = publication(ends_ns=ends_ns)
    first = published(messages, one)
    one.follow(StrategyFold(order_flow, lambda day: day - timedelta(days=1), TRADED), None)
    # Its own stream began earlier: what it said up to here is history.
    again = [message for message in published([replace(m, final=False) for m in messages], one) if message.bar is None]
    assert again == []
    end = published([progress(ends_ns + MINUTE, final=True)], one)
    assert [(message.progress_ns, message.final) for message in first[-1:] + end] == [
        (ends_ns, False),
        (ends_ns + MINUTE, True),
    ]


def test_a_contract_of_which_everything_is_said_is_not_read_again_after_a_restart() -> None:
    whole = published(stream())
    ends_ns = whole[50].progress_ns
    assert publication(last=whole[50], ends_ns=ends_ns).passed
    assert not publication(last=whole[49], ends_ns=ends_ns).passed
    assert not publication(last=replace(whole[50], analysis_hash="other"), ends_ns=ends_ns).passed
    assert not publication(last=whole[50]).passed
