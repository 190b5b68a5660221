"""Errors of the platform as gRPC statuses with details, and back into words."""

from typing import Any, Final

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from leadline.model.errors import InvalidInput, LeadlineError, Unknown
from leadline.runtime.auth import NotAllowed, NotAuthenticated
from leadline.runtime.bus import BusError
from leadline.runtime.database import DATABASE_LOST

DETAILS_KEY: Final = "grpc-status-details-bin"
_DOMAIN: Final = "leadline.dev"

Metadata = tuple[tuple[str, str | bytes], ...]


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, Metadata]:
    """Code, message and trailing metadata for an error that a servicer raised.

    What nobody foresaw is INTERNAL and says nothing of its cause; that is in the service's log.
    """
    if isinstance(error, InvalidInput):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=f"got {error.value!r}, expected {error.expected}"
        )
        return _with_detail(
            grpc.StatusCode.INVALID_ARGUMENT, error, error_details_pb2.BadRequest(field_violations=[violation])
        )
    if isinstance(error, Unknown):
        info = error_details_pb2.ErrorInfo(
            reason="UNKNOWN_" + error.kind.upper().replace(" ", "_"),
            domain=_DOMAIN,
            metadata={"value": str(error.value), "known": ", ".join(error.known)},
        )
        return _with_detail(grpc.StatusCode.NOT_FOUND, error, info)
    if isinstance(error, NotAuthenticated):
        return grpc.StatusCode.UNAUTHENTICATED, str(error), ()
    if isinstance(error, NotAllowed):
        info = error_details_pb2.ErrorInfo(reason="ROLE_NOT_ALLOWED", domain=_DOMAIN)
        return _with_detail(grpc.StatusCode.PERMISSION_DENIED, error, info)
    if isinstance(error, TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED, "not answered in time", ()
    if isinstance(error, BusError):
        return grpc.StatusCode.UNAVAILABLE, f"bus: {error}", ()
    if isinstance(error, DATABASE_LOST):
        return grpc.StatusCode.UNAVAILABLE, "the database cannot be reached", ()
    if isinstance(error, LeadlineError):
        return grpc.StatusCode.FAILED_PRECONDITION, str(error), ()
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


def _with_detail(
    code: grpc.StatusCode, error: Exception, detail: error_details_pb2.BadRequest | error_details_pb2.ErrorInfo
) -> tuple[grpc.StatusCode, str, Metadata]:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=code.value[0], message=str(error), details=[packed])
    return code, str(error), ((DETAILS_KEY, status.SerializeToString()),)


def _details(error: grpc.aio.AioRpcError) -> list[any_pb2.Any]:
    metadata: Any = error.trailing_metadata()
    status = dict(metadata).get(DETAILS_KEY)
    return list(status_pb2.Status.FromString(status).details) if status else []


def _unpacked(detail: any_pb2.Any) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    detail.Unpack(request)
    return request
