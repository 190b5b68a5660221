"""One connection to NATS, from its opening to its loss. It never reconnects: what was in flight when it was lost fails.

The client library's own reconnect would send what it has buffered after the messages that were lost with the old
connection, and so change the order of a subject. Whoever needs the bus again opens another link.
"""

import asyncio
import contextlib
import itertools
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Final

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.nuid import NUID

from leadline.model.errors import InvalidInput, LeadlineError, error_text
from leadline.runtime.rpc.peer_owner import peer_owner
from leadline.runtime.settings import NatsSettings, read_secret

API_TIMEOUT_SECONDS: Final = 5.0
CONNECT_TIMEOUT_SECONDS: Final = 3
# A connection that stays open and says nothing any more is lost after two to three seconds.
PING_INTERVAL_SECONDS: Final = 1
MAX_OUTSTANDING_PINGS: Final = 2
# How long closing waits for a server to take what is left to send.
CLOSE_SECONDS: Final = 2.0

_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.IGNORECASE)
_NO_RESPONDERS: Final = "503"

Headers = dict[str, str]

_names: Final = NUID()


class BusError(LeadlineError):
    """Root of what can go wrong on the bus."""


class BusDenied(BusError):
    """This service's user may not do that. subject: what it was refused."""

    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject

    def __str__(self) -> str:
        return f"the bus user of this service has no permission for {self.subject}"


class BusRefused(BusError):
    """The server answered with an error that trying again does not change.

    what: the request's subject; code: JetStream's error code; description: the server's words.
    """

    def __init__(self, what: str, code: int, description: str) -> None:
        super().__init__(what, code, description)
        self.what = what
        self.code = code
        self.description = description

    def __str__(self) -> str:
        return f"{self.what}: refused by the bus with {self.code}, {self.description}"


class MessageTooLarge(BusRefused):
    """A message is larger than the server takes. most_bytes: what it takes."""

    def __init__(self, what: str, most_bytes: int) -> None:
        super().__init__(what, 0, f"larger than {most_bytes} bytes")
        self.most_bytes = most_bytes


class BusTrouble(BusError):
    """No answer, or one that says to try later: the request may or may not have been carried out."""

    again_after_s: ClassVar[float | None] = 0.2
    grpc_status: ClassVar[str] = "UNAVAILABLE"


class _Stranger(OSError):
    """Another user's process answers where the bus should be."""


class _Client(Client):
    """The library's client, for which a connection that is lost is over at once.

    Closing sends what is left first. With a dead server that fails and with a frozen one it does not end, and either
    way nobody is told; so it is only for a connection that works. With `only_mine` no password is shown to a server of
    another user: on one machine anybody may listen on the port of a bus that is down.
    """

    def __init__(self, *, only_mine: bool) -> None:
        super().__init__()
        self._only_mine = only_mine
        self.stranger: _Stranger | None = None

    def _connect_command(self) -> bytes:
        if self._only_mine:
            self._look_who_listens()
        command: bytes = super()._connect_command()
        return command

    def _look_who_listens(self) -> None:
        assert isinstance(self._transport, TcpTransport)
        assert self._transport._io_writer is not None  # noqa: SLF001 - as in `_abandon`
        connection = self._transport._io_writer.get_extra_info("socket")  # noqa: SLF001 - as in `_abandon`
        owner = peer_owner(connection)
        if owner != os.geteuid():
            self.stranger = _Stranger(f"a process of user {owner} listens there, and not this user's bus")
            raise self.stranger

    async def close(self) -> None:
        """Send what is left, for as long as `CLOSE_SECONDS`, and close. Idempotent."""
        closing = asyncio.create_task(super()._close(Client.CLOSED))
        done, _ = await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if not done:
            self._abandon()
        await closing

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self._abandon()
        await super()._close(status, do_cbs)

    def _abandon(self) -> None:
        self._pending, self._pending_data_size = [], 0
        writer = self._transport._io_writer if isinstance(self._transport, TcpTransport) else None  # noqa: SLF001
        if writer is not None:
            writer.transport.abort()


class Link:
    """One open connection. Make it with `Link.open`."""

    def __init__(self, client: "_Client", inbox: str) -> None:
        self._client = client
        self._inbox = inbox
        self._tokens = itertools.count()
        self._waiting: dict[str, tuple[dict[str, str], asyncio.Future[Msg]]] = {}
        self._watchers: dict[int, Callable[[], None]] = {}
        self.lost = asyncio.Event()

    @classmethod
    async def open(cls, settings: NatsSettings) -> "Link":
        """Connect once. Raises BusDenied when the user or the password is refused.

        Raises BusTrouble when nobody answers, or when there is no password in its file: somebody may put it there.
        """
        try:
            password = read_secret(settings.password_file)
        except (InvalidInput, OSError) as error:
            raise BusTrouble(f"no password for the bus: {error_text(error)}") from error
        client = _Client(only_mine=settings.only_mine)
        link = cls(client, f"_INBOX_{settings.user}.{_names.next().decode()}")

        async def on_error(error: Exception) -> None:
            link._complain(error)

        async def on_closed() -> None:
            link._lose()

        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await client.connect(
                    list(settings.servers),
                    name=settings.user,
                    user=settings.user,
                    password=password,
                    inbox_prefix=f"_INBOX_{settings.user}",
                    tls=None if settings.ca_file is None else ssl.create_default_context(cafile=settings.ca_file),
                    allow_reconnect=False,
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    ping_interval=PING_INTERVAL_SECONDS,
                    max_outstanding_pings=MAX_OUTSTANDING_PINGS,
                    # Without a bound nothing waits for room, in a wait that would swallow a cancellation. What is on
                    # its way is bounded here: every message but small pulls and acknowledgements is answered.
                    pending_size=0,
                    error_cb=on_error,
                    closed_cb=on_closed,
                )
                await client.subscribe(f"{link._inbox}.*", cb=link._answered)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await link.close()
            if "authorization" in str(error).lower():
                raise BusDenied(f"a connection as user {settings.user}") from None
            where = ", ".join(settings.servers)
            raise BusTrouble(f"cannot connect to the bus at {where}: {client.stranger or repr(error)}") from error
        return link

    @property
    def server_version(self) -> tuple[int, int, int]:
        """Version of the server at the other end."""
        version = self._client.connected_server_version
        return version.major, version.minor, version.patch

    @property
    def largest_payload(self) -> int:
        """Bytes that a message may have on this server."""
        return self._client.max_payload

    async def request(
        self, subject: str, payload: bytes, headers: Headers | None = None, *, timeout_s: float = API_TIMEOUT_SECONDS
    ) -> Msg:
        """Send and wait for the answer. Raises BusDenied or BusTrouble."""
        return await self.request_last([(subject, payload, headers)], timeout_s=timeout_s)

    async def request_last(
        self, messages: Sequence[tuple[str, bytes, Headers | None]], *, timeout_s: float = API_TIMEOUT_SECONDS
    ) -> Msg:
        """Send all, and wait for the answer to the last. Raises BusDenied for any of them, or BusTrouble."""
        token = f"{self._inbox}.{next(self._tokens)}"
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._waiting[token] = ({subject.lower(): subject for subject, _, _ in messages}, answer)
        try:
            for subject, payload, headers in messages[:-1]:
                await self._client.publish(subject, payload, headers=headers)
            subject, payload, headers = messages[-1]
            await self.send(subject, payload, headers, reply=token)
            async with asyncio.timeout(timeout_s):
                message = await answer
        except TimeoutError:
            raise BusTrouble(f"{messages[-1][0]}: no answer within {timeout_s} s") from None
        except nats.errors.MaxPayloadError:
            raise MessageTooLarge(messages[-1][0], self.largest_payload) from None
        except (nats.errors.Error, OSError) as error:
            raise BusTrouble(f"{messages[-1][0]}: {error}") from error
        finally:
            del self._waiting[token]
            if answer.done() and not answer.cancelled():
                answer.exception()  # heard, also when sending failed before anyone waited for it
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            raise BusTrouble(f"{messages[-1][0]}: nobody listens, is there a stream for it?")
        return message

    async def api(self, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the JetStream API, such as `STREAM.INFO.TICKS`. Raises BusDenied, BusRefused or BusTrouble."""
        subject = f"$JS.API.{name}"
        answer = await self.request(subject, orjson.dumps(body) if body is not None else b"")
        return read_answer(subject, answer.data)

    async def send(self, subject: str, payload: bytes, headers: Headers | None = None, *, reply: str = "") -> None:
        """Send without waiting for anything. Raises BusTrouble when the connection is lost."""
        try:
            await self._client.publish(subject, payload, reply=reply, headers=headers)
        except nats.errors.MaxPayloadError:
            raise
        except (nats.errors.Error, OSError) as error:
            raise BusTrouble(f"{subject}: {error}") from error

    def new_inbox(self) -> str:
        """A subject that only this connection listens on."""
        return self._client.new_inbox()

    async def listen(self, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Call back for each message. Raises BusTrouble when the connection is lost."""
        try:
            return await self._client.subscribe(subject, cb=callback)
        except (nats.errors.Error, OSError) as error:
            raise BusTrouble(f"{subject}: {error}") from error

    def watch(self, lost: Callable[[], None]) -> Callable[[], None]:
        """Call `lost` once when the connection is lost (at once when it is). Returns how to stop watching."""
        if self.lost.is_set():
            lost()
            return lambda: None
        key = next(self._tokens)
        self._watchers[key] = lost
        return lambda: self._watchers.pop(key, None) and None

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self._client.close()
        self._lose()

    async def _answered(self, message: Msg) -> None:
        _, answer = self._waiting.get(message.subject, ({}, None))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _fail_all(self, error: BusError) -> None:
        for _, answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _lose(self) -> None:
        if self.lost.is_set():
            return
        self.lost.set()
        self._fail_all(BusTrouble("the connection to the bus was lost"))
        watchers, self._watchers = list(self._watchers.values()), {}
        for lost in watchers:
            lost()

    def _complain(self, error: Exception) -> None:
        denied = _DENIED.search(str(error))
        if denied is None:
            return
        kind, subject = denied.groups()
        if kind.lower() != "publish":
            self._fail_all(BusDenied(f"subscription to {subject}"))
            return
        for subjects, answer in self._waiting.values():
            # The server's message may have lost its capitals.
            written = subjects.get(subject.lower())
            if written is not None and not answer.done():
                answer.set_exception(BusDenied(written))


def read_answer(subject: str, data: bytes) -> dict[str, Any]:
    """An answer of JetStream; raises BusRefused when it is an error, BusTrouble when it says to try later."""
    answer: dict[str, Any] = orjson.loads(data)
    error = answer.get("error")
    if error is None:
        return answer
    code, description = int(error.get("err_code", 0)), str(error.get("description", ""))
    if error.get("code") == _UNAVAILABLE and code != STORE_FAILED:
        raise BusTrouble(f"{subject}: {description}")
    raise BusRefused(subject, code, description)


_UNAVAILABLE: Final = 503
# JetStream's JSStreamStoreFailedF: the limits of a stream, and a disk that fails.
STORE_FAILED: Final = 10077
