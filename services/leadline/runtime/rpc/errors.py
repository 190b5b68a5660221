"""Errors of the platform as gRPC statuses with details, and back into words."""

from typing import Any, Final, TypeAlias

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import InvalidInput, LeadlineError, Unknown, shown
from leadline.runtime.database import DATABASE_LOST
from leadline.runtime.rpc.auth import NotAllowed

DETAILS_KEY: Final = "grpc-status-details-bin"
_DOMAIN: Final = "leadline.dev"
# All metadata of an answer have to fit into 8 KiB.
_LONGEST_MESSAGE: Final = 1_000
_SHOWN_CHARACTERS: Final = 200

Metadata = tuple[tuple[str, str | bytes], ...]
_Detail: TypeAlias = error_details_pb2.BadRequest | error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, Metadata]:
    """Code, message and trailing metadata for an error that a servicer raised.

    An error of the platform says its own status. What nobody foresaw is INTERNAL and says nothing of its cause; that is
    in the service's log.
    """
    if isinstance(error, LeadlineError):
        return _with_details(grpc.StatusCode[error.grpc_status], _cut(str(error), _LONGEST_MESSAGE), _details_of(error))
    if isinstance(error, TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED, "not answered in time", ()
    if isinstance(error, DATABASE_LOST):
        return grpc.StatusCode.UNAVAILABLE, "the database cannot be reached", ()
    return grpc.StatusCode.INTERNAL, "internal error, see the service's log", ()


def explain(error: grpc.aio.AioRpcError) -> str:
    """A refused call in words for people: the wrong fields one a line, else the status's message."""
    lines = [
        f"{violation.field}: {violation.description}"
        for detail in _details(error)
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR)
        for violation in _unpacked(detail).field_violations
    ]
    return "\n".join(lines) or error.details() or error.code().name


def again_after(error: grpc.aio.AioRpcError) -> float | None:
    """After how many seconds a service wants to be asked again, None when it has not said."""
    for detail in _details(error):
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToNanoseconds() / NS_PER_SECOND)
    return None


def _details_of(error: LeadlineError) -> list[_Detail]:
    found: list[_Detail] = []
    if isinstance(error, InvalidInput):
        description = f"got {_shown(error.value)}, expected {_cut(error.expected, _LONGEST_MESSAGE)}"
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=description)
        found.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif isinstance(error, Unknown):
        found.append(
            error_details_pb2.ErrorInfo(
                reason="UNKNOWN_" + error.kind.upper().replace(" ", "_"),
                domain=_DOMAIN,
                metadata={"value": _shown(error.value), "known": _cut(", ".join(error.known), _LONGEST_MESSAGE)},
            )
        )
    elif isinstance(error, NotAllowed):
        found.append(error_details_pb2.ErrorInfo(reason="ROLE_NOT_ALLOWED", domain=_DOMAIN))
    if error.again_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.again_after_s * NS_PER_SECOND))
        found.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return found


def _with_details(code: grpc.StatusCode, message: str, details: list[_Detail]) -> tuple[grpc.StatusCode, str, Metadata]:
    if not details:
        return code, message, ()
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return code, message, ((DETAILS_KEY, status.SerializeToString()),)


def _shown(value: object) -> str:
    return _cut(shown(value[: _SHOWN_CHARACTERS + 1] if isinstance(value, str) else value), _SHOWN_CHARACTERS)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _details(error: grpc.aio.AioRpcError) -> list[any_pb2.Any]:
    metadata: Any = error.trailing_metadata()
    status = dict(metadata).get(DETAILS_KEY)
    return list(status_pb2.Status.FromString(status).details) if status else []


def _unpacked(detail: any_pb2.Any) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    detail.Unpack(request)
    return request
