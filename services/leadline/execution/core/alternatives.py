"""Entries of which the first fill counts: it takes the others out of the market.

Alternatives are the entries of one bar that have a group in common; where a strategy's `maxPending` is set, all of its
entries that wait; and where an account's `pendingEntries` say FirstFillWins, those of its strategies among one another.
As soon as one of them has a fill, be it a part, the
others are marked with its id in the same transaction, and leave the market. The mark stays, whatever becomes of the
entry that has filled: an exit within the same moment does not let the others wait on.

A fill of a marked one may be on its way while its cancel is: then there is more in the market than was meant, perhaps a
long and a short with a bracket each. All that the strategy of that second fill has is closed then, and no person has to
look: nothing was wrong.

Until a cancel is known each of them may fill, so that limits count all of them, and not the largest. But they are one
trade, and they may wait on both sides.
"""

from leadline.execution.core.book import Book, Changes, is_entry, put_order
from leadline.model.frozen import replace
from leadline.model.ids import StrategyId
from leadline.model.orders import Order, OrderState, OrderType, Side


def first_fill_wins(book: Book) -> bool:
    """Whether the entries of the account's strategies are alternatives to one another."""
    return book.manifest.spec.pending_entries == "FirstFillWins"


def is_excess(book: Book, entry: Order) -> bool:
    """Whether a fill of an entry makes what nobody wants: asked before the fill is booked.

    It has been taken out, or another strategy has what the first fill made: it had that already when the account's
    entries became alternatives.
    """
    if entry.taken_out_by:
        return True
    return first_fill_wins(book) and any(held.strategy != entry.strategy for held in book.open_positions())


def take_out_alternatives(book: Book, changes: Changes, filled: Order, *, opens: bool) -> None:
    """Mark the entries that may still fill and must not, now that `filled` has a fill.

    One that was given up as absent is among them: it may come up. `opens`: its strategy was flat before. What else
    waits for a strategy that was not is there to add to what it has.
    """
    for _, other in sorted(book.orders.items()):
        if other.state.terminal and other.state is not OrderState.DEAD:
            continue
        if (
            is_entry(other)
            and not other.filled
            and not other.taken_out_by
            and _alternatives(book, filled, other, opens)
        ):
            put_order(book, changes, replace(other, taken_out_by=filled.client_id, version=other.version + 1))


def _alternatives(book: Book, one: Order, other: Order, opens: bool) -> bool:
    """Whether of two entries only one is to fill."""
    if one.client_id == other.client_id:
        return False
    if one.strategy != other.strategy:
        return first_fill_wins(book)
    return (opens and _are_one_group(book, one.strategy)) or (bool(one.group) and one.group == other.group)


def _are_one_group(book: Book, strategy: StrategyId) -> bool:
    """Whether all entries of a strategy that wait are alternatives."""
    owner = book.strategies.get(strategy)
    return owner is not None and owner.manifest.spec.entries.max_pending is not None


def in_the_market(book: Book) -> frozenset[StrategyId]:
    """The owners of what is more than waiting: nothing else is entered where the first fill wins.

    They hold something, or have an entry at the market, one that is filled in part, or one that was taken out and may
    fill all the same.
    """
    entering = [order.strategy for order in book.live_orders() if is_entry(order) and not is_waiting(order)]
    return frozenset([*[held.strategy for held in book.open_positions()], *entering])


def is_waiting(entry: Order) -> bool:
    """Whether an entry waits for its price, and nothing of it has filled or is not to fill any more."""
    return entry.type is not OrderType.MARKET and not entry.filled and not entry.taken_out_by


def waiting_groups(book: Book, strategy: StrategyId) -> tuple[tuple[str, int, int], ...]:
    """The groups of a strategy none of whose entries has a fill, by name: each with what waits to buy and to sell.

    Where all that waits is one group, that has no name.
    """
    one = _are_one_group(book, strategy)
    sizes: dict[str, dict[Side, int]] = {}
    for order in book.live_orders(strategy):
        if (one or order.group) and is_entry(order) and not order.filled and not order.taken_out_by:
            sides = sizes.setdefault("" if one else order.group, {Side.BUY: 0, Side.SELL: 0})
            sides[order.side] += order.remaining
    return tuple((name, sides[Side.BUY], sides[Side.SELL]) for name, sides in sorted(sizes.items()))
