"""The plan of a simulated session: how busy each minute is, and the legs on which the price moves.

Busy at the open and the close of regular hours and quiet at midday and overnight, with bursts; trends made of drives
and pullbacks, ranges, and volatile spells; at turning points now and then an absorption or an exhaustion.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np

from leadline.ingestion.draws import PER_MILLE, Draws
from leadline.model.ticks import Int64Array

# Prints per minute: at midday, at the open and the close of regular hours on top of that, and outside of them.
MIDDAY_PRINTS: Final = 60
EDGE_PRINTS: Final = 120
OVERNIGHT_PRINTS: Final = 10
BURST_PER_MILLE: Final = 25

# Minutes without a plan of their own at the end of a session: the price goes home to its target there.
HOMEWARD_MINUTES: Final = 45


class Episode(Enum):
    """The event at the end of a leg of the simulated path."""

    NONE = "none"
    ABSORPTION = "absorption"  # much is traded at the extreme, and it holds
    EXHAUSTION = "exhaustion"  # less and less is traded towards the extreme


@dataclass(frozen=True, slots=True)
class SessionShape:
    """Length of a session and where its regular hours lie, in minutes from its open; [regular_open, regular_close)."""

    minutes: int
    regular_open: int
    regular_close: int

    def is_regular(self, minute: int) -> bool:
        """Whether a minute lies in regular hours."""
        return self.regular_open <= minute < self.regular_close


@dataclass(frozen=True, slots=True)
class Leg:
    """One straight move: until `end_minute` by `ticks` (+ up, - down).

    `drive` legs are carried by one side; `episode` is what happens where the leg ends.
    """

    end_minute: int
    ticks: int
    drive: bool
    episode: Episode


def activity(shape: SessionShape, draws: Draws) -> Int64Array:
    """Prints in each minute of the session, shape (minutes,), >= 1."""
    minute = np.arange(shape.minutes, dtype=np.int64)
    length = max(shape.regular_close - shape.regular_open, 1)
    # From -1000 at the open of regular hours to 1000 at their close.
    position = (minute - shape.regular_open) * 2 * PER_MILLE // length - PER_MILLE
    regular = (minute >= shape.regular_open) & (minute < shape.regular_close)
    edge = EDGE_PRINTS * position * position // (PER_MILLE * PER_MILLE)
    awakening = np.clip(30 - (shape.regular_open - minute) // 3, 0, 30) * (minute < shape.regular_open)
    base = np.where(regular, MIDDAY_PRINTS + edge, OVERNIGHT_PRINTS + awakening)
    base = base * (60 + draws.below(81, shape.minutes)) // 100
    for start in np.flatnonzero(draws.below(PER_MILLE, shape.minutes) < BURST_PER_MILLE).tolist():
        base[start : start + draws.one(1, 4)] *= draws.one(2, 3)
    return np.maximum(base, 1)


def legs(shape: SessionShape, home_ticks: int, draws: Draws) -> Iterator[Leg]:
    """The legs of a session in order, without a gap, together exactly `home_ticks`."""
    minute, level = 0, 0
    last = shape.minutes - min(HOMEWARD_MINUTES, shape.minutes // 4)
    while minute < last:
        phase = _regular_phase if shape.is_regular(minute) else _overnight_phase
        for leg in phase(minute, level - home_ticks, draws):
            if leg.end_minute >= last:
                break
            minute, level = leg.end_minute, level + leg.ticks
            yield leg
        else:
            continue
        break
    yield Leg(shape.minutes, home_ticks - level, drive=False, episode=Episode.NONE)


def _regular_phase(minute: int, from_home: int, draws: Draws) -> Iterator[Leg]:
    kind = draws.one(1, 10)
    if kind <= 4:
        return _trend(minute, from_home, draws)
    return _range(minute, draws) if kind <= 9 else _volatile(minute, draws)


def _episode(draws: Draws) -> Episode:
    kind = draws.one(1, 10)
    if kind <= 4:
        return Episode.ABSORPTION
    return Episode.EXHAUSTION if kind <= 8 else Episode.NONE


def _upward(from_home: int, draws: Draws) -> bool:
    """The further above home, the less likely up."""
    return draws.chance(min(max(PER_MILLE // 2 - 3 * from_home, 100), 900))


def _trend(minute: int, from_home: int, draws: Draws) -> Iterator[Leg]:
    """Drives with the trend and shallower pullbacks against it: about 60 to 130 ticks in an hour."""
    way = 1 if _upward(from_home, draws) else -1
    end = minute + draws.one(45, 100)
    while minute < end:
        minute += draws.one(5, 9)
        yield Leg(minute, way * draws.one(14, 28), drive=draws.chance(500), episode=Episode.NONE)
        minute += draws.one(3, 5)
        yield Leg(minute, -way * draws.one(4, 11), drive=False, episode=_episode(draws))


def _range(minute: int, draws: Draws) -> Iterator[Leg]:
    """Swings between two edges that hold."""
    end = minute + draws.one(60, 120)
    width = draws.one(8, 16)
    way = 1 if draws.chance(500) else -1
    swing = width // 2
    while minute < end:
        minute += draws.one(5, 12)
        yield Leg(minute, way * (swing + draws.one(-2, 2)), drive=False, episode=_episode(draws))
        way, swing = -way, width


def _volatile(minute: int, draws: Draws) -> Iterator[Leg]:
    """Short and fast, either way."""
    end = minute + draws.one(10, 25)
    while minute < end:
        minute += draws.one(1, 3)
        way = 1 if draws.chance(500) else -1
        yield Leg(minute, way * draws.one(10, 26), drive=draws.chance(600), episode=_episode(draws))


def _overnight_phase(minute: int, from_home: int, draws: Draws) -> Iterator[Leg]:
    """Slow swings, drawn home."""
    minute += draws.one(15, 45)
    way = 1 if _upward(from_home, draws) else -1
    yield Leg(minute, way * draws.one(3, 14), drive=False, episode=Episode.NONE)
