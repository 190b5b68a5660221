"""The settings and the state under which a strategy is decided: its manifest, its account's, blocks and fence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from leadline.execution.core.account_settings import with_hot_fields
from leadline.execution.core.contracts import tiers_of
from leadline.execution.core.limits import manifest_limits, risk_limits
from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, calendar_of_spec, thresholds_of
from leadline.model.signals import Regime
from leadline.nodes.regime import RegimeScale, regime_scale
from leadline.nodes.regime_points import points_of
from leadline.nodes.router import RoutingTable, routing_table
from leadline.risk.view import tier_at
from leadline.views.explained import PointsView, RouterView
from leadline.views.limits_used import Limits
from leadline.views.signals import RegimeView

Manifests = Mapping[AccountId, TradingAccount]
"""The manifests of accounts, of those that are at hand."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A strategy on its account, as both stand now.

    limits: None where the strategy's manifest is not known. scale: of its regime, table: of its
    router, None likewise. block: in
    force for either, empty for none. fence: why nothing that the strategy says counts, else empty.
    """

    limits: Limits | None = None
    scale: RegimeScale | None = None
    table: RoutingTable | None = None
    block: str = ""
    fence: str = ""


async def standing_of(
    connection: Any, tape: str, account: AccountId, strategy: StrategyId, accounts: Manifests
) -> Standing:
    """How a strategy of a tape stands. accounts: manifests with which accounts were started."""
    row = await connection.fetchrow(
        """
        SELECT a.block AS of_account, a.settings, a.tier_index, s.block AS of_strategy, s.fence, s.manifest
        FROM account_state a LEFT JOIN strategy_state s ON s.tape = a.tape AND s.account = a.account AND s.strategy = $3
        WHERE a.tape = $1 AND a.account = $2
        """,
        tape,
        account,
        strategy,
    )
    if row is None:
        return Standing()
    fence = _json(row["fence"])
    manifest = accounts.get(account)
    if manifest is not None and row["settings"] is not None:
        manifest = with_hot_fields(manifest, _json(row["settings"]))
    own = None if row["manifest"] is None else TradingStrategy.from_manifest(_json(row["manifest"]))
    return Standing(
        limits=None if own is None else limits_of(own, manifest, row["tier_index"]),
        scale=None if own is None else scale_of(own),
        table=None if own is None else table_of(own),
        block=row["of_account"] or row["of_strategy"] or "",
        fence="" if fence is None else f"{fence['reason']}: {fence['detail']}",
    )


def limits_of(strategy: TradingStrategy, account: TradingAccount | None, tier_index: int) -> Limits:
    """The limits of a strategy and of its account, by their manifests."""
    return Limits(
        account=None if account is None else manifest_limits(account),
        tier=None if account is None else tier_at(tiers_of(account), tier_index),
        strategy=risk_limits(strategy),
        day_of=calendar_of_spec(strategy.spec).trading_day,
    )


def scale_of(strategy: TradingStrategy) -> RegimeScale:
    """The scale of the regime that a strategy reads from its own bars."""
    return regime_scale(thresholds_of(strategy.spec).typical_bar_volume)


def table_of(strategy: TradingStrategy) -> RoutingTable:
    """The router's table of a strategy."""
    return routing_table(strategy.spec.strategy.router)


def router_view(regime: RegimeView | None, table: RoutingTable | None) -> RouterView | None:
    """The rule of the router in a regime; None where either is not known."""
    if regime is None or table is None or regime.regime not in set(Regime):
        return None
    rule = table.rules.get(Regime(regime.regime))
    return RouterView(
        min_strength=str(table.min_strength),
        min_confidence=str(table.min_confidence),
        patterns=() if rule is None else tuple(each.value for each in rule.patterns),
        side="BOTH" if rule is None or rule.direction is None else rule.direction.value,
    )


def points_views(regime: RegimeView | None, scale: RegimeScale | None) -> tuple[PointsView, ...]:
    """The parts of a regime's scores; none where either is not known."""
    if regime is None or scale is None:
        return ()
    return tuple(
        PointsView(each.regime.value, each.condition, each.value, f"{each.points:.1f}", f"{each.most:.1f}")
        for each in points_of(regime.inputs, scale)
    )


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value
