"""A strategy that gives every fault something to hit: it proposes at each bar, and leaves soon."""

from collections.abc import Mapping
from typing import Final

from leadline.analysis.strategies import propose
from leadline.model.bars import Bar
from leadline.model.market.instruments import Instrument
from leadline.model.orders import Bracket, Trail
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal, limit_at, stop_at
from leadline.model.signals import BarSignals

EXITS: Final = (Bracket(6, 6), Bracket(5, 10), Bracket(6, trail=Trail(2, 4)))
KINDS: Final = 8


class Often:
    """Entries of every kind in turn, now and then an exit; which one follows from the bar's number alone."""

    def __init__(self, parameters: Mapping[str, object], instrument: Instrument) -> None:
        pass

    def warm(self, bar: Bar) -> None:
        """Nothing to remember."""

    def on_bar(self, bar: Bar) -> BarSignals:
        """One proposal, or an exit and the entry that turns it round."""
        number = bar.key.ordinal
        side = Direction.LONG if number % 3 else Direction.SHORT
        exits = EXITS[number % len(EXITS)]
        entry = Proposal(Action.ENTER, side, self._terms(bar, side), exits, why=("often",))
        if number % KINDS == KINDS - 1:
            return propose(bar, Proposal(Action.EXIT), entry)
        return propose(bar, entry)

    def _terms(self, bar: Bar, side: Direction) -> EntryTerms | None:
        valid_ns = 2 * (bar.end_ns - bar.start_ns)
        match bar.key.ordinal % KINDS:
            case 2:
                return limit_at(bar.close - side.side.sign, valid_ns)
            case 5:
                return stop_at(bar.close + side.side.sign, valid_ns)
            case _:
                return None
