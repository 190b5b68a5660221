"""What a failed call means: the same to every client."""

import grpc
import pytest

from leadline.execution.loop.ports import LimitRefused
from leadline.model.errors import InvalidInput, LeadlineError, NotAdmitted, Refused, Unavailable, Unknown
from leadline.runtime.bus.bus import BusDenied, BusUnavailable, StreamFull
from leadline.runtime.database import SchemaTooOld
from leadline.runtime.rpc.auth import NotAllowed, NotAuthenticated
from leadline.runtime.rpc.errors import status_of
from leadline.runtime.rpc.failures import MEANINGS, Meaning, answered, failure, with_retries

AWAY = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED", "ABORTED"}
NOT_ADMITTED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"}


def failed(code: grpc.StatusCode, error: LeadlineError | None = None) -> grpc.aio.AioRpcError:
    """A call as a client sees it fail."""
    trailing = grpc.aio.Metadata(*(status_of(error)[2] if error else ()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, "some words", None)


def test_every_status_has_one_meaning():
    assert set(MEANINGS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}
    found = {meaning: {code.name for code in MEANINGS if MEANINGS[code] is meaning} for meaning in Meaning}
    assert found[Meaning.AWAY] == AWAY
    assert found[Meaning.NOT_ADMITTED] == NOT_ADMITTED
    assert {"INTERNAL", "UNKNOWN", "INVALID_ARGUMENT"} <= found[Meaning.REFUSED]


@pytest.mark.parametrize("code", list(MEANINGS))
def test_a_failed_call_becomes_the_error_that_says_what_can_be_done(code: grpc.StatusCode):
    error = failure("risk", failed(code))
    assert isinstance(error, Unavailable) == (code.name in AWAY)
    assert isinstance(error, Refused) == (code.name not in AWAY)
    assert isinstance(error, NotAdmitted) == (code.name in NOT_ADMITTED)
    assert (error.again_after_s is None) == (code.name not in AWAY | NOT_ADMITTED)
    assert error.part == "risk"


@pytest.mark.parametrize(
    ("error", "code", "again"),
    [
        (InvalidInput("size", 0, "at least 1"), "INVALID_ARGUMENT", False),
        (Unknown("strategy", "x"), "NOT_FOUND", False),
        (NotAuthenticated("no token"), "UNAUTHENTICATED", False),
        (NotAllowed("not you"), "PERMISSION_DENIED", False),
        (LimitRefused("margin"), "FAILED_PRECONDITION", False),
        (Unavailable("the database does not answer"), "UNAVAILABLE", True),
        (NotAdmitted("the venue does not know this process"), "UNAVAILABLE", True),
        (Refused("the venue refuses"), "FAILED_PRECONDITION", False),
        (BusUnavailable("publish", 60, "gone"), "UNAVAILABLE", True),
        (StreamFull("TICKS"), "UNAVAILABLE", True),
        (BusDenied("ll.x"), "FAILED_PRECONDITION", False),
        (SchemaTooOld(1, 2), "UNAVAILABLE", True),
        (KeyError("who knows"), "INTERNAL", False),
    ],
)
def test_an_error_says_its_status_and_whether_to_ask_again(error: Exception, code: str, again: bool):
    found, _, metadata = status_of(error)
    assert found.name == code
    if isinstance(error, LeadlineError):
        assert (error.again_after_s is not None) == again
    heard = grpc.aio.AioRpcError(found, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), str(error), None)
    assert isinstance(failure("it", heard), Unavailable) == again


def test_a_value_that_is_long_is_cut_in_what_the_caller_is_told():
    _, _, metadata = status_of(InvalidInput("name", "x" * 100_000, "a name"))
    assert len(metadata[0][1]) < 4_000


async def test_only_who_is_away_is_asked_again():
    answers = [failed(grpc.StatusCode.UNAVAILABLE), failed(grpc.StatusCode.RESOURCE_EXHAUSTED), "here"]

    async def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert await with_retries(call) == "here"
    answers += [failed(grpc.StatusCode.INTERNAL), "never asked for"]
    with pytest.raises(grpc.aio.AioRpcError):
        await with_retries(call)
    assert answers == ["never asked for"]


async def test_patience_ends():
    async def call() -> str:
        raise failed(grpc.StatusCode.UNAVAILABLE)

    with pytest.raises(grpc.aio.AioRpcError):
        await with_retries(call, 0.01)
    with pytest.raises(Unavailable):
        await answered("risk", call)
