"""The way between a process and a part of its world: calls take time, get lost, and outlive those who sent them."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from leadline.model.errors import LeadlineError, Unavailable
from tests.simulation.faults import Fault, Phase, Plan, Planned
from tests.simulation.loop import Owner, VirtualLoop

DEADLINE_S: Final = 5.0
"""How long a caller waits, as the clients of the parts do."""

NEAR_S: Final = 0.002
"""The longest way of a call on a good day."""

Result = TypeVar("Result")


class Caller(Owner, Protocol):
    """A process that can be killed at a call."""

    @property
    def name(self) -> str:
        """Its name in the trace."""

    def kill(self, why: str) -> None:
        """It is dead from here on."""


class Wire:
    """All ways of a schedule. What a call does happens at once, at the part, whether its caller lives or not."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, plan: Plan) -> None:
        self.loop = loop
        self.chance = chance
        self.plan = plan

    async def call(self, caller: Caller, part: str, name: str, work: Callable[[], Result]) -> Result:
        """Have `work` done at a part. Raises what it raises, and `Unavailable` where no answer is heard."""
        loop = self.loop
        faults = self.plan.of_call(name)
        if faults:
            loop.tell(f"{caller.name} {name} meets {', '.join(each.text() for each in faults)}")
        kills = {each.phase for each in faults if each.fault is Fault.KILL_AT}
        answer: asyncio.Future[Any] = loop.create_future()

        def deliver(result: Any, error: Exception | None) -> None:
            if answer.done():
                return
            if Phase.ANSWER in kills:
                caller.kill(f"at the answer of {name}")
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        if Phase.BEFORE in kills:
            caller.kill(f"before {name}")
        else:
            self._send(_Call(caller, part, name, work, deliver, Phase.EFFECT in kills), faults)
        return await answer  # type: ignore[no-any-return]

    def _send(self, call: "_Call", faults: Sequence[Planned]) -> None:
        """Put a call on its way, with what goes wrong on it."""
        loop, chance = self.loop, self.chance
        there_s, back_s = NEAR_S * chance.random(), NEAR_S * chance.random()
        for each in faults:
            if each.fault is Fault.SLOW and each.phase is Phase.BEFORE:
                there_s += each.seconds
            elif each.fault is Fault.SLOW:
                back_s += each.seconds
        kinds = {each.fault for each in faults}
        away = Unavailable(f"{call.part} does not answer", call.part)
        if Fault.LOST_CALL in kinds or self.plan.outage(call.part, loop.time()):
            silent = chance.random() < 0.5
            loop.call_later(DEADLINE_S if silent else there_s, call.deliver, None, away, context=loop.world)
            return
        loop.call_later(there_s, self._arrive, call, back_s, Fault.LOST_ANSWER in kinds, context=loop.world)
        if there_s + back_s >= DEADLINE_S:
            loop.call_later(DEADLINE_S, call.deliver, None, away, context=loop.world)

    def _arrive(self, call: "_Call", back_s: float, lost: bool) -> None:
        loop = self.loop
        result: Any = None
        error: Exception | None = None
        try:
            result = call.work()
        except LeadlineError as raised:
            error = raised
        loop.tell(f"{call.caller.name} {call.name} {'done' if error is None else type(error).__name__}")
        if call.kills:
            call.caller.kill(f"after {call.name}")
        if lost:
            error = Unavailable(f"the connection to {call.part} was lost", call.part)
        loop.call_later(back_s, call.deliver, result, error, context=loop.world)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call on its way. `kills` says that its caller dies when it has had its effect."""

    caller: Caller
    part: str
    name: str
    work: Callable[[], Any]
    deliver: Callable[[Any, Exception | None], None]
    kills: bool
