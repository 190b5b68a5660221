"""Drawdowns and results of many other histories, made of blocks of the days that there were.

The circular block bootstrap (D. N. Politis and J. P. Romano, A Circular Block-Resampling Procedure for Stationary Data,
1992): each path is as long as the range and consists of blocks of consecutive days, drawn with replacement, where the
first day follows the last. Days within a block keep their order, so that what hangs together within a few days stays.
Both the drawdown and the final result vary; of a shuffle, which draws each day once, the final result would not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Final

from leadline.backtest.figures import max_drawdown
from leadline.model.manifest.sweep import number_below

FEWEST_BLOCKS: Final = 4
"""Blocks of a path: of fewer all paths would be much the same."""
PERCENTILES: Final = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True, slots=True)
class Resampled:
    """The paths of a bootstrap: the largest drawdown and the final result of each, both in order of size.

    Money, at the days' ends. `own_drawdown` and `own_net` are those of the days themselves.
    """

    days: int
    block: int
    seed: int
    drawdowns: tuple[Decimal, ...]
    nets: tuple[Decimal, ...]
    own_drawdown: Decimal
    own_net: Decimal

    def drawdown(self, percent: int) -> Decimal:
        """The drawdown that so many percent of the paths do not exceed."""
        return _percentile(self.drawdowns, percent)

    def net(self, percent: int) -> Decimal:
        """The final result that so many percent of the paths do not exceed."""
        return _percentile(self.nets, percent)

    @property
    def deeper(self) -> Decimal:
        """Share of the paths whose drawdown is larger than that of the days themselves."""
        return Decimal(sum(each > self.own_drawdown for each in self.drawdowns)) / len(self.drawdowns)

    @property
    def losing(self) -> Decimal:
        """Share of the paths that end below where they began."""
        return Decimal(sum(each < 0 for each in self.nets)) / len(self.nets)


def resampled(nets: Sequence[Decimal], iterations: int, block: int, seed: int) -> Resampled:
    """Paths of as many days as there are, out of the net results of the days, in order.

    block: days of a block, of which a path has `FEWEST_BLOCKS` at least: where the days are too few, blocks are
    shorter. The same seed draws the same paths on every machine.
    """
    assert nets
    assert iterations > 0
    block = min(block, max(1, len(nets) // FEWEST_BLOCKS))
    paths = [_path(nets, block, seed, number) for number in range(iterations)]
    return Resampled(
        len(nets),
        block,
        seed,
        tuple(sorted(_drawdown(path) for path in paths)),
        tuple(sorted(sum(path, Decimal(0)) for path in paths)),
        _drawdown(nets),
        sum(nets, Decimal(0)),
    )


def _path(nets: Sequence[Decimal], block: int, seed: int, number: int) -> list[Decimal]:
    found: list[Decimal] = []
    while len(found) < len(nets):
        start = number_below(len(nets), "block", str(seed), str(number), str(len(found)))
        found += [nets[(start + place) % len(nets)] for place in range(block)]
    return found[: len(nets)]


def _drawdown(nets: Sequence[Decimal]) -> Decimal:
    return max_drawdown(Decimal(0), accumulate(nets))


def _percentile(ordered: Sequence[Decimal], percent: int) -> Decimal:
    """The smallest value that at least so many percent are not above."""
    return ordered[max(-(-len(ordered) * percent // 100), 1) - 1]
