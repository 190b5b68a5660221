"""Positions of a settled contract of which the venue holds nothing: those that are each other's other side."""

from collections.abc import Iterator

from leadline.execution.core.book import Book, Changes
from leadline.execution.core.booking import settle
from leadline.model.ids import ContractId, fill_id
from leadline.model.market.settlement import settlement_id, settles_at_ns
from leadline.model.orders import Fill, Position, Side


def settle_opposites(book: Book, changes: Changes) -> None:
    """Close positions of settled contracts that come to nothing together, each at the last print that priced it.

    The venue holds nothing of such a contract and tells of no settlement. Without a print they stay as they are.
    """
    for contract, held in _settled(book) if book.open_positions() else ():
        if sum(position.quantity for position in held):
            continue
        for position in held:
            last = book.last_prints.get(position.tape_contract)
            if last is None:
                continue
            side, name = Side.SELL if position.quantity > 0 else Side.BUY, settlement_id(contract)
            size, index = abs(position.quantity), last.source_index
            fill = Fill(fill_id(name, index), name, contract, side, size, last.price, book.instant_ns, index, 1)
            settle(book, changes, position, fill, name, book.venue_event, part=2)


def _settled(book: Book) -> Iterator[tuple[ContractId, list[Position]]]:
    """The open positions of each contract that has settled by the book's instant."""
    held: dict[ContractId, list[Position]] = {}
    for position in book.open_positions():
        held.setdefault(position.contract, []).append(position)
    for contract, positions in sorted(held.items()):
        at_ns = settles_at_ns(contract)
        if at_ns is not None and at_ns <= book.instant_ns:
            yield contract, positions
