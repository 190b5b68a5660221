"""Execution's side of risk's call."""

from typing import Final

import grpc

from leadline.execution.ports import Unavailable
from leadline.risk.convert import answer_from_proto, question_to_proto
from leadline.risk.v1 import risk_pb2 as pb
from leadline.risk.v1 import risk_pb2_grpc as rpc
from leadline.risk.view import Answer, Question

CALL_DEADLINE_SECONDS: Final = 1.0
_REFUSED: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED})


class RiskClient:
    """Risk over its socket: one attempt per call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.RiskServiceStub(channel)

    async def decide(self, question: Question) -> Answer:
        """Risk's word on a question; `Unavailable` when it does not answer."""
        request = pb.DecideRequest(question=question_to_proto(question))
        try:
            reply = await self._stub.Decide(request, timeout=CALL_DEADLINE_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSED:
                raise
            raise Unavailable(f"risk does not answer: {error.code().name} {error.details()}") from error
        return answer_from_proto(reply.decision)
