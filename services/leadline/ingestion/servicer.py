"""The calls of ingestion: its status, and prints that a client pushes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from typing import Any, Final

import grpc

from leadline.ingestion import metrics
from leadline.ingestion.batching import BatchDraft
from leadline.ingestion.client import Publisher
from leadline.ingestion.convert import pushed_batch
from leadline.ingestion.live.port import NotPushed, Pushed, PushedTo
from leadline.ingestion.normaliser import QuarantinedPrint
from leadline.ingestion.pushed import PushedContract
from leadline.ingestion.status import ContractStatus, State
from leadline.ingestion.tally import number_text
from leadline.ingestion.v1 import ingestion_pb2 as pb
from leadline.ingestion.v1 import ingestion_pb2_grpc as rpc
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.ids import ContractId
from leadline.runtime.clock import wall_ns
from leadline.runtime.runs import run_to_proto

# Pushed batches that may wait to be published; then the client waits.
BATCHES_AHEAD: Final = 16

ServicerContext = grpc.aio.ServicerContext[Any, Any]


class PushFeed:
    """The queue of batches between the client that pushes and the loop that publishes.

    Give `drafts` to one publisher, who calls `published` after each item. A contract's tape ends when a client says so;
    a stream that is closed or breaks ends nothing: the next one goes on from each contract's `next_index`.
    """

    def __init__(self, contracts: Iterable[PushedContract]) -> None:
        self.contracts = {each.contract: each for each in contracts}
        self.connected = False
        self._drafts: asyncio.Queue[tuple[ContractId, list[BatchDraft]]] = asyncio.Queue()
        self._room = asyncio.Semaphore(BATCHES_AHEAD)

    async def drafts(self) -> AsyncIterator[tuple[ContractId, list[BatchDraft]]]:
        """Contract and messages, in the order of arrival, until the tape of every contract has ended."""
        while not self._drafts.empty() or not all(each.final for each in self.contracts.values()):
            yield await self._drafts.get()

    def published(self) -> None:
        """The last item of `drafts` is out."""
        self._drafts.task_done()
        self._room.release()

    async def take(self, requests: AsyncIterator[pb.PublishTicksRequest]) -> pb.PublishTicksResponse:
        """Take a client's stream in; returns, when all that can be is published, what became of its prints.

        Raises NotPushed, Unknown for a contract that the feed does not have, and InvalidInput, for a gap too.
        """
        if self.connected:
            raise NotPushed("another client is pushing prints")
        if all(each.final for each in self.contracts.values()):
            raise NotPushed("the tape has ended")
        before, dropped = self._quarantined(), self._overlapping()
        accepted = 0
        self._connect(True)
        try:
            async for request in requests:
                # Only when there is room is anything taken in: a call that is given up here has lost nothing.
                await self._room.acquire()
                accepted += self._enqueue(*self._taken(request))
                for each, drafts in self._following():
                    await self._room.acquire()
                    self._enqueue(each.contract, drafts)
            await self._drafts.join()
        finally:
            self._connect(False)
        return pb.PublishTicksResponse(
            accepted=accepted,
            quarantined=self._quarantined() - before,
            overlapping=self._overlapping() - dropped,
        )

    def _taken(self, request: pb.PublishTicksRequest) -> tuple[ContractId, list[BatchDraft]]:
        try:
            return self._read(request)
        except LeadlineError:
            self._room.release()
            raise

    def _following(self) -> list[tuple[PushedContract, list[BatchDraft]]]:
        """Watermarks of later months that are left alone: no later than those of every contract that is pushed."""
        begun = [each for each in self.contracts.values() if not each.left_alone]
        open_ones = [each.watermark_ns for each in begun if not each.final]
        reached_ns = min(open_ones) if open_ones else max((each.watermark_ns for each in begun), default=0)
        promised = [(each, each.follow(reached_ns)) for each in self.contracts.values()]
        return [(each, drafts) for each, drafts in promised if drafts]

    def _read(self, request: pb.PublishTicksRequest) -> tuple[ContractId, list[BatchDraft]]:
        batch = pushed_batch(request, self.contracts)
        if request.bid or request.ask:
            raise InvalidInput("bid", "quotes", "none: the prints of a replay have the sides that their source says")
        name = batch.contract
        contract = self.contracts[name]
        dropped = contract.overlapping
        drafts = contract.take(batch.ticks, request.first_index, batch.watermark_ns, end=request.end)
        metrics.OVERLAPPING.labels(name).inc(contract.overlapping - dropped)
        return name, drafts

    def _enqueue(self, contract: ContractId, drafts: list[BatchDraft]) -> int:
        if not drafts and all(each.final for each in self.contracts.values()):
            # The publisher has heard the last end and listens no more.
            self._room.release()
            return 0
        self._drafts.put_nowait((contract, drafts))
        return sum(len(draft.ticks) for draft in drafts)

    def _connect(self, connected: bool) -> None:
        self.connected = connected
        metrics.CONNECTED.set(connected)

    def _overlapping(self) -> int:
        return sum(each.overlapping for each in self.contracts.values())

    def _quarantined(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for each in self.contracts.values():
            total.update(each.tally.quarantined())
        return total


def _pushed(contract: PushedTo) -> pb.PushedContract:
    return pb.PushedContract(
        contract=contract.contract,
        next_index=contract.next_index,
        ended=contract.final,
        overlapping=contract.overlapping,
    )


def _kept_out(status: ContractStatus) -> list[pb.KeptOut]:
    return [
        pb.KeptOut(trading_day="" if day is None else day.isoformat(), reason=reason, prints=prints)
        for (day, reason), prints in status.tally.counts().items()
    ]


def _sample(sample: QuarantinedPrint) -> pb.KeptOutPrint:
    return pb.KeptOutPrint(
        reason=sample.reason.value,
        source=sample.source,
        row=sample.row,
        time_ns=sample.time_ns,
        price=number_text(sample.price),
        size=number_text(sample.size),
        side=sample.side,
    )


class IngestionServicer(rpc.IngestionServiceServicer):
    """Answers for the run of a publisher. push: None for a feed that takes no prints."""

    def __init__(self, publisher: Publisher, push: Pushed | None) -> None:
        self._publisher = publisher
        self._status = publisher.status
        self._push = push

    async def PublishTicks(
        self, request_iterator: AsyncIterator[pb.PublishTicksRequest], context: ServicerContext
    ) -> pb.PublishTicksResponse:
        if self._push is None:
            raise NotPushed(f"the feed is of kind {self._publisher.run.feed} and takes no prints")
        answer: pb.PublishTicksResponse = await self._push.take(request_iterator)
        return answer

    async def GetFeedStatus(
        self, request: pb.GetFeedStatusRequest, context: ServicerContext
    ) -> pb.GetFeedStatusResponse:
        run = self._publisher.run
        return pb.GetFeedStatusResponse(
            run=run_to_proto(run),
            contracts=[
                pb.ContractStatus(
                    contract=name,
                    ticks=each.ticks,
                    last_time_ns=each.last_time_ns,
                    watermark_ns=each.watermark_ns,
                    last_price=each.last_price,
                    quarantined=each.tally.quarantined(),
                    kept_out=_kept_out(each),
                    samples=[_sample(sample) for sample in each.tally.samples()],
                    late=each.late,
                    gaps=each.gaps,
                    gap_ns=each.gap_ns,
                )
                for name, each in self._status.contracts.items()
            ],
            progress=self._status.progress,
            state=self._state().value,
            failure=self._status.failure,
            sources=[pb.SourceStatus(**asdict(source)) for source in self._status.sources],
            now_ns=run.now_ns(wall_ns()) if run.live else 0,
            pushed=[] if self._push is None else [_pushed(each) for each in self._push.contracts.values()],
        )

    def _state(self) -> State:
        run = self._publisher.run
        if self._push is None or run.live:
            return self._status.state
        if not self._push.connected and self._status.state is State.PUBLISHING:
            return State.WAITING_FOR_FEED
        return self._status.state
