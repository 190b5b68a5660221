"""Execution's side of risk's call."""

from typing import Final

import grpc

from leadline.execution.loop.ports import Refused
from leadline.risk.convert import decision_from_proto, inputs_to_proto
from leadline.risk.v1 import risk_pb2 as pb
from leadline.risk.v1 import risk_pb2_grpc as rpc
from leadline.risk.view import DecisionInputs, RiskDecision
from leadline.runtime.rpc.failures import BROKEN, ServiceRefused, answered

CALL_DEADLINE_SECONDS: Final = 1.0
MOST_TRIALS: Final = 3
"""How often a question is asked at which risk breaks: its process may have ended in the middle of an answer."""


class RiskClient:
    """Risk over its socket."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.RiskServiceStub(channel)

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        """Risk's word on a question. Raises `Unavailable`, `NotAdmitted` and `Refused`."""
        request = pb.DecideRequest(inputs=inputs_to_proto(inputs))
        # Not by patience: each trial is a question that may end a process of risk, so it is their number that counts.
        for trial in range(1, MOST_TRIALS + 1):
            try:
                reply = await answered("risk", lambda: self._stub.Decide(request, timeout=CALL_DEADLINE_SECONDS))
                return decision_from_proto(reply.decision)
            except ServiceRefused as refused:
                if refused.code not in BROKEN or trial == MOST_TRIALS:
                    raise
            except ValueError as error:
                raise Refused(f"risk gives an answer that is none: {error}", "risk") from error
        raise AssertionError("the last trial ends with an answer or an error")
