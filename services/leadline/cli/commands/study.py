"""`leadline study ...`: many variants of manifests over the same days."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import (
    DayWorkersOption,
    FeedCatalogOption,
    FirstDayOption,
    InstrumentsOption,
    LastDayOption,
    ManifestOption,
    MaxKeptOutOption,
    Output,
    OutputOption,
    PastFeedOption,
    PlanOptions,
    SeedOption,
    SimulatedSessionsOption,
)

app = typer.Typer(help="Studies of many variants.", no_args_is_help=True)

ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Where a page of the results goes.", show_default="no page"),
]
SweepFileOption = Annotated[
    Path | None,
    typer.Option(
        "--sweep",
        metavar="FILE",
        help="A YAML file of the sweep: fields with their values, a random draw, or a list of variants.",
        exists=True,
        dir_okay=False,
        show_default="only --set",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUES",
        help="A field with its values: FIELD=16,20,24 or FIELD=16..24/4. FIELD is strategy.spec.... or "
        "account.spec...., once per field; all combinations are tried.",
    ),
]
FigureOption = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="FIGURE",
        help="Figure by which variants are compared, such as net, sharpe, profitFactor or maxDrawdown.",
    ),
]


def _planned(
    manifests: list[Path],
    feed: list[str] | None,
    trade_from: str | None,
    seed: int | None,
    sessions: int | None,
    catalog: Path | None,
    max_kept_out: float,
    instruments: list[Path] | None,
) -> PlanOptions:
    """The options that a study has in common with a backtest."""
    return PlanOptions(
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


@app.callback()
def _study() -> None:
    """Many variants of manifests over the same days."""


@app.command(
    short_help="Try every variant of manifests, and sort them.",
    epilog="Example: leadline study sweep -f examples/mes-orderflow.yaml --sessions 5 "
    "--set strategy.spec.strategy.router.minStrength=0.4,0.5,0.6 --set account.spec.paper.slippageTicks=0..2/1",
)
def sweep(
    manifests: ManifestOption,
    sweep_file: SweepFileOption = None,
    fields: SetOption = None,
    feed: PastFeedOption = None,
    trade_from: FirstDayOption = None,
    to: LastDayOption = None,
    seed: SeedOption = None,
    sessions: SimulatedSessionsOption = None,
    catalog: FeedCatalogOption = None,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    workers: DayWorkersOption = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Only the I-th of N parts. Shards of one folder find each other.",
            show_default="all of it",
        ),
    ] = None,
    by: FigureOption = "net",
    heat_map: Annotated[
        str | None,
        typer.Option(
            "--heat-map",
            metavar="FIELD,FIELD",
            help="Fields of the heat map: down, across.",
            show_default="the first two that have several values",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="FOLDER",
            help="Folder of the sweeps. A sweep that was interrupted goes on there.",
            file_okay=False,
            show_default="~/.local/share/leadline-studies",
        ),
    ] = None,
    report: ReportOption = None,
    tables: Annotated[
        Path | None,
        typer.Option(
            "--tables",
            metavar="FOLDER",
            help="Where variants and their days go, as CSV and as Parquet.",
            show_default="no files",
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Try every variant of manifests over the same days. Parts that variants share are worked out once.

    The results of a variant are those of leadline backtest with its manifests. Each variant is kept as soon as it is
    finished.
    """
    from leadline.cli.studying import StudyOptions, SweepOptions, run_sweep_command

    planned = _planned(manifests, feed, trade_from, seed, sessions, catalog, max_kept_out, instruments)
    options = SweepOptions(sweep_file, fields or (), shard, by, heat_map, folder, tables)
    run_sweep_command(planned, StudyOptions(to, workers, report, output), options)


@app.command(
    short_help="Compare a strategy with itself, one thing changed at a time.",
    epilog="Example: leadline study scenarios -f examples/mes-orderflow.yaml --sessions 5",
)
def scenarios(
    manifests: ManifestOption,
    feed: PastFeedOption = None,
    trade_from: FirstDayOption = None,
    to: LastDayOption = None,
    seed: SeedOption = None,
    sessions: SimulatedSessionsOption = None,
    catalog: FeedCatalogOption = None,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    workers: DayWorkersOption = None,
    report: ReportOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take a strategy through 22 scenarios: other fills, limits, sizes, hours, days and capital.

    Each is the baseline with one thing changed, and the table has the difference. The baseline is the strategy with one
    contract, the bracket of its instrument's profile, 10,000 at the start, day loss 400, day target 500 and no tiers.
    """
    from leadline.cli.studying import StudyOptions, run_scenarios_command

    planned = _planned(manifests, feed, trade_from, seed, sessions, catalog, max_kept_out, instruments)
    run_scenarios_command(planned, StudyOptions(to, workers, report, output))


@app.command(
    short_help="Take an account with capital tiers through the days, from several balances.",
    epilog="Example: leadline study tiers -f examples/mes-orderflow.yaml --sessions 5 --balance 2500 --balance 5000",
)
def tiers(
    manifests: ManifestOption,
    feed: PastFeedOption = None,
    trade_from: FirstDayOption = None,
    to: LastDayOption = None,
    seed: SeedOption = None,
    sessions: SimulatedSessionsOption = None,
    catalog: FeedCatalogOption = None,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    workers: DayWorkersOption = None,
    balances: Annotated[
        list[str] | None,
        typer.Option(
            "--balance",
            metavar="MONEY",
            help="Balance at the start, once per balance.",
            show_default="2500, 5000 and 10000",
        ),
    ] = None,
    report: ReportOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take an account with capital tiers through the days from several balances: its equity, tiers and their changes.

    Sizes, limits and tiers are those of the manifests. Tiers change only between days.
    """
    from leadline.cli.studying import StudyOptions, run_tiers_command

    planned = _planned(manifests, feed, trade_from, seed, sessions, catalog, max_kept_out, instruments)
    run_tiers_command(planned, StudyOptions(to, workers, report, output), balances or ("2500", "5000", "10000"))


@app.command(
    short_help="Put a strategy under stress: slippage, hours, weekdays, streaks, drawdowns.",
    epilog="Example: leadline study stress -f examples/mes-orderflow.yaml --sessions 5 --iterations 1000 --block 5",
)
def stress(
    manifests: ManifestOption,
    feed: PastFeedOption = None,
    trade_from: FirstDayOption = None,
    to: LastDayOption = None,
    seed: SeedOption = None,
    sessions: SimulatedSessionsOption = None,
    catalog: FeedCatalogOption = None,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    workers: DayWorkersOption = None,
    slippage: Annotated[
        str, typer.Option("--slippage", metavar="TICKS", help="Levels of slippage, with commas between them.")
    ] = "0,1,2,3,4",
    iterations: Annotated[
        int, typer.Option("--iterations", metavar="NUMBER", min=1, max=100_000, help="Paths of the bootstrap.")
    ] = 1_000,
    block: Annotated[
        int, typer.Option("--block", metavar="DAYS", min=1, max=260, help="Successive days of a block of a path.")
    ] = 5,
    draw: Annotated[
        int,
        typer.Option("--draw", metavar="NUMBER", min=0, help="Seed of the bootstrap: each draws its own paths."),
    ] = 1,
    report: ReportOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Put a strategy under stress: slippage, hours, weekdays, streaks, and the drawdowns of other histories.

    The histories are made of blocks of the days that there were, drawn with replacement.
    """
    from leadline.cli.studying import StudyOptions, run_stress_command

    planned = _planned(manifests, feed, trade_from, seed, sessions, catalog, max_kept_out, instruments)
    common = StudyOptions(to, workers, report, output)
    run_stress_command(planned, common, slippage, iterations, block, draw)


@app.command(
    "walk-forward",
    short_help="Choose variants on some days, and trade the days that follow.",
    epilog="Example: leadline study walk-forward -f examples/mes-orderflow.yaml --sessions 12 --in-sample 4 "
    "--out-of-sample 2 --set strategy.spec.strategy.router.minStrength=0.4,0.6",
)
def walk_forward(
    manifests: ManifestOption,
    inside: Annotated[
        int, typer.Option("--in-sample", metavar="DAYS", min=1, max=2_600, help="Session days on which it is chosen.")
    ],
    outside: Annotated[
        int, typer.Option("--out-of-sample", metavar="DAYS", min=1, max=2_600, help="Session days traded after them.")
    ],
    sweep_file: SweepFileOption = None,
    fields: SetOption = None,
    feed: PastFeedOption = None,
    trade_from: FirstDayOption = None,
    to: LastDayOption = None,
    seed: SeedOption = None,
    sessions: SimulatedSessionsOption = None,
    catalog: FeedCatalogOption = None,
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    workers: DayWorkersOption = None,
    by: FigureOption = "net",
    report: ReportOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Choose the best variant on some days, let it trade the days that follow, and go on from there.

    The days out of sample take no part in any choice. The account goes from fold to fold with its equity.
    """
    from leadline.cli.studying import StudyOptions, WalkForwardOptions, run_walk_forward_command

    planned = _planned(manifests, feed, trade_from, seed, sessions, catalog, max_kept_out, instruments)
    walked = WalkForwardOptions(sweep_file, fields or (), by, inside, outside)
    run_walk_forward_command(planned, StudyOptions(to, workers, report, output), walked)
