"""The queue's rule, without a clock."""

from hypothesis import given
from hypothesis import strategies as st

from leadline_operator.queue import LONGEST_DELAY_SECONDS, Schedule


def schedule(jitter: float = 1.0) -> Schedule[str]:
    return Schedule(lambda: jitter)


def test_a_name_stands_in_it_once():
    queue = schedule()
    queue.add("a", 0)
    queue.add("b", 1)
    queue.add("a", 2)
    assert queue.next(5) == ("a", 5)
    assert queue.next(5) == ("b", 4)
    assert queue.next(5) is None


def test_a_name_that_is_being_worked_on_is_worked_on_once_more_afterwards():
    queue = schedule()
    queue.add("a", 0)
    assert queue.next(0) == ("a", 0)
    queue.add("a", 1)
    queue.add("a", 2)
    assert queue.next(2) is None
    queue.done("a", 3)
    assert queue.next(3) == ("a", 0)
    queue.done("a", 3)
    assert queue.next(9) is None


def test_failures_come_back_after_1_2_4_8_seconds_and_at_most_300():
    queue, now, delays = schedule(), 0.0, []
    queue.add("a", now)
    for _ in range(11):
        taken = queue.next(now)
        assert taken is not None
        delays.append(queue.failed("a", now))
        assert queue.next(now + delays[-1] - 0.001) is None
        now += delays[-1]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST_DELAY_SECONDS, LONGEST_DELAY_SECONDS]


def test_success_makes_the_delays_short_again():
    queue = schedule()
    queue.add("a", 0)
    queue.next(0)
    queue.failed("a", 0)
    queue.next(1)
    queue.failed("a", 1)
    queue.next(3)
    queue.done("a", 3)
    queue.add("a", 4)
    queue.next(4)
    assert queue.failed("a", 4) == 1


def test_the_delay_is_spread():
    queue = schedule(jitter=1.2)
    queue.add("a", 0)
    queue.next(0)
    assert queue.failed("a", 0) == 1.2


def test_a_conflict_comes_back_at_once_and_a_named_time_is_kept():
    queue = schedule()
    queue.add("a", 0)
    queue.next(0)
    assert queue.failed("a", 0, retry_after=0) == 0
    assert queue.next(0) == ("a", 0)
    assert queue.failed("a", 0, retry_after=7) == 7
    assert queue.wakes_at() == 7
    assert queue.next(6.9) is None
    assert queue.next(7) == ("a", 0)


def test_a_change_does_not_wait_for_a_delay():
    queue = schedule()
    queue.add("a", 0)
    queue.next(0)
    queue.failed("a", 0, retry_after=300)
    queue.add("a", 1)
    assert queue.next(1) == ("a", 0)
    queue.done("a", 1)
    assert queue.wakes_at() is None


def test_of_two_times_the_earlier_one_counts():
    queue = schedule()
    queue.add_after("a", 30, 0)
    queue.add_after("a", 5, 0)
    queue.add_after("a", 60, 0)
    assert queue.wakes_at() == 5
    assert queue.next(5) == ("a", 0)
    queue.done("a", 5)
    assert queue.next(100) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "later", "take", "done", "fail"]), st.sampled_from("abc"), st.integers(0, 9)),
        max_size=60,
    )
)
def test_nothing_that_is_added_is_lost_and_nothing_is_worked_on_twice_at_a_time(steps):
    queue, working, owed = schedule(), set(), set()
    for now, (step, key, seconds) in enumerate(steps):
        if step == "add":
            queue.add(key, now)
            owed.add(key)
        elif step == "later":
            queue.add_after(key, seconds, now)
            owed.add(key)
        elif step == "take":
            taken = queue.next(now)
            if taken is not None:
                assert taken[0] not in working
                working.add(taken[0])
                owed.discard(taken[0])
        elif key in working:
            working.discard(key)
            if step == "fail":
                queue.failed(key, now)
                owed.add(key)
            else:
                queue.done(key, now)
    for key in sorted(working):
        queue.done(key, 1000)
    found = set()
    while (taken := queue.next(10_000)) is not None:
        found.add(taken[0])
        queue.done(taken[0], 10_000)
    assert owed <= found
