"""The meaning of failed calls, for every client: one table of status codes, and the one way to ask again.

A service that is away is asked again. One that refuses is not: the same question gets the same answer. One that does
not let this process in is no fault of the question either; somebody has to put that right.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, TypeVar

import grpc

from leadline.model.errors import NotAdmitted, Refused, Unavailable
from leadline.runtime.retry import until_done, worth_again
from leadline.runtime.rpc.errors import again_after, explain

TIMEOUT_SECONDS: Final = 30.0

Reply = TypeVar("Reply")


class Meaning(StrEnum):
    """The meaning of a status for another try."""

    AWAY = "away"
    """Ask again."""
    REFUSED = "refused"
    """The same question gets the same answer."""
    NOT_ADMITTED = "not admitted"
    """No question of this caller gets an answer before somebody puts that right."""


MEANINGS: Final[dict[grpc.StatusCode, Meaning]] = {
    grpc.StatusCode.UNAVAILABLE: Meaning.AWAY,
    grpc.StatusCode.DEADLINE_EXCEEDED: Meaning.AWAY,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Meaning.AWAY,
    grpc.StatusCode.CANCELLED: Meaning.AWAY,
    grpc.StatusCode.ABORTED: Meaning.AWAY,
    grpc.StatusCode.UNAUTHENTICATED: Meaning.NOT_ADMITTED,
    grpc.StatusCode.PERMISSION_DENIED: Meaning.NOT_ADMITTED,
    grpc.StatusCode.UNIMPLEMENTED: Meaning.NOT_ADMITTED,
    grpc.StatusCode.INVALID_ARGUMENT: Meaning.REFUSED,
    grpc.StatusCode.NOT_FOUND: Meaning.REFUSED,
    grpc.StatusCode.ALREADY_EXISTS: Meaning.REFUSED,
    grpc.StatusCode.FAILED_PRECONDITION: Meaning.REFUSED,
    grpc.StatusCode.OUT_OF_RANGE: Meaning.REFUSED,
    grpc.StatusCode.INTERNAL: Meaning.REFUSED,
    grpc.StatusCode.UNKNOWN: Meaning.REFUSED,
    grpc.StatusCode.DATA_LOSS: Meaning.REFUSED,
}
"""Every status but OK."""

BAD_INPUT: Final = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OUT_OF_RANGE}
)
"""The request is wrong; another one would be answered."""

OUTCOME_UNKNOWN: Final = frozenset(
    {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN}
)
"""A command that ended so may have been carried out."""

BROKEN: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
"""The service failed at this question. It may have been its end that failed, so it is worth a second try, not more."""


class ServiceAway(Unavailable):
    """A service does not answer now. service: which one; again_in_s: after how many seconds it wants to be asked."""

    def __init__(self, service: str, message: str, again_in_s: float | None = None) -> None:
        super().__init__(f"{service} does not answer: {message}", service)
        self.service = service
        self.message = message
        self.again_in_s = self.again_after_s if again_in_s is None else again_in_s


class ServiceRefused(Refused):
    """A service answered, and the answer was no. code: the status; unknown: what was named is not known to it."""

    def __init__(self, service: str, message: str, code: grpc.StatusCode) -> None:
        super().__init__(f"{service} refuses: {message}", service)
        self.service = service
        self.message = message
        self.code = code

    @property
    def unknown(self) -> bool:
        """Whether what was named is not known to it."""
        return self.code is grpc.StatusCode.NOT_FOUND


class ServiceNotAdmitted(ServiceRefused, NotAdmitted):
    """A service does not let this process in."""


def meaning_of(error: grpc.aio.AioRpcError) -> Meaning:
    """The meaning of a failed call. An unknown status is a refusal."""
    return MEANINGS.get(error.code(), Meaning.REFUSED)


def failure(service: str, error: grpc.aio.AioRpcError) -> ServiceAway | ServiceRefused:
    """A failed call as the error that says what can be done about it."""
    match meaning_of(error):
        case Meaning.AWAY:
            return ServiceAway(service, f"{error.code().name} {explain(error)}", again_after(error))
        case Meaning.NOT_ADMITTED:
            return ServiceNotAdmitted(service, f"{error.code().name} {explain(error)}", error.code())
        case Meaning.REFUSED:
            return ServiceRefused(service, explain(error), error.code())


async def answered(service: str, call: Callable[[], Awaitable[Reply]]) -> Reply:
    """The answer to a call. Raises ServiceAway, ServiceRefused and its child ServiceNotAdmitted."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        raise failure(service, error) from error


async def with_retries(
    call: Callable[[], Awaitable[Reply]],
    timeout_s: float | None = TIMEOUT_SECONDS,
    besides: frozenset[grpc.StatusCode] = frozenset(),
) -> Reply:
    """The answer to a call that may be repeated: again while the service is away, for as long as patience lasts.

    timeout_s: how long that is; None for ever.

    besides: statuses that pass as well, where what is asked about is yet to come. Raises the last
    grpc.aio.AioRpcError, and the last Unavailable, then; any other error at once.
    """

    def again(error: Exception) -> bool | float:
        if not isinstance(error, grpc.aio.AioRpcError):
            return worth_again(error)
        return error.code() in besides or (meaning_of(error) is Meaning.AWAY and (again_after(error) or True))

    return await until_done(call, "service", again, timeout_s=timeout_s, most_s=1.0, quiet=True)
