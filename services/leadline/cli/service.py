"""`leadline service`: one service of the platform, in this process. It loads no other command's code."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from leadline.runtime.main import run_service

app = typer.Typer()


@app.command(epilog="Example: leadline service risk --settings /etc/leadline/risk.json")
def service(
    name: Annotated[str, typer.Argument(help="ingestion, aggregation, analysis, risk, execution, venue or recorder.")],
    settings: Annotated[Path, typer.Option("--settings", help="Settings file of the workload, JSON.", dir_okay=False)],
) -> None:
    """Run one service until SIGTERM or SIGINT. Logs go to standard output as JSON lines."""
    sys.exit(run_service(name, settings))


if __name__ == "__main__":
    app(prog_name="leadline service")
