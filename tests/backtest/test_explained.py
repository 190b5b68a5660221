"""A trade of a backtest, told by what is kept of its cause."""

from dataclasses import replace

import pytest

from leadline.backtest.explained import explain_kept
from leadline.model.errors import InvalidInput
from leadline.model.ids import BacktestId, DecisionId, Leg, client_order_id
from leadline.views.explaining import asked_of
from tests.backtest.builders import DECIDED, account_result, backtest_result

RESULT = backtest_result()
KEPT = BacktestId("q323bdlxrl3s")
WON, LOST = account_result().trades


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("d1", "DECISION"),
        (client_order_id(DecisionId("d1"), Leg("E")), "ORDER"),
        (client_order_id(DecisionId("d1"), Leg("T2")), "ORDER"),
        (DECIDED.bar_key, "BAR"),
        ("mes@2025-06-10 13:40:01", "BAR"),
    ],
)
def test_a_trade_is_found_by_its_decision_an_order_of_it_its_bar_and_its_time(name: str, kind: str):
    found = explain_kept(asked_of(name, "UTC"), KEPT, RESULT)
    [at] = found.bars
    [decision] = at.decisions
    assert (found.kind, found.tape) == (kind, KEPT)
    assert (at.account, at.strategy, at.bar) == ("default/paper", "default/mes", DECIDED.bar_key)
    assert decision.summary == "Entered: buy 2 MESM2025 at 5000.25; closed by target, net +55.00."
    assert decision.arithmetic == {"size": "2"}
    assert decision.result is not None
    assert (decision.result.net, decision.result.exit_by) == ("55.00", "target")
    assert [(step.at_ns, step.after_ns, step.text) for step in decision.steps] == [
        (WON.entry_ns, None, "buy 2 MESM2025 at 5000.25"),
        (WON.exit_ns, WON.exit_ns - WON.entry_ns, "out by target at 5006.25"),
    ]


def test_its_bar_has_its_rows_the_highest_price_first():
    [at] = explain_kept(asked_of("d1", "UTC"), KEPT, RESULT).bars
    assert at.footprint is not None
    assert [(row.price, row.bid, row.ask) for row in at.footprint.rows] == [
        ("5000.50", 0, 7),
        ("5000.25", 1, 8),
        ("5000.00", 12, 3),
    ]
    assert (at.footprint.poc, at.footprint.open, at.footprint.start_ns) == ("5000.00", None, None)
    assert len(at.signals) == len(account_result().causes[0].signals)


def test_a_trade_whose_bar_is_not_kept_says_so():
    result = backtest_result(account_result(trades=(WON, replace(LOST, decision_id=DecisionId("d2")))))
    found = explain_kept(asked_of("d2", "UTC"), KEPT, result)
    assert found.bars[0].footprint is None
    assert found.missing[1] == "the bar of this entry is not kept"
    assert len(explain_kept(asked_of("d1", "UTC"), KEPT, result).missing) == 1


@pytest.mark.parametrize("name", ["d9", "L1", "MESM2025/rth/5m-r1/2025-06-10/99", "mes@2025-06-10 13:40:02"])
def test_an_id_that_means_no_trade_is_refused_with_those_that_do(name: str):
    with pytest.raises(
        InvalidInput, match=rf"ID: got '{name}', expected one that the backtest {KEPT} has: the id of a"
    ):
        explain_kept(asked_of(name, "UTC"), KEPT, RESULT)
