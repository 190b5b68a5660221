"""The rows by which strategies and accounts ask for bars and prints: each owner's own, in one transaction."""

from collections.abc import Sequence

import asyncpg

from leadline.model.errors import LeadlineError
from leadline.model.ids import AccountId, StrategyId
from leadline.plan.demand import DemandRow
from leadline.plan.store import INSERT_DEMAND, demand_values
from leadline.runtime.database import DATABASE_LOST, Pool


class DatabaseAway(LeadlineError):
    """The database does not answer now."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"the database does not answer: {self.message}"


class Demand:
    """Writes the demand as the database's user `supervisor`. Everything raises DatabaseAway."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def ask(self, strategy: StrategyId, rows: Sequence[DemandRow]) -> None:
        """Make these the strategy's rows, and add what its account needs besides."""
        own = [row for row in rows if row.strategy == strategy]
        shared = [row for row in rows if row.strategy == ""]
        assert len(own) + len(shared) == len(rows), "another's rows are another's to write"
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                found = await connection.fetch("SELECT * FROM demand WHERE strategy = $1 FOR UPDATE", strategy)
                if sorted(map(str, (_key(row) for row in own))) != sorted(map(str, (_stored(row) for row in found))):
                    await connection.execute("DELETE FROM demand WHERE strategy = $1", strategy)
                    await connection.executemany(INSERT_DEMAND, [demand_values(row) for row in own])
                # In one go: a root asks for each of its months.
                await connection.executemany(
                    f"{INSERT_DEMAND} ON CONFLICT DO NOTHING", [demand_values(row) for row in shared]
                )
        except DATABASE_LOST as error:
            raise DatabaseAway(str(error) or type(error).__name__) from error

    async def withdraw(self, strategy: StrategyId) -> None:
        """Take the strategy's rows away, if there are any."""
        try:
            await self._pool.execute("DELETE FROM demand WHERE strategy = $1", strategy)
        except DATABASE_LOST as error:
            raise DatabaseAway(str(error) or type(error).__name__) from error

    async def withdraw_account(self, account: AccountId) -> None:
        """Take the rows away that the account itself has; its strategies' stay."""
        try:
            await self._pool.execute("DELETE FROM demand WHERE strategy = '' AND account = $1", account)
        except DATABASE_LOST as error:
            raise DatabaseAway(str(error) or type(error).__name__) from error


def _key(row: DemandRow) -> tuple[object, ...]:
    bars = row.bars
    wanted = None if bars is None else (bars.session, bars.open, bars.close, bars.zone, bars.bars, bars.ticks_per_row)
    return row.account, row.contract, row.venue, wanted


def _stored(row: asyncpg.Record) -> tuple[object, ...]:
    wanted = None
    if row["bars"] is not None:
        hours = row["hours"]
        wanted = (row["session"], hours["open"], hours["close"], hours["zone"], row["bars"], row["ticks_per_row"])
    return row["account"], row["contract"], row["venue"], wanted
