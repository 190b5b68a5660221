"""The book in the cluster's database, the venue's ledger, and what must be true of both whatever has happened."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import asyncpg
import grpc

from leadline.model.ids import AccountId, RunId
from leadline.model.orders import OrderState
from leadline.plan.plan import workload_id
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.certificates import Pem
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.venue.v1 import venue_pb2, venue_pb2_grpc
from leadline.views.digest_store import digest_of
from leadline.views.report import AccountReport
from leadline.views.report_store import build_reports
from tests.kube.platform.installation import RELEASE, Installation

POSTGRESQL_PORT: Final = 5432
GRPC_PORT: Final = 9090
# A database whose Pod is killed is back within this time.
PATIENCE_SECONDS: Final = 60.0
RECORDED_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1
_LOST: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.CannotConnectNowError)
# What never was at the venue, or is taken for that.
_NEVER_THERE: Final = {OrderState.DEAD, OrderState.EXPIRED_LOCAL}
_VENUE_STATES: Final = {
    venue_pb2.ORDER_STATE_WORKING: "WORKING",
    venue_pb2.ORDER_STATE_PARTIAL: "PARTIAL",
    venue_pb2.ORDER_STATE_FILLED: "FILLED",
    venue_pb2.ORDER_STATE_CANCELLED: "CANCELLED",
    venue_pb2.ORDER_STATE_REJECTED: "REJECTED",
}

Found = TypeVar("Found")


async def until(look: Callable[[], Awaitable[Found]], what: str, seconds: float = 60) -> Found:
    """The first answer that is true; AssertionError after so many seconds."""
    clock = asyncio.get_running_loop()
    deadline = clock.time() + seconds
    while not (found := await look()):
        assert clock.time() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(_POLL_SECONDS)
    return found


class Book:
    """The database of an installation, read as the role `reader`. It is found again when its Pod has gone."""

    def __init__(self, installation: Installation, account: str = "paper") -> None:
        self.installation = installation
        self.account = f"{installation.traders}/{account}"
        self._password = installation.secret(f"{RELEASE}-platform-database", "reader", installation.system)
        self._way = ExitStack()
        self._connection: Any = None
        self._dsn = ""

    async def close(self) -> None:
        """Close the connection and the way to it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
        self._way.close()

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        """The rows of a query; asked again while the database is away."""
        return await self._patiently(lambda connection: connection.fetch(query, *arguments))

    async def value(self, query: str, *arguments: object) -> Any:
        """The first value of a query."""
        found = await self.rows(query, *arguments)
        return found[0][0] if found else None

    async def tape(self) -> str:
        """The run that was opened last."""
        found: str = await self.value("SELECT tape FROM run ORDER BY opened_at DESC LIMIT 1")
        return found

    async def comes_to(self, digest: str) -> None:
        """The run's digest is this one as soon as the recorder, who may be behind the account, has stored all."""
        tape = await self.tape()

        async def is_there() -> bool:
            return await self._patiently(lambda connection: digest_of(connection, RunId(tape))) == digest

        await until(is_there, f"the digest is {digest}", RECORDED_SECONDS)

    async def reports(self) -> list[AccountReport]:
        """The reports of that run, one for each account."""
        tape = await self.tape()
        return await self._patiently(lambda _: build_reports(self._dsn, RunId(tape)))

    async def report(self) -> AccountReport:
        """The account's own."""
        return next(each for each in await self.reports() if each.account == self.account)

    async def bars(self) -> int:
        """How many bars are stored."""
        return int(await self.value("SELECT count(*) FROM candle WHERE tape = $1", await self.tape()))

    async def fills(self) -> int:
        """How many fills the account has."""
        query = "SELECT count(*) FROM fill WHERE tape = $1 AND account = $2"
        return int(await self.value(query, await self.tape(), self.account))

    async def position(self) -> int:
        """Contracts that are open, without their sign."""
        query = "SELECT coalesce(sum(abs(quantity)), 0) FROM position WHERE tape = $1 AND account = $2"
        return int(await self.value(query, await self.tape(), self.account))

    async def instant_ns(self) -> int:
        """How far the account has come on the tape."""
        query = "SELECT instant_ns FROM account_state WHERE tape = $1 AND account = $2"
        return int(await self.value(query, await self.tape(), self.account) or 0)

    async def finished(self) -> bool:
        """Whether the account is through with the tape."""
        query = "SELECT finished FROM account_state WHERE tape = $1 AND account = $2"
        return bool(await self.value(query, await self.tape(), self.account))

    async def goes_on(self, seconds: float = 60) -> None:
        """Wait until the account has come further than it is now."""
        now = await self.instant_ns()

        async def further() -> bool:
            return await self.instant_ns() > now or await self.finished()

        await until(further, f"{self.account} goes on", seconds)

    async def _patiently(self, ask: Callable[[Any], Awaitable[Found]]) -> Found:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                if self._connection is None:
                    await self._open()
                return await ask(self._connection)
            except _LOST:
                await self.close()
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(_POLL_SECONDS)

    async def _open(self) -> None:
        way = self.installation.forwarded(self.installation.system, f"pod/{RELEASE}-postgresql-0", POSTGRESQL_PORT)
        port = self._way.enter_context(way)
        self._dsn = f"postgresql://{RELEASE}_reader:{self._password}@127.0.0.1:{port}/{RELEASE}"
        self._connection = await asyncpg.connect(self._dsn, timeout=10)


@asynccontextmanager
async def open_book(installation: Installation, account: str = "paper") -> AsyncIterator[Book]:
    """The book of an account, closed at the end."""
    book = Book(installation, account)
    try:
        yield book
    finally:
        with contextlib.suppress(Exception):
            await book.close()


def certificates_of(installation: Installation) -> Callable[[], Pem] | None:
    """The traders' certificate, where calls show one."""
    if installation.values.get("tls", {}).get("mode", "none") == "none":
        return None
    pem = Pem(*(installation.secret("leadline-tls", name).encode() for name in ("tls.key", "tls.crt", "ca.crt")))
    return lambda: pem


async def ledger_of(
    installation: Installation, account: str = "paper"
) -> tuple[list[venue_pb2.VenueOrder], list[venue_pb2.VenueFill]]:
    """Every order and fill that the paper venue has of an account."""
    name = workload_id("venue", AccountId(f"{installation.traders}/{account}"))
    token = token_source(
        one_key(installation.secret("leadline-token", "venue")),
        "cli-viewer",
        "test",
        f"venue/{installation.traders}/{account}",
    )
    server_name = f"{name}.{installation.traders}.svc"
    with installation.forwarded(installation.traders, f"statefulset/{name}", GRPC_PORT) as port:
        channel = open_channel(f"127.0.0.1:{port}", token, certificates_of(installation), server_name)
        try:
            stub = venue_pb2_grpc.PaperVenueServiceStub(channel)
            orders = await stub.ListOrders(venue_pb2.ListOrdersRequest(), timeout=10, wait_for_ready=True)
            fills = await stub.ListFills(venue_pb2.ListFillsRequest(), timeout=10)
        except grpc.aio.AioRpcError as error:
            raise AssertionError(f"the venue does not answer: {error.details()}") from error
        finally:
            await channel.close(None)
    return list(orders.orders), list(fills.fills)


async def check_one_trader(book: Book) -> None:
    """No order twice, no fill lost, and the book is the venue's ledger; at rest, for they are read in turn."""
    orders, fills = await ledger_of(book.installation, book.account.partition("/")[2])
    tape = await book.tape()
    intents = await book.rows("SELECT * FROM intent WHERE tape = $1 AND account = $2", tape, book.account)
    assert [number for number in Counter(order.client_id for order in orders).values() if number > 1] == []
    at_venue = {order.client_id: (_VENUE_STATES[order.state], order.quantity, order.filled) for order in orders}
    in_book = {
        row["client_id"]: (row["state"], row["quantity"], row["filled"])
        for row in intents
        if row["state"] not in _NEVER_THERE
    }
    assert in_book == at_venue
    booked = await book.rows("SELECT * FROM fill WHERE tape = $1 AND account = $2", tape, book.account)
    assert {
        (row["fill_id"], row["client_id"], row["quantity"], row["price"], row["ts_ns"], row["source_index"], row["k"])
        for row in booked
    } == {(f.fill_id, f.client_id, f.quantity, f.price, f.time_ns, f.source_index, f.k) for f in fills}
    assert len(booked) == len(fills)
    # One decision per strategy and bar, and one entry per decision.
    entries = Counter(row["decision_id"] for row in intents if row["leg"] == "E")
    assert [number for number in entries.values() if number > 1] == []


async def check_rests(book: Book) -> None:
    """Nothing of the account is in the market."""
    tape = await book.tape()
    open_orders = await book.rows(
        "SELECT client_id, state FROM intent WHERE tape = $1 AND account = $2 AND NOT (state = ANY($3))",
        *(tape, book.account, [state.value for state in OrderState if state.terminal]),
    )
    assert open_orders == []
    assert await book.position() == 0
