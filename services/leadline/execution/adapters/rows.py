"""Account and strategies of the book as rows, and back. All that writes them uses this; orders are in `order_rows`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from leadline.execution.core.account_settings import with_hot_fields
from leadline.execution.core.book import Book, BookEvent, Drain, Fence, HeldLimits, StrategyBook, UnitExit
from leadline.model.blocks import Block
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.orders import (
    LastPrint,
)
from leadline.risk.view import AccountLimits, StrategyLimits, Tier

Row = Mapping[str, Any]
Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Insertion:
    """How a row gets into a table, and what becomes of it where its key is known. All names are constants."""

    table: str
    columns: tuple[str, ...]
    conflict: str = ""

    def statement(self, first: int, source: str) -> str:
        """The statement of a row whose values are the parameters from `first` on, for each row of a source."""
        places = ", ".join(f"${number}" for number in range(first, first + len(self.columns)))
        into = f"INSERT INTO {self.table} ({', '.join(self.columns)})"
        return f"{into} SELECT {places} FROM {source} {self.conflict}"  # noqa: S608 - names that are constants


def upsert(table: str, keys: tuple[str, ...], columns: tuple[str, ...]) -> Insertion:
    """Writes a row, new or over the one of the same keys."""
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns)
    return Insertion(table, (*keys, *columns), f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {updates}")


UPSERT_ACCOUNT: Final = upsert(
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
UPSERT_STRATEGY: Final = upsert(
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
        "unit_exits",
    ),
)
INSERT_EVENT: Final = Insertion(
    "order_event", ("tape", "account", "event", "kind", "key", "version", "instant_ns", "body")
)

_LIMIT_FIELDS: Final = (
    "day_loss",
    "day_target",
    "max_position",
    "max_open_trades",
    "max_orders_per_second",
    "max_entries_per_hour",
    "max_order_value",
)
_MONEY_LIMITS: Final = frozenset({"day_loss", "day_target", "max_order_value"})


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


def book_of(row: Row, manifest: TradingAccount, feed_contracts: tuple[ContractId, ...], trade_from: date) -> Book:
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
        block=Block(row["block"]),
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
        [asdict(wanted) for wanted in strategy.exits],
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
        Block(row["block"]),
        None if row["drain"] is None else Drain(**row["drain"]),
        None if row["held_limits"] is None else _held_of(row["held_limits"]),
        None if row["fence"] is None else Fence(**row["fence"]),
        row["cleared_ns"],
        tuple(UnitExit(**wanted) for wanted in row["unit_exits"]),
    )


def event_row(book: Book, event: BookEvent) -> Values:
    """The row of an event of the audit."""
    named = (event.event, event.kind, event.key, event.version)
    return (book.tape, book.account, *named, event.instant_ns, event.body)


def _held_of(values: Mapping[str, Any]) -> HeldLimits:
    limits = dict(values["limits"])
    limits["day_loss"] = None if limits["day_loss"] is None else Decimal(limits["day_loss"])
    return HeldLimits(values["since_ns"], StrategyLimits(**limits))
