"""What is done again, until when, and what is said of it."""

from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from leadline.model.errors import InvalidInput, NotAdmitted, Refused, Unavailable
from leadline.runtime.retry import until_done, worth_again


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """Work that fails with these errors, one after the other, and is done then."""
    left = list(errors)

    async def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def retries(part: str) -> float:
    return REGISTRY.get_sample_value("leadline_retries_total", {"part": part}) or 0.0


async def done(work: Callable[[], Awaitable[str]]) -> str:
    return await until_done(work, "test", (OSError,), first_s=0.001, most_s=0.001)


@pytest.mark.moves("leadline_retries_total")
async def test_work_is_tried_again_until_it_is_done():
    before = retries("test")
    assert await done(failing(OSError("a"), OSError("b"))) == "done"
    assert retries("test") == before + 2


async def test_a_reason_is_told_once_for_as_long_as_it_stays_and_so_is_the_end():
    with capture_logs() as told:
        await done(failing(OSError("away"), OSError("away"), OSError("full")))
    assert [(each["event"], each.get("reason")) for each in told] == [
        ("test.waiting", "away"),
        ("test.waiting", "full"),
        ("test.answers", None),
    ]


async def test_a_command_is_quiet():
    with capture_logs() as told:
        await until_done(failing(OSError("away")), "test", (OSError,), first_s=0.001, quiet=True)
    assert told == []


async def test_what_is_not_named_is_raised_at_once():
    work = failing(ValueError("wrong"))
    with pytest.raises(ValueError, match="wrong"):
        await done(work)
    assert await work() == "done"


@pytest.mark.parametrize("timeout_s", [0, 0.01])
async def test_the_last_error_is_raised_when_patience_ends(timeout_s: float):
    async def never() -> str:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await until_done(never, "test", (OSError,), timeout_s=timeout_s, first_s=0.001)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Unavailable("gone", "bus"), 0.25),
        (Refused("no", "venue"), False),
        (NotAdmitted("who are you", "risk"), False),
        (InvalidInput("price", 1, "2"), False),
        (ValueError("a fault of the code"), False),
    ],
)
def test_the_type_of_an_error_says_whether_another_trial_is_worth_it(error: Exception, again: bool | float):
    assert worth_again(error) == again
