"""The clock of a live tape: it begins at a second of the day and runs at a rate, so that hours pass in seconds."""

from dataclasses import dataclass
from typing import Final

from leadline.model.ids import ContractId
from leadline.model.ticks import NS_PER_SECOND
from leadline.runtime.runs import LIVE_TAPE, Run
from tests.execution.harness.builders import DAY, ns

WALL_NS: Final = 1_749_560_000_000_000_000
"""Wall time at the beginning of a schedule."""


@dataclass(frozen=True)
class Clock:
    """The tape's clock: the second of the day that it shows at the start, and how many pass in one of the machine's."""

    begins: float
    rate: int

    def run(self, contracts: dict[ContractId, str]) -> Run:
        """The run that is announced with such a clock."""
        begins_ns = ns(self.begins)
        clock = (begins_ns - WALL_NS, self.rate, WALL_NS)
        return Run(LIVE_TAPE, "simulation", contracts, DAY, 0, (DAY,), (), begins_ns, False, "", *clock)

    def seconds_until(self, at_ns: int, now_s: float) -> float:
        """How long it is, on a machine whose schedule is so old, until the tape's clock shows a time."""
        return max(0.0, (at_ns - ns(self.begins)) / NS_PER_SECOND / self.rate - now_s)
