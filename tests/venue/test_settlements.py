"""A contract that is settled in cash: what is held of it ends, and what works in it."""

from typing import Final

from leadline.model.ids import ClientOrderId
from leadline.model.market.settlement import settlement_id, settles_at_ns
from leadline.model.orders import Fill, OrderState, Side, VenueOrder
from leadline.model.ticks import NS_PER_SECOND, TickColumns
from leadline.venue.fill_rules import FillRule, FillRules
from leadline.venue.matching import PaperMarket
from tests.venue.builders import BUY, ES, MES, SELL, fills, ns, order, run, tape, told

AFTER: Final = 3600
SETTLES: Final = (settles_at_ns(MES) or 0) // NS_PER_SECOND
DAY: Final = 86_400
"""MESZ2025 settles on 2025-12-19 at 09:30 in New York; times are seconds since 1970."""


def market() -> PaperMarket:
    return PaperMarket(FillRules(FillRule.PESSIMISTIC, 1, 0), ns(SETTLES - DAY))


def evening(*prices: int) -> TickColumns:
    """Prints of the last evening, a second apart, both sides."""
    return tape([(SETTLES - DAY + 10 + n, price, 5, BUY if n % 2 else SELL) for n, price in enumerate(prices)])


def test_a_position_is_closed_at_the_last_print_and_its_exits_end() -> None:
    paper = market()
    paper.submit(order(at=SETTLES - DAY, bracket=(400, 400)))
    events = run(paper, evening(20_000, 20_000, 20_040), SETTLES + AFTER)
    assert told(events)[-3:] == [("C", "FILLED", 1, 1), ("S1", "EXPIRED", 1, 0), ("T1", "EXPIRED", 1, 0)]
    assert {event.instant_ns for event in events[-3:]} == {ns(SETTLES)}
    settled = fills(events)[-1]
    assert (settled.client_id, settled.side, settled.quantity) == (settlement_id(MES), Side.SELL, 1)
    assert (settled.price, settled.time_ns, settled.source_index) == (20_040, ns(SETTLES), 2)
    assert paper.positions() == {}
    assert paper.live_orders() == ()


def test_a_short_is_bought_back_without_slippage() -> None:
    paper = market()
    paper.submit(order(side=Side.SELL, quantity=3, at=SETTLES - DAY))
    *_, settled = fills(run(paper, evening(20_000, 20_000, 19_990), SETTLES + AFTER))
    assert (settled.side, settled.quantity, settled.price) == (Side.BUY, 3, 19_990)


def test_nothing_happens_before_its_time_and_time_stops_at_it() -> None:
    paper = market()
    paper.submit(order(at=SETTLES - DAY))
    prints = {MES: evening(20_000, 20_000)}
    paper.advance(prints, ns(SETTLES - 1))
    while paper.instant_ns < ns(SETTLES - 1):
        paper.advance(prints, ns(SETTLES - 1))
    assert paper.positions() == {MES: 1}
    reached = paper.advance(prints, ns(SETTLES + AFTER))
    assert (reached.instant_ns, reached.stopped) == (ns(SETTLES), True)
    assert paper.advance(prints, ns(SETTLES + AFTER)).events == ()


def test_a_contract_that_another_ones_prints_price_settles_at_these() -> None:
    paper = market()
    paper.submit(order(contract=ES, tape_contract=MES, at=SETTLES - DAY))
    *_, settled = fills(run(paper, evening(20_000, 20_000, 20_012), SETTLES + AFTER))
    assert (settled.contract, settled.price) == (ES, 20_012)


def test_an_order_in_a_contract_that_has_settled_ends_at_once() -> None:
    paper = market()
    run(paper, evening(20_000), SETTLES + 10)
    late: VenueOrder = order(ClientOrderId("E9"), at=SETTLES + 10)
    paper.submit(late)
    run(paper, evening(20_000), SETTLES + AFTER)
    ended = paper.order(ClientOrderId("E9"))
    assert (ended.state, ended.reason, ended.filled) == (OrderState.EXPIRED, "its contract has settled", 0)


def test_a_market_that_is_made_again_from_its_steps_settles_the_same() -> None:
    paper, again = market(), market()
    paper.submit(order(at=SETTLES - DAY, bracket=(400, 400)))
    prints = {MES: evening(20_000, 20_000, 20_040)}
    while paper.instant_ns < ns(SETTLES - 60):
        paper.advance(prints, ns(SETTLES - 60))
    again.restore(paper.take_step())
    settled: list[list[Fill]] = [fills(run(each, prints, SETTLES + AFTER)) for each in (paper, again)]
    assert settled[0] == settled[1] != []
