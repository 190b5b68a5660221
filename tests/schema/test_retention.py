import asyncio

import pytest
from typer.testing import CliRunner

from leadline.cli.main import app
from leadline.model.errors import InvalidInput, Unknown
from leadline.schema.retention import keep, parse_ages, retention_of
from tests.stack import Database, pool_as


@pytest.mark.parametrize(
    ("text", "ages"),
    [("ticks=30d", {"ticks": 30}), ("ticks=7d,bars=forever", {"ticks": 7, "bars": None}), ("x=99999d", {"x": 99999})],
)
def test_ages_are_read_as_people_write_them(text: str, ages: dict[str, int | None]):
    assert parse_ages(text) == ages


@pytest.mark.parametrize(
    "text", ["", "ticks", "ticks=", "ticks=0d", "ticks=30", "=30d", "ticks=1w", "ticks=1d,ticks=2d"]
)
def test_what_is_no_age_is_named_and_nothing_is_guessed(text: str):
    with pytest.raises(InvalidInput, match="--keep"):
        parse_ages(text)


@pytest.mark.integration
async def test_ages_are_set_together_or_not_at_all(database: Database):
    async with pool_as(database, "supervisor") as pool, pool.acquire() as connection:
        found = {each.kind: each.age for each in await retention_of(connection)}
        assert found == {"ticks": "30d", "footprints": "90d", "bars": "forever", "signals": "forever"}
        with pytest.raises(Unknown, match="bars, footprints, signals, ticks"):
            await keep(connection, {"ticks": 1, "orders": 1})
        assert (await retention_of(connection))[-1].keep_days == 30
        await keep(connection, {"ticks": None, "bars": 400})
        ticks = {each.kind: each for each in await retention_of(connection)}["ticks"]
        assert (ticks.age, ticks.table, ticks.partitions) == ("forever", "tick_block", 3)
        assert None not in (ticks.oldest, ticks.newest)
        assert ticks.bytes > 0


@pytest.mark.integration
async def test_the_command_sets_and_shows_what_is_kept(database: Database):
    settings = database.settings("supervisor")
    place = ["db", "retention", "--dsn", settings.url, "--password-file", str(settings.password_file)]

    async def said(*words: str) -> str:
        # The command has a loop of events of its own.
        done = await asyncio.to_thread(CliRunner().invoke, app, [*place, *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert '"kind":"ticks"' in await said("--output", "json")
    shown = await said("--keep", "ticks=7d,signals=365d")
    assert {"7d", "365d", "forever"} <= set(shown.split())
