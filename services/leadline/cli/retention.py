"""`leadline db retention`: how long the market's tables keep their rows."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from leadline.cli.options import Output
from leadline.cli.output import print_json, print_table
from leadline.cli.schema import as_options
from leadline.model.errors import InvalidInput
from leadline.model.services import SUPERVISOR
from leadline.runtime.database import connect
from leadline.runtime.settings import DatabaseSettings
from leadline.schema.retention import Kept, keep, parse_ages, retention_of
from leadline.views.database import database_of


def show_retention(
    data_dir: Path, wanted: str | None, dsn: str | None, password_file: Path | None, output: Output
) -> None:
    """Set what is `wanted`, where something is, and print what is set and what is there.

    Raises InvalidInput and Unknown for what cannot be set, and InvalidInput for one of `dsn` and `password_file` alone.
    """
    ages = {} if wanted is None else parse_ages(wanted)
    kept = asyncio.run(_retention(_place(data_dir, dsn, password_file), ages))
    if output is Output.JSON:
        print_json([asdict(each) | {"age": each.age} for each in kept])
        return
    columns = ("kind", "kept", "oldest", "newest", "partitions", "MiB")
    print_table("", columns, map(_row, kept), "nothing is kept")


def _row(kept: Kept) -> tuple[object, ...]:
    return kept.kind, kept.age, kept.oldest, kept.newest, kept.partitions, f"{kept.bytes / 2**20:,.1f}"


async def _retention(place: AbstractAsyncContextManager[DatabaseSettings], ages: dict[str, int | None]) -> list[Kept]:
    async with place as settings:
        connection = await connect(settings, "leadline db retention")
        try:
            await keep(connection, ages)
            return await retention_of(connection)
        finally:
            await connection.close()


def _place(
    data_dir: Path, dsn: str | None, password_file: Path | None
) -> AbstractAsyncContextManager[DatabaseSettings]:
    if dsn is None and password_file is None:
        return database_of(data_dir, SUPERVISOR)
    if dsn is None or password_file is None:
        given, missing = ("--dsn", "--password-file") if password_file is None else ("--password-file", "--dsn")
        raise InvalidInput(missing, "nothing", f"a value together with {given}")
    try:
        return nullcontext(DatabaseSettings(url=dsn, password_file=password_file))
    except ValidationError as error:
        raise as_options(error, {"url": "--dsn"}) from None
