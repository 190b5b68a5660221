"""The venue behind both ports of a loop: looked up, and exchanged for one that does otherwise."""

from dataclasses import replace

from leadline.execution.loop.deps import Deps
from leadline.execution.venues.both_ports import BothPorts, MatchingVenue


def venue_of(deps: Deps) -> MatchingVenue:
    """The venue of a world."""
    assert isinstance(deps.venue, BothPorts)
    return deps.venue.venue


def replace_venue(deps: Deps, venue: MatchingVenue) -> Deps:
    """The world with another venue."""
    assert isinstance(deps.venue, BothPorts)
    both = BothPorts(venue, deps.venue.contracts)
    return replace(deps, time=both, venue=both)
