"""The names that a backtest has in books and messages, which are its own alone."""

from typing import Final

from leadline.model.ids import RunId

TAPE: Final = RunId("tape")
"""The name of the tape in a book that is in memory alone."""
ANALYSIS: Final = "backtest"
"""The name of the one analysis that speaks in a backtest."""
