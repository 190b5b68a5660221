"""What the analysis service is told at its start."""

from typing import Annotated

from pydantic import Field

from leadline.model.specs import StrategySpec
from leadline.model.strict import ServiceParams

FullName = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]


class AnalysisParams(ServiceParams):
    """What the service is told: names as `namespace/name`, and the fields of the manifest that restart it."""

    account: FullName
    strategy: FullName
    spec: StrategySpec
