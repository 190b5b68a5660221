"""The book's values as rows, and back. All that writes the book uses them; reports query for themselves."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any, Final

import orjson

from leadline.execution.core.account_settings import with_hot_fields
from leadline.execution.core.book import Book, Drain, Fence, HeldLimits, StrategyBook
from leadline.model.orders import (
    Fill,
    LastPrint,
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
from leadline.model.specs import TradingAccount, TradingStrategy
from leadline.risk.view import AccountLimits, StrategyLimits, Tier

Row = Mapping[str, Any]
Values = tuple[Any, ...]


def _upsert(table: str, keys: tuple[str, ...], columns: tuple[str, ...]) -> str:
    names = (*keys, *columns)
    places = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return (  # every name is a constant of this module
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {updates}"
    )


def _insert(table: str, columns: tuple[str, ...]) -> str:
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - constants of this module


UPSERT_ACCOUNT: Final = _upsert(
    "account_state",
    ("tape", "account"),
    (
        "instant_ns",
        "trading_day",
        "tier_index",
        "equity_at_roll",
        "realised",
        "trades",
        "streak",
        "block",
        "flatten",
        "day_limits",
        "last_prints",
        "venue_event",
        "last_event",
        "finished",
        "settings",
        "tiers",
        "margin_limits",
        "calendar",
    ),
)
UPSERT_STRATEGY: Final = _upsert(
    "strategy_state",
    ("tape", "account", "strategy"),
    (
        "manifest",
        "settings_hash",
        "analysis_hash",
        "joined_ns",
        "contract",
        "realised",
        "trades",
        "flatten",
        "block",
        "drain",
        "held_limits",
        "fence",
        "cleared_ns",
    ),
)
INSERT_DECISION: Final = _insert(
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
UPSERT_INTENT: Final = _upsert(
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
INSERT_FILL: Final = _insert(
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
UPSERT_POSITION: Final = _upsert(
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
INSERT_EVENT: Final = _insert(
    "order_event", ("tape", "account", "event", "kind", "key", "version", "instant_ns", "body")
)

_LIMIT_FIELDS: Final = (
    "day_loss",
    "day_target",
    "max_position",
    "max_open_trades",
    "max_orders_per_second",
    "max_entries_per_hour",
)
_MONEY_LIMITS: Final = frozenset({"day_loss", "day_target"})


def account_row(book: Book) -> Values:
    """The account's row."""
    limits = {
        name: str(value) if name in _MONEY_LIMITS else value
        for name in _LIMIT_FIELDS
        if (value := getattr(book.day_limits, name)) is not None
    }
    prints = {name: [p.price, p.time_ns, p.source_index] for name, p in book.last_prints.items()}
    return (
        book.tape,
        book.account,
        book.instant_ns,
        book.trading_day,
        book.tier_index,
        book.equity_at_roll,
        book.realised,
        book.trades,
        book.streak,
        book.block,
        book.flatten,
        limits,
        prints,
        book.venue_event,
        book.last_event,
        book.finished,
        book.settings,
        None if book.tiers is None else [_tier_values(tier) for tier in book.tiers],
        {root: str(limit) for root, limit in book.margin_limits.items()},
        book.calendar,
    )


def _tier_values(tier: Tier) -> list[Any]:
    loss = None if tier.day_loss is None else str(tier.day_loss)
    return [str(tier.start), tier.execute, tier.min_size, tier.max_size, loss]


def _tier_of(values: list[Any]) -> Tier:
    start, execute, min_size, max_size, loss = values
    return Tier(Decimal(start), execute, min_size, max_size, None if loss is None else Decimal(loss))


def book_of(row: Row, manifest: TradingAccount, feed_contracts: tuple[str, ...], trade_from: date) -> Book:
    """The account's row as a book without strategies, orders and positions.

    `manifest` is that of the process's settings; hot fields that were set since are those of the row.
    """
    if row["settings"] is not None:
        manifest = with_hot_fields(manifest, row["settings"])
    return Book(
        tape=row["tape"],
        account=row["account"],
        manifest=manifest,
        feed_contracts=feed_contracts,
        trade_from=trade_from,
        instant_ns=row["instant_ns"],
        equity_at_roll=row["equity_at_roll"],
        trading_day=row["trading_day"],
        tier_index=row["tier_index"],
        realised=row["realised"],
        trades=row["trades"],
        streak=row["streak"],
        block=row["block"],
        flatten=row["flatten"],
        day_limits=day_limits_of(row["day_limits"]),
        last_prints={name: LastPrint(*values) for name, values in sorted(row["last_prints"].items())},
        venue_event=row["venue_event"],
        last_event=row["last_event"],
        finished=row["finished"],
        settings=row["settings"],
        tiers=None if row["tiers"] is None else tuple(_tier_of(values) for values in row["tiers"]),
        margin_limits={root: Decimal(limit) for root, limit in sorted(row["margin_limits"].items())},
        calendar=row["calendar"],
    )


def day_limits_of(values: Mapping[str, Any]) -> AccountLimits:
    """Limits set within a day, from their stored form."""
    parsed: dict[str, Any] = {
        name: Decimal(value) if name in _MONEY_LIMITS else int(value) for name, value in sorted(values.items())
    }
    return AccountLimits(**parsed)


def strategy_row(book: Book, strategy: StrategyBook) -> Values:
    """A strategy's row."""
    return (
        book.tape,
        book.account,
        strategy.strategy,
        strategy.manifest.to_manifest(),
        strategy.settings_hash,
        strategy.analysis_hash,
        strategy.joined_ns,
        strategy.contract,
        strategy.realised,
        strategy.trades,
        strategy.flatten,
        strategy.block,
        None if strategy.drain is None else asdict(strategy.drain),
        None if strategy.held is None else asdict(strategy.held),
        None if strategy.fence is None else asdict(strategy.fence),
        strategy.cleared_ns,
    )


def strategy_of(row: Row) -> StrategyBook:
    """A strategy's row as its book."""
    return StrategyBook(
        row["strategy"],
        TradingStrategy.from_manifest(row["manifest"]),
        row["settings_hash"],
        row["analysis_hash"],
        row["joined_ns"],
        row["contract"],
        row["realised"],
        row["trades"],
        row["flatten"],
        row["block"],
        None if row["drain"] is None else Drain(**row["drain"]),
        None if row["held_limits"] is None else _held_of(row["held_limits"]),
        None if row["fence"] is None else Fence(**row["fence"]),
        row["cleared_ns"],
    )


def _held_of(values: Mapping[str, Any]) -> HeldLimits:
    limits = dict(values["limits"])
    limits["day_loss"] = None if limits["day_loss"] is None else Decimal(limits["day_loss"])
    return HeldLimits(values["since_ns"], StrategyLimits(**limits))


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


def order_of(row: Row) -> Order:
    """An order's row as an order."""
    return Order(
        client_id=row["client_id"],
        decision=row["decision_id"],
        leg=row["leg"],
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
        bracket=None if (bracket := _terms(row["bracket"])) is None else bracket_of(bracket),
        trail=None if (trail := _terms(row["trail"])) is None else Trailing(**trail),
        valid_until_ns=row["valid_until_ns"],
        first_fill_ns=row["first_fill_ns"],
        wanted_price=row["wanted_price"],
        unwanted=row["unwanted"],
        group=row["entry_group"],
        parent=row["parent"],
        oco=row["oco"],
        filled=row["filled"],
        reason=row["reason"],
        version=row["version"],
    )


def fill_row(book: Book, fill: Fill, strategy: str, venue_event: int) -> Values:
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
        [[lot.price, lot.quantity, lot.fill_id] for lot in position.lots],
        position.tick_value,
        position.realised,
        position.commission,
        position.decision,
        position.inverse,
        position.without_stop,
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
        row["without_stop"],
    )
