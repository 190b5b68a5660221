"""Adding to a winner: at which bars a strategy does, found by going through the days until nothing changes any more.

A strategy does not know what it holds. So the bars at which it adds are a parameter of its manifest: those at which a
run with the bars found so far held a winner. What is decided at a bar follows from earlier ones alone, so each run
settles at least one bar more, and where a run finds the bars that it was given, they are the ones.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from leadline.backtest.market import Close
from leadline.execution.core.positions import apply_fill, open_result
from leadline.execution.core.records import AccountRecords
from leadline.model.orders import Position
from leadline.model.proposals import Direction
from leadline.study.accounts import VariantResult
from leadline.views.trades import unopened

MOST_HELD: Final = 4
"""Contracts of a position that nothing is added to any more."""


def winners(found: VariantResult) -> tuple[str, ...]:
    """The keys of the bars at which a new signal finds a winner of its direction that may grow, in order.

    found: of one strategy on one account.
    """
    (run,) = found.accounts.values()
    (closes,) = found.gathered.closes.values()
    return winning_bars(run.records, closes)


def winning_bars(records: AccountRecords, closes: Sequence[Close]) -> tuple[str, ...]:
    """As `winners`, of what an account has written; `closes` of the bars, in order of time."""
    fills = sorted(records.fills.values(), key=lambda booked: booked.venue_event)
    times = [close.time_ns for close in closes]
    held: Position | None = None
    keys: list[str] = []
    place = 0
    for decision in records.decisions.values():
        while place < len(fills) and fills[place].fill.time_ns <= decision.instant_ns:
            booked = fills[place]
            order = records.orders[booked.fill.client_id].order
            if held is None or not held.quantity:
                held = unopened(booked.strategy, booked.fill, order.tape_contract, order.decision)
            held = apply_fill(held, booked.fill, order.unit)
            place += 1
        at, direction = bisect_right(times, decision.instant_ns) - 1, decision.proposal.direction
        if held is None or not held.quantity or direction is None or at < 0:
            continue
        same = (held.quantity > 0) == (direction is Direction.LONG)
        if same and abs(held.quantity) < MOST_HELD and open_result(held, closes[at].price) > 0:
            keys.append(decision.bar_key)
    return tuple(keys)
