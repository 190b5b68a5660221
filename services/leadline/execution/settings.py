"""What the execution service is told at its start."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ExecutionParams(BaseModel):
    """`account` is `namespace/name`; `manifest` the TradingAccount as written."""

    model_config = ConfigDict(extra="forbid")

    account: str
    manifest: dict[str, Any]
    pause_seconds: float = Field(default=0.25, gt=0, le=10)
    """How long to wait before a part that did not answer is asked again."""
