"""What follows from a manifest is worked out once for each, and again when other rows of instruments are in force."""

import gc
import weakref
from dataclasses import dataclass, field

from leadline.model.manifest import own_markets
from leadline.model.remembered import MOST_KEPT, once_for_each


@dataclass(frozen=True)
class Subject:
    name: str


@dataclass
class Work:
    """Notes about which subjects it was asked."""

    asked: list[Subject] = field(default_factory=list)

    def __call__(self, subject: Subject) -> str:
        """The subject's name, in capitals."""
        self.asked.append(subject)
        if not subject.name:
            raise ValueError("no name")
        return subject.name.upper()


def test_the_work_is_done_once_for_each_object_and_again_for_one_that_equals_it():
    work, one, same = Work(), Subject("one"), Subject("one")
    capitals = once_for_each(work.__call__)

    assert [capitals(one), capitals(same), capitals(one)] == ["ONE", "ONE", "ONE"]
    assert [id(subject) for subject in work.asked] == [id(one), id(same)]


def test_an_error_is_not_kept():
    work, nameless = Work(), Subject("")
    capitals = once_for_each(work.__call__)

    for _ in range(2):
        try:
            capitals(nameless)
        except ValueError:
            continue
        raise AssertionError("a subject without a name has capitals")
    assert len(work.asked) == 2


def test_other_rows_of_instruments_let_the_work_be_done_again():
    work, one = Work(), Subject("one")
    capitals = once_for_each(work.__call__)
    capitals(one)

    own_markets.put_in_force(own_markets.in_force())

    assert capitals(one) == "ONE"
    assert len(work.asked) == 2


def test_no_more_than_so_many_objects_are_held():
    def capitals(subject: Subject) -> str:
        return subject.name.upper()

    ask = once_for_each(capitals)
    held: weakref.WeakSet[Subject] = weakref.WeakSet()

    def ask_of(name: str) -> None:
        subject = Subject(name)
        held.add(subject)
        ask(subject)

    for number in range(3 * MOST_KEPT):
        ask_of(str(number))
    gc.collect()

    assert 0 < len(held) <= MOST_KEPT
