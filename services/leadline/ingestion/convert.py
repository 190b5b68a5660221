"""Prints that a client pushes, as values."""

from collections.abc import Collection, Mapping

from leadline.ingestion.v1 import ingestion_pb2 as pb
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.ticks import TickBatch
from leadline.model.wire.ticks import tick_batch_from_proto


def pushed_batch(request: pb.PublishTicksRequest, contracts: Collection[ContractId]) -> TickBatch:
    """The prints of a request, for one of these contracts. Raises Unknown and InvalidInput."""
    name = ContractId(request.batch.contract)
    if name not in contracts:
        raise Unknown("contract of the feed", name, tuple(contracts))
    try:
        batch = tick_batch_from_proto(request.batch)
    except ValueError as error:
        raise InvalidInput("batch", str(error), "columns of equal length, with sides of 1, -1 and 0") from None
    if not request.HasField("first_index"):
        raise InvalidInput(f"first_index of {name}", None, "the sender's index of the batch's first print")
    if batch.final:
        raise InvalidInput("batch.final", batch.final, "`end` of the request, which ends a contract")
    return batch


def pushed_answer(accepted: int, quarantined: Mapping[str, int], overlapping: int) -> pb.PublishTicksResponse:
    """The answer to a client that has pushed: counts of its prints."""
    return pb.PublishTicksResponse(accepted=accepted, quarantined=dict(quarantined), overlapping=overlapping)
