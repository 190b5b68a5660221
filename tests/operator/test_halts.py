"""The operator asks each execution for its halts: none of them is missed, whenever it came."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters.journal import Restoration
from leadline.execution.core.book import StrategyBook
from leadline.model.ids import ContractId, StrategyId
from leadline.runtime.clock import monotonic_s
from leadline.runtime.rpc.auth import one_key
from leadline_operator.cache import Cache
from leadline_operator.clients.calls import Channels
from leadline_operator.clients.execution import Executions
from leadline_operator.halts import HaltWatch
from leadline_operator.kinds import ACCOUNT, Key
from leadline_operator.reconcile.deps import Deps
from leadline_operator.registry import OWNERS
from tests.operator.setup import MASTER, eventually
from tests.operator.standin import Pods
from tests.operator.test_desired import params
from tests.plan.builders import strategy

PAPER = Key("TradingAccount", "halts", "paper")
NEWS = "no. 1 PERSON: the news (ann)"


class Asked:
    """A watch of one account: its execution, what its object shows, and the keys that were to be looked at."""

    def __init__(self, pods: Pods, deps: Deps) -> None:
        self.account = pods.accounts["halts/paper"]
        self.looked_at: asyncio.Queue[Key] = asyncio.Queue()
        self.watch = HaltWatch(deps, lambda: True, self.looked_at.put_nowait, 0.01)
        self._deps = deps
        self._version = 0

    def show(self, halt: str, **status: Any) -> None:
        self._version += 1
        metadata = {"name": "paper", "namespace": "halts", "uid": "a", "resourceVersion": str(self._version)}
        self._deps.cache.put(ACCOUNT, {"metadata": metadata, "status": {**({"halt": halt} if halt else {}), **status}})

    async def is_looked_at(self) -> None:
        async with asyncio.timeout(60):
            assert await self.looked_at.get() == PAPER

    async def is_left_alone(self) -> None:
        """The answers to whole questions that are asked from now on have nobody look at it."""
        while not self.looked_at.empty():
            self.looked_at.get_nowait()
        # Its clock moves with every question; the third one is asked when the second is answered.
        wanted = self.account.book.instant_ns + 4 * 10**9
        await asyncio.to_thread(
            eventually, lambda: self.account.book.instant_ns >= wanted, "execution is asked four times", 60
        )
        assert self.looked_at.empty()


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    pods = Pods(tmp_path, MASTER)
    await pods.serve_account("halts/paper")
    channels = Channels(one_key(MASTER), None)
    executions = Executions(channels, f"unix:{tmp_path}/{{name}}.sock")
    nobody: Any = None
    deps = Deps(
        params(),
        "code",
        Cache(OWNERS),
        nobody,
        executions,
        nobody,
        nobody,
        nobody,
        nobody,
        monotonic_s,
        lambda *_: None,
    )
    yield Asked(pods, deps)
    await channels.close()
    for server in pods.servers:
        await server.stop()


@pytest.fixture
async def watching(asked: Asked) -> AsyncIterator[Asked]:
    """A watch that has seen an account without a halt, which its object shows."""
    asked.show("")
    task = asyncio.create_task(asked.watch.run())
    await asked.is_looked_at()
    await asked.is_left_alone()
    yield asked
    task.cancel()
    await asyncio.wait([task])


async def test_a_halt_that_came_before_the_first_question_is_seen(asked: Asked):
    asked.show("")
    asked.account.halt = "the news"
    task = asyncio.create_task(asked.watch.run())
    await asked.is_looked_at()
    task.cancel()
    await asyncio.wait([task])


async def test_a_halt_is_seen_until_the_object_shows_it_and_then_its_end(watching: Asked):
    watching.account.halt = "the news"
    await watching.is_looked_at()
    await watching.is_looked_at()
    watching.show(NEWS)
    await watching.is_left_alone()
    watching.account.halt = ""
    await watching.is_looked_at()
    watching.show("")
    await watching.is_left_alone()


async def test_a_halt_that_went_between_two_questions_does_not_stay_on_the_object(watching: Asked):
    # A look at the account, for whatever reason, came just then.
    watching.show(NEWS)
    await watching.is_looked_at()
    watching.show("")
    await watching.is_left_alone()


async def test_a_journal_that_was_lost_is_seen_until_the_object_shows_it(watching: Asked):
    watching.account.restored = Restoration(1_764_216_000 * 10**9, orders=3, found=0)
    await watching.is_looked_at()
    await watching.is_looked_at()
    watching.show("", journalRestored={"at": "2025-11-27T04:00:00Z", "orders": 3})
    await watching.is_left_alone()


async def test_an_account_that_cannot_trade_is_looked_at_at_once_and_again_when_it_can(watching: Asked):
    watching.account.lacking = "it misses bus"
    await watching.is_looked_at()
    await watching.is_left_alone()
    watching.account.lacking = "it misses prints"
    await watching.is_looked_at()
    await watching.is_left_alone()
    watching.account.lacking = ""
    await watching.is_looked_at()
    await watching.is_left_alone()


async def test_a_strategy_that_falls_silent_has_its_account_looked_at(watching: Asked):
    name = StrategyId("halts/flow")
    watching.account.book.strategies[name] = StrategyBook(
        name, strategy("flow", namespace="halts"), "", "hash", 0, ContractId("MESZ2025")
    )
    await watching.is_left_alone()
    watching.account.unheard = {name: "nothing is known of its bars"}
    await watching.is_looked_at()
    await watching.is_left_alone()
    watching.account.unheard = {}
    await watching.is_looked_at()
    await watching.is_left_alone()
