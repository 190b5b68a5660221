"""A comparison names everything in which two backtests differ, and nothing else."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from leadline.backtest.comparison import Difference, FigureLine, compared
from leadline.backtest.documents import summary_document
from leadline.backtest.identity import Code, DataDay, Identity
from tests.backtest.builders import FIGURES, IDENTITY, MONDAY, TUESDAY, account_result

ONE = [summary_document(account_result())]
STRATEGY = "TradingStrategy default/mes-orderflow"


def with_strategy(**spec: Any) -> Identity:
    (strategy,) = IDENTITY.manifests["strategies"]
    changed = {**strategy, "spec": {**strategy["spec"], **spec}}
    return replace(IDENTITY, manifests={**IDENTITY.manifests, "strategies": [changed]})


def test_a_backtest_does_not_differ_from_itself():
    found = compared(IDENTITY, IDENTITY, ONE, ONE)
    assert (found.code, found.manifests) == ((), ())
    assert found.data.same == 2
    assert (found.data.changed, found.data.only_one, found.data.only_other, found.data.settings) == ((), (), (), ())
    assert {line.difference for line in found.figures if line.difference is not None} == {Decimal(0)}


def test_figures_stand_side_by_side_with_their_differences():
    other = summary_document(account_result(figures=replace(FIGURES, net=Decimal("-10.00"), sharpe=None)))
    lines = {line.figure: line for line in compared(IDENTITY, IDENTITY, ONE, [other]).figures}
    account, net = "default/paper", Decimal("26.25")
    assert lines["net"] == FigureLine(account, "net", net, Decimal("-10.00"), Decimal("-36.25"))
    assert lines["sharpe"] == FigureLine(account, "sharpe", Decimal("11.2250"), None, None)
    assert "sortino" not in lines, "neither has one"


def test_an_account_that_only_one_has_stands_alone():
    other = [*ONE, {**ONE[0], "account": "default/second"}]
    second = [line for line in compared(IDENTITY, IDENTITY, ONE, other).figures if line.account == "default/second"]
    assert second
    assert {line.one for line in second} == {None}


def test_each_field_of_a_manifest_is_named_with_both_values():
    (strategy,) = IDENTITY.manifests["strategies"]
    risk = {**strategy["spec"]["risk"], "maxOpenTrades": 7}
    other = with_strategy(bars="10m", risk=risk)
    before = strategy["spec"]["risk"].get("maxOpenTrades")
    assert compared(IDENTITY, other, ONE, ONE).manifests == (
        Difference(f"{STRATEGY}: spec.bars", "5m", "10m"),
        Difference(f"{STRATEGY}: spec.risk.maxOpenTrades", None if before is None else str(before), "7"),
    )


def test_a_list_differs_at_its_places_and_what_is_only_on_one_side_is_absent_on_the_other():
    one, other = with_strategy(x=[1, {"a": True}]), with_strategy(x=[1, {"a": False}, "new"])
    assert compared(one, other, ONE, ONE).manifests == (
        Difference(f"{STRATEGY}: spec.x[1].a", "true", "false"),
        Difference(f"{STRATEGY}: spec.x[2]", None, "new"),
    )


def test_days_are_the_same_or_others_or_on_one_side_alone():
    days = (DataDay("MESM2025", MONDAY, 6_000, "other"), DataDay("ESM2025", TUESDAY, 1, "new"))
    other = replace(IDENTITY, data=replace(IDENTITY.data, feed="file", settings={}, days=days))
    found = compared(IDENTITY, other, ONE, ONE).data
    assert found.same == 0
    assert found.changed == (("MESM2025", "2025-06-09"),)
    assert found.only_one == (("MESM2025", "2025-06-10"),)
    assert found.only_other == (("ESM2025", "2025-06-10"),)
    assert found.settings == (Difference("feed", "sim", "file"), Difference("seed", "1", None))


def test_code_differs_in_its_files_and_says_at_which_commit():
    other = replace(IDENTITY, code=Code("0.2.0", "t" * 32, "abc", dirty=True, others=(("breakout", "x"),)))
    assert compared(IDENTITY, other, ONE, ONE).code == (
        Difference("version", "0.1.0", "0.2.0"),
        Difference("sources", "s" * 32, "t" * 32),
        Difference("others.breakout", None, "x"),
        Difference("commit", None, "abc with changes"),
    )


def test_instruments_of_ones_own_are_named_by_their_fields():
    rows = {"instruments": {"BTCUSD": {"fee_rate": "0.0005"}}}
    one, other = (
        replace(IDENTITY, manifests={**IDENTITY.manifests, "instruments": each})
        for each in (rows, {"instruments": {"BTCUSD": {"fee_rate": "0.0006"}}})
    )
    found = compared(one, other, ONE, ONE).manifests
    assert found == (Difference("own.instruments.BTCUSD.fee_rate", "0.0005", "0.0006"),)


def test_another_range_is_no_difference_of_the_manifests():
    longer = {"first": MONDAY.isoformat(), "last": "2025-06-11"}
    found = compared(IDENTITY, replace(IDENTITY, manifests={**IDENTITY.manifests, "range": longer}), ONE, ONE)
    assert found.manifests == ()
    assert found.data.settings == (Difference("range.last", TUESDAY.isoformat(), "2025-06-11"),)
