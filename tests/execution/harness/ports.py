"""The venue behind both ports of a loop: looked up, and exchanged for one that does otherwise."""

from dataclasses import replace

from leadline.execution.loop.world import World
from leadline.execution.venues.both_ports import BothPorts, MatchingVenue


def venue_of(world: World) -> MatchingVenue:
    """The venue of a world."""
    assert isinstance(world.venue, BothPorts)
    return world.venue.venue


def replace_venue(world: World, venue: MatchingVenue) -> World:
    """The world with another venue."""
    assert isinstance(world.venue, BothPorts)
    both = BothPorts(venue, world.venue.contracts)
    return replace(world, time=both, venue=both)
