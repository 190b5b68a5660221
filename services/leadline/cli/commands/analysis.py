"""Commands about what strategies are made of, and where they can trade."""

from typing import Annotated

import typer

from leadline.cli.options import Output, OutputOption

app = typer.Typer()


@app.command(
    short_help="List detectors, filters, regime and router, with their parameters.",
    epilog="Example: leadline nodes stacked",
)
def nodes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this node.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the nodes that a manifest can set: what each computes and reads, how many bars it needs, its parameters.

    Detectors and filters of packages that are installed beside Leadline are among them.
    """
    from leadline.cli.nodes import print_nodes

    print_nodes(name, output)


@app.command(short_help="List the venues of accounts, and what each can do.", epilog="Example: leadline venues paper")
def venues(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this venue.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the venues that an account's manifest can name: what each is, what it does by itself, its section.

    Venues of packages that are installed beside Leadline are among them.
    """
    from leadline.cli.venues import print_venues

    print_venues(name, output)
