"""What the analysis service is told at its start."""

from typing import Annotated, Final

from pydantic import Field

from leadline.model.ids import AccountId, StrategyId
from leadline.model.specs import StrategySpec
from leadline.model.strict import ServiceParams

_FULL_NAME: Final = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")


class AnalysisParams(ServiceParams):
    """What the service is told: names as `namespace/name`, and the fields of the manifest that restart it."""

    account: Annotated[AccountId, _FULL_NAME]
    strategy: Annotated[StrategyId, _FULL_NAME]
    spec: StrategySpec
