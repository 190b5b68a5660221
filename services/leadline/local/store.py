"""The supervisor's reads of its run in the database, and the demand that it writes."""

from collections.abc import Sequence
from typing import Any, Final

from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.plan.demand import DemandRow
from leadline.plan.store import INSERT_DEMAND, demand_values

_STRATEGIES: Final = """
    SELECT account, strategy, manifest FROM strategy_state
    WHERE tape = $1 AND drain IS NULL ORDER BY account, strategy
"""
_ACCOUNTS: Final = "SELECT account FROM account_behind WHERE tape = $1 ORDER BY account"
_HELD: Final = """
    SELECT account, tape_contract FROM position WHERE tape = $1 AND quantity <> 0
    UNION
    SELECT account, tape_contract FROM intent
    WHERE tape = $1 AND state IN ('PENDING', 'SENDING', 'UNKNOWN', 'WORKING', 'PARTIAL', 'PENDING_CANCEL')
"""
# As ingestion finds it: what is over, or has failed, is followed by another run.
_GOES_ON: Final = """
    WITH newest AS (
        SELECT tape, failure, finished_at FROM run
        WHERE code_version = $1 AND content = $2 ORDER BY number DESC LIMIT 1
    )
    SELECT tape FROM newest WHERE finished_at IS NULL OR (
        coalesce(failure, '') = ''
        AND EXISTS (SELECT FROM account_behind WHERE account_behind.tape = newest.tape)
    )
"""
_EXPOSED: Final = """
    SELECT account, strategy, manifest FROM strategy_state JOIN (
        SELECT tape, account, strategy FROM position WHERE quantity <> 0
        UNION
        SELECT tape, account, strategy FROM intent
        WHERE state IN ('PENDING', 'SENDING', 'UNKNOWN', 'WORKING', 'PARTIAL', 'PENDING_CANCEL')
    ) AS open USING (tape, account, strategy)
    WHERE tape = $1 ORDER BY account, strategy
"""
_IS_OVER: Final = """
    SELECT NOT EXISTS (SELECT FROM account_behind WHERE account_behind.tape = run.tape) AND (
        finished_at IS NOT NULL
        OR EXISTS (SELECT FROM account_state WHERE account_state.tape = run.tape AND account_state.finished)
    ) FROM run WHERE tape = $1
"""


async def run_that_goes_on(connection: Any, code_version: str, content: str) -> RunId | None:
    """The tape of the run that a start with this code and feed goes on with; None where it begins another."""
    found: RunId | None = await connection.fetchval(_GOES_ON, code_version, content)
    return found


async def exposed_strategies(connection: Any, tape: RunId) -> list[tuple[AccountId, StrategyId, dict[str, Any]]]:
    """The strategies of a tape with a position or a working order: account, name, and the manifest stored last."""
    rows = await connection.fetch(_EXPOSED, tape)
    return [(row["account"], row["strategy"], row["manifest"]) for row in rows]


async def is_over(connection: Any, tape: RunId) -> bool:
    """Whether the accounts of a run have come to its end. Where no account trades, it is the end of its prints."""
    return bool(await connection.fetchval(_IS_OVER, tape))


async def accounts_behind(connection: Any, tape: RunId) -> list[AccountId]:
    """The accounts of a tape that have to come to its end yet."""
    return [row["account"] for row in await connection.fetch(_ACCOUNTS, tape)]


async def strategies(connection: Any, tape: RunId) -> list[tuple[AccountId, StrategyId, dict[str, Any]]]:
    """The strategies of a tape that are not leaving: account, name, and the manifest that the account stored last."""
    rows = await connection.fetch(_STRATEGIES, tape)
    return [(row["account"], row["strategy"], row["manifest"]) for row in rows]


async def held_contracts(connection: Any, tape: RunId) -> set[tuple[AccountId, ContractId]]:
    """Accounts with each contract whose prints a position or a working order of theirs needs."""
    return {
        (AccountId(row["account"]), ContractId(row["tape_contract"])) for row in await connection.fetch(_HELD, tape)
    }


async def prints_stored(connection: Any, tape: RunId) -> dict[str, int]:
    """How many prints of each contract of a tape are stored."""
    rows = await connection.fetch("SELECT contract, last_index FROM tick_position WHERE tape = $1", tape)
    return {row["contract"]: row["last_index"] + 1 for row in rows}


async def write_demand(connection: Any, rows: Sequence[DemandRow]) -> None:
    """Make these rows the whole demand; the caller has a transaction open."""
    await connection.execute("DELETE FROM demand")
    await connection.executemany(INSERT_DEMAND, [demand_values(row) for row in rows])
