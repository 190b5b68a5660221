"""The subject of a study: the manifests that it varies, its days, its feed and its code."""

from dataclasses import dataclass
from typing import Any

from leadline.backtest.identity import Identity
from leadline.study.rows import FilledOn


@dataclass(frozen=True, slots=True)
class Studied:
    """`identity` is that of a backtest of the manifests as they are, over the same traded days, `days` in number."""

    identity: Identity
    days: int

    def document(self, filled_on: FilledOn) -> dict[str, Any]:
        """Plain values for the head of a study's document. filled_on: see `BacktestResult`."""
        found = self.identity.document()
        return {
            "backtest": self.identity.id,
            **found["manifests"]["range"],
            "days": self.days,
            "code": {**found["code"], **found["noted"]},
            "data": found["data"],
            "manifests": found["manifests"],
            "filled_on": [{"orders": order, "prints": tape} for order, tape in filled_on],
        }
