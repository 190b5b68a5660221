"""How long an account's lease and book take to be written while others follow its events.

    python -m bench.followers [COMMITS]

The order path's own part of execution: the lease is renewed and four events are committed, again and again, by a
process that serves `StreamOrderEvents` too. 200 callers follow, in a process of their own, and ask again when they are
refused. Quiet and loaded rounds alternate; each figure is the median over them. `work` is the processor time of the
serving process meanwhile, `clock` the time that has gone by.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import grpc

from bench.calls import Round, shown
from leadline.execution.adapters.store import PostgresStore
from leadline.execution.adapters.tail import EventTail
from leadline.execution.core.book import Book, Changes, note
from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.local.local_postgres import LocalPostgres
from leadline.model.ids import RunId
from leadline.runtime.database import open_pool, reading_pool
from leadline.runtime.rpc.auth import one_key, token_source
from leadline.runtime.rpc.errors import again_after
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.runtime.rpc.grpc_server import GrpcServer
from leadline.schema.migrate import create_database, migrate_database, set_role_passwords
from tests.execution.harness.builders import DAY, account

KEY: Final = "k" * 32
TO: Final = "execution/default/paper"
FOLLOWERS: Final = 200
ROUNDS: Final = 5
EVENTS: Final = 4
PAUSE_SECONDS: Final = 0.02
"""Between two commits: four events each make a busy account of some 150 events a second."""
SETTLE_SECONDS: Final = 3.0


class Events(rpc.ExecutionServiceServicer):
    """The one call that is measured against."""

    def __init__(self, tail: EventTail) -> None:
        self._tail = tail

    async def StreamOrderEvents(  # noqa: N802 - the contract's name
        self,
        request: pb.StreamOrderEventsRequest,
        context: Any,  # noqa: ARG002 - grpc's
    ) -> AsyncIterator[pb.StreamOrderEventsResponse]:
        """As execution answers it."""
        async for message in self._tail.follow(request.after):
            yield message


async def follow(address: str, counts: dict[str, int]) -> None:
    """Follow from the first event on, and again when that ends."""
    after = 0
    async with open_channel(address, token_source(one_key(KEY), "cli-viewer", "bench", TO)) as channel:
        while True:
            try:
                async for event in rpc.ExecutionServiceStub(channel).StreamOrderEvents(
                    pb.StreamOrderEventsRequest(after=after)
                ):
                    after = event.event
                    counts["given"] += 1
            except grpc.aio.AioRpcError as error:
                counts["refused"] += 1
                await asyncio.sleep(again_after(error) or 1)


async def crowd(address: str) -> None:
    """Followers, until the input ends: what they got a second is the last line."""
    os.nice(10)
    counts = {"given": 0, "refused": 0}
    tasks = [asyncio.create_task(follow(address, counts)) for _ in range(FOLLOWERS)]
    await asyncio.sleep(SETTLE_SECONDS)
    counts.update(given=0, refused=0)
    print("ready", flush=True)
    began = time.perf_counter()
    await asyncio.to_thread(sys.stdin.read)
    took = time.perf_counter() - began
    print(*(round(count / took) for count in counts.values()), flush=True)
    del tasks
    os._exit(0)


async def commit(store: PostgresStore, book: Book, tail: EventTail, times: int) -> Round:
    """So many renewals and commits."""
    found = Round([], [])
    for _ in range(times):
        changes = Changes()
        for _ in range(EVENTS):
            note(book, changes, "order", f"order-{book.last_event}", 1, {"state": "WORKING", "leg": "E"})
        clock, work = time.perf_counter(), time.process_time()
        await store.renew()
        await store.commit(book, changes)
        found.work.append(1000 * (time.process_time() - work))
        found.clock.append(1000 * (time.perf_counter() - clock))
        tail.note()
        await asyncio.sleep(PAUSE_SECONDS)
    return found


async def measure(postgres: LocalPostgres, times: int) -> None:
    """Print the table."""
    await create_database(postgres.admin_settings("postgres"), "bench")
    await migrate_database(postgres.admin_settings("bench"))
    await set_role_passwords(postgres.admin_settings("bench"), postgres.passwords())
    settings = postgres.settings("execution", "bench")
    manifest = account()
    store = PostgresStore(
        await open_pool(settings, "bench"),
        tape=RunId("t"),
        manifest=manifest,
        feed_contracts=(),
        trade_from=DAY,
        holder="b",
    )
    book = Book(RunId("t"), manifest.full_name, manifest, (), DAY, 0, equity_at_roll=manifest.spec.starting_balance)
    tail = EventTail(await reading_pool(settings, "bench"), RunId("t"), manifest.full_name)
    server = GrpcServer("127.0.0.1:0", one_key(KEY), to=TO)
    name = pb.DESCRIPTOR.services_by_name["ExecutionService"].full_name
    served: Any = Events  # the generated base asks for the other calls, too
    server.add_service(rpc.add_ExecutionServiceServicer_to_server, served(tail), name)
    address = f"127.0.0.1:{await server.start()}"
    tailing = asyncio.create_task(tail.run())
    await store.acquire()
    await commit(store, book, tail, times)
    quiet: list[Round] = []
    loaded: list[Round] = []
    crowds: list[str] = []
    for _ in range(ROUNDS):
        quiet.append(await commit(store, book, tail, times))
        others = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.followers", "--crowd", address),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert others.stdout is not None
        await others.stdout.readline()
        loaded.append(await commit(store, book, tail, times))
        crowds.append((await others.communicate(b""))[0].decode().strip())
    print(f"{FOLLOWERS} followers; events given and calls refused a second, by round:", ", ".join(crowds))
    print(shown("quiet", quiet))
    print(shown("loaded", loaded))
    tailing.cancel()
    await server.stop()


def main(times: int) -> None:
    """Measure on a database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = LocalPostgres(Path(folder))
        postgres.start()
        try:
            asyncio.run(measure(postgres, times))
        finally:
            postgres.stop()


if __name__ == "__main__":
    if "--crowd" in sys.argv:
        asyncio.run(crowd(sys.argv[-1]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
