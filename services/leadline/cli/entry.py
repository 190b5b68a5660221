"""The program `leadline`. A service is a process of its own for days: it loads no code of the other commands."""

import sys


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    if sys.argv[1:2] == ["service"]:
        from leadline.cli.service import app  # noqa: PLC0415 - only what is needed

        app(sys.argv[2:], prog_name="leadline service")
    from leadline.cli.main import main as every_command  # noqa: PLC0415 - as above

    every_command()
