"""`leadline operator`: what is asked of the operator's code from outside of it."""

import importlib
from typing import Annotated, Any

import typer

from leadline.model.errors import LeadlineError

app = typer.Typer(help="The operator of a cluster.", no_args_is_help=True)


class NoOperator(LeadlineError):
    """The package is installed without its operator."""

    def __str__(self) -> str:
        return "the operator is not installed: pip install 'leadline[operator]'"


@app.callback()
def _operator() -> None:
    """The operator of a cluster."""


@app.command(
    "guard-uninstall",
    short_help="Fail while objects need the operator.",
    epilog="Example: leadline operator guard-uninstall --namespace default",
)
def guard_uninstall(
    namespaces: Annotated[
        list[str], typer.Option("--namespace", "-n", metavar="NAME", help="Namespace to look into; repeatable.")
    ],
) -> None:
    """Fail while strategies or accounts are left that need the operator. Helm asks this before an uninstall.

    Uses the account of the Pod that it runs in, else the kubeconfig.
    """
    _guard().guard_uninstall(namespaces)
    print("nothing is left that needs the operator")


@app.command(
    "guard-upgrade",
    short_help="Fail while an upgrade would leave objects behind.",
    epilog="Example: leadline operator guard-upgrade --namespace default",
)
def guard_upgrade(
    namespaces: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Namespace that is looked after then; repeatable."),
    ] = None,
    operator: Annotated[
        str,
        typer.Option(
            "--operator", metavar="NAME", help="Deployment of the operator that is to change, as namespace/name."
        ),
    ] = "",
    instruments: Annotated[
        str,
        typer.Option(
            "--instruments", metavar="CHECKSUM", help="Checksum of the instruments of one's own that it will have."
        ),
    ] = "",
) -> None:
    """Fail while strategies or accounts are left in namespaces that would not be looked after any more.

    With an operator named also while strategies trade whose instruments would be others. Helm asks this before an
    upgrade. Uses the account of the Pod that it runs in, else the kubeconfig.
    """
    _guard().guard_upgrade(namespaces or [], operator, instruments)
    print("nothing is left out that needs the operator")


def _guard() -> Any:
    # By name: the platform does not know the operator, and runs where it is not installed.
    try:
        return importlib.import_module("leadline_operator.guard")
    except ModuleNotFoundError as error:
        raise NoOperator from error
