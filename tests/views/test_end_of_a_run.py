"""Whether a run is over, and whether the same command goes on with it, by what its book says of the accounts."""

from typing import Final

import asyncpg
import pytest

from leadline.model.ids import RunId
from leadline.views.database import dsn_of
from leadline.views.store import StoppedRun
from tests.stack import Database, run_sql

pytestmark = pytest.mark.integration

TAPE: Final = "tape-1"
GOES_ON, OVER, ENDED = (True, False), (False, True), (False, False)
ONE, SPARE = "default/one", "default/spare"


def run(*, finished: bool = True, failure: str = "") -> str:
    """The run's row."""
    at = "now()" if finished else "NULL"
    return (
        "INSERT INTO run (tape, code_version, content, launch, feed, details, finished_at, failure) "
        f"VALUES ('{TAPE}', 'code', 'content', 'monday', 'file', '{{}}', {at}, '{failure}')"
    )


def account(name: str, *, finished: bool = False) -> str:
    """An account's row; it has begun."""
    values = f"0, NULL, 0, 0, 0, 0, 0, '', '', '{{}}', '{{}}', 0, 0, {finished}"
    return f"INSERT INTO account_state VALUES ('{TAPE}', '{name}', {values})"


def strategy(account: str, *, drained: bool = False, fenced: bool = False, state: str = "Running") -> str:
    """A strategy's row."""
    manifest = f'{{"spec": {{"state": "{state}"}}}}'
    drain, fence = ("'{}'" if given else "NULL" for given in (drained, fenced))
    return (
        "INSERT INTO strategy_state (tape, account, strategy, manifest, settings_hash, analysis_hash, joined_ns, "
        "contract, realised, trades, flatten, block, drain, fence) VALUES "
        f"('{TAPE}', '{account}', 'default/flow', '{manifest}', '', '', 0, 'MESM2025', 0, 0, '', '', {drain}, {fence})"
    )


def position(account: str, quantity: int) -> str:
    """A position's row."""
    return (
        f"INSERT INTO position VALUES ('{TAPE}', '{account}', 'default/flow', 'MESM2025', 'MESM2025', {quantity}, "
        "'[]', 1.25, 0, 0, 'd', false, '[]')"
    )


def order(account: str, state: str) -> str:
    """An order's row."""
    return (
        "INSERT INTO intent (tape, account, client_id, strategy, decision_id, leg, attempt, contract, tape_contract, "
        "side, type, quantity, unwanted, entry_group, taken_out_by, parent, oco, filled, state, reason, version, "
        "decided_at_ns, epoch) VALUES "
        f"('{TAPE}', '{account}', 'c', 'default/flow', 'd', 'S', 1, 'MESM2025', 'MESM2025', "
        f"'SELL', 'STOP', 1, false, '', '', '', '', 0, '{state}', '', 1, 0, 1)"
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Prints are missing.
        ([run(finished=False)], GOES_ON),
        ([run(finished=False), account(ONE), strategy(ONE)], GOES_ON),
        # All prints are there.
        ([run(), account(ONE), strategy(ONE)], GOES_ON),
        ([run(), account(ONE, finished=True), strategy(ONE), account("default/two"), strategy("default/two")], GOES_ON),
        ([run(), account(ONE, finished=True), strategy(ONE)], OVER),
        ([run(failure="faulty"), account(ONE), strategy(ONE)], ENDED),
        # Nothing is ever said to an account without strategies: it comes to no end.
        ([run(), account(SPARE)], OVER),
        ([run(), account(ONE, finished=True), strategy(ONE), account(SPARE)], OVER),
        ([run(), account(ONE), strategy(ONE), account(SPARE)], GOES_ON),
        # A loop that waits for nobody goes to the end by itself, with what it holds.
        ([run(), account(ONE), strategy(ONE, fenced=True)], GOES_ON),
        ([run(), account(ONE), strategy(ONE, state="Suspended")], GOES_ON),
        # All have left; the account may be gone, too, unless something of it is in the market.
        ([run(), account(ONE), strategy(ONE, drained=True)], OVER),
        ([run(), account(ONE), strategy(ONE, drained=True), position(ONE, 0), order(ONE, "CANCELLED")], OVER),
        ([run(), account(ONE), strategy(ONE, drained=True), position(ONE, -1)], GOES_ON),
        ([run(), account(ONE), strategy(ONE, drained=True), order(ONE, "WORKING")], GOES_ON),
        ([run(), account(ONE), strategy(ONE, drained=True), order(ONE, "UNKNOWN")], GOES_ON),
    ],
)
async def test_a_run_goes_on_while_an_account_that_trades_is_behind_its_end(
    database: Database, rows: list[str], expected: tuple[bool, bool]
):
    await run_sql(database.admin_settings(), *rows)
    connection = await asyncpg.connect(dsn_of(database.settings("reader")))
    try:
        found = await StoppedRun(RunId(TAPE), connection).left_open()
        assert (found.goes_on, found.over) == expected
    finally:
        await connection.close()
