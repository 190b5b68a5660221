"""Books made by hand, for what needs no database: one strategy on MES, and the orders that a test names."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from leadline.execution.core.book import Book, Changes, StrategyBook
from leadline.execution.core.day import roll
from leadline.model.ids import ContractId, DecisionId, FillId, Leg, RunId, StrategyId, client_order_id
from leadline.model.manifest.specs import TradingAccount
from leadline.model.orders import Fill, Lot, Order, OrderState, OrderType, Position, Side, VenueOrder
from tests.execution.harness.builders import DAY, MES, account, ns, strategy

DECISION = DecisionId("decision")


def order_of(state: OrderState, leg: str = "E", **fields: Any) -> Order:
    """An order of `default/mes` in a state: a market entry of one contract, long, when not said."""
    order = Order(
        client_id=client_order_id(DECISION, Leg(leg)),
        decision=DECISION,
        leg=Leg(leg),
        strategy=StrategyId("default/mes"),
        contract=MES,
        tape_contract=MES,
        side=Side.BUY,
        type=OrderType.MARKET,
        quantity=1,
        decided_at_ns=ns(600),
        state=state,
    )
    return replace(order, **fields)


def reported_of(order: Order, state: OrderState, **fields: Any) -> VenueOrder:
    """The order as the venue has it, in a state."""
    reported = VenueOrder(
        client_id=order.client_id,
        decision=order.decision,
        leg=order.leg,
        contract=order.contract,
        tape_contract=order.tape_contract,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        decided_at_ns=order.decided_at_ns,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        parent=order.parent,
        state=state,
        filled=order.filled,
    )
    return replace(reported, **fields)


def fill_of(order: Order, **fields: Any) -> Fill:
    """A fill of one contract of the order, at 20000."""
    fill = Fill(FillId("fill"), order.client_id, order.contract, order.side, 1, 20_000, ns(601), 0, 1)
    return replace(fill, **fields)


def book_of(
    *orders: Order | None,
    position: int = 0,
    manifest: TradingAccount | None = None,
    seconds: float = 600,
    **strategy_fields: Any,
) -> tuple[Book, Changes]:
    """The account at a second, with `default/mes`, these orders and its position, opened at 20000 by the decision."""
    manifest = manifest or account()
    book = Book(RunId("tape"), manifest.full_name, manifest, (MES,), DAY, ns(seconds), manifest.spec.starting_balance)
    owner = StrategyBook(StrategyId("default/mes"), strategy(), "settings", "hash", ns(0), MES, **strategy_fields)
    book.strategies[owner.strategy] = owner
    roll(book)
    book.orders = {order.client_id: order for order in orders if order is not None}
    if position:
        book.positions = {**book.positions, (owner.strategy, MES): position_of(position)}
    return book, Changes()


def position_of(
    quantity: int,
    strategy: StrategyId = StrategyId("default/mes"),
    contract: ContractId = MES,
    decision: DecisionId = DECISION,
) -> Position:
    """A position, opened at 20000 by a decision."""

    lots = (Lot(20_000, abs(quantity), FillId("fill")),)
    return Position(strategy, contract, contract, quantity, lots, Decimal("1.25"), decision)
