"""Positions that the venue holds and the book does not: the book takes them over, for the venue is right about them.

It happens where an event could not be believed or was lost, and at each reconciliation. No fill is made up: a position
that is taken over is worth what it is at the last print, and so is one that is gone. What becomes of it is asked as of
any other position: it has the right stops, or it is closed.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from leadline.execution.core.book import Book, Changes, note
from leadline.execution.core.booking import owner_of
from leadline.execution.core.contracts import tape_contract
from leadline.execution.core.positions import apply_fill, flat
from leadline.model.ids import (
    NO_DECISION,
    NO_FILL,
    NO_ORDER,
    UNASSIGNED,
    ContractId,
    LegKind,
    StrategyId,
    adopted_decision,
)
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import Fill, Position, Side


def adopt_positions(book: Book, changes: Changes, venue: Mapping[ContractId, int]) -> list[str]:
    """Make the book hold what the venue holds, net and signed by contract; a sentence for each place that it changes.

    What is gone is taken from those who held it. What has come belongs to the strategy that trades the contract.
    """
    held: dict[ContractId, int] = {}
    for position in book.open_positions():
        held[position.contract] = held.get(position.contract, 0) + position.quantity
    told: list[str] = []
    for contract in sorted({*held, *venue}):
        missing = venue.get(contract, 0) - held.get(contract, 0)
        for strategy, quantity in _shares(book, contract, missing):
            told.append(_adopt(book, changes, strategy, contract, quantity))
    return told


def _shares(book: Book, contract: ContractId, missing: int) -> Iterator[tuple[StrategyId, int]]:
    """The change of each owner's position in a contract, so that they change by `missing` in all."""
    left = missing
    for position in book.open_positions():
        if left and position.contract == contract and position.quantity * left < 0:
            quantity = min(abs(left), abs(position.quantity)) * (1 if left > 0 else -1)
            left -= quantity
            yield position.strategy, quantity
    if left:
        yield owner_of(book, contract), left


def _adopt(book: Book, changes: Changes, strategy: StrategyId, contract: ContractId, quantity: int) -> str:
    key = (strategy, contract)
    before = book.positions.get(key)
    if before is None or not before.quantity:
        before = _nothing_yet(book, strategy, contract)
    last = book.last_prints.get(before.tape_contract)
    if last is not None:
        price = last.price
    else:  # the oldest lot's own price: nothing is gained nor lost
        price = before.lots[0].price if before.lots else 0
    side = Side.BUY if quantity > 0 else Side.SELL
    taken = Fill(NO_FILL, NO_ORDER, contract, side, abs(quantity), price, book.instant_ns, 0, 0)
    after = apply_fill(before, taken)
    book.hold(after)
    changes.positions[key] = after
    result = after.realised - before.realised
    book.realised += result
    owner = book.strategies.get(strategy)
    if owner is not None:
        owner.realised += result
    body = {"strategy": strategy, "contract": contract, "quantity": after.quantity, "adopted": quantity, "price": price}
    note(book, changes, "position", f"{strategy}/{contract}/venue-{book.last_event + 1}", 1, body)
    whose = strategy or "nobody"
    return f"{quantity:+d} {contract} is taken over from the venue, at {price}: {whose} holds {after.quantity} now"


def _nothing_yet(book: Book, strategy: StrategyId, contract: ContractId) -> Position:
    """The flat position before one that is taken over. Where an order stands that it may be of, it is of its decision.

    One that no print is known for is worth nothing: it is not known what it is worth.
    """
    owner = book.strategies.get(strategy)
    tape = contract if owner is None else tape_contract(contract, owner.contract, book.feed_contracts)
    sheet = sheet_of(contract)
    known = sheet is not None and tape in book.last_prints
    live = [order for order in book.live_orders(strategy) if order.contract == contract]
    ours = [order for order in live if order.leg.kind in (LegKind.ENTRY, LegKind.STOP, LegKind.TARGET)]
    decision = ours[0].decision if ours and strategy != UNASSIGNED else NO_DECISION
    if not decision:
        decision = adopted_decision(book.account, book.tape, contract, book.last_event)
    value = sheet.tick_value if sheet is not None and known else Decimal(0)
    return flat(strategy, contract, tape, value, decision, inverse=known and sheet is not None and sheet.inverse)
