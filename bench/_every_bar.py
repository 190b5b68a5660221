"""The strategy of `bench.latency`: it looks at nothing, and enters at each bar whose number its parameter divides."""

from collections.abc import Mapping

from leadline.analysis.strategies import propose
from leadline.model.bars import Bar
from leadline.model.market.instruments import Instrument
from leadline.model.proposals import Action, Direction, Proposal
from leadline.model.signals import BarSignals


class EveryBar:
    """parameters: `every`, how many bars there are from one entry to the next."""

    def __init__(self, parameters: Mapping[str, object], instrument: Instrument) -> None:
        del instrument
        self._every = int(str(parameters["every"]))

    def warm(self, bar: Bar) -> None:
        """A bar of an earlier session: nothing to remember here."""

    def on_bar(self, bar: Bar) -> BarSignals:
        """The entry, where the bar has one."""
        if bar.key.ordinal % self._every:
            return propose(bar)
        return propose(bar, Proposal(Action.ENTER, Direction.LONG, why=("every",)))
