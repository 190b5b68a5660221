"""The risk service: answers, and keeps nothing."""

import grpc

from leadline.risk.convert import decision_to_proto, inputs_from_proto
from leadline.risk.decide import decide
from leadline.risk.metrics import DECISIONS
from leadline.risk.v1 import risk_pb2 as pb
from leadline.risk.v1 import risk_pb2_grpc as rpc
from leadline.runtime.context import Context


class RiskServicer(rpc.RiskServiceServicer):
    """`Decide` and `Evaluate` are one function; only the caller differs."""

    async def Decide(
        self, request: pb.DecideRequest, context: grpc.aio.ServicerContext[pb.DecideRequest, pb.DecideResponse]
    ) -> pb.DecideResponse:
        return pb.DecideResponse(decision=_answer("decide", request.inputs))

    async def Evaluate(
        self, request: pb.EvaluateRequest, context: grpc.aio.ServicerContext[pb.EvaluateRequest, pb.EvaluateResponse]
    ) -> pb.EvaluateResponse:
        return pb.EvaluateResponse(decision=_answer("evaluate", request.inputs))


def _answer(call: str, message: pb.DecisionInputs) -> pb.Decision:
    answer = decide(inputs_from_proto(message))
    DECISIONS.labels(call, answer.reason or "accepted").inc()
    return decision_to_proto(answer)


async def run(context: Context) -> None:
    """Serve until the process is told to stop."""
    context.add_service(
        rpc.add_RiskServiceServicer_to_server, RiskServicer(), pb.DESCRIPTOR.services_by_name["RiskService"].full_name
    )
    await context.serve()
    context.set_ready(True)
    await context.stopping.wait()
