"""The bars at which a new signal finds a winner of its direction, by hand."""

from dataclasses import replace

from leadline.backtest.market import Close
from leadline.execution.core.records import AccountRecords, BookedFill, WrittenOrder
from leadline.model.ids import ENTRY, ClientOrderId, ContractId, DecisionId, FillId
from leadline.model.orders import Fill, Order, OrderType, Side
from leadline.model.proposals import Action, Direction, Proposal
from leadline.study.adding import MOST_HELD, winning_bars
from tests.backtest.builders import DECIDED, TUESDAY
from tests.execution.harness.builders import ns

MES = ContractId(DECIDED.contract)
CLOSES = [Close(ns(at), MES, price, TUESDAY) for at, price in ((300, 20_000), (600, 20_010), (900, 19_990))]


def records(*decided: tuple[int, Direction | None], filled: tuple[tuple[int, Side, int, int], ...]) -> AccountRecords:
    """Decisions by second and direction; fills by second, side, quantity and price."""
    found = AccountRecords()
    for at, direction in decided:
        decision = replace(
            DECIDED,
            decision_id=DecisionId(f"d{at}"),
            bar_key=f"bar {at}",
            proposal=Proposal(Action.ENTER, direction),
            instant_ns=ns(at),
        )
        found.decisions[decision.decision_id] = decision
    for number, (at, side, quantity, price) in enumerate(filled, 1):
        client_id = ClientOrderId(f"o{number}")
        order = Order(
            client_id, DecisionId("d0"), ENTRY, DECIDED.strategy, MES, MES, side, OrderType.MARKET, quantity, ns(at)
        )
        fill = Fill(FillId(f"f{number}"), client_id, MES, side, quantity, price, ns(at), number, 1)
        found.orders[client_id] = WrittenOrder(order, 1)
        found.fills[fill.fill_id] = BookedFill(fill, DECIDED.strategy, number)
    return found


LONG, SHORT = Direction.LONG, Direction.SHORT
BOUGHT = (100, Side.BUY, 1, 20_000)


def test_a_winner_of_the_same_direction_may_grow() -> None:
    found = records((600, LONG), filled=(BOUGHT,))
    assert winning_bars(found, CLOSES) == ("bar 600",)


def test_the_other_direction_and_a_bar_without_one_add_nothing() -> None:
    assert winning_bars(records((600, SHORT), filled=(BOUGHT,)), CLOSES) == ()
    assert winning_bars(records((600, None), filled=(BOUGHT,)), CLOSES) == ()
    sold = (100, Side.SELL, 1, 20_000)
    assert winning_bars(records((600, LONG), (900, SHORT), filled=(sold,)), CLOSES) == ("bar 900",)


def test_a_loser_and_what_breaks_even_do_not_grow() -> None:
    assert winning_bars(records((300, LONG), (900, LONG), filled=(BOUGHT,)), CLOSES) == ()


def test_only_what_is_held_at_the_instant_counts() -> None:
    closed = (500, Side.SELL, 1, 20_020)
    assert winning_bars(records((600, LONG), filled=(BOUGHT, closed)), CLOSES) == ()
    later = (601, Side.BUY, 1, 20_000)
    assert winning_bars(records((600, LONG), filled=(later,)), CLOSES) == ()
    at_once = (600, Side.BUY, 1, 20_000)
    assert winning_bars(records((600, LONG), filled=(at_once,)), CLOSES) == ("bar 600",)


def test_nothing_grows_beyond_the_most() -> None:
    for held in (MOST_HELD - 1, MOST_HELD):
        found = records((600, LONG), filled=((100, Side.BUY, held, 20_000),))
        assert winning_bars(found, CLOSES) == (("bar 600",) if held < MOST_HELD else ())
