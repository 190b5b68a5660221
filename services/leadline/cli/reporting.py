"""`leadline report` and `leadline digest`: what a run came to, from the book of a data directory."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from pathlib import Path

from rich.console import Console

from leadline.cli.options import Output
from leadline.cli.output import announce_written, people_console, print_json
from leadline.cli.places import check_place
from leadline.model.errors import InvalidInput
from leadline.model.ids import RunId
from leadline.report.html import write_html
from leadline.report.text import render_text
from leadline.runtime.database import DATABASE_LOST
from leadline.runtime.retry import until_done
from leadline.runtime.rpc.failures import TIMEOUT_SECONDS
from leadline.runtime.settings import DatabaseSettings
from leadline.views import documents
from leadline.views.cluster_servers import cluster_database
from leadline.views.database import database_of, dsn_of
from leadline.views.digest_store import digest as digest_of_tape
from leadline.views.place import Place
from leadline.views.report import AccountReport
from leadline.views.report_store import build_reports
from leadline.views.stack import NotRunning
from leadline.views.store import latest_tape


def report_run(place: Place, tape: str | None, day: str | None, html: Path | None, output: Output) -> None:
    """Report a run, the newest where none is named, or one of its trading days; also as a page where it has a place.

    Raises InvalidInput and Unknown as `print_digest`.
    """
    if html is not None:
        check_place(html, "--html")
    reports = asyncio.run(_reports(place, tape, None if day is None else day_of(day)))
    if html is not None:
        write_reports(reports, html)
        announce_written(html)
    if output is Output.JSON:
        print_json([documents.report(item) for item in reports])
    else:
        print_reports(reports, people_console())


def print_digest(place: Place, tape: str | None, day: str | None, output: Output) -> None:
    """Print the digest of a run, the newest where none is named, or of one of its trading days (YYYY-MM-DD).

    Raises InvalidInput for a day that is none, Unknown for one on which nothing was said, decided or traded.
    """
    found, value = asyncio.run(_digest(place, tape, None if day is None else day_of(day)))
    if output is Output.JSON:
        print_json({"tape": found, **({} if day is None else {"day": day}), "digest": value})
    else:
        print(value)


def day_of(text: str) -> date:
    """The trading day that somebody wrote. Raises InvalidInput for a text that is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("--day", text, "a trading day such as 2026-11-30") from None


async def reports_of(database: DatabaseSettings, tape: RunId) -> list[AccountReport]:
    """A report per account of a tape, by name; a database that is just being started again is waited for.

    Raises Unknown when there is no such tape.
    """
    return await until_done(
        lambda: build_reports(dsn_of(database), tape),
        "database",
        DATABASE_LOST,
        timeout_s=TIMEOUT_SECONDS,
        quiet=True,
    )


def print_reports(reports: Sequence[AccountReport], console: Console) -> None:
    """The reports, for people."""
    for item in reports:
        render_text(item, console)


def write_reports(reports: Sequence[AccountReport], path: Path) -> None:
    """The reports as one self-contained HTML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_html(list(reports), path)


def _database(place: Place) -> AbstractAsyncContextManager[DatabaseSettings]:
    return cluster_database() if place.kube else database_of(place.data_dir)


async def _chosen(dsn: str, tape: str | None, place: Place) -> RunId:
    chosen = await latest_tape(dsn) if tape is None else RunId(tape)
    if chosen is None:
        raise NotRunning(f"no run has begun in {'the cluster' if place.kube else place.data_dir} yet")
    return chosen


async def _reports(place: Place, tape: str | None, day: date | None) -> list[AccountReport]:
    async with _database(place) as settings:
        dsn = dsn_of(settings)
        return await build_reports(dsn, await _chosen(dsn, tape, place), day)


async def _digest(place: Place, tape: str | None, day: date | None) -> tuple[RunId, str]:
    async with _database(place) as settings:
        dsn = dsn_of(settings)
        chosen = await _chosen(dsn, tape, place)
        return chosen, await digest_of_tape(dsn, chosen, day)
