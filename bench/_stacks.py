"""The strategy of `bench.nautilus` in Leadline: a class of one's own that reads two detectors of the catalogue.

The built-in `OrderFlow` asks for the regime before it trades a pattern, and has none before 32 bars. The comparison is
about the pattern alone.
"""

from collections.abc import Mapping
from dataclasses import replace

from leadline.analysis.strategies import one_entry, propose
from leadline.model.bars import Bar
from leadline.model.market.instruments import Instrument
from leadline.model.signals import BarSignals
from leadline.nodes.base import NOWHERE
from leadline.nodes.detectors.imbalance import Imbalance, ImbalanceParams
from leadline.nodes.detectors.stacked import Stacked, StackedParams
from leadline.nodes.graph import Graph


class Stacks:
    """Enters with stacked imbalances, each of them approved; where a bar has some of both sides, it enters on neither.

    parameters: `imbalance` and `stacked`, as the detectors of these names take them.
    """

    def __init__(self, parameters: Mapping[str, object], instrument: Instrument) -> None:
        del instrument
        imbalance = ImbalanceParams.model_validate(parameters["imbalance"])
        stacked = StackedParams.model_validate(parameters["stacked"])
        self._graph = Graph((Imbalance(imbalance, NOWHERE), Stacked(stacked, NOWHERE)))

    def warm(self, bar: Bar) -> None:
        """A bar of an earlier session: nothing to remember here."""

    def on_bar(self, bar: Bar) -> BarSignals:
        """The bar's stacks, and the entry on them."""
        stacks = [replace(each, approved=True) for each in self._graph.ask(bar).of(Stacked).signals]
        return propose(bar, *one_entry(stacks), signals=stacks)
