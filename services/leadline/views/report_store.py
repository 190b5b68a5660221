"""Reports of a run, read from the book and the recorded market."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import asyncpg
import orjson

from leadline.execution.adapters.order_rows import fill_of, order_of
from leadline.execution.core.book import is_entry
from leadline.execution.core.contracts import signal_instrument
from leadline.execution.core.positions import open_result
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.manifest.specs import OWN_SERIES, TradingStrategy
from leadline.model.market.calendars import calendar
from leadline.model.orders import Fill, Order, Position
from leadline.model.proposals import Action
from leadline.views.booked import booked, on_day
from leadline.views.days import TradedDay, traded_days_of
from leadline.views.digest_store import digest_of, run_of
from leadline.views.halt_store import halts_of, met_on
from leadline.views.report import (
    IN_DOUBT,
    AccountReport,
    Coverage,
    KeptOut,
    OpenPosition,
    PatternTotal,
    PricePoint,
    UnfinishedBar,
)
from leadline.views.trades import Reasons, Trade

_SIGNALS: Final = """
    SELECT coalesce(sum(jsonb_array_length(signals)), 0)::bigint FROM signal
    WHERE tape = $1 AND account = $2 AND ($3::date IS NULL OR trading_day = $3)
"""


async def build_reports(dsn: str, tape: RunId, day: date | None = None) -> list[AccountReport]:
    """A report per account of a tape, by name; with `day` of that trading day alone, by each account's calendar.

    Raises Unknown when there is no such tape, or nothing on that day.
    """
    connection = await asyncpg.connect(dsn)
    try:
        run = await run_of(connection, tape)
        digest = await digest_of(connection, tape, day)
        accounts = await connection.fetch("SELECT account FROM account_state WHERE tape = $1 ORDER BY account", tape)
        return [await _account_report(connection, run, row["account"], day, digest) for row in accounts]
    finally:
        await connection.close()


async def _account_report(
    connection: Any, run: asyncpg.Record, account: AccountId, day: date | None, digest: str
) -> AccountReport:
    tape = run["tape"]
    state = await connection.fetchrow("SELECT * FROM account_state WHERE tape = $1 AND account = $2", tape, account)
    orders = {
        row["client_id"]: order_of(row)
        for row in await connection.fetch("SELECT * FROM intent WHERE tape = $1 AND account = $2", tape, account)
    }
    decisions = await connection.fetch("SELECT * FROM decision WHERE tape = $1 AND account = $2", tape, account)
    reasons = {row["decision_id"]: Reasons((row["patterns"] or [""])[0], row["regime"]) for row in decisions}
    fills = await fills_of(connection, tape, account)
    book = booked(state["equity_at_roll"] + state["realised"], fills, orders, reasons)
    halts = await halts_of(connection, tape, account)
    finished = state["finished"]
    closes = await _closes(connection, tape, account, day)
    marks = {contract: int(last[0]) for contract, last in _json(state["last_prints"]).items()}
    if day is not None:
        market = calendar(state["calendar"])
        halts = await met_on(connection, tape, account, halts, day, market)
        marks = {contract: points[-1].close for contract, points in closes.items()}
        book = on_day(book, fills, orders, reasons, day, market)
        orders = {name: each for name, each in orders.items() if market.trading_day(each.decided_at_ns) == day}
        decisions = [row for row in decisions if row["trading_day"] == day]
        finished = finished or state["trading_day"] > day
    coverage = await _coverage(connection, tape, day)
    details = _json(run["details"])
    strategies = await _strategies(connection, tape, account)
    contracts = details["contracts"]
    traded = sorted({order.contract for order in orders.values()})
    refused = Counter(row["reason"] for row in decisions if not row["accepted"])
    accepted = {row["decision_id"] for row in decisions if row["accepted"]}
    entries = [order for order in orders.values() if is_entry(order) and order.decision in accepted]
    return AccountReport(
        tape=tape,
        account=account,
        feed=run["feed"],
        trade_from=date.fromisoformat(details["trade_from"]),
        day=day,
        missing_sessions=tuple(each for each in details["missing"] if day is None or each == day.isoformat()),
        finished=finished,
        start_equity=book.start,
        end_equity=book.end,
        trades=book.trades,
        open_positions=tuple(_marked(position, marks) for position in book.still_open),
        curve=book.curve,
        by_pattern=_totals(book.trades),
        decisions=len(decisions),
        refused=_most_first(refused),
        entered=sum(order.filled > 0 for order in entries),
        adjusted=sum(row["accepted"] and not _enters(row) for row in decisions),
        taken_out=_pairs_taken_out(orders),
        not_filled=_most_first(Counter(_taken_out_by(order) for order in entries if not order.filled)),
        in_doubt=tuple(order for _, order in sorted(orders.items()) if order.state in IN_DOUBT),
        closes=closes,
        prints=await _prints(connection, tape) if day is None else _widest(coverage),
        bars=await connection.fetchval(
            "SELECT count(*) FROM candle WHERE tape = $1 AND ($2::date IS NULL OR trading_day = $2)", tape, day
        ),
        signals=await connection.fetchval(_SIGNALS, tape, account, day),
        digest=digest,
        substitutes=tuple((contract, ", ".join(sorted(contracts))) for contract in traded if contract not in contracts),
        failure=run["failure"] or "",
        coverage=coverage,
        kept_out=await _kept_out(connection, tape, day),
        unfinished=await _unfinished(connection, tape, day),
        misdated=await _misdated(connection, tape, account, day),
        days=tuple(
            each
            for each in await _days(connection, tape, account, strategies, details, book.trades)
            if day in {None, each.day}
        ),
        currency=next((signal_instrument(strategy).currency for strategy in strategies), ""),
        halts=halts,
        series=tuple(
            (strategy.full_name, each.name, each.token)
            for strategy in strategies
            for each in strategy.spec.all_series
            if each.name != OWN_SERIES
        ),
    )


def _enters(decision: Any) -> bool:
    return Action(_json(decision["proposal"])["action"]).enters


async def _strategies(connection: Any, tape: RunId, account: AccountId) -> list[TradingStrategy]:
    rows = await connection.fetch(
        "SELECT manifest FROM strategy_state WHERE tape = $1 AND account = $2 ORDER BY strategy", tape, account
    )
    return [TradingStrategy.from_manifest(_json(row["manifest"])) for row in rows]


async def _days(
    connection: Any,
    tape: RunId,
    account: AccountId,
    strategies: list[TradingStrategy],
    details: dict[str, Any],
    trades: Sequence[Trade],
) -> tuple[TradedDay, ...]:
    bars = await connection.fetch(
        """
        SELECT s.strategy, s.trading_day, count(*) AS bars FROM signal s
        JOIN strategy_state t USING (tape, account, strategy, analysis_hash)
        WHERE s.tape = $1 AND s.account = $2 GROUP BY s.strategy, s.trading_day
        """,
        tape,
        account,
    )
    return traded_days_of(
        strategies,
        [date.fromisoformat(day) for day in details["sessions"]],
        details["contracts"],
        date.fromisoformat(details["trade_from"]),
        {(row["strategy"], row["trading_day"]): row["bars"] for row in bars},
        trades,
    )


async def _closes(
    connection: Any, tape: RunId, account: AccountId, day: date | None
) -> dict[str, tuple[PricePoint, ...]]:
    rows = await connection.fetch(
        """
        SELECT DISTINCT c.contract, c.known_at_ns, c.close FROM candle c
        JOIN signal s ON s.tape = c.tape AND s.bar_key = c.bar_key
        WHERE c.tape = $1 AND s.account = $2 AND ($3::date IS NULL OR c.trading_day = $3)
        ORDER BY c.contract, c.known_at_ns
        """,
        tape,
        account,
        day,
    )
    found: dict[str, list[PricePoint]] = {}
    for row in rows:
        found.setdefault(row["contract"], []).append(PricePoint(row["known_at_ns"], row["close"]))
    return {contract: tuple(points) for contract, points in found.items()}


async def _prints(connection: Any, tape: RunId) -> int:
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(last_index + 1), 0)::bigint FROM tick_position WHERE tape = $1", tape
    )
    return found


def _widest(coverage: Sequence[Coverage]) -> int:
    """Prints of one day: those of the session of each contract that has most of them."""
    prints: dict[str, int] = {}
    for each in coverage:
        prints[each.contract] = max(prints.get(each.contract, 0), each.prints)
    return sum(prints.values())


async def _coverage(connection: Any, tape: RunId, day: date | None) -> tuple[Coverage, ...]:
    """Each session of which there are bars; several kinds of bars of one session have the same prints.

    Where the prints are not kept any more, the bars say from when to when it was.
    """
    rows = await connection.fetch(
        """
        WITH session AS (
            SELECT DISTINCT ON (contract, session, trading_day) contract, session, trading_day,
                   sum(prints) AS prints, count(*) AS bars, min(first_index) AS first, max(last_index) AS last,
                   min(start_ns) AS start_ns, max(end_ns) AS end_ns
            FROM candle WHERE tape = $1 AND ($2::date IS NULL OR trading_day = $2)
            GROUP BY contract, session, trading_day, spec
            ORDER BY contract, session, trading_day, spec
        )
        SELECT s.contract, s.session, s.trading_day, s.prints::bigint, s.bars,
               coalesce(f.ts_ns[s.first - f.first_index + 1], s.start_ns) AS first_ns,
               coalesce(l.ts_ns[s.last - l.first_index + 1], s.end_ns) AS last_ns
        FROM session s JOIN tick_position p ON p.tape = $1 AND p.contract = s.contract
        LEFT JOIN LATERAL (
            SELECT first_index, ts_ns FROM tick_block b WHERE b.source = p.source AND b.first_index <= s.first
            ORDER BY first_index DESC LIMIT 1
        ) f ON true
        LEFT JOIN LATERAL (
            SELECT first_index, ts_ns FROM tick_block b WHERE b.source = p.source AND b.first_index <= s.last
            ORDER BY first_index DESC LIMIT 1
        ) l ON true
        ORDER BY s.contract, s.session, s.trading_day
        """,
        tape,
        day,
    )
    return tuple(Coverage(**row) for row in rows)


async def _kept_out(connection: Any, tape: RunId, day: date | None) -> tuple[KeptOut, ...]:
    rows = await connection.fetch(
        """
        SELECT contract, trading_day, reason, prints, samples FROM kept_out
        WHERE tape = $1 AND ($2::date IS NULL OR trading_day = $2) ORDER BY contract, trading_day NULLS FIRST, reason
        """,
        tape,
        day,
    )
    return tuple(
        KeptOut(row["contract"], row["trading_day"], row["reason"], row["prints"], tuple(_json(row["samples"])))
        for row in rows
    )


async def _unfinished(connection: Any, tape: RunId, day: date | None) -> tuple[UnfinishedBar, ...]:
    rows = await connection.fetch(
        """
        SELECT contract, session, spec, trading_day, prints FROM unfinished_bar
        WHERE tape = $1 AND ($2::date IS NULL OR trading_day = $2) ORDER BY contract, session, spec
        """,
        tape,
        day,
    )
    return tuple(UnfinishedBar(**row) for row in rows)


async def _misdated(
    connection: Any, tape: RunId, account: AccountId, day: date | None
) -> tuple[tuple[StrategyId, int], ...]:
    rows = await connection.fetch(
        """
        SELECT s.strategy, count(*) AS bars FROM signal s
        JOIN strategy_state t USING (tape, account, strategy, analysis_hash)
        LEFT JOIN candle c ON c.tape = s.tape AND c.contract = s.contract AND c.session = s.session
            AND c.spec = s.spec AND c.trading_day = s.trading_day AND c.ordinal = s.ordinal
        WHERE s.tape = $1 AND s.account = $2 AND c.known_at_ns IS DISTINCT FROM s.known_at_ns
            AND ($3::date IS NULL OR s.trading_day = $3)
        GROUP BY s.strategy ORDER BY s.strategy
        """,
        tape,
        account,
        day,
    )
    return tuple((row["strategy"], row["bars"]) for row in rows)


def _marked(position: Position, last_prices: Mapping[str, int]) -> OpenPosition:
    last = last_prices.get(position.tape_contract)
    return OpenPosition(position, last, None if last is None else open_result(position, last))


async def fills_of(connection: Any, tape: RunId, account: AccountId) -> list[tuple[StrategyId, Fill]]:
    """The fills of an account, each with its strategy, in the order in which they were booked."""
    rows = await connection.fetch(
        "SELECT * FROM fill WHERE tape = $1 AND account = $2 ORDER BY venue_event, k", tape, account
    )
    return [(row["strategy"], fill_of(dict(row))) for row in rows]


def _most_first(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _taken_out_by(order: Order) -> str:
    """Why an entry that has no fill will get none; of one that still may, how it stands."""
    state = order.state.value.lower()
    return (order.reason or state) if order.state.terminal else f"still {state}"


def _pairs_taken_out(orders: Mapping[str, Order]) -> tuple[tuple[str, str, int], ...]:
    """The entries that first fills took out, counted by the strategies of both."""
    counts = Counter(
        (orders[order.taken_out_by].strategy, order.strategy)
        for order in orders.values()
        if order.taken_out_by in orders
    )
    return tuple((winner, loser, count) for (winner, loser), count in sorted(counts.items()))


def _totals(trades: Sequence[Trade]) -> tuple[PatternTotal, ...]:
    by_pattern: dict[str, list[Trade]] = {}
    for trade in trades:
        by_pattern.setdefault(trade.pattern, []).append(trade)
    return tuple(
        PatternTotal(name, len(found), sum(t.net > 0 for t in found), sum((t.net for t in found), Decimal(0)))
        for name, found in sorted(by_pattern.items())
    )


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value
