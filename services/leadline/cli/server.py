"""`leadline server`: a bundled server from this image, in this process."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.plan.bundled import run_nats, run_postgres

app = typer.Typer(help="Run a server that the platform needs, where nobody else runs one.", no_args_is_help=True)

SettingsOption = Annotated[Path, typer.Option("--settings", help="Settings file of the server, JSON.", dir_okay=False)]


@app.command("nats", epilog="Example: leadline server nats --settings /etc/leadline/settings.json")
def nats(settings: SettingsOption) -> None:
    """Run NATS with JetStream until SIGTERM, with the users whose passwords its settings point to."""
    run_nats(settings)


@app.command("postgres", epilog="Example: leadline server postgres --settings /etc/leadline/settings.json")
def postgres(settings: SettingsOption) -> None:
    """Run PostgreSQL until SIGTERM. The first start makes the data directory."""
    run_postgres(settings)
