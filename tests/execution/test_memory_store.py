"""The store in memory by itself: who holds an account, its halts, and messages that were refused.

That PostgreSQL does the same is held in `test_stores.py`; what is kept of a book in `test_records.py`.
"""

from dataclasses import replace

import pytest

from leadline.execution.adapters.memory_store import MOST_REFUSED_PER_SUBJECT, MemoryStore
from leadline.execution.core.book import Book, Changes, RefusedSignal, put_order
from leadline.execution.core.halts import Clearing, StoredHalts
from leadline.execution.loop.ports import LEASE_SECONDS, Fenced, LimitRefused, Refused
from leadline.model.errors import RefusedMessage
from leadline.model.halts import Halt, HaltSource
from leadline.model.ids import AccountId, RunId
from leadline.model.orders import OrderState
from tests.execution.harness.books import book_of, order_of
from tests.execution.harness.builders import DAY, MES, account
from tests.execution.harness.stores import MemoryBooks

HALT = Halt(1, HaltSource.PERSON, "news", "ann", 1_700_000_000_123_456_789)
KEPT = replace(HALT, at_ns=1_700_000_000_123_456_000)


@pytest.fixture
def memory() -> MemoryBooks:
    return MemoryBooks()


def store_of(memory: MemoryBooks, holder: str = "execution-0", tape: RunId = RunId("tape")) -> MemoryStore:
    return memory.store(tape, account(), (MES,), DAY, holder)


async def taken(memory: MemoryBooks, holder: str = "execution-0") -> MemoryStore:
    store = store_of(memory, holder)
    assert await store.acquire()
    return store


async def write(store: MemoryStore, **changed: object) -> Book:
    book, changes = book_of()
    for name, value in changed.items():
        setattr(changes, name, value)
    await store.commit(book, changes)
    return book


# --- who holds it ---


async def test_each_taking_of_an_account_is_a_new_epoch(memory: MemoryBooks):
    store = store_of(memory)
    assert store.epoch == 0
    assert [(await store.acquire(), store.epoch) for _ in range(3)] == [(True, 1), (True, 2), (True, 3)]


async def test_an_account_is_another_s_when_its_holder_was_silent_for_longer_than_a_lease(memory: MemoryBooks):
    first, second = await taken(memory), store_of(memory, "execution-1")
    memory.clock_s += LEASE_SECONDS
    assert (await second.acquire(), second.epoch) == (False, 0)
    await first.renew()
    memory.clock_s += LEASE_SECONDS
    assert not await second.acquire()
    memory.clock_s += 0.001
    assert (await second.acquire(), second.epoch) == (True, 2)
    memory.clock_s += LEASE_SECONDS
    assert (await first.acquire(), first.epoch) == (False, 0)  # taking it begins a lease, too


async def test_the_same_holder_waits_for_nobody_after_its_restart(memory: MemoryBooks):
    await taken(memory)
    assert (await taken(memory)).epoch == 2


async def test_who_does_not_hold_the_account_writes_nothing(memory: MemoryBooks):
    book, changes = book_of()
    never = store_of(memory)
    before, after = await taken(memory), await taken(memory)
    for store in (never, before):
        for call in (store.renew(), store.commit(book, changes), store.commit(book, changes, lambda _: "no")):
            with pytest.raises(Fenced, match="another writer holds default/paper"):
                await call
    assert await after.load() is None
    put_order(book, changes, order_of(OrderState.FILLED))
    await after.commit(book, changes)
    assert await never.load() == book  # anybody may read
    assert await never.sent(1) == set(book.orders)


async def test_an_account_that_nobody_ever_took_is_nobody_s_to_write(memory: MemoryBooks):
    with pytest.raises(Fenced):
        await store_of(memory).renew()


# --- the limits, on what is written ---


async def test_a_check_sees_what_is_written_and_not_what_is_to_be(memory: MemoryBooks):
    store = await taken(memory)
    book = await write(store)
    seen: list[int] = []

    def check(written: Book) -> None:
        seen.append(written.trades)

    book.trades = 7
    await store.commit(book, Changes(), check)
    await store.commit(book, Changes(), check)
    assert seen == [0, 7]
    book.trades = 8
    with pytest.raises(LimitRefused) as refused:
        await store.commit(book, Changes(), lambda _: "busy")
    assert refused.value.reason == "busy"
    stored = await store.load()
    assert stored is not None
    assert stored.trades == 7


# --- halts ---


async def test_halts_are_the_account_s_on_whatever_tape_and_their_times_are_whole_microseconds(memory: MemoryBooks):
    store = await taken(memory)
    await write(store, halts=[HALT, replace(HALT, number=4)])
    other = store_of(memory, tape=RunId("other"))
    assert await other.halts([]) == StoredHalts(4, {1: (KEPT, False), 4: (replace(KEPT, number=4), False)})


async def test_no_halt_was_ever_given_a_number_before_the_first(memory: MemoryBooks):
    assert await store_of(memory).halts([1]) == StoredHalts(0, {})


async def test_a_cleared_halt_is_told_to_who_asks_for_it_by_number(memory: MemoryBooks):
    store = await taken(memory)
    await write(store, halts=[HALT, replace(HALT, number=2)])
    await write(store, cleared=[Clearing(HALT, "bob", "over", 5)])
    assert await store.halts([]) == StoredHalts(2, {2: (replace(KEPT, number=2), False)})
    assert await store.halts([1, 9]) == StoredHalts(2, {1: (KEPT, True), 2: (replace(KEPT, number=2), False)})


async def test_the_first_clearing_of_a_halt_stays_and_one_of_no_halt_is_nothing(memory: MemoryBooks):
    store = await taken(memory)
    first, second = Clearing(HALT, "bob", "over", 5), Clearing(HALT, "eve", "again", 6)
    await write(store, halts=[HALT], cleared=[first, second, Clearing(replace(HALT, number=9), "bob", "over", 5)])
    await write(store, cleared=[second])
    assert memory.database.halts == {"default/paper": {1: await _stored(memory, 1)}}
    assert (await _stored(memory, 1)).cleared == first  # type: ignore[attr-defined]


async def _stored(memory: MemoryBooks, number: int) -> object:
    return memory.database.halts[AccountId("default/paper")][number]


@pytest.mark.parametrize("numbers", [[0], [-1], [1], [2, 2]])
async def test_a_halt_without_a_number_of_its_own_is_refused_with_all_that_came_with_it(
    memory: MemoryBooks, numbers: list[int]
):
    store = await taken(memory)
    before = await write(store, halts=[HALT])
    halts = [replace(HALT, number=3), *(replace(HALT, number=number) for number in numbers)]
    book, changes = book_of()
    book.trades, changes.halts = 9, halts
    with pytest.raises(Refused, match=f"halt {numbers[0]} is there, or has no number"):
        await store.commit(book, changes)
    assert await store.load() == before
    assert await store.halts([]) == StoredHalts(1, {1: (KEPT, False)})


async def test_a_halt_is_not_kept_where_another_part_of_its_transaction_is_refused(memory: MemoryBooks):
    store = await taken(memory)
    book, changes = book_of()
    book.flatten, changes.halts = "\x00", [HALT]
    with pytest.raises(Refused):
        await store.commit(book, changes)
    assert await store.halts([]) == StoredHalts(0, {})


# --- messages that were refused ---


async def test_a_refused_message_is_kept_once_and_so_many_of_a_subject(memory: MemoryBooks):
    why = RefusedMessage("unreadable", "no message")
    said = [RefusedSignal("one", number, "id", f"{number // 2}".encode(), why) for number in range(260)]
    store = await taken(memory)
    await write(store, refused=[*said, RefusedSignal("two", 1, "id", b"0", why)])
    kept = memory.database.refused
    assert MOST_REFUSED_PER_SUBJECT == 100
    assert [message.sequence for message in kept["one"]] == list(range(0, 200, 2))
    assert [message.sequence for message in kept["two"]] == [1]
