"""Manifests that the unfinished run of a data directory cannot go on with are refused while only its database runs."""

from asyncio import to_thread
from pathlib import Path
from typing import Final

import orjson
import pytest

from leadline.ingestion.feed import Feed
from leadline.local.binding import check_feed
from leadline.local.left_behind import AccountLeftBehind, ContractStillOpen, require_resumable
from leadline.local.local_postgres import LocalPostgres
from leadline.model.manifest.specs import TradingStrategy
from leadline.plan.plan import Plan, plan
from leadline.plan.platform import PlatformSettings
from leadline.runtime.version import code_version
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from tests.plan.builders import strategy
from tests.plan.running import leadline
from tests.stack import Database, run_sql

pytestmark = pytest.mark.integration

TAPE: Final = "tape-1"


def planned(*strategies: TradingStrategy) -> Plan:
    return plan(PlatformSettings(), [], strategies)


def feed_of(plan: Plan) -> Feed:
    found = check_feed(plan, {})
    assert found is not None
    return found


def run_of(plan: Plan, *, content: str = "", finished: bool = False) -> str:
    found = content or feed_of(plan).content
    at = "now()" if finished else "NULL"
    return (
        "INSERT INTO run (tape, code_version, content, launch, feed, details, finished_at) "
        f"VALUES ('{TAPE}', '{code_version()}', '{found}', 'monday', 'sim', '{{}}', {at})"
    )


def state_of(one: TradingStrategy, *, quantity: int = 0, finished: bool = False) -> list[str]:
    """The rows of a strategy and its account, with a position of so many."""
    name, account, manifest = one.full_name, one.account_name, orjson.dumps(one.to_manifest()).decode()
    values = f"0, NULL, 0, 0, 0, 0, 0, '', '', '{{}}', '{{}}', 0, 0, {finished}"
    state = (
        "INSERT INTO strategy_state (tape, account, strategy, manifest, settings_hash, analysis_hash, joined_ns, "
        "contract, realised, trades, flatten, block) VALUES "
        f"('{TAPE}', '{account}', '{name}', '{manifest}', '', '', 0, 'MESM2025', 0, 0, '', '')"
    )
    held = (
        f"INSERT INTO position VALUES ('{TAPE}', '{account}', '{name}', 'MESM2025', 'MESM2025', {quantity}, "
        "'[]', 1.25, 0, 0, 'd', false, '[]')"
    )
    return [f"INSERT INTO account_state VALUES ('{TAPE}', '{account}', {values})", state, held]


async def resumed(database: Database, plan: Plan) -> None:
    await require_resumable(database.settings("reader"), plan, feed_of(plan))


BEFORE: Final = strategy("flow")
RENAMED: Final = strategy("stream")


async def test_a_renamed_strategy_whose_position_is_open_is_refused_by_both_names(database: Database):
    await run_sql(database.admin_settings(), run_of(planned(BEFORE)), *state_of(BEFORE, quantity=2))
    with pytest.raises(ContractStillOpen) as refusal:
        await resumed(database, planned(RENAMED))
    assert str(refusal.value) == (
        "the run tape-1, which goes on, has something open of default/flow on default/paper, and the manifests have "
        "default/stream in its place, which trades ESM2025, MESM2025 as well: give default/flow its name back "
        "until it is flat, or begin another run with `--new-run`"
    )


@pytest.mark.parametrize("now", [BEFORE, strategy("flow", state="Suspended")])
async def test_a_strategy_that_keeps_its_name_goes_on(database: Database, now: TradingStrategy):
    await run_sql(database.admin_settings(), run_of(planned(BEFORE)), *state_of(BEFORE, quantity=2))
    await resumed(database, planned(now))


async def test_a_strategy_that_is_flat_may_be_renamed(database: Database):
    await run_sql(database.admin_settings(), run_of(planned(BEFORE)), *state_of(BEFORE))
    await resumed(database, planned(RENAMED))


async def test_an_account_that_the_run_waits_for_is_not_to_be_missing(database: Database):
    elsewhere = strategy("flow", namespace="desk")
    await run_sql(database.admin_settings(), run_of(planned(BEFORE)), *state_of(BEFORE))
    with pytest.raises(AccountLeftBehind, match=r"^the run tape-1, which goes on, has the account default/paper, and"):
        await resumed(database, planned(elsewhere))


@pytest.mark.parametrize(
    "rows",
    [
        [run_of(planned(BEFORE), content="another feed"), *state_of(BEFORE, quantity=2)],
        [run_of(planned(BEFORE), finished=True), *state_of(BEFORE, quantity=2, finished=True)],
        [],
    ],
    ids=["of-another-feed", "over", "none"],
)
async def test_a_run_that_does_not_go_on_refuses_nothing(database: Database, rows: list[str]):
    await run_sql(database.admin_settings(), *rows)
    await resumed(database, planned(RENAMED))


def renamed_manifest(folder: Path) -> Path:
    file = folder / "renamed.yaml"
    file.write_bytes(orjson.dumps(RENAMED.to_manifest()))
    return file


@pytest.mark.parametrize("command", ["plan", "up"])
async def test_the_commands_say_so_with_the_database_alone(command: str, tmp_path: Path):
    data = tmp_path / "data"
    postgres = LocalPostgres(data / "postgres", durable=False)
    postgres.start()
    try:
        await create_database(postgres.admin_settings("postgres"), "leadline")
        await migrate_database(postgres.admin_settings())
        await set_role_passwords(postgres.admin_settings(), postgres.passwords())
        await run_sql(postgres.admin_settings(), run_of(planned(BEFORE)), *state_of(BEFORE, quantity=2))
    finally:
        postgres.stop()
    data.chmod(0o700)
    done = await to_thread(leadline, command, "-f", renamed_manifest(tmp_path), "--data-dir", data)
    assert done.returncode == 1
    assert "has something open of default/flow on default/paper, and the manifests have default/stream" in done.stderr
    assert "starting nats" not in done.stderr
    assert not (data / "logs").exists()  # no service was started
