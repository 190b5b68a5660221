"""The program `leadline`. A service is a process of its own for days: it loads no code of the other commands."""

import sys
from typing import Final

from leadline.cli.pipes import ended_by_a_closed_pipe

EXIT_INTERRUPTED: Final = 130


def main() -> None:
    """Run the command line; the process ends with its exit code, 130 for Ctrl-C at whatever moment."""
    try:
        with ended_by_a_closed_pipe():
            _main()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _main() -> None:
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version  # noqa: PLC0415 - only what is needed

        print(f"leadline {version('leadline')}")
    elif sys.argv[1:2] == ["service"]:
        from leadline.cli.service import main as service  # noqa: PLC0415 - as above

        service(sys.argv[2:])
    else:
        from leadline.cli.main import main as every_command  # noqa: PLC0415 - as above

        every_command()
