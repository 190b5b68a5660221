"""`leadline venue ...`: one venue and its adapter."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import Output, OutputOption

app = typer.Typer(help="A venue and its adapter.", no_args_is_help=True)


@app.callback()
def _venue() -> None:
    """A venue and its adapter."""


@app.command(
    short_help="Hold a venue's adapter to the conformance suite.",
    epilog="Example: leadline venue check paper --case lost-answer --case restart",
)
def check(
    name: Annotated[str, typer.Argument(metavar="VENUE", help="The venue, as an account's manifest names it.")],
    section: Annotated[
        Path | None,
        typer.Option(
            "--section",
            metavar="FILE",
            help="YAML file with the fields of the venue's section of an account's manifest.",
            exists=True,
            dir_okay=False,
            show_default="the section's defaults",
        ),
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option("--case", metavar="NAME", help="Only this case; may be said several times.")
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Hold a venue's adapter to the conformance suite, against the stand-in of the venue that its package declares.

    Each case says what it asks. It passes or fails, or it is not claimed, where the venue does not claim a capability
    that the case is about. The status is 1 when one fails.
    """
    from leadline.cli.venue_check import check_venue

    raise typer.Exit(check_venue(name, section, case or (), output))
