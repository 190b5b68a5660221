"""The subject of a study: the manifests that it varies, its days, its feed and its code."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from leadline.backtest.identity import Identity
from leadline.model.counted import counted
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.manifest.sweep import Variant
from leadline.study.rows import FilledOn


@dataclass(frozen=True, slots=True)
class Studied:
    """`identity` is that of a backtest of the manifests as they are, over the same traded days, `days` in number.

    `warnings` are what a reader may not expect of the variants.
    """

    identity: Identity
    days: int
    warnings: tuple[str, ...] = ()

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
            "warnings": list(self.warnings),
        }


def one_legged(strategies: Sequence[TradingStrategy], variants: Iterable[Variant]) -> tuple[str, ...]:
    """Which variants give a strategy without a bracket a stop and no target, or a target and no stop."""
    without = {each.full_name for each in strategies if each.spec.bracket is None}
    found: dict[tuple[str, str, str], list[int]] = {}
    for variant in variants:
        for strategy in variant.strategies:
            bracket = strategy.spec.bracket
            if strategy.full_name not in without or bracket is None:
                continue
            if bracket.stop_ticks is not None and bracket.target_ticks is None:
                found.setdefault((strategy.full_name, "stop", "target"), []).append(variant.number)
            elif bracket.stop_ticks is None and bracket.target_ticks is not None:
                found.setdefault((strategy.full_name, "target", "stop"), []).append(variant.number)
    return tuple(
        f"{counted(len(numbers), 'variant')} of {name} without a {lacking}: the manifest has no bracket, and the sweep "
        f"sets the {leg} alone; {lacking} and {leg} are the instrument's where a manifest has no bracket"
        for (name, leg, lacking), numbers in found.items()
    )
