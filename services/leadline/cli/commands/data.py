"""`leadline data ...`: the catalog of prints on this machine."""

from pathlib import Path
from typing import Annotated

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
        bool, typer.Option("--replace", help="Put these prints in the place of days that are there with others.")
    ] = False,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Put prints into the catalog, one file per contract and trading day, as a feed of these files would accept them.

    All files are read before the first day is written. Give all files of a day at once: a day is written as a whole.
    Days that are there already with the same prints are skipped, so an import that was interrupted goes on.
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
        bool, typer.Option("--replace", help="Put these prints in the place of days that are there with others.")
    ] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Put the prints that a run has stored into the catalog, pushed ones too, so that its days can be played again.

    Of a run that goes on, the day that it is in is left out. Days that are there with the same prints are skipped.
    """
    from leadline.cli.data_record import run_record

    run_record(data_dir, tape, catalog, output, replace=replace)


@app.command("list", short_help="List the days of the catalog.", epilog="Example: leadline data list ESH2025")
def list_days(
    catalog: CatalogOption,
    contract: ContractArgument = None,
    from_day: FromOption = None,
    to_day: ToOption = None,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the days: prints, volume in size steps, first and last print, faulty prints that were kept out, bytes.

    Only the end of each file is read.
    """
    from leadline.cli.data import print_days

    print_days(catalog, contract, (from_day, to_day), instruments or (), output)


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
