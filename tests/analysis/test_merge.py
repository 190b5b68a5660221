"""Bars of several series have one order, and it is that of the instants at which they became known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.analysis.merge import SeriesMerge, merged
from leadline.model.bars import BarMessage
from leadline.model.ids import ContractId, RunId
from leadline.model.wire.bars import encode_bar
from tests.analysis.builders import candle

SERIES = ("fast", "trend", "main")
Said = tuple[str, BarMessage]


@cache
def told(known_ns: int, ordinal: int) -> BarMessage:
    bar = candle(10, 5, 7, ordinal=ordinal, known_at_ns=known_ns)
    return BarMessage(RunId("run-1"), "cme", ContractId("MESZ2025"), known_ns, final=False, bar=bar)


def promised(progress_ns: int, *, final: bool = False) -> BarMessage:
    return BarMessage(RunId("run-1"), "cme", ContractId("MESZ2025"), progress_ns, final=final, bar=None)


def bars_of(answers: Iterable[Said]) -> list[tuple[str, int]]:
    return [(series, message.bar.known_at_ns) for series, message in answers if message.bar is not None]


def as_bytes(answers: Iterable[Said]) -> list[tuple[str, bytes]]:
    return [(series, encode_bar(message)) for series, message in answers]


@st.composite
def series_messages(draw: st.DrawFn) -> list[BarMessage]:
    """What one builder tells: bars and progress, each promise kept, to the same end of the tape as all others.

    Some of them promise ahead, at most to the bar that follows.
    """
    messages, now_ns, ordinal = [], 0, 0
    for step, is_bar in draw(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12)):
        now_ns += step
        messages.append(told(now_ns, ordinal) if is_bar else promised(now_ns))
        ordinal += is_bar
    quiet_ns, said = 40, [promised(40, final=True)]
    for message in reversed(messages):
        said.insert(0, replace(message, quiet_until_ns=draw(st.sampled_from([0, quiet_ns]))))
        quiet_ns = quiet_ns if message.bar is None else message.bar.known_at_ns
    return said


tapes = st.tuples(*[series_messages()] * len(SERIES)).map(lambda found: dict(zip(SERIES, found, strict=True)))


def arriving(streams: Mapping[str, Sequence[BarMessage]], order: Iterable[int]) -> list[Said]:
    """What comes out of a merge whose streams have so much at hand as has arrived, each when it is its turn."""
    merge, out = SeriesMerge(tuple(streams)), list[Said]()
    at_hand: dict[str, list[BarMessage]] = {name: [] for name in streams}
    coming = {name: list(messages) for name, messages in streams.items()}

    def take_what_is_there() -> None:
        while at_hand[merge.wanted]:
            out.extend(merge.take(at_hand[merge.wanted].pop(0)))

    for number in order:
        name = tuple(streams)[number % len(streams)]
        if coming[name]:
            at_hand[name].append(coming[name].pop(0))
        take_what_is_there()
    for name, left in coming.items():
        at_hand[name] += left
    take_what_is_there()
    return out


@settings(max_examples=100, deadline=None)
@given(tapes, st.lists(st.integers(0, 2), max_size=60))
def test_whichever_series_arrives_first_the_same_bytes_come_out(streams, order) -> None:
    assert as_bytes(arriving(streams, order)) == as_bytes(merged(streams))


@settings(max_examples=100, deadline=None)
@given(tapes)
def test_every_bar_comes_out_once_by_its_instant_and_then_by_its_series(streams) -> None:
    all_bars = [
        (message.bar.known_at_ns, SERIES.index(name), message.bar.key.ordinal, name)
        for name, messages in streams.items()
        for message in messages
        if message.bar is not None
    ]
    assert bars_of(merged(streams)) == [(name, known_ns) for known_ns, _, _, name in sorted(all_bars)]


@settings(max_examples=100, deadline=None)
@given(tapes)
def test_what_is_promised_ahead_changes_no_bar_and_no_order(streams) -> None:
    plain = {name: [replace(each, quiet_until_ns=0) for each in messages] for name, messages in streams.items()}
    assert bars_of(merged(streams)) == bars_of(merged(plain))


@settings(max_examples=100, deadline=None)
@given(tapes)
def test_no_bar_follows_that_was_known_before_what_was_promised(streams) -> None:
    promised_ns = -1
    for _, message in merged(streams):
        assert message.progress_ns >= promised_ns
        promised_ns = message.progress_ns
        assert message.bar is None or message.bar.known_at_ns >= promised_ns
    assert (message.progress_ns, message.final) == (40, True)


@settings(max_examples=100, deadline=None)
@given(tapes, st.integers(0, 40))
def test_what_came_out_by_an_instant_does_not_depend_on_what_comes_later(streams, now_ns) -> None:
    cut = {
        name: [each for each in messages if each.bar is None or each.bar.known_at_ns <= now_ns]
        for name, messages in streams.items()
    }
    until = [one for one in bars_of(merged(streams)) if one[1] <= now_ns]
    assert bars_of(merged(cut)) == until


@settings(max_examples=60, deadline=None)
@given(series_messages())
def test_one_series_comes_out_as_it_is(messages) -> None:
    news, last = [], (-1, False)
    for message in messages:
        if message.bar is not None or (message.progress_ns, message.final) > last:
            news.append(("main", message if message.bar is not None else replace(message, quiet_until_ns=0)))
            last = max(last, (message.progress_ns, message.final))
    assert as_bytes(merged({"main": messages})) == as_bytes(news)


@settings(max_examples=60, deadline=None)
@given(tapes, st.sampled_from(SERIES), st.integers(0, 12), st.integers(0, 12))
def test_messages_that_are_told_again_change_no_bar(streams, name, end, start) -> None:
    start, end = min(start, end), max(start, end)
    again = {**streams, name: [*streams[name][:end], *streams[name][start:]]}
    assert bars_of(merged(again)) == bars_of(merged(streams))


def test_the_own_bar_comes_after_those_that_are_known_with_it() -> None:
    streams = {"trend": [told(60, 0), promised(61)], "main": [told(5, 0), told(60, 1), promised(61)]}
    assert bars_of(merged(streams)) == [("main", 5), ("trend", 60), ("main", 60)]


def test_the_own_bar_waits_until_no_other_can_be_known_with_it() -> None:
    merge = SeriesMerge(("trend", "main"))
    assert merge.take(promised(60)) == []
    assert merge.wanted == "main"
    assert bars_of(merge.take(told(60, 0))) == []
    assert merge.wanted == "trend"
    assert bars_of(merge.take(promised(61))) == [("main", 60)]


def test_the_own_bar_does_not_wait_for_a_series_that_has_promised_ahead() -> None:
    merge = SeriesMerge(("trend", "main"))
    merge.take(replace(promised(10), quiet_until_ns=60))
    assert bars_of(merge.take(told(59, 0))) == [("main", 59)]
    assert bars_of(merge.take(told(60, 1))) == []


def test_what_is_said_of_all_of_them_is_said_no_further_than_the_tape_is_read() -> None:
    merge = SeriesMerge(("trend", "main"))
    merge.take(replace(promised(10), quiet_until_ns=60))
    (said,) = merge.take(replace(promised(12), quiet_until_ns=55))
    assert as_bytes([said]) == as_bytes([("main", promised(12))])


def test_a_revision_is_left_out() -> None:
    revised = told(70, 1)
    assert revised.bar is not None
    revised = replace(revised, bar=replace(revised.bar, revision=1))
    assert bars_of(merged({"main": [told(60, 0), revised, promised(80, final=True)]})) == [("main", 60)]


def test_a_series_that_is_ahead_is_not_asked_for() -> None:
    merge = SeriesMerge(("trend", "main"))
    merge.take(promised(100))
    for number in range(3):
        assert merge.wanted == "main"
        merge.take(told(10 + number, number))


def whole(answers: Iterable[Said]) -> list[tuple[str, int | None, int, bool]]:
    """All that was said: series, when its bar is known, what it promises, and whether it is the last word."""
    return [
        (series, None if message.bar is None else message.bar.known_at_ns, message.progress_ns, message.final)
        for series, message in answers
    ]


def test_what_all_have_promised_is_told_once_and_the_end_when_all_have_ended() -> None:
    streams = {
        "trend": [told(60, 0), promised(130, final=True)],
        "main": [told(5, 0), promised(80), promised(80), promised(120, final=True)],
    }
    assert whole(merged(streams)) == [
        ("main", 5, 5, False),
        ("trend", 60, 60, False),
        ("main", None, 80, False),
        ("main", None, 130, True),
    ]


def test_a_bar_promises_no_more_than_its_own_message_and_ends_nothing_by_itself() -> None:
    early = replace(told(60, 0), progress_ns=50)
    last = replace(told(90, 1), progress_ns=70, final=True)
    assert whole(merged({"main": [early, last]})) == [
        ("main", 60, 50, False),
        ("main", 90, 70, False),
        ("main", None, 70, True),
    ]


def test_a_promise_of_less_than_before_takes_nothing_back() -> None:
    lower = [promised(70), promised(40), promised(65), promised(75, final=True), promised(80)]
    assert whole(merged({"main": lower})) == [
        ("main", None, 70, False),
        ("main", None, 75, True),
        ("main", None, 80, True),
    ]


def test_instants_before_1970_are_promised_like_any_other() -> None:
    assert whole(merged({"main": [promised(-5), promised(3, final=True)]})) == [
        ("main", None, -5, False),
        ("main", None, 3, True),
    ]


def test_a_bar_of_a_later_day_is_new_whatever_its_number_and_one_told_again_is_not() -> None:
    day = told(60, 3)
    assert day.bar is not None
    key = replace(day.bar.key, trading_day=day.bar.key.trading_day + timedelta(days=1), ordinal=0)
    later = replace(told(90, 0), bar=replace(day.bar, key=key, known_at_ns=90))
    again = [replace(day, progress_ns=95), replace(later, progress_ns=95)]
    assert bars_of(merged({"main": [day, later, *again, promised(99, final=True)]})) == [("main", 60), ("main", 90)]


def test_after_the_end_the_own_series_is_waited_for() -> None:
    merge = SeriesMerge(("trend", "main"))
    merge.take(promised(10, final=True))
    assert merge.wanted == "main"
    assert whole(merge.take(promised(20, final=True))) == [("main", None, 20, True)]
    assert merge.wanted == "main"
    assert merge.take(promised(20, final=True)) == []
