"""`leadline data ...`: the catalog of prints on this machine."""

from pathlib import Path
from typing import Annotated, Final

import typer

from leadline.cli.options import (
    CatalogOption,
    DataDirOption,
    InstrumentsOption,
    MaxKeptOutOption,
    Output,
    OutputOption,
    TapeOption,
)

app = typer.Typer(help="The catalog of prints.", no_args_is_help=True)


ContractArgument = Annotated[str | None, typer.Argument(metavar="CONTRACT", help="Only this one, such as ESH2025.")]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="DATE", help="First trading day, YYYY-MM-DD.", show_default="the first there is"),
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="DATE", help="Last trading day, YYYY-MM-DD.", show_default="the last there is"),
]


_REPLACE: Final = "Put these prints in the place of others, if they are not fewer, and of a damaged day's."


@app.callback()
def _data() -> None:
    """The catalog of prints."""


@app.command(
    "import",
    short_help="Put prints of files into the catalog.",
    epilog="Example: leadline data import GCZ2013=gc-20131007.csv.gz GCZ2013=gc-20131008.csv.gz",
)
def import_files(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES",
            help="CSV (ts_ns,price,size,side; also .gz), written CONTRACT=FILE, and Databento's .dbn and .dbn.zst.",
        ),
    ],
    catalog: CatalogOption,
    contracts: Annotated[
        list[str] | None,
        typer.Option(
            "--contract",
            metavar="CONTRACT",
            help="Contract of CSV files that name none; of Databento's files the ones to take, once per contract.",
            show_default="all of Databento's files",
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Put these prints in the place of other ones, of which there are not more, or of a damaged day's.",
        ),
    ] = False,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Put prints into the catalog, one file per contract and trading day, as a feed of these files would accept them.

    All files are read before the first day is written. Days that are there already with the same prints are skipped, so
    an import that was interrupted goes on. A part of a day is said to be one; the other part is joined to it.
    """
    from leadline.cli.data_import import run_import

    run_import(
        files,
        catalog,
        contracts or (),
        instruments or (),
        output,
        replace=replace,
        max_kept_out=max_kept_out,
    )


@app.command(
    "record",
    short_help="Put the prints of a run into the catalog.",
    epilog="Example: leadline data record --tape abc123-1",
)
def record_run(
    data_dir: DataDirOption,
    catalog: CatalogOption,
    tape: TapeOption = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Put these prints in the place of other ones, of which there are not more, or of a damaged day's.",
        ),
    ] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Put the prints that a run has stored into the catalog, pushed ones too, so that its days can be played again.

    Of a run that goes on, the day that it is in is left out. Days that are there with the same prints are skipped.
    """
    from leadline.cli.data_record import run_record

    run_record(data_dir, tape, catalog, output, replace=replace)


@app.command(
    "fetch",
    short_help="Buy trades of Databento into the catalog.",
    epilog="Example: leadline data fetch ES MES --from 2025-01-13 --to 2025-01-17 --dry-run, "
    "then the same with --budget 10.00; -f examples/mes-orderflow.yaml in place of ES MES",
)
def fetch_days(
    catalog: CatalogOption,
    from_day: Annotated[str, typer.Option("--from", metavar="DATE", help="First trading day, YYYY-MM-DD.")],
    to_day: Annotated[str, typer.Option("--to", metavar="DATE", help="Last trading day, included.")],
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INSTRUMENTS",
            help="Roots such as ES, which mean the lead month of each day, or contracts such as GCZ2013.",
        ),
    ] = None,
    manifests: Annotated[
        list[Path] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="Instead: what the strategies of these documents read and trade, with their history before --from.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            metavar="NAME",
            help="A session of the instruments, such as rth.",
            show_default="the whole trading day",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the cost of each day, and buy nothing.")] = False,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="USD",
            help="Buy when all of it costs at most so much, and nothing when it costs more.",
            show_default="ask at the terminal",
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Pay once more for days that were perhaps paid before, and count both payments in the budget.",
        ),
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="A file with the key of Databento's, and nothing else.",
            show_default="the environment variable DATABENTO_API_KEY",
        ),
    ] = None,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    url: Annotated[
        str,
        typer.Option("--url", metavar="URL", help="Where Databento answers.", envvar="LEADLINE_DATABENTO_URL"),
    ] = "https://hist.databento.com",
    output: OutputOption = Output.TEXT,
) -> None:
    """Buy trades of CME Group's futures of Databento, and put them into the catalog. The cost is said before.

    Days that are there, or were bought before, are not bought again, and neither are days on which the market is
    closed. A day is taken when it arrived whole, with as many trades as Databento counts. Each purchase is
    written down in the catalog: `leadline data spend` lists them.
    """
    from leadline.cli.data_fetch import FetchOptions, run_fetch

    options = FetchOptions(
        symbols or (), manifests or (), from_day, to_day, session, budget, dry_run, key_file, url, max_kept_out, again
    )
    raise typer.Exit(run_fetch(options, catalog, instruments or (), output))


@app.command("spend", short_help="List the days that were bought.", epilog="Example: leadline data spend --output json")
def list_spend(catalog: CatalogOption, output: OutputOption = Output.TEXT) -> None:
    """List the days that were bought into the catalog, and their cost.

    A day that did not arrive whole is listed with what it was to cost: Databento may have counted a part of it.
    """
    from leadline.cli.data_spend import print_spend

    print_spend(catalog, output)


@app.command("list", short_help="List the days of the catalog.", epilog="Example: leadline data list ESH2025")
def list_days(
    catalog: CatalogOption,
    contract: ContractArgument = None,
    from_day: FromOption = None,
    to_day: ToOption = None,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the days: prints, volume in size steps, first and last print, sessions that they reach over, bytes.

    Only the end of each file is read. A day that cannot be read is named, and the exit code is 1.
    """
    from leadline.cli.data import print_days

    code = print_days(catalog, contract, (from_day, to_day), instruments or (), output)
    raise typer.Exit(code)


@app.command("verify", short_help="Read all days and check them.", epilog="Example: leadline data verify ESH2025")
def verify_days(
    catalog: CatalogOption,
    contract: ContractArgument = None,
    from_day: FromOption = None,
    to_day: ToOption = None,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Read each day whole and check its bytes, its prints and its content hash. Exits with 1 when one is not sound."""
    from leadline.cli.data import verify

    raise typer.Exit(verify(catalog, contract, (from_day, to_day), instruments or (), output))


@app.command(
    "export",
    short_help="Write days as a file of prints.",
    epilog="Example: leadline data export ESH2025 es.csv.gz --from 2025-01-13 --to 2025-01-17",
)
def export_days(
    contract: Annotated[str, typer.Argument(metavar="CONTRACT", help="Contract, such as ESH2025.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where they go: .csv, or .csv.gz for a packed one.")],
    catalog: CatalogOption,
    from_day: FromOption = None,
    to_day: ToOption = None,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Write the prints of a contract as CSV, which `import` and a feed of files read again as the same prints."""
    from leadline.cli.data import export

    export(catalog, contract, file, (from_day, to_day), instruments or (), output)


@app.command(
    "remove",
    short_help="Take days out of the catalog.",
    epilog="Example: leadline data remove ESH2025 --from 2025-01-13 --to 2025-01-13",
)
def remove_days(
    contract: Annotated[str, typer.Argument(metavar="CONTRACT", help="Contract, such as ESH2025.")],
    catalog: CatalogOption,
    from_day: FromOption = None,
    to_day: ToOption = None,
    whole: Annotated[bool, typer.Option("--all", help="All days of the contract.")] = False,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Delete the files of these days, damaged ones too. It asks for a day or for --all, and not again."""
    from leadline.cli.data import remove

    remove(catalog, contract, (from_day, to_day), instruments or (), output, whole=whole)
