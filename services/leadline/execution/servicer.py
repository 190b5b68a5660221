"""Execution's calls. Questions read the book; commands run at the account's instant and can only reduce exposure."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import grpc

from leadline.execution.adapters import order_list
from leadline.execution.adapters.convert import halts_to_proto, order_to_proto, position_to_proto, state_to_proto
from leadline.execution.adapters.order_list import MOST_ORDERS
from leadline.execution.adapters.order_rows import order_of
from leadline.execution.core import account_settings
from leadline.execution.core.book import Changes, Drain
from leadline.execution.loop import commands
from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.halts import FIELD_REASON, HaltSource, printable
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.manifest.spec_base import DECIMAL_PATTERN
from leadline.model.manifest.strategy_spec import MOST_COUNT
from leadline.risk.view import AccountLimits
from leadline.runtime.clock import wall_ns
from leadline.runtime.rpc.auth import caller

if TYPE_CHECKING:
    from leadline.execution.service import Account

ORDERS_AT_A_TIME: Final = 50
LONGEST_REASON: Final = 500
_SHOWN_CHARACTERS: Final = 60
MOST_NUMBERS: Final = 256
MOST_SHOWN: Final = 10

ServicerContext = grpc.aio.ServicerContext[Any, Any]


class ExecutionServicer(rpc.ExecutionServiceServicer):
    """Speaks for one account."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    async def SetStrategy(self, request: pb.SetStrategyRequest, context: ServicerContext) -> pb.SetStrategyResponse:
        async def action() -> pb.SetStrategyResponse:
            loop = self._account.loop
            strategy = commands.set_strategy(
                loop.book, StrategyId(request.strategy), request.analysis_hash, request.manifest_json
            )
            await loop.commit()
            return pb.SetStrategyResponse(instant_ns=loop.book.instant_ns, settings_hash=strategy.settings_hash)

        return await self._account.command(action, context)

    async def Drain(self, request: pb.DrainRequest, context: ServicerContext) -> pb.DrainResponse:
        async def action() -> pb.DrainResponse:
            loop, name = self._account.loop, StrategyId(request.strategy)
            wanted = Drain(request.drain_id, request.working_orders, request.positions, loop.book.instant_ns)
            drain = commands.drain(loop.book, name, wanted)
            await loop.commit()
            book = loop.book
            return pb.DrainResponse(
                instant_ns=drain.instant_ns,
                drained=book.drained(name),
                working_orders=len(book.live_orders(name)),
                position=sum(position.quantity for position in book.open_positions(name)),
            )

        return await self._account.command(action, context)

    async def SetAccount(self, request: pb.SetAccountRequest, context: ServicerContext) -> pb.SetAccountResponse:
        account = self._account
        wanted = account_settings.read_account(request.manifest_json, account.name)
        by = request.person or account_settings.HALT_FIELD_BY
        if wanted.spec.halt:
            account.halt(HaltSource.FIELD, FIELD_REASON, by)
        field = account.kill_switch.halts.of(HaltSource.FIELD)
        seen = account.kill_switch.halts.seen(halt.number for halt in field)

        async def action() -> pb.SetAccountResponse:
            loop = account.loop
            hot = account_settings.set_account(loop.book, wanted)
            await loop.commit()
            await loop.halts.follow_field(seen, by, request.person, wall_ns())
            return pb.SetAccountResponse(
                instant_ns=loop.book.instant_ns,
                settings_hash=account_settings.settings_hash(hot),
                halts=halts_to_proto(account.kill_switch.halts.in_force),
            )

        return await account.command(action, context)

    async def SetLimits(self, request: pb.SetLimitsRequest, context: ServicerContext) -> pb.SetLimitsResponse:
        limits = AccountLimits(
            day_loss=_money(request, "day_loss"),
            day_target=_money(request, "day_target"),
            max_position=_count(request, "max_position"),
            max_open_trades=_count(request, "max_open_trades"),
            max_orders_per_second=_count(request, "max_orders_per_second"),
            max_entries_per_hour=_count(request, "max_entries_per_hour"),
        )

        async def action() -> pb.SetLimitsResponse:
            loop = self._account.loop
            commands.tighten(loop.book, limits)
            await loop.commit()
            return pb.SetLimitsResponse(instant_ns=loop.book.instant_ns)

        return await self._account.command(action, context)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: ServicerContext) -> pb.CancelOrderResponse:
        reason = f"cancelled by {caller().subject}"

        async def action() -> pb.CancelOrderResponse:
            loop = self._account.loop
            order = commands.cancellable_entry(loop.book, ClientOrderId(request.client_id))
            await loop.cancel(order, reason)
            return pb.CancelOrderResponse(order=order_to_proto(loop.book.orders[order.client_id], None))

        return await self._account.command(action, context)

    async def Flatten(self, request: pb.FlattenRequest, context: ServicerContext) -> pb.FlattenResponse:
        reason = f"{_reason(request.reason)} ({caller().subject})"

        async def action() -> pb.FlattenResponse:
            loop = self._account.loop
            if request.strategy and request.strategy not in loop.book.strategies:
                raise Unknown("strategy", request.strategy, tuple(sorted(loop.book.strategies)))
            await loop.flatten(StrategyId(request.strategy), reason)
            return pb.FlattenResponse(instant_ns=loop.book.instant_ns)

        return await self._account.command(action, context)

    async def Halt(self, request: pb.HaltRequest, context: ServicerContext) -> pb.HaltResponse:
        halt = self._account.halt(HaltSource.PERSON, _reason(request.reason), caller().subject)
        return pb.HaltResponse(halt=halts_to_proto([halt])[0])

    async def Resume(self, request: pb.ResumeRequest, context: ServicerContext) -> pb.ResumeResponse:
        by, reason, account = caller().subject, _reason(request.reason), self._account
        if not 1 <= len(request.numbers) <= MOST_NUMBERS or min(request.numbers) < 1:
            given = ", ".join(map(str, request.numbers[:MOST_SHOWN]))
            raise InvalidInput("numbers", given, f"1 to {MOST_NUMBERS} numbers of halts, as GetState shows them")
        seen = account.kill_switch.halts.seen(request.numbers)  # as of the call's arrival

        async def action() -> pb.ResumeResponse:
            cleared = await account.loop.halts.resume(seen, by, reason, wall_ns())
            standing = account.kill_switch.halts.in_force
            return pb.ResumeResponse(by=by, cleared=halts_to_proto(cleared), halts=halts_to_proto(standing))

        return await account.command(action, context)

    async def Release(self, request: pb.ReleaseRequest, context: ServicerContext) -> pb.ReleaseResponse:
        by, reason = printable(caller().subject), _reason(request.reason)

        async def action() -> pb.ReleaseResponse:
            loop, changes = self._account.loop, Changes()
            fence = commands.release(loop.book, changes, StrategyId(request.strategy), by, reason)
            await loop.commit(changes)
            return pb.ReleaseResponse(instant_ns=loop.book.instant_ns, fence=f"{fence.reason}: {fence.detail}")

        return await self._account.command(action, context)

    async def GetState(self, request: pb.GetStateRequest, context: ServicerContext) -> pb.GetStateResponse:
        account = self._account
        return state_to_proto(
            account.loop.book,
            phase=account.loop.phase,
            halts=account.kill_switch.halts.in_force,
            restored=account.journal.restored,
            epoch=account.store.epoch,
            heard={name: (queue.progress_ns, queue.last_bar_ns) for name, queue in account.queues.items()},
            lacking=account.lacking,
            unheard=account.unheard(),
        )

    async def GetOrders(self, request: pb.GetOrdersRequest, context: ServicerContext) -> pb.GetOrdersResponse:
        limit = request.limit or MOST_ORDERS
        if not 1 <= limit <= MOST_ORDERS:
            raise InvalidInput("limit", request.limit, f"1 to {MOST_ORDERS}, or 0 for {MOST_ORDERS}")
        for field, text in (("strategy", request.strategy), ("before", request.before)):
            if not text.isprintable():  # no table has it, and the database has no word for some
                raise InvalidInput(field, text[:_SHOWN_CHARACTERS], "a name, or nothing")
        account = self._account
        asked = order_list.newest(
            account.tape.tape,
            account.name,
            strategy=request.strategy,
            only_working=request.only_working,
            limit=limit,
            before=request.before,
        )
        rows = await account.reads.fetch(order_list.SELECT_NEWEST, *asked)
        answer = pb.GetOrdersResponse()
        rows.reverse()
        for first in range(0, len(rows), ORDERS_AT_A_TIME):
            some = rows[first : first + ORDERS_AT_A_TIME]
            answer.orders.extend(order_to_proto(order_of(dict(row)), row["average"]) for row in some)
            await asyncio.sleep(0)  # halts, orders and probes have their turn
        return answer

    async def GetPositions(self, request: pb.GetPositionsRequest, context: ServicerContext) -> pb.GetPositionsResponse:
        book = self._account.loop.book
        return pb.GetPositionsResponse(positions=[position_to_proto(book, held) for held in book.open_positions()])

    async def StreamOrderEvents(
        self, request: pb.StreamOrderEventsRequest, context: ServicerContext
    ) -> AsyncIterator[pb.StreamOrderEventsResponse]:
        if request.after < 0:
            raise InvalidInput("after", request.after, "0 or the number of an event")
        async with aclosing(self._account.tail.follow(request.after)) as events:
            async for message in events:
                yield message


def _reason(text: str) -> str:
    """A caller's words as they are stored and shown: one printable line."""
    if len(text) > LONGEST_REASON:
        raise InvalidInput("reason", f"{len(text)} characters", f"at most {LONGEST_REASON}")
    line = printable(text)
    if not line:
        raise InvalidInput("reason", text[:_SHOWN_CHARACTERS], "a few words for the audit")
    return line


def _money(request: pb.SetLimitsRequest, name: Any) -> Decimal | None:
    """An amount, written as a manifest writes one: what is stored here is watched for by the venue."""
    if not request.HasField(name):
        return None
    text = getattr(request, name)
    if not re.fullmatch(DECIMAL_PATTERN, text):
        raise InvalidInput(name, text[:_SHOWN_CHARACTERS], "a decimal string of at most 15 digits and 8 places")
    return Decimal(text)


def _count(request: pb.SetLimitsRequest, name: Any) -> int | None:
    if not request.HasField(name):
        return None
    value = int(getattr(request, name))
    if not 1 <= value <= MOST_COUNT:
        raise InvalidInput(name, value, f"1 to {MOST_COUNT}")
    return value
