"""Those who call an account: its supervisor names the strategies, and a trader halts, flattens and clears halts."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from leadline.execution.servicer import ExecutionServicer
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.errors import LeadlineError
from leadline.model.loop_phase import LoopPhase
from leadline.model.manifest.specs import TradingStrategy
from tests.execution.harness.builders import ANALYSIS
from tests.simulation import invariants

if TYPE_CHECKING:
    from tests.simulation.process import SimulatedAccount
    from tests.simulation.world import World

AGAIN_S: Final = 0.3
LOOKED_AT_S: Final = 1.0
DEADLINE_S: Final = 5.0

Call: TypeAlias = Callable[[ExecutionServicer, Any], Coroutine[Any, Any, Any]]


class _Deadline:
    """The call's deadline, as a servicer asks for it."""

    def __init__(self, until_s: float, now_s: Callable[[], float]) -> None:
        self._until_s = until_s
        self._now_s = now_s

    def time_remaining(self) -> float:
        return self._until_s - self._now_s()


class People:
    """They call whichever process holds the account, as an address does, and call again where they hear nothing."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance

    async def set_strategy(self, strategy: TradingStrategy) -> None:
        """The supervisor names a strategy until that is confirmed."""
        text = orjson.dumps(strategy.to_manifest()).decode()
        request = pb.SetStrategyRequest(strategy=strategy.full_name, analysis_hash=ANALYSIS, manifest_json=text)
        while True:
            answer = await self._ask("supervisor", "supervisor", lambda calls, call: calls.SetStrategy(request, call))
            if answer is not None:
                invariants.after_set_strategy(self._world, strategy.full_name)
                return
            await asyncio.sleep(AGAIN_S)

    async def look_after(self, strategy: TradingStrategy) -> None:
        """The supervisor names a strategy again where its account does not know it, as the operator does."""
        while True:
            await asyncio.sleep(LOOKED_AT_S)
            process = self._world.current()
            account = None if process is None else process.account
            if account is not None and strategy.full_name not in account.loop.book.strategies:
                await self.set_strategy(strategy)

    async def trade(self) -> None:
        """Somebody halts the account or has it leave the market now and then."""
        chance = self._chance
        while True:
            await asyncio.sleep(chance.choice([0.3, 1.0, 3.0]))
            whim = chance.randrange(8)
            if whim < 2:
                await self._halt()
            elif whim == 2:
                await self._flatten()

    async def clear_halts(self) -> None:
        """Somebody else clears the halts that he sees."""
        while True:
            await asyncio.sleep(self._chance.choice([0.3, 1.0, 3.0]))
            await self._resume()

    async def _halt(self) -> None:
        process = self._world.current()
        said = f"news of {self._world.loop.time():g}"
        if process is None or process.account is None:
            return
        loop = process.account.loop

        async def halt(calls: ExecutionServicer, call: Any) -> Any:
            answer = await calls.Halt(pb.HaltRequest(reason=said), call)
            waits = loop.phase is LoopPhase.WAITING_FOR_SIGNALS and self._world.source is None
            self._world.halted[process.name, said] = -1.0 if waits else self._world.loop.time()
            return answer

        await self._trader(halt)

    async def _flatten(self) -> None:
        answer = await self._trader(lambda calls, call: calls.Flatten(pb.FlattenRequest(reason="enough"), call))
        if answer is not None:
            invariants.after_flatten(self._world)

    async def _resume(self) -> None:
        process = self._world.current()
        if process is None or process.account is None:
            return
        seen = process.account.kill_switch.halts.in_force
        if seen:
            for halt in seen:
                self._world.halted.pop((process.name, halt.reason), None)
            request = pb.ResumeRequest(numbers=[halt.number for halt in seen], reason="looked at it")
            await self._trader(lambda calls, call: calls.Resume(request, call))

    async def _trader(self, call: "Call") -> Any:
        return await self._ask("ann", "cli-trader", call)

    async def _ask(self, by: str, role: str, call: "Call") -> Any:
        """The answer; None where it was a refusal, or nobody was there to give it."""
        process = self._world.current()
        if process is None:
            return None

        deadline = _Deadline(self._world.loop.time() + DEADLINE_S, self._world.loop.time)

        async def work(account: "SimulatedAccount") -> Any:
            return await call(ExecutionServicer(account), deadline)

        try:
            answer = await asyncio.wait_for(process.ask(by, role, work), DEADLINE_S)
        except (LeadlineError, OSError) as error:  # a deadline that has passed and a lost connection are such
            self._world.loop.tell(f"{by} hears {type(error).__name__}")
            return None
        self._world.loop.tell(f"{by} is answered by {process.name}")
        return answer
