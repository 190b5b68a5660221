"""The command `leadline`: every subcommand, and how a failure is told."""

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import grpc
import structlog
import typer

from leadline.cli import acting, health, operator, planning, reading, reporting, schema, server, service, up
from leadline.cli.output import complain
from leadline.model.errors import InvalidInput, LeadlineError, Unknown
from leadline.runtime.errors import explain
from leadline.runtime.failures import BAD_INPUT
from leadline.runtime.version import package_version

EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"leadline {package_version()}")
        raise typer.Exit


app = typer.Typer(
    name="leadline",
    help="Leadline, an order-flow trading platform: ticks in; bars, signals, orders and an audited book out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    del version  # its callback has answered


for group in (up.app, planning.app, reading.app, acting.app, reporting.app, health.app, service.app):
    app.registered_commands += group.registered_commands
app.add_typer(schema.database, name="db")
app.add_typer(schema.bus, name="bus")
app.add_typer(server.app, name="server")
app.add_typer(operator.app, name="operator")


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command. 0 when it worked, 1 when it failed, 2 when what was given cannot be accepted, 130 for Ctrl-C."""
    # Standard output is for answers. A service configures its own log when it starts.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        # Whatever standard error is when something is said.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        app(list(arguments), prog_name="leadline")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_FAILED if ended.code else 0
    except (InvalidInput, Unknown) as error:
        complain(str(error))
        return EXIT_BAD_INPUT
    except (LeadlineError, OSError) as error:
        complain(str(error))
        return EXIT_FAILED
    except grpc.aio.AioRpcError as error:
        complain(explain(error))
        return EXIT_BAD_INPUT if error.code() in BAD_INPUT else EXIT_FAILED
    return 0


if __name__ == "__main__":
    main()
