from dataclasses import replace

from leadline.aggregation.publication import Publication, coalesced, message_key
from leadline.model.bars import BarMessage
from tests.aggregation.builders import BUY, CONTRACT, TAPE, VENUE, at, batches, builder, run

ROWS = [(at(20 * n), 100 + n % 3, 1, BUY) for n in range(30)]


def messages(cuts=()):
    return run(builder("1m"), batches(ROWS, cuts, end_ns=at(900)))


def progress(ns, *, final=False):
    return BarMessage(TAPE, VENUE, CONTRACT, ns, final, None)


def keys(found):
    return [message_key(message) for message in found]


def test_a_first_life_tells_everything():
    told = Publication(None).unpublished(messages())
    assert keys(told) == keys(messages())


def test_after_any_message_a_second_life_tells_exactly_the_rest():
    everything = messages(cuts=range(0, 30, 2))
    for told, last in enumerate(everything, start=1):
        publication = Publication(last)
        assert publication.ended == last.final
        rest = [key for message in everything for key in keys(publication.unpublished([message]))]
        assert rest == keys(everything[told:]), f"after message {told}"


def test_a_second_life_may_cut_its_batches_otherwise():
    everything = messages(cuts=range(0, 30, 2))
    bars = [message_key(message) for message in everything if message.bar]
    for told, last in enumerate(everything, start=1):
        publication = Publication(last)
        rest = [m for message in messages() for m in publication.unpublished([message])]
        assert [message_key(m) for m in rest if m.bar] == bars[sum(m.bar is not None for m in everything[:told]) :]


def test_a_bar_of_the_very_instant_of_the_last_progress_is_told_again():
    first_bar = next(message for message in messages() if message.bar)
    publication = Publication(progress(first_bar.progress_ns))
    assert publication.unpublished([first_bar]) == [first_bar]
    assert Publication(progress(first_bar.progress_ns + 1)).unpublished([first_bar]) == []


def test_the_end_is_told_even_when_it_adds_no_time():
    end = progress(at(60), final=True)
    assert Publication(progress(at(60))).unpublished([end]) == [end]
    assert Publication(progress(at(60))).unpublished([progress(at(60))]) == []


def test_of_messages_told_together_only_the_last_progress_is_worth_telling():
    bar = next(message for message in messages() if message.bar)
    one, two, end = progress(1), progress(2), progress(3, final=True)
    assert coalesced([one, two]) == [two]
    assert coalesced([one, bar, two, bar, end]) == [bar, bar, end]
    assert coalesced([one, bar]) == [bar]


def test_keys_name_the_bar_or_the_progress():
    bar = next(message for message in messages() if message.bar)
    assert message_key(bar) == f"{CONTRACT}/rth/1m-r1/2025-11-20/0/0"
    assert message_key(progress(5)) == "progress/5/0"
    assert message_key(progress(5, final=True)) == "final/5/0"


def test_progress_that_promises_more_at_the_same_instant_is_another_message():
    more = replace(progress(5), quiet_until_ns=60)
    assert message_key(more) == "progress/5/60"
    assert Publication(progress(5)).unpublished([more]) == [more]
    assert Publication(more).unpublished([progress(5)]) == []
