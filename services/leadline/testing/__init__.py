"""Try a strategy in a test of your own: a market, its bars, the account's loop and the paper venue in one process.

`simulated` makes prints, `prints` takes yours, and `replay` runs a strategy's manifest over them, at the paper venue or
at a venue of yours, which may listen to the `TapeTime` of the replay. What decides here is what decides in a run: only
the bus, the database and the processes are missing.
"""

from leadline.testing.market import prints, simulated
from leadline.testing.replay import Replay, replay
from leadline.testing.tape_time import TapeTime

__all__ = ["Replay", "TapeTime", "prints", "replay", "simulated"]
