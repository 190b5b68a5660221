"""The regime of a series of bars as a filter: which sides it allows, and at how many times of the size."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from leadline.model.manifest.spec_base import DecimalText, SpecModel
from leadline.model.signals import Regime
from leadline.nodes.base import Allowed, Filter, Inputs, NodeContext
from leadline.nodes.regime import WARM_UP_BARS, RegimeNode


class RegimeSides(SpecModel):
    """Changes to the filter's rule of one regime; an absent field keeps the rule as it is."""

    side: Literal["Long", "Short", "Both", "Neither"] | None = None
    """Direction that may be entered."""
    multiplier: DecimalText | None = None
    """Factor of the position size, beside the router's own."""


class RegimesParams(SpecModel):
    """Entries by the regime of the series."""

    trending_up: Annotated[RegimeSides | None, Field(alias="TRENDING_UP")] = None
    """While the market trends up: Long, 1."""
    trending_down: Annotated[RegimeSides | None, Field(alias="TRENDING_DOWN")] = None
    """While the market trends down: Short, 1."""
    ranging: Annotated[RegimeSides | None, Field(alias="RANGING")] = None
    """While the market ranges: Both, 1."""
    volatile: Annotated[RegimeSides | None, Field(alias="VOLATILE")] = None
    """While the market is volatile: Both, 0.5."""
    no_trade: Annotated[RegimeSides | None, Field(alias="NO_TRADE")] = None
    """Near the open and the close, in thin volume, and before every input is there: Neither, 1."""


_OWN_TABLE: Final[Mapping[Regime, tuple[str, Decimal]]] = {
    Regime.TRENDING_UP: ("Long", Decimal(1)),
    Regime.TRENDING_DOWN: ("Short", Decimal(1)),
    Regime.RANGING: ("Both", Decimal(1)),
    Regime.VOLATILE: ("Both", Decimal("0.5")),
    Regime.NO_TRADE: ("Neither", Decimal(1)),
}


class Regimes(Filter[RegimesParams]):
    """The sides that the regime of the series allows, at the size that it allows."""

    name = "regimes"
    params_model = RegimesParams
    inputs = (RegimeNode,)

    def __init__(self, params: RegimesParams, context: NodeContext) -> None:
        super().__init__(params, context)
        self._rules = dict(_rules(params))

    @property
    def warm_up(self) -> int:
        """The regime's."""
        return WARM_UP_BARS

    def update(self, inputs: Inputs) -> Allowed:
        """The sides and the size that the regime at the bar's close allows."""
        reading = inputs.of(RegimeNode)
        side, multiplier = self._rules[reading.regime]
        texts = {"regime": reading.regime.value, "confidence": str(reading.confidence)}
        return Allowed(side in ("Long", "Both"), side in ("Short", "Both"), multiplier, texts)


def _rules(params: RegimesParams) -> Iterator[tuple[Regime, tuple[str, Decimal]]]:
    """The filter's own table with what the manifest has of it."""
    for regime, (side, multiplier) in _OWN_TABLE.items():
        given = getattr(params, regime.value.lower()) or RegimeSides()
        yield regime, (given.side or side, multiplier if given.multiplier is None else given.multiplier)
