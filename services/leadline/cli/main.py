"""The command `leadline`: every subcommand, and how a failure is told.

Loaded here is what help needs. The code of a command is loaded when it runs.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException

from leadline.cli.commands import (
    acting,
    analysis,
    backtest,
    data,
    operator,
    processes,
    reading,
    reporting,
    running,
    schema,
    shard,
    study,
    venue,
)
from leadline.cli.failures import EXIT_BAD_INPUT, EXIT_FAILED, report_error
from leadline.cli.pipes import ended_by_a_closed_pipe
from leadline.cli.running_commands import RunningCommand, RunningGroup
from leadline.cli.usage import usage_text
from leadline.model.errors import is_utf8


def _print_version(wanted: bool) -> None:
    if wanted:
        from leadline.runtime.version import package_version

        print(f"leadline {package_version()}")
        raise typer.Exit


app = typer.Typer(
    name="leadline",
    help="Leadline, an order-flow trading platform: ticks in; bars, signals, orders and an audited book out.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
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


_GROUPS: Final = {
    "backtest": backtest.app,
    "study": study.app,
    "shard": shard.app,
    "data": data.app,
    "venue": venue.app,
    "db": schema.database,
    "bus": schema.bus,
    "server": processes.server,
    "operator": operator.app,
}
for commands in (running.app, reading.app, acting.app, reporting.app, analysis.app, processes.app):
    app.registered_commands += commands.registered_commands
for name, group in _GROUPS.items():
    app.add_typer(group, name=name, cls=RunningGroup)
for command in [*app.registered_commands, *(each for group in _GROUPS.values() for each in group.registered_commands)]:
    command.cls = RunningCommand


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    with ended_by_a_closed_pipe():
        sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command. 0 when it worked, 1 when it failed, 2 when what was given cannot be accepted, 130 for Ctrl-C."""
    for word in arguments:
        if not is_utf8(word):
            return _report_usage(f"{word!r}: a word that is no UTF-8; rename what it names, or type it in UTF-8")
    output = sys.stdout
    try:
        ended: int | None = app(list(arguments), prog_name="leadline", standalone_mode=False)
    except TyperException as error:
        if error.message.startswith("Usage: "):  # no words at all are answered with help
            print(error.message)
            return EXIT_BAD_INPUT
        return _report_usage(usage_text(error))
    except SystemExit as left:
        if sys.stdout is not output:  # its library has heard of a broken pipe, and says so by an output that is silent
            raise BrokenPipeError from None
        return left.code if isinstance(left.code, int) else EXIT_FAILED if left.code else 0
    except Exception as error:  # of what is looked at before a command runs
        code = report_error(error, {})
        if code is None:
            raise
        return code
    return ended or 0


def _report_usage(text: str) -> int:
    """Say what is wrong with the words of the command line. Returns the exit code."""
    from leadline.cli.output import complain

    complain(text)
    return EXIT_BAD_INPUT


if __name__ == "__main__":
    main()
