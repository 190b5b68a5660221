"""What the Pods would do, where no kubelet runs them: ingestion, and the execution of each account.

A process of its own that speaks the real contracts over real sockets, with the real authentication and the real book
and commands of execution; what it has not is a market. It is told through its standard input what a market would do
(hold a position, have orders, halt) and how to misbehave (be away, refuse, be silent), one JSON object a line, and
answers each with a line. It stands in for Pods only: nothing of the operator runs in it.
"""

import asyncio
import itertools
import json
import sys
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import structlog

from leadline.execution.adapters.convert import halts_to_proto, state_to_proto
from leadline.execution.adapters.journal import Restoration
from leadline.execution.core import account_settings
from leadline.execution.core.book import Book, Drain, Fence
from leadline.execution.loop import commands
from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.ingestion.v1 import ingestion_pb2, ingestion_pb2_grpc
from leadline.model.halts import FIELD_REASON, Halt, HaltSource
from leadline.model.ids import AccountId, ContractId, DecisionId, RunId, StrategyId
from leadline.model.manifest.specs import Metadata, TradingAccount
from leadline.model.orders import Position
from leadline.model.v1 import model_pb2
from leadline.plan.plan import workload_id
from leadline.runtime.rpc.auth import caller, derive_key, one_key
from leadline.runtime.rpc.grpc_server import GrpcServer

TRADE_FROM = date(2025, 10, 8)
MONTHS = "HMUZ"


def contracts(years: int) -> dict[str, str]:
    """The feed's contracts of so many years, and the venue of each."""
    return {
        f"{root}{month}{year}": venue
        for root, venue in (("MES", "CME"), ("ES", "CME"), ("MNQ", "CME"), ("NQ", "CME"), ("GC", "COMEX"))
        for month in ("FGHJKMNQUVXZ" if venue == "COMEX" else MONTHS)
        for year in range(2025, 2025 + years)
    }


@dataclass(slots=True)
class Account:
    """One account's book, and how it misbehaves. `seconds` is its clock: it moves with every call."""

    book: Book
    away: bool = False
    mute: bool = False
    obedient: bool = True
    halt: str = ""
    phase: str = "running"
    restored: Restoration | None = None
    lacking: str = ""
    unheard: dict[StrategyId, str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    clock: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    asked: list[dict[str, Any]] = field(default_factory=list)

    def tick(self) -> None:
        self.book.instant_ns = next(self.clock) * 1_000_000_000
        if self.obedient:
            for name, strategy in self.book.strategies.items():
                if strategy.flatten:
                    self.hold(name, 0)
                    strategy.flatten = ""

    def hold(self, strategy: StrategyId, quantity: int) -> None:
        """Give a strategy a position, as fills would."""
        contract = self.book.contracts(self.book.strategies[strategy].manifest)[0]
        self.book.positions = {
            **self.book.positions,
            (strategy, contract): Position(
                strategy=strategy,
                contract=contract,
                tape_contract=contract,
                quantity=quantity,
                lots=(),
                tick_value=Decimal("1.25"),
                decision=DecisionId("d"),
            ),
        }


class Execution(rpc.ExecutionServiceServicer):
    """The calls that the operator makes."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def _begin(self, method: str, context: Any, **said: Any) -> Book:
        account = self.account
        account.tick()
        if method != "GetState":
            account.asked.append({"method": method, "by": caller().subject, **said})
        if account.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "it is away")
        return account.book

    async def SetStrategy(self, request, context):
        book = await self._begin("SetStrategy", context, strategy=request.strategy, hash=request.analysis_hash)
        if request.strategy in self.account.refusals:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.account.refusals[request.strategy])
        stored = commands.set_strategy(book, request.strategy, request.analysis_hash, request.manifest_json)
        return pb.SetStrategyResponse(instant_ns=book.instant_ns, settings_hash=stored.settings_hash)

    async def Drain(self, request, context):
        name = request.strategy
        book = await self._begin("Drain", context, strategy=name, id=request.drain_id, positions=request.positions)
        wanted = Drain(request.drain_id, request.working_orders, request.positions, book.instant_ns)
        drain = commands.drain(book, name, wanted)
        return pb.DrainResponse(
            instant_ns=drain.instant_ns,
            drained=book.drained(name),
            working_orders=len(book.live_orders(name)),
            position=sum(position.quantity for position in book.open_positions(name)),
        )

    async def SetAccount(self, request, context):
        book = await self._begin("SetAccount", context, person=request.person)
        wanted = account_settings.read_account(request.manifest_json, book.account)
        if wanted.spec.halt:
            self.account.halt = FIELD_REASON
        hot = account_settings.set_account(book, wanted)
        if self.account.halt == FIELD_REASON and not wanted.spec.halt and request.person:
            self.account.halt = ""
        hashed = account_settings.settings_hash(hot)
        return pb.SetAccountResponse(
            instant_ns=book.instant_ns, settings_hash=hashed, halts=halts_to_proto(self._halts())
        )

    def _halts(self):
        """The halt that the account was told to have."""
        reason = self.account.halt
        source, by = (HaltSource.FIELD, "operator") if reason == FIELD_REASON else (HaltSource.PERSON, "ann")
        return [Halt(1, source, reason, by, 0)] if reason else []

    async def GetState(self, request, context):
        book = await self._begin("GetState", context)
        spoken_ns = 0 if self.account.mute else book.instant_ns
        account = self.account
        return state_to_proto(
            book,
            phase=account.phase,
            halts=self._halts(),
            epoch=1,
            heard=dict.fromkeys(book.strategies, (spoken_ns, spoken_ns)),
            restored=account.restored,
            lacking=account.lacking,
            unheard=account.unheard,
        )

    async def GetOrders(self, request, context):
        await self._begin("GetOrders", context)
        return pb.GetOrdersResponse()


class Ingestion(ingestion_pb2_grpc.IngestionServiceServicer):
    """The one question that the operator has."""

    def __init__(self, traded: dict[str, str]) -> None:
        self.traded = traded

    async def GetFeedStatus(self, request, context):
        run = model_pb2.Run(
            tape="sim-1",
            feed="sim",
            contracts=self.traded,
            trade_from=TRADE_FROM.isoformat(),
            history=5,
            sessions=[TRADE_FROM.isoformat()],
            begins_ns=1,
        )
        return ingestion_pb2.GetFeedStatusResponse(run=run)


class Pods:
    """All that this process serves."""

    def __init__(self, folder: Path, master: str, years: int = 2) -> None:
        self.folder = folder
        self.master = master
        self.traded = contracts(years)
        self.accounts: dict[str, Account] = {}
        self.servers: list[GrpcServer] = []

    async def serve_feed(self, listen: str) -> int:
        server = GrpcServer(listen, one_key(derive_key(self.master, "platform", "ingestion")), to="ingestion")
        server.add_service(
            ingestion_pb2_grpc.add_IngestionServiceServicer_to_server,
            Ingestion(self.traded),  # type: ignore[abstract] # it answers what the operator asks
            ingestion_pb2.DESCRIPTOR.services_by_name["IngestionService"].full_name,
        )
        self.servers.append(server)
        return await server.start()

    async def serve_account(self, name: str) -> None:
        """Its execution, at a socket named after its workload."""
        if name in self.accounts:
            return
        namespace, short = name.split("/")
        manifest = TradingAccount(metadata=Metadata(name=short, namespace=namespace))
        book = Book(
            tape=RunId("sim-1"),
            account=AccountId(name),
            manifest=manifest,
            feed_contracts=tuple(map(ContractId, sorted(self.traded))),
            trade_from=TRADE_FROM,
            instant_ns=1,
            equity_at_roll=Decimal(2500),
            trading_day=TRADE_FROM,
            tier_index=0,
        )
        self.accounts[name] = Account(book)
        address = f"unix:{self.folder}/{workload_id('execution', AccountId(name))}.sock"
        server = GrpcServer(address, one_key(derive_key(self.master, namespace, "execution")), to=f"execution/{name}")
        server.add_service(
            rpc.add_ExecutionServiceServicer_to_server,
            Execution(self.accounts[name]),  # type: ignore[abstract] # as above
            pb.DESCRIPTOR.services_by_name["ExecutionService"].full_name,
        )
        await server.start()
        self.servers.append(server)

    async def obey(self, order: dict[str, Any]) -> Any:
        """What the test tells and asks."""
        match order:
            case {"do": "serve", "accounts": names}:
                for name in names:
                    await self.serve_account(name)
            case {"do": "set", "account": name, **changes}:
                for field_name, value in changes.items():
                    if field_name != "do":
                        setattr(self.accounts[name], field_name, value)
            case {"do": "hold", "account": name, "strategy": strategy, "quantity": quantity}:
                self.accounts[name].hold(strategy, quantity)
            case {"do": "refuse", "account": name, "strategy": strategy, "because": because}:
                self.accounts[name].refusals[strategy] = because
                if not because:
                    del self.accounts[name].refusals[strategy]
            case {"do": "fence", "account": name, "strategy": strategy, "because": because}:
                book = self.accounts[name].book
                fence = Fence("malformed", because, book.instant_ns, book.instant_ns)
                book.strategies[strategy].fence = fence if because else None
            case {"do": "asked", "account": name}:
                return self.accounts[name].asked
            case {"do": "state", "account": name}:
                return self._state(self.accounts[name].book)
            case _:
                raise ValueError(f"what is {order}?")
        return None

    @staticmethod
    def _state(book: Book) -> dict[str, Any]:
        return {
            name: {
                "state": strategy.manifest.spec.state,
                "manifest": strategy.manifest.to_manifest()["spec"],
                "hash": strategy.analysis_hash,
                "drain": "" if strategy.drain is None else strategy.drain.drain_id,
                "forgotten": book.forgotten(name),
                "position": sum(held.quantity for held in book.open_positions(name)),
            }
            for name, strategy in book.strategies.items()
        }


async def main(folder: Path, master: str, years: int) -> None:
    # Standard output is for answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    pods = Pods(folder, master, years)
    port = await pods.serve_feed("127.0.0.1:0")
    sys.stdout.write(json.dumps({"ingestion": f"127.0.0.1:{port}"}) + "\n")
    sys.stdout.flush()
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = {"answer": await pods.obey(json.loads(line))}
        except Exception as error:  # noqa: BLE001 - it is the test's mistake, and the test shall see it
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
