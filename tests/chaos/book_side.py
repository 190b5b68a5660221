"""What the platform believes: the book of each account and the market's rows, read in one moment of the database."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from leadline.model.orders import OrderState

MACHINE: Final = frozenset(
    {"late", "stale", "clock", "lease", "disk", "risk_unavailable", "risk_error", "unresolved", "halted"}
)
"""Reasons for which an entry is refused because a part is away, and not because of the market or a limit."""


@dataclass(frozen=True, slots=True)
class Intent:
    """An order as the book has it."""

    client_id: str
    leg: str
    contract: str
    side: str
    quantity: int
    filled: int
    state: OrderState
    reason: str
    version: int


@dataclass(frozen=True, slots=True)
class BookedFill:
    """A fill as the book has it."""

    fill_id: str
    client_id: str
    contract: str
    side: str
    quantity: int
    price: int
    k: int
    venue_event: int


@dataclass(slots=True)
class BookSide:
    """One account. `decisions` counts by reason, empty for accepted; `decided_ns` is when one was last decided for
    reasons of the market alone; `audit` says in sentences what is wrong with its append-only events.
    """

    venue_event: int = 0
    instant_ns: int = 0
    intents: dict[str, Intent] = field(default_factory=dict)
    fills: dict[str, BookedFill] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    halts: list[str] = field(default_factory=list)
    decisions: Counter[str] = field(default_factory=Counter)
    unpublished: int = 0
    audit: list[str] = field(default_factory=list)


@dataclass(slots=True)
class MarketSide:
    """The rows of prints and bars: what is wrong with them in sentences, and how many prints there are."""

    prints: int = 0
    bars: int = 0
    wrong: list[str] = field(default_factory=list)


_OF: Final = "WHERE tape = 'live' AND account = $1"


async def read_sides(connection: Any, accounts: tuple[str, ...]) -> tuple[dict[str, BookSide], MarketSide]:
    """Every account and the market, all of one moment. Raises what asyncpg raises."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        books = {account: await _book(connection, account) for account in accounts}
        return books, await _market(connection)


async def decided_after(connection: Any, since_ns: int) -> dict[str, int]:
    """By account the first time, on the tape's clock, at which a bar was decided for the market's reasons alone."""
    rows = await connection.fetch(
        "SELECT account, min(instant_ns) AS at FROM decision"
        " WHERE tape = 'live' AND instant_ns > $1 AND NOT reason = ANY($2) GROUP BY 1",
        since_ns,
        sorted(MACHINE),
    )
    return {row["account"]: row["at"] for row in rows}


async def _book(connection: Any, account: str) -> BookSide:
    state = await connection.fetchrow(f"SELECT venue_event, instant_ns, last_event FROM account_state {_OF}", account)
    if state is None:
        return BookSide()
    book = BookSide(state["venue_event"], state["instant_ns"])
    for row in await connection.fetch(
        f"SELECT client_id, leg, contract, side, quantity, filled, state, reason, version FROM intent {_OF}",
        account,
    ):
        book.intents[row["client_id"]] = Intent(**{**row, "state": OrderState(row["state"])})
    for row in await connection.fetch(
        f"SELECT fill_id, client_id, contract, side, quantity, price, k, venue_event FROM fill {_OF}", account
    ):
        book.fills[row["fill_id"]] = BookedFill(*row.values())
    for row in await connection.fetch(f"SELECT contract, sum(quantity) AS n FROM position {_OF} GROUP BY 1", account):
        if row["n"]:
            book.positions[row["contract"]] = int(row["n"])
    for row in await connection.fetch(
        "SELECT source, reason FROM halt WHERE account = $1 AND cleared_at IS NULL", account
    ):
        book.halts.append(f"{row['source']}: {row['reason']}")
    for row in await connection.fetch(f"SELECT reason, count(*) AS n FROM decision {_OF} GROUP BY 1", account):
        book.decisions[row["reason"]] = row["n"]
    await _audit(connection, account, state["last_event"], book)
    return book


async def _audit(connection: Any, account: str, last_event: int, book: BookSide) -> None:
    events = await connection.fetchrow(
        "SELECT count(*) AS n, coalesce(min(event), 1) AS first, coalesce(max(event), 0) AS last,"
        f" count(*) FILTER (WHERE NOT published) AS waiting FROM order_event {_OF}",
        account,
    )
    book.unpublished = events["waiting"]
    if (events["n"], events["first"], events["last"]) != (last_event, 1, last_event):
        book.audit.append(f"{events['n']} events from {events['first']} to {events['last']}, of {last_event}")
    # An order may move twice in one transaction, which tells of the second move alone.
    for row in await connection.fetch(
        "SELECT i.client_id, i.version, max(e.version) AS told FROM intent i LEFT JOIN order_event e"
        " ON e.tape = i.tape AND e.account = i.account AND e.kind = 'order' AND e.key = i.client_id"
        " WHERE i.tape = 'live' AND i.account = $1 GROUP BY 1, 2"
        " HAVING max(e.version) IS DISTINCT FROM i.version LIMIT 5",
        account,
    ):
        book.audit.append(f"order {row['client_id']} has version {row['version']}, told is {row['told']}")
    for kind, table, key in (("fill", "fill", "fill_id"), ("decision", "decision", "decision_id")):
        missing = await connection.fetchval(
            f"SELECT count(*) FROM {table} t {_OF} AND NOT EXISTS (SELECT FROM order_event e WHERE e.tape = t.tape"
            f" AND e.account = t.account AND e.kind = '{kind}' AND e.key = t.{key})",
            account,
        )
        if missing:
            book.audit.append(f"{missing} rows of {table} without an event")


async def _market(connection: Any) -> MarketSide:
    market = MarketSide()
    for row in await connection.fetch(
        "SELECT p.contract, p.last_index, coalesce(sum(b.last_index - b.first_index + 1), 0)::bigint AS n"
        " FROM tick_position p LEFT JOIN tick_block b USING (source) WHERE p.tape = 'live' GROUP BY 1, 2"
    ):
        market.prints += row["n"]
        if row["n"] != row["last_index"] + 1:
            market.wrong.append(f"{row['n']} prints of {row['contract']} up to number {row['last_index']}")
    for row in await connection.fetch(
        "SELECT contract, spec, count(*) AS n, sum((gap AND ordinal > 0)::int) AS gaps, count(*) FILTER"
        " (WHERE first_index <> before + 1) AS holes FROM (SELECT contract, spec, ordinal, gap, first_index,"
        " lag(last_index) OVER (PARTITION BY contract, spec, trading_day ORDER BY ordinal) AS before"
        " FROM candle WHERE tape = 'live') bars GROUP BY 1, 2"
    ):
        market.bars += row["n"]
        if row["gaps"] or row["holes"]:
            market.wrong.append(
                f"{row['n']} bars of {row['contract']} {row['spec']}, {row['gaps']} with a gap, {row['holes']} holes"
            )
    for table in ("tick_gap", "dead_letter"):
        if found := await connection.fetchval(f"SELECT count(*) FROM {table}"):
            market.wrong.append(f"{found} rows in {table}")
    return market
