"""The one way of doing something again until it is done: with growing pauses, a metric, and one word in the log."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

import stamina
import structlog

from leadline.model.errors import LeadlineError, Refused
from leadline.runtime import measurements

FIRST_SECONDS: Final = 0.2
MOST_SECONDS: Final = 2.0

Result = TypeVar("Result")
Again: TypeAlias = Callable[[Exception], bool | float] | tuple[type[Exception], ...]
"""Which errors are worth another trial: these types, or what a function says; a number is the pause in seconds."""

_log = structlog.get_logger(__name__)
# What is said and counted is said and counted here: stamina's own counter would have a series for each trial.
stamina.instrumentation.set_on_retry_hooks(())


def worth_again(error: Exception) -> bool | float:
    """Whether the type of an error asks for another try, and after how many seconds."""
    if not isinstance(error, LeadlineError) or isinstance(error, Refused) or error.again_after_s is None:
        return False
    return error.again_after_s


async def until_done(
    work: Callable[[], Awaitable[Result]],
    part: str,
    on: Again = worth_again,
    *,
    timeout_s: float | None = None,
    first_s: float = FIRST_SECONDS,
    most_s: float = MOST_SECONDS,
    quiet: bool = False,
) -> Result:
    """The result of `work`, which is tried again while it fails with an error of `on`; for ever without `timeout_s`.

    part: what does not answer, for log and metric. The first pause is `first_s` to twice that, and no pause is longer
    than `most_s` and that. quiet: nothing is logged, for a command whose output is its answer.

    Raises the last error when patience ends, any other at once.
    """
    logged = ""

    def again(error: Exception) -> bool | float:
        nonlocal logged
        decided = isinstance(error, on) if isinstance(on, tuple) else on(error)
        if decided is False:
            return False
        measurements.RETRIES.labels(part).inc()
        reason = str(error) or type(error).__name__
        if reason != logged and not quiet:
            _log.warning(f"{part}.waiting", reason=reason)
            logged = reason
        return decided

    trials = stamina.retry_context(
        on=again,
        attempts=1 if timeout_s == 0 else None,
        timeout=timeout_s or None,
        wait_initial=first_s,
        wait_max=most_s,
        wait_jitter=first_s,
    )
    async for trial in trials:
        with trial:
            found = await work()
            if logged:
                _log.info(f"{part}.answers", trials=trial.num)
            return found
    raise AssertionError("trials end with an answer or an error")
