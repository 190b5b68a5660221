"""The newest run of a stopped stack, read from the book itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson

from leadline.execution.adapters import order_list
from leadline.execution.adapters.convert import order_to_proto
from leadline.execution.adapters.order_rows import order_of, position_of
from leadline.execution.core.positions import average_price, open_result, part_of
from leadline.local.store import is_over
from leadline.model.errors import Unknown
from leadline.model.ids import AccountId, RunId, StrategyId, account_named, strategy_named
from leadline.model.orders import Position
from leadline.model.proposals import proposal_of
from leadline.views.convert import order_view
from leadline.views.database import database_of, dsn_of
from leadline.views.left_open import RunLeftOpen, left_open_of
from leadline.views.prices import price_text
from leadline.views.signals import RegimeView, SignalledBar, SignalView, decision_view, proposals_of, signal_of
from leadline.views.stack import NotRunning
from leadline.views.values import Answers, OrdersWanted, OrderView, PositionView, UnitView

_MOST_WORKING: Final = 1000

SELECT_SIGNALLED: Final = """
    SELECT s.account, s.strategy, s.known_at_ns, s.bar_key, s.contract, s.close, s.regime, s.confidence, s.multiplier,
           s.reason, s.scores, s.inputs, s.signals, s.proposals,
           (SELECT jsonb_agg(jsonb_build_object('decision_id', d.decision_id, 'source', d.source,
                                                'action', d.proposal->>'action', 'accepted', d.accepted,
                                                'reason', d.reason, 'side', d.side, 'quantity', d.quantity,
                                                'contract', d.contract, 'type', d.type, 'price', d.price))
            FROM decision d WHERE d.tape = s.tape AND d.account = s.account AND d.strategy = s.strategy
              AND d.bar_key = s.bar_key) AS decisions
    FROM signal s
"""
"""Rows of `signal`, each with the decisions of its bar, for `signalled_row`."""


@dataclass(frozen=True, slots=True)
class StoppedRun:
    """A run that the database has: a `Source`.

    note: what is to be said of where its values come from; empty for nothing.
    """

    tape: RunId
    connection: Any
    note: str = ""

    async def accounts(self, account: str | None) -> tuple[AccountId, ...]:
        """The account that was asked for, else all of the run. Raises Unknown."""
        rows = await self.connection.fetch(
            "SELECT account FROM account_state WHERE tape = $1 ORDER BY account", self.tape
        )
        known = tuple(row["account"] for row in rows)
        if account is None:
            return known
        if account_named(account) not in known:
            raise Unknown("account", account_named(account), known)
        return (account_named(account),)

    async def orders(self, account: str | None, wanted: OrdersWanted) -> Answers[list[OrderView]]:
        """The orders by account, oldest first. Raises Unknown for a strategy that the run did not have."""
        return Answers({name: await self._orders(name, wanted) for name in await self.accounts(account)})

    async def _orders(self, account: AccountId, wanted: OrdersWanted) -> list[OrderView]:
        if wanted.strategy:
            await self._require_strategy(wanted.strategy)
        asked = order_list.newest(
            self.tape,
            account,
            strategy=wanted.strategy,
            only_working=wanted.only_working,
            limit=wanted.limit,
        )
        rows = await self.connection.fetch(order_list.SELECT_NEWEST, *asked)
        # By way of execution's message: a price reads as it does while the account runs.
        return [order_view(order_to_proto(order_of(dict(row)), row["average"])) for row in reversed(rows)]

    async def _require_strategy(self, name: str) -> None:
        query = "SELECT DISTINCT strategy FROM strategy_state WHERE tape = $1 ORDER BY strategy"
        known = tuple(row["strategy"] for row in await self.connection.fetch(query, self.tape))
        if name not in known:
            raise Unknown("strategy", name, known)

    async def positions(self, account: str | None) -> Answers[list[PositionView]]:
        """The positions that are not flat, by account, at the last prints that the account has seen."""
        return Answers({name: await self._positions(name) for name in await self.accounts(account)})

    async def _positions(self, account: AccountId) -> list[PositionView]:
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

    async def signals(self, strategy: str | None, last: int) -> Answers[list[SignalledBar]]:
        """The newest bars with signals or proposals by strategy, each with what was decided.

        Raises Unknown for a strategy.
        """
        if strategy is not None:
            await self._require_strategy(strategy_named(strategy))
        rows = await self.connection.fetch(
            f"""
            {SELECT_SIGNALLED}
            WHERE s.tape = $1 AND ($2::text IS NULL OR s.strategy = $2)
              AND jsonb_array_length(s.signals) + jsonb_array_length(s.proposals) > 0
            ORDER BY s.known_at_ns DESC, s.strategy DESC LIMIT $3
            """,
            self.tape,
            None if strategy is None else strategy_named(strategy),
            last,
        )
        found: dict[str, list[SignalledBar]] = {}
        for row in reversed(rows):
            found.setdefault(row["strategy"], []).append(signalled_row(row))
        return Answers(found)

    async def left_open(self) -> RunLeftOpen:
        """Its open positions and orders, and whether it goes on."""
        working = (await self.orders(None, OrdersWanted(_MOST_WORKING, only_working=True))).found
        held = (await self.positions(None)).found
        accounts = tuple(left_open_of(AccountId(account), held[account], working[account]) for account in held)
        return RunLeftOpen(
            self.tape, accounts, goes_on=await self._goes_on(), over=await is_over(self.connection, self.tape)
        )

    async def _goes_on(self) -> bool:
        """Whether prints are missing, or an account is behind them. One that has failed does not go on."""
        query = """
            SELECT finished_at IS NULL OR coalesce(failure, '') = '' AND EXISTS (
                SELECT FROM account_behind WHERE account_behind.tape = run.tape
            ) FROM run WHERE tape = $1
        """
        return bool(await self.connection.fetchval(query, self.tape))


async def latest_tape(dsn: str) -> RunId | None:
    """The tape opened last; None when there is none."""
    connection = await asyncpg.connect(dsn)
    try:
        found: RunId | None = await connection.fetchval("SELECT tape FROM run ORDER BY opened_at DESC LIMIT 1")
        return found
    finally:
        await connection.close()


@asynccontextmanager
async def stopped_run(data_dir: Path) -> AsyncIterator[StoppedRun]:
    """The newest run, while its database is started for this command. Raises NotRunning where there is none."""
    async with database_of(data_dir) as settings:
        dsn = dsn_of(settings)
        tape = await latest_tape(dsn)
        if tape is None:
            raise NotRunning(f"no run has begun in {data_dir} yet")
        note = f"nothing runs in {data_dir}: this is what run {tape} has left"
        connection = await asyncpg.connect(dsn)
        try:
            yield StoppedRun(tape, connection, note)
        finally:
            await connection.close()


def _position(row: dict[str, Any], prints: dict[str, list[int]]) -> PositionView:
    position = position_of({**row, "lots": _json(row["lots"]), "without_stop": _json(row["without_stop"])})
    last = prints.get(position.tape_contract)
    return PositionView(
        strategy=StrategyId(position.strategy),
        contract=position.contract,
        quantity=position.quantity,
        average_price=price_text(position.contract, average_price(position)),
        last_price="" if last is None else price_text(position.contract, last[0]),
        open=_open(position, last),
        units=tuple(
            UnitView(
                unit=unit,
                quantity=part.quantity,
                average_price=price_text(part.contract, average_price(part)),
                open=_open(part, last),
            )
            for unit in position.units
            for part in [part_of(position, unit)]
        ),
    )


def _open(position: Position, last: list[int] | None) -> str:
    return str(Decimal(0) if last is None else open_result(position, last[0]))


def signalled_row(row: Any) -> SignalledBar:
    """A row of `SELECT_SIGNALLED` as a bar with its signals and proposals."""
    return SignalledBar(
        strategy=row["strategy"],
        known_at_ns=row["known_at_ns"],
        bar=row["bar_key"],
        close=price_text(row["contract"], row["close"]),
        regime=None if row["regime"] is None else _regime(row),
        signals=tuple(_signal(row["contract"], found) for found in _json(row["signals"])),
        proposals=proposals_of(
            row["contract"],
            row["bar_key"],
            [proposal_of(found) for found in _json(row["proposals"])],
            [decision_view(facts) for facts in _json(row["decisions"]) or ()],
        ),
    )


def _regime(row: Any) -> RegimeView:
    return RegimeView(
        regime=row["regime"],
        confidence=str(row["confidence"]),
        multiplier=str(row["multiplier"]),
        reason=row["reason"],
        scores=dict(sorted(_json(row["scores"]).items())),
        inputs=dict(sorted(_json(row["inputs"]).items())),
    )


def _signal(contract: str, stored: dict[str, Any]) -> SignalView:
    return signal_of(
        contract=contract,
        pattern=stored["pattern"],
        direction=stored["direction"],
        price=stored["price"],
        strength=stored["strength"],
        evidence=stored["evidence"],
        rejection=stored["rejection"],
    )


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value
