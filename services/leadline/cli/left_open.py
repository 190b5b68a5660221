"""Positions and orders that a stack leaves open when it is stopped within a run, in words."""

import asyncio
from collections.abc import Iterator
from typing import Final

import asyncpg

from leadline.model.errors import LeadlineError
from leadline.model.ids import RunId
from leadline.runtime.settings import DatabaseSettings
from leadline.views.database import dsn_of
from leadline.views.left_open import AccountLeftOpen, RunLeftOpen
from leadline.views.orders import LEG_WORDS
from leadline.views.store import StoppedRun
from leadline.views.values import OrderView

# Stopping does not wait for a book that cannot be read.
READ_SECONDS: Final = 5.0


async def what_is_left(database: DatabaseSettings, tape: RunId, failed: str = "") -> tuple[str, ...]:
    """A sentence for each position and each further order that a run has left, and one for what becomes of them.

    failed: the part that did not stay up, where that ended the stack.
    """
    try:
        async with asyncio.timeout(READ_SECONDS):
            connection = await asyncpg.connect(dsn_of(database))
            try:
                return run_sentences(await StoppedRun(tape, connection).left_open(), failed)
            finally:
                await connection.close()
    except (OSError, TimeoutError, LeadlineError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return (f"what run {tape} has left open could not be read ({str(error) or type(error).__name__})",)


def run_sentences(left: RunLeftOpen, failed: str = "") -> tuple[str, ...]:
    """Sentences about a run that was stopped: whether it goes on, its open positions and orders, and the consequence.

    failed: the part that did not stay up, and that may not stay up the next time either.
    """
    sentences = [sentence for account in left.accounts for sentence in account_sentences(account)]
    if left.over:
        return (f"run {left.tape} is over", *sentences)
    if not left.goes_on:
        ended = f"run {left.tape} has ended before its accounts: the same command begins another run"
        return (ended, *(sentences or ["no position is held and no order works"]), "nothing of it trades any more")
    first = f"once the trouble with {failed} is mended, " if failed else ""
    return (
        f"run {left.tape} is not over: {first}the same command goes on with it",
        *(sentences or ["no position is held and no order works"]),
        *(["nothing of it trades before that"] if sentences else []),
    )


def account_sentences(left: AccountLeftOpen) -> Iterator[str]:
    """A sentence for each position of an account, with the orders that protect it, and for each other working order."""
    for held in left.held:
        position = held.position
        behind = " and ".join(map(_text, held.exits))
        owner = f"{position.strategy} on {left.account}" if position.strategy else left.account
        yield (
            f"{owner} holds {position.quantity:+d} {position.contract}, "
            f"average {position.average_price}, "
            f"{f'protected by {behind}' if behind else 'WITHOUT PROTECTION: no stop and no target works for it'}"
        )
    for order in left.others:
        yield f"{order.strategy or 'nobody'} on {left.account} has {_text(order)} of {order.contract}"


def _text(order: OrderView) -> str:
    words = LEG_WORDS[order.leg.kind]
    at = f"at {order.price}" if order.price else "at the market"
    doubt = "" if order.state in {"WORKING", "PARTIAL"} else f", state {order.state.replace('_', ' ').lower()}"
    article = "an" if words[0] in "eo" else "a"
    return f"{article} {words} ({order.side.lower()} {order.quantity - order.filled} {at}{doubt})"
