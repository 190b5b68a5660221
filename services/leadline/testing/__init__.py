"""Try a strategy in a test of your own: a market, its bars, the account's loop and the paper venue in one process.

`simulated` makes prints, `prints` takes yours, and `replay` runs a strategy's manifest over them. What decides here is
what decides in a run: only the bus, the database and the processes are missing.
"""

from leadline.testing.market import prints, simulated
from leadline.testing.replay import Replay, replay

__all__ = ["Replay", "prints", "replay", "simulated"]
