"""The base of every model that reads what somebody else wrote: frozen, and no field that it does not know."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Values that never change. A field that the model does not have is refused, so that no misspelt one is passed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceParams(StrictModel):
    """Settings of one kind of service; each kind has a model of its own."""

    def to_json(self) -> dict[str, Any]:
        """The values that were given, as plain JSON; what was left out stays the service's to choose."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class NoParams(ServiceParams):
    """The service is told nothing."""
