"""Channels to other services: every call carries a fresh token and the current trace, and nothing is retried."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self

import grpc

from leadline.runtime.rpc.certificates import Pem
from leadline.runtime.telemetry import inject

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
KEEPALIVE_MS: Final = 1_000
KEEPALIVE_ANSWER_MS: Final = 4_000
# What is under way over a connection with a former certificate may go on for as long.
RETIRE_SECONDS: Final = 30.0
# The platform's parts reach each other directly, whatever proxy the environment names for the world outside.
NO_PROXY: Final = ("grpc.enable_http_proxy", 0)

_OPTIONS: Final = (
    # Whoever calls knows whether a call may be repeated; the library does not.
    ("grpc.enable_retries", 0),
    NO_PROXY,
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A name that stands for another address now is asked for again as soon as a connection breaks.
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # While a call waits for its answer, a connection that says nothing any more is lost after five seconds.
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_ANSWER_MS),
    # Without it the answer is waited for a minute, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_ANSWER_MS),
    ("grpc.http2.max_pings_without_data", 0),
)


def open_channel(
    address: str, token: Callable[[], str], certificates: Callable[[], Pem] | None = None, server_name: str = ""
) -> grpc.aio.Channel:
    """A channel to `host:port` for generated stubs; `token` and `certificates` are asked at each call.

    Without `certificates` it is not encrypted. `server_name` is the one on the server's certificate where that is not
    the address's host. Close it with `await channel.close(None)`.
    """
    return _Channel(address, token, certificates, server_name)


class _Channel(grpc.aio.Channel):
    """Signs each call, and makes it over a connection that shows the newest certificate.

    The library's interceptors would sign at a third of a call's cost, and it keeps the certificate that it began with.
    """

    def __init__(
        self, address: str, token: Callable[[], str], certificates: Callable[[], Pem] | None, server_name: str
    ) -> None:
        self._address = address
        self._token = token
        self._certificates = certificates
        self._server_name = server_name
        self._shown = None if certificates is None else certificates()
        self._channel = self._open()
        self._retiring: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(None)

    async def close(self, grace: float | None = None) -> None:
        for retiring in self._retiring:
            retiring.cancel()
        await asyncio.gather(self._channel.close(grace), *self._retiring, return_exceptions=True)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._signed("unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._signed("unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._signed("stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._signed("stream_stream", args, kwargs)

    def _signed(self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        channel = self._channel
        call = getattr(channel, kind)(*args, **kwargs)

        def signed(request: Any = None, *, metadata: Any = None, **options: Any) -> Any:
            nonlocal channel, call
            self._renew()
            if channel is not self._channel:
                channel = self._channel
                call = getattr(channel, kind)(*args, **kwargs)
            added: dict[str, str] = {"authorization": f"Bearer {self._token()}"}
            inject(added)
            return call(request, metadata=(*(metadata or ()), *added.items()), **options)

        return signed

    def _renew(self) -> None:
        if self._certificates is None or (newest := self._certificates()) is self._shown:
            return
        former, self._shown = self._channel, newest
        self._channel = self._open()
        retiring = asyncio.create_task(former.close(RETIRE_SECONDS), name=f"former connection to {self._address}")
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    def _open(self) -> grpc.aio.Channel:
        if self._shown is None:
            return grpc.aio.insecure_channel(self._address, options=_OPTIONS)
        pem = self._shown
        credentials = grpc.ssl_channel_credentials(pem.authority, pem.key, pem.certificate)
        named = (("grpc.ssl_target_name_override", self._server_name),) if self._server_name else ()
        return grpc.aio.secure_channel(self._address, credentials, options=(*_OPTIONS, *named))
