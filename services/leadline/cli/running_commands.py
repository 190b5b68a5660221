"""How commands and groups of them run: their own words alone on standard output, and one clear line for a failure."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from leadline.cli.failures import report_error
from leadline.cli.usage import options_of, require_once, require_values, typed
from leadline.model.errors import InvalidInput

# In the context of a group whose own command runs.
_BY_ITSELF: Final = "leadline.by-itself"


class RunningCommand(TyperCommand):
    """A command whose own words are the only ones on standard output, and which says why it failed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As its parser does it, which takes the last of two values, and an empty one: here both are refused."""
        values, _, given = self.make_parser(ctx).parse_args(args=list(args))
        require_once(given)
        require_values(given, values)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run it, with the log set up: warnings, on standard error. Errors name options as they are typed."""
        _log_warnings()
        return _told(super().invoke, ctx, self.params)


class RunningGroup(TyperGroup):
    """A group of commands that may be one itself, where none of them is named: then it runs as every command.

    Its options are its own: in front of one of its commands they are refused, and none of them is asked for.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `RunningCommand.parse_args`."""
        if not self.invoke_without_command:
            return super().parse_args(ctx, args)
        values, rest, given = self.make_parser(ctx).parse_args(args=list(args))
        require_once(given)
        require_values(given, values)
        if not rest:
            ctx.meta[_BY_ITSELF] = True
            return super().parse_args(ctx, args)
        if given and given[0].name != "help":
            expected = f"`{ctx.command_path}` alone with it: {rest[0]} takes options behind its name"
            raise InvalidInput(typed(given[0]), rest[0], expected)
        ctx.resilient_parsing = True  # its own options are not asked for
        try:
            return super().parse_args(ctx, args)
        finally:
            ctx.resilient_parsing = False

    def invoke(self, ctx: Any) -> Any:
        """See `RunningCommand.invoke`. A command of the group tells its own failure."""
        if _BY_ITSELF not in ctx.meta:
            return super().invoke(ctx)
        _log_warnings()
        return _told(super().invoke, ctx, self.params)


def _log_warnings() -> None:
    import logging  # noqa: PLC0415 - only what is needed

    import structlog  # noqa: PLC0415 - as above

    # A service configures its own log when it starts.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        # Whatever standard error is when something is said.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _told(invoke: Callable[[Any], Any], ctx: Any, parameters: Sequence[Any]) -> Any:
    """Run it; an error is told, and becomes the exit code."""
    try:
        return invoke(ctx)
    except Exception as error:
        code = report_error(error, options_of(parameters))
        if code is None:
            raise
        raise typer.Exit(code) from error
