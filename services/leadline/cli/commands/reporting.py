"""`leadline report` and `leadline digest`."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import DataDirOption, KubeOption, Output, OutputOption, TapeOption, ZoneOption
from leadline.views.place import Place

app = typer.Typer()

DayOption = Annotated[
    str | None,
    typer.Option("--day", metavar="DATE", help="Of this trading day alone, YYYY-MM-DD.", show_default=False),
]


@app.command(
    short_help="Report a run: its trades, totals and equity curve.",
    epilog="Example: leadline report --html report.html",
)
def report(
    data_dir: DataDirOption,
    tape: TapeOption = None,
    day: DayOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one HTML file, too.")
    ] = None,
    tz: ZoneOption = "UTC",
    kube: KubeOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Report a run: trades, totals by pattern, the equity curve; of a running stack or of one that has stopped.

    With --day one trading day, which no longer changes once it has rolled: the trades that were closed on it, from the
    cash before its first fill to the cash after its last. A tape without an end is read day by day so.

    With --kube the accounts of all namespaces, from the platform's database: it takes the rights to read the platform's
    Secrets and to forward a port of its namespace.
    """
    del tz  # its callback has answered
    from leadline.cli.reporting import report_run

    report_run(Place(data_dir, kube), tape, day, html, output)


@app.command(
    short_help="Print what is equal for two runs with the same trades.",
    epilog="Example: leadline digest --tape live --day 2026-11-30",
)
def digest(
    data_dir: DataDirOption,
    tape: TapeOption = None,
    day: DayOption = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Beside --day: replay that day of the live tape, and compare.")
    ] = False,
    kube: KubeOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Print the digest of a run: equal for two runs that took the same decisions and made the same trades.

    A tape without an end has one for each trading day, which no longer changes once the day has rolled. With --replay
    that day is worked out anew from what was recorded of it. Where the digests differ, this exits with 1.
    """
    if replay:
        from leadline.cli.replayed_days import compare_day

        raise typer.Exit(compare_day(Place(data_dir, kube), tape, day, output))
    from leadline.cli.reporting import print_digest

    print_digest(Place(data_dir, kube), tape, day, output)
