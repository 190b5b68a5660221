"""Decisions, orders, fills and positions of the book as rows, and back. All that writes the book uses them."""

from dataclasses import asdict
from typing import Any, Final

import orjson

from leadline.execution.adapters.rows import Insertion, Row, Values, upsert
from leadline.execution.core.book import Book
from leadline.model.ids import Leg, StrategyId
from leadline.model.orders import (
    Bracket,
    Fill,
    Lot,
    Order,
    OrderState,
    OrderType,
    Position,
    Side,
    Trailing,
    bracket_of,
)
from leadline.model.proposals import Decision

INSERT_DECISION: Final = Insertion(
    "decision",
    (
        "tape",
        "decision_id",
        "account",
        "strategy",
        "source",
        "bar_key",
        "proposal",
        "instant_ns",
        "trading_day",
        "accepted",
        "reason",
        "side",
        "quantity",
        "contract",
        "type",
        "price",
        "valid_until_ns",
        "bracket",
        "patterns",
        "regime",
        "arithmetic",
        "epoch",
    ),
)
UPSERT_INTENT: Final = upsert(
    "intent",
    ("tape", "account", "client_id"),
    (
        "strategy",
        "decision_id",
        "leg",
        "attempt",
        "contract",
        "tape_contract",
        "side",
        "type",
        "quantity",
        "limit_price",
        "stop_price",
        "bracket",
        "trail",
        "valid_until_ns",
        "first_fill_ns",
        "wanted_price",
        "unwanted",
        "entry_group",
        "moved_ns",
        "taken_out_by",
        "wanted_trail",
        "entry_price",
        "protection",
        "unit",
        "parent",
        "oco",
        "filled",
        "state",
        "reason",
        "version",
        "decided_at_ns",
        "send_by_ns",
        "epoch",
    ),
)
INSERT_FILL: Final = Insertion(
    "fill",
    (
        "tape",
        "account",
        "fill_id",
        "client_id",
        "strategy",
        "contract",
        "side",
        "quantity",
        "price",
        "ts_ns",
        "source_index",
        "k",
        "commission",
        "venue_event",
    ),
)
UPSERT_POSITION: Final = upsert(
    "position",
    ("tape", "account", "strategy", "contract"),
    (
        "tape_contract",
        "quantity",
        "lots",
        "tick_value",
        "realised",
        "commission",
        "decision_id",
        "inverse",
        "without_stop",
    ),
)


def decision_row(book: Book, decision: Decision, epoch: int) -> Values:
    """A decision's row."""
    return (
        book.tape,
        decision.decision_id,
        book.account,
        decision.strategy,
        decision.source,
        decision.bar_key,
        asdict(decision.proposal),
        decision.instant_ns,
        decision.trading_day,
        decision.accepted,
        decision.reason,
        None if decision.side is None else decision.side.value,
        decision.quantity,
        decision.contract,
        decision.type.value,
        decision.price,
        decision.valid_until_ns,
        None if decision.bracket is None else asdict(decision.bracket),
        list(decision.patterns),
        decision.regime,
        [list(term) for term in decision.arithmetic],
        epoch,
    )


def intent_row(book: Book, order: Order, epoch: int, send_bound_ns: int) -> Values:
    """An order's row."""
    return (
        book.tape,
        book.account,
        order.client_id,
        order.strategy,
        order.decision,
        order.leg,
        1,
        order.contract,
        order.tape_contract,
        order.side.value,
        order.type.value,
        order.quantity,
        order.limit_price,
        order.stop_price,
        None if order.bracket is None else asdict(order.bracket),
        None if order.trail is None else asdict(order.trail),
        order.valid_until_ns,
        order.first_fill_ns,
        order.wanted_price,
        order.unwanted,
        order.group,
        order.moved_ns,
        order.taken_out_by,
        None if order.wanted_trail is None else asdict(order.wanted_trail),
        order.entry_price,
        None if order.protection is None else asdict(order.protection),
        order.unit,
        order.parent,
        order.oco,
        order.filled,
        order.state.value,
        order.reason,
        order.version,
        order.decided_at_ns,
        None if order.parent else order.decided_at_ns + send_bound_ns,
        epoch,
    )


def _terms(value: dict[str, Any] | str | None) -> dict[str, Any] | None:
    """A column of JSON; a connection that only reads may leave it as text."""
    terms: dict[str, Any] | None = orjson.loads(value) if isinstance(value, str) else value
    return terms


def _bracket(value: dict[str, Any] | str | None) -> Bracket | None:
    terms = _terms(value)
    return None if terms is None else bracket_of(terms)


def _trailing(value: dict[str, Any] | str | None) -> Trailing | None:
    terms = _terms(value)
    return None if terms is None else Trailing(**terms)


def order_of(row: Row) -> Order:
    """An order's row as an order."""
    return Order(
        client_id=row["client_id"],
        decision=row["decision_id"],
        leg=Leg(row["leg"]),
        strategy=row["strategy"],
        contract=row["contract"],
        tape_contract=row["tape_contract"],
        side=Side(row["side"]),
        type=OrderType(row["type"]),
        quantity=row["quantity"],
        decided_at_ns=row["decided_at_ns"],
        state=OrderState(row["state"]),
        limit_price=row["limit_price"],
        stop_price=row["stop_price"],
        bracket=_bracket(row["bracket"]),
        trail=_trailing(row["trail"]),
        valid_until_ns=row["valid_until_ns"],
        first_fill_ns=row["first_fill_ns"],
        wanted_price=row["wanted_price"],
        unwanted=row["unwanted"],
        group=row["entry_group"],
        moved_ns=row["moved_ns"],
        taken_out_by=row["taken_out_by"],
        wanted_trail=_trailing(row["wanted_trail"]),
        entry_price=row["entry_price"],
        protection=_bracket(row["protection"]),
        unit=row["unit"],
        parent=row["parent"],
        oco=row["oco"],
        filled=row["filled"],
        reason=row["reason"],
        version=row["version"],
    )


def fill_row(book: Book, fill: Fill, strategy: StrategyId, venue_event: int) -> Values:
    """A fill's row."""
    return (
        book.tape,
        book.account,
        fill.fill_id,
        fill.client_id,
        strategy,
        fill.contract,
        fill.side.value,
        fill.quantity,
        fill.price,
        fill.time_ns,
        fill.source_index,
        fill.k,
        fill.commission,
        venue_event,
    )


def fill_of(row: Row) -> Fill:
    """A fill's row as a fill."""
    return Fill(
        row["fill_id"],
        row["client_id"],
        row["contract"],
        Side(row["side"]),
        row["quantity"],
        row["price"],
        row["ts_ns"],
        row["source_index"],
        row["k"],
        row["commission"],
    )


def position_row(book: Book, position: Position) -> Values:
    """A position's row."""
    return (
        book.tape,
        book.account,
        position.strategy,
        position.contract,
        position.tape_contract,
        position.quantity,
        [[lot.price, lot.quantity, lot.fill_id, lot.unit, lot.client_id] for lot in position.lots],
        position.tick_value,
        position.realised,
        position.commission,
        position.decision,
        position.inverse,
        [list(pair) for pair in position.stopless],
    )


def position_of(row: Row) -> Position:
    """A position's row as a position."""
    return Position(
        row["strategy"],
        row["contract"],
        row["tape_contract"],
        row["quantity"],
        tuple(Lot(*lot) for lot in row["lots"]),
        row["tick_value"],
        row["decision_id"],
        row["realised"],
        row["commission"],
        row["inverse"],
        tuple((unit, quantity) for unit, quantity in row["without_stop"]),
    )
