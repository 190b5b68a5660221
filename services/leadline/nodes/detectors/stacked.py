"""Stacked imbalances: neighbouring rows that one side outweighs."""

from collections.abc import Sequence
from typing import Final

from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import Detector, DetectorParams, Found, Inputs, Levels
from leadline.nodes.detectors.imbalance import Imbalance, ImbalancedRow
from leadline.nodes.exact import capped_quotient

# As strong as it gets.
FULL_STACK: Final = 5


class StackedParams(DetectorParams):
    """Imbalances of one side on neighbouring rows."""

    levels: Levels = 3
    """Fewest rows."""


class Stacked(Detector[StackedParams, Found]):
    """Imbalances of one side on neighbouring rows, each longest run once.

    The price is the top of a buy stack and the bottom of a sell stack.
    """

    name = "stacked"
    params_model = StackedParams
    patterns = (Pattern.STACKED_BUY_IMBALANCE, Pattern.STACKED_SELL_IMBALANCE)
    spans_sessions = True
    inputs = (Imbalance,)

    def update(self, inputs: Inputs) -> Found:
        """The stacks of the bar's imbalanced rows."""
        rows, step, levels = inputs.of(Imbalance), inputs.bar.ticks_per_row, self.params.levels
        up = [run for run in _runs(rows.buys, step) if len(run) >= levels]
        down = [run for run in _runs(rows.sells, step) if len(run) >= levels]
        return Found(
            [_stack(Pattern.STACKED_BUY_IMBALANCE, Direction.LONG, run[-1].row, run) for run in up]
            + [_stack(Pattern.STACKED_SELL_IMBALANCE, Direction.SHORT, run[0].row, run) for run in down]
        )


def _runs(found: Sequence[ImbalancedRow], step: int) -> list[list[ImbalancedRow]]:
    runs: list[list[ImbalancedRow]] = []
    for imbalance in found:
        if runs and imbalance.row == runs[-1][-1].row + step:
            runs[-1].append(imbalance)
        else:
            runs.append([imbalance])
    return runs


def _stack(pattern: Pattern, direction: Direction, price: int, run: Sequence[ImbalancedRow]) -> Signal:
    return Signal(
        pattern,
        direction,
        price,
        capped_quotient(len(run), FULL_STACK),
        {
            "rows": [imbalance.row for imbalance in run],
            "volumes": [imbalance.volume for imbalance in run],
            "against": [imbalance.against for imbalance in run],
        },
    )
