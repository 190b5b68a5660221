"""The clock and the prints of an account that is live, with their times as arguments."""

from decimal import Decimal

import pytest

from leadline.execution.venues import live_prints
from leadline.execution.venues.live_clock import SETTLING_S, LiveClock
from leadline.execution.venues.live_prints import LivePrints
from leadline.model.ids import LIVE, ContractId
from leadline.model.orders import Watch, WatchedPosition
from leadline.model.ticks import NS_PER_SECOND, TickBatch, TickColumns
from tests.execution.harness.builders import MES, NQ

S = NS_PER_SECOND


def test_a_clock_that_goes_on_is_believed():
    clock = LiveClock(100 * S, 5.0)
    assert [clock.look(100 * S + n * S, 5.0 + n) for n in range(3)] == [100 * S, 101 * S, 102 * S]
    assert clock.doubt == ""
    assert clock.look(103 * S + S // 20, 8.0) == 103 * S + S // 20  # somebody slews it
    assert clock.doubt == ""


def test_a_clock_that_is_set_back_stays_and_is_in_doubt_until_it_has_come_there_again():
    clock = LiveClock(100 * S, 0.0)
    assert clock.look(40 * S, 0.0) == 100 * S
    assert clock.doubt == "the clock was set back by 60.000 s"
    assert clock.look(99 * S, 59.0) == 100 * S
    assert clock.doubt == "the clock was set back by 1.000 s"
    assert clock.look(101 * S, 61.0) == 101 * S
    assert clock.doubt == ""


def test_a_clock_that_is_set_forward_is_followed_and_in_doubt_for_a_while():
    clock = LiveClock(100 * S, 0.0)
    assert clock.look(200 * S, 1.0) == 200 * S
    assert clock.doubt == "the clock was set by 99.000 s"
    clock.look(200 * S + int(SETTLING_S * S), 1.0 + SETTLING_S)
    assert clock.doubt == ""


@pytest.mark.parametrize(
    ("offset_ns", "doubt"),
    [
        (100_000_000, ""),
        (-100_000_000, ""),
        (100_000_001, "the clock is 0.100 s off the database's"),
        (-2 * S, "-2.000"),
    ],
)
def test_the_database_s_clock_may_differ_by_a_tenth_of_a_second(offset_ns: int, doubt: str):
    clock = LiveClock(100 * S, 0.0)
    clock.offset_ns = offset_ns
    assert doubt in clock.doubt
    assert bool(clock.doubt) == bool(doubt)


def batch(first: int, *rows: tuple[int, int], contract: ContractId = MES, late: bool = False) -> TickBatch:
    """Prints of one contract from rows (second, price)."""
    ticks = TickColumns.of([(second * S, price, 1, 0) for second, price in rows], first)
    return TickBatch(LIVE, "cme", contract, ticks, rows[-1][0] * S, late=late)


def below(price: int, contract: ContractId = MES) -> Watch:
    """A position of one contract without cost that falls to a price."""
    return Watch(Decimal(0), (WatchedPosition(contract, 1, Decimal(0), Decimal(1)),), at_or_below=Decimal(price))


def last(prints: LivePrints, now: int = 100) -> dict[ContractId, tuple[int, int]]:
    found = prints.last([MES, NQ], now * S)
    return {name: (each.time_ns // S, each.price) for name, each in found.items()}


def test_prints_count_once_in_their_order_and_late_ones_never():
    prints = LivePrints()
    assert prints.add(batch(5, (1, 100), (2, 101)))
    assert not prints.add(batch(5, (1, 100), (2, 101)))
    assert prints.add(batch(6, (2, 101), (3, 102)))
    assert not prints.add(batch(8, (1, 50), late=True))
    assert not prints.add(batch(7, (3, 102)))
    assert prints.add(batch(9, (4, 103)))  # a late one has had the number between
    assert not prints.crossed([below(99)])
    assert last(prints) == {MES: (4, 103)}
    assert last(prints, 3) == {MES: (3, 103)}  # of a clock that is ahead


def test_later_prints_count_whatever_their_numbers():
    prints = LivePrints()
    prints.add(batch(100, (1, 100), (2, 101)))
    assert prints.add(batch(40, (3, 102)))
    assert not prints.add(batch(40, (3, 102)))
    assert prints.add(batch(41, (3, 103)))
    assert not prints.crossed([])
    assert last(prints) == {MES: (3, 103)}


def test_a_watch_is_told_at_the_prints_that_crossed_it_although_the_price_has_come_back():
    prints = LivePrints()
    prints.add(batch(0, (1, 100), (2, 90), (3, 100)))
    prints.add(batch(3, (4, 80), (5, 100)))
    assert prints.crossed([below(90)])
    assert last(prints) == {MES: (2, 90)}
    assert prints.crossed([below(85)])
    assert last(prints) == {MES: (4, 80)}
    assert not prints.crossed([below(70)])
    assert last(prints) == {MES: (5, 100)}


def test_a_watch_on_two_contracts_has_the_last_prints_of_both():
    prints = LivePrints()
    positions = (WatchedPosition(MES, 1, Decimal(0), Decimal(1)), WatchedPosition(NQ, 1, Decimal(0), Decimal(1)))
    both = Watch(Decimal(0), positions, at_or_below=Decimal(150))
    prints.add(batch(0, (1, 10)))
    assert not prints.crossed([both])  # NQ has not printed
    prints.add(batch(0, (2, 200), contract=NQ))
    assert not prints.crossed([both, below(5)])
    prints.add(batch(1, (3, 140), contract=NQ))
    assert prints.crossed([both])


def test_an_account_that_stands_still_keeps_a_bounded_number_of_batches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live_prints, "MOST_BATCHES", 3)
    prints = LivePrints()
    for n in range(10):
        prints.add(batch(n, (n, 100 - n)))
    assert len(prints._waiting) == 3
    assert prints.crossed([below(98)])
    assert last(prints) == {MES: (7, 93)}


def test_a_contract_that_is_not_followed_any_more_is_forgotten():
    prints = LivePrints()
    prints.add(batch(0, (1, 100)))
    prints.add(batch(0, (1, 100), contract=NQ))
    prints.crossed([])
    prints.add(batch(1, (2, 101)))
    prints.forget(MES)
    assert not prints.crossed([below(1000)])
    assert last(prints) == {NQ: (1, 100)}
