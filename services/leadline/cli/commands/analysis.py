"""Commands about what a strategy is made of."""

from typing import Annotated

import typer

from leadline.cli.options import Output, OutputOption

app = typer.Typer()


@app.command(
    short_help="List detectors, regime and router, with their parameters.", epilog="Example: leadline nodes stacked"
)
def nodes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this node.")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the nodes that a manifest can set: what each computes and reads, how many bars it needs, its parameters.

    Detectors of packages that are installed beside Leadline are among them.
    """
    from leadline.cli.nodes import print_nodes

    print_nodes(name, output)
