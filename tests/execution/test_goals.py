"""What an account has set out to do is overdue once it is open for long, and then somebody is told."""

from dataclasses import replace

import pytest

from leadline.execution.adapters.metrics import Goals
from leadline.execution.core.book import UnitExit
from leadline.execution.core.goals import Goal, Overdue, open_goals
from leadline.model.ids import UNASSIGNED, AccountId, Leg, StrategyId
from leadline.model.orders import OrderState
from tests.execution.harness.books import book_of, order_of
from tests.measured import value

NAME = StrategyId("default/mes")
FLAT = Goal(NAME, "it is to be flat: out")


def test_what_leaves_and_orders_whose_word_is_awaited_are_open_goals():
    book, _ = book_of(position=1)
    assert list(open_goals(book)) == []
    book, _ = book_of(position=1, flatten="out", exits=(UnitExit("main", None, "exit"),))
    book.flatten = "news"
    unit = Goal(NAME, "its unit main is to leave: exit")
    assert list(open_goals(book)) == [Goal(UNASSIGNED, "the account is to be flat: news"), FLAT, unit]


@pytest.mark.parametrize("state", OrderState)
def test_an_order_is_an_open_goal_while_the_venue_has_not_said_what_became_of_it(state: OrderState):
    order = order_of(state, "S1")
    awaited = state in {OrderState.PENDING, OrderState.SENDING, OrderState.UNKNOWN, OrderState.PENDING_CANCEL}
    words = f"its order {order.client_id} (S1) is {state}"
    assert list(open_goals(book_of(order)[0])) == ([Goal(NAME, words)] if awaited else [])


def test_a_goal_is_overdue_after_ten_seconds_in_which_it_was_open_all_the_time():
    overdue = Overdue()
    assert [overdue.look([FLAT], second) for second in (100, 109, 110)] == [()] * 3
    assert overdue.look([FLAT], 110.1) == (FLAT,)
    assert overdue.look([], 111) == ()
    assert [overdue.look([FLAT], second) for second in (112, 122)] == [()] * 2
    assert overdue.look([FLAT], 122.1) == (FLAT,)


@pytest.mark.moves("leadline_overdue_goals")
def test_what_is_overdue_is_counted_and_said_of_whose_it_is():
    account = AccountId("default/overdue")
    goals = Goals(account)
    book, _ = book_of(order_of(OrderState.UNKNOWN), position=1, flatten="out")
    order = next(iter(book.orders.values()))
    foreign = order_of(OrderState.PENDING_CANCEL, "S2", strategy=UNASSIGNED)
    book.orders = {**book.orders, foreign.client_id: replace(foreign, leg=Leg("S2"))}
    for second, count in ((0, 0), (10, 0), (11, 3)):
        goals.look(book, second)
        assert value("leadline_overdue_goals", account=account) == count
    entry = f"its order {order.client_id} (E) is UNKNOWN"
    assert goals.of(NAME) == f"for more than 10 s it is to be flat: out and {entry}"
    assert goals.of(UNASSIGNED) == f"for more than 10 s its order {foreign.client_id} (S2) is PENDING_CANCEL"
    assert goals.of(StrategyId("default/other")) == ""
    goals.look(book_of()[0], 12)
    assert value("leadline_overdue_goals", account=account) == 0
    assert goals.of(NAME) == ""
