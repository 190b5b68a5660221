"""A trading day of the live tape as the database has it, to be replayed: prints, and when each account looked.

A live account acts when it hears of something, which no tape can tell. Its rows do: each has the instant of the account
at which it was written.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

import numpy as np
import orjson

from leadline.execution.adapters.order_rows import order_of
from leadline.model.durations import NS_PER_DAY
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, ClientOrderId, ContractId, FillId, RunId, StrategyId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.market.calendars import calendar
from leadline.model.orders import OrderState
from leadline.model.ticks import TickColumns
from leadline.risk.reasons import Reason
from leadline.views.digest_store import day_bounds
from leadline.views.print_store import BLOCK, PrintsMissing, block_of
from leadline.views.report_store import fills_of
from leadline.views.trades import Reasons, trades_of

MACHINE: Final = (
    Reason.HALTED,
    Reason.LATE,
    Reason.CLOCK,
    Reason.LEASE,
    Reason.STALE,
    Reason.RISK_UNAVAILABLE,
    Reason.RISK_ERROR,
    Reason.POISON,
)
"""Reasons of a refusal that may be the machine's, and not the tape's."""


@dataclass(frozen=True, slots=True)
class RecordedAccount:
    """An account on a trading day of the live tape.

    equity: its cash when the day began. strategies: those that it has now. instants: those at which it wrote something,
    rising. decided: when it first decided on a bar, by strategy and the bar's key. booked: when it booked a fill.
    filled: the time of each fill, ns UTC, by its order and number. stopped: how often it was halted, or one of its
    strategies fenced off.
    """

    account: AccountId
    equity: Decimal
    strategies: tuple[TradingStrategy, ...]
    instants: tuple[int, ...]
    decided: Mapping[tuple[StrategyId, str], int]
    booked: Mapping[FillId, int]
    filled: Mapping[tuple[ClientOrderId, int], int]
    stopped: int


async def recorded_account(connection: Any, tape: RunId, account: AccountId, day: date) -> RecordedAccount:
    """An account as its rows tell of a trading day.

    Raises InvalidInput where it held something when the day began, or the day is not over for it.
    """
    state = await connection.fetchrow("SELECT * FROM account_state WHERE tape = $1 AND account = $2", tape, account)
    if not state["trading_day"] or state["trading_day"] <= day:
        raise InvalidInput("--day", day.isoformat(), f"a day that is over for {account}, before {state['trading_day']}")
    days = calendar(state["calendar"])

    def of_the_day(at_ns: int) -> bool:
        return days.trading_day(at_ns) == day

    low, high = day_bounds(day)
    events = await connection.fetch(
        """
        SELECT DISTINCT instant_ns, kind IN ('halt', 'fence') AS stops,
            CASE WHEN kind IN ('fill', 'halt', 'fence') THEN key ELSE '' END AS key FROM order_event
        WHERE tape = $1 AND account = $2 AND instant_ns >= $3 AND instant_ns < $4
        """,
        *(tape, account, low, high),
    )
    decisions = await connection.fetch(
        """
        SELECT strategy, bar_key, min(instant_ns) AS at FROM decision
        WHERE tape = $1 AND account = $2 AND trading_day = $3 GROUP BY strategy, bar_key
        """,
        *(tape, account, day),
    )
    fills = await connection.fetch(
        "SELECT client_id, k, ts_ns FROM fill WHERE tape = $1 AND account = $2 AND ts_ns >= $3 AND ts_ns < $4",
        *(tape, account, low, high),
    )
    strategies = await connection.fetch(
        "SELECT manifest FROM strategy_state WHERE tape = $1 AND account = $2 ORDER BY strategy", tape, account
    )
    events = [row for row in events if of_the_day(row["instant_ns"])]
    cash = state["equity_at_roll"] + state["realised"]
    return RecordedAccount(
        account,
        await _cash_before(connection, tape, account, cash, lambda at_ns: days.trading_day(at_ns) < day),
        tuple(TradingStrategy.from_manifest(orjson.loads(row["manifest"])) for row in strategies),
        tuple(sorted({row["instant_ns"] for row in events})),
        {(row["strategy"], row["bar_key"]): row["at"] for row in decisions},
        {FillId(row["key"]): row["instant_ns"] for row in events if row["key"] and not row["stops"]},
        {(row["client_id"], row["k"]): row["ts_ns"] for row in fills},
        sum(row["stops"] for row in events),
    )


async def _cash_before(
    connection: Any, tape: RunId, account: AccountId, cash: Decimal, before: Callable[[int], bool]
) -> Decimal:
    """The cash of an account without what it has won since a day began. Raises InvalidInput where it was not flat."""
    fills = await fills_of(connection, tape, account)
    rows = await connection.fetch("SELECT * FROM intent WHERE tape = $1 AND account = $2", tape, account)
    orders = {row["client_id"]: order_of(row) for row in rows}
    reasons: dict[Any, Reasons] = {order.decision: Reasons("", "") for order in orders.values()}
    earlier = [each for each in fills if before(each[1].time_ns)]
    held = [position for position in trades_of(earlier, orders, reasons)[1] if position.quantity]
    if held:
        names = ", ".join(sorted({position.contract for position in held}))
        raise InvalidInput("--day", names, f"a day at whose beginning {account} held nothing")
    trades, still_open = trades_of([each for each in fills if not before(each[1].time_ns)], orders, reasons)
    since = sum((trade.net for trade in trades), Decimal(0))
    return cash - since - sum((each.realised - each.commission for each in still_open), Decimal(0))


async def recorded_contracts(connection: Any, tape: RunId) -> tuple[ContractId, ...]:
    """The contracts of which a tape ever had prints, by name: months that are over leave the row of the run."""
    rows = await connection.fetch("SELECT contract FROM tick_position WHERE tape = $1 ORDER BY contract", tape)
    return tuple(ContractId(row["contract"]) for row in rows)


async def recorded_prints(
    connection: Any, tape: RunId, contract: ContractId, from_ns: int, until_ns: int
) -> TickColumns:
    """The stored prints of a contract in a range of times, in the order of these; late ones stand where they belong.

    Raises PrintsMissing where the database lacks some between the first and the last.
    """
    # A block is of one date: none that begins before `until_ns` ends a day later.
    rows = await connection.fetch(
        f"""
        SELECT source, {BLOCK} FROM tick_block
        WHERE source = (SELECT source FROM tick_position WHERE tape = $1 AND contract = $2)
            AND last_ns >= $3 AND first_ns < $4 AND last_ns < $4 + $5 ORDER BY first_index
        """,  # noqa: S608 - made of our own column names
        *(tape, contract, from_ns, until_ns, NS_PER_DAY),
    )
    blocks = [within for row in rows if len(within := _within(block_of(row), from_ns, until_ns))]
    if not blocks:
        return TickColumns.empty()
    first, last = blocks[0].first_index, blocks[-1].last_index
    # Late prints of other times may stand between those of this one.
    stored = await connection.fetchval(
        """
        SELECT sum(least(last_index, $3) - greatest(first_index, $2) + 1)::bigint FROM tick_block
        WHERE source = $1 AND first_index <= $3 AND last_index >= $2
        """,
        *(rows[0]["source"], first, last),
    )
    if missing := last - first + 1 - stored:
        raise PrintsMissing(f"{missing:,} of the prints {first} to {last} of {contract} are not stored")
    order = np.argsort(np.concatenate([each.time_ns for each in blocks]), kind="stable")
    return TickColumns(
        np.concatenate([each.time_ns for each in blocks])[order],
        np.concatenate([each.price for each in blocks])[order],
        np.concatenate([each.size for each in blocks])[order],
        np.concatenate([each.aggressor for each in blocks])[order],
        first,
    )


def _within(block: TickColumns, from_ns: int, until_ns: int) -> TickColumns:
    start, stop = np.searchsorted(block.time_ns, (from_ns, until_ns))
    return block.slice(int(start), int(stop))


async def disturbances(connection: Any, tape: RunId, day: date) -> dict[str, int]:
    """All that came between on a trading day and that its prints do not tell, counted, by its name in a sentence."""
    found: Counter[str] = Counter()
    refused = await connection.fetch(
        """
        SELECT reason, count(*) AS n FROM decision
        WHERE tape = $1 AND trading_day = $2 AND reason = ANY($3) GROUP BY reason
        """,
        *(tape, day, [reason.value for reason in MACHINE]),
    )
    found.update({f"decisions refused as {row['reason']}": row["n"] for row in refused})
    (bars,) = await connection.fetch(
        """
        SELECT count(*) FILTER (WHERE revision > 0) AS late, count(*) FILTER (WHERE gap) AS gap FROM candle
        WHERE tape = $1 AND trading_day = $2
        """,
        *(tape, day),
    )
    found["bars changed by late prints"] = bars["late"]
    found["bars with a gap"] = bars["gap"]
    given_up = await connection.fetch(
        """
        SELECT i.state, count(*) AS n FROM intent i JOIN decision d USING (tape, decision_id)
        WHERE i.tape = $1 AND d.trading_day = $2 AND i.state = ANY($3) GROUP BY i.state
        """,
        *(tape, day, [OrderState.EXPIRED_LOCAL.value, OrderState.DEAD.value]),
    )
    found.update({f"orders {row['state']}": row["n"] for row in given_up})
    return {name: count for name, count in found.items() if count}
