"""Ctrl-C within a run: its last words name what is held, behind what, and what else works."""

import pytest

from leadline.cli.left_open import account_sentences, run_sentences
from leadline.execution.v1.execution_pb2 import Order
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.views.convert import order_view
from leadline.views.left_open import RunLeftOpen, left_open_of
from leadline.views.values import OrderView, PositionView

PAPER = AccountId("default/paper")
FLOW = StrategyId("default/flow")


def order(leg: str, side: str, price: str = "", **other: object) -> OrderView:
    given = {"strategy": FLOW, "contract": "MESM2025", "quantity": 2, "state": "WORKING", **other}
    return order_view(Order(leg=leg, side=side, price=price, **given))  # type: ignore[arg-type]


def position(quantity: int) -> PositionView:
    return PositionView(FLOW, ContractId("MESM2025"), quantity, "6002.75", last_price="", open="0")


def left_open(positions: list[PositionView], working: list[OrderView]) -> list[str]:
    return list(account_sentences(left_open_of(PAPER, positions, working)))


ANY_MORE = "nothing of it trades any more"


def test_a_position_is_named_with_the_orders_that_protect_it():
    target, stop = order("T1", "SELL", "6008.75"), order("S1", "SELL", "5998.75", filled=1)
    (words,) = left_open([position(2)], [target, stop])
    held, behind = words.split(", protected by ")
    assert held == "default/flow on default/paper holds +2 MESM2025, average 6002.75"
    assert behind == "a stop (sell 1 at 5998.75) and a target (sell 2 at 6008.75)"


def test_a_position_without_protection_is_called_so():
    (words,) = left_open([position(-2)], [])
    assert words.endswith("holds -2 MESM2025, average 6002.75, WITHOUT PROTECTION: no stop and no target works for it")


def test_what_does_not_close_the_position_of_its_strategy_protects_nothing():
    others = [
        order("S1", "BUY", "6010.00"),
        order("S1", "SELL", "5990.00", contract="ESM2025"),
        order("S1", "SELL", "5990.00", strategy="default/other"),
    ]
    held, *working = left_open([position(2)], others)
    assert "WITHOUT PROTECTION" in held
    assert working == [
        "default/flow on default/paper has a stop (buy 2 at 6010.00) of MESM2025",
        "default/flow on default/paper has a stop (sell 2 at 5990.00) of ESM2025",
        "default/other on default/paper has a stop (sell 2 at 5990.00) of MESM2025",
    ]


def test_an_order_that_works_is_named_with_its_state_where_the_venue_has_not_said_that_it_does():
    entry, closing = order("E", "BUY", state="UNKNOWN"), order("F2", "SELL", state="PENDING_CANCEL")
    foreign = order("X", "SELL", "6000.00", strategy="")
    assert list(left_open([], [entry, closing, foreign])) == [
        "default/flow on default/paper has an entry (buy 2 at the market, state unknown) of MESM2025",
        "default/flow on default/paper has a closing order (sell 2 at the market, state pending cancel) of MESM2025",
        "nobody on default/paper has an order of somebody else (sell 2 at 6000.00) of MESM2025",
    ]


@pytest.mark.parametrize(
    ("goes_on", "over", "first", "last"),
    [
        (True, False, "run r-1 is not over: the same command goes on with it", "nothing of it trades before that"),
        (False, False, "run r-1 has ended before its accounts: the same command begins another run", ANY_MORE),
        (False, True, "run r-1 is over", ""),
    ],
)
def test_the_last_words_say_whether_the_same_command_goes_on_with_the_run(goes_on, over, first, last):
    account = left_open_of(PAPER, [position(2)], [])
    held = next(account_sentences(account))
    told = run_sentences(RunLeftOpen(RunId("r-1"), (account,), goes_on=goes_on, over=over))
    assert (told[0], told[-1]) == (first, last or held)
    assert held in told


def test_the_last_words_promise_nothing_that_a_part_stands_in_the_way_of():
    (first, *_) = run_sentences(RunLeftOpen(RunId("r-1"), (), goes_on=True, over=False), "analysis-default-flow")
    mended = "once the trouble with analysis-default-flow is mended"
    assert first == f"run r-1 is not over: {mended}, the same command goes on with it"
