"""`leadline shard`: what the Pods of a backtest in a cluster run."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import InstrumentsOption

app = typer.Typer(help="Shards of a backtest.", no_args_is_help=True)

FileOption = Annotated[
    Path,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="A Backtest with its strategy and account, YAML.",
        exists=True,
        dir_okay=False,
    ),
]
CatalogPlace = Annotated[
    Path, typer.Option("--catalog", metavar="FOLDER", help="Where a claim with the catalog is mounted.")
]
ResultsPlace = Annotated[
    Path, typer.Option("--results", metavar="FOLDER", help="Where a claim for the results is mounted.")
]
MessageOption = Annotated[
    Path, typer.Option("--message", metavar="FILE", help="Where the last words go that the operator reads.")
]
WorkersOption = Annotated[
    int, typer.Option("--workers", metavar="NUMBER", min=1, max=256, help="Processes that make bars and signals.")
]
SecretsOption = Annotated[
    Path, typer.Option("--secrets", metavar="FOLDER", help="Where the keys of buckets are mounted.")
]
IndexOption = Annotated[
    int,
    typer.Option(
        "--index", metavar="NUMBER", min=0, envvar="JOB_COMPLETION_INDEX", help="Number of the shard, from 0."
    ),
]

_CATALOG = Path("/catalog")
_RESULTS = Path("/results")
_MESSAGE = Path("/dev/termination-log")
_SECRETS = Path("/etc/leadline-buckets")


@app.callback()
def _shard() -> None:
    """Run a part of a backtest, as a Pod of a cluster does."""


@app.command(
    "run",
    short_help="Run one shard, and keep its results.",
    epilog="Example: leadline shard run --file /etc/leadline/manifests.yaml --workers 2",
)
def run(
    file: FileOption,
    instruments: InstrumentsOption = None,
    catalog: CatalogPlace = _CATALOG,
    results: ResultsPlace = _RESULTS,
    message: MessageOption = _MESSAGE,
    workers: WorkersOption = 1,
    secrets: SecretsOption = _SECRETS,
    index: IndexOption = 0,
) -> None:
    """Run one shard of a backtest and keep its results, whole or not at all. Run again it leaves the same files."""
    from leadline.cli.shard import ShardOptions, run_shard

    run_shard(ShardOptions(file, instruments or (), catalog, results, message, workers, secrets, index))


@app.command(
    "gather",
    short_help="Put the results of all shards together.",
    epilog="Example: leadline shard gather --file /etc/leadline/manifests.yaml",
)
def gather(
    file: FileOption,
    instruments: InstrumentsOption = None,
    catalog: CatalogPlace = _CATALOG,
    results: ResultsPlace = _RESULTS,
    message: MessageOption = _MESSAGE,
    workers: WorkersOption = 1,
    secrets: SecretsOption = _SECRETS,
) -> None:
    """Put the results of all shards of a backtest together, and say the summary that its status has."""
    from leadline.cli.shard import ShardOptions, gather_shards

    gather_shards(ShardOptions(file, instruments or (), catalog, results, message, workers, secrets))
