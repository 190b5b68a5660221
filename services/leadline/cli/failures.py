"""How a failure of a command is told: in one line on standard error, and by the exit code."""

from collections.abc import Mapping
from typing import Final

import typer
from typer.exceptions import TyperException

from leadline.cli.pipes import nobody_reads
from leadline.cli.usage import as_typed
from leadline.model.errors import LeadlineError, error_text

EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2


def report_error(error: Exception, options: Mapping[str, str]) -> int | None:
    """Say why the command failed. Returns its exit code; None, and nothing is said, for a fault of the program.

    options: how the command's options are typed, by the settings that errors name.
    """
    if isinstance(error, TyperException | typer.Exit | typer.Abort):
        return None
    if isinstance(error, BrokenPipeError) and nobody_reads():
        return None
    # Help is shown without them.
    from grpc.aio import AioRpcError  # noqa: PLC0415

    from leadline.cli.output import complain  # noqa: PLC0415
    from leadline.runtime.rpc.errors import explain  # noqa: PLC0415
    from leadline.runtime.rpc.failures import BAD_INPUT  # noqa: PLC0415

    if isinstance(error, AioRpcError):
        complain(as_typed(explain(error), options))
        return EXIT_BAD_INPUT if error.code() in BAD_INPUT else EXIT_FAILED
    if isinstance(error, LeadlineError | OSError):
        complain(as_typed(error_text(error), options))
        status = getattr(error, "grpc_status", "")
        return EXIT_BAD_INPUT if status in {code.name for code in BAD_INPUT} else EXIT_FAILED
    return None
