"""The block bootstrap of daily results: paths of whole blocks, the same on every machine, and figures by hand."""

from decimal import Decimal

from leadline.study.bootstrap import FEWEST_BLOCKS, PERCENTILES, resampled
from leadline.study.stress import streaks
from tests.report.builders import LOST, WON

D = Decimal
NETS = [D(value) for value in (100, -50, -80, 200, -30, 60, -10, 40)]


def test_the_days_themselves_are_as_in_the_worked_example() -> None:
    found = resampled(NETS[:5], 10, 1, 1)
    assert (found.own_net, found.own_drawdown) == (140, 130)


def test_a_path_has_as_many_days_in_blocks_of_successive_ones() -> None:
    # Eight days in blocks of two: each block's sum is that of two days that follow on one another, in a circle.
    pairs = {NETS[place] + NETS[(place + 1) % 8] for place in range(8)}
    sums = {a + b + c + d for a in pairs for b in pairs for c in pairs for d in pairs}
    found = resampled(NETS, 200, 2, 7)
    assert found.block == 2
    assert set(found.nets) <= sums
    assert len(set(found.nets)) > 20, "results vary"
    assert len(set(found.drawdowns)) > 20


def test_a_seed_draws_the_same_paths_everywhere() -> None:
    found = resampled(NETS, 100, 2, 7)
    assert found == resampled(NETS, 100, 2, 7)
    assert found.nets != resampled(NETS, 100, 2, 8).nets
    # Worked out once: another machine that drew other paths would show another table.
    assert [(found.drawdown(each), found.net(each)) for each in (5, 50, 95)] == DRAWN


DRAWN = [(D(30), D(-40)), (D(80), D(300)), (D(200), D(480))]


def test_percentiles_and_shares_are_those_of_the_paths() -> None:
    found = resampled(NETS, 100, 2, 7)
    for percent in PERCENTILES:
        assert sum(each <= found.drawdown(percent) for each in found.drawdowns) >= percent
        assert sum(each < found.drawdown(percent) for each in found.drawdowns) < percent
    assert found.losing == D(sum(each < 0 for each in found.nets)) / 100
    assert found.deeper == D(sum(each > found.own_drawdown for each in found.drawdowns)) / 100


def test_few_days_have_shorter_blocks() -> None:
    assert resampled(NETS, 1, 5, 1).block == len(NETS) // FEWEST_BLOCKS
    assert resampled(NETS[:2], 1, 5, 1).block == 1


def test_streaks_are_counted_by_their_length() -> None:
    trades = [WON, LOST, LOST, WON, LOST, WON, WON]
    assert streaks(trades, lambda trade: trade.net < 0) == ((1, 1), (2, 1))
    assert streaks(trades, lambda trade: trade.net > 0) == ((1, 2), (2, 1))
