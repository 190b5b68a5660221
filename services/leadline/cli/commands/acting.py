"""Commands that change a running stack: halt, resume, release, flatten. Each names the person who gives it."""

from typing import Annotated, Final

import typer

from leadline.cli.options import (
    AccountOption,
    DataDirOption,
    KubeOption,
    NamespaceOption,
    Output,
    OutputOption,
    ZoneOption,
)
from leadline.views.place import Place

# A command takes effect between two steps of an account, and a step may wait for the venue.
WAIT_SECONDS: Final = 30

app = typer.Typer()

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the audit.")]
WaitOption = Annotated[
    int, typer.Option("--wait-seconds", metavar="SECONDS", min=1, help="How long to wait for an answer.")
]


@app.command(short_help="Stop entries until a person resumes.", epilog='Example: leadline halt --reason "news"')
def halt(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop entries of an account until a person resumes it. Orders that reduce risk go on."""
    del tz  # its callback has answered
    from leadline.cli.acting import Command, halt_accounts

    halt_accounts(Command(Place(data_dir, kube, namespace), reason, wait_seconds, output), account)


@app.command(
    short_help="Clear halts, so that entries go on.", epilog='Example: leadline resume --reason "the news is out"'
)
def resume(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Clear the halts that stand now, of an account or of all. Each is shown, and the audit names who cleared it."""
    del tz  # its callback has answered
    from leadline.cli.acting import Command, resume_accounts

    resume_accounts(Command(Place(data_dir, kube, namespace), reason, wait_seconds, output), account)


@app.command(
    short_help="Let a strategy count again that was fenced off.",
    epilog='Example: leadline release default/mes-orderflow --reason "its parameters are mended"',
)
def release(
    strategy: Annotated[str, typer.Argument(help="The strategy, namespace/name.")],
    reason: ReasonOption,
    data_dir: DataDirOption,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    output: OutputOption = Output.TEXT,
) -> None:
    """Let a strategy count again that was fenced off because of what it said. The audit names who released it."""
    from leadline.cli.acting import Command, release_strategy

    release_strategy(Command(Place(data_dir, kube, namespace), reason, wait_seconds, output), strategy)


@app.command(
    short_help="Cancel working orders and close positions.",
    epilog='Example: leadline flatten --strategy default/mes-orderflow --reason "enough for today"',
)
def flatten(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", metavar="NAME", help="Only this strategy, namespace/name; else whole accounts."),
    ] = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    tz: ZoneOption = "UTC",
    output: OutputOption = Output.TEXT,
) -> None:
    """Cancel working orders and close positions at the market."""
    del tz  # its callback has answered
    from leadline.cli.acting import Command, flatten_accounts

    flatten_accounts(Command(Place(data_dir, kube, namespace), reason, wait_seconds, output), account, strategy)
