"""Settings of the execution service."""

from typing import Annotated

from pydantic import Field, PlainSerializer

from leadline.model.ids import AccountId
from leadline.model.manifest.specs import TradingAccount
from leadline.model.strict import ServiceParams


class ExecutionParams(ServiceParams):
    """`account` is `namespace/name`; `manifest` the TradingAccount as written."""

    account: AccountId
    manifest: Annotated[TradingAccount, PlainSerializer(TradingAccount.to_manifest)]
    pause_seconds: float = Field(default=0.25, gt=0, le=10)
    """How long to wait before a part that did not answer is asked again."""
