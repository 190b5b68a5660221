"""Reports of a run, read from the book and the recorded market."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

import asyncpg
import orjson

from leadline.execution.adapters.halt_rows import halt_of, moment_ns
from leadline.execution.adapters.order_rows import fill_of, order_of
from leadline.execution.core.book import is_entry
from leadline.execution.core.contracts import signal_instrument
from leadline.execution.core.positions import open_result
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.manifest.specs import OWN_SERIES, TradingStrategy
from leadline.model.orders import Fill, Order, Position
from leadline.model.proposals import Action
from leadline.views.days import TradedDay, traded_days_of
from leadline.views.digest_store import digest_of, run_of
from leadline.views.halts import ReportedHalt
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
from leadline.views.trades import Reasons, Trade, equity_curve, trades_of

# Those that were set in this run, and those of an earlier one that were in force when it began.
_HALTS: Final = """
    SELECT h.* FROM halt h JOIN run r ON r.tape = $1 WHERE h.account = $2 AND (
        EXISTS (
            SELECT FROM order_event e
            WHERE e.tape = $1 AND e.account = $2 AND e.kind = 'halt' AND e.key = 'halt-' || h.number AND e.version = 1
        )
        OR (h.at < r.opened_at AND (h.cleared_at IS NULL OR h.cleared_at > r.opened_at))
    ) ORDER BY h.number
"""


async def build_reports(dsn: str, tape: RunId) -> list[AccountReport]:
    """A report per account of a tape, by name. Raises Unknown when there is no such tape."""
    connection = await asyncpg.connect(dsn)
    try:
        run = await run_of(connection, tape)
        accounts = await connection.fetch("SELECT account FROM account_state WHERE tape = $1 ORDER BY account", tape)
        return [await _account_report(connection, run, row["account"]) for row in accounts]
    finally:
        await connection.close()


async def _account_report(connection: Any, run: asyncpg.Record, account: AccountId) -> AccountReport:
    tape = run["tape"]
    state = await connection.fetchrow("SELECT * FROM account_state WHERE tape = $1 AND account = $2", tape, account)
    orders = {
        row["client_id"]: order_of(row)
        for row in await connection.fetch("SELECT * FROM intent WHERE tape = $1 AND account = $2", tape, account)
    }
    decisions = await connection.fetch("SELECT * FROM decision WHERE tape = $1 AND account = $2", tape, account)
    reasons = {row["decision_id"]: Reasons((row["patterns"] or [""])[0], row["regime"]) for row in decisions}
    fills = await fills_of(connection, tape, account)
    trades, still_open = trades_of(fills, orders, reasons)
    end = state["equity_at_roll"] + state["realised"]
    total = sum((trade.net for trade in trades), Decimal(0))
    total += sum((position.realised - position.commission for position in still_open), Decimal(0))
    prices = await connection.fetch(
        """
        SELECT DISTINCT c.contract, c.known_at_ns, c.close FROM candle c
        JOIN signal s ON s.tape = c.tape AND s.bar_key = c.bar_key WHERE c.tape = $1 AND s.account = $2
        ORDER BY c.contract, c.known_at_ns
        """,
        tape,
        account,
    )
    by_contract: dict[ContractId, list[PricePoint]] = {}
    for row in prices:
        by_contract.setdefault(row["contract"], []).append(PricePoint(row["known_at_ns"], row["close"]))
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
        missing_sessions=tuple(details["missing"]),
        finished=state["finished"],
        start_equity=end - total,
        end_equity=end,
        trades=tuple(trades),
        open_positions=tuple(_marked(position, _json(state["last_prints"])) for position in still_open),
        curve=tuple(equity_curve(end - total, fills, orders)),
        by_pattern=_totals(trades),
        decisions=len(decisions),
        refused=_most_first(refused),
        entered=sum(order.filled > 0 for order in entries),
        adjusted=sum(row["accepted"] and not _enters(row) for row in decisions),
        taken_out=_pairs_taken_out(orders),
        not_filled=_most_first(Counter(_taken_out_by(order) for order in entries if not order.filled)),
        in_doubt=tuple(order for _, order in sorted(orders.items()) if order.state in IN_DOUBT),
        closes={contract: tuple(points) for contract, points in by_contract.items()},
        prints=await connection.fetchval(
            "SELECT coalesce(sum(last_index + 1), 0)::bigint FROM tick_position WHERE tape = $1", tape
        ),
        bars=await connection.fetchval("SELECT count(*) FROM candle WHERE tape = $1", tape),
        signals=await connection.fetchval(
            "SELECT coalesce(sum(jsonb_array_length(signals)), 0)::bigint FROM signal WHERE tape = $1 AND account = $2",
            tape,
            account,
        ),
        digest=await digest_of(connection, tape),
        substitutes=tuple((contract, ", ".join(sorted(contracts))) for contract in traded if contract not in contracts),
        failure=run["failure"] or "",
        coverage=await _coverage(connection, tape),
        kept_out=await _kept_out(connection, tape),
        unfinished=await _unfinished(connection, tape),
        misdated=await _misdated(connection, tape, account),
        days=await _days(connection, tape, account, strategies, details, trades),
        currency=next((signal_instrument(strategy).currency for strategy in strategies), ""),
        halts=await halts_of(connection, tape, account),
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
    trades: list[Trade],
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


async def _coverage(connection: Any, tape: RunId) -> tuple[Coverage, ...]:
    """Each session of which there are bars; several kinds of bars of one session have the same prints.

    Where the prints are not kept any more, the bars say from when to when it was.
    """
    rows = await connection.fetch(
        """
        WITH session AS (
            SELECT DISTINCT ON (contract, session, trading_day) contract, session, trading_day,
                   sum(prints) AS prints, count(*) AS bars, min(first_index) AS first, max(last_index) AS last,
                   min(start_ns) AS start_ns, max(end_ns) AS end_ns
            FROM candle WHERE tape = $1 GROUP BY contract, session, trading_day, spec
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
    )
    return tuple(Coverage(**row) for row in rows)


async def _kept_out(connection: Any, tape: RunId) -> tuple[KeptOut, ...]:
    rows = await connection.fetch(
        """
        SELECT contract, trading_day, reason, prints, samples FROM kept_out WHERE tape = $1
        ORDER BY contract, trading_day NULLS FIRST, reason
        """,
        tape,
    )
    return tuple(
        KeptOut(row["contract"], row["trading_day"], row["reason"], row["prints"], tuple(_json(row["samples"])))
        for row in rows
    )


async def _unfinished(connection: Any, tape: RunId) -> tuple[UnfinishedBar, ...]:
    rows = await connection.fetch(
        """
        SELECT contract, session, spec, trading_day, prints FROM unfinished_bar WHERE tape = $1
        ORDER BY contract, session, spec
        """,
        tape,
    )
    return tuple(UnfinishedBar(**row) for row in rows)


async def _misdated(connection: Any, tape: RunId, account: AccountId) -> tuple[tuple[StrategyId, int], ...]:
    rows = await connection.fetch(
        """
        SELECT s.strategy, count(*) AS bars FROM signal s
        JOIN strategy_state t USING (tape, account, strategy, analysis_hash)
        LEFT JOIN candle c ON c.tape = s.tape AND c.contract = s.contract AND c.session = s.session
            AND c.spec = s.spec AND c.trading_day = s.trading_day AND c.ordinal = s.ordinal
        WHERE s.tape = $1 AND s.account = $2 AND c.known_at_ns IS DISTINCT FROM s.known_at_ns
        GROUP BY s.strategy ORDER BY s.strategy
        """,
        tape,
        account,
    )
    return tuple((row["strategy"], row["bars"]) for row in rows)


def _marked(position: Position, last_prints: dict[str, list[Any]]) -> OpenPosition:
    last = last_prints.get(position.tape_contract)
    if last is None:
        return OpenPosition(position, None, None)
    return OpenPosition(position, int(last[0]), open_result(position, int(last[0])))


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


def _totals(trades: list[Trade]) -> tuple[PatternTotal, ...]:
    by_pattern: dict[str, list[Trade]] = {}
    for trade in trades:
        by_pattern.setdefault(trade.pattern, []).append(trade)
    return tuple(
        PatternTotal(name, len(found), sum(t.net > 0 for t in found), sum((t.net for t in found), Decimal(0)))
        for name, found in sorted(by_pattern.items())
    )


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value


async def halts_of(connection: Any, tape: RunId, account: AccountId) -> tuple[ReportedHalt, ...]:
    """The halts of an account that a run met, by number."""
    return tuple(_reported(row) for row in await connection.fetch(_HALTS, tape, account))


def _reported(row: Any) -> ReportedHalt:
    halt = halt_of(row)
    cleared = row["cleared_at"]
    return ReportedHalt(
        number=halt.number,
        source=halt.source.value,
        reason=halt.reason,
        by=halt.by,
        at_ns=halt.at_ns,
        cleared_by=row["cleared_by"],
        cleared_at_ns=None if cleared is None else moment_ns(cleared),
        clear_reason=row["clear_reason"],
    )
