"""The part of a strategy's manifest that decides: detectors, router, or a class of the image."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from leadline.model.signals import Pattern
from leadline.model.spec_base import FREE_FORM, DecimalText, SpecModel, Text, refused

Volume = Annotated[int, Field(ge=1, le=1_000_000_000)]
Levels = Annotated[int, Field(ge=1, le=50)]


class Imbalance(SpecModel):
    """Diagonal imbalances: one side's volume against the other side's one row away."""

    enabled: bool = True
    """Whether it looks."""
    ratio: DecimalText = Decimal("3.0")
    """The larger side must be at least this many times the smaller."""
    min_volume: Volume | None = None
    """Least volume of the larger side in size steps; the instrument's profile where absent."""
    zero: Literal["AsOne", "Skip", "Always"] = "AsOne"
    """What an empty other side counts as: one, no imbalance, or always an imbalance."""


class Stacked(SpecModel):
    """Imbalances of one side on neighbouring rows."""

    enabled: bool = True
    """Whether it looks."""
    levels: Levels = 3
    """Fewest rows."""


class Exhaustion(SpecModel):
    """One side's volume drying up towards the bar's extreme."""

    enabled: bool = True
    """Whether it looks."""
    levels: Levels = 3
    """Fewest rows that fall in a row."""
    within: Levels = 5
    """Among this many outermost rows."""
    drop: DecimalText = Decimal("0.30")
    """Least share by which the volume falls."""


class Absorption(SpecModel):
    """Heavy aggression at the bar's extreme that does not move the price further."""

    enabled: bool = True
    """Whether it looks."""
    levels: Levels = 3
    """Outermost rows taken together."""
    share: DecimalText = Decimal("0.60")
    """Least share of the aggressors in their volume."""
    min_volume: Volume | None = None
    """Least volume of these rows in size steps; the instrument's profile where absent."""


class Divergence(SpecModel):
    """A new extreme of price that delta does not confirm."""

    enabled: bool = True
    """Whether it looks."""
    lookback: Annotated[int, Field(ge=2, le=100)] = 5
    """Closed bars of one session, the current one included."""
    source: Literal["Bar", "Cumulative"] = "Bar"
    """Which delta is compared: the bar's own, or the session's running sum."""


class Unfinished(SpecModel):
    """Extremes at which both sides traded, listed until price comes back."""

    enabled: bool = True
    """Whether it looks."""
    keep: Annotated[int, Field(ge=1, le=50)] = 50
    """How many stay listed, the newest."""


class Detectors(SpecModel):
    """The detectors of order-flow patterns and their thresholds."""

    imbalance: Imbalance = Imbalance()
    """Diagonal imbalances."""
    stacked: Stacked = Stacked()
    """Stacked imbalances."""
    exhaustion: Exhaustion = Exhaustion()
    """Exhaustion."""
    absorption: Absorption = Absorption()
    """Absorption."""
    divergence: Divergence = Divergence()
    """Delta divergence."""
    unfinished: Unfinished = Unfinished()
    """Unfinished auctions."""


class RegimeRule(SpecModel):
    """What one regime allows; an absent field keeps the router's own table."""

    multiplier: DecimalText | None = None
    """Factor of the position size."""
    side: Literal["Long", "Short", "Both"] | None = None
    """Direction that may be traded."""
    patterns: Annotated[tuple[Pattern, ...], Field(max_length=16)] | None = None
    """Patterns that may be traded."""


class Regimes(SpecModel):
    """Overrides of the router's table, by regime."""

    trending_up: Annotated[RegimeRule | None, Field(alias="TRENDING_UP")] = None
    """Rule while the market trends up."""
    trending_down: Annotated[RegimeRule | None, Field(alias="TRENDING_DOWN")] = None
    """Rule while the market trends down."""
    ranging: Annotated[RegimeRule | None, Field(alias="RANGING")] = None
    """Rule while the market ranges."""
    volatile: Annotated[RegimeRule | None, Field(alias="VOLATILE")] = None
    """Rule while the market is volatile."""


class Router(SpecModel):
    """Which signals may trade in which regime."""

    min_strength: DecimalText = Decimal("0.5")
    """Least strength of a signal."""
    min_confidence: DecimalText = Decimal("0.6")
    """Least confidence in the regime."""
    regimes: Regimes | None = None
    """Overrides of the table."""


class Logic(SpecModel):
    """What decides: the built-in order-flow strategy, or a class of the image."""

    name: Literal["OrderFlow"] | None = None
    """A built-in strategy."""
    entry_point: (
        Annotated[str, Text(r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$", "module:Class", 256)] | None
    ) = None
    """A strategy class of the image, as `package.module:Class`."""
    detectors: Detectors = Detectors()
    """Detectors and thresholds."""
    router: Router = Router()
    """Regime and signal gates."""
    parameters: Annotated[dict[str, Any], Field(max_length=64, json_schema_extra=FREE_FORM)] = Field(
        default_factory=dict
    )
    """Free form, for the class of `entryPoint`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.name is None) == (self.entry_point is None):
            raise refused("either name or entryPoint")
        return self
