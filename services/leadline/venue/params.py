"""Settings of the paper venue."""

from pydantic import Field

from leadline.model.ids import AccountId
from leadline.model.strict import ServiceParams


class VenueParams(ServiceParams):
    """Settings of the paper venue: the account (`namespace/name`) and how its manifest says that paper fills.

    `buffer_prints` is how many prints of a contract may wait in memory before reading stops; more than the largest
    session makes nothing faster.
    """

    account: AccountId
    fill_rule: str = "Pessimistic"
    slippage_ticks: int = Field(default=1, ge=0)
    latency_ns: int = Field(default=50_000_000, ge=0)
    native_brackets: bool = True
    pairs: bool = True
    buffer_prints: int = Field(default=262_144, ge=1)
