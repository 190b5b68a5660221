"""Short ways to say an order, a tape and a day at the paper venue. Prices are ticks of MES: 20000 is 5000.00."""

from collections.abc import Iterable, Mapping, Sequence

from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg
from leadline.model.orders import Bracket, Fill, OrderType, Side, Trailing, VenueEvent, VenueOrder
from leadline.model.ticks import NS_PER_SECOND, TickColumns
from leadline.venue.fill_rules import FillRule, FillRules
from leadline.venue.matching import PaperMarket

MES = ContractId("MESZ2025")
ES = ContractId("ESZ2025")
SELL, UNKNOWN, BUY = -1, 0, 1

Row = tuple[float, int, int, int]


def ns(seconds: float) -> int:
    """Seconds of the tape as nanoseconds."""
    return round(seconds * NS_PER_SECOND)


def tape(rows: Iterable[Row | tuple[float, int] | tuple[float, int, int]], first_index: int = 0) -> TickColumns:
    """Prints from rows (seconds, price[, size, aggressor]); one contract by nobody when not said."""
    full = [(*row, 1, UNKNOWN)[:4] if len(row) == 2 else (*row, UNKNOWN)[:4] for row in rows]
    return TickColumns.of([(ns(row[0]), row[1], row[2], row[3]) for row in full], first_index)


def market(
    rule: FillRule = FillRule.PESSIMISTIC, slippage: int = 1, latency_ns: int = 0, instant: float = 0
) -> PaperMarket:
    """An empty market; no latency, so that examples read in whole seconds."""
    return PaperMarket(FillRules(rule, slippage, latency_ns), ns(instant))


def order(
    client_id: ClientOrderId = ClientOrderId("E1"),
    side: Side = Side.BUY,
    quantity: int = 1,
    *,
    at: float = 0,
    limit: int | None = None,
    stop: int | None = None,
    bracket: tuple[int, int] | Bracket | None = None,
    trail: Trailing | None = None,
    until: float | None = None,
    reduce_only: bool = False,
    contract: ContractId = MES,
    tape_contract: ContractId | None = None,
) -> VenueOrder:
    """A market order, or what its prices make of it; `bracket` may be (stop ticks, target ticks), `until` seconds."""
    kinds = {
        (False, False): OrderType.MARKET,
        (True, False): OrderType.LIMIT,
        (False, True): OrderType.STOP,
        (True, True): OrderType.STOP_LIMIT,
    }
    kind = kinds[limit is not None, stop is not None]
    return VenueOrder(
        client_id=client_id,
        contract=contract,
        tape_contract=tape_contract or contract,
        side=side,
        type=kind,
        quantity=quantity,
        decided_at_ns=ns(at),
        leg=Leg("E"),
        decision=DecisionId(f"decision of {client_id}"),
        limit_price=limit,
        stop_price=stop,
        bracket=Bracket(*bracket) if isinstance(bracket, tuple) else bracket,
        trail=trail,
        valid_until_ns=None if until is None else ns(until),
        reduce_only=reduce_only,
    )


def run(paper: PaperMarket, prints: Mapping[ContractId, TickColumns] | TickColumns, to: float) -> list[VenueEvent]:
    """Advance through every stop on the way to that second; the events of it."""
    tapes = {MES: prints} if isinstance(prints, TickColumns) else prints
    events: list[VenueEvent] = []
    while paper.instant_ns < ns(to):
        events += paper.advance(tapes, ns(to)).events
    return events


def fills(events: Sequence[VenueEvent]) -> list[Fill]:
    """The fills among the events."""
    return [event.fill for event in events if event.fill is not None]


def told(events: Sequence[VenueEvent]) -> list[tuple[str, str, int, int]]:
    """Events as (leg, state, quantity, filled)."""
    return [(event.order.leg, event.order.state.value, event.order.quantity, event.order.filled) for event in events]
