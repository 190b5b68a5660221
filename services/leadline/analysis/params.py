"""Settings of the analysis service."""

from typing import Annotated, Final

from pydantic import Field

from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import StrategySpec
from leadline.model.strict import ServiceParams

_FULL_NAME: Final = Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")


class AnalysisParams(ServiceParams):
    """Settings of one analysis: names as `namespace/name`, and the fields of the manifest that restart it."""

    account: Annotated[AccountId, _FULL_NAME]
    strategy: Annotated[StrategyId, _FULL_NAME]
    spec: StrategySpec
