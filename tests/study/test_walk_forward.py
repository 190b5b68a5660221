"""Walk-forward: which days a fold sees, what it chooses, and the equity that goes from one fold to the next."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from leadline.backtest.run import run_backtest
from leadline.model.errors import InvalidInput
from leadline.report.parts import Amount, Cell, Document, Section
from leadline.report.walk_forward import walk_forward_page
from leadline.study.engine import Study
from leadline.study.rows import row_of
from leadline.study.walk_forward import WalkForwardResult, Window, run_walk_forward, windows
from tests.study.builders import simulated, variants

DAYS = [date(2025, 6, day) for day in range(1, 8)]


def days(*numbers: int) -> Window:
    return Window(*(date(2025, 6, number) for number in numbers))


def test_folds_move_on_by_the_days_outside_and_the_last_may_have_fewer() -> None:
    assert windows(DAYS, 3, 2) == [days(1, 3, 4, 5), days(3, 5, 6, 7)]
    assert windows(DAYS[:6], 3, 2) == [days(1, 3, 4, 5), days(3, 5, 6, 6)]
    assert windows(DAYS, 6, 5) == [days(1, 6, 7, 7)]
    with pytest.raises(InvalidInput, match=r"inside: got 7, expected fewer days than the range has, which are 7"):
        windows(DAYS, 7, 1)


@pytest.fixture(scope="module")
def result() -> WalkForwardResult:
    every = variants(strategy__spec__strategy__router__minStrength=["0.4", "0.6"])
    return run_walk_forward(every, Study(simulated(3), None, None, 1, row_of), "net", 1, 1, lambda _: None)


def test_the_best_in_sample_trades_the_day_after(result: WalkForwardResult) -> None:
    every = variants(strategy__spec__strategy__router__minStrength=["0.4", "0.6"])
    fold = result.folds[0]
    nets = {}
    for variant in every:
        run = run_backtest(variant.accounts, variant.strategies, simulated(3), fold.window.first, fold.window.last)
        (account,) = run.accounts.values()
        nets[variant.number] = account.book.realised
    assert len(set(nets.values())) == 2
    assert fold.chosen.number == max(nets, key=lambda number: nets[number])
    assert fold.inside.figures.net == max(nets.values())
    assert (fold.window.then_first, [day.day for day in fold.outside.days]) == (date(2025, 6, 11), [date(2025, 6, 11)])


def test_the_account_goes_on_with_its_equity(result: WalkForwardResult) -> None:
    first, second = result.folds
    assert second.outside.start_equity == first.outside.days[-1].equity
    assert first.outside.start_equity == 2500
    assert result.net == result.days[-1].equity - 2500
    assert [day.day for day in result.days] == [date(2025, 6, 11), date(2025, 6, 12)]
    assert result.variants == 2


def test_what_is_open_at_the_end_of_a_fold_is_in_the_net_result_and_told(result: WalkForwardResult) -> None:
    first, second = result.folds
    figures = replace(first.outside.figures, net=first.outside.figures.net - 5, open_result=Decimal(5))
    held = replace(result, folds=(replace(first, outside=replace(first.outside, figures=figures)), second))

    assert (held.net, held.left_open, result.left_open) == (result.net, 5, 0)
    shown, plain = walk_forward_page(held), walk_forward_page(result)
    assert ("of it open at the ends of folds", Amount(Decimal(5), 2)) in figures_of(shown)
    assert "counts at its last price" in shown.warnings[0]
    assert "counts at its last price" not in plain.warnings[0]
    assert len(figures_of(plain)) == len(figures_of(shown)) - 1


def test_a_fold_in_which_no_variant_has_the_figure_is_told(result: WalkForwardResult) -> None:
    told = "In 2 folds no variant has a Sharpe ratio in sample: the first one was taken."
    assert told in walk_forward_page(replace(result, figure="sharpe")).warnings[0]
    assert "was taken" not in walk_forward_page(result).warnings[0]


def figures_of(page: Document) -> tuple[tuple[Cell, ...], ...]:
    (found,) = (part.rows for part in page.parts if isinstance(part, Section) and part.title.startswith("Out of"))
    return found
