"""Commands that read a stack: status, orders, positions, signals, explain."""

from pathlib import Path
from typing import Annotated

import typer

from leadline.cli.options import (
    AccountOption,
    DataDirOption,
    InstrumentsOption,
    KubeOption,
    NamespaceOption,
    Output,
    OutputOption,
    StrategyOption,
    TapeOption,
    ZoneOption,
)
from leadline.views.place import Place

app = typer.Typer()


@app.command(
    short_help="Show the run, the feed, the services and the accounts.", epilog="Example: leadline status --output json"
)
def status(
    data_dir: DataDirOption,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the run, the feed, the health of each service and each account's day."""
    del tz  # its callback has answered
    from leadline.cli.reading import print_status

    print_status(Place(data_dir, kube, namespace), output)


@app.command(
    short_help="List orders, also of a stopped stack.",
    epilog="Example: leadline orders --account default/paper --working",
)
def orders(
    data_dir: DataDirOption,
    account: AccountOption = None,
    strategy: Annotated[
        str, typer.Option("--strategy", metavar="NAME", help="Only this strategy's, namespace/name.")
    ] = "",
    working: Annotated[bool, typer.Option("--working", help="Only orders that can still be filled.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="NUMBER", min=1, max=5000, help="At most this many of the newest.")
    ] = 50,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """List orders, oldest first; of a stopped stack, those of its newest run."""
    del tz  # its callback has answered
    from leadline.cli.reading import print_orders
    from leadline.views.values import OrdersWanted

    wanted = OrdersWanted(limit, strategy, only_working=working)
    print_orders(Place(data_dir, kube, namespace), account, wanted, output)


@app.command(
    short_help="List open positions, also of a stopped stack.", epilog="Example: leadline positions --output json"
)
def positions(
    data_dir: DataDirOption,
    account: AccountOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the positions that are not flat; of a stopped stack, those of its newest run."""
    from leadline.cli.reading import print_positions

    print_positions(Place(data_dir, kube, namespace), account, output)


@app.command(
    short_help="List signals and what became of them.",
    epilog="Example: leadline signals --strategy default/mes-orderflow --last 5",
)
def signals(
    data_dir: DataDirOption,
    strategy: StrategyOption = None,
    last: Annotated[
        int, typer.Option("--last", metavar="NUMBER", min=1, max=5000, help="At most this many of the newest bars.")
    ] = 20,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """List bars with their signals and proposals, and the decision on each proposal; also of a stopped stack."""
    del tz  # its callback has answered
    from leadline.cli.reading import print_signals

    print_signals(Place(data_dir, kube, namespace), strategy, last, output)


@app.command(
    short_help="Tell all that is known of an order, a decision or a bar.",
    epilog="Example: leadline explain Lx552b34vsqtjfsbf",
)
def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of an order, a fill or a decision, key of a bar, or STRATEGY@TIME: the bar known in that second.",
        ),
    ],
    data_dir: DataDirOption,
    tape: TapeOption = None,
    backtest: Annotated[
        str | None,
        typer.Option("--backtest", metavar="ID", help="A backtest that is kept, or the beginning of its id."),
    ] = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Tell all that is known of one decision: its bar with the footprint, what was seen, sized, sent and filled.

    Without --tape it is of the newest run that has the id. With --kube the cluster's own database is asked, and who may
    not reach it gets what the services of the namespace know: they have no footprints. With --backtest the trades of
    one that is kept are told, each with the bar of its entry.
    """
    del tz  # its callback has answered
    from leadline.cli.explaining import print_explanation

    print_explanation(Place(data_dir, kube, namespace), name, tape, backtest, output)


@app.command(
    short_help="Check a platform, and say what mends what is wrong.",
    epilog="Example: leadline doctor --output json",
)
def doctor(
    data_dir: DataDirOption,
    manifests: Annotated[
        list[Path] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="Manifests of a start that is to come, once per file; without them those of the last start.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    instruments: InstrumentsOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check the machine, the database, the bus and what is traded. Exits with 1 when something is wrong.

    Where nothing runs, the database is opened for the time of the command; the bus and the services cannot be checked.
    With --kube: this person's rights, kinds, Secrets by name, Pods, claims, versions, strategies and accounts, and the
    platform's own database and bus, where this person may reach them.
    """
    from leadline.cli.doctoring import print_checkup

    if not print_checkup(Place(data_dir, kube, namespace), manifests or (), instruments or (), output):
        raise typer.Exit(1)
