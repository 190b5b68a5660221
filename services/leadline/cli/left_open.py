"""What a stack leaves open when it is stopped within a run: positions with their protection, and orders that work."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import asyncpg

from leadline.cli.output import price_text
from leadline.model.errors import LeadlineError
from leadline.model.ids import Leg
from leadline.runtime.settings import DatabaseSettings
from leadline.views.database import dsn_of
from leadline.views.store import StoppedRun
from leadline.views.values import OrdersWanted, OrderView, PositionView

# Stopping does not wait for a book that cannot be read.
READ_SECONDS: Final = 5.0
_MOST_ORDERS: Final = 1000

_LEGS: Final = {
    Leg.ENTRY: "entry",
    Leg.STOP: "stop",
    Leg.TARGET: "target",
    Leg.FLATTEN: "closing order",
    Leg.FOREIGN: "order of somebody else",
}


async def what_is_left(database: DatabaseSettings, tape: str) -> tuple[str, ...]:
    """A sentence for each position and each further order that a run has left, and one for what becomes of them."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            connection = await asyncpg.connect(dsn_of(database))
            try:
                return await _of_run(StoppedRun(tape, connection))
            finally:
                await connection.close()
    except (OSError, TimeoutError, LeadlineError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return (f"what run {tape} has left open could not be read ({str(error) or type(error).__name__})",)


async def _of_run(run: StoppedRun) -> tuple[str, ...]:
    sentences: list[str] = []
    working = await run.orders(None, OrdersWanted(_MOST_ORDERS, only_working=True))
    for account, held in (await run.positions(None)).found.items():
        sentences += left_open(account, held, working.found[account])
    return what_becomes_of(run.tape, sentences, goes_on=await run.goes_on(), over=await run.is_over())


def what_becomes_of(tape: str, sentences: Sequence[str], *, goes_on: bool, over: bool) -> tuple[str, ...]:
    """What was left open by a run, between whether it goes on and what that means for it.

    goes_on: the same command goes on with it. over: its accounts have come to its end.
    """
    if over:
        return (f"run {tape} is over", *sentences)
    if not goes_on:
        ended = f"run {tape} has ended before its accounts: the same command begins another run"
        return (ended, *(sentences or ["no position is held and no order works"]), "nothing of it trades any more")
    return (
        f"run {tape} is not over: the same command goes on with it",
        *(sentences or ["no position is held and no order works"]),
        *(["nothing of it trades before that"] if sentences else []),
    )


def left_open(account: str, positions: Iterable[PositionView], working: Iterable[OrderView]) -> Iterator[str]:
    """A sentence for each position of an account, with the orders that protect it, and for each other working order."""
    others = list(working)
    for held in positions:
        exits = [order for order in others if _protects(order, held)]
        others = [order for order in others if order not in exits]
        behind = " and ".join(_words(order) for order in sorted(exits, key=lambda order: order.leg))
        owner = f"{held.strategy} on {account}" if held.strategy else account
        yield (
            f"{owner} holds {held.quantity:+d} {held.contract}, average {_price(held.contract, held.average_price)}, "
            f"{f'protected by {behind}' if behind else 'WITHOUT PROTECTION: no stop and no target works for it'}"
        )
    for order in others:
        yield f"{order.strategy or 'nobody'} on {account} has {_words(order)} of {order.contract}"


def _protects(order: OrderView, held: PositionView) -> bool:
    closing = order.side == ("SELL" if held.quantity > 0 else "BUY")
    place = (order.strategy, order.contract) == (held.strategy, held.contract)
    return place and closing and order.leg.startswith((Leg.STOP, Leg.TARGET))


def _words(order: OrderView) -> str:
    leg = _LEGS.get(Leg(order.leg[:1]), "order") if order.leg[:1] in set(Leg) else "order"
    at = f"at {_price(order.contract, order.price)}" if order.price else "at the market"
    doubt = "" if order.state in {"WORKING", "PARTIAL"} else f", state {order.state.replace('_', ' ').lower()}"
    article = "an" if leg[0] in "eo" else "a"
    return f"{article} {leg} ({order.side.lower()} {order.quantity - order.filled} {at}{doubt})"


def _price(contract: str, price: str) -> str:
    return price_text(contract, price) or "unknown"
