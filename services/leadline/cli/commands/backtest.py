"""`leadline backtest`, and the commands of what it keeps: list, show, compare, remove."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import (
    DayWorkersOption,
    FeedCatalogOption,
    FirstDayOption,
    InstrumentsOption,
    KeptDirOption,
    LastDayOption,
    MaxKeptOutOption,
    NamespaceOption,
    Output,
    OutputOption,
    PastFeedOption,
    PlanOptions,
    SeedOption,
    SimulatedSessionsOption,
    ZoneOption,
)

app = typer.Typer()
_OF_A_CLUSTER = {"namespace", "fetch"}
_OF_BOTH = {"manifests", "kube", "tz", "output", *_OF_A_CLUSTER}

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of a backtest that is kept, or its beginning.")]
PageOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Where a page of the results goes, with each trade's footprint.",
        show_default="no page",
    ),
]
TablesOption = Annotated[
    Path | None,
    typer.Option(
        "--tables",
        metavar="FOLDER",
        help="Where trades, days and equity go, as CSV and as Parquet.",
        show_default="no files",
    ),
]


@app.callback(
    invoke_without_command=True,
    short_help="Take manifests through a range of days, in one process.",
    epilog="Example: leadline backtest -f examples/mes-orderflow.yaml --sessions 20",
)
def backtest(
    context: typer.Context,
    manifests: Annotated[
        list[Path],
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="TradingStrategy and TradingAccount documents, YAML, once per file; with --kube a Backtest.",
            exists=True,
            dir_okay=False,
        ),
    ],
    data_dir: KeptDirOption,
    feed: PastFeedOption = None,
    trade_from: FirstDayOption = None,
    to: LastDayOption = None,
    seed: SeedOption = None,
    sessions: SimulatedSessionsOption = None,
    catalog: FeedCatalogOption = None,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    workers: DayWorkersOption = None,
    report: PageOption = None,
    tables: TablesOption = None,
    kube: Annotated[
        bool, typer.Option("--kube", help="Run a Backtest manifest in the cluster of the kubeconfig, through kubectl.")
    ] = False,
    namespace: NamespaceOption = None,
    fetch: Annotated[
        Path | None,
        typer.Option(
            "--fetch",
            metavar="FOLDER",
            help="With --kube: where the files of the result are fetched to, in a folder named by its id.",
            file_okay=False,
            show_default="they stay in the cluster",
        ),
    ] = None,
    no_keep: Annotated[bool, typer.Option("--no-keep", help="Keep nothing of it in the data directory.")] = False,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Take manifests through a range of days: prints, bars, signals, risk, account and paper venue in one process.

    The same cores decide as in a run of the platform, so the digest is the same. No server is started. The results are
    kept under an id that follows from code, manifests and data; `list`, `show` and `compare` read them.
    """
    del tz  # its callback has answered
    if context.invoked_subcommand is not None:
        return
    refuse_without_effect(context, kube=kube)
    if kube:
        from leadline.cli.backtest_kube import KubeBacktest, run_in_cluster

        run_in_cluster(KubeBacktest(manifests, namespace, fetch, output))
        return
    if "catalog" in (feed or ()) and workers != 1:  # other prints are too few for several processes
        from leadline.backtest.processes import load_ahead

        load_ahead()
    from leadline.cli.backtesting import BacktestOptions, run_backtest_command

    planned = PlanOptions(
        manifests,
        feed or (),
        trade_from,
        seed,
        sessions,
        max_kept_out=max_kept_out,
        instruments=instruments or (),
        catalog=catalog,
        pushed=False,
    )
    kept_in = None if no_keep else data_dir
    run_backtest_command(planned, BacktestOptions(to, workers, output, report, tables, kept_in))


def refuse_without_effect(context: typer.Context, *, kube: bool) -> None:
    """Raises InvalidInput for an option that is given and that a run at this place takes no notice of."""
    from leadline.model.errors import InvalidInput

    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[name]
        shown = "given" if value is True else str(value) if isinstance(value, Path) else value
        if kube and name not in _OF_BOTH:
            expected = "nothing of it with --kube: the manifest of the Backtest says what runs"
            raise InvalidInput(parameter.opts[0], shown, expected)
        if not kube and name in _OF_A_CLUSTER:
            raise InvalidInput(parameter.opts[0], shown, "--kube with it")


@app.command("list", short_help="List the backtests that are kept.", epilog="Example: leadline backtest list")
def list_backtests(data_dir: KeptDirOption, tz: ZoneOption = "UTC", output: OutputOption = Output.TEXT) -> None:
    """List the backtests that are kept, the newest first: id, strategies, range, and the figures of each account.

    One that is damaged is named, and exits with 1; the others are listed all the same.
    """
    del tz  # its callback has answered
    from leadline.cli.kept_backtests import print_list

    raise typer.Exit(print_list(data_dir, output))


@app.command("show", short_help="Show a backtest that is kept.", epilog="Example: leadline backtest show 3kq7")
def show(
    backtest_id: IdArgument,
    data_dir: KeptDirOption,
    report: PageOption = None,
    tables: TablesOption = None,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the results of a backtest again, from what is kept of it: nothing is run."""
    del tz  # its callback has answered
    from leadline.cli.kept_backtests import show_backtest

    show_backtest(data_dir, backtest_id, report, tables, output)


@app.command(
    "compare",
    short_help="Compare two backtests that are kept.",
    epilog="Example: leadline backtest compare 3kq7 x2ab",
)
def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="Id of a backtest that is kept, or its beginning.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Id of another one, or its beginning.")],
    data_dir: KeptDirOption,
    output: OutputOption = Output.TEXT,
) -> None:
    """Compare two backtests: the figures of each account, and every field in which manifests, data and code differ."""
    from leadline.cli.kept_backtests import compare_backtests

    compare_backtests(data_dir, one, other, output)


@app.command(
    "remove", short_help="Remove a backtest that is kept.", epilog="Example: leadline backtest remove 3kq7mx2abcde"
)
def remove(backtest_id: IdArgument, data_dir: KeptDirOption, output: OutputOption = Output.TEXT) -> None:
    """Delete what is kept of a backtest, a damaged one too. It does not ask again."""
    from leadline.cli.kept_backtests import remove_backtest

    remove_backtest(data_dir, backtest_id, output)
