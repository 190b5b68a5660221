"""The book as execution's messages."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final

from leadline.execution.adapters.journal import Restoration
from leadline.execution.core.account import open_money
from leadline.execution.core.account_settings import loosening_waits, settings_hash
from leadline.execution.core.book import Book, StrategyBook
from leadline.execution.core.positions import average_price, part_of
from leadline.execution.core.unit_parts import leaving
from leadline.execution.v1 import execution_pb2 as pb
from leadline.model.halts import Halt
from leadline.model.ids import StrategyId
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import Order, Position

_NOBODY: Final[Mapping[StrategyId, str]] = {}


def price_text(contract: str, ticks: Decimal | int) -> str:
    """A price in ticks as a decimal string of the contract; in ticks, and with that word, where no sheet knows it."""
    sheet = sheet_of(contract)
    return f"{ticks} ticks" if sheet is None else str(sheet.tick * ticks)


def order_to_proto(order: Order, average_ticks: Decimal | None) -> pb.Order:
    """An order with its average fill price in ticks, where it has fills."""
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return pb.Order(
        client_id=order.client_id,
        decision_id=order.decision,
        leg=order.leg,
        strategy=order.strategy,
        contract=order.contract,
        side=order.side.value,
        type=order.type.value,
        quantity=order.quantity,
        filled=order.filled,
        state=order.state.value,
        price="" if price is None else price_text(order.contract, price),
        decided_at_ns=order.decided_at_ns,
        reason=order.reason,
        version=order.version,
        average_price="" if average_ticks is None else price_text(order.contract, average_ticks),
        taken_out_by=order.taken_out_by,
        unit=order.unit,
    )


def position_to_proto(book: Book, position: Position) -> pb.Position:
    """A position at its last print."""
    last = book.last_prints.get(position.tape_contract)
    return pb.Position(
        strategy=position.strategy,
        contract=position.contract,
        quantity=position.quantity,
        average_price=price_text(position.contract, average_price(position)),
        last_price="" if last is None else price_text(position.contract, last.price),
        open=str(open_money(book, [position])),
        units=[_unit_to_proto(book, part_of(position, unit), unit) for unit in position.units],
    )


def _unit_to_proto(book: Book, part: Position, unit: str) -> pb.PositionUnit:
    return pb.PositionUnit(
        unit=unit,
        quantity=part.quantity,
        average_price=price_text(part.contract, average_price(part)),
        open=str(open_money(book, [part])),
    )


def halts_to_proto(halts: Iterable[Halt]) -> list[pb.Halt]:
    """Halts, in their order."""
    return [
        pb.Halt(
            number=max(halt.number, 0),
            source=halt.source.value,
            reason=halt.reason,
            by=halt.by,
            at_ns=halt.at_ns,
        )
        for halt in halts
    ]


def restoration_to_proto(restored: Restoration | None) -> pb.JournalRestoration | None:
    """A restoration of the send journal; None where there was none."""
    if restored is None:
        return None
    return pb.JournalRestoration(at_ns=restored.at_ns, orders=restored.orders, found=restored.found)


def state_to_proto(
    book: Book,
    *,
    phase: str,
    halts: Iterable[Halt],
    epoch: int,
    heard: Mapping[StrategyId, tuple[int, int]],
    restored: Restoration | None = None,
    lacking: str = "",
    unheard: Mapping[StrategyId, str] = _NOBODY,
) -> pb.GetStateResponse:
    """The account and its strategies. `restored`: as the send journal says it.

    heard: by strategy how far its signals are complete, and the close of its last bar, both ns UTC. lacking, unheard:
    why the account, and why a strategy, cannot trade now.
    """
    return pb.GetStateResponse(
        account=book.account,
        tape=book.tape,
        instant_ns=book.instant_ns,
        trading_day="" if book.trading_day is None else book.trading_day.isoformat(),
        phase=phase,
        equity=str(book.equity_at_roll + book.realised),
        realised=str(book.realised),
        open=str(open_money(book, book.open_positions())),
        streak=book.streak,
        trades=book.trades,
        block=book.block,
        halts=halts_to_proto(halts),
        writer_epoch=epoch,
        tier=book.tier_index + 1,
        currency=book.manifest.spec.currency,
        settings_hash="" if book.settings is None else settings_hash(book.settings),
        loosening_waits=loosening_waits(book),
        journal_restored=restoration_to_proto(restored),
        lacking=lacking,
        strategies=[
            pb.StrategyState(
                strategy=name,
                state=_state(book, name),
                analysis_hash=strategy.analysis_hash,
                progress_ns=heard.get(name, (0, 0))[0],
                last_bar_ns=heard.get(name, (0, 0))[1],
                lacking=unheard.get(name, ""),
                realised=str(strategy.realised),
                trades=strategy.trades,
                working_orders=len(book.live_orders(name)),
                position=sum(position.quantity for position in book.open_positions(name)),
                settings_hash=strategy.settings_hash,
                joined_ns=strategy.joined_ns,
                drain_id="" if strategy.drain is None else strategy.drain.drain_id,
                drained=book.drained(name),
                forgotten=book.forgotten(name),
                flatten=strategy.flatten or book.flatten,
                loosening_waits=strategy.held is not None,
                fence="" if strategy.fence is None else f"{strategy.fence.reason}: {strategy.fence.detail}",
                contract=strategy.contract,
                leaving=_leaving_to_proto(book, strategy),
            )
            for name, strategy in sorted(book.strategies.items())
        ],
    )


def _leaving_to_proto(book: Book, strategy: StrategyBook) -> Iterator[pb.LeavingUnit]:
    """The units of a strategy that are to leave, in the order of their names."""
    parts = leaving(book, strategy)
    for goal in strategy.exits:
        own = [part for (_, unit), part in parts.items() if unit == goal.unit]
        yield pb.LeavingUnit(
            unit=goal.unit,
            quantity=sum(part.size for part in own),
            without_stop=sum(part.bare for part in own),
            whole=goal.quantity is None,
            reason=goal.reason,
        )


def _state(book: Book, strategy: StrategyId) -> str:
    """The state of a strategy in one word."""
    found = book.strategies[strategy]
    if found.drain is None:
        return found.manifest.spec.state
    return "Drained" if book.drained(strategy) else "Draining"
