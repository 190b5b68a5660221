"""`leadline up` and `leadline plan`."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import (
    DataDirOption,
    FeedCatalogOption,
    FeedOption,
    InstrumentsOption,
    LiveOption,
    ManifestOption,
    MaxKeptOutOption,
    Output,
    OutputOption,
    PlanOptions,
    SeedOption,
    SessionsOption,
    ShiftSessionOption,
    ShiftToNowOption,
    SpeedOption,
    TradeFromOption,
    ZoneOption,
)
from leadline.cli.sparing import without

app = typer.Typer()


@app.command(
    short_help="Run the whole platform on this machine, until Ctrl-C.",
    epilog="Example: leadline up -f examples/mes-orderflow.yaml --feed sim --speed max --until-end",
)
def up(
    manifests: ManifestOption,
    data_dir: DataDirOption,
    live: LiveOption = False,
    feed: FeedOption = None,
    catalog: FeedCatalogOption = None,
    trade_from: TradeFromOption = None,
    seed: SeedOption = None,
    sessions: SessionsOption = None,
    speed: SpeedOption = None,
    shift_session: ShiftSessionOption = False,
    shift_to_now: ShiftToNowOption = False,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    until_end: Annotated[bool, typer.Option("--until-end", help="Stop at the end of the run, with a report.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Where the HTML report goes.",
            show_default="report.html in the data directory",
        ),
    ] = None,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="Begin another run, also where one was interrupted.")
    ] = False,
    no_live: Annotated[bool, typer.Option("--no-live", help="One line now and then instead of the live view.")] = False,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Run the whole platform on this machine: NATS, PostgreSQL and every service of the plan, until Ctrl-C.

    A run that was interrupted goes on when the same feed is started on the same data directory, until all its accounts
    have come to its end. A live tape has no end, and goes on whenever it is started there.
    """
    del tz  # its callback has answered
    with without("aiohttp", "cryptography"):  # as a service does
        from leadline.cli.up import UpOptions, run_up

    planned = PlanOptions(
        manifests,
        feed or (),
        trade_from,
        seed,
        sessions,
        speed,
        max_kept_out,
        instruments=instruments or (),
        catalog=catalog,
        live=live,
        shift_session=shift_session,
        shift_to_now=shift_to_now,
    )
    options = UpOptions(
        data_dir, until_end, report, drawn=not no_live and output is Output.TEXT, output=output, new_run=new_run
    )
    raise typer.Exit(run_up(planned, options))


@app.command(
    "plan",
    short_help="Check manifests, and show what would run.",
    epilog="Example: leadline plan -f examples/mes-orderflow.yaml --output json",
)
def show_plan(
    manifests: ManifestOption,
    live: LiveOption = False,
    feed: FeedOption = None,
    catalog: FeedCatalogOption = None,
    trade_from: TradeFromOption = None,
    seed: SeedOption = None,
    sessions: SessionsOption = None,
    speed: SpeedOption = None,
    shift_session: ShiftSessionOption = False,
    shift_to_now: ShiftToNowOption = False,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="FOLDER",
            help="A stack's directory, to check that its unfinished run can go on with these manifests.",
            file_okay=False,
            show_default="no run is looked at",
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the workloads that the manifests become and how large entries can be.

    Manifests, instruments and the feed's files are checked on the way, as `leadline up` checks them before it starts.
    """
    from leadline.cli.planning import print_plan

    options = PlanOptions(
        manifests,
        feed or (),
        trade_from,
        seed,
        sessions,
        speed,
        max_kept_out,
        instruments=instruments or (),
        catalog=catalog,
        live=live,
        shift_session=shift_session,
        shift_to_now=shift_to_now,
    )
    print_plan(options, output, data_dir)
