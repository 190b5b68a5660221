"""What moves a stop and what counts in a queue, to the last print."""

import pytest

from leadline.model.ids import Leg, client_order_id
from leadline.model.orders import Side, Trailing
from leadline.venue.brackets import exits
from leadline.venue.fill_rules import trail_level, trailed
from tests.venue.builders import fills, market, ns, order, run, tape


def test_an_order_that_does_not_trail_is_moved_by_no_print():
    assert trailed(order(stop=19_990), 30_000) is None
    assert trailed(order(), 30_000) is None


@pytest.mark.parametrize(("side", "sign"), [(Side.SELL, 1), (Side.BUY, -1)])
def test_the_first_print_that_moves_a_stop_is_one_tick_more_than_its_offset_away(side: Side, sign: int):
    stop, begins = 20_000 - 10 * sign, 20_000 - 20 * sign
    resting = order(side=side, stop=stop, trail=Trailing(from_price=begins, offset_ticks=4))
    assert trail_level(resting) == stop + 5 * sign
    assert trailed(resting, stop + 4 * sign) is None
    assert trailed(resting, stop + 5 * sign) == stop + sign
    late = order(side=side, stop=stop, trail=Trailing(from_price=20_000, offset_ticks=4))
    assert trailed(late, 20_000 - sign) is None
    assert trailed(late, 20_000) == 20_000 - 4 * sign


def test_prints_that_a_limit_would_not_trade_at_are_not_in_its_queue():
    paper = market()
    paper.submit(order(at=1, limit=20_000))
    away = [(1.1 + n / 100, 20_001) for n in range(9)]
    assert fills(run(paper, tape([*away, (1.5, 20_000)]), 2)) == []
    more = tape([*away, (1.5, 20_000), *((2.1 + n / 100, 20_000) for n in range(9))])
    (fill,) = fills(run(paper, more, 3))
    assert fill.price == 20_000
    assert fill.time_ns > ns(2.1)


@pytest.mark.parametrize("leg", ["S1", "T1"])
def test_a_pair_of_exits_takes_the_first_attempt_of_which_neither_id_is_there(leg: str):
    paper, entry = market(), order(at=1, bracket=(8, 12))
    paper.submit(entry)
    (fill,) = fills(run(paper, tape([(1.5, 20_000)]), 2))
    assert entry.bracket is not None

    def ids(attempt: int) -> list[str]:
        return [client_order_id(entry.decision, Leg(name), attempt) for name in ("S1", "T1")]

    assert [made.client_id for made in exits(entry, fill, entry.bracket, ())] == ids(1)
    there = {client_order_id(entry.decision, Leg(leg), attempt) for attempt in (1, 2)}
    assert [made.client_id for made in exits(entry, fill, entry.bracket, there)] == ids(3)
