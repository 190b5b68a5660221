"""The gRPC server of a service: nobody unknown gets in, no call lasts for ever, no error leaves without a status."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from leadline.model.ids import AccountId
from leadline.runtime import measurements
from leadline.runtime.clock import monotonic_s
from leadline.runtime.rpc.auth import (
    OPEN_METHODS,
    Caller,
    Keys,
    NotAllowed,
    NotAuthenticated,
    authorise,
    read_token,
    set_caller,
)
from leadline.runtime.rpc.certificates import Pem
from leadline.runtime.rpc.errors import status_of
from leadline.runtime.rpc.grpc_client import KEEPALIVE_MS
from leadline.runtime.rpc.health import Health
from leadline.runtime.rpc.lanes import Busy, Handler, Lanes, OpenCalls, parsed
from leadline.runtime.settings import ConnectionAge
from leadline.runtime.telemetry import extract, tracer

# A call with one answer is given up after this, or after the caller's own deadline when that is sooner.
MAX_CALL_SECONDS: Final = 30.0
# Of one connection; calls beyond wait at the caller's end.
MAX_CONNECTION_STREAMS: Final = 256
# No request of the platform is as large; a feed's prints are pushed in larger ones.
LARGEST_REQUEST_BYTES: Final = 4 * 1024 * 1024
STOP_GRACE_SECONDS: Final = 2.0

_OPTIONS: Final = (
    # Two servers on one port would each answer half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", MAX_CONNECTION_STREAMS),
    ("grpc.keepalive_permit_without_calls", 1),
    # Less than what clients take between two, so that none is sent away for asking too often.
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 4),
)
_log = structlog.get_logger(__name__)

if TYPE_CHECKING:  # the stubs are generic, the classes are not
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _Interceptor = grpc.aio.ServerInterceptor

AddToServer = Callable[[Any, grpc.aio.Server], None]


class GrpcServer:
    """One server. Add the services, start it, then say when it is ready; it begins as not serving.

    `keys` check the tokens, which are for the audience `to`; `account` is the one account that this service works for,
    if it does; with `certificates` both ends show one; `health` is what the probes are told, here and wherever else it
    is served. A request that is larger than `largest_request_bytes` is refused; one of a caller who is not let in is
    not read at all.
    """

    def __init__(
        self,
        listen: str,
        keys: Keys,
        *,
        to: str,
        account: AccountId | None = None,
        certificates: Callable[[], Pem] | None = None,
        connection_age: ConnectionAge | None = None,
        health: Health | None = None,
        largest_request_bytes: int = LARGEST_REQUEST_BYTES,
    ) -> None:
        self._listen = listen
        self._certificates = certificates
        self._names: list[str] = []
        self._health = health or Health()
        lanes = Lanes()
        self._server = grpc.aio.server(
            interceptors=[OpenCalls(lanes), _Gatekeeper(keys, to, account, lanes)],
            options=(
                *_OPTIONS,
                ("grpc.max_receive_message_length", largest_request_bytes),
                *_age_options(connection_age),
            ),
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

    def __init__(self, keys: Keys, to: str, account: AccountId | None, lanes: Lanes) -> None:
        self._keys = keys
        self._to = to
        self._account = account
        self._lanes = lanes

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
            return _refuser(method, error, self._lanes)
        busy = self._lanes.full(method)
        if busy is not None:
            return _refuser(method, busy, self._lanes)
        return _guarded(handler, method, found, metadata, self._lanes)

    def _admit(self, method: str, metadata: dict[str, str]) -> Caller:
        scheme, _, token = metadata.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated("the call carries no token: metadata `authorization: Bearer <token>`")
        found = read_token(self._keys(), token, self._to)
        authorise(method, found, self._account)
        return found


def _refuser(method: str, error: NotAuthenticated | NotAllowed | Busy, lanes: Lanes) -> Handler:
    """A handler that refuses a call of any shape, without reading a byte of what it brings."""

    async def refused(_: Any, context: Any) -> None:
        if not isinstance(error, Busy):
            _log.warning("grpc.refused", method=method, reason=str(error))
        await lanes.refuse(context, method, error)

    return grpc.stream_stream_rpc_method_handler(refused)


def _guarded(handler: Handler, method: str, found: Caller, metadata: dict[str, str], lanes: Lanes) -> Handler:
    seconds = measurements.CALL_SECONDS.labels(method)
    parse: Any = handler.request_deserializer
    one_answer: Any = handler.unary_unary or handler.stream_unary
    many_answers: Any = handler.unary_stream or handler.stream_stream

    def asked(raw: Any) -> Any:
        return _each_parsed(parse, raw) if handler.request_streaming else parsed(parse, raw)

    async def answer(raw: Any, context: Any) -> Any:
        set_caller(found)
        started = monotonic_s()
        response = None
        try:
            with lanes.slot(method), tracer.start_as_current_span(method, extract(metadata)):
                async with (
                    asyncio.timeout(None if handler.request_streaming else _time_left(context)),
                    lanes.turn(method),
                ):
                    response = await one_answer(asked(raw), context)
        except grpc.aio.AbortError:
            measurements.CALLS.labels(method, _code_name(context)).inc()
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes a status, and is logged unless it is the caller's
            await _abort(context, method, error)
        measurements.CALLS.labels(method, "OK").inc()
        seconds.observe(monotonic_s() - started)
        return response

    async def stream(raw: Any, context: Any) -> Any:
        set_caller(found)
        try:
            with lanes.slot(method):
                async for response in many_answers(asked(raw), context):
                    yield response
        except grpc.aio.AbortError:
            measurements.CALLS.labels(method, _code_name(context)).inc()
            raise
        except Exception as error:  # noqa: BLE001 - as above
            await _abort(context, method, error)
        measurements.CALLS.labels(method, "OK").inc()

    return _same_shape(handler, answer, stream)


async def _each_parsed(parse: Any, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for raw in requests:
        yield parsed(parse, raw)


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
    # Requests are parsed by the behaviour: what is none is the caller's fault, and is told so.
    made: Handler = factory(behaviour, response_serializer=handler.response_serializer)
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
