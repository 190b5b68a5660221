"""The way between a process and a part of its world: calls take time, get lost, and outlive those who sent them."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from leadline.execution.adapters import risk_client
from leadline.execution.venues.paper import client as venue_client
from leadline.model.errors import LeadlineError, Refused, Unavailable
from tests.simulation.faults import Fault, Phase, Plan, Planned
from tests.simulation.loop import Owner, VirtualLoop
from tests.simulation.points import Point, here, text_of

DEADLINE_S: Final = 5.0
"""How long a caller waits, as the clients of the parts do, but for those of `SOONER_S`."""

SOONER_S: Final = {"risk": risk_client.CALL_DEADLINE_SECONDS, "venue": venue_client.CALL_DEADLINE_SECONDS}

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

    def stand_still(self, seconds: float) -> None:
        """It does nothing for so long, and then goes on."""


class Wire:
    """All ways of a schedule. What a call does happens at once, at the part, whether its caller lives or not."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, plan: Plan) -> None:
        self.loop = loop
        self.chance = chance
        self.plan = plan
        self.met: set[Point] | None = None
        """The awaits at which calls were made, where somebody wants to know."""
        self.usual: frozenset[Point] = frozenset()
        """Those to which an undisturbed day leads."""
        self._calls_at: Counter[str] = Counter()
        self.troubled_until_s = 0.0
        """Until when a call that something has gone wrong with may be under way."""
        self.lives: dict[str, int] = {}
        """How often a part has been made anew: what was on its way to one of before is lost."""

    async def call(
        self,
        caller: Caller,
        part: str,
        name: str,
        work: Callable[[], Result],
        old: Callable[[float], Result] | None = None,
        detail: Callable[[], str] = str,
    ) -> Result:
        """Have `work` done at a part. Raises what it raises, and `Unavailable` where no answer is heard.

        `old` gives the answer of so many seconds ago, where a part may give such; `detail` says more in the trace.
        """
        loop = self.loop
        faults = [*self.plan.of_call(name), *self._of_the_place()]
        if faults:
            self.troubled_until_s = loop.time() + DEADLINE_S
            loop.tell(f"{caller.name} {name} meets {', '.join(each.text() for each in faults)}")
        kills = {each.phase for each in faults if each.fault is Fault.KILL_AT}
        answer: asyncio.Future[Any] = loop.create_future()

        def deliver(result: Any, error: Exception | None) -> None:
            if answer.done():
                return
            if Phase.ANSWER in kills:
                caller.kill(f"at the answer of {name}")
            for each in faults:
                if each.fault is Fault.STAND_AT:
                    caller.stand_still(each.seconds)
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        if Phase.BEFORE in kills:
            caller.kill(f"before {name}")
        else:
            stale = next((each.seconds for each in faults if each.fault is Fault.STALE), None)
            if stale is not None and old is not None:
                work = partial(old, stale)
            self._send(_Call(caller, part, name, work, deliver, Phase.EFFECT in kills, detail), faults)
        if Phase.UNDERWAY in kills:
            caller.kill(f"while {name} is under way")
        return await answer  # type: ignore[no-any-return]

    def _of_the_place(self) -> list[Planned]:
        """Faults of this call because of where the code is that makes it."""
        planned = [each for each in self.plan.faults if each.fault in (Fault.KILL_SELDOM, Fault.KILL_POINT)]
        if self.met is None and not planned:
            return []
        points = here()
        if self.met is not None:
            self.met.update(points)
        names = {"" if each in self.usual else "seldom" for each in points} | {text_of(each) for each in points}
        for name in names:
            self._calls_at[name] += 1
        found = [each for each in planned if each.on in names and each.at == self._calls_at[each.on]]
        self.plan.struck.update(found)
        return [replace(each, fault=Fault.KILL_AT) for each in found]

    def _send(self, call: "_Call", faults: Sequence[Planned]) -> None:
        """Put a call on its way, with what goes wrong on it."""
        loop, chance = self.loop, self.chance
        there_s, back_s = NEAR_S * chance.random(), NEAR_S * chance.random()
        for each in faults:
            if each.fault is Fault.SLOW and each.phase is Phase.BEFORE:
                there_s += each.seconds
            elif each.fault is Fault.SLOW:
                back_s += each.seconds
            elif each.fault is Fault.KILL_AT and each.phase is Phase.UNDERWAY:
                there_s += each.seconds
        kinds = {each.fault for each in faults}
        away = Unavailable(f"{call.part} does not answer", call.part)
        deadline_s = SOONER_S.get(call.part, DEADLINE_S)
        if Fault.LOST_CALL in kinds or self.plan.outage(call.part, loop.time()):
            silent = chance.random() < 0.5
            loop.call_later(deadline_s if silent else there_s, call.deliver, None, away, context=loop.world)
            return
        fails = next((each.phase for each in faults if each.fault is Fault.FAILS), None)
        error: Exception | None = None
        if Fault.LOST_ANSWER in kinds:
            error = Unavailable(f"the connection to {call.part} was lost", call.part)
        elif fails is not None:
            error = Refused(f"{call.part} has met an error", call.part)
        if fails is Phase.BEFORE:
            loop.call_later(there_s, call.deliver, None, error, context=loop.world)
            return
        life = self.lives.get(call.part, 0)
        loop.call_later(there_s, self._arrive, call, back_s, error, life, context=loop.world)
        if there_s + back_s >= deadline_s:
            loop.call_later(deadline_s, call.deliver, None, away, context=loop.world)

    def _arrive(self, call: "_Call", back_s: float, instead: Exception | None, life: int) -> None:
        """A call is heard; `instead` is what its caller hears in place of the answer."""
        loop = self.loop
        result: Any = None
        error: Exception | None = None
        if life != self.lives.get(call.part, 0):
            lost = Unavailable(f"the connection to {call.part} was lost", call.part)
            loop.call_later(back_s, call.deliver, None, lost, context=loop.world)
            return
        try:
            result = call.work()
        except LeadlineError as raised:
            error = raised
        loop.tell(f"{call.caller.name} {call.name} {'done' if error is None else type(error).__name__}", call.detail)
        if call.kills:
            call.caller.kill(f"after {call.name}")
        loop.call_later(back_s, call.deliver, result, instead or error, context=loop.world)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call on its way. `kills` says that its caller dies when it has had its effect."""

    caller: Caller
    part: str
    name: str
    work: Callable[[], Any]
    deliver: Callable[[Any, Exception | None], None]
    kills: bool
    detail: Callable[[], str]
