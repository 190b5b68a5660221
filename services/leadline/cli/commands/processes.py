"""`leadline service`, `leadline server` and `leadline health`: one process of the platform, and whether it is ready."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import Output, OutputOption

app = typer.Typer()
server = typer.Typer(help="Run NATS or PostgreSQL.", no_args_is_help=True)

ServerSettingsOption = Annotated[
    Path, typer.Option("--settings", metavar="FILE", help="Settings file of the server, JSON.", dir_okay=False)
]


@app.command(
    short_help="Ask services whether they are ready.",
    epilog="Example: leadline health leadline-risk.leadline-system.svc:9091",
)
def health(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS", help="host:port of each service's health.")],
    wait_seconds: Annotated[
        float, typer.Option("--wait-seconds", metavar="SECONDS", min=0, help="How long they may still start.")
    ] = 0.0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Ask services whether they are ready, by the protocol of the probes. Fails when one is not."""
    from leadline.cli.health import print_health

    if not print_health(addresses, wait_seconds, output):
        raise typer.Exit(1)


@app.command(
    short_help="Run one service, as `up` and the chart do.",
    epilog="Example: leadline service risk --settings /etc/leadline/risk.json",
)
def service(
    name: Annotated[str, typer.Argument(help="ingestion, aggregation, analysis, risk, execution, venue or recorder.")],
    settings: Annotated[
        Path, typer.Option("--settings", metavar="FILE", help="Settings file of the workload, JSON.", dir_okay=False)
    ],
) -> None:
    """Run one service until SIGTERM or SIGINT. Logs go to standard output as JSON lines."""
    from leadline.cli.service import run

    sys.exit(run(name, settings))


@server.command(
    "nats",
    short_help="Run NATS with JetStream.",
    epilog="Example: leadline server nats --settings /etc/leadline/settings.json",
)
def nats(settings: ServerSettingsOption) -> None:
    """Run NATS with JetStream until SIGTERM, with the users whose passwords its settings point to."""
    from leadline.local.bundled import run_nats

    run_nats(settings)


@server.command(
    "postgres",
    short_help="Run PostgreSQL.",
    epilog="Example: leadline server postgres --settings /etc/leadline/settings.json",
)
def postgres(settings: ServerSettingsOption) -> None:
    """Run PostgreSQL until SIGTERM. The first start makes the data directory."""
    from leadline.local.bundled import run_postgres

    run_postgres(settings)
