"""A venue's quota: the shares of entries and exits to the message, and an account that keeps within it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.execution.core.throttle import Purpose, Throttle
from leadline.model.ticks import NS_PER_SECOND
from tests.execution.harness.builders import MES, account, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk

ENTER, PROTECT, LEAVE = Purpose


def taken(throttle: Throttle, purpose: Purpose, at_ns: int = 0) -> int:
    """How many messages of a purpose go at one instant."""
    return next(count for count in range(1000) if not throttle.take(purpose, at_ns))


@pytest.mark.parametrize(
    ("per_second", "enter", "protect", "leave"), [(10, 4, 3, 3), (20, 8, 6, 6), (3, 1, 1, 1), (5, 2, 1, 1)]
)
def test_each_purpose_has_its_share_and_exits_take_what_entries_have_left(
    per_second: int, enter: int, protect: int, leave: int
):
    assert taken(Throttle(per_second), ENTER) == enter
    assert taken(Throttle(per_second), PROTECT) == protect + enter
    assert taken(Throttle(per_second), LEAVE) == leave + protect + enter
    spent = Throttle(per_second)
    assert (taken(spent, ENTER), taken(spent, PROTECT), taken(spent, LEAVE)) == (enter, protect, leave)


def test_a_token_comes_back_in_its_time_and_not_a_nanosecond_before():
    throttle = Throttle(10)
    assert taken(throttle, ENTER) == 4
    ready = throttle.ready_ns(ENTER, 0)
    assert ready == NS_PER_SECOND // 4
    assert not throttle.take(ENTER, ready - 1)
    assert throttle.take(ENTER, ready)
    assert not throttle.take(ENTER, ready)


def test_a_bucket_holds_a_second_s_worth_however_long_nothing_was_sent():
    throttle = Throttle(10)
    assert taken(throttle, LEAVE) == 10
    assert taken(throttle, LEAVE, 3600 * NS_PER_SECOND) == 10


@given(
    st.integers(3, 50),
    st.lists(st.tuples(st.sampled_from(Purpose), st.integers(0, NS_PER_SECOND // 2)), max_size=200),
)
def test_no_second_has_more_than_twice_the_quota_and_entries_never_starve_exits(
    per_second: int, asked: list[tuple[Purpose, int]]
):
    throttle, now_ns, sent = Throttle(per_second), 0, list[tuple[int, Purpose]]()
    for purpose, passed_ns in asked:
        now_ns += passed_ns
        if throttle.take(purpose, now_ns):
            sent.append((now_ns, purpose))
        else:
            assert throttle.ready_ns(purpose, now_ns) > now_ns
    entries = [at for at, purpose in sent if purpose is ENTER]
    for end in [at for at, _ in sent]:
        within = [at for at, _ in sent if end - NS_PER_SECOND < at <= end]
        assert len(within) <= 2 * per_second + 3
        assert len([at for at in entries if end - NS_PER_SECOND < at <= end]) <= 2 * max(1, per_second * 4 // 10) + 1


async def test_an_account_refuses_entries_beyond_the_quota_and_leaves_all_the_same(books: Books, folder: Path):
    """Three messages a second: one entry, and cancels as they come."""
    prints = {MES: tape(*((600 + n / 2, 20_000) for n in range(400)))}
    signals = {"default/mes": says([bar(600.9), bar(601.1), bar(603)], end=800)}
    manifest = account(limits={"maxMessagesPerSecond": 3, "maxPosition": 9, "maxOpenTrades": 9, "dayLoss": "5000"})
    desk = Desk(books, folder, prints, signals, [strategy()], manifest=manifest, ends=800)
    session = desk.open()
    await session.until(700)
    session.close()
    assert [reason for *_, reason in await desk.decisions()] == ["", "max_messages_per_second", ""]
    session = desk.open()
    await session.start()
    await session.loop.flatten(strategy().full_name, "enough")
    await session.run()
    session.close()
    assert session.book.open_positions() == []
    assert session.halted == ""
    legs = [leg for leg, *_ in await desk.fills()]
    assert legs == ["E", "E", "F1"]
    assert session.book.live_orders() == []
