"""What a stopped stack has left: its newest run's orders, positions and signals, read from the book itself."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from leadline.cli.options import Place
from leadline.cli.output import plain
from leadline.cli.reporting import database_of, dsn_of
from leadline.cli.stack import NotRunning, qualified, running_stack
from leadline.execution.adapters.convert import order_to_proto, price_text
from leadline.execution.adapters.rows import order_of, position_of
from leadline.execution.core import order_list
from leadline.execution.core.positions import average_price, open_result
from leadline.execution.v1 import execution_pb2
from leadline.local.data_dir import DataDir
from leadline.model.contracts import instrument_of
from leadline.model.errors import Unknown
from leadline.model.v1 import model_pb2
from leadline.report.data import latest_tape


def is_stopped(place: Place) -> bool:
    """Whether nothing runs there, and something has run before. Raises NotPrivate."""
    if place.kube or not (DataDir(place.data_dir).root / "postgres" / "data").is_dir():
        return False
    try:
        running_stack(place.data_dir)
    except NotRunning:
        return True
    return False


@dataclass(frozen=True, slots=True)
class StoppedRun:
    """The newest run of a data directory."""

    tape: str
    connection: Any

    async def accounts(self, account: str | None) -> tuple[str, ...]:
        """The account that was asked for, else all of the run. Raises Unknown."""
        rows = await self.connection.fetch(
            "SELECT account FROM account_state WHERE tape = $1 ORDER BY account", self.tape
        )
        known = tuple(row["account"] for row in rows)
        if account is None:
            return known
        if qualified(account) not in known:
            raise Unknown("account", qualified(account), known)
        return (qualified(account),)

    async def goes_on(self) -> bool:
        """Whether a start on the same feed goes on with it: prints are missing, or an account is behind them.

        One that has failed does not go on.
        """
        query = """
            SELECT finished_at IS NULL OR coalesce(failure, '') = '' AND EXISTS (
                SELECT FROM account_state WHERE account_state.tape = run.tape AND NOT account_state.finished
            ) FROM run WHERE tape = $1
        """
        return bool(await self.connection.fetchval(query, self.tape))

    async def is_over(self) -> bool:
        """Whether its accounts have come to its end; not where it has none."""
        every = "SELECT coalesce(bool_and(finished), false) FROM account_state WHERE tape = $1"
        return bool(await self.connection.fetchval(every, self.tape))

    async def orders(self, account: str, request: execution_pb2.GetOrdersRequest) -> list[execution_pb2.Order]:
        """As execution would answer. Raises Unknown for a strategy that the run did not have."""
        if request.strategy:
            await self._require_strategy(request.strategy)
        asked = order_list.newest(
            self.tape,
            account,
            strategy=request.strategy,
            only_working=request.only_working,
            limit=request.limit,
        )
        rows = await self.connection.fetch(order_list.SELECT_NEWEST, *asked)
        return [order_to_proto(order_of(dict(row)), row["average"]) for row in reversed(rows)]

    async def _require_strategy(self, name: str) -> None:
        query = "SELECT DISTINCT strategy FROM strategy_state WHERE tape = $1 ORDER BY strategy"
        known = tuple(row["strategy"] for row in await self.connection.fetch(query, self.tape))
        if name not in known:
            raise Unknown("strategy", name, known)

    async def positions(self, account: str) -> list[execution_pb2.Position]:
        """As execution would answer, at the last prints that the account has seen."""
        state = await self.connection.fetchrow(
            "SELECT last_prints FROM account_state WHERE tape = $1 AND account = $2", self.tape, account
        )
        prints = orjson.loads(state["last_prints"])
        rows = await self.connection.fetch(
            "SELECT * FROM position WHERE tape = $1 AND account = $2 AND quantity <> 0 ORDER BY strategy, contract",
            self.tape,
            account,
        )
        return [_position(dict(row), prints) for row in rows]

    async def signals(self, strategy: str | None, last: int) -> list[dict[str, Any]]:
        """The newest bars with signals, oldest first, each with what was decided. Raises Unknown for a strategy."""
        if strategy is not None:
            await self._require_strategy(qualified(strategy))
        rows = await self.connection.fetch(
            """
            SELECT s.strategy, s.known_at_ns, s.bar_key, s.contract, s.close, s.regime, s.signals,
                   d.accepted, d.reason AS refused, d.side, d.quantity
            FROM signal s LEFT JOIN decision d USING (tape, account, strategy, bar_key)
            WHERE s.tape = $1 AND ($2::text IS NULL OR s.strategy = $2) AND jsonb_array_length(s.signals) > 0
            ORDER BY s.known_at_ns DESC, s.strategy DESC LIMIT $3
            """,
            self.tape,
            None if strategy is None else qualified(strategy),
            last,
        )
        return [_signals(row) for row in reversed(rows)]


@asynccontextmanager
async def stopped_run(data_dir: Path) -> AsyncIterator[StoppedRun]:
    """The newest run, while its database is started for this command. Raises NotRunning where there is none."""
    async with database_of(data_dir) as settings:
        dsn = dsn_of(settings)
        tape = await latest_tape(dsn)
        if tape is None:
            raise NotRunning(f"no run has begun in {data_dir} yet")
        print(f"leadline: nothing runs in {data_dir}: this is what run {tape} has left", file=sys.stderr)
        connection = await asyncpg.connect(dsn)
        try:
            yield StoppedRun(tape, connection)
        finally:
            await connection.close()


def _position(row: dict[str, Any], prints: dict[str, list[int]]) -> execution_pb2.Position:
    position = position_of({**row, "lots": _json(row["lots"])})
    last = prints.get(position.tape_contract)
    return execution_pb2.Position(
        strategy=position.strategy,
        contract=position.contract,
        quantity=position.quantity,
        average_price=price_text(position.contract, average_price(position)),
        last_price="" if last is None else price_text(position.contract, last[0]),
        open=str(Decimal(0) if last is None else open_result(position, last[0])),
    )


def _signals(row: Any) -> dict[str, Any]:
    decided = row["accepted"] is not None
    fate = {
        "accepted": row["accepted"],
        "reason": row["refused"],
        "side": row["side"],
        "quantity": row["quantity"],
    }
    return {
        "strategy": row["strategy"],
        "known_at_ns": row["known_at_ns"],
        "bar": row["bar_key"],
        "close": str(instrument_of(row["contract"]).ticks_to_price(row["close"])),
        "regime": row["regime"],
        "signals": [_signal(found) for found in _json(row["signals"])],
        "decision": fate if decided else None,
    }


def _signal(stored: dict[str, Any]) -> dict[str, Any]:
    """A signal in the form of the services' messages."""
    message = model_pb2.Signal(
        pattern=stored["pattern"],
        direction=model_pb2.Direction.Value(f"DIRECTION_{stored['direction']}"),
        price=stored["price"],
        strength=stored["strength"],
        evidence_json=orjson.dumps(stored["evidence"], option=orjson.OPT_SORT_KEYS).decode(),
        approved=stored["approved"],
        rejection=stored["rejection"],
    )
    shown: dict[str, Any] = plain(message)
    return shown


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value
