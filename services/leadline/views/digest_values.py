"""The rows of which a digest is made, out of values, as a database gives them back."""

from dataclasses import asdict, fields, is_dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np

from leadline.execution.core.records import BookedFill
from leadline.model.bars import Bar
from leadline.model.ids import AccountId, StrategyId
from leadline.model.orders import Order
from leadline.model.proposals import Action, Decision, Direction, Proposal
from leadline.model.signals import BarSignals
from leadline.recorder.rows import signal_document
from leadline.views.digest import FIELDS

Row: TypeAlias = dict[str, Any]

_BAR_FIELDS: Final = tuple(name for name in FIELDS["bar"] if name not in {"bar_key", "trades", "rows"})
_PROPOSAL: Final = tuple(each.name for each in fields(Proposal))
_AS_THEY_ARE: Final = frozenset({int, str, tuple, Action, Direction})
_NOBODY: Final = {"account": AccountId(""), "strategy": StrategyId(""), "leg": ""}


def bar_row(bar: Bar) -> Row:
    """A bar with its footprint."""
    key, rows = bar.key.text(), bar.rows
    columns = (rows.price, rows.bid, rows.ask, rows.unknown, rows.bid_prints, rows.ask_prints, rows.unknown_prints)
    values = {name: getattr(bar, name) for name in _BAR_FIELDS}
    # Sums that a database keeps as decimals, for they outgrow its integers.
    large = {name: Decimal(values[name]) for name in ("vwap_price_volume", "vwap_price2_volume")}
    return {
        **_NOBODY,
        **values,
        **large,
        "trades": bar.prints,
        "bar_key": key,
        "sort": key,
        "at": bar.known_at_ns,
        "rows": np.ascontiguousarray(np.array(columns).T),
    }


def signal_row(account: AccountId, strategy: StrategyId, said: BarSignals) -> Row:
    """The signals and the regime of a strategy at a bar."""
    key, regime = said.bar.text(), said.regime
    return {
        "account": account,
        "strategy": strategy,
        "leg": "",
        "at": said.known_at_ns,
        "sort": key,
        "bar_key": key,
        "known_at_ns": said.known_at_ns,
        "close": said.close,
        "regime": None if regime is None else regime.regime.value,
        "confidence": None if regime is None else regime.confidence,
        "multiplier": None if regime is None else regime.multiplier,
        "reason": None if regime is None else regime.reason,
        "scores": None if regime is None else regime.scores,
        "inputs": None if regime is None else regime.inputs,
        "signals": [signal_document(signal) for signal in said.signals],
    }


def decision_row(account: AccountId, decision: Decision) -> Row:
    """A decision."""
    return {
        "account": account,
        "strategy": decision.strategy,
        "leg": "",
        "at": decision.instant_ns,
        "sort": decision.bar_key,
        "bar_key": decision.bar_key,
        "instant_ns": decision.instant_ns,
        "trading_day": decision.trading_day,
        "accepted": decision.accepted,
        "reason": decision.reason,
        "side": None if decision.side is None else decision.side.value,
        "quantity": decision.quantity,
        "contract": decision.contract,
        "type": decision.type.value,
        "price": decision.price,
        "valid_until_ns": decision.valid_until_ns,
        "bracket": None if decision.bracket is None else asdict(decision.bracket),
        "patterns": list(decision.patterns),
        "regime": decision.regime,
        "arithmetic": decision.arithmetic,
        "proposal": {name: _plain(getattr(decision.proposal, name)) for name in _PROPOSAL},
    }


def order_row(account: AccountId, order: Order, bar_key: str | None) -> Row:
    """An order as it stands; `bar_key` is its decision's, None where it has none."""
    return {
        "account": account,
        "strategy": order.strategy,
        "leg": order.leg,
        "at": order.decided_at_ns,
        "sort": bar_key,
        "bar_key": bar_key,
        "contract": order.contract,
        "side": order.side.value,
        "type": order.type.value,
        "quantity": order.quantity,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "filled": order.filled,
        "state": order.state.value,
        "reason": order.reason,
        "decided_at_ns": order.decided_at_ns,
    }


def fill_row(account: AccountId, booked: BookedFill, order: Order, bar_key: str | None) -> Row:
    """A fill of an order, as `order_row`."""
    fill = booked.fill
    return {
        "account": account,
        "strategy": booked.strategy,
        "leg": order.leg,
        "at": fill.time_ns,
        "sort": bar_key,
        "contract": fill.contract,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": fill.price,
        "ts_ns": fill.time_ns,
        "source_index": fill.source_index,
        "k": fill.k,
        "commission": fill.commission,
    }


def _plain(value: Any) -> Any:
    """A part of a proposal, as a document has it."""
    if value is None or type(value) in _AS_THEY_ARE:
        return value
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
