"""The gRPC server of a service: nobody unknown gets in, no call lasts for ever, no error leaves without a status."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from leadline.runtime import measurements
from leadline.runtime.auth import (
    OPEN_METHODS,
    Caller,
    Keys,
    NotAllowed,
    NotAuthenticated,
    authorise,
    read_token,
    set_caller,
)
from leadline.runtime.certificates import Pem
from leadline.runtime.clock import monotonic_s
from leadline.runtime.errors import status_of
from leadline.runtime.grpc_client import MAX_MESSAGE_BYTES
from leadline.runtime.health import Health
from leadline.runtime.settings import ConnectionAge
from leadline.runtime.telemetry import extract, tracer

# A call with one answer is given up after this, or after the caller's own deadline when that is sooner.
MAX_CALL_SECONDS: Final = 30.0
MAX_CONCURRENT_CALLS: Final = 256
STOP_GRACE_SECONDS: Final = 2.0

_OPTIONS: Final = (
    # Two servers on one port would each answer half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)
_log = structlog.get_logger(__name__)

if TYPE_CHECKING:  # the stubs are generic, the classes are not
    Handler = grpc.RpcMethodHandler[Any, Any]
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    Handler, _Interceptor = grpc.RpcMethodHandler, grpc.aio.ServerInterceptor

AddToServer = Callable[[Any, grpc.aio.Server], None]


class GrpcServer:
    """One server. Add the services, start it, then say when it is ready; it begins as not serving.

    `keys` check the tokens; `account` is the one account that this service works for, if it does; with `certificates`
    both ends show one; `health` is what the probes are told, here and wherever else it is served.
    """

    def __init__(
        self,
        listen: str,
        keys: Keys,
        *,
        account: str | None = None,
        certificates: Callable[[], Pem] | None = None,
        connection_age: ConnectionAge | None = None,
        health: Health | None = None,
    ) -> None:
        self._listen = listen
        self._certificates = certificates
        self._names: list[str] = []
        self._health = health or Health()
        self._server = grpc.aio.server(
            interceptors=[_Gatekeeper(keys, account)],
            options=(*_OPTIONS, *_age_options(connection_age)),
            maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
        )
        self.port = 0

    def add_service(self, add_to_server: AddToServer, servicer: object, full_name: str) -> None:
        """Serve `servicer`; `full_name` is the contract's, such as `leadline.risk.v1.RiskService`."""
        add_to_server(servicer, self._server)
        self._names.append(full_name)
        self._health.add_contract(full_name)

    async def start(self) -> int:
        """Listen; returns the port. Raises OSError when the address is taken."""
        self._health.add_to(self._server)
        reflection.enable_server_reflection(
            [*self._names, reflection.SERVICE_NAME, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name],
            self._server,
        )
        try:
            if self._certificates is None:
                self.port = self._server.add_insecure_port(self._listen)
            else:
                self.port = self._server.add_secure_port(self._listen, _server_credentials(self._certificates))
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen}: {error}") from None
        await self._server.start()
        return self.port

    def set_ready(self, ready: bool) -> None:
        """Tell the probes whether calls are welcome."""
        self._health.set_ready(ready)

    async def stop(self) -> None:
        """Not serving from now on; calls that are being answered get a moment to end."""
        self._health.set_ready(False)
        await self._server.stop(STOP_GRACE_SECONDS)


class _Gatekeeper(_Interceptor):
    """Checks the token of every call, bounds its time and turns what it raises into a status."""

    def __init__(self, keys: Keys, account: str | None) -> None:
        self._keys = keys
        self._account = account

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        method = handler_call_details.method
        handler = await continuation(handler_call_details)
        if method in OPEN_METHODS or handler is None:
            return handler
        metadata = {key: value for key, value in handler_call_details.invocation_metadata if isinstance(value, str)}
        try:
            found = self._admit(method, metadata)
        except (NotAuthenticated, NotAllowed) as error:
            return _refuser(handler, method, error)
        return _guarded(handler, method, found, metadata)

    def _admit(self, method: str, metadata: dict[str, str]) -> Caller:
        scheme, _, token = metadata.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated("the call carries no token: metadata `authorization: Bearer <token>`")
        found = read_token(self._keys(), token)
        authorise(method, found, self._account)
        return found


def _refuser(handler: Handler, method: str, error: NotAuthenticated | NotAllowed) -> Handler:
    """A handler of the same shape that only refuses."""

    async def refuse(_: Any, context: Any) -> None:
        code, message, metadata = status_of(error)
        _log.warning("grpc.refused", method=method, reason=message)
        measurements.CALLS.labels(method, code.name).inc()
        await context.abort(code, message, metadata)

    async def refuse_stream(_: Any, context: Any) -> Any:
        await refuse(_, context)
        yield None

    return _same_shape(handler, refuse, refuse_stream)


def _guarded(handler: Handler, method: str, found: Caller, metadata: dict[str, str]) -> Handler:
    seconds = measurements.CALL_SECONDS.labels(method)
    one_answer: Any = handler.unary_unary or handler.stream_unary
    many_answers: Any = handler.unary_stream or handler.stream_stream

    async def answer(request: Any, context: Any) -> Any:
        set_caller(found)
        started = monotonic_s()
        response = None
        try:
            with tracer.start_as_current_span(method, extract(metadata)):
                async with asyncio.timeout(None if handler.request_streaming else _time_left(context)):
                    response = await one_answer(request, context)
        except grpc.aio.AbortError:
            measurements.CALLS.labels(method, _code_name(context)).inc()
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes a status, and is logged unless it is the caller's
            await _abort(context, method, error)
        measurements.CALLS.labels(method, "OK").inc()
        seconds.observe(monotonic_s() - started)
        return response

    async def stream(request: Any, context: Any) -> Any:
        set_caller(found)
        try:
            async for response in many_answers(request, context):
                yield response
        except grpc.aio.AbortError:
            measurements.CALLS.labels(method, _code_name(context)).inc()
            raise
        except Exception as error:  # noqa: BLE001 - as above
            await _abort(context, method, error)
        measurements.CALLS.labels(method, "OK").inc()

    return _same_shape(handler, answer, stream)


async def _abort(context: Any, method: str, error: Exception) -> None:
    code, message, metadata = status_of(error)
    if code is grpc.StatusCode.INTERNAL:
        _log.error("grpc.failed", method=method, exc_info=error)
    measurements.CALLS.labels(method, code.name).inc()
    await context.abort(code, message, metadata)


def _time_left(context: Any) -> float:
    remaining: float | None = context.time_remaining()
    return MAX_CALL_SECONDS if remaining is None else min(remaining, MAX_CALL_SECONDS)


def _code_name(context: Any) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else grpc.StatusCode(code).name if code else "UNKNOWN"


def _same_shape(handler: Handler, one: Any, many: Any) -> Handler:
    make: dict[tuple[bool, bool], tuple[Any, Any]] = {
        (False, False): (grpc.unary_unary_rpc_method_handler, one),
        (True, False): (grpc.stream_unary_rpc_method_handler, one),
        (False, True): (grpc.unary_stream_rpc_method_handler, many),
        (True, True): (grpc.stream_stream_rpc_method_handler, many),
    }
    factory, behaviour = make[handler.request_streaming, handler.response_streaming]
    made: Handler = factory(
        behaviour,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return made


def _age_options(age: ConnectionAge | None) -> tuple[tuple[str, int], ...]:
    if age is None:
        return ()
    return (
        ("grpc.max_connection_age_ms", 1000 * age.seconds),
        ("grpc.max_connection_age_grace_ms", 1000 * age.grace_seconds),
    )


def _server_credentials(certificates: Callable[[], Pem]) -> grpc.ServerCredentials:
    """Both ends show a certificate of the same authority; each new connection the newest."""

    def newest() -> grpc.ServerCertificateConfiguration:
        pem = certificates()
        return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.authority)

    return grpc.dynamic_ssl_server_credentials(newest(), newest, require_client_authentication=True)
