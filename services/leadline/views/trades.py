"""From fills to trades: a trade lasts from flat to flat, and belongs to the decision that opened it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from leadline.execution.core.positions import apply_fill, flat
from leadline.model.ids import NO_DECISION, ClientOrderId, ContractId, DecisionId, LegKind, StrategyId
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import Fill, Order, Position, Side

_EXITS: Final = {LegKind.STOP: "stop", LegKind.TARGET: "target", LegKind.SETTLEMENT: "settlement"}


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip. Prices are averages in ticks, for display; money is exact and in the account's currency.

    `exit_by` says what closed it: stop, target, settlement of the contract, or the reason of the flattening.
    `decision_id` is the decision whose entry opened it, empty where nobody knows it.
    """

    strategy: StrategyId
    contract: ContractId
    pattern: str
    regime: str
    side: Side
    quantity: int
    entry_ns: int
    entry_price: Decimal
    exit_ns: int
    exit_price: Decimal
    exit_by: str
    result_ticks: Decimal
    gross: Decimal
    commission: Decimal
    decision_id: DecisionId = NO_DECISION

    @property
    def net(self) -> Decimal:
        """Result after commission."""
        return self.gross - self.commission


@dataclass(frozen=True, slots=True)
class Reasons:
    """The strongest pattern and the regime of a decision."""

    pattern: str
    regime: str


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """Cash equity after a fill."""

    time_ns: int
    equity: Decimal


def trades_of(
    fills: Iterable[tuple[StrategyId, Fill]],
    orders: Mapping[ClientOrderId, Order],
    reasons: Mapping[DecisionId, Reasons],
) -> tuple[list[Trade], list[Position]]:
    """Closed trades in the order of their exits, and the positions left open.

    `fills` are (strategy, fill) in the order in which they were booked; `orders` by client id, `reasons` by decision.
    """
    positions: dict[tuple[StrategyId, str], Position] = {}
    opened: dict[tuple[StrategyId, str], list[Fill]] = {}
    closed: list[Trade] = []
    for strategy, fill in fills:
        key = (strategy, fill.contract)
        before = positions.get(key)
        if before is None or not before.quantity:
            entry = orders[fill.client_id]
            before = unopened(strategy, fill, entry.tape_contract, entry.decision)
            opened[key] = []
        opened[key].append(fill)
        after = apply_fill(before, fill, orders[fill.client_id].unit)
        positions[key] = after
        if not after.quantity:
            closed.append(_trade(after, opened[key], orders, reasons))
    return closed, [position for _, position in sorted(positions.items()) if position.quantity]


def equity_curve(
    start: Decimal, fills: Iterable[tuple[StrategyId, Fill]], orders: Mapping[ClientOrderId, Order]
) -> list[EquityPoint]:
    """Cash equity after each fill, commission included. `orders` by client id."""
    positions: dict[tuple[StrategyId, str], Position] = {}
    equity = start
    curve: list[EquityPoint] = []
    for strategy, fill in fills:
        key = (strategy, fill.contract)
        before = positions.get(key) or unopened(strategy, fill, fill.contract, NO_DECISION)
        after = apply_fill(before, fill, orders[fill.client_id].unit)
        positions[key] = after
        equity += after.realised - before.realised - fill.commission
        curve.append(EquityPoint(fill.time_ns, equity))
    return curve


def unopened(strategy: StrategyId, fill: Fill, tape_contract: ContractId, decision: DecisionId) -> Position:
    """The flat position that a fill opens; worth 0 without a sheet of its contract, as where an order is not ours."""
    sheet = sheet_of(fill.contract)
    tick_value, inverse = (Decimal(0), False) if sheet is None else (sheet.tick_value, sheet.inverse)
    return flat(strategy, fill.contract, tape_contract, tick_value, decision, inverse=inverse)


def _trade(
    position: Position, fills: list[Fill], orders: Mapping[ClientOrderId, Order], reasons: Mapping[DecisionId, Reasons]
) -> Trade:
    side = fills[0].side
    entries = [fill for fill in fills if fill.side is side]
    exits = [fill for fill in fills if fill.side is not side]
    last = orders[exits[-1].client_id]
    reason = reasons.get(position.decision, Reasons("", ""))
    entry, leave = _average(entries), _average(exits)
    return Trade(
        strategy=position.strategy,
        contract=position.contract,
        pattern=reason.pattern,
        regime=reason.regime,
        side=side,
        quantity=sum(fill.quantity for fill in entries),
        entry_ns=fills[0].time_ns,
        entry_price=entry,
        exit_ns=fills[-1].time_ns,
        exit_price=leave,
        exit_by=_EXITS.get(last.leg.kind, last.reason or "flatten"),
        result_ticks=(leave - entry) * side.sign,
        gross=position.realised,
        commission=position.commission,
        decision_id=position.decision,
    )


def _average(fills: list[Fill]) -> Decimal:
    return Decimal(sum(fill.price * fill.quantity for fill in fills)) / sum(fill.quantity for fill in fills)
