"""Thresholds of the detectors: plain values, complete, ready to use. Volumes and counts are at least 1."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class ZeroVolume(StrEnum):
    """What a row is compared with when nothing traded on the other side."""

    AS_ONE = "AsOne"
    SKIP = "Skip"
    ALWAYS = "Always"


class DeltaSource(StrEnum):
    """Which delta a divergence compares: that of each bar, or the session's running sum."""

    BAR = "Bar"
    CUMULATIVE = "Cumulative"


@dataclass(frozen=True, slots=True)
class ImbalanceSettings:
    """`ratio` of the larger to the smaller side; `min_volume` of the larger in size steps."""

    enabled: bool
    ratio: Fraction
    min_volume: int
    zero: ZeroVolume


@dataclass(frozen=True, slots=True)
class StackedSettings:
    """`levels`: the fewest imbalances in a row that make a stack."""

    enabled: bool
    levels: int


@dataclass(frozen=True, slots=True)
class ExhaustionSettings:
    """A run of at least `levels` among the outer `within` levels, falling by the share `drop` towards the extreme.

    `min_volume`: what the innermost level of the run must have traded, in size steps.
    """

    enabled: bool
    levels: int
    within: int
    drop: Fraction
    min_volume: int


@dataclass(frozen=True, slots=True)
class AbsorptionSettings:
    """The outer `levels` together, `share` of the aggressors among them, `min_volume` of both in size steps."""

    enabled: bool
    levels: int
    share: Fraction
    min_volume: int


@dataclass(frozen=True, slots=True)
class DivergenceSettings:
    """`lookback` bars of one session, the current one included; `source` of the deltas."""

    enabled: bool
    lookback: int
    source: DeltaSource


@dataclass(frozen=True, slots=True)
class UnfinishedSettings:
    """The newest `keep` auctions stay listed; `full_volume` in size steps on both sides is full strength."""

    enabled: bool
    keep: int
    full_volume: int


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """The thresholds of every detector of one strategy."""

    imbalance: ImbalanceSettings
    stacked: StackedSettings
    exhaustion: ExhaustionSettings
    absorption: AbsorptionSettings
    divergence: DivergenceSettings
    unfinished: UnfinishedSettings
