"""The trend of a series of bars: where its fast average stands against its slow one."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from leadline.model.manifest.spec_base import SpecModel, refused
from leadline.nodes.base import Allowed, Filter, Inputs, NodeContext
from leadline.nodes.exact import float_text
from leadline.nodes.indicators import ExponentialAverage


class TrendParams(SpecModel):
    """Entries with the trend only."""

    fast: Annotated[int, Field(ge=1, le=500)] = 9
    """Bars of the fast exponential average of the closes."""
    slow: Annotated[int, Field(ge=2, le=500)] = 21
    """Bars of the slow one; more than those of the fast one."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.slow <= self.fast:
            raise refused("slow of more bars than fast")
        return self


class Trend(Filter[TrendParams]):
    """Long entries while the fast average of the closes is above the slow one, short entries while it is below.

    Neither where both are equal, or before the slow one is there. The averages run across sessions.
    """

    name = "trend"
    params_model = TrendParams

    def __init__(self, params: TrendParams, context: NodeContext) -> None:
        super().__init__(params, context)
        self._fast = ExponentialAverage(params.fast)
        self._slow = ExponentialAverage(params.slow)

    @property
    def warm_up(self) -> int:
        """The bars of the slow average."""
        return self.params.slow

    def update(self, inputs: Inputs) -> Allowed:
        """The side of the trend at the bar's close."""
        fast, slow = self._fast.update(inputs.bar.close), self._slow.update(inputs.bar.close)
        if fast is None or slow is None:
            return Allowed(long=False, short=False)
        return Allowed(long=fast > slow, short=fast < slow, texts={"fast": float_text(fast), "slow": float_text(slow)})
