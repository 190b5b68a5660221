"""A running stack, here or in a cluster, asked over gRPC."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc

from leadline.aggregation.v1 import aggregation_pb2
from leadline.analysis.v1 import analysis_pb2
from leadline.execution.adapters.order_list import MOST_ORDERS
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local.calls import CALL_SECONDS, Services
from leadline.local.health import HealthProbe
from leadline.model.errors import Unknown
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.v1 import model_pb2
from leadline.runtime.rpc.errors import explain
from leadline.runtime.rpc.failures import with_retries
from leadline.views.convert import (
    account_view,
    audit_event,
    bar_key_text,
    feed_view,
    order_view,
    position_view,
    series_view,
    signalled_bar,
)
from leadline.views.explaining import AuditEvent
from leadline.views.market import FeedView, SeriesView, StatusView
from leadline.views.signals import DecisionView, SignalledBar, decision_view
from leadline.views.stack import NotRunning, Stack
from leadline.views.values import AccountView, Answers, OrdersWanted, OrderView, PositionView

_Name = TypeVar("_Name", bound=str)
_Read = TypeVar("_Read")

# A stream of what is stored is at its end when nothing has come for this long.
QUIET_SECONDS: Final = 1.0
# The first message of a stream may have to wait for a forwarded port, and for a reader that begins.
FIRST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class RunningStack:
    """The services of a stack: a `Source`. There is nothing to say (`note`) of where its values come from."""

    stack: Stack
    services: Services
    note: str = ""

    async def status(self) -> StatusView:
        """The run, the feed, the health of each service and each account's day.

        Whatever of the bars and the accounts does not answer is left out and named.
        """
        # Bars are built by the platform: in a cluster it is not in the namespace of the accounts.
        with_bars = [name for name in self.stack.addresses if name == "aggregation"]
        feed, series, health, accounts = await asyncio.gather(
            self._feed(), _answers(with_bars, self._series), self._health(), _answers(self.stack.accounts, self._state)
        )
        states = tuple(accounts.found.values())
        return StatusView(
            tape=self.stack.tape or next((item.tape for item in states), RunId("")),
            feed_kind=self.stack.feed,
            trade_from=self.stack.trade_from,
            feed=feed,
            series=tuple(each for found in series.found.values() for each in found),
            health=health,
            addresses=self.stack.addresses,
            accounts=states,
            left_out={**self.stack.left_out, **reasons(series.failed), **reasons(accounts.failed)},
        )

    async def orders(self, account: str | None, wanted: OrdersWanted) -> Answers[list[OrderView]]:
        """The orders by account, oldest first."""
        request = execution_pb2.GetOrdersRequest(
            strategy=wanted.strategy, only_working=wanted.only_working, limit=wanted.limit
        )

        async def read(name: AccountId) -> list[OrderView]:
            return [order_view(order) for order in await newest_orders(self._execution(name), request)]

        return await _answers(self.stack.chosen_accounts(account), read)

    async def positions(self, account: str | None) -> Answers[list[PositionView]]:
        """The positions that are not flat, by account."""

        async def read(name: AccountId) -> list[PositionView]:
            request = execution_pb2.GetPositionsRequest()
            answer = await self._execution(name).GetPositions(request, timeout=CALL_SECONDS)
            return [position_view(position) for position in answer.positions]

        return await _answers(self.stack.chosen_accounts(account), read)

    async def signals(self, strategy: str | None, last: int) -> Answers[list[SignalledBar]]:
        """The newest bars with signals or proposals by strategy. Decisions are missing where an account is silent."""
        chosen = {item.name: item for item in self.stack.chosen_strategies(strategy)}
        answers = await _answers(chosen, lambda name: self._bars_with_signals(name, last))
        accounts = sorted({item.account for item in chosen.values()}) if answers.found else []
        decided = await _answers(accounts, self._decisions)
        decisions = {key: each for by_bar in decided.found.values() for key, each in by_bar.items()}
        bars = [
            signalled_bar(name, bar, decisions.get((name, bar_key_text(bar.bar)), ()))
            for name in chosen
            for bar in answers.found.get(name, ())
        ]
        newest = sorted(bars, key=lambda bar: (bar.known_at_ns, bar.strategy))[-last:]
        return Answers(
            {name: [bar for bar in newest if bar.strategy == name] for name in answers.found},
            answers.failed,
            {**self.stack.left_out, **reasons(decided.failed)},
        )

    async def audits(self, account: str | None) -> Answers[list[AuditEvent]]:
        """The audit of each account up to now, in the order of its book."""
        return await _answers(self.stack.chosen_accounts(account), self._audit)

    async def _audit(self, account: AccountId) -> list[AuditEvent]:
        stream = self._execution(account).StreamOrderEvents(execution_pb2.StreamOrderEventsRequest())
        return [audit_event(event) async for event in until_quiet(stream, QUIET_SECONDS, FIRST_SECONDS)]

    async def _bars_with_signals(self, strategy: StrategyId, last: int) -> list[model_pb2.BarSignals]:
        """The newest bars with signals or proposals that are stored by now."""
        stub = self.services.analysis(self.stack.analysis_of(strategy))
        stream = stub.StreamSignals(analysis_pb2.StreamSignalsRequest(only_with_signals=True))
        messages = until_quiet(stream, QUIET_SECONDS, FIRST_SECONDS)
        return list(deque([message.bar async for message in messages if not message.final], last))

    async def _decisions(self, account: AccountId) -> dict[tuple[str, str], tuple[DecisionView, ...]]:
        """Every decision by strategy and bar key, those of one bar in their order."""
        bodies = [event.body for event in await self._audit(account) if event.kind == "decision"]
        found: dict[tuple[str, str], tuple[DecisionView, ...]] = {}
        for body in bodies:
            key = (body["strategy"], body["bar_key"])
            found[key] = (*found.get(key, ()), decision_view(body))
        return found

    async def _feed(self) -> FeedView | None:
        """How the feed is; None in a cluster, where it belongs to the platform and not to the namespace."""
        if "ingestion" not in self.stack.addresses:
            return None
        stub = self.services.ingestion(self.stack.addresses["ingestion"])
        request = ingestion_pb2.GetFeedStatusRequest()
        return feed_view(await with_retries(lambda: stub.GetFeedStatus(request, timeout=CALL_SECONDS), CALL_SECONDS))

    async def _series(self, workload: str) -> list[SeriesView]:
        stub = self.services.aggregation(self.stack.addresses[workload])
        request = aggregation_pb2.ListSeriesRequest()
        answer = await with_retries(lambda: stub.ListSeries(request, timeout=CALL_SECONDS), CALL_SECONDS)
        return [series_view(each) for each in answer.series]

    async def _health(self) -> dict[str, str]:
        probes = {name: HealthProbe(address) for name, address in self.stack.addresses.items()}
        answers = await asyncio.gather(*(probe.serving() for probe in probes.values()))
        await asyncio.gather(*(probe.close() for probe in probes.values()))
        found = {name: "serving" if up else "not serving" for name, up in zip(probes, answers, strict=True)}
        return found | self.stack.unreachable

    async def _state(self, account: AccountId) -> AccountView:
        stub = self._execution(account)
        request = execution_pb2.GetStateRequest()
        return account_view(await with_retries(lambda: stub.GetState(request, timeout=CALL_SECONDS), CALL_SECONDS))

    def _execution(self, account: AccountId) -> Any:
        return self.services.execution(self.stack.execution_of(account), account)


async def newest_orders(stub: Any, request: execution_pb2.GetOrdersRequest) -> list[execution_pb2.Order]:
    """As many as are asked for, oldest first; an answer has a part of them."""
    found: list[execution_pb2.Order] = []
    while len(found) < request.limit:
        asked = execution_pb2.GetOrdersRequest()
        asked.CopyFrom(request)
        asked.limit = min(request.limit - len(found), MOST_ORDERS)
        asked.before = found[0].client_id if found else ""
        some = (await stub.GetOrders(asked, timeout=CALL_SECONDS)).orders
        found = [*some, *found]
        if len(some) < asked.limit:
            break
    return found


def reasons(failed: Mapping[str, Exception]) -> dict[str, str]:
    """Why each name did not answer, in words."""
    return {
        name: explain(error) if isinstance(error, grpc.aio.AioRpcError) else str(error)
        for name, error in failed.items()
    }


async def _answers(names: Iterable[_Name], read: Callable[[_Name], Awaitable[_Read]]) -> Answers[_Read]:
    """The result of `read` for each name, all at the same time."""
    asked = list(names)
    answers = await asyncio.gather(*(read(name) for name in asked), return_exceptions=True)
    failed: dict[str, Exception] = {}
    found: dict[str, _Read] = {}
    for name, answer in zip(asked, answers, strict=True):
        if isinstance(answer, NotRunning | Unknown | grpc.aio.AioRpcError):
            failed[name] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[name] = answer
    return Answers(found, failed)


async def until_quiet(stream: AsyncIterable[Any], quiet_seconds: float, first_seconds: float) -> AsyncIterator[Any]:
    """The messages of a stream up to its end, or up to where nothing more comes for a while.

    first_seconds: how long the first message may take; a stream is not empty because it is slow to begin.
    """
    messages: AsyncIterator[Any] = aiter(stream)
    wait_s = first_seconds
    while True:
        try:
            async with asyncio.timeout(wait_s):
                message = await anext(messages)
        except (StopAsyncIteration, TimeoutError):
            return
        yield message
        wait_s = quiet_seconds
